"""The command `mekb`: groups of commands, and the one door that all of them are left by."""

import sys
from typing import Annotated

import typer

from mekb.cli import (
    add,
    aliases,
    asking,
    audit,
    compare,
    data,
    link,
    measuring,
    models,
    profiles,
    project,
    serving,
)
from mekb.cli.leaving import (
    check_arguments,
    exit_code,
    flush,
    noted_signals,
    printable_streams,
)

app = typer.Typer(
    name="mekb",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Build knowledge-graph profiles of people's interests, and recommend to people a service has"
    " never seen. Start with: mekb demo",
)
app.command("demo")(project.demo)
app.command("doctor")(project.doctor)
data.app.command("add")(add.add)
data.app.command("audit")(audit.audit)
app.add_typer(data.app, name="data")
app.add_typer(aliases.app, name="aliases")
app.add_typer(link.app, name="link")
app.add_typer(profiles.app, name="profiles")
app.command("train")(models.train)
app.command("evaluate")(models.evaluate)
app.command("card")(models.card)
app.command("compare")(compare.compare)
app.command("compare-ratings")(measuring.compare_ratings)
app.command("compare-domains")(measuring.compare_domains)
app.command("split")(measuring.split)
app.command("bundle")(models.bundle)
app.command("recommend")(asking.recommend)
app.command("explain")(asking.explain)
app.command("serve")(serving.serve)
app.command("runs")(project.runs)


def _print_version(wanted: bool) -> None:
    if wanted:
        from mekb import __version__

        sys.stdout.write(f"mekb {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Keep the options that stand before a command; `main` reads them again."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    printable_streams()
    with noted_signals() as signals:
        try:
            check_arguments(sys.argv[1:])
            app()
        except BaseException as error:  # noqa: BLE001  (what is not to be shown as a line is raised again)
            code = exit_code(error, signals, debug="--debug" in sys.argv[1:])
        else:
            code = 0
    sys.exit(flush(code))
