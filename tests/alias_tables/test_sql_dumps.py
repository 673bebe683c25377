"""SQL dumps: literals against a writer of our own, columns by name, and every way to be cut short."""

import gzip
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alias_tables import sql_dumps
from alias_tables.errors import DumpError
from alias_tables.sql_dumps import SqlDump, read_literal

HEAD = """-- MySQL dump 10.19  Distrib 10.3.38-MariaDB, for debian-linux-gnu (x86_64)
--
/*!40101 SET NAMES binary */;
DROP TABLE IF EXISTS `redirect`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `redirect` (
  `rd_from` int(8) unsigned NOT NULL DEFAULT 0 COMMENT 'a `tick`, (a bracket); a semicolon',
  `rd_namespace` int(11) NOT NULL DEFAULT 0,
  `rd_title` varbinary(255) NOT NULL DEFAULT '',
  `rd_interwiki` varbinary(32) DEFAULT NULL,
  `rd_fragment` varbinary(255) DEFAULT NULL,
  PRIMARY KEY (`rd_from`),
  KEY `rd_ns_title` (`rd_namespace`,`rd_title`,`rd_from`)
) ENGINE=InnoDB DEFAULT CHARSET=binary;

LOCK TABLES `redirect` WRITE;
/*!40000 ALTER TABLE `redirect` DISABLE KEYS */;
"""
TAIL = """/*!40000 ALTER TABLE `redirect` ENABLE KEYS */;
UNLOCK TABLES;

-- Dump completed on 2026-01-01  0:00:00
"""
COLUMNS = ("rd_from", "rd_namespace", "rd_title", "rd_interwiki", "rd_fragment")


def quoted(value: object) -> bytes:
    """Write one literal as mysqldump does."""
    if value is None:
        return b"NULL"
    if isinstance(value, bytes):
        for plain, escaped in ((b"\\", b"\\\\"), (b"'", b"\\'"), (b"\n", b"\\n"), (b"\0", b"\\0")):
            value = value.replace(plain, escaped)
        return b"'" + value.replace(b"\r", b"\\r").replace(b"\x1a", b"\\Z") + b"'"
    return str(value).encode()


def dump_of(statements: list[list[tuple[object, ...]]], head=HEAD, tail=TAIL) -> bytes:
    inserts = b"".join(
        b"INSERT INTO `redirect` VALUES "
        + b",".join(b"(" + b",".join(map(quoted, row)) + b")" for row in rows)
        + b";\n"
        for rows in statements
    )
    return head.encode() + inserts + tail.encode()


def read(path, columns=COLUMNS, optional=(), table="redirect"):
    with SqlDump(path) as dump:
        return list(dump.rows(table, columns, optional))


ROWS = [
    [(1, 0, b"Star_Wars", None, b"Plot"), (2, 0, b"O'Brien\\(x),('y');\n", b"", b"")],
    [(3, 10, "Amélie".encode(), b"de", None), (-4, 0, b"", None, b"a''b")],
]


@pytest.mark.parametrize("suffix", [".sql", ".sql.gz"])
def test_rows_are_those_that_were_written(tmp_path, suffix):
    path = tmp_path / f"redirect{suffix}"
    content = dump_of(ROWS)
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    assert read(path) == [row for rows in ROWS for row in rows]


def test_columns_are_taken_by_name_in_any_order_of_the_table(tmp_path):
    path = tmp_path / "page_props.sql"
    path.write_text(
        "CREATE TABLE `page_props` (\n  `pp_value` blob NOT NULL,\n  `pp_page` int NOT NULL,\n"
        "  `pp_propname` varbinary(60) NOT NULL,\n  KEY `x` (`pp_page`)\n) ENGINE=InnoDB;\n"
        "INSERT INTO `page_props` VALUES ('Q42', 7 ,'wikibase_item') , (0x5139,8,'wikibase_item');\n"
        "INSERT INTO `page_props` (`pp_page`,`pp_propname`,`pp_value`) VALUES (9,'x',_binary 'Q1');\n"
    )
    rows = read(path, ("pp_page", "pp_value"), ("pp_sortkey",), "page_props")
    assert rows == [(7, b"Q42", None), (8, b"Q9", None), (9, b"Q1", None)]


def test_rows_of_other_values_are_passed_over(tmp_path):
    path = tmp_path / "redirect.sql"
    path.write_bytes(dump_of(ROWS))
    with SqlDump(path) as dump:
        found = dump.rows("redirect", ("rd_namespace", "rd_from"), ("none",), frozenset({b"0"}))
        assert list(found) == [(0, 1, None), (0, 2, None), (0, -4, None)]


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**40), 2**40),
            st.integers(0, 15),
            st.binary(max_size=12),
            st.none() | st.binary(max_size=5),
            st.none() | st.sampled_from([b"'),(1,'", b"\\", b"--", b"/*", b";", b"`"]),
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 64),
)
@settings(max_examples=60)
def test_any_values_and_any_blocks_give_the_same_rows(tmp_path_factory, rows, size):
    path = tmp_path_factory.mktemp("sql") / "redirect.sql"
    content = dump_of([rows])
    path.write_bytes(content)
    with SqlDump(path) as dump:
        dump._buffer.blocks = (content[i : i + size] for i in range(0, len(content), size))
        assert list(dump.rows("redirect", COLUMNS)) == rows


@pytest.mark.parametrize(
    ("token", "value"),
    [
        (b"'a\\0\\b\\t\\Z\\%\\_\\q'", b"a\0\b\t\x1a\\%\\_q"),
        (b"'it''s'", b"it's"),
        (b"0.25", 0.25),
        (b"-1e3", -1000.0),
        (b"18446744073709551615", 2**64 - 1),
        (b"x'4F6b'", b"Ok"),
        (b"0x", None),
        (b"b'101'", 5),
    ],
)
def test_literals(token, value):
    if value is not None:
        assert read_literal(token) == value
    else:
        assert not re.fullmatch(sql_dumps._LITERAL, token)


WHOLE = dump_of(ROWS)


@pytest.mark.parametrize("cut", [0.05, 0.4, 0.6, 0.75, 0.8, 0.85, 0.9, 0.97])
def test_a_truncated_dump_is_refused(tmp_path, cut):
    path = tmp_path / "redirect.sql"
    path.write_bytes(WHOLE[: int(len(WHOLE) * cut)])
    with pytest.raises(DumpError, match=r"redirect\.sql: .*ends too soon") as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WHOLE.replace(b"(3,10,", b"(3,oops,"), r"no row of 5 values at byte \d+"),
        (WHOLE.replace(b"(3,10,", b"(3,"), r"no row of 5 values at byte \d+"),
        (WHOLE.replace(b"`redirect`", b"`page`"), "a dump of the table 'page'"),
        (WHOLE.replace(b"`rd_title`", b"`other`"), "no column rd_title"),
        (b"<html><body>404 Not Found</body></html>", "no SQL at byte 0"),
        (b"", "the file is empty"),
        (b"-- nothing here\n", "no CREATE TABLE"),
        (gzip.compress(WHOLE)[:-20], "ends too soon"),
    ],
)
def test_what_is_no_such_dump_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "redirect.sql"
    path.write_bytes(content)
    with pytest.raises(DumpError, match=message) as caught:
        read(path)
    assert "redirect.sql" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_row_longer_than_any_packet_is_damage_not_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(sql_dumps, "MAX_ROW_BYTES", 1 << 20)
    path = tmp_path / "redirect.sql"
    path.write_bytes(
        dump_of([])[: -len(TAIL)] + b"INSERT INTO `redirect` VALUES (1,0,'" + b"x" * (3 << 20)
    )
    with pytest.raises(DumpError, match=r"no row of 5 values|ends too soon"):
        read(path)


def test_each_byte_of_a_long_statement_is_looked_at_a_bounded_number_of_times(tmp_path):
    """Count what the buffer copies: linear in the file, whatever the length of one statement."""
    path = tmp_path / "redirect.sql"
    rows = [(i, 0, b"Title_%d" % i, None, None) for i in range(60_000)]
    content = dump_of([rows])
    path.write_bytes(content)
    copied = 0
    with SqlDump(path) as dump:
        more = dump._buffer.more

        class Counting(type(dump._buffer)):
            __slots__ = ()

            def more(self) -> bool:
                nonlocal copied
                found = super().more()
                copied += len(self.data)
                return found

        dump._buffer.__class__ = Counting
        assert sum(1 for _ in dump.rows("redirect", COLUMNS)) == len(rows)
        assert more is not None
    assert copied < 2 * len(content)
