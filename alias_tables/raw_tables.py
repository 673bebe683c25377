"""The raw tables of a build, as temporary tables of the caller's connection.

`raw_pages` and `raw_names` are read from the files of all slices at once, so that no order matters; nothing
in them is resolved.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from alias_tables.row_files import RAW_NAMES, RAW_PAGES

__all__ = ["RAW_NAMES", "RAW_PAGES", "create_like", "insert", "load_raw_tables"]

RAW_PAGES_SQL = "create or replace temp table raw_pages as from read_parquet($files)"
RAW_NAMES_SQL = """
create or replace temp table raw_names as
select surface, target, channel, sum(n)::ubigint as n from read_parquet($files)
group by surface, target, channel
"""


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


def load_raw_tables(
    connection: duckdb.DuckDBPyConnection, pages: Sequence[Path], names: Sequence[Path]
) -> None:
    """Make `raw_pages` and `raw_names` from the files of all slices, empty ones from none."""
    for table, schema, sql, files in (
        ("raw_pages", RAW_PAGES, RAW_PAGES_SQL, pages),
        ("raw_names", RAW_NAMES, RAW_NAMES_SQL, names),
    ):
        if files:
            connection.execute(sql, {"files": [str(path) for path in files]})
        else:
            create_like(connection, table, schema)
