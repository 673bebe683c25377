"""Stages that rerun only what changed, each leaving a row that says what was made from what.

A stage is skipped when its newest run had the same configuration, the same inputs (by fingerprint), the
same code, and what it wrote still stands as it was written.
"""

import hashlib
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from typing_extensions import override

from mekb.fingerprint import RowsDigest, code_fingerprint
from mekb.store import Change, Rows, Store

_RUNS_SQL = """
select run_id, stage, config, inputs, outputs, code, started_at from runs order by started_at desc
"""
AMEND_SQL = "update runs set outputs = $outputs where run_id = $run_id"


@dataclass(frozen=True)
class Stage:
    """What a stage is made from; two equal stages need only one run."""

    name: str
    config: Mapping[str, object]
    inputs: Mapping[str, str]
    """Input name -> fingerprint."""
    outputs: Sequence[str]
    """Tables of the store that the stage replaces."""
    packages: tuple[str, ...] = ("mekb",)
    """Packages whose code decides the result."""
    seed: int | None = None


@dataclass(frozen=True)
class Run:
    """A stage that was run, as `runs` tells of it."""

    run_id: str
    stage: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    """Output name -> fingerprint."""
    code: str
    started_at: datetime


@dataclass(frozen=True)
class StageResult:
    """What became of a stage."""

    stage: str
    run_id: str
    skipped: bool
    seconds: float

    @override
    def __str__(self) -> str:
        if self.skipped:
            return f"{self.stage}: nothing changed since run {self.run_id}, skipped"
        return f"{self.stage}: done in {self.seconds:.1f} s (run {self.run_id})"


def table_inputs(store: Store, *tables: str) -> dict[str, str]:
    """Return the fingerprints of those of the tables that the store holds."""
    return {table: store.fingerprint(table) for table in tables if store.has(table)}


def settings_of(*configs: BaseModel) -> dict[str, object]:
    """Return configurations as one JSON-able mapping, class name -> settings."""
    return {type(config).__name__: config.model_dump(mode="json") for config in configs}


def run_stage(
    store: Store,
    stage: Stage,
    work: Callable[[], Mapping[str, Rows] | Callable[[], None]],
    *,
    force: bool = False,
) -> StageResult:
    """Run a stage unless nothing it depends on changed; its tables and its run are written together.

    Args:
        store: Where the tables and the run are written.
        stage: What it depends on.
        work: Makes the rows of every table in `stage.outputs`; or returns what writes them, where they are
            more than memory holds.
        force: Run even when nothing changed.
    """
    identity = _identity(stage)
    previous = None if force else _newest_same_run(store, stage, identity)
    if previous is not None:
        return StageResult(stage.name, previous, skipped=True, seconds=0.0)
    started, clock = utc_now(), time.perf_counter()
    made = work()
    with store.transaction():
        if isinstance(made, Mapping):
            store.replace(made)
        else:
            made()
        seconds = time.perf_counter() - clock
        run_id = record_run(store, stage, table_inputs(store, *stage.outputs), started, seconds)
    return StageResult(stage.name, run_id, skipped=False, seconds=seconds)


def record_run(
    store: Store, stage: Stage, outputs: Mapping[str, str], started: datetime, seconds: float
) -> str:
    """Add a row to `runs` for a stage that is done, and return its id.

    Args:
        store: Where the row goes.
        stage: What was run, from what.
        outputs: What it made -> fingerprint.
        started: When, in UTC without a zone.
        seconds: How long it took.
    """
    row = run_row(stage, outputs, started, seconds)
    store.append_run(row)
    return str(row["run_id"])


def run_row(
    stage: Stage, outputs: Mapping[str, str], started: datetime, seconds: float
) -> dict[str, object]:
    """Return the row of `runs` for a stage that is done; arguments as for `record_run`."""
    text = json.dumps(outputs, sort_keys=True)
    digest = hashlib.sha256((stage.name + started.isoformat() + text).encode()).hexdigest()
    return {
        "run_id": f"{stage.name}-{started:%Y%m%dT%H%M%S}-{digest[:6]}",
        "stage": stage.name,
        **_identity(stage),
        "outputs": text,
        "seed": stage.seed,
        "started_at": started,
        "seconds": seconds,
        "host": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def _identity(stage: Stage) -> dict[str, str]:
    """Return what two runs of one result have in common."""
    return {
        "config": json.dumps(stage.config, sort_keys=True),
        "inputs": json.dumps(stage.inputs, sort_keys=True),
        "code": code_fingerprint(stage.packages),
    }


def utc_now() -> datetime:
    """Return the time in UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def read_runs(store: Store) -> list[Run]:
    """Return every run of a store, the newest first."""
    if not store.has("runs"):
        return []
    return [
        Run(
            run_id,
            stage,
            json.loads(config),
            json.loads(inputs),
            json.loads(outputs),
            code,
            started_at,
        )
        for run_id, stage, config, inputs, outputs, code, started_at in store.connection.execute(
            _RUNS_SQL
        ).fetchall()
    ]


def newest_run(store: Store, *stages: str) -> Run | None:
    """Return the newest run of one of the stages, or None."""
    return next((run for run in read_runs(store) if run.stage in stages), None)


def changed_outputs(outputs: Mapping[str, str], changes: Mapping[str, Change]) -> dict[str, str]:
    """Return fingerprints of tables from which some rows were taken since and to which others were added."""
    return dict(outputs) | {
        table: str(RowsDigest.parse(outputs[table]).without(taken).joined_by(added))
        for table, (taken, added) in changes.items()
        if table in outputs
    }


def amend_outputs(store: Store, changes: Mapping[str, Change], *stages: str) -> None:
    """Let the newest run of some stages say how its tables stand after a change that is no run of its own.

    Without it the stage would be run again, as where somebody else had written into its tables.
    """
    run = newest_run(store, *stages)
    if run is not None:
        outputs = json.dumps(changed_outputs(run.outputs, changes), sort_keys=True)
        store.connection.execute(AMEND_SQL, {"outputs": outputs, "run_id": run.run_id})


def _newest_same_run(store: Store, stage: Stage, identity: Mapping[str, str]) -> str | None:
    found = newest_run(store, stage.name)
    if found is None:
        return None
    same = {
        "config": json.dumps(found.config, sort_keys=True),
        "inputs": json.dumps(found.inputs, sort_keys=True),
        "code": found.code,
    } == identity
    intact = same and found.outputs == table_inputs(store, *stage.outputs)
    return found.run_id if intact else None
