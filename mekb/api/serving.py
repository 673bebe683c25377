"""The HTTP server of a bundle."""

from collections.abc import Callable
from pathlib import Path

from mekb.errors import MissingError


def _unheard(_: str) -> None:
    """Tell nobody."""


def serve(
    bundle: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    token_file: str | Path | None = None,
    watch_seconds: float | None = None,
    timeout_seconds: float | None = None,
    threads: int | None = None,
    max_waiting: int | None = None,
    max_body_bytes: int | None = None,
    on_ready: Callable[[str], None] = _unheard,
) -> None:
    """Answer over HTTP until SIGTERM or SIGINT; on SIGHUP a new bundle in the folder is taken.

    For a server of one's own kind, `mekb.serve.create_app` gives the application.

    Args:
        bundle: Its folder.
        host: Where to listen. Anything but this machine alone needs a token.
        port: 0 takes a free one.
        token_file: A file with the token clients must show; else the environment's MEKB_TOKEN, if there is one.
        watch_seconds: So often the folder is looked at for a new bundle; None: on SIGHUP only.
        timeout_seconds: A question that takes longer is given up.
        threads: Questions worked on at once.
        max_waiting: Questions that may wait beside those.
        max_body_bytes: What a question may have.
        on_ready: Told the address, once it is listened to.

    Raises:
        MissingError: FastAPI or uvicorn is not installed.
        ConfigError: others could reach it and there is no token, or a setting is not allowed.
        OutputError: the address is taken.
        BundleError: the bundle is not whole; the part is named.
    """
    try:
        from mekb.page.site import pages
        from mekb.serve import run
    except ModuleNotFoundError as error:
        if error.name not in {"fastapi", "starlette", "uvicorn"}:
            raise
        raise MissingError(
            f"serving needs {error.name}, which is not installed: pip install 'mekb[serve]'"
        ) from error
    settings = run.settings_of(
        host=host,
        port=port,
        token=run.read_token(None if token_file is None else Path(token_file)),
        watch_seconds=watch_seconds,
        timeout_seconds=timeout_seconds,
        threads=threads,
        max_waiting=max_waiting,
        max_body_bytes=max_body_bytes,
    )
    run.serve(Path(bundle), settings, pages=pages(), on_ready=on_ready)
