"""Opening one part of a dump: what kind of file it is, its bytes as text, and how far it was read.

In: .xml, .xml.bz2 (multistream too) or .xml.gz, told apart by their first bytes. Out: chunks of valid
UTF-8. Whatever is no dump is refused with a message that names the file and the byte.
"""

import bz2
import codecs
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from typing_extensions import override

from alias_tables.errors import DumpError

CHUNK_BYTES = 1 << 18

_REPLACEMENT = "\ufffd"
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


class _HashedFile(io.RawIOBase):
    """A file that hashes what is read of it, once, in order."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self.digest = hashlib.sha256()
        self.position = 0

    @override
    def readable(self) -> bool:
        """Say yes, as io.RawIOBase asks."""
        return True

    @override
    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # narrower than typeshed's buffer
        """Read, and hash what was read."""
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self.digest.update(data)
        self.position += len(data)
        return len(data)


class Source:
    """One open part of a dump; use as a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.replaced = 0
        """How many byte sequences were no UTF-8 and became U+FFFD."""
        try:
            self.size = path.stat().st_size
            self._handle = path.open("rb")
        except OSError as error:
            message = f"{path}: cannot be read ({error.strerror}); check the path"
            raise DumpError(message) from error
        self._hashed = _HashedFile(self._handle)
        head = self._handle.read(512)
        self._handle.seek(0)
        try:
            self._check(head)
        except DumpError:
            self._handle.close()
            raise
        self._stream = self._decompress(head)

    def __enter__(self) -> "Source":  # noqa: PYI034 (beartype refuses `Self`)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    @property
    def position(self) -> int:
        """Bytes of the file read so far, compressed if it is."""
        return self._hashed.position

    def stamp(self) -> FileStamp:
        """Read what is left of the file, and return its stamp."""
        while self._hashed.read(CHUNK_BYTES):
            pass
        return FileStamp(self.path.name, self.size, self._hashed.digest.hexdigest())

    def _check(self, head: bytes) -> None:
        if not head:
            raise DumpError(f"{self.path}: the file is empty; download it again")
        for magic, hint in _HINTS:
            if head.startswith(magic):
                raise DumpError(f"{self.path}: {hint}")

    def _decompress(self, head: bytes) -> BinaryIO:
        buffered = io.BufferedReader(self._hashed, CHUNK_BYTES)
        if head.startswith(b"BZh"):
            return cast("BinaryIO", bz2.BZ2File(buffered))
        if head.startswith(b"\x1f\x8b"):
            return cast("BinaryIO", gzip.GzipFile(fileobj=buffered))
        return cast("BinaryIO", buffered)

    def chunks(self) -> Iterator[bytes]:
        """Yield the decompressed bytes as valid UTF-8.

        Raises:
            DumpError: the file ends too soon, is damaged, or is an HTML page.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        first = True
        while True:
            raw = self._read()
            if first:
                self._check_markup(raw)
                first = False
            text = decoder.decode(raw, final=not raw)
            if _REPLACEMENT in text:
                self.replaced += text.count(_REPLACEMENT) - raw.count(_REPLACEMENT.encode())
            if text:
                yield text.encode()
            if not raw:
                return

    def blocks(self) -> Iterator[bytes]:
        """Yield the decompressed bytes as they are: SQL and JSON dumps decode their own strings.

        Raises:
            DumpError: the file ends too soon or is damaged.
        """
        while block := self._read():
            yield block

    def _read(self) -> bytes:
        try:
            return self._stream.read(CHUNK_BYTES)
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
