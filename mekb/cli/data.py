"""`mekb data`: bring one's own data in, and look at it before training."""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mekb.cli.datasets import DataOption, DryRunOption, PresetOption, by_domain, print_previews
from mekb.cli.options import (
    ConfigOption,
    ForceOption,
    Format,
    FormatOption,
    SetOption,
    StoreArgument,
)
from mekb.errors import ConfigError

if TYPE_CHECKING:
    from mekb.sources import LinkCoverage
    from mekb.sources.report import FileReport


class ExportFormat(StrEnum):
    """What an export writes."""

    PARQUET = "parquet"
    RECBOLE = "recbole"


app = typer.Typer(no_args_is_help=True, help="Import items and interactions; describe them.")

COLUMN_HELP = (
    "Map a column: ROLE=COLUMN, ROLE one of user, item, domain, rating, at, title, text, brand,"
    " categories; may be repeated."
)


@app.command("import")
def import_(
    store: StoreArgument,
    items: Annotated[
        list[Path] | None,
        typer.Option("--items", help="A file with a row an item; may be repeated."),
    ] = None,
    interactions: Annotated[
        list[Path] | None,
        typer.Option("--interactions", help="A file with a row a user and item; may be repeated."),
    ] = None,
    column: Annotated[list[str] | None, typer.Option("--column", help=COLUMN_HELP)] = None,
    preset: PresetOption = None,
    data: DataOption = None,
    dry_run: DryRunOption = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    force: ForceOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Read items and interactions into a store: CSV, TSV, JSONL, Parquet (.gz), or a published data set.

    Example: mekb data import my.duckdb --items items.jsonl --interactions interactions.csv

    Example: mekb data import my.duckdb --preset movielens --data films=ml-1m.zip
    """
    from mekb import api
    from mekb.cli.output import note, print_json, print_rows
    from mekb.config import load_settings

    mapped = [column_setting(assignment) for assignment in column or []]
    settings = load_settings(config, [*(set_ or []), *mapped])
    items, interactions = items or [], interactions or []
    found = by_domain(preset, data or [], items, interactions)
    if not (preset or interactions or dry_run):
        raise ConfigError("no file of interactions given: --interactions, or --preset with --data")
    if dry_run:
        previews = api.preview_data(
            items=items, interactions=interactions, preset=preset, data=found, settings=settings
        )
        print_previews(previews, format)
        return
    if preset:
        done = api.import_dataset(store, preset, found, settings=settings, force=force)
    else:
        done = api.import_data(
            store, items=items, interactions=interactions, settings=settings, force=force
        )
    note(str(done.stage))
    if format is Format.JSON:
        report = done.report.model_dump(mode="json") if done.report else None
        print_json({"stage": done.stage, "report": report})
        return
    if done.report is None:
        return
    files = [
        {
            "file": file.file,
            "format": file.format,
            "read": file.n_read,
            "kept": file.n_kept,
            "rejected": "; ".join(f"{each.n_rows} {each.reason}" for each in file.rejected),
        }
        for file in done.report.files
    ]
    print_rows(files, format, title="Files")
    domains = [
        {"domain": name, **counts.model_dump()} for name, counts in done.report.domains.items()
    ]
    print_rows(domains, format, title="Imported")
    note_rejected(done.report.files)
    for line in done.report.notes:
        note(line)


def note_rejected(files: "Sequence[FileReport]") -> None:
    """Name what was rejected of each file, the first rows of each reason."""
    from mekb.cli.output import note

    for file in files:
        for each in file.rejected:
            note(
                f"{file.file}: {each.n_rows:,} rows rejected: {each.reason}; {'; '.join(each.examples)}"
            )


def column_setting(assignment: str) -> str:
    """Return ROLE=COLUMN as an assignment of a setting whose value is text, even where it is a number."""
    role, equals, column = assignment.partition("=")
    return f"source.{role}{equals}{json.dumps(column.strip()) if equals else ''}"


@app.command("export")
def export(
    store: StoreArgument,
    folder: Annotated[Path, typer.Argument(help="The folder to write.")],
    table: Annotated[
        list[str] | None,
        typer.Option(
            "--table", help="A table; may be repeated. Default: what profiles are made from."
        ),
    ] = None,
    format: Annotated[
        ExportFormat, typer.Option("--format", help="Tables as Parquet, or RecBole's atomic files.")
    ] = ExportFormat.PARQUET,
    force: ForceOption = False,
) -> None:
    """Write tables of a store as Parquet with their schemas, or the data as files for RecBole and RecBole-CDR.

    Example: mekb data export my.duckdb tables

    Example: mekb data export my.duckdb dataset --format recbole
    """
    from mekb import api
    from mekb.cli.output import note

    if format is ExportFormat.RECBOLE:
        if table:
            raise ConfigError("--format recbole writes items and interactions; leave out --table")
        for name, n_rows in api.export_recbole(store, folder, force=force).items():
            note(f"{folder / name}: {n_rows:,} rows")
        return
    for name, n_rows in api.export_tables(store, folder, tables=table or (), force=force).items():
        note(f"{folder / name}.parquet: {n_rows:,} rows")


@app.command("describe")
def describe(store: StoreArgument, format: FormatOption = Format.TABLE) -> None:
    """Show what a store holds: users, items, overlaps, link coverage, and what to worry about.

    After linking also, by domain: items with an entity, mentions in doubt, who found them, the most frequent
    entities and surfaces (bad links show here), and the entities that domains share.

    Example: mekb data describe my.duckdb
    """
    from mekb import api
    from mekb.cli.output import print_json, print_line, print_rows

    found = api.describe(store)
    if format is Format.JSON:
        print_json(found.model_dump(mode="json"))
        return
    in_links = {"linked_share", "entities_per_item"}
    domains = [domain.model_dump(exclude=in_links) for domain in found.domains]
    print_rows(domains, format, title="Domains")
    print_rows([overlap.model_dump() for overlap in found.overlaps], format, title="Shared users")
    if found.links:
        _print_links(found.links)
    for warning in found.warnings:
        print_line(f"! {warning}")


def _print_links(links: "LinkCoverage") -> None:
    """Print the coverage by domain, the shared entities, and what is most frequent."""
    from mekb.cli.output import print_rows

    left_out = {"top_entities", "top_surfaces", "detectors"}
    rows = [
        domain.model_dump(exclude=left_out)
        | {"found by": ", ".join(f"{name} {share:.0%}" for name, share in domain.detectors.items())}
        for domain in links.domains
    ]
    print_rows(rows, Format.TABLE, title="Links")
    shared = [overlap.model_dump() for overlap in links.overlaps]
    print_rows(shared, Format.TABLE, title="Shared entities")
    for domain in links.domains:
        entities = [entity.model_dump() for entity in domain.top_entities]
        print_rows(entities, Format.TABLE, title=f"{domain.domain}: most frequent entities")
        surfaces = [surface.model_dump() for surface in domain.top_surfaces]
        print_rows(surfaces, Format.TABLE, title=f"{domain.domain}: most frequent surfaces")


@app.command("relations")
def relations(
    store: StoreArgument,
    file: Annotated[
        Path,
        typer.Argument(help="A TSV, CSV or Parquet file: subject, predicate, object, as QIDs."),
    ],
    force: ForceOption = False,
) -> None:
    """Import relations of the knowledge graph, along which 'mekb profiles infer' spreads interests.

    Example: mekb data relations my.duckdb triples.tsv
    """
    from mekb import api
    from mekb.cli.output import note

    note(str(api.import_relations(store, file, force=force)))


@app.command("keywords")
def keywords(
    store: StoreArgument,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="TSV, CSV or Parquet: keyword, and optionally label, weight, aliases (a|b)."
        ),
    ],
    force: ForceOption = False,
) -> None:
    """Import dictionaries of your domain's own words; 'mekb link' then finds them in titles and texts.

    Example: mekb data keywords my.duckdb hashtags.tsv
    """
    from mekb import api
    from mekb.cli.output import note

    note(str(api.import_keywords(store, files, force=force)))
