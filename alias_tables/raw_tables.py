"""The raw tables a build fills before anything is resolved, as temporary tables of the caller's connection.

`raw_pages` has a row for each version of an article or redirect, `raw_names` a count for each (surface,
target title, channel); equal names are summed before they go in, and again when they are counted.
"""

from collections import Counter

import duckdb
import pyarrow as pa

NAMES_A_BATCH = 200_000
PAGES_A_BATCH = 5_000

RAW_PAGES = pa.schema(
    [
        ("page_id", pa.uint32()),
        ("revision_id", pa.uint64()),
        ("title", pa.string()),
        ("label", pa.string()),
        ("redirect", pa.string()),
        ("section", pa.string()),
        ("flags", pa.list_(pa.string())),
        ("description", pa.string()),
    ]
)
RAW_NAMES = pa.schema(
    [
        ("surface", pa.string()),
        ("target", pa.string()),
        ("channel", pa.string()),
        ("n", pa.uint64()),
    ]
)


def create_like(connection: duckdb.DuckDBPyConnection, table: str, schema: pa.Schema) -> None:
    """Make an empty temporary table with the columns of an Arrow schema."""
    connection.register("alias_tables_batch", schema.empty_table())
    connection.execute(f"create or replace temp table {table} as from alias_tables_batch")
    connection.unregister("alias_tables_batch")


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Append Arrow rows to a temporary table of the build."""
    if rows.num_rows:
        connection.register("alias_tables_batch", rows)
        connection.execute(f"insert into {table} from alias_tables_batch")
        connection.unregister("alias_tables_batch")


class RawTables:
    """Collects rows and hands them to DuckDB; equal names are summed before they go."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._pages: list[dict[str, object]] = []
        self._names: Counter[tuple[str, str, str]] = Counter()
        for table, schema in (("raw_pages", RAW_PAGES), ("raw_names", RAW_NAMES)):
            create_like(connection, table, schema)

    def add_page(self, row: dict[str, object]) -> None:
        """Add a row of `RAW_PAGES`."""
        self._pages.append(row)
        if len(self._pages) >= PAGES_A_BATCH:
            self._flush_pages()

    def add_name(self, surface: str, target: str, channel: str) -> None:
        """Count a name once more."""
        self._names[surface, target, channel] += 1

    def flush_if_full(self) -> None:
        """Write the names if there are many."""
        if len(self._names) >= NAMES_A_BATCH:
            self._flush_names()

    def flush(self) -> None:
        """Write all that is held back."""
        self._flush_pages()
        self._flush_names()

    def _flush_pages(self) -> None:
        insert(self._connection, "raw_pages", pa.Table.from_pylist(self._pages, RAW_PAGES))
        self._pages.clear()

    def _flush_names(self) -> None:
        keys = list(self._names)
        columns = [[key[i] for key in keys] for i in range(3)]
        rows = pa.table([*columns, list(self._names.values())], schema=RAW_NAMES)
        insert(self._connection, "raw_names", rows)
        self._names.clear()
