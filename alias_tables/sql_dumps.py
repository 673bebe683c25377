r"""Rows of a MediaWiki SQL dump (`page`, `redirect`, `page_props`), streamed in flat memory.

In: one table as `mysqldump` writes it, .sql, .sql.gz or .sql.bz2: a `CREATE TABLE`, from which the order of
the columns is taken (it changed between MediaWiki's versions), and `INSERT INTO ... VALUES (...),(...);`.
Out: tuples of the columns asked for. Strings are bytes, as MySQL holds them: titles are UTF-8 with
underscores. Every byte is looked at once; what is no SQL of this form is refused with file and byte.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from alias_tables.errors import DumpError
from alias_tables.sources import FileStamp, Source

Value = bytes | int | float | None
"""A MySQL literal: strings and blobs are bytes, NULL is None."""

MAX_ROW_BYTES = 1 << 26
"""A longer row is damage: `max_allowed_packet` ends below it."""

_STRING = rb"'(?:[^'\\]++|\\.|'')*+'"
_LITERAL = (
    rb"(?:_binary\s?)?(?:%b)|NULL|0x[0-9A-Fa-f]++|[xX]'[0-9A-Fa-f]*+'|[bB]'[01]*+'"
    rb"|-?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?" % _STRING
)
_ESCAPE = re.compile(rb"\\(.)|''", re.DOTALL)
_ESCAPED = {
    b"0": b"\0",
    b"b": b"\b",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"Z": b"\x1a",
    b"%": b"\\%",  # these two keep their backslash outside of LIKE
    b"_": b"\\_",
}
_STATEMENT = re.compile(
    rb"\s*+(?:(?P<comment>--[^\n]*+\n|#[^\n]*+\n|/\*.*?\*/\s*+;?)"
    rb"|CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?`(?P<created>[^`]++)`\s*+\((?P<columns>.*?)\n\s*+\)[^;]*+;"
    rb"|INSERT\s+(?:IGNORE\s+)?INTO\s+`(?P<filled>[^`]++)`\s*+(?:\((?P<named>[^)]*+)\)\s*+)?VALUES\s*+"
    rb"|(?P<other>(?!INSERT\s|CREATE\s+TABLE\s)[A-Z]++(?=[\s;])(?:[^;'\"`]++|%b|\"[^\"]*+\"|`[^`]*+`)*+;))"
    % _STRING,
    re.DOTALL | re.IGNORECASE,
)
_COLUMN = re.compile(rb"^\s*`([^`]+)`\s", re.MULTILINE)
_NAME = re.compile(rb"`([^`]+)`")
_KEYWORD_BYTES = 8
_DUMPED = re.compile(rb"--[^\n]*\bdump\b", re.IGNORECASE)
_FINISHED = b"-- Dump completed"
_KEYWORDS = tuple(
    b"-- # /* ALTER BEGIN COMMIT CREATE DROP INSERT LOCK SET START UNLOCK USE".split()
)


def read_literal(token: bytes) -> Value:
    r"""Return the value of one MySQL literal.

    >>> read_literal(rb"'O\'Brien\\n'"), read_literal(b"0x4f6b"), read_literal(b"NULL"), read_literal(b"-2")
    (b"O'Brien\\n", b'Ok', None, -2)
    """
    first = token[:1]
    if first == b"'":
        body = token[1:-1]
        return _ESCAPE.sub(_unescape, body) if b"\\" in body or b"'" in body else body
    if token.isdigit():
        return int(token)
    if first == b"N":
        return None
    if first == b"_":
        return read_literal(token[7:].lstrip())
    return _read_number(token) if first in b"-.0123456789" else _read_bits(token)


def _read_number(token: bytes) -> Value:
    if token[:2] == b"0x":
        return bytes.fromhex(token[2:].decode())
    return int(token) if token[1:].isdigit() else float(token)


def _read_bits(token: bytes) -> Value:
    digits = token[2:-1].decode()
    return bytes.fromhex(digits) if token[:1] in b"xX" else int(digits or "0", 2)


def _unescape(match: re.Match[bytes]) -> bytes:
    escaped = match[1]
    return b"'" if escaped is None else _ESCAPED.get(escaped, escaped)


@dataclass(slots=True)
class _Buffer:
    """The bytes not yet understood, and where in the decompressed file they begin."""

    blocks: Iterator[bytes]
    data: bytes = b""
    position: int = 0
    start: int = 0
    ended: bool = False

    @property
    def byte(self) -> int:
        """Where reading stands in the decompressed file."""
        return self.start + self.position

    def more(self) -> bool:
        """Read at least as much again as is waiting, so that a long row is not tried too often."""
        waiting = self.data[self.position :]
        self.start += self.position
        pieces, wanted = [waiting], max(len(waiting), 1)
        while wanted > 0 and not self.ended:
            block = next(self.blocks, b"")
            self.ended = not block
            pieces.append(block)
            wanted -= len(block)
        self.data, self.position = b"".join(pieces), 0
        return len(self.data) > len(waiting)


class SqlDump:
    """Reads the rows of one table of a dump; use as a context manager, and `rows()` once."""

    def __init__(self, path: Path) -> None:
        self._source = Source(path)
        self._path = path
        self._buffer = _Buffer(self._source.blocks())
        self._declared: list[str] = []

    def __enter__(self) -> "SqlDump":  # noqa: PYI034 (beartype refuses `Self`)
        return self

    def __exit__(self, *_: object) -> None:
        self._source.__exit__()

    @property
    def position(self) -> int:
        """Bytes of the file read so far, compressed if it is."""
        return self._source.position

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._source.size

    def stamp(self) -> FileStamp:
        """Return name, size and hash of the file, reading it to its end."""
        return self._source.stamp()

    def rows(
        self,
        table: str,
        columns: Sequence[str],
        optional: Sequence[str] = (),
        only: frozenset[bytes] | None = None,
    ) -> Iterator[tuple[Value, ...]]:
        """Yield the values of some columns, row by row.

        Args:
            table: the table the file must be of, such as "page_props".
            columns: columns it must have.
            optional: columns that some versions lack; None where this one does.
            only: literals, as written, that the first of `columns` must be one of; others are passed over.

        Raises:
            DumpError: another table, a column that is missing, damage, or a file that ends too soon.
        """
        buffer, dumped, finished = self._buffer, False, False
        n_statements = 0
        while (statement := self._statement()) is not None:
            comment = statement["comment"]
            if comment is not None:
                dumped = dumped or _DUMPED.match(comment) is not None
                finished = comment.startswith(_FINISHED)
            elif statement["created"] is not None:
                self._declare(table, statement)
            elif statement["filled"] is not None:
                self._same_table(table, statement["filled"])
                n_statements += 1
                named = statement["named"]
                names = [name.decode() for name in _NAME.findall(named)] if named else None
                yield from self._values(names or self._declared, columns, optional, only)
        if buffer.data[buffer.position :].strip() or (dumped and not finished):
            self._refuse_end()
        if not n_statements and not self._declared:
            raise DumpError(f"{self._path}: no CREATE TABLE and no INSERT; a .sql dump is expected")

    def _statement(self) -> re.Match[bytes] | None:
        """Return the next statement, as far as its rows; None at the end of the file."""
        buffer = self._buffer
        while True:
            match = _STATEMENT.match(buffer.data, buffer.position)
            # a comment's or a name's end may still be on its way
            if match is not None and (match.end() < len(buffer.data) or buffer.ended):
                buffer.position = match.end()
                return match
            self._check_keyword()
            if buffer.ended or len(buffer.data) - buffer.position > MAX_ROW_BYTES:
                return None
            buffer.more()

    def _check_keyword(self) -> None:
        buffer = self._buffer
        rest = buffer.data[buffer.position : buffer.position + 2000].lstrip()
        told = len(rest) >= _KEYWORD_BYTES or (rest and buffer.ended)
        if told and not rest.upper().startswith(_KEYWORDS):
            raise DumpError(
                f"{self._path}: no SQL at byte {buffer.byte} ({rest[:20]!r}); a .sql dump of one table"
                " is expected"
            )

    def _declare(self, table: str, statement: re.Match[bytes]) -> None:
        self._same_table(table, statement["created"])
        self._declared = [name.decode() for name in _COLUMN.findall(b"\n" + statement["columns"])]

    def _same_table(self, table: str, found: bytes) -> None:
        if found.decode("utf-8", "replace") != table:
            raise DumpError(
                f"{self._path}: a dump of the table '{found.decode('utf-8', 'replace')}';"
                f" that of '{table}' is expected"
            )

    def _values(
        self,
        declared: Sequence[str],
        columns: Sequence[str],
        optional: Sequence[str],
        only: frozenset[bytes] | None,
    ) -> Iterator[tuple[Value, ...]]:
        """Yield the rows of one INSERT."""
        missing = [name for name in columns if name not in declared]
        if missing:
            raise DumpError(
                f"{self._path}: no column {', '.join(missing)} among {', '.join(declared) or 'none'};"
                " the CREATE TABLE of the dump must stand before its rows"
            )
        wanted = [*columns, *optional]
        groups = [declared.index(name) + 1 if name in declared else 0 for name in wanted]
        row = _row_pattern(len(declared), frozenset(groups))
        order = sorted(set(groups) - {0})
        picks = [order.index(group) if group else -1 for group in groups]
        buffer = self._buffer
        while True:
            for match in row.finditer(buffer.data, buffer.position):
                if match.start() != buffer.position:
                    break  # something in between is no row
                buffer.position = match.end()
                tokens = match.groups()
                if only is None or tokens[picks[0]] in only:
                    yield tuple(
                        [None if pick < 0 else read_literal(tokens[pick]) for pick in picks]
                    )
                if tokens[-1] == b";":
                    return
            if len(buffer.data) - buffer.position > MAX_ROW_BYTES or not buffer.more():
                self._refuse_row(len(declared))

    def _refuse_row(self, n_columns: int) -> None:
        buffer = self._buffer
        if buffer.ended and b"\n" not in buffer.data[buffer.position :].rstrip():
            self._refuse_end()
        raise DumpError(
            f"{self._path}: no row of {n_columns} values at byte {buffer.byte}"
            f" ({buffer.data[buffer.position : buffer.position + 20]!r}); fetch the dump again"
        )

    def _refuse_end(self) -> None:
        raise DumpError(
            f"{self._path}: the SQL ends too soon, after byte {self._buffer.byte};"
            " the download is incomplete, fetch it again"
        )


def _row_pattern(n_columns: int, wanted: frozenset[int]) -> re.Pattern[bytes]:
    """Return the pattern of one row with its `,` or `;`: a group for each wanted column and the last sign."""
    cells = [
        rb"\s*+(%b(?:%b))\s*+" % (b"" if column in wanted else b"?:", _LITERAL)
        for column in range(1, n_columns + 1)
    ]
    return re.compile(rb"\s*+\(" + b",".join(cells) + rb"\)\s*+([,;])", re.DOTALL)
