"""`mekb demo`, `doctor` and `runs`."""

from pathlib import Path
from typing import Annotated

import typer

from mekb.cli.options import Format, FormatOption, QuietOption, StoreArgument


def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo writes.")] = Path("demo"),
    users: Annotated[
        int, typer.Option("--users", min=200, help="How many users to simulate.")
    ] = 3000,
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of the simulated users and of training.")
    ] = 0,
    quiet: QuietOption = False,
) -> None:
    """Run the whole job on the built-in sample world: dump to alias table to profiles to recommendations.

    Example: mekb demo demo
    """
    from mekb.cli.demo import run_demo

    run_demo(folder, n_users=users, seed=seed, quiet=quiet)


def doctor(format: FormatOption = Format.TABLE) -> None:
    """Show versions, devices and models of this machine, and what is missing.

    Example: mekb doctor --format json
    """
    from mekb.cli.output import print_rows
    from mekb.doctor import examine

    print_rows(examine(), format, title="mekb doctor")


def runs(store: StoreArgument, format: FormatOption = Format.TABLE) -> None:
    """Show what was run on a store, the newest first.

    Example: mekb runs my.duckdb
    """
    from mekb import api
    from mekb.cli.output import print_json, print_rows

    found = api.runs(store)
    if format is Format.JSON:
        print_json(found)
        return
    shown = [
        {
            "run": run["run_id"],
            "stage": run["stage"],
            "started": f"{run['started_at']:%Y-%m-%d %H:%M:%S}",
            "seconds": run["seconds"],
        }
        for run in found
    ]
    print_rows(shown, format, title="Runs")
