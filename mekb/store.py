"""One DuckDB file that holds every table of a project; every change of it goes through here.

A table is replaced whole, or the rows of some of its users are: in one transaction, sorted by its schema's
sort order, and only after its key proved unique and its named checks found nothing. Whoever reads sees what
was there before or what is there now, and so does whoever opens the file after a crash.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa

from mekb.connection import StoreSettings, connect, first_line
from mekb.contracts import Contract, listed, quoted
from mekb.errors import StoreError, UnknownError
from mekb.fingerprint import RowsDigest
from mekb.schema import BY_USER, CATALOGUE

__all__ = ["FORMAT_VERSION", "Rows", "Slices", "Store", "StoreSettings"]

FORMAT_VERSION = 2
"""Raised when a table's columns change; a store of another version is refused, never altered."""

Rows: TypeAlias = pa.Table | duckdb.DuckDBPyRelation
Slices: TypeAlias = Iterable[Mapping[str, Rows]]
"""Tables given piece by piece, in the order of their keys; a piece is written before the next is asked for."""

_SCOPE = "mekb_scope"


class Store:
    """An open store. Use `Store.open` in a `with` block; one writer at a time."""

    def __init__(
        self,
        path: Path,
        connection: duckdb.DuckDBPyConnection,
        settings: StoreSettings | None = None,
    ) -> None:
        self.path = path
        self.connection = connection
        self.settings = settings or StoreSettings()
        self._in_transaction = False

    @classmethod
    def open(
        cls, path: str | Path, *, create: bool = False, settings: StoreSettings | None = None
    ) -> "Store":
        """Open a store, waiting a second at most for another process to let go of it.

        Args:
            path: The DuckDB file.
            create: Make the file when there is none.
            settings: Threads, memory and where to spill.

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
        store = cls(path, connect(path, settings or StoreSettings()), settings)
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
        found = self.first_row(f"select count(*) from {quoted(table)}")
        return int(found[0]) if found else 0

    def read(self, table: str) -> pa.Table:
        """Return a whole table, in its sort order."""
        contract = Contract.of(table)
        rows = self.connection.table(table)
        if table in BY_USER and self.first_row(contract.out_of_order_sql):
            rows = rows.order(listed(contract.sort))
        return rows.to_arrow_table()

    def fingerprint(self, table: str) -> str:
        """Return a text that changes when the table's content does; row order does not matter."""
        return str(self.digest(quoted(table)))

    def digest(self, source: str, parameters: Mapping[str, object] | None = None) -> RowsDigest:
        """Return what stands for the rows of a table, or of a query in brackets."""
        found = self.first_row(
            f"select count(*), bit_xor(hash(each)), sum(hash(each)) from {source} as each",
            parameters,
        )
        n_rows, xor, total = found or (0, None, None)
        return RowsDigest(n_rows, xor or 0, int(total or 0))

    def keep(self, name: str, query: str, parameters: Mapping[str, object] | None = None) -> None:
        """Keep a query's rows as a temporary table: it goes when the store is closed, and never into the file."""
        self.connection.execute(
            f"create or replace temp table {quoted(name)} as {query}", dict(parameters or {})
        )

    def gather(
        self,
        name: str,
        query: str,
        parameters: Mapping[str, object] | None = None,
        *,
        first: bool,
    ) -> None:
        """Add a query's rows to a temporary table, made anew for the first query.

        The table is made from its columns' types: DuckDB 2.0 reads nothing from a table that was made from a
        query without rows and filled in the same transaction.
        """
        if first:
            made = self.connection.sql(query, params=dict(parameters or {}))
            columns = ", ".join(
                f"{quoted(column)} {kind}"
                for column, kind in zip(made.columns, made.types, strict=True)
            )
            self.connection.execute(f"create or replace temp table {quoted(name)} ({columns})")
        self.connection.execute(f"insert into temp.{quoted(name)} {query}", dict(parameters or {}))

    def show_users(self, name: str, table: str, users: tuple[int, int]) -> None:
        """Show the rows of the users from a first to a last id as a temporary view."""
        self.connection.execute(
            f"create or replace temp view {quoted(name)} as select * from main.{quoted(table)}"
            f" where user_id between {int(users[0])} and {int(users[1])}"
        )

    def forget(self, *names: str) -> None:
        """Drop temporary tables and views made here, where they are."""
        for name in names:
            kind = self.first_row(
                "select 'view' from duckdb_views() where view_name = $name and temporary"
                " union all"
                " select 'table' from duckdb_tables() where table_name = $name and temporary",
                {"name": name},
            )
            if kind is not None:
                self.connection.execute(f"drop {kind[0]} temp.{quoted(name)}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the changes of a block together: all of them at its end, or none; blocks may be nested.

        Raises:
            StoreError: memory or disk ran out; the store is as before.
        """
        if self._in_transaction:
            yield
            return
        self.connection.execute("begin transaction")
        self._in_transaction = True
        try:
            yield
            self.connection.execute("commit")
        except BaseException as error:
            with contextlib.suppress(duckdb.TransactionException):
                self.connection.execute("rollback")
            if isinstance(error, duckdb.OutOfMemoryException | duckdb.IOException):
                raise StoreError(
                    f"{self.path}: not enough memory or disk: {first_line(error)}; set store.memory_limit"
                    " or store.spill_folder"
                ) from error
            if isinstance(error, duckdb.TransactionException):  # the log could not be written
                raise StoreError(
                    f"{self.path}: nothing was changed: {first_line(error)}; is the disk full?"
                ) from error
            raise
        finally:
            self._in_transaction = False

    def replace(self, tables: Mapping[str, Rows]) -> None:
        """Replace tables whole, together: all of them with their checks passed, or none.

        Args:
            tables: Name in the catalogue -> rows with the columns of its schema, in any order.

        Raises:
            StoreError: a key is not unique or a check found rows; the store is as before.
        """
        self.replace_in_slices(tuple(tables), [tables])

    def replace_in_slices(self, tables: Sequence[str], slices: Slices) -> None:
        """Replace tables whole as `replace` does, with rows that come piece by piece.

        Args:
            tables: Names in the catalogue.
            slices: Pieces with rows for some of the tables.

        Raises:
            StoreError: a key is not unique or a check found rows; the store is as before.
        """
        with self.transaction():
            for name in tables:
                self.drop(name)
                self.connection.execute(Contract.of(name).create_sql)
            for piece in slices:
                for name, rows in piece.items():
                    self._insert(name, rows)
            for name in tables:
                self._prove(name)

    def replace_users(
        self, scope: str, tables: Sequence[str], slices: Slices, *, digests: bool = True
    ) -> dict[str, "Change"]:
        """Replace the rows of some users in tables whose key begins with the user.

        Args:
            scope: A temporary table whose column `user_id` says which users.
            tables: Names in the catalogue, of `BY_USER`.
            slices: Pieces with the new rows of those users.
            digests: Say what changed; that reads the old rows whole, which costs more than all else.

        Returns:
            For each table, the digests of the rows taken and of those added; nothing without `digests`.

        Raises:
            StoreError: a key is not unique, a check found rows, or a row is of another user; the store is as
                before.
        """
        assert BY_USER.issuperset(tables), "checks of other tables look beyond one user"
        with self.transaction():
            for name in tables:
                columns = Contract.of(name).columns_sql
                self.connection.execute(
                    f"create or replace temp table {quoted(_new(name))} {columns}"
                )
            for piece in slices:
                for name, rows in piece.items():
                    self._insert(name, rows, into=f"temp.{_new(name)}")
            changes = {}
            for name in tables:
                added = f"select * from temp.{quoted(_new(name))}"
                stranger = f"{added} anti join temp.{quoted(scope)} using (user_id) limit 1"
                self._refuse_rows(name, "user_in_scope", stranger)
                for check, query in Contract.of(name).violations(among=added):
                    self._refuse_rows(name, check, query)
                if digests:
                    taken = self.digest(f"({_those_of(name, scope, ('user_id',))})")
                    changes[name] = taken, self.digest(f"({added})")
                self._delete(name, scope, ("user_id",))
                self._insert(name, self.connection.table(f"temp.{_new(name)}"))
                self.forget(_new(name))
        return changes

    def merge(self, name: str, rows: pa.Table) -> "Change":
        """Put rows into a table in place of those with the same keys, and beside the others.

        Returns:
            The digests of the rows taken and of those added.

        Raises:
            StoreError: a key is not unique or a check found rows; the store is as before.
        """
        contract = Contract.of(name)
        with self.transaction():
            self.connection.register("mekb_incoming", rows)
            try:
                self.keep(_SCOPE, f"select {listed(contract.key)} from mekb_incoming")
            finally:
                self.connection.unregister("mekb_incoming")
            taken = self.digest(f"({_those_of(name, _SCOPE, contract.key)})")
            self._delete(name, _SCOPE, contract.key)
            self._insert(name, rows)
            # Read once: what follows asks them several times, and to find them is to read the table.
            self.keep(_new(name), _those_of(name, _SCOPE, contract.key))
            merged = f"select * from temp.{quoted(_new(name))}"
            for check, query in contract.violations(among=merged):
                self._refuse_rows(name, check, query)
            added = self.digest(f"({merged})")
            if name not in BY_USER:
                self._prove(name)
            self.forget(_SCOPE, _new(name))
        return taken, added

    def drop(self, *tables: str) -> None:
        """Drop tables, where they are."""
        for name in tables:
            self.connection.execute(f"drop table if exists main.{quoted(name)}")

    def _insert(self, name: str, rows: Rows, into: str | None = None) -> None:
        contract = Contract.of(name)
        relation = self.connection.from_arrow(rows) if isinstance(rows, pa.Table) else rows
        try:
            columns = relation.project(listed(contract.columns))
            if into is None:
                columns.order(listed(contract.sort)).insert_into(name)
            else:
                columns.insert_into(into)
        except (
            duckdb.BinderException,
            duckdb.ConstraintException,
            duckdb.ConversionException,
        ) as error:
            raise StoreError(f"table '{name}': {first_line(error)}") from error

    def _delete(self, name: str, scope: str, columns: Sequence[str]) -> None:
        """Delete the rows that agree with one of the scope's in some columns."""
        agree = " and ".join(f"old.{quoted(each)} = scope.{quoted(each)}" for each in columns)
        self.connection.execute(
            f"delete from main.{quoted(name)} as old using temp.{quoted(scope)} as scope where {agree}"
        )

    def _prove(self, name: str) -> None:
        contract = Contract.of(name)
        in_order = contract.key == contract.sort and not self.first_row(contract.out_of_order_sql)
        for check, query in contract.violations():
            if not (in_order and check == "key_unique"):
                self._refuse_rows(name, check, query)

    def _refuse_rows(self, name: str, check: str, query: str) -> None:
        try:
            found = self.first_row(query)
        except duckdb.CatalogException as error:
            raise StoreError(f"table '{name}', check '{check}': {first_line(error)}") from error
        if found is not None:
            raise StoreError(f"table '{name}' fails its check '{check}', for example at {found}")

    def append_run(self, row: Mapping[str, object]) -> None:
        """Add one row to `runs`."""
        if not self.has("runs"):
            self.connection.execute(Contract.of("runs").create_sql)
        names = ", ".join(f"${field.name}" for field in CATALOGUE["runs"])
        self.connection.execute(f"insert into runs values ({names})", dict(row))


Change: TypeAlias = tuple[RowsDigest, RowsDigest]
"""The digests of the rows taken from a table and of those added to it."""


def _new(name: str) -> str:
    return f"mekb_new_{name}"


def _those_of(name: str, scope: str, columns: Sequence[str]) -> str:
    return f"select old.* from main.{quoted(name)} as old semi join temp.{quoted(scope)} using ({listed(columns)})"
