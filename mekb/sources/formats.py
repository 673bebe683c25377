"""What kind of file this is, told by its bytes: Parquet, JSON lines or delimited text, plain or gzip.

A path goes in and a `Format` comes out. Names and endings are not trusted ("data.csv" that is an HTML
error page is said to be one), and nothing is unpacked but gzip: archives are refused, so that a member's
path or size cannot do harm.

The readers open files themselves and hand bytes to pyarrow. DuckDB's own readers are not used: they take
a path for a pattern, so that "ratings[1].csv" could read another file, and `pyarrow.parquet.read_table`
would take "domain=books/" in a path for a column. All readers give text, so "007", "1e5", "NA" and "null"
stay what they are.
"""

import codecs
import gzip
import io
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from mekb.errors import SourceError
from mekb.sources.report import Rejected

HEAD_BYTES = 1 << 16
"""How much of a file is looked at to tell its kind, separator and header."""

GZIP_MAGIC = b"\x1f\x8b"
REFUSED = {
    b"PK\x03\x04": "a zip archive (or a spreadsheet): unpack it, or save the sheet as CSV",
    b"BZh": "bzip2: unpack it, or pack it as gzip",
    b"\x28\xb5\x2f\xfd": "zstd: unpack it, or pack it as gzip",
    b"\xfd7zXZ": "xz: unpack it, or pack it as gzip",
    b"SQLite format 3": "an SQLite database: export its tables as CSV or Parquet",
    b"\x89HDF": "an HDF5 file: export its tables as CSV or Parquet",
}
"""First bytes of what is not read, with what to do instead."""


class Kind(StrEnum):
    """The families of files."""

    DELIMITED = "delimited"
    JSON_LINES = "JSON lines"
    PARQUET = "Parquet"


@dataclass(frozen=True)
class Format:
    """A file's kind, whether it is packed, and its first bytes, unpacked."""

    kind: Kind
    is_gzip: bool
    head: bytes

    @property
    def is_whole(self) -> bool:
        """Whether `head` is all there is."""
        return len(self.head) < HEAD_BYTES


@dataclass(frozen=True)
class RawTable:
    """A file as read: text columns named by role, before any judgement of the values."""

    path: Path
    format: str
    columns: tuple[str, ...]
    """All columns the file has."""
    table: pa.Table
    """"row" (int64), then a string column a role that was found; "categories" is list<string>."""
    rejected: tuple[Rejected, ...] = ()
    """Rows that could not even be read."""
    domain: str | None = None
    """Of the rows that name none, where the file itself has one."""
    is_preset: bool = False
    """Whether the file's format, not the settings, names the columns."""

    @property
    def n_read(self) -> int:
        """Rows of the file, readable or not."""
        return int(self.table.num_rows) + sum(entry.n_rows for entry in self.rejected)


def open_file(path: Path, *, is_gzip: bool) -> BinaryIO:
    """Open a file for reading its unpacked bytes."""
    return cast("BinaryIO", gzip.open(path, "rb")) if is_gzip else path.open("rb")


def detect(path: Path) -> Format:
    """Tell a file's format by its first bytes.

    Raises:
        SourceError: if it is not a file, is empty, or is of a kind that is not read.
    """
    if not path.is_file():
        what = "a folder, not a file" if path.is_dir() else "no such file"
        raise SourceError(f"{path}: {what}; give a CSV, TSV, JSON lines or Parquet file")
    with path.open("rb") as file:
        is_gzip = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    with open_file(path, is_gzip=is_gzip) as file:
        head = file.read(HEAD_BYTES)
    if not head.strip().removeprefix(codecs.BOM_UTF8):
        raise SourceError(f"{path}: the file is empty")
    for magic, advice in REFUSED.items():
        if head.startswith(magic):
            raise SourceError(f"{path}: this is {advice}")
    if head.startswith(b"PAR1"):
        return Format(Kind.PARQUET, is_gzip, head)
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    if start == b"<":
        raise SourceError(f"{path}: this is HTML or XML, not a table; was an error page saved?")
    if start == b"[":
        raise SourceError(f"{path}: this is one JSON array; write one JSON object a line instead")
    return Format(Kind.JSON_LINES if start == b"{" else Kind.DELIMITED, is_gzip, head)


def decode_head(path: Path, found: Format, encoding: str) -> str:
    r"""Return the first whole lines of a text file, without a byte order mark, ended by "\n".

    Raises:
        SourceError: if the bytes are not in that encoding.
    """
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(found.head, found.is_whole)
    except UnicodeDecodeError as error:
        raise SourceError(not_in_encoding(path, encoding, error)) from error
    lines = io.IncrementalNewlineDecoder(None, translate=True).decode(text, final=True)
    lines = lines.removeprefix("\ufeff")
    return lines if found.is_whole else lines[: lines.rfind("\n") + 1] or lines


def not_in_encoding(path: Path, encoding: str, error: UnicodeDecodeError) -> str:
    """Return the message for bytes that are not in the declared encoding."""
    return (
        f"{path}: not {encoding} at byte {error.start:,} ({error.object[error.start]:#04x});"
        ' set `encoding`, for old European files to "latin-1"'
    )
