"""Rows sorted by a key in an Arrow file that is mapped, never read as a whole: the rows of a key by binary search.

For parts of a bundle that may be large and of which a question needs a few rows. Parquet would have a page decoded
for each of them; here opening costs nothing, and memory holds only what is touched.
"""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mekb.errors import BundleError


def write_sorted(table: pa.Table, path: Path) -> None:
    """Write a table, sorted by its first column, so that `SortedRows` finds its rows."""
    whole = table.combine_chunks()
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, whole.schema) as writer:
        writer.write_table(whole)


class SortedRows:
    """The rows of a mapped file, by the key in its first column; safe to share between threads."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Remember where the rows are; the file is opened when first asked, or by `open`."""
        self._path = path
        self._schema = schema

    @cached_property
    def _table(self) -> pa.Table:
        # The map stays valid when the file is replaced or deleted: what is served goes on.
        try:
            table = pa.ipc.open_file(pa.memory_map(str(self._path))).read_all()
        except (pa.ArrowInvalid, OSError) as error:
            raise BundleError(f"{self._path}: cannot be read: {_line(error)}") from error
        if table.schema != self._schema:
            raise BundleError(f"{self._path}: has other columns than this version writes")
        return table

    @cached_property
    def _keys(self) -> npt.NDArray[np.generic]:
        column = self._table.column(0)  # of one chunk: nothing is copied
        return np.asarray(column.chunk(0) if column.num_chunks == 1 else column)

    def open(self) -> None:
        """Open the file now.

        Raises:
            BundleError: it cannot be read, or has other columns.
        """
        _ = self._keys

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._table.num_rows)

    def of(self, key: int) -> list[dict[str, Any]]:
        """Return the rows of a key in their order; none where there is no such key."""
        start, stop = np.searchsorted(self._keys, [key, key + 1])
        rows: list[dict[str, Any]] = self._table.slice(start, stop - start).to_pylist()
        return rows


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
