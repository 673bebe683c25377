"""Rows of TSV, CSV (both .gz too) and Parquet files, as strings by column.

Cells stay strings until somebody reads them: "007", "NA" and "null" are names. A text file may lack its
header where its second cell is a QID.
"""

import csv
import difflib
import gzip
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from alias_tables.errors import DumpError
from alias_tables.schema import PAGE_ID_BASE

ROWS_A_BATCH = 100_000

_QID = re.compile(r"(?:https?://www\.wikidata\.org/(?:wiki|entity)/)?[Qq]([1-9]\d{0,9})")
_PLAIN_SUFFIXES = (".tsv", ".tab", ".csv", ".parquet")

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class TableKind:
    """What a file must and may hold: its columns, those it needs, and their names without a header."""

    columns: tuple[str, ...]
    needed: tuple[str, ...]
    headerless: tuple[str, ...]
    all_needed: bool = True
    """False: one of `needed` will do."""


def read_qid(cell: str) -> int | None:
    """Return the number of a QID; None if the cell holds none.

    >>> read_qid("Q42"), read_qid("http://www.wikidata.org/entity/Q42"), read_qid("42")
    (42, 42, None)
    """
    match = _QID.fullmatch(cell.strip())
    number = int(match[1]) if match else PAGE_ID_BASE
    return number if number < PAGE_ID_BASE else None


def table_rows(path: Path, kind: TableKind) -> Iterator[Row]:
    """Yield the rows of a file as strings by column; a missing cell is empty.

    Raises:
        DumpError: the file cannot be read, or lacks the columns.
    """
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix not in _PLAIN_SUFFIXES:
        raise DumpError(
            f"{path}: {suffix or 'no'} suffix; one of {', '.join(_PLAIN_SUFFIXES)} is expected"
        )
    try:
        yield from (
            _parquet_rows(path, kind) if suffix == ".parquet" else _text_rows(path, suffix, kind)
        )
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, pa.ArrowInvalid) as error:
        raise DumpError(f"{path}: cannot be read ({error})") from error


def _parquet_rows(path: Path, kind: TableKind) -> Iterator[Row]:
    with parquet.ParquetFile(path) as file:
        wanted = _check_header(path, file.schema_arrow.names, kind)
        for batch in file.iter_batches(ROWS_A_BATCH, columns=wanted):
            for row in batch.to_pylist():
                yield {name: "" if cell is None else str(cell) for name, cell in row.items()}


def _text_rows(path: Path, suffix: str, kind: TableKind) -> Iterator[Row]:
    with (
        gzip.open(path) if path.suffix == ".gz" else path.open("rb") as raw,
        io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text,
    ):
        if suffix == ".csv":
            reader = csv.reader(text)
        else:  # a tab-separated file of titles quotes nothing: 'The "Fish" Cheer' is a name
            reader = csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
        first = next(reader, None)
        if first is None:
            raise DumpError(f"{path}: the file is empty")
        names: Sequence[str] = [cell.strip().lower() for cell in first]
        if not set(names) & set(kind.columns) and len(first) > 1 and read_qid(first[1]) is not None:
            names = kind.headerless
            yield dict(zip(names, first, strict=False))
        else:
            _check_header(path, names, kind)
        for cells in reader:
            if cells:
                yield dict(zip(names, cells, strict=False))


def _check_header(path: Path, names: Sequence[str], kind: TableKind) -> list[str]:
    """Return the columns of ours in a header, or say which are missing and what was meant."""
    found = [name for name in names if name in kind.columns]
    enough = set(kind.needed) <= set(found) if kind.all_needed else set(kind.needed) & set(found)
    if enough:
        return found
    wanted = [name for name in kind.needed if name not in found]
    near = [match for name in wanted for match in difflib.get_close_matches(name, names, 1, 0.4)]
    hint = f"; rename {', '.join(near)}?" if near else ""
    raise DumpError(
        f"{path}: columns {', '.join(names) or 'none'}; expected {' and '.join(kind.needed)}"
        f"{'' if kind.all_needed else ' (one of them at least)'}{hint}"
    )
