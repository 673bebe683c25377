"""Profiles brought up to date: only the users whose items changed are scored, with the idf of the last full scoring.

    touched_users, users of newly linked items ──score with idf_basis──> their rows of user_entity, profiles

An entity that the basis does not know has the idf of one user. What this leaves behind is measured
(`mekb.drift`); scoring everybody again is a choice. An update is refused, and never half right, where more
than some users' items changed: other settings, another formula, an import, or other entities on
items that were scored before.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from mekb.aggregation import (
    OnPart,
    Side,
    choose_some,
    clear,
    formula_fingerprint,
    hold_entities,
    known_spread,
    scored_slices,
    sides,
    unheard,
    user_parts,
)
from mekb.drift import Drift, measure_drift, noting_moves
from mekb.effective import write_edited_texts
from mekb.errors import RefreshError
from mekb.fingerprint import RowsDigest
from mekb.interests import NOBODY_SQL, SCORED_TABLES, build_profiles
from mekb.runs import (
    Run,
    Stage,
    StageResult,
    newest_run,
    read_runs,
    record_run,
    settings_of,
    table_inputs,
    utc_now,
)
from mekb.scoring import ScoringConfig, UpdateConfig
from mekb.store import Store

FIRST_ROWS = {
    "item_entities": "(select * from item_entities order by item_id, entity_id limit $n_rows)",
    "custom_entities": "(select * from custom_entities order by entity_id limit $n_rows)",
}
"""The rows of a table that stood there when it had so many, if it has only grown at its end."""

TO_SCORE_SQL = """
with linked_since as (
    select item_id, row_number() over (order by item_id, entity_id) as place from item_entities
),
new_items as (
    select distinct item_id from linked_since where place > $n_linked
)
select user_id from touched_users
union
select interactions.user_id from interactions semi join new_items using (item_id)
"""
TOUCHED_ONLY_SQL = "select user_id from touched_users"


@dataclass(frozen=True)
class Updated:
    """What an update did."""

    stage: StageResult
    n_users: int
    """Users scored."""
    drift: Drift | None
    """None where everybody was scored, or nobody."""


def update_profiles(
    store: Store,
    scoring: ScoringConfig,
    update: UpdateConfig,
    *,
    refresh: bool = False,
    on_part: OnPart = unheard,
) -> Updated:
    """Score the users whose interactions or items changed since they were scored, or everybody.

    Args:
        store: With profiles that were built once.
        scoring: Settings of the score, those the profiles were built with.
        update: How drift is measured, and how much of it is allowed.
        refresh: Score everybody, as `build_profiles` does; it is skipped where nothing changed since.
        on_part: Told of parts of users.

    Raises:
        UnknownError: no profiles were built yet.
        RefreshError: more than some users' items changed; only a refresh can be right.
        ConfigError: decay is asked for, and interactions have no time.
    """
    if refresh:
        built = build_profiles(store, scoring, on_part=on_part)
        return Updated(built, 0 if built.skipped else store.count("users"), None)
    hint = f"build the profiles with 'mekb profiles build {store.path}'"
    store.require("user_entity", "profiles", "idf_basis", "touched_users", hint=hint)
    try:
        scored, inputs = _last_scoring(store, scoring)
        n_users = _choose_users(store, scored, inputs)
        if not n_users:
            return Updated(StageResult("update", scored.run_id, skipped=True, seconds=0.0), 0, None)
        wanted = sides(store, scoring)
        stage = Stage(
            name="update",
            config=settings_of(scoring),
            inputs=inputs,
            outputs=(*(name for side in wanted for name in side.tables), "touched_users"),
        )
        result = _score_chosen(store, stage, wanted, on_part)
        return Updated(result, n_users, measure_drift(store, wanted[0], update))
    finally:
        clear(store)


def _last_scoring(store: Store, scoring: ScoringConfig) -> tuple[Run, dict[str, str]]:
    """Return the run that scored last, and what profiles are made from now; refuse what it cannot go on from."""
    scored = newest_run(store, "profiles", "update")
    if scored is None:
        raise RefreshError(
            f"{store.path}: no run made its profiles; score everybody with --refresh"
        )
    inputs = _inputs(store)
    for reason, holds in (
        ("the settings of scoring changed", scored.config == settings_of(scoring)),
        ("the formula changed", inputs["formula"] == scored.inputs.get("formula")),
        ("the alias table changed", inputs["entities"] == scored.inputs.get("entities")),
        ("items scored before got other entities", _only_grew(store, scored, inputs)),
        ("interactions were imported anew", _follows(store, scored, inputs["interactions"])),
    ):
        if not holds:
            raise RefreshError(
                f"{store.path}: profiles cannot be updated for some users alone: since run {scored.run_id}"
                f" {reason}; score everybody with --refresh"
            )
    return scored, inputs


def _inputs(store: Store) -> dict[str, str]:
    """Return the fingerprints of what profiles are made from, as those wrote them down who made it.

    To read all tables costs more than many an update. A table changed by other means is found out by its number
    of rows; a change that keeps that is left for the next scoring of everybody to find.
    """
    runs = read_runs(store)
    inputs = {}
    for table in SCORED_TABLES:
        known = next((run.outputs[table] for run in runs if table in run.outputs), None)
        stands = known is not None and RowsDigest.parse(known).n_rows == store.count(table)
        inputs[table] = known if known is not None and stands else store.fingerprint(table)
    return inputs | {"formula": formula_fingerprint()}


def _only_grew(store: Store, scored: Run, inputs: dict[str, str]) -> bool:
    """Tell whether tables of entities have all rows they had, before any new one."""
    for table, first_rows in FIRST_ROWS.items():
        before = scored.inputs.get(table, "")
        if inputs[table] != before:
            n_rows = RowsDigest.parse(before).n_rows
            if str(store.digest(first_rows, {"n_rows": n_rows})) != before:
                return False
    return True


def _follows(store: Store, scored: Run, now: str) -> bool:
    """Tell whether all that changed interactions since a run noted whom it touched."""
    reached = scored.inputs.get("interactions")
    since = [run for run in read_runs(store) if run.started_at > scored.started_at]
    for run in reversed(since):
        if "interactions" in run.outputs:
            if run.inputs.get("interactions") != reached:
                return False
            reached = run.outputs["interactions"]
    return reached == now


def _choose_users(store: Store, scored: Run, inputs: dict[str, str]) -> int:
    """Fill the temporary table `chosen_users`; return how many there are."""
    before = scored.inputs["item_entities"]
    if inputs["item_entities"] == before:
        store.keep("chosen_users", TOUCHED_ONLY_SQL)
    else:
        store.keep("chosen_users", TO_SCORE_SQL, {"n_linked": RowsDigest.parse(before).n_rows})
    return store.count("chosen_users")


def _score_chosen(
    store: Store, stage: Stage, wanted: Sequence[Side], on_part: OnPart
) -> StageResult:
    started, clock = utc_now(), time.perf_counter()
    with store.transaction():
        choose_some(store)
        parts = user_parts(store)
        for side in wanted:
            hold_entities(store, side, parts)
            n_all = known_spread(store, side)
            slices = scored_slices(store, side, parts, n_all, on_part)
            if not side.negative:
                slices = noting_moves(store, slices)
            store.replace_users("chosen_users", side.tables, slices, digests=False)
        write_edited_texts(store)
        store.replace({"touched_users": store.query(NOBODY_SQL)})
        seconds = time.perf_counter() - clock
        # What the tables written are now is not told: to read them whole costs more than the update.
        run_id = record_run(store, stage, table_inputs(store, "touched_users"), started, seconds)
    return StageResult("update", run_id, skipped=False, seconds=seconds)
