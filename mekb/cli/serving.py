"""`mekb serve`: the HTTP server of a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from mekb.cli.options import BundleArgument


def serve(
    bundle: BundleArgument,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="0 takes a free one.")
    ] = 8765,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", help="A file with the token clients must show; else $MEKB_TOKEN."
        ),
    ] = None,
    watch: Annotated[
        float | None,
        typer.Option("--watch", help="Look for a new bundle in the folder this often, in seconds."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", help="Seconds a question may take; 30.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", help="Questions worked on at once; 64.")
    ] = None,
    max_waiting: Annotated[
        int | None, typer.Option("--max-waiting", help="Questions that may wait beside; 128.")
    ] = None,
    max_body: Annotated[
        int | None, typer.Option("--max-body", help="Bytes a question may have; 1,000,000.")
    ] = None,
) -> None:
    """Answer over HTTP: recommend, profile, explain and link, and a page. Ctrl-C ends it, SIGHUP takes a new bundle.

    Example: mekb serve bundle --port 8765
    """
    from mekb import api
    from mekb.cli.output import note

    api.serve(
        bundle,
        host=host,
        port=port,
        token_file=token_file,
        watch_seconds=watch,
        timeout_seconds=timeout,
        threads=threads,
        max_waiting=max_waiting,
        max_body_bytes=max_body,
        on_ready=lambda address: note(
            f"{bundle}: served at {address} (a page to look at: {address}/page/)"
        ),
    )
