"""A person forgotten: no table, no cache and no export of a store holds a row of theirs, and this is proved.

    files exported for them alone are deleted ──> the store's file is written anew without them, and takes its place

The store changes in one rename (`mekb.rewriting`): killed before, the person is there wholly and can be forgotten
again; killed after, they are gone wholly. What others share with them is counted anew: the population and the
user counts that idf rests on (`idf_basis`) are those without them. Scores of others stay as they are until the
next scoring, as after any change of a few users (`mekb.drift`).
"""

import json
import mmap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from mekb.aggregation import HISTORIES_OF_CHOSEN_SQL, Side, clear, count_entities
from mekb.contracts import quoted
from mekb.drift import RECOUNTED_SQL
from mekb.errors import UnknownError
from mekb.export_log import exports_of
from mekb.rewriting import rewrite_without, tables_of
from mekb.runs import Stage, newest_run, run_row, utc_now
from mekb.schema import CATALOGUE
from mekb.scoring import ALL_USERS, ScoringConfig
from mekb.store import Store

BY_NAME = ("users", "profile_edits", "exports")
"""Tables that know a person by their external id; all others by `user_id`."""
COLUMNS_SQL = """
select table_name, column_name, data_type from duckdb_columns()
where database_name = current_database() and not internal order by table_name, column_index
"""
ALIKE_SQL = """
select (select count(*) from users where contains(external_id, $user))
     + (select count(*) from items where contains(external_id, $user))
"""

BASIS_SQL = """
with counted as (
    select negative, entity_id,
           n_users - (entity_id in (select entity_id from temp.held))::int as n_users,
           n_all - $one as n_all
    from idf_basis where negative = $negative
)
select negative, entity_id, least(n_users, n_all)::uinteger as n_users, n_all::uinteger as n_all
from counted where least(n_users, n_all) > 0
"""
"""`idf_basis` without one person, whose entities are in the temporary table `held`."""

LEFT_IN_MODELS = (
    "models and bundles trained before hold no row of this person, but they learned from theirs: train and"
    " bundle again. A saved source_knn holds its training users' rows: delete it. Your own copies, backups and"
    " source files are not known here: an import of files that hold the person brings them back"
)


@dataclass(frozen=True)
class Forgotten:
    """The proof that a person is gone."""

    user: str
    before: Mapping[str, int]
    """Table -> rows of the person."""
    after: Mapping[str, int]
    """The same tables of the file that took the store's place."""
    found: Mapping[str, int]
    """ "table.column" -> rows that hold the id as a text after all, such as an item of the same name."""
    bytes_before: int
    """How often the id's bytes stood in the file; ids that contain it count too, compressed ones do not."""
    bytes_after: int
    alike: int
    """Other users and items whose ids contain this one."""
    deleted: tuple[Path, ...]
    """Exports of this person alone."""
    left: tuple[str, ...]
    """What holds or may hold more of them, and what to do."""


def forget_user(store: Store, user: str) -> Forgotten:
    """Remove a person from every table of a store, its file, and the exports made for them alone.

    Args:
        store: An open store; the disk must hold it twice.
        user: The person's external id.

    Raises:
        UnknownError: no table knows such a user.
        StoreError: the file cannot be written anew; the store is as before.
    """
    user_id = _user_id(store, user)
    leave_out = {
        table: (column, user if column == "external_id" else user_id)
        for table, column in _columns(store).items()
        if column == "external_id" or user_id is not None
    }
    before = _counts(store, leave_out)
    if not any(before.values()):
        raise UnknownError(f"no user '{user}' in {store.path}; nothing there is theirs")
    bytes_before = count_bytes(store.path, user)
    deleted, left = _delete_exports(store, user)
    anew = _without(store, user_id, leave_out)
    rewrite_without(store, leave_out, anew)
    return Forgotten(
        user=user,
        before=before,
        after=_counts(store, leave_out),
        found=find_text(store, user),
        bytes_before=bytes_before,
        bytes_after=count_bytes(store.path, user),
        alike=_alike(store, user),
        deleted=deleted,
        left=(*left, LEFT_IN_MODELS),
    )


def _user_id(store: Store, user: str) -> int | None:
    """Return the stored id of a user; None for one that only edits or exports still know."""
    if not store.has("users"):
        return None
    found = store.first_row("select user_id from users where external_id = $user", {"user": user})
    return int(found[0]) if found else None


def _columns(store: Store) -> dict[str, str]:
    """Return by which column each table of the file knows a person."""
    rows = store.connection.execute(COLUMNS_SQL).fetchall()
    known = {table: column for table, column, _ in rows if column == "user_id"}
    return known | {table: "external_id" for table in tables_of(store) if table in BY_NAME}


def _counts(store: Store, persons: Mapping[str, tuple[str, object]]) -> dict[str, int]:
    """Return how many rows of each table are the person's."""
    return {
        table: store.digest(*_rows_of(table, column, value)).n_rows
        for table, (column, value) in persons.items()
    }


def _rows_of(table: str, column: str, value: object) -> tuple[str, dict[str, object]]:
    """Return the query of a person's rows in a table, in brackets, and its parameters."""
    return f"(from {quoted(table)} where {quoted(column)} = $value)", {"value": value}


def find_text(store: Store, text: str) -> dict[str, int]:
    """Return "table.column" -> in how many rows a text stands as a value of its own, anywhere in a store.

    In JSON it is found as a string; empty when it is nowhere.
    """
    found: dict[str, int] = {}
    for table, column, kind in store.connection.execute(COLUMNS_SQL).fetchall():
        if "VARCHAR" not in kind:
            continue
        name = quoted(column)
        if kind == "VARCHAR[]":
            holds = f"list_contains({name}, $text)"
        elif table == "runs":
            holds = f"({name} = $text or contains({name}, $quoted))"
        else:
            holds = f"{name} = $text"
        query = f"(from {quoted(table)} where {holds})"
        values = {"text": text} | ({"quoted": json.dumps(text)} if "$quoted" in holds else {})
        n_rows = store.digest(query, values).n_rows
        if n_rows:
            found[f"{table}.{column}"] = n_rows
    return found


def count_bytes(path: Path, text: str) -> int:
    """Return how often the bytes of a text stand in a file."""
    wanted, n, at = text.encode(), 0, -1
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        while (at := data.find(wanted, at + 1)) >= 0:
            n += 1
    return n


def _alike(store: Store, user: str) -> int:
    """Return how many other users and items have ids that hold this one."""
    if not (store.has("users") and store.has("items")):
        return 0
    return int((store.first_row(ALIKE_SQL, {"user": user}) or (0,))[0])


def _delete_exports(store: Store, user: str) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Delete the files that hold this person alone, as they were written; return them, and what was left."""
    deleted, left = [], []
    for export in exports_of(store, user):
        if export.of_all:
            left.append(f"{export.path} holds everybody's profile: export it again")
        elif not export.unchanged:
            left.append(
                f"{export.path} was changed since it was exported: look at it and delete it"
            )
        else:
            export.path.unlink()
            deleted.append(export.path)
    return tuple(deleted), tuple(left)


def _without(
    store: Store, user_id: int | None, leave_out: Mapping[str, tuple[str, object]]
) -> dict[str, pa.Table]:
    """Return the tables that do not just lack rows: what idf rests on, and the runs, which tell of tables."""
    started, clock = utc_now(), time.perf_counter()
    before = {table: store.digest(quoted(table)) for table in leave_out}
    after = {
        table: digest.without(store.digest(*_rows_of(table, *leave_out[table])))
        for table, digest in before.items()
    }
    anew: dict[str, pa.Table] = {}
    if store.has("idf_basis") and user_id is not None:
        anew["idf_basis"] = _basis_without(store, user_id)
        before["idf_basis"] = store.digest("idf_basis")
        store.connection.register("basis_now", anew["idf_basis"])
        after["idf_basis"] = store.digest("basis_now")
        if store.has("idf_moves"):
            moves = store.query(RECOUNTED_SQL, {"user_id": user_id})
            anew["idf_moves"] = moves.cast(CATALOGUE["idf_moves"])
        store.connection.unregister("basis_now")
    if store.has("runs"):
        changed = [table for table in before if before[table] != after[table]]
        was = {table: str(before[table]) for table in changed if table not in BY_NAME[1:]}
        now = {table: str(after[table]) for table in was}
        stage = Stage(name="forget", config={}, inputs=was, outputs=tuple(was))
        rows = [_amended(run, was, now) for run in store.read("runs").to_pylist()]
        rows.append(run_row(stage, now, started, time.perf_counter() - clock))
        anew["runs"] = pa.Table.from_pylist(rows, CATALOGUE["runs"])
    return anew


def _basis_without(store: Store, user_id: int) -> pa.Table:
    """Return `idf_basis` counted without one person."""
    run = newest_run(store, "profiles", "update")
    settings = dict(run.config.get("ScoringConfig", {})) if run else {}
    config = ScoringConfig(**settings).model_copy(update={"half_life_days": None})
    tables = []
    try:
        store.keep("chosen_users", "select $user_id::uinteger as user_id", {"user_id": user_id})
        store.connection.execute(HISTORIES_OF_CHOSEN_SQL)
        for negative in (False, True):
            one = count_entities(store, Side(config, negative), [ALL_USERS])
            tables.append(store.query(BASIS_SQL, {"negative": negative, "one": one}))
    finally:
        clear(store)
    return pa.concat_tables(tables).cast(CATALOGUE["idf_basis"])


def _amended(
    run: dict[str, object], was: Mapping[str, str], now: Mapping[str, str]
) -> dict[str, object]:
    """Return a run that says how the tables it wrote stand without the person.

    So an import of the same files is still skipped, and brings nobody back. Additions stay as they are: with
    the run that forgets they are the links of a chain (`mekb.increments`).
    """
    if run["stage"] == "add":
        return run
    outputs = json.loads(str(run["outputs"]))
    amended = {
        table: now[table] if was.get(table) == known else known for table, known in outputs.items()
    }
    return run | {"outputs": json.dumps(amended, sort_keys=True)}
