"""`mekb aliases`: the table that says what a name may mean."""

import os
from pathlib import Path
from typing import Annotated

import typer

from alias_tables.report import BuildReport
from mekb.cli.options import (
    ConfigOption,
    ForceOption,
    Format,
    FormatOption,
    QuietOption,
    SetOption,
    StoreArgument,
)

app = typer.Typer(no_args_is_help=True, help="Build, import and ask the alias table.")


def _facts(report: BuildReport) -> dict[str, object]:
    """Return the counts of a build, reasons of what was left out spelled out."""
    counted = (
        *("pages_read", "articles", "redirects", "links", "surfaces", "entities", "pairs"),
        *("damaged_places", "invalid_utf8"),
    )
    facts: dict[str, object] = {name: getattr(report, name) for name in counted}
    for name in ("skipped_pages", "rejected_links", "rejected_rows", "dropped_pairs"):
        facts[name] = ", ".join(f"{n} {reason}" for reason, n in getattr(report, name).items())
    return facts


def _where(dictionary: Path) -> str:
    """Say what stands beside the store, so that nobody wonders."""
    return (
        f"dictionary: {dictionary}, which later stages open; it may be deleted, and is made again"
    )


def _n_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@app.command("build")
def build(
    store: StoreArgument,
    dump: Annotated[
        list[Path] | None,
        typer.Option(
            "--dump", help="A MediaWiki pages-articles export (.xml, .bz2, .gz); may be repeated."
        ),
    ] = None,
    qids: Annotated[
        Path | None, typer.Option("--qids", help="A table with the columns title and qid.")
    ] = None,
    extra: Annotated[
        list[Path] | None,
        typer.Option(
            "--extra", help="A table of further aliases or titles, added to the dump's counts."
        ),
    ] = None,
    wikidata: Annotated[
        list[Path] | None,
        typer.Option("--wikidata", help="Wikidata's JSON dump of entities; may be repeated."),
    ] = None,
    page_props: Annotated[
        Path | None, typer.Option("--page-props", help="The wiki's page_props.sql.gz: QIDs.")
    ] = None,
    redirects: Annotated[
        Path | None, typer.Option("--redirects", help="The wiki's redirect.sql.gz.")
    ] = None,
    pages: Annotated[Path | None, typer.Option("--pages", help="The wiki's page.sql.gz.")] = None,
    merged: Annotated[
        Path | None, typer.Option("--merged", help="QIDs that were merged into others.")
    ] = None,
    graph: Annotated[
        list[Path] | None,
        typer.Option(
            "--graph",
            help="A knowledge graph of your own: a table (id, title, aliases, description, type, weight,"
            " count) or RDF (.ttl, .nt, .jsonld); may be repeated.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", min=1, help="Processes that read the dump; by default one a core."
        ),
    ] = None,
    work: Annotated[
        Path | None, typer.Option("--work", help="A folder to keep unfinished work in.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the work in that folder.")
    ] = False,
    rejects: Annotated[
        Path | None,
        typer.Option(
            "--rejects", help="Write what was left out, and why (.tsv, .tsv.gz, .parquet)."
        ),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Build the alias table from dumps: links, titles and redirects become P(entity | surface).

    Example: mekb aliases build my.duckdb --dump enwiki-pages-articles.xml.bz2 --qids titles.tsv
    """
    from mekb import api
    from mekb.cli.output import note, print_facts, progress
    from mekb.config import load_settings

    with progress(quiet=quiet) as on_progress:
        done = api.build_aliases(
            store,
            dumps=dump or [],
            qids=qids,
            extra=extra or [],
            wikidata=wikidata or [],
            page_props=page_props,
            redirects=redirects,
            pages=pages,
            merged=merged,
            graph=graph or [],
            workers=workers or _n_cores(),
            work=work,
            resume=resume,
            rejects=rejects,
            settings=load_settings(config, set_ or []),
            force=force,
            on_progress=on_progress,
        )
    note(str(done.stage))
    note(_where(done.dictionary))
    if done.report is not None:
        print_facts(_facts(done.report), title="Alias table")


@app.command("import")
def import_(
    store: StoreArgument,
    file: Annotated[
        Path,
        typer.Argument(
            help="A table with surface, title and/or qid, and optionally count, channel."
        ),
    ],
    config: ConfigOption = None,
    set_: SetOption = None,
    force: ForceOption = False,
) -> None:
    """Make the alias table from a ready list instead of a dump.

    Example: mekb aliases import my.duckdb aliases.tsv.gz
    """
    from mekb import api
    from mekb.cli.output import note, print_facts
    from mekb.config import load_settings

    done = api.build_aliases(
        store, extra=[file], settings=load_settings(config, set_ or []), force=force
    )
    note(str(done.stage))
    note(_where(done.dictionary))
    if done.report is not None:
        print_facts(_facts(done.report), title="Alias table")


@app.command("lookup")
def lookup(
    store: StoreArgument,
    surface: Annotated[str, typer.Argument(help="A name as it stands in text.")],
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="Show so many candidates at most.")
    ] = 10,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show which entities a surface may mean, and how surely.

    Example: mekb aliases lookup my.duckdb "The Shining"
    """
    from mekb import api
    from mekb.cli.output import print_rows

    rows = [
        {"entity": candidate.entity_id, "title": candidate.title, "prior": float(candidate.prior)}
        for candidate in api.lookup(store, surface, limit=limit)
    ]
    print_rows(rows, format, title=f"'{surface}' may mean")
