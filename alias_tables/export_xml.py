"""The elements of a MediaWiki export (schema 0.3 to 0.11), read by expat: any document, well-formed or not.

In: pieces of bytes in order. Out: the `Page`s that ended in them, and what `<siteinfo>` says. A document
type, and with it every entity bomb, is refused. What is ours is the meaning of the elements.
"""

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from alias_tables.errors import DumpError
from alias_tables.site import Site

_ROOT = b"<mediawiki>"
_ROOT_END = b"</mediawiki>"


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


class PageInPageError(Exception):
    """A `<page>` inside a page: the end of the outer one was lost."""


class ExportParser:
    """Turns expat's events into pages; holds at most one page and its text."""

    def __init__(self, path: Path, max_chars: int) -> None:
        self._path = path
        self._max_chars = max_chars
        self._fields = _SiteFields()
        self._done: list[Page] = []
        self._begin()

    def _begin(self) -> None:
        self._stack: list[str] = []
        self._pieces: list[str] = []
        self._n_chars = 0
        self._namespace_key: int | None = None
        self._page: Page | None = None
        self._closed_at = -1
        self._fed = 0
        self._piece_start = 0
        self._error_at: int | None = None
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.buffer_size = 1 << 16
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype
        self._parser = parser

    def restart(self) -> None:
        """Forget the page in work and stand right inside a new root element."""
        self._begin()
        self.feed(_ROOT)

    @property
    def site(self) -> Site:
        """The wiki, as far as `<siteinfo>` has been read."""
        return self._fields.site()

    def feed(self, piece: bytes) -> None:
        """Read the next bytes.

        Raises:
            DumpError: the document is no export.
            ExpatError, PageInPageError: it is malformed, at `error_offset`.
        """
        self._piece_start = self._fed
        self._fed += len(piece)
        self._parser.Parse(piece, False)  # noqa: FBT003 (expat's positional isfinal)

    def take(self) -> list[Page]:
        """Return the pages that ended since the last call."""
        done, self._done = self._done, []
        return done

    def ended_with(self, tag: bytes) -> bool:
        """Say whether the last bytes fed were this end tag, of a child of the root."""
        return len(self._stack) == 1 and self._closed_at + len(tag) == self._fed

    @property
    def error_offset(self) -> int:
        """Where in the last piece the error stands; negative if it began before."""
        at = self._parser.CurrentByteIndex if self._error_at is None else self._error_at
        return at - self._piece_start

    def finish(self, *, close_root: bool) -> None:
        """End the document; with `close_root` as if its last end tag were there.

        Raises:
            ExpatError: something is still open.
        """
        if close_root and self._stack:
            self.feed(_ROOT_END)
        self._parser.Parse(b"", True)  # noqa: FBT003 (expat's positional isfinal)

    def _doctype(self, *_: object) -> None:
        raise DumpError(
            f"{self._path}: it declares a document type or entities, which no dump does; refused"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._stack:
            if name != "mediawiki":
                kind = "this is HTML, not a dump" if name.lower() == "html" else f"root is <{name}>"
                raise DumpError(f"{self._path}: {kind}; a MediaWiki export is expected")
            self._fields.language = attributes.get("xml:lang", self._fields.language)
        self._stack.append(name)
        self._pieces, self._n_chars = [], 0
        if name == "page":
            if self._page is not None:
                self._error_at = self._parser.CurrentByteIndex
                raise PageInPageError("a page begins inside a page")
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
        if len(self._stack) == 1:
            self._closed_at = self._parser.CurrentByteIndex
        if self._page is None:
            self._end_of_siteinfo(name)
        elif name == "page":
            self._done.append(self._page)
            self._page = None
        else:
            self._end_in_page(self._page, name)
        self._pieces, self._n_chars = [], 0

    def _end_of_siteinfo(self, name: str) -> None:
        value = "".join(self._pieces).strip()
        if name == "namespace" and self._namespace_key is not None:
            self._fields.namespaces[value] = self._namespace_key
        elif name == "dbname":
            self._fields.dbname = value
        elif name == "case":
            self._fields.first_letter = value != "case-sensitive"

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
