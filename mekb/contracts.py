"""A table's contract as SQL: its columns, and the queries that find what breaks its key or its checks."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from entity_linking.schema import RANKING
from mekb.schema import CATALOGUE

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


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def listed(columns: Sequence[str]) -> str:
    """Return names as a list of SQL identifiers."""
    return ", ".join(quoted(column) for column in columns)


@dataclass(frozen=True)
class Contract:
    """What a schema's metadata says of its table."""

    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    sort: tuple[str, ...]
    checks: Mapping[str, str]

    @classmethod
    def of(cls, table: str) -> "Contract":
        """Return the contract of a table of the catalogue."""
        schema = CATALOGUE[table]
        metadata = schema.metadata or {}
        return cls(
            table,
            tuple(schema.names),
            tuple(json.loads(metadata[b"key"])),
            tuple(json.loads(metadata[b"sort"])),
            json.loads(metadata[b"checks"]),
        )

    @property
    def columns_sql(self) -> str:
        """The columns in brackets, as `create table` takes them."""
        columns = ", ".join(
            f"{quoted(field.name)} {_DUCKDB_TYPES[field.type]}{'' if field.nullable else ' not null'}"
            for field in CATALOGUE[self.table]
        )
        return f"({columns})"

    @property
    def create_sql(self) -> str:
        """The statement that makes the table, empty."""
        return f"create table {quoted(self.table)} {self.columns_sql}"

    @property
    def out_of_order_sql(self) -> str:
        """A query that finds a row standing before a row of its own or a smaller sort key.

        Rows that stand in strictly rising order of the key are each the only one of theirs, and to read the
        key once costs a twentieth of grouping by it.
        """
        before = [quoted(f"{column} before") for column in self.sort]
        lagged = ", ".join(
            f"lag({quoted(column)}) over () as {name}"
            for column, name in zip(self.sort, before, strict=True)
        )
        rises = "false"
        for column, name in zip(reversed(self.sort), reversed(before), strict=True):
            rises = f"({quoted(column)} > {name} or ({quoted(column)} = {name} and {rises}))"
        return (
            f"select 1 from (select {listed(self.sort)}, {lagged} from {quoted(self.table)})"
            f" where not {rises} limit 1"
        )

    def violations(self, among: str | None = None) -> Iterator[tuple[str, str]]:
        """Yield (name, query) for the key and each check; a query finds one row that breaks it, or none.

        Args:
            among: A query for the rows to look at, in place of the whole table.
        """
        within = "" if among is None else f"with {quoted(self.table)} as ({among}) "
        key = listed(self.key)
        queries = {
            "key_unique": f"select {key} from {quoted(self.table)} group by {key} having count(*) > 1",
            **self.checks,
        }
        for name, query in queries.items():
            yield name, f"{within}select * from ({query}) limit 1"
