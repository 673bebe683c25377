"""Files beside the dump: titles with QIDs, and further alias rows or title lists.

In: TSV, CSV (both .gz too) or Parquet. Out: the temporary tables `raw_qids` (title, label, qid) and
`raw_extra` (a row a surface). Cells stay strings until we read them: "007", "NA" and "null" are names.
"""

import csv
import difflib
import gzip
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
from pyarrow import parquet

from alias_tables.errors import DumpError
from alias_tables.raw_tables import create_like, insert
from alias_tables.reasons import Reason
from alias_tables.report import RejectLog
from alias_tables.schema import CHANNELS, PAGE_ID_BASE
from alias_tables.site import Site
from alias_tables.surface import exact_key
from alias_tables.titles import clean_title, normal_form, strip_bracket

ROWS_A_BATCH = 100_000

RAW_QIDS = pa.schema([("title", pa.string()), ("label", pa.string()), ("qid", pa.uint32())])
RAW_EXTRA = pa.schema(
    [
        ("surface", pa.string()),
        ("title", pa.string()),
        ("label", pa.string()),
        ("qid", pa.uint32()),
        ("channel", pa.string()),
        ("n", pa.uint64()),
        ("description", pa.string()),
    ]
)
QID_COLUMNS = ("title", "qid")
EXTRA_COLUMNS = ("surface", "title", "qid", "count", "channel", "description")

_QID = re.compile(r"(?:https?://www\.wikidata\.org/(?:wiki|entity)/)?[Qq]([1-9]\d{0,9})")
_PLAIN_SUFFIXES = (".tsv", ".tab", ".csv", ".parquet")
_HEADERLESS_EXTRA = ("surface", "qid", "count")

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a file must and may hold: columns, and their names where the header is missing."""

    columns: tuple[str, ...]
    headerless: tuple[str, ...]


_QIDS = _Kind(QID_COLUMNS, QID_COLUMNS)
_EXTRA = _Kind(EXTRA_COLUMNS, _HEADERLESS_EXTRA)


def read_qid(cell: str) -> int | None:
    """Return the number of a QID; None if the cell holds none.

    >>> read_qid("Q42"), read_qid("http://www.wikidata.org/entity/Q42"), read_qid("42")
    (42, 42, None)
    """
    match = _QID.fullmatch(cell.strip())
    number = int(match[1]) if match else PAGE_ID_BASE
    return number if number < PAGE_ID_BASE else None


def _rows(path: Path, kind: _Kind) -> Iterator[Row]:
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


def _parquet_rows(path: Path, kind: _Kind) -> Iterator[Row]:
    with parquet.ParquetFile(path) as file:
        wanted = _check_header(path, file.schema_arrow.names, kind)
        for batch in file.iter_batches(ROWS_A_BATCH, columns=wanted):
            for row in batch.to_pylist():
                yield {name: "" if cell is None else str(cell) for name, cell in row.items()}


def _text_rows(path: Path, suffix: str, kind: _Kind) -> Iterator[Row]:
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


def _check_header(path: Path, names: Sequence[str], kind: _Kind) -> list[str]:
    """Return the columns of ours in a header, or say which are missing and what was meant."""
    found = [name for name in names if name in kind.columns]
    enough = set(kind.columns) <= set(found) if kind is _QIDS else {"title", "qid"} & set(found)
    if enough:
        return found
    wanted = [name for name in ("title", "qid") if name not in found]
    near = [match for name in wanted for match in difflib.get_close_matches(name, names, 1, 0.4)]
    hint = f"; rename {', '.join(near)}?" if near else ""
    raise DumpError(
        f"{path}: columns {', '.join(names) or 'none'}; expected {' and '.join(QID_COLUMNS)}"
        f"{'' if kind is _QIDS else ' (one of them at least)'}{hint}"
    )


class FileReader:
    """Reads further files into raw tables of the build."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, site: Site, rejects: RejectLog
    ) -> None:
        self._connection = connection
        self._site = site
        self._rejects = rejects
        create_like(connection, "raw_qids", RAW_QIDS)
        create_like(connection, "raw_extra", RAW_EXTRA)

    def read_qids(self, path: Path) -> None:
        """Read titles and their QIDs."""
        self._insert("raw_qids", RAW_QIDS, self._qid_rows(path))

    def read_extra(self, path: Path) -> None:
        """Read alias rows or a title list."""
        self._insert("raw_extra", RAW_EXTRA, self._extra_rows(path))

    def _insert(self, table: str, schema: pa.Schema, rows: Iterator[dict[str, object]]) -> None:
        batch: list[dict[str, object]] = []
        for row in rows:
            batch.append(row)
            if len(batch) >= ROWS_A_BATCH:
                insert(self._connection, table, pa.Table.from_pylist(batch, schema))
                batch = []
        insert(self._connection, table, pa.Table.from_pylist(batch, schema))

    def _qid_rows(self, path: Path) -> Iterator[dict[str, object]]:
        for row in _rows(path, _QIDS):
            title = normal_form(row.get("title", ""), self._site)
            qid = read_qid(row.get("qid", ""))
            if title is None or qid is None:
                reason = Reason.INVALID_TITLE if title is None else Reason.INVALID_QID
                self._rejects.add(reason, detail=f"{path.name}: {row}")
            else:
                yield {"title": title, "label": strip_bracket(title), "qid": qid}

    def _extra_rows(self, path: Path) -> Iterator[dict[str, object]]:
        for row in _rows(path, _EXTRA):
            read = self._extra_row(row)
            if isinstance(read, Reason):
                self._rejects.add(read, detail=f"{path.name}: {row}")
            else:
                yield from read

    def _extra_row(self, row: Row) -> list[dict[str, object]] | Reason:
        """Return one row a surface; a row without a surface gives its title, and that without bracket."""
        raw_title, raw_qid = row.get("title", ""), row.get("qid", "")
        title = normal_form(raw_title, self._site) if raw_title.strip() else None
        qid = read_qid(raw_qid) if raw_qid.strip() else None
        if raw_title.strip() and title is None:
            return Reason.INVALID_TITLE
        if raw_qid.strip() and qid is None:
            return Reason.INVALID_QID
        count = _count(row.get("count", ""))
        if count is None:
            return Reason.INVALID_COUNT
        surface = exact_key(row.get("surface", ""))
        named = row.get("channel", "").strip()
        if named and named not in CHANNELS:
            return Reason.UNKNOWN_CHANNEL
        shown = exact_key(
            clean_title(raw_title)
        )  # "iPhone" is what people write, "IPhone" the title
        bare = strip_bracket(shown)
        if surface:  # with a count it is a count of links, without one it is a name somebody listed
            channel = "anchor" if row.get("count", "").strip() else "wikidata_alias"
            surfaces = [(surface, named or channel)]
        else:
            surfaces = [(shown, named or "title"), (bare or "", named or "title_stripped")]
        if title is None and (qid is None or not surface):
            return Reason.NO_ENTITY
        common = {
            "title": title,
            "label": bare or shown or None,
            "qid": qid,
            "n": count,
            "description": exact_key(row.get("description", "")) or None,
        }
        return [
            {**common, "surface": text, "channel": channel} for text, channel in surfaces if text
        ]


def _count(cell: str) -> int | None:
    """Return a count of at least one; an empty cell counts once.

    >>> _count("12"), _count(""), _count("0"), _count("-3"), _count("x")
    (12, 1, None, None, None)
    """
    if not cell.strip():
        return 1
    try:
        number = int(cell)
    except ValueError:
        return None
    return number if 0 < number < 2**32 else None
