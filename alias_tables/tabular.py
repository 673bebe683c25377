"""Files beside the dump: titles with QIDs, and further alias rows or title lists.

In: TSV, CSV (both .gz too) or Parquet. Out: the temporary tables `raw_qids` (title, label, qid) and
`raw_extra` (a row a surface). Cells stay strings until we read them: "007", "NA" and "null" are names.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from alias_tables.entity_types import Guess, from_bracket
from alias_tables.raw_tables import create_like, insert
from alias_tables.reasons import Reason
from alias_tables.report import RejectLog
from alias_tables.schema import CHANNELS, ENTITY_TYPES
from alias_tables.site import Site
from alias_tables.surface import exact_key
from alias_tables.table_files import ROWS_A_BATCH, Row, TableKind, read_qid, table_rows
from alias_tables.titles import clean_title, normal_form, strip_bracket

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
        ("types", pa.list_(pa.string())),
        ("year", pa.uint16()),
    ]
)
QID_COLUMNS = ("title", "qid")
EXTRA_COLUMNS = (*("surface", "title", "qid", "count", "channel", "description", "type", "year"),)

_YEAR = re.compile(r"(\d{1,4})(?:\.0)?", re.ASCII)
_QIDS = TableKind(QID_COLUMNS, QID_COLUMNS, QID_COLUMNS)
_EXTRA = TableKind(EXTRA_COLUMNS, ("title", "qid"), ("surface", "qid", "count"), all_needed=False)


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
        for row in table_rows(path, _QIDS):
            title = normal_form(row.get("title", ""), self._site)
            qid = read_qid(row.get("qid", ""))
            if title is None or qid is None:
                reason = Reason.INVALID_TITLE if title is None else Reason.INVALID_QID
                self._rejects.add(reason, detail=f"{path.name}: {row}")
            else:
                yield {"title": title, "label": strip_bracket(title), "qid": qid}

    def _extra_rows(self, path: Path) -> Iterator[dict[str, object]]:
        for row in table_rows(path, _EXTRA):
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
        count, said = _count(row.get("count", "")), self._said(row, raw_title)
        if count is None or said is None:
            return Reason.INVALID_COUNT if count is None else Reason.UNKNOWN_TYPE
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
            "types": list(said.types),
            "year": said.year,
        }
        return [
            {**common, "surface": text, "channel": channel} for text, channel in surfaces if text
        ]

    def _said(self, row: Row, raw_title: str) -> Guess | None:
        """Return types and year of a row: as its cells say, else as its title's bracket; None: unknown type."""
        named = sorted({name.strip().lower() for name in row.get("type", "").split("|")} - {""})
        if not set(named) <= set(ENTITY_TYPES):
            return None
        guess = from_bracket(clean_title(raw_title), self._site.language)
        return Guess(tuple(named) or guess.types, _year(row.get("year", "")) or guess.year)


def _year(cell: str) -> int | None:
    """Return a year of at most four digits; None of anything else.

    >>> _year("1995"), _year("1995.0"), _year("c. 1900"), _year("0")
    (1995, 1995, None, None)
    """
    match = _YEAR.fullmatch(cell.strip())
    return (int(match[1]) or None) if match else None


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
