"""A small wiki made here: pages in, a dump in MediaWiki's export format out."""

import bz2
import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import duckdb
import pytest

NAMESPACES = {
    -2: "Media",
    -1: "Special",
    0: "",
    1: "Talk",
    4: "Wikipedia",
    6: "File",
    10: "Template",
    14: "Category",
}


@dataclass(frozen=True)
class WikiPage:
    """One page of the small wiki."""

    page_id: int
    title: str
    text: str = ""
    redirect: str | None = None
    namespace: int | None = 0
    model: str = "wikitext"
    text_attributes: str = 'xml:space="preserve"'
    revision_id: int | None = None
    raw: str | None = None

    def xml(self) -> str:
        """Return the page's element."""
        if self.raw is not None:
            return self.raw
        redirect = "" if self.redirect is None else f"<redirect title={quoteattr(self.redirect)} />"
        namespace = "" if self.namespace is None else f"<ns>{self.namespace}</ns>"
        return (
            f"<page>\n<title>{escape(self.title)}</title>{namespace}<id>{self.page_id}</id>{redirect}\n"
            f"<revision><id>{self.revision_id or self.page_id}</id><model>{self.model}</model>"
            f"<text {self.text_attributes}>{escape(self.text)}</text></revision>\n</page>\n"
        )


def dump_xml(
    pages: Sequence[WikiPage],
    *,
    dbname: str = "enwiki",
    language: str = "en",
    case: str = "first-letter",
    namespaces: dict[int, str] | None = None,
) -> bytes:
    """Return the dump of some pages."""
    names = "".join(
        f'<namespace key="{key}" case="{case}">{name}</namespace>'
        for key, name in (namespaces or NAMESPACES).items()
    )
    head = (
        f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="{language}">\n'
        f"<siteinfo><dbname>{dbname}</dbname><case>{case}</case><namespaces>{names}</namespaces>"
        "</siteinfo>\n"
    )
    return (head + "".join(page.xml() for page in pages) + "</mediawiki>\n").encode()


def write_part(path: Path, content: bytes) -> Path:
    """Write a dump as its suffix says."""
    if path.suffix == ".bz2":
        content = bz2.compress(content)
    elif path.suffix == ".gz":
        content = gzip.compress(content, mtime=0)
    path.write_bytes(content)
    return path


@pytest.fixture
def connection():
    with duckdb.connect() as database:
        yield database


@pytest.fixture(scope="session")
def wiki_page() -> type[WikiPage]:
    return WikiPage


@pytest.fixture(scope="session")
def make_xml() -> Callable[..., bytes]:
    return dump_xml


@pytest.fixture(scope="session")
def save_part() -> Callable[[Path, bytes], Path]:
    return write_part
