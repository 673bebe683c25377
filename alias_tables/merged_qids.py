"""Wikidata items that were merged into another: the old QID leads to the one it became (case 50).

In: a table with the columns `from` and `to` (TSV, CSV, Parquet), or Wikidata's own `redirect.sql.gz` with its
`page.sql.gz` (which gives the old item its name). Out: the temporary table `raw_merged` (source, target),
chains followed to their end. `follow_merged` then renames every QID of the raw tables, so that both ids of one
thing never stand in a table. A chain that comes back to itself is refused row by row with a reason.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from alias_tables.errors import DumpError
from alias_tables.raw_tables import create_like, insert
from alias_tables.reasons import Reason
from alias_tables.report import RejectLog
from alias_tables.sql_dumps import SqlDump
from alias_tables.table_files import ROWS_A_BATCH, TableKind, read_qid, table_rows

RAW_MERGED = pa.schema([("source", pa.uint32()), ("target", pa.uint32())])
_MERGED = TableKind(("from", "to"), ("from", "to"), ("from", "to"))
_MAIN_NAMESPACE = frozenset({b"0"})
_QID_COLUMNS = (
    ("raw_qids", "qid"),
    ("raw_extra", "qid"),
    ("raw_page_qids", "qid"),
    ("raw_items", "qid"),
)


def end_of_chains(merged: Iterable[tuple[int, int]], rejects: RejectLog) -> dict[int, int]:
    """Return where each merged QID leads in the end; of two targets of one QID the smaller one counts.

    >>> from alias_tables.report import RejectLog
    >>> end_of_chains([(1, 2), (2, 3), (7, 8), (8, 7)], RejectLog(9))
    {1: 3, 2: 3}
    """
    steps: dict[int, int] = {}
    for source, target in merged:
        steps[source] = min(target, steps.get(source, target))
    ends: dict[int, int] = {}
    looping: set[int] = set()
    for source, target in steps.items():
        if source in ends or source in looping:
            continue
        chain, end = {source: None}, target
        while end in steps and end not in ends and end not in looping and end not in chain:
            chain[end] = None
            end = steps[end]
        if end in chain or end in looping:
            looping.update(chain)
        else:
            ends.update(dict.fromkeys(chain, ends.get(end, end)))
    for source in sorted(looping):
        rejects.add(Reason.QID_LOOP, detail=f"Q{source} to Q{steps[source]}")
    return ends


def read_merged(
    connection: duckdb.DuckDBPyConnection,
    path: Path | None,
    rejects: RejectLog,
    pages: Path | None = None,
) -> None:
    """Make `raw_merged` from a table, or from Wikidata's redirect dump and the page dump that names its rows.

    Raises:
        DumpError: a file cannot be read, or the redirect dump lacks its page dump.
    """
    create_like(connection, "raw_merged", RAW_MERGED)
    if path is None:
        return
    if ".sql" in path.suffixes:
        if pages is None:
            raise DumpError(
                f"{path}: Wikidata's redirect dump names its rows by page id alone; put its page.sql.gz"
                " beside it, or give a table with the columns from and to"
            )
        pairs = _from_sql(path, pages)
    else:
        pairs = _from_table(path, rejects)
    ends = end_of_chains(pairs, rejects)
    sources = sorted(ends)
    for start in range(0, len(sources), ROWS_A_BATCH):
        part = sources[start : start + ROWS_A_BATCH]
        rows = pa.table([part, [ends[source] for source in part]], schema=RAW_MERGED)
        insert(connection, "raw_merged", rows)


def _from_table(path: Path, rejects: RejectLog) -> Iterator[tuple[int, int]]:
    for row in table_rows(path, _MERGED):
        source, target = read_qid(row.get("from", "")), read_qid(row.get("to", ""))
        if source is None or target is None:
            rejects.add(Reason.INVALID_QID, detail=f"{path.name}: {row}")
        else:
            yield source, target


def _from_sql(path: Path, pages: Path) -> Iterator[tuple[int, int]]:
    """Yield merged pairs: the redirect's page id is looked up among the pages that are redirects."""
    targets: dict[int, int] = {}
    with SqlDump(path) as dump:
        columns = ("rd_namespace", "rd_from", "rd_title")
        for _, page_id, title in dump.rows("redirect", columns, only=_MAIN_NAMESPACE):
            target = read_qid(_text(title))
            if target is not None and isinstance(page_id, int):
                targets[page_id] = target
    with SqlDump(pages) as dump:
        columns = ("page_namespace", "page_id", "page_title")
        for _, page_id, title in dump.rows("page", columns, only=_MAIN_NAMESPACE):
            source = read_qid(_text(title)) if page_id in targets else None
            if source is not None and isinstance(page_id, int):
                yield source, targets[page_id]


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def page_dump_beside(path: Path) -> Path | None:
    """Return the page dump of a redirect dump's name, if it lies beside it.

    `wikidatawiki-20260101-redirect.sql.gz` goes with `wikidatawiki-20260101-page.sql.gz`.
    """
    if "redirect.sql" not in path.name:
        return None
    beside = path.with_name(path.name.replace("redirect.sql", "page.sql"))
    return beside if beside.is_file() else None


def follow_merged(connection: duckdb.DuckDBPyConnection) -> int:
    """Rename the merged QIDs of all raw tables; return how many rows had one."""
    n_rows = 0
    if not connection.execute("select count(*) from raw_merged").fetchall()[0][0]:
        return n_rows
    for table, column in _QID_COLUMNS:
        statement = f"update {table} set {column} = target from raw_merged where {column} = source"  # noqa: S608 (names of this module)
        n_rows += int(connection.execute(statement).fetchall()[0][0])
    return n_rows
