"""Decompression: the blocks of a plain, bz2 or gzip file from one byte of it on.

In: an open file. Out: decompressed blocks, and of each whether it lies past the end of a slice. Of bz2, every
stream is read; what follows the last one is passed over, as bzip2 does.
"""

import bz2
import gzip
import hashlib
import io
from collections.abc import Generator, Iterator
from typing import BinaryIO

from typing_extensions import override

CHUNK_BYTES = 1 << 18
BZ2_MAGIC = b"BZh"
GZIP_MAGIC = b"\x1f\x8b"

Blocks = Iterator[tuple[bytes, bool]]
"""Decompressed bytes, and whether they lie past the end of the slice."""


class NoStreamError(Exception):
    """No bz2 stream begins at a byte where one was said to."""

    def __init__(self, byte: int) -> None:
        super().__init__(f"no stream begins at byte {byte}")


class HashedFile(io.RawIOBase):
    """A file that hashes what is read of it, once, in order; or only counts it."""

    def __init__(self, raw: BinaryIO, start: int, *, hashed: bool) -> None:
        self._raw = raw
        self._hashed = hashed
        self.digest = hashlib.sha256()
        self.position = start
        raw.seek(start)

    @override
    def readable(self) -> bool:
        """Say yes, as io.RawIOBase asks."""
        return True

    @override
    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # narrower than typeshed's buffer
        """Read, and hash what was read."""
        data = self.take(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def take(self, n_bytes: int) -> bytes:
        """Read without a copy."""
        data = self._raw.read(n_bytes)
        if self._hashed:
            self.digest.update(data)
        self.position += len(data)
        return data


def blocks_of(file: HashedFile, head: bytes, stop: int | None) -> Blocks:
    """Yield the blocks of a file from where it stands.

    Args:
        file: the file, at the start of the slice.
        head: the first bytes of the file, which tell its kind.
        stop: where the slice ends in the file; None: with it.

    Raises:
        NoStreamError: the slice of a bz2 file does not begin or end where a stream begins.
        OSError, EOFError, zlib.error: the file is damaged, or ends too soon.
    """
    if head.startswith(BZ2_MAGIC):
        return _bz2_blocks(file, stop)
    if head.startswith(GZIP_MAGIC):
        return _gzip_blocks(file, stop)
    return _plain_blocks(file, stop)


def _plain_blocks(file: HashedFile, stop: int | None) -> Blocks:
    while stop is None or file.position < stop:
        block = file.take(CHUNK_BYTES if stop is None else min(CHUNK_BYTES, stop - file.position))
        if not block:
            return
        yield block, False
    while block := file.take(CHUNK_BYTES):
        yield block, True


def _gzip_blocks(file: HashedFile, stop: int | None) -> Blocks:
    stream = gzip.GzipFile(fileobj=io.BufferedReader(file, CHUNK_BYTES))
    while block := stream.read(CHUNK_BYTES):
        yield block, stop is not None


def _bz2_blocks(file: HashedFile, stop: int | None) -> Blocks:
    start = file.position
    past = stop is not None and start >= stop
    data = file.take(CHUNK_BYTES)
    if not data.startswith(BZ2_MAGIC):
        raise NoStreamError(start)
    while data.startswith(BZ2_MAGIC):
        data = yield from _bz2_stream(file, data, past)
        if stop is not None and not past:
            boundary = file.position - len(data)
            past = boundary == stop
            if boundary > stop:
                raise NoStreamError(stop)
    if stop is not None and not past:
        raise OSError("a stream lacks its head")


def _bz2_stream(
    file: HashedFile, data: bytes, past: bool
) -> Generator[tuple[bytes, bool], None, bytes]:
    """Yield the blocks of one stream, of which `data` was read already; return what was read past its end."""
    decompressor = bz2.BZ2Decompressor()
    while not decompressor.eof:
        if decompressor.needs_input and not data:
            data = file.take(CHUNK_BYTES)
            if not data:
                raise EOFError
        block, data = decompressor.decompress(data, CHUNK_BYTES), b""
        if block:
            yield block, past
    rest = decompressor.unused_data
    return rest if len(rest) >= len(BZ2_MAGIC) else rest + file.take(CHUNK_BYTES)
