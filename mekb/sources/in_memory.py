"""Tables that are in memory already, taken the same way as files: through Parquet in a temporary folder."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mekb.errors import SourceError
from mekb.sources.source_files import Given, SourceFile

TableLike: TypeAlias = str | Path | SourceFile | pa.Table | pd.DataFrame
"""A file, one of a known format, an Arrow table, or a pandas frame (its index is left out)."""


@contextlib.contextmanager
def as_files(tables: Sequence[TableLike]) -> Iterator[list[Given]]:
    """Give a path for each table: its own, or that of a copy that is gone when the block ends.

    Raises:
        SourceError: something is neither a path nor a table, or a column holds what Parquet cannot.
    """
    with tempfile.TemporaryDirectory(prefix="mekb-") as folder:
        yield [_path(table, Path(folder) / f"table-{n}.parquet") for n, table in enumerate(tables)]


def _path(table: TableLike, copy: Path) -> Given:
    match table:
        case str() | Path():
            return Path(table)
        case SourceFile():
            return table
        case pa.Table():
            pq.write_table(table, copy)
        case pd.DataFrame():
            try:
                pq.write_table(pa.Table.from_pandas(table, preserve_index=False), copy)
            except pa.ArrowException as error:
                raise SourceError(
                    f"a pandas table cannot be read: {str(error).splitlines()[0]}"
                ) from error
        case _:
            raise SourceError(
                f"a table is {type(table).__name__}; give a path, an Arrow table or a DataFrame"
            )
    return copy
