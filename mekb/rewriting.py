"""A store's file written anew without some rows, and put in its place in one step.

DuckDB keeps what is deleted: the blocks of a deleted row stay in the file, readable, until something happens to
overwrite them. A row is gone for good only from a file that never held it:

    my.duckdb ──every table, the rows left out──> .my.duckdb.rewriting ──synced, renamed──> my.duckdb

Killed at any moment, this leaves the old file or the new one, whole; a rest of the copy is removed by the next
rewriting. The disk must hold the store twice.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from mekb.connection import connect, first_line
from mekb.contracts import listed, quoted
from mekb.errors import StoreError
from mekb.store import Store

_ASIDE = "mekb_aside"
TABLES_SQL = """
select table_name from duckdb_tables()
where not temporary and database_name = current_database() order by table_name
"""


def tables_of(store: Store) -> list[str]:
    """Return the names of all tables in a store's file, by name."""
    return [str(name) for (name,) in store.connection.execute(TABLES_SQL).fetchall()]


def rewrite_without(
    store: Store, leave_out: Mapping[str, tuple[str, object]], anew: Mapping[str, pa.Table]
) -> None:
    """Write the file of a store anew without some rows, and go on with it.

    Args:
        store: An open store; what goes on with it has the new file.
        leave_out: Table -> (column, value): rows with that value are left out.
        anew: Tables whose rows are others altogether.

    Raises:
        StoreError: the file cannot be written, or does not hold what it should; the store is as before.
    """
    aside = store.path.with_name(f".{store.path.name}.rewriting")
    _remove(aside)
    try:
        _copy(store, aside, leave_out, anew)
        _take_place(store, aside)
    except (OSError, duckdb.Error) as error:
        raise StoreError(f"{store.path}: cannot be written anew: {first_line(error)}") from error
    finally:
        _remove(aside)


def _remove(aside: Path) -> None:
    for path in (aside, aside.with_name(f"{aside.name}.wal")):
        path.unlink(missing_ok=True)


def _copy(
    store: Store,
    aside: Path,
    leave_out: Mapping[str, tuple[str, object]],
    anew: Mapping[str, pa.Table],
) -> None:
    connection = store.connection
    place = str(aside).replace("'", "''")
    here = quoted(str((store.first_row("select current_database()") or ("",))[0]))
    connection.execute(f"attach '{place}' as {_ASIDE}")
    try:
        connection.execute(f"copy from database {here} to {_ASIDE} (schema)")
        for table in tables_of(store):
            source, target = f"{here}.main.{quoted(table)}", f"{_ASIDE}.main.{quoted(table)}"
            if table in anew:
                columns = listed(anew[table].column_names)
                connection.register("mekb_anew", anew[table])
                connection.execute(
                    f"insert into {target} ({columns}) select {columns} from mekb_anew"
                )
                connection.unregister("mekb_anew")
            elif table in leave_out:
                column, value = leave_out[table]
                connection.execute(
                    f"insert into {target} select * from {source} where {quoted(column)} is distinct from $value",
                    {"value": value},
                )
                _check_count(store, source, target, column, value)
            else:
                connection.execute(f"insert into {target} select * from {source}")
        connection.execute(f"checkpoint {_ASIDE}")
    finally:
        connection.execute(f"detach {_ASIDE}")


def _check_count(store: Store, source: str, target: str, column: str, value: object) -> None:
    """Prove that all other rows came along."""
    found = store.first_row(
        f"select (select count(*) from {source} where {quoted(column)} is distinct from $value),"
        f" (select count(*) from {target}), (select count(*) from {target} where {quoted(column)} = $value)",
        {"value": value},
    )
    if found is None or found[0] != found[1] or found[2]:
        raise StoreError(f"{store.path}: the copy of {source} is not what it should be: {found}")


def _take_place(store: Store, aside: Path) -> None:
    """Rename a finished file over that of a store, and open it."""
    store.connection.execute("checkpoint")
    log = store.path.with_name(f"{store.path.name}.wal")
    if log.exists() and log.stat().st_size:
        raise StoreError(f"{store.path}: its log {log} is not empty; try again")
    _sync(aside)
    try:
        aside.replace(store.path)
    except PermissionError:  # Windows renames over no open file
        store.connection.close()
        aside.replace(store.path)
    finally:
        with contextlib.suppress(duckdb.Error):
            store.connection.close()
        store.connection = connect(store.path, store.settings)
    _sync(store.path.parent)


def _sync(path: Path) -> None:
    """Wait until the disk holds a file or folder."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
