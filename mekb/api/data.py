"""What goes into a store: items, interactions, keywords and relations; and what is in it."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mekb.api.stores import StoreLike, file_inputs, opened, opened_for_import
from mekb.config import Settings
from mekb.errors import SourceError
from mekb.runs import Stage, StageResult, run_stage, settings_of

if TYPE_CHECKING:
    from mekb.growth import Added
    from mekb.sources import Description, ImportReport, TableLike


@dataclass(frozen=True)
class Imported:
    """What an import did; `report` is None when nothing had changed."""

    stage: StageResult
    report: "ImportReport | None"


def import_data(
    store: StoreLike,
    *,
    items: "Sequence[TableLike]",
    interactions: "Sequence[TableLike]",
    settings: Settings | None = None,
    force: bool = False,
) -> Imported:
    """Read items and interactions into a store (made if absent), replacing what it held of them.

    Args:
        store: The store.
        items: CSV, TSV, JSONL or Parquet files, or Arrow or pandas tables, with a row an item.
        interactions: Likewise, a row a user and item.
        settings: `settings.source` maps the columns.
        force: Read again even when nothing changed.

    Raises:
        SourceError: a file is not there, lacks a column, or holds no usable row.
    """
    from mekb.sources import as_files, read_tables

    chosen = settings or Settings()
    reports: list[ImportReport] = []
    with contextlib.ExitStack() as stack:
        item_files, interaction_files = (
            stack.enter_context(as_files(tables)) for tables in (items, interactions)
        )
        inputs = file_inputs({"items": item_files, "interactions": interaction_files})
        target = stack.enter_context(opened_for_import(store, chosen))

        def work() -> Mapping[str, pa.Table]:
            tables = read_tables(target.connection, item_files, interaction_files, chosen.source)
            reports.append(tables.report)
            return {
                "items": tables.items,
                "users": tables.users,
                "interactions": tables.interactions,
            }

        stage = Stage(
            name="import",
            config=settings_of(chosen.source),
            inputs=inputs,
            outputs=("items", "users", "interactions"),
        )
        result = run_stage(target, stage, work, force=force)
    return Imported(result, reports[0] if reports else None)


def add_data(
    store: StoreLike,
    *,
    items: "Sequence[TableLike]" = (),
    interactions: "Sequence[TableLike]" = (),
    settings: Settings | None = None,
) -> "Added":
    """Add new items and interactions to a store; users and items it knows keep their ids.

    A row of a user and item that is there already is merged by `settings.source.duplicates`. New items count
    once they are linked; `update_profiles` then scores the users touched.

    Args:
        store: A store with imported data.
        items: Files or tables with a row an item, as for `import_data`.
        interactions: Likewise, a row a user and item.
        settings: `settings.source` maps the columns.

    Raises:
        UnknownError: nothing is imported yet.
        ConfigError: `source.positive_from` is not that of the import.
        SourceError: nothing was given, a file is not there, lacks a column, or a policy refuses a row.
    """
    from mekb.growth import add_rows
    from mekb.sources import as_files

    if not items and not interactions:
        raise SourceError("nothing to add: give a file of interactions, of items, or both")
    chosen = settings or Settings()
    with contextlib.ExitStack() as stack:
        item_files, interaction_files = (
            stack.enter_context(as_files(tables)) for tables in (items, interactions)
        )
        inputs = file_inputs({"items": item_files, "interactions": interaction_files})
        target = stack.enter_context(opened(store, settings=chosen))
        return add_rows(target, item_files, interaction_files, chosen.source, inputs)


def import_keywords(
    store: StoreLike, files: Sequence[str | Path], *, force: bool = False
) -> StageResult:
    """Read dictionaries of keywords into a store; the next `link` finds them in titles and texts.

    Args:
        store: The store.
        files: Tables with `keyword`, and optionally `label`, `weight` and `aliases` (separated by "|").
        force: Read them though nothing changed.

    Raises:
        SourceError: no such file, a weight is no number, or there is no keyword.
        DumpError: a file lacks the column.
    """
    from mekb.keywords import import_keywords as read

    paths = [Path(file) for file in files]
    with opened(store) as target:
        return read(target, paths, file_inputs({"keywords": paths}), force=force)


def import_relations(store: StoreLike, file: str | Path, *, force: bool = False) -> StageResult:
    """Read relations of the knowledge graph (subject, predicate, object; QIDs) into a store.

    Raises:
        SourceError: no such file, or no row relates two QIDs.
        DumpError: the file lacks the columns.
    """
    from mekb.neighbours import import_relations as read

    with opened(store) as target:
        return read(target, Path(file), file_inputs({"relations": [Path(file)]}), force=force)


def describe(store: StoreLike) -> "Description":
    """Return counts, overlaps, text and link coverage of a store, with warnings."""
    from mekb.sources import describe as describe_tables

    with opened(store) as source:
        source.require(
            "items", "users", "interactions", hint="import your data with 'mekb data import'"
        )
        return describe_tables(source.connection)


def read_table(store: StoreLike, table: str) -> pa.Table:
    """Return a whole table of a store, as Arrow (`.to_pandas()` for pandas).

    Raises:
        UnknownError: the store has no such table.
    """
    with opened(store) as source:
        source.require(table, hint="run the stage that makes it")
        return source.read(table)


def runs(store: StoreLike) -> list[dict[str, Any]]:
    """Return what was run on a store, the newest first."""
    with opened(store) as source:
        if not source.has("runs"):
            return []
        rows: list[dict[str, Any]] = (
            source.read("runs").sort_by([("started_at", "descending")]).to_pylist()
        )
        return rows
