"""`mekb data add`: a day's new rows, beside what a store holds."""

from pathlib import Path
from typing import Annotated

import typer

from mekb.cli.data import COLUMN_HELP, column_setting, note_rejected
from mekb.cli.datasets import DataOption, PresetOption, by_domain
from mekb.cli.options import ConfigOption, Format, FormatOption, SetOption, StoreArgument


def add(
    store: StoreArgument,
    interactions: Annotated[
        list[Path] | None,
        typer.Option("--interactions", help="A file with a row a user and item; may be repeated."),
    ] = None,
    items: Annotated[
        list[Path] | None,
        typer.Option("--items", help="A file with a row an item; may be repeated."),
    ] = None,
    column: Annotated[list[str] | None, typer.Option("--column", help=COLUMN_HELP)] = None,
    preset: PresetOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Add new interactions and items to a store; users and items it knows keep their ids.

    Example: mekb data add my.duckdb --interactions interactions.csv

    Example: mekb data add my.duckdb --preset amazon2023 --data books=Books.jsonl.gz
    """
    from mekb import api
    from mekb.cli.output import note, print_facts, print_json
    from mekb.config import load_settings

    mapped = [column_setting(assignment) for assignment in column or []]
    settings = load_settings(config, [*(set_ or []), *mapped])
    items, interactions = items or [], interactions or []
    if found := by_domain(preset, data or [], items, interactions):
        done = api.add_dataset(store, preset or "", found, settings=settings)
    else:
        done = api.add_data(store, items=items, interactions=interactions, settings=settings)
    note(str(done.stage))
    note_rejected(done.report.files)
    if format is Format.JSON:
        print_json({"stage": done.stage, "report": done.report.model_dump(mode="json")})
        return
    print_facts(done.report.model_dump(exclude={"files"}), title="Added")
    if done.report.n_new_items or done.report.n_changed_items:
        note(f"new texts count once they are linked: mekb link {store}")
    if done.report.n_touched_users:
        note(f"to bring their profiles up to date: mekb profiles update {store}")
