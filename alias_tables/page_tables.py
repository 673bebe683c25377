"""What a wiki's own SQL dumps say of its pages: QIDs and disambiguation (`page_props`), redirects, titles.

In: `page_props.sql.gz`, `redirect.sql.gz` and `page.sql.gz` of the wiki the pages dump is of. Out: temporary
tables `raw_page_qids` (page_id, qid) and `raw_page_flags` (page_id, flag), and further rows of `raw_pages`:
the redirects that no pages dump gave, and without any pages dump all articles too.
"""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from alias_tables.page_kinds import DISAMBIGUATION
from alias_tables.raw_tables import create_like, insert
from alias_tables.reasons import Reason
from alias_tables.report import RejectLog
from alias_tables.site import Site
from alias_tables.sql_dumps import SqlDump, Value
from alias_tables.table_files import ROWS_A_BATCH, read_qid
from alias_tables.titles import normal_form, strip_bracket

RAW_PAGE_QIDS = pa.schema([("page_id", pa.uint32()), ("qid", pa.uint32())])
RAW_PAGE_FLAGS = pa.schema([("page_id", pa.uint32()), ("flag", pa.string())])
_RAW_REDIRECTS = pa.schema(
    [("page_id", pa.uint32()), ("redirect", pa.string()), ("section", pa.string())]
)
_RAW_TITLES = pa.schema(
    [
        ("page_id", pa.uint32()),
        ("revision_id", pa.uint64()),
        ("title", pa.string()),
        ("label", pa.string()),
        ("is_redirect", pa.bool_()),
    ]
)
_DISAMBIGUATION_PROPERTY = b"disambiguation"
_QID_PROPERTY = b"wikibase_item"
_PROPERTIES = frozenset({b"'disambiguation'", b"'wikibase_item'"})
_MAIN_NAMESPACE = frozenset({b"0"})
_MAX_PAGE_ID = 499_999_999

MORE_PAGES_SQL = """
insert into raw_pages by name
select page_id, revision_id, title, label, raw_redirects.redirect, coalesce(section, '') as section,
    []::varchar[] as flags
from raw_titles left join raw_redirects using (page_id)
where page_id not in (select page_id from raw_pages)
    and case when is_redirect then raw_redirects.redirect is not null else $articles_too end
"""


def _text(value: Value) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


class PageTableReader:
    """Reads the SQL dumps of one wiki into raw tables; `finish` joins pages and redirects."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, site: Site, rejects: RejectLog
    ) -> None:
        self._connection = connection
        self._site = site
        self._rejects = rejects
        for table, schema in (
            ("raw_page_qids", RAW_PAGE_QIDS),
            ("raw_page_flags", RAW_PAGE_FLAGS),
            ("raw_redirects", _RAW_REDIRECTS),
            ("raw_titles", _RAW_TITLES),
        ):
            create_like(connection, table, schema)

    def read_page_props(self, path: Path) -> None:
        """Read QIDs and disambiguation pages by page id."""
        flags: list[tuple[object, ...]] = []
        self._insert("raw_page_qids", RAW_PAGE_QIDS, self._qid_rows(path, flags))
        self._insert("raw_page_flags", RAW_PAGE_FLAGS, iter(flags))

    def read_redirects(self, path: Path) -> None:
        """Read where redirect pages lead."""
        self._insert("raw_redirects", _RAW_REDIRECTS, self._redirect_rows(path))

    def read_pages(self, path: Path) -> None:
        """Read the titles of the pages of the main namespace."""
        self._insert("raw_titles", _RAW_TITLES, self._title_rows(path))

    def finish(self, *, articles_too: bool) -> None:
        """Add the pages that no pages dump gave to `raw_pages`: redirects, and articles if asked for."""
        self._connection.execute(MORE_PAGES_SQL, {"articles_too": articles_too})
        self._connection.execute("drop table raw_titles")
        self._connection.execute("drop table raw_redirects")

    def _insert(self, table: str, schema: pa.Schema, rows: Iterator[tuple[object, ...]]) -> None:
        batch: list[tuple[object, ...]] = []
        for row in rows:
            batch.append(row)
            if len(batch) >= ROWS_A_BATCH:
                self._write(table, schema, batch)
                batch = []
        self._write(table, schema, batch)

    def _write(self, table: str, schema: pa.Schema, rows: list[tuple[object, ...]]) -> None:
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            insert(self._connection, table, pa.table(columns, schema=schema))

    def _qid_rows(
        self, path: Path, flags: list[tuple[object, ...]]
    ) -> Iterator[tuple[object, ...]]:
        with SqlDump(path) as dump:
            columns = ("pp_propname", "pp_page", "pp_value")
            for name, page_id, value in dump.rows("page_props", columns, only=_PROPERTIES):
                if name == _DISAMBIGUATION_PROPERTY:
                    flags.append((page_id, DISAMBIGUATION))
                elif name == _QID_PROPERTY:
                    qid = read_qid(_text(value))
                    if qid is None:
                        self._rejects.add(
                            Reason.INVALID_QID, detail=f"{path.name}: page {page_id!r}, {value!r}"
                        )
                    else:
                        yield page_id, qid

    def _redirect_rows(self, path: Path) -> Iterator[tuple[object, ...]]:
        columns = ("rd_from", "rd_namespace", "rd_title")
        with SqlDump(path) as dump:
            for page_id, namespace, raw, interwiki, fragment in dump.rows(
                "redirect", columns, ("rd_interwiki", "rd_fragment")
            ):
                here = namespace == 0 and not interwiki
                title = normal_form(_text(raw), self._site) if here else None
                yield page_id, title or "", _text(fragment)  # an empty title is never found

    def _title_rows(self, path: Path) -> Iterator[tuple[object, ...]]:
        columns = ("page_namespace", "page_id", "page_title", "page_is_redirect")
        with SqlDump(path) as dump:
            for _, page_id, raw, is_redirect, revision in dump.rows(
                "page", columns, ("page_latest",), _MAIN_NAMESPACE
            ):
                if not isinstance(page_id, int) or page_id > _MAX_PAGE_ID:
                    continue
                title = normal_form(_text(raw), self._site)
                if title is None:
                    self._rejects.add(Reason.INVALID_TITLE, page_id, _text(raw))
                else:
                    label = strip_bracket(title)
                    yield page_id, revision or 0, title, label, bool(is_redirect)
