"""Parquet files of one slice, written row by row in flat memory.

`RAW_PAGES` has a row for each version of an article or redirect, `RAW_NAMES` a count for each (surface,
target title, channel), `REJECTS` a row for each thing left out.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import pyarrow as pa
from pyarrow import parquet

from alias_tables.report import Reject

NAMES_A_BATCH = 200_000
ROWS_A_BATCH = 20_000

_MAX_INT64 = 2**63 - 1

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
        ("types", pa.list_(pa.string())),
        ("year", pa.uint16()),
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
REJECTS = pa.schema(
    [
        ("kind", pa.string()),
        ("reason", pa.string()),
        ("page_id", pa.int64()),
        ("title", pa.string()),
        ("detail", pa.string()),
        ("n", pa.uint64()),
    ]
)


class RowFile:
    """A Parquet file written row by row; use as a context manager, which makes it whole."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._rows: list[tuple[object, ...]] = []
        self._writer = parquet.ParquetWriter(path, schema, compression="zstd")

    def __enter__(self) -> "RowFile":  # noqa: PYI034 (beartype refuses `Self`)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()

    def add(self, row: tuple[object, ...]) -> None:
        """Add a row, its cells in the order of the schema."""
        self._rows.append(row)
        if len(self._rows) >= ROWS_A_BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            columns = [list(column) for column in zip(*self._rows, strict=True)]
            self._writer.write_table(pa.table(columns, schema=self._schema))
            self._rows.clear()


def reject_sink(file: RowFile, kind: str) -> Callable[[Reject, int], None]:
    """Return what writes rejects of a kind (page, link or row) to a file of `REJECTS`."""

    def write(reject: Reject, n: int) -> None:
        page_id = min(reject.page_id, _MAX_INT64)
        file.add((kind, str(reject.reason), page_id, reject.title, reject.detail, n))

    return write


class NameFile:
    """A Parquet file of `RAW_NAMES`; equal names are summed before they go, as far as memory allows."""

    def __init__(self, path: Path) -> None:
        self.names: Counter[tuple[str, str, str]] = Counter()
        """(surface, target, channel), counted by `Counter.update`."""
        self._writer = parquet.ParquetWriter(path, RAW_NAMES, compression="zstd")

    def __enter__(self) -> "NameFile":  # noqa: PYI034 (beartype refuses `Self`)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()

    def flush_if_full(self) -> None:
        """Write the names if there are many."""
        if len(self.names) >= NAMES_A_BATCH:
            self._flush()

    def _flush(self) -> None:
        if self.names:
            columns = [list(column) for column in zip(*self.names, strict=True)]
            rows = pa.table([*columns, list(self.names.values())], schema=RAW_NAMES)
            self._writer.write_table(rows)
            self.names.clear()
