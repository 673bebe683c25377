"""New rows put into a store beside the old ones, noting whose profiles they make out of date.

The rows, the users touched and the run that says so are written in one transaction. A run that names a table
among its inputs and its outputs changed it in place: from such runs `mekb.increments` knows that the users
touched are all there are.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mekb.errors import ConfigError
from mekb.runs import (
    Stage,
    StageResult,
    changed_outputs,
    newest_run,
    record_run,
    settings_of,
    utc_now,
)
from mekb.sources.additions import AdditionReport, read_additions
from mekb.sources.config import ImportConfig
from mekb.sources.source_files import Given
from mekb.store import Store

GROWN = ("items", "users", "interactions")

TOUCHED_SQL = (
    "select user_id from touched_users union select user_id from touched_now order by user_id"
)


@dataclass(frozen=True)
class Added:
    """What an addition did."""

    stage: StageResult
    report: AdditionReport


def add_rows(
    store: Store,
    items: Sequence[Given],
    interactions: Sequence[Given],
    config: ImportConfig,
    files: Mapping[str, str],
) -> Added:
    """Add files of new items and interactions to a store; ids of users and items it knows stay.

    Args:
        store: With imported data.
        items: Files with a row an item.
        interactions: Files with a row a user and item.
        config: Columns and policies, those of the import.
        files: Fingerprints of the files, by name.

    Raises:
        UnknownError: nothing is imported yet.
        ConfigError: another rating was positive in the import.
        SourceError: a file cannot be read, or a policy refuses a row.
    """
    store.require(*GROWN, hint=f"import your data with 'mekb data import {store.path} ...'")
    _check_policy(store, config)
    started, clock = utc_now(), time.perf_counter()
    additions = read_additions(store.connection, items, interactions, config)
    changed = {name: rows for name, rows in additions.tables.items() if rows.num_rows}
    if not changed:
        known = newest_run(store, "add", "import")
        result = StageResult("add", known.run_id if known else "", skipped=True, seconds=0.0)
        return Added(result, additions.report)
    with store.transaction():
        before = {name: store.fingerprint(name) for name in GROWN}
        changes = {name: store.merge(name, rows) for name, rows in changed.items()}
        _touch(store, additions.touched)
        after = changed_outputs(before, changes)
        stage = Stage(
            name="add", config=settings_of(config), inputs=dict(files) | before, outputs=GROWN
        )
        seconds = time.perf_counter() - clock
        run_id = record_run(store, stage, after, started, seconds)
    return Added(StageResult("add", run_id, skipped=False, seconds=seconds), additions.report)


def _check_policy(store: Store, config: ImportConfig) -> None:
    known = newest_run(store, "add", "import")
    if known is None:
        return
    before = known.config.get("ImportConfig", {}).get("positive_from", config.positive_from)
    if before != config.positive_from:
        raise ConfigError(
            f"source.positive_from: {store.path} was imported with {before:g}, now it is"
            f" {config.positive_from:g}; a store has one"
        )


def _touch(store: Store, touched: object) -> None:
    store.connection.register("touched_now", touched)
    try:
        query = TOUCHED_SQL if store.has("touched_users") else "select user_id from touched_now"
        store.replace({"touched_users": store.query(query)})
    finally:
        store.connection.unregister("touched_now")
