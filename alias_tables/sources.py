"""Opening one part of a dump, or a slice of it: what kind of file it is, its bytes, how far it was read.

In: .xml, .xml.bz2 (multistream too) or .xml.gz, told apart by their first bytes. Out: chunks of valid
UTF-8. Whatever is no dump is refused with a message that names the file and the byte.

A slice is given by two bytes of the file and holds the pages that *begin* between them: its text runs to
the first `<page>` at or past `stop`. So slices cover every page once, wherever they are cut.
"""

import codecs
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from alias_tables.errors import DumpError, FalseBoundaryError
from alias_tables.packed import CHUNK_BYTES, Blocks, HashedFile, NoStreamError, blocks_of

PAGE_MARK = b"<page>"
"""Begins a page, and stands nowhere else: text has its brackets escaped."""
END_MARK = b"</mediawiki>"

_REPLACEMENT = "\ufffd"
_ROOT_CLOSED = re.compile(rb"</mediawiki\s*>|<mediawiki\b[^<>]*/>")
_TAIL_BYTES = 4096
_HINTS = (
    (b"7z\xbc\xaf\x27\x1c", "7-zip archive: unpack it, or take the .xml.bz2 of the same dump"),
    (b"\x28\xb5\x2f\xfd", "Zstandard file: unpack it to .xml first"),
    (b"\xfd7zXZ\x00", "xz file: unpack it to .xml first"),
    (b"PK\x03\x04", "zip archive: unpack it to .xml first"),
    (b"%PDF", "PDF document, not a dump"),
)
_HTML_HEADS = (b"<!doctype html", b"<html")


@dataclass(frozen=True, slots=True)
class FileStamp:
    """Which file was read: enough to tell two dumps apart."""

    name: str
    size: int
    sha256: str


class Source:
    """One open part of a dump, or a slice of it; use as a context manager.

    Args:
        path: the file.
        start: first byte of the slice; in a bz2 file where a stream begins, in a gzip file 0.
        stop: the byte at which the slice ends (in a bz2 file where a stream begins); None: the end of
            the file. A `stop` of 0 gives what stands before the first page.
    """

    def __init__(self, path: Path, start: int = 0, stop: int | None = None) -> None:
        self.path = path
        self.replaced = 0
        """How many byte sequences were no UTF-8 and became U+FFFD."""
        self.page_follows = False
        """A page begins where the slice ends."""
        self._start, self._stop = start, stop
        self._last = b""
        try:
            self.size = path.stat().st_size
            self._handle = path.open("rb")
        except OSError as error:
            message = f"{path}: cannot be read ({error.strerror}); check the path"
            raise DumpError(message) from error
        self._head = self._handle.read(512)
        try:
            self._check(self._head)
        except DumpError:
            self._handle.close()
            raise
        self._file = HashedFile(self._handle, start, hashed=start == 0 and stop is None)

    def __enter__(self) -> "Source":  # noqa: PYI034 (beartype refuses `Self`)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    @property
    def position(self) -> int:
        """The byte of the file up to which it was read, compressed if it is."""
        return self._file.position

    def stamp(self) -> FileStamp:
        """Read what is left of the file, and return its stamp (of a whole file, not of a slice)."""
        while self._file.take(CHUNK_BYTES):
            pass
        return FileStamp(self.path.name, self.size, self._file.digest.hexdigest())

    def _check(self, head: bytes) -> None:
        if not head:
            raise DumpError(f"{self.path}: the file is empty; download it again")
        for magic, hint in _HINTS:
            if head.startswith(magic):
                raise DumpError(f"{self.path}: {hint}")

    def chunks(self) -> Iterator[bytes]:
        """Yield the text of the slice as valid UTF-8; `</mediawiki>` is added where a page follows.

        Raises:
            DumpError: the file ends too soon, is damaged, or is an HTML page.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        pending = b""
        unchecked = self._start == 0
        for raw in filter(None, self._body()):
            if unchecked:
                self._check_markup(raw)
                unchecked = False
            data = pending + raw
            try:
                data.decode()
            except UnicodeDecodeError:
                decoder.reset()
                text = decoder.decode(data)
                pending = decoder.getstate()[0]
                self._count_replaced(text, data[: len(data) - len(pending)])
                data = text.encode()
            else:
                pending = b""
            if data:
                yield data
        if pending:
            self.replaced += 1
            yield _REPLACEMENT.encode()

    def _count_replaced(self, text: str, data: bytes) -> None:
        self.replaced += text.count(_REPLACEMENT) - data.count(_REPLACEMENT.encode())

    def blocks(self) -> Iterator[bytes]:
        """Yield the decompressed bytes as they are: SQL and JSON dumps decode their own strings.

        Raises:
            DumpError: the file ends too soon or is damaged.
        """
        for block, _ in self._blocks():
            yield block

    def _body(self) -> Iterator[bytes]:
        """Yield the bytes from the first page that begins in the slice to the first one past its end.

        Nothing if no page begins here; the first slice also has what stands before the first page.
        """
        blocks = self._blocks()
        begun, held, past_end = self._start == 0, b"", b""
        for block, past in blocks:
            if past:
                past_end = block
                break
            data = held + block
            found = 0 if begun else data.find(PAGE_MARK)
            if found < 0:
                held = data[1 - len(PAGE_MARK) :]
                continue
            begun, held = True, b""
            yield data[found:]
            self._remember(data[found:])
        rest = (block for block, _ in blocks)
        if not begun:
            while len(past_end) < len(PAGE_MARK) and (block := next(rest, b"")):
                past_end += block
            across = (held + past_end[: len(PAGE_MARK) - 1]).find(PAGE_MARK)
            if across < 0:
                return
            yield held[across:]
        yield from self._past_end(chain([past_end], rest))

    def _past_end(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the bytes up to the next page; without one, the root must have been closed."""
        held = b""
        for block in blocks:
            data = held + block
            found = data.find(PAGE_MARK)
            if found >= 0:
                self.page_follows = True
                yield data[:found] + END_MARK
                return
            kept = max(len(data) - len(PAGE_MARK) + 1, 0)
            yield data[:kept]
            self._remember(data[:kept])
            held = data[kept:]
        yield held
        if not _ROOT_CLOSED.search(self._last + held):
            raise DumpError(
                f"{self.path}: the XML ends too soon, after {self.position} bytes;"
                " the download is incomplete, fetch it again"
            )

    def _remember(self, data: bytes) -> None:
        self._last = (self._last + data[-_TAIL_BYTES:])[-_TAIL_BYTES:]

    def _blocks(self) -> Blocks:
        try:
            yield from blocks_of(self._file, self._head, self._stop)
        except NoStreamError as error:
            raise FalseBoundaryError(f"{self.path}: {error}") from error
        except EOFError as error:
            message = (
                f"{self.path}: the compressed file ends too soon, after {self.position} bytes;"
                " the download is incomplete, fetch it again"
            )
            raise DumpError(message) from error
        except (OSError, zlib.error) as error:
            message = f"{self.path}: damaged near byte {self.position} ({error}); fetch it again"
            raise DumpError(message) from error

    def _check_markup(self, start: bytes) -> None:
        head = start[:512].removeprefix(codecs.BOM_UTF8).lstrip()
        if head.lower().startswith(_HTML_HEADS):
            raise DumpError(
                f"{self.path}: this is HTML, not a dump (an error page saved under its name?);"
                " fetch the dump again"
            )
        if not head.startswith(b"<"):
            raise DumpError(
                f"{self.path}: neither XML nor bz2 nor gzip (it begins with {head[:12]!r});"
                " a MediaWiki export is expected"
            )
