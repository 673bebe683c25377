"""Parquet: only the columns asked for, whatever their types, as text."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mekb.errors import SourceError
from mekb.sources.formats import Format, RawTable, open_file
from mekb.sources.values import ROW, category_names, row_numbers, text_column


def read_parquet(path: Path, found: Format, roles: Mapping[str, str]) -> RawTable:
    """Read the columns named in `roles` (role -> column) that the file has.

    Raises:
        SourceError: if a column has a type without a text form.
        pa.ArrowInvalid, EOFError, OSError: if the file is damaged.
    """
    with open_file(path, is_gzip=found.is_gzip) as file:
        source = pa.BufferReader(file.read()) if found.is_gzip else file
        parquet = pq.ParquetFile(source)
        names = tuple(parquet.schema_arrow.names)
        wanted = {role: column for role, column in roles.items() if column in names}
        table = parquet.read(columns=list(dict.fromkeys(wanted.values())))
    columns = {ROW: row_numbers(table.num_rows, set())}
    for role, name in wanted.items():
        columns[role] = _column(path, role, table[name])
    description = "Parquet" + (", gzip" if found.is_gzip else "")
    return RawTable(path, description, names, pa.table(columns))


def _column(path: Path, role: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as text without nulls, or as lists of names for the categories."""
    if role == "categories":
        names = [category_names(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(names, pa.list_(pa.string()))])
    try:
        return text_column(column).fill_null("")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SourceError(f"{path}: column for {role!r} has type {column.type}: {error}") from error
