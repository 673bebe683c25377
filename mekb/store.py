"""One DuckDB file that holds every table of a project; the only place that opens a database.

A table is replaced whole, in one transaction, sorted by its schema's sort order, and only after its key
proved unique and its named checks found nothing. Whoever reads sees the old table or the new one.
"""

import contextlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa

from entity_linking.schema import RANKING
from mekb.errors import StoreError, UnknownError
from mekb.fingerprint import rows_fingerprint
from mekb.schema import CATALOGUE

FORMAT_VERSION = 2
"""Raised when a table's columns change; a store of another version is refused, never altered."""

Rows: TypeAlias = pa.Table | duckdb.DuckDBPyRelation

_DUCKDB_TYPES = {
    pa.uint16(): "usmallint",
    pa.uint32(): "uinteger",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.bool_(): "boolean",
    pa.string(): "varchar",
    pa.list_(pa.string()): "varchar[]",
    pa.list_(pa.uint32()): "uinteger[]",
    pa.timestamp("us"): "timestamp",
    RANKING: "struct(entity_id uinteger, prior float, score float)[]",
}
_IN_USE = re.compile("could not set lock|used by another process", re.IGNORECASE)
"""What DuckDB says on POSIX systems and on Windows; a path may hold the word "lock" too."""
_LOCK_RETRIES = 5
_LOCK_WAIT_SECONDS = 0.2


@dataclass(frozen=True)
class StoreSettings:
    """What DuckDB may use; None leaves its own default."""

    threads: int | None = None
    memory_limit: str | None = None
    """Such as "4GB"; what does not fit is spilled beside the store."""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _ddl(table: str, schema: pa.Schema) -> str:
    columns = ", ".join(
        f"{_quoted(field.name)} {_DUCKDB_TYPES[field.type]}{'' if field.nullable else ' not null'}"
        for field in schema
    )
    return f"create table {_quoted(table)} ({columns})"


def _contract(schema: pa.Schema) -> tuple[list[str], list[str], dict[str, str]]:
    metadata = schema.metadata or {}
    return (
        json.loads(metadata[b"key"]),
        json.loads(metadata[b"sort"]),
        json.loads(metadata[b"checks"]),
    )


class Store:
    """An open store. Use `Store.open` in a `with` block; one writer at a time."""

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.path = path
        self.connection = connection

    @classmethod
    def open(
        cls, path: str | Path, *, create: bool = False, settings: StoreSettings | None = None
    ) -> "Store":
        """Open a store, waiting a second at most for another process to let go of it.

        Args:
            path: The DuckDB file.
            create: Make the file when there is none.
            settings: Threads and memory.

        Raises:
            StoreError: the file is not there, is no store, is of another version, or is in use.
        """
        path = Path(path)
        fresh = not path.exists()
        if fresh and not create:
            raise StoreError(f"{path}: no such store; make one with 'mekb data import {path} ...'")
        if path.is_dir():
            raise StoreError(f"{path}: is a folder; a store is one DuckDB file")
        if fresh and not path.parent.is_dir():
            raise StoreError(f"{path}: its folder {path.parent} does not exist; make it first")
        store = cls(path, _connect(path, settings or StoreSettings()))
        try:
            store._check_or_mark(fresh=fresh)
        except BaseException:
            store.close()
            raise
        return store

    def _check_or_mark(self, *, fresh: bool) -> None:
        if fresh:
            self.connection.execute("create table mekb_store (format_version integer not null)")
            self.connection.execute(
                "insert into mekb_store values ($version)", {"version": FORMAT_VERSION}
            )
            return
        try:
            found = self.first_row("select format_version from mekb_store")
        except duckdb.CatalogException as error:
            raise StoreError(f"{self.path}: a DuckDB file, but not a mekb store") from error
        if found is None or found[0] != FORMAT_VERSION:
            version = found[0] if found else "none"
            raise StoreError(
                f"{self.path}: store format {version}, this mekb reads {FORMAT_VERSION}; build it again"
            )

    def __enter__(self) -> "Store":  # noqa: PYI034  the test hook that checks types cannot resolve Self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self.connection.close()

    def first_row(
        self, query: str, parameters: Mapping[str, object] | None = None
    ) -> tuple[Any, ...] | None:
        """Return the first row of a query that gives few, or None.

        All rows are fetched: an unfinished result would block whatever the connection does next.
        """
        rows = self.connection.execute(query, dict(parameters or {})).fetchall()
        return rows[0] if rows else None

    def query(self, query: str, parameters: Mapping[str, object] | None = None) -> pa.Table:
        """Return all rows of a query; values go in as `$parameters` only."""
        return self.connection.sql(query, params=dict(parameters or {})).to_arrow_table()

    def has(self, table: str) -> bool:
        """Tell whether the store holds a table of the catalogue."""
        found = self.first_row(
            "select 1 from duckdb_tables() where table_name = $table and not temporary",
            {"table": table},
        )
        return found is not None

    def require(self, *tables: str, hint: str) -> None:
        """Raise UnknownError, with a hint what to run, when one of the tables is not there."""
        for table in tables:
            if not self.has(table):
                raise UnknownError(f"{self.path}: no table '{table}' yet; {hint}")

    def count(self, table: str) -> int:
        """Return the number of rows."""
        found = self.first_row(f"select count(*) from {_quoted(table)}")
        return int(found[0]) if found else 0

    def read(self, table: str) -> pa.Table:
        """Return a whole table, in its sort order."""
        return self.connection.table(table).to_arrow_table()

    def fingerprint(self, table: str) -> str:
        """Return a text that changes when the table's content does; row order does not matter."""
        name = _quoted(table)
        found = self.first_row(
            f"select count(*), bit_xor(hash({name})), sum(hash({name})) from {name}"
        )
        if found is None:
            raise StoreError(f"{self.path}: table '{table}' cannot be counted")
        return rows_fingerprint(*found)

    def replace(self, tables: Mapping[str, Rows]) -> None:
        """Replace tables whole, together: all of them with their checks passed, or none.

        Args:
            tables: Name in the catalogue -> rows with the columns of its schema, in any order.

        Raises:
            StoreError: a key is not unique or a check found rows; the store is as before.
        """
        with contextlib.ExitStack() as stack:
            views = {
                name: stack.enter_context(self._incoming(name, rows))
                for name, rows in tables.items()
            }
            stack.enter_context(self._transaction())
            for name, view in views.items():
                self._write(name, view)
            for name in tables:
                self._prove(name)

    @contextlib.contextmanager
    def _incoming(self, name: str, rows: Rows) -> Iterator[str]:
        """Make rows readable under a temporary name, and take the name away again."""
        view = f"mekb_incoming_{name}"
        if isinstance(rows, pa.Table):
            self.connection.register(view, rows)
        else:
            rows.create_view(view, replace=True)
        try:
            yield view
        finally:
            self.connection.execute(f"drop view if exists {_quoted(view)}")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("begin transaction")
        try:
            yield
        except BaseException:
            self.connection.execute("rollback")
            raise
        self.connection.execute("commit")

    def _write(self, name: str, view: str) -> None:
        schema = CATALOGUE[name]
        _, sort, _ = _contract(schema)
        columns = ", ".join(_quoted(field.name) for field in schema)
        order = ", ".join(_quoted(column) for column in sort)
        try:
            self.connection.execute(f"drop table if exists {_quoted(name)}")
            self.connection.execute(_ddl(name, schema))
            self.connection.execute(
                f"insert into {_quoted(name)} select {columns} from {_quoted(view)} order by {order}"
            )
        except (
            duckdb.BinderException,
            duckdb.ConstraintException,
            duckdb.ConversionException,
        ) as error:
            raise StoreError(f"table '{name}': {_first_line(error)}") from error

    def _prove(self, name: str) -> None:
        key, _, checks = _contract(CATALOGUE[name])
        columns = ", ".join(_quoted(column) for column in key)
        queries = {
            "key_unique": f"select {columns} from {_quoted(name)} group by {columns} having count(*) > 1",
            **checks,
        }
        for check, query in queries.items():
            try:
                found = self.first_row(f"select * from ({query}) limit 1")
            except duckdb.CatalogException as error:
                raise StoreError(
                    f"table '{name}', check '{check}': {_first_line(error)}"
                ) from error
            if found is not None:
                raise StoreError(
                    f"table '{name}' fails its check '{check}', for example at {found}"
                )

    def append_run(self, row: Mapping[str, object]) -> None:
        """Add one row to `runs`, the one table that grows."""
        schema = CATALOGUE["runs"]
        if not self.has("runs"):
            self.connection.execute(_ddl("runs", schema))
        names = ", ".join(f"${field.name}" for field in schema)
        self.connection.execute(f"insert into runs values ({names})", dict(row))


def open_memory() -> duckdb.DuckDBPyConnection:
    """Return a connection to a database in memory, for work that keeps nothing."""
    return duckdb.connect(":memory:")


def _connect(path: Path, settings: StoreSettings) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {}
    if settings.threads is not None:
        config["threads"] = settings.threads
    if settings.memory_limit is not None:
        config["memory_limit"] = settings.memory_limit
    for attempt in range(_LOCK_RETRIES):
        try:
            connection = duckdb.connect(str(path), config=config)
        except duckdb.IOException as error:
            message = str(error)
            if not _IN_USE.search(message):
                raise StoreError(
                    f"{path}: cannot be opened as a store: {_first_line(error)}"
                ) from error
            if attempt == _LOCK_RETRIES - 1:
                holder = re.search(r"PID (\d+)", message)
                who = f"by process {holder[1]}" if holder else "by another process"
                raise StoreError(
                    f"{path}: in use {who}; wait for it to end, then try again"
                ) from error
            time.sleep(_LOCK_WAIT_SECONDS)
        except duckdb.Error as error:
            raise StoreError(
                f"{path}: cannot be opened as a store: {_first_line(error)}"
            ) from error
        else:
            with contextlib.suppress(duckdb.InvalidInputException):
                # In a notebook without ipywidgets the bar can be neither drawn nor switched off.
                connection.execute("set enable_progress_bar = false")
            return connection
    raise AssertionError("unreachable: the last attempt raises")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
