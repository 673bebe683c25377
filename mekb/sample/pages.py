"""Reader of the sample wiki: plain text files of pages, each headed by one `%%%` line.

    %%% Heat (1995 film) | Q42198          an article and its Wikidata id
    %%% Titanic | disambiguation           a disambiguation page, which has no id here
    %%% Template:Infobox film | none       a page of another namespace, or one without an id
    %%% Kubrick -> Stanley Kubrick         a redirect

What follows a head line, up to the next, is the page's wikitext. A title occurs once, and so does an id.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files

from mekb.errors import SourceError

HEAD = "%%%"
_REDIRECT = re.compile(r"(?P<title>[^|]+?) -> (?P<target>.+)")
_PAGE = re.compile(r"(?P<title>.+?) \| (?P<kind>Q[1-9][0-9]*|disambiguation|none)")


@dataclass(frozen=True)
class WikiPage:
    """One page of the sample wiki."""

    title: str
    text: str
    qid: str | None = None
    redirect: str | None = None
    """The title it leads to, or None for a page of its own."""


def _page(head: str, body: str, source: str) -> WikiPage:
    """Make a page of its head line (without the marks) and its wikitext."""
    if match := _REDIRECT.fullmatch(head):
        if body:
            raise SourceError(f"{source}: the redirect {head!r} has text; a redirect is one line")
        target = match["target"]
        return WikiPage(match["title"], f"#REDIRECT [[{target}]]", redirect=target)
    match = _PAGE.fullmatch(head)
    if match is None or not body:
        raise SourceError(
            f"{source}: bad page {head!r}; write 'Title | Q123', 'Title | disambiguation' or"
            " 'Title | none' with text below, or 'Title -> Target'"
        )
    if match["kind"] == "disambiguation":
        return WikiPage(match["title"], f"{body}\n\n{{{{disambiguation}}}}")
    return WikiPage(match["title"], body, qid=None if match["kind"] == "none" else match["kind"])


def read_pages(text: str, source: str = "pages") -> Iterator[WikiPage]:
    r"""Read the pages of one file.

    Args:
        text: The file's content.
        source: Its name, for messages.

    Raises:
        SourceError: A head line is malformed, or a page has no text.

    >>> [page.qid for page in read_pages("%%% Moon | Q405\nThe '''Moon''' is round.")]
    ['Q405']
    """
    before, *chunks = re.split(rf"^{HEAD} ", text, flags=re.MULTILINE)
    if before.strip():
        raise SourceError(f"{source}: text before the first page; begin with '{HEAD} Title | Q123'")
    for chunk in chunks:
        head, _, body = chunk.partition("\n")
        yield _page(head.strip(), body.strip(), source)


def check_unique(pages: Iterable[WikiPage]) -> None:
    """Refuse a title or an id that two pages claim.

    Raises:
        SourceError: Naming the pages.
    """
    titles: set[str] = set()
    owners: dict[str, str] = {}
    for page in pages:
        if page.title in titles:
            raise SourceError(f"two pages are called {page.title!r}; keep one")
        titles.add(page.title)
        if page.qid is not None and owners.setdefault(page.qid, page.title) != page.title:
            raise SourceError(f"{page.qid} is claimed by {owners[page.qid]!r} and {page.title!r}")


def sample_pages() -> list[WikiPage]:
    """Return every page of the sample wiki, files by name, pages in the order of their file.

    Raises:
        SourceError: The files are malformed or contradict each other.
    """
    folder = files("mekb.sample") / "pages"
    pages = [
        page
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".wiki")
        for page in read_pages(file.read_text(encoding="utf-8"), file.name)
    ]
    check_unique(pages)
    return pages
