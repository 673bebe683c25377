"""`mekb serve`: a socket, a server on it, and signals.

    SIGTERM, SIGINT    take no further request, answer those that are inside, end
    SIGHUP             open what stands in the bundle's folder now, and serve it from now on

Whoever listens where others can reach asks for a token, or does not start.
"""

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvicorn
from pydantic import SecretStr, ValidationError
from starlette.types import ASGIApp

from mekb.errors import ConfigError, OutputError, SourceError
from mekb.serve.app import create_app
from mekb.serve.settings import LEAST_TOKEN_CHARS, ServeSettings

TOKEN_VARIABLE = "MEKB_TOKEN"  # noqa: S105  the variable's name
MAX_HEADER_BYTES = 16_384
BACKLOG = 512
"""Connections that wait to be accepted."""
_STOPS = (signal.SIGINT, signal.SIGTERM)


def serve(
    bundle: Path,
    settings: ServeSettings,
    *,
    pages: Mapping[str, ASGIApp] | None = None,
    on_ready: Callable[[str], None],
) -> None:
    """Serve a bundle until told to end.

    Args:
        bundle: Its folder.
        settings: Where, to whom, and how much.
        pages: As of `create_app`.
        on_ready: Told the address, once requests can be made.

    Raises:
        ConfigError: it would be reached by others, and there is no token.
        OutputError: the address is taken, or is none of this machine.
        BundleError: the bundle is not whole.
    """
    check_reach(settings)
    app = create_app(bundle, settings, pages)
    listening = _socket(settings)
    config = uvicorn.Config(
        app,
        access_log=False,  # ours says nothing of what was asked
        log_config=None,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        timeout_graceful_shutdown=max(1, round(settings.timeout_seconds)),
    )
    _log_to_stderr()
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: app.state.reloader.ask())
    on_ready(_address(listening))
    with listening, _ending_well():
        uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def _ending_well() -> Iterator[None]:
    """Take it for done, not for cut off, when a server was told to end and did.

    uvicorn answers what is inside, then raises the signal once more for whoever stands around it.
    """
    former = {each: signal.signal(each, lambda *_: None) for each in _STOPS}
    try:
        yield
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)


def check_reach(settings: ServeSettings) -> None:
    """Raise ConfigError where others could reach a server that asks for no token."""
    if not settings.is_loopback and settings.token is None:
        raise ConfigError(
            f"--host {settings.host}: others can reach that; give a token with --token-file or {TOKEN_VARIABLE},"
            " or stay on 127.0.0.1"
        )


def read_token(file: Path | None) -> SecretStr | None:
    """Return the token of a file, else that of the environment, else None.

    Raises:
        SourceError: the file cannot be read.
        ConfigError: the token is too short to protect anything.
    """
    if file is None:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        where = TOKEN_VARIABLE
    else:
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"{file}: cannot be read as a token: {error}") from error
        where = str(file)
    if not token and file is None:
        return None
    if len(token) < LEAST_TOKEN_CHARS or not token.isascii():
        raise ConfigError(
            f"{where}: a token has {LEAST_TOKEN_CHARS} characters at least, all of ASCII; 'openssl rand -hex 32'"
            " makes one"
        )
    return SecretStr(token)


def settings_of(**values: object) -> ServeSettings:
    """Return settings from values, those that are None left out.

    Raises:
        ConfigError: a value is not allowed.
    """
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return ServeSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"serve.{first['loc'][0]}: {first['msg']}") from error


def _socket(settings: ServeSettings) -> socket.socket:
    """Return a socket that is listened to.

    Raises:
        OutputError: the address is taken, or is none of this machine.
    """
    try:
        places = socket.getaddrinfo(settings.host, settings.port, proto=socket.IPPROTO_TCP)
        family, kind, protocol, _, address = places[0]
        # With its protocol named, asyncio sends answers at once; else each waits 40 ms for an acknowledgement.
        with ExitStack() as closing:
            listening = closing.enter_context(socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(BACKLOG)
            closing.pop_all()
    except OSError as error:
        raise OutputError(
            f"{settings.host}:{settings.port}: cannot be listened to: {error.strerror or error}"
        ) from error
    return listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _log_to_stderr() -> None:
    """Write what the server says of itself to stderr: access as JSON lines, the rest as it is."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for name, level in (("mekb.serve", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.addHandler(handler)
        logger.propagate = False
