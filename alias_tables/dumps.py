"""Pages of a MediaWiki export (pages-articles, schema 0.3 to 0.11), streamed in flat memory.

In: one part of a dump, or a slice of its body. Out: its `Site` and its pages, one at a time. Pages written
as MediaWiki writes them are cut out and read by `canonical_pages`; all else goes through expat
(`export_xml`), which also judges what is malformed: the pages are the same either way.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

from alias_tables.canonical_pages import LONGEST_PAGE, PAGE_START, CanonicalPages, look_over
from alias_tables.errors import DumpError
from alias_tables.export_xml import ExportParser, Page, PageInPageError
from alias_tables.site import Site
from alias_tables.sources import FileStamp, Source

__all__ = ["DumpReader", "Page"]

_END_TAG = re.compile(rb"</(?:page|siteinfo)>")


class DumpReader:
    """Reads one part of a dump, or a slice of its body; use as a context manager, and `pages()` once.

    Args:
        source: a part of a dump, or what gives its bytes.
        max_page_chars: the text of a longer page is dropped, and the page says so.
        skip_damaged_pages: resume at the next page after malformed XML instead of failing.
        site: the wiki, if the bytes are a slice: they begin anywhere before a `<page>`, and may end
            between two pages. What stands before the first `<page>` belongs to the slice before and
            is passed over; the end of the last page must be there.
    """

    def __init__(
        self,
        source: Source | Path,
        *,
        max_page_chars: int,
        skip_damaged_pages: bool = False,
        site: Site | None = None,
    ) -> None:
        self._source = Source(source) if isinstance(source, Path) else source
        self._path = self._source.path
        self._export = ExportParser(self._path, max_page_chars)
        self._canonical = CanonicalPages(max_page_chars)
        self._skip = skip_damaged_pages
        self._slice_of = site
        self._searching = site is not None
        self._between_pages = False
        self._held = b""
        self._recent = b""
        self._plain = True
        self._n_lines = 0
        self.damaged = 0
        """Places where the XML was malformed and reading resumed at the next page."""

    def __enter__(self) -> "DumpReader":  # noqa: PYI034 (beartype refuses `Self`)
        return self

    def __exit__(self, *_: object) -> None:
        self._source.__exit__()

    @property
    def site(self) -> Site:
        """The wiki, as far as `<siteinfo>` has been read: complete from the first page on."""
        return self._slice_of or self._export.site

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        return self._source.position

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._source.size

    @property
    def replaced(self) -> int:
        """Byte sequences that were no UTF-8."""
        return self._source.replaced

    def stamp(self) -> FileStamp:
        """Return name, size and hash of the file, reading it to its end."""
        return self._source.stamp()

    def pages(self) -> Iterator[Page]:
        """Yield the pages in file order.

        Raises:
            DumpError: the file is no export, is damaged, or ends too soon; the message names the file
                and the byte or line.
        """
        for chunk in self._source.chunks():
            n_lines, plain = look_over(chunk)
            self._n_lines += n_lines
            self._plain = plain and (self._plain or not self._held)
            yield from self._read(self._held + chunk if self._held else chunk, last=False)
        yield from self._read(self._held, last=True)
        if not self._searching:
            self._finish()

    def _read(self, data: bytes, *, last: bool) -> Iterator[Page]:
        """Yield the pages that end in the data; hold back what must be seen together with the next."""
        position = 0
        self._held = b""
        while position < len(data):
            if self._searching:
                position = data.find(PAGE_START, position)
                if position < 0:
                    self._held = data[1 - len(PAGE_START) :]
                    return
                self._export.restart()
                self._searching, self._between_pages = False, True
            while self._between_pages:
                read = self._canonical.read(data, position, plain=self._plain)
                if read is None:
                    break
                page, position = read
                yield page
            end_tag = _END_TAG.search(data, position)
            waits = self._between_pages and len(data) - position < LONGEST_PAGE
            if end_tag is None and waits and not last:
                self._held = data[position:]
                return
            position = self._parse(data, position, end_tag.end() if end_tag else len(data))
            self._between_pages = end_tag is not None and self._export.ended_with(end_tag[0])
            yield from self._export.take()

    def _parse(self, data: bytes, start: int, stop: int) -> int:
        """Give bytes to the XML parser; return how far it came: up to the damage, if there is any."""
        piece = data[start:stop]
        try:
            self._export.feed(piece)
        except (expat.ExpatError, PageInPageError) as error:
            offset = self._export.error_offset
            position = start + max(offset, 0)
            if not self._skip:
                line = self._n_lines - data.count(b"\n", position) + 1
                raise DumpError(
                    f"{self._path}: malformed XML in line {line} ({error}), within {self.position}"
                    " bytes read; fetch the dump again, or skip damaged pages"
                ) from error
            self.damaged += 1
            begun = self._recent[offset:] if offset < 0 else b""
            if begun and (begun + piece).startswith(PAGE_START):  # the piece before ends in `<pa`
                self._export.restart()
                self._export.feed(begun)
            else:
                self._searching = True
            return position
        self._recent = (self._recent + piece)[1 - len(PAGE_START) :]
        return stop

    def _finish(self) -> None:
        try:
            self._export.finish(close_root=self._slice_of is not None)
        except expat.ExpatError as error:
            raise DumpError(
                f"{self._path}: the XML ends too soon, after {self.position} bytes ({error});"
                " the download is incomplete, fetch it again"
            ) from error
