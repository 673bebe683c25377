"""Pages of a MediaWiki export (pages-articles, schema 0.3 to 0.11), streamed in flat memory.

In: one part of a dump. Out: its `Site` and its pages, one at a time. XML is read by expat; a document
type, and with it every entity bomb, is refused. What is ours is the meaning of the elements.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from alias_tables.errors import DumpError
from alias_tables.site import Site
from alias_tables.sources import FileStamp, Source

_ROOT = b"<mediawiki>"
_ROOT_END = b"</mediawiki>"
_RESUME_MARK = b"<page>"


@dataclass(slots=True)
class Page:
    """One page and its newest revision in the file."""

    title: str = ""
    namespace: int | None = None
    page_id: int = 0
    revision_id: int = 0
    redirect: str | None = None
    """Title in `<redirect>`: MediaWiki's own word, whatever the text says."""
    model: str = "wikitext"
    text: str = ""
    deleted: bool = False
    too_long: bool = False
    """The text passed the limit and was dropped."""


@dataclass(slots=True)
class _SiteFields:
    dbname: str = ""
    language: str = "en"
    first_letter: bool = True
    namespaces: dict[str, int] = field(default_factory=dict)

    def site(self) -> Site:
        return Site(self.dbname, self.language, self.first_letter, dict(self.namespaces))


class _PageInPageError(Exception):
    """A `<page>` inside a page: the end of the outer one was lost."""

    def __init__(self, position: int) -> None:
        super().__init__("a page begins inside a page")
        self.position = position


class _Handler:
    """Turns expat's events into pages; holds at most one page and its text."""

    def __init__(self, path: Path, max_chars: int) -> None:
        self._path = path
        self._max_chars = max_chars
        self._stack: list[str] = []
        self._pieces: list[str] = []
        self._n_chars = 0
        self._namespace_key: int | None = None
        self._page: Page | None = None
        self.root_open = False
        self.fields = _SiteFields()
        self.done: list[Page] = []

    def parser(self, *, resumed: bool = False) -> expat.XMLParserType:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.buffer_size = 1 << 16
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype
        self._parser = parser
        if resumed:
            self._stack, self._page = [], None
            parser.Parse(_ROOT, False)  # noqa: FBT003 (expat's positional isfinal)
        return parser

    def _doctype(self, *_: object) -> None:
        raise DumpError(
            f"{self._path}: it declares a document type or entities, which no dump does; refused"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._stack:
            if name != "mediawiki":
                kind = "this is HTML, not a dump" if name.lower() == "html" else f"root is <{name}>"
                raise DumpError(f"{self._path}: {kind}; a MediaWiki export is expected")
            self.fields.language = attributes.get("xml:lang", self.fields.language)
            self.root_open = True
        self._stack.append(name)
        self._pieces, self._n_chars = [], 0
        if name == "page":
            if self._page is not None:
                raise _PageInPageError(self._parser.CurrentByteIndex)
            self._page = Page()
        elif name == "namespace":
            key = attributes.get("key", "")
            self._namespace_key = int(key) if key.lstrip("-").isdigit() else None
        elif self._page is not None:
            self._start_in_page(self._page, name, attributes)

    def _start_in_page(self, page: Page, name: str, attributes: dict[str, str]) -> None:
        if name == "redirect":
            page.redirect = attributes.get("title")
        elif name == "revision":  # a later one replaces an earlier one, and all that it said
            page.text, page.model, page.deleted, page.too_long = "", "wikitext", False, False
        elif name == "text" and "deleted" in attributes:
            page.deleted = True

    def _characters(self, data: str) -> None:
        self._n_chars += len(data)
        if self._n_chars <= self._max_chars:
            self._pieces.append(data)
        else:
            self._pieces.clear()

    def _end(self, name: str) -> None:
        self._stack.pop()
        self.root_open = bool(self._stack)
        if self._page is None:
            self._end_of_siteinfo(name)
        elif name == "page":
            self.done.append(self._page)
            self._page = None
        else:
            self._end_in_page(self._page, name)
        self._pieces, self._n_chars = [], 0

    def _end_of_siteinfo(self, name: str) -> None:
        value = "".join(self._pieces).strip()
        if name == "namespace" and self._namespace_key is not None:
            self.fields.namespaces[value] = self._namespace_key
        elif name == "dbname":
            self.fields.dbname = value
        elif name == "case":
            self.fields.first_letter = value != "case-sensitive"

    def _end_in_page(self, page: Page, name: str) -> None:
        value = "".join(self._pieces)
        parent = self._stack[-1]
        match name, parent:
            case "title", "page":
                page.title = value
            case "ns", "page":
                page.namespace = _number(value, default=-1)
            case "id", "page":
                page.page_id = _number(value, default=0)
            case "id", "revision":
                page.revision_id = _number(value, default=0)
            case "model", "revision":
                page.model = value.strip()
            case "text", "revision":
                page.text = value
                page.too_long = self._n_chars > self._max_chars
            case _:
                pass


def _number(value: str, *, default: int) -> int:
    try:
        return int(value)
    except ValueError:
        return default


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
        self._handler = _Handler(self._path, max_page_chars)
        self._skip = skip_damaged_pages
        self._parser = self._handler.parser()
        self._fed = 0
        self._slice_of = site
        self._searching = site is not None
        self._tail = b""
        self.damaged = 0
        """Places where the XML was malformed and reading resumed at the next page."""

    def __enter__(self) -> "DumpReader":  # noqa: PYI034 (beartype refuses `Self`)
        return self

    def __exit__(self, *_: object) -> None:
        self._source.__exit__()

    @property
    def site(self) -> Site:
        """The wiki, as far as `<siteinfo>` has been read: complete from the first page on."""
        return self._slice_of or self._handler.fields.site()

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
            self._feed(chunk)
            yield from self._handler.done
            self._handler.done.clear()
        if not self._searching:
            self._finish()

    def _feed(self, data: bytes) -> None:
        data, self._tail = self._tail + data, b""
        while data:
            if self._searching:
                found = data.find(_RESUME_MARK)
                if found < 0:
                    self._tail = data[1 - len(_RESUME_MARK) :]
                    return
                data = data[found:]
                self._parser, self._fed = self._handler.parser(resumed=True), len(_ROOT)
                self._searching = False
            before = self._fed
            self._fed += len(data)
            try:
                self._parser.Parse(data, False)  # noqa: FBT003 (expat's positional isfinal)
            except (expat.ExpatError, _PageInPageError) as error:
                self._refuse_or_count(error)
                position = self._parser.CurrentByteIndex
                if isinstance(error, _PageInPageError):
                    position = error.position
                data = data[max(position - before, 0) :]
            else:
                return

    def _refuse_or_count(self, error: Exception) -> None:
        if not self._skip:
            line = self._parser.CurrentLineNumber
            raise DumpError(
                f"{self._path}: malformed XML in line {line} ({error}), within {self.position} bytes"
                " read; fetch the dump again, or skip damaged pages"
            ) from error
        self.damaged += 1
        self._searching = True

    def _finish(self) -> None:
        try:
            if self._slice_of is not None and self._handler.root_open:
                self._parser.Parse(_ROOT_END, False)  # noqa: FBT003 (expat's positional isfinal)
            self._parser.Parse(b"", True)  # noqa: FBT003 (expat's positional isfinal)
        except expat.ExpatError as error:
            raise DumpError(
                f"{self._path}: the XML ends too soon, after {self.position} bytes ({error});"
                " the download is incomplete, fetch it again"
            ) from error
