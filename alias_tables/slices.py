"""Cuts the parts of a dump into slices that workers read apart from one another.

In: a part of a dump. Out: its `Site`, and its slices of about equal size: plain XML is cut anywhere (a slice
holds the pages that begin in it), multistream bz2 where a stream begins, a single stream or gzip not at all.
Streams are found by their magic near the places wanted, so the index file of a multistream dump is not
needed; a hit counts if a block decompresses from it, and the reader of the slice before proves it.
"""

import bz2
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from alias_tables.dumps import DumpReader
from alias_tables.errors import DumpError
from alias_tables.packed import BZ2_MAGIC, CHUNK_BYTES, GZIP_MAGIC
from alias_tables.site import Site
from alias_tables.sources import Source

MIN_SLICE_BYTES = 1 << 18
MAX_SLICE_BYTES = 1 << 25
"""A multistream bz2 slice of this size is about 120 MB of XML: half a minute to two of work."""
SLICES_A_BUILD = 64
"""Enough for even work on a dozen of workers."""

_STREAM = re.compile(rb"BZh[1-9]1AY&SY")
_STREAM_BYTES = 10
_HEAD_CHARS = 10_000
_MAX_BLOCK_BYTES = 900_000
_SEARCH_BYTES = 1 << 28
"""A file without a stream within this is one of few streams; the rest of it is one slice."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The pages of a part that begin between two of its bytes; `stop` None is the end of the file."""

    part: Path
    number: int
    """Which of the parts, in their order."""
    start: int
    stop: int | None
    n_bytes: int
    """Length in the file, for the progress."""


def ordered_parts(dumps: Sequence[Path]) -> list[Path]:
    """Return the parts in an order of their own, later dates of equal names first.

    The links of a page that stands in several dumps are those of the first part read, so that order must
    not depend on the caller's.
    """
    return sorted(dumps, key=lambda path: (path.name, path.resolve().as_posix()), reverse=True)


def read_site(path: Path) -> Site | None:
    """Read the head of a part, and return its wiki; None if the part has no page at all.

    Raises:
        DumpError: the file is no dump, or damaged before its first page.
    """
    with Source(path, 0, 0) as source, DumpReader(source, max_page_chars=_HEAD_CHARS) as reader:
        for _ in reader.pages():
            pass
        return reader.site if source.page_follows else None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be read of a dump, in the order that decides between two versions of a page."""

    parts: tuple[Path, ...]
    site: Site
    slices: tuple[Slice, ...]

    def uncut(self) -> "Plan":
        """Return the plan that reads each bz2 part as one slice."""
        slices: list[Slice] = []
        for piece in self.slices:
            with piece.part.open("rb") as file:
                packed = file.read(len(BZ2_MAGIC)) == BZ2_MAGIC
            if not packed:
                slices.append(piece)
            elif piece.start == 0:
                slices.append(Slice(piece.part, piece.number, 0, None, piece.part.stat().st_size))
        return replace(self, slices=tuple(slices))


def plan_reading(dumps: Sequence[Path], language: str | None, slice_bytes: int | None) -> Plan:
    """Read the heads of all parts, and cut them into slices.

    Args:
        dumps: the parts, in any order.
        language: takes the place of the language the dump names.
        slice_bytes: length of a slice in the file; by default it depends on the size of the dump alone.

    Raises:
        DumpError: a part is missing or no dump, or they are of several wikis.
    """
    parts = ordered_parts(dumps)
    total = check_parts(parts)
    wanted = slice_bytes or min(max(total // SLICES_A_BUILD, MIN_SLICE_BYTES), MAX_SLICE_BYTES)
    site: Site | None = None
    slices: list[Slice] = []
    for number, part in enumerate(parts):
        own = read_site(part)
        if own is None:
            continue
        if site is not None and site.dbname != own.dbname:
            raise DumpError(
                f"{part}: a part of {own.dbname or 'an unnamed wiki'}, the others are of"
                f" {site.dbname or 'an unnamed wiki'}; build one table a wiki"
            )
        site = site or replace(own, language=language or own.language)
        slices.extend(cut_part(part, number, wanted))
    return Plan(tuple(parts), site or Site(language=language or "en"), tuple(slices))


def cut_part(path: Path, number: int, slice_bytes: int) -> list[Slice]:
    """Return the slices of a part, in order."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(len(BZ2_MAGIC))
        if head.startswith(GZIP_MAGIC):
            cuts: list[int] = []
        elif head == BZ2_MAGIC:
            cuts = list(_stream_cuts(file, size, slice_bytes))
        else:
            cuts = list(range(slice_bytes, size, slice_bytes))
    starts, stops = [0, *cuts], [*cuts, None]
    return [
        Slice(path, number, start, stop, (size if stop is None else stop) - start)
        for start, stop in zip(starts, stops, strict=True)
    ]


def _stream_cuts(file: BinaryIO, size: int, slice_bytes: int) -> Iterator[int]:
    """Yield the first stream after each stretch of `slice_bytes`."""
    wanted = slice_bytes
    while wanted < size:
        found = _next_stream(file, wanted)
        if found is None:
            return
        yield found
        wanted = found + slice_bytes


def _next_stream(file: BinaryIO, start: int) -> int | None:
    """Return where the first stream at or after a byte begins, if there is one in reach."""
    position, kept = start, b""
    file.seek(start)
    while position < start + _SEARCH_BYTES and (block := file.read(CHUNK_BYTES)):
        data = kept + block
        offset = position - len(kept)
        for match in _STREAM.finditer(data):
            if _is_stream(file, offset + match.start()):
                return offset + match.start()
        position += len(block)
        file.seek(position)
        kept = data[1 - _STREAM_BYTES :]
    return None


def _is_stream(file: BinaryIO, start: int) -> bool:
    """Say whether a whole block decompresses from here, its checksum included."""
    file.seek(start)
    decompressor = bz2.BZ2Decompressor()
    wanted = _MAX_BLOCK_BYTES + 1
    try:
        while wanted > 0 and not decompressor.eof:
            data = file.read(CHUNK_BYTES) if decompressor.needs_input else b""
            if not data and decompressor.needs_input:
                return False
            wanted -= len(decompressor.decompress(data, wanted))
    except OSError:
        return False
    return True


def check_parts(parts: Sequence[Path]) -> int:
    """Return the bytes of all parts; a missing one is refused before anything is read."""
    total = 0
    for path in parts:
        if not path.is_file():
            raise DumpError(f"{path}: no such file; check the path")
        total += path.stat().st_size
    return total
