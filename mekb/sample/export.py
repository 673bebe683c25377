"""Writer of a MediaWiki XML export, in the form `dumpBackup.php --current` gives a wiki's pages.

In: pages. Out: one `...-pages-articles.xml.bz2`, format export-0.11
(https://www.mediawiki.org/xml/export-0.11.xsd). The same pages give the same bytes: ids count from 1,
and all revisions carry one time.
"""

import bz2
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mekb.sample.pages import WikiPage

XML_NAMESPACE = "http://www.mediawiki.org/xml/export-0.11/"
NAMESPACES: Mapping[int, str] = {
    -2: "Media",
    -1: "Special",
    0: "",
    1: "Talk",
    2: "User",
    3: "User talk",
    4: "Project",
    5: "Project talk",
    6: "File",
    7: "File talk",
    8: "MediaWiki",
    9: "MediaWiki talk",
    10: "Template",
    11: "Template talk",
    12: "Help",
    13: "Help talk",
    14: "Category",
    15: "Category talk",
}
"""MediaWiki's own namespaces; their numbers are the same on every wiki."""
TIMESTAMP = "2026-01-01T00:00:00Z"
_NUMBER_OF = {name: number for number, name in NAMESPACES.items() if name}
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_SHA1_DIGITS = 31
"""A SHA-1 in base 36 is at most 31 digits long; MediaWiki pads it with zeros."""


def sha1_base36(text: str) -> str:
    """Return MediaWiki's checksum of a text: SHA-1 of its UTF-8 bytes in base 36.

    >>> sha1_base36("")
    'phoiac9h4m842xq45sp7s6u21eteeq1'
    """
    number = int(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), 16)
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits.rjust(_SHA1_DIGITS, "0")


def namespace_of(title: str) -> int:
    """Return the number of the namespace a title is in.

    >>> namespace_of("Template:Infobox film"), namespace_of("2001: A Space Odyssey")
    (10, 0)
    """
    prefix, colon, _ = title.partition(":")
    return _NUMBER_OF.get(prefix, 0) if colon else 0


def _child(parent: Element, tag: str, text: str = "", **attributes: str) -> Element:
    """Append an element to another and return it."""
    child = SubElement(parent, tag, attributes)
    child.text = text or None
    return child


def _add_site_info(root: Element) -> None:
    """Append `<siteinfo>`: the wiki's name, its case rule and its namespaces."""
    info = _child(root, "siteinfo")
    _child(info, "sitename", "Sample Wiki")
    _child(info, "dbname", "samplewiki")
    _child(info, "base", "https://wiki.example.org/wiki/Main_Page")
    _child(info, "generator", "mekb sample world")
    _child(info, "case", "first-letter")
    namespaces = _child(info, "namespaces")
    for number, name in NAMESPACES.items():
        _child(namespaces, "namespace", name, key=str(number), case="first-letter")


def _add_page(root: Element, page: WikiPage, page_id: int) -> None:
    """Append one `<page>` with its only revision."""
    node = _child(root, "page")
    _child(node, "title", page.title)
    _child(node, "ns", str(namespace_of(page.title)))
    _child(node, "id", str(page_id))
    if page.redirect is not None:
        _child(node, "redirect", title=page.redirect)
    revision = _child(node, "revision")
    _child(revision, "id", str(page_id))
    _child(revision, "timestamp", TIMESTAMP)
    _child(revision, "contributor", deleted="deleted")
    _child(revision, "origin", str(page_id))
    _child(revision, "model", "wikitext")
    _child(revision, "format", "text/x-wiki")
    checksum = sha1_base36(page.text)
    size = len(page.text.encode())
    text = SubElement(
        revision, "text", {"bytes": str(size), "sha1": checksum, "xml:space": "preserve"}
    )
    text.text = page.text
    _child(revision, "sha1", checksum)


def export_xml(pages: Iterable[WikiPage]) -> str:
    """Return the whole export; page ids count from 1 in the order of the pages."""
    root = Element(
        "mediawiki",
        {
            "xmlns": XML_NAMESPACE,
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:schemaLocation": f"{XML_NAMESPACE} http://www.mediawiki.org/xml/export-0.11.xsd",
            "version": "0.11",
            "xml:lang": "en",
        },
    )
    _add_site_info(root)
    for page_id, page in enumerate(pages, start=1):
        _add_page(root, page, page_id)
    indent(root)
    return tostring(root, encoding="unicode") + "\n"


def write_export(pages: Iterable[WikiPage], path: Path) -> None:
    """Write the pages as a bz2-compressed MediaWiki export."""
    path.write_bytes(bz2.compress(export_xml(pages).encode()))


def write_qids(pages: Iterable[WikiPage], path: Path) -> None:
    """Write "title <tab> Wikidata id", one line a page that has one, without a header."""
    lines = [f"{page.title}\t{page.qid}\n" for page in pages if page.qid is not None]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
