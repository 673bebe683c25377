"""Pages written the way MediaWiki writes them, read by one regular expression instead of an XML parser.

In: bytes of a dump that begin between two pages. Out: the `Page` that stands there, if its elements follow
the layout of the export schemas to the letter, in their order, with the five character references MediaWiki
writes; None for all else (other elements, several revisions, comments, CDATA, deleted texts), which is the
XML parser's to judge. What is read here is what the XML parser would have read: the tests prove it.
"""

import re
from types import MappingProxyType

import numpy as np

from alias_tables.export_xml import Page

PAGE_START = b"<page>"
LONGEST_PAGE = 1 << 20
"""Pages of more bytes are not waited for: the XML parser takes them piece by piece, in flat memory."""

_GAP = rb"[ \n\t]*+"
_HEAD = re.compile(
    _GAP.join(
        [
            rb"",
            rb"<page>",
            rb"<title>([^<>]*+)</title>",
            rb"(?:<ns>(-?\d{1,9})</ns>",
            rb")?<id>(\d{1,18})</id>",
            rb'(?:<redirect title="([^"<>\n\t]*+)" ?/>',
            rb")?(?:<restrictions>[^<>]*+</restrictions>",
            rb")?<revision>",
            rb"<id>(\d{1,18})</id>",
            rb"(?:<parentid>[^<>]*+</parentid>",
            rb")?(?:<timestamp>[^<>]*+</timestamp>",
            rb')?(?:<contributor(?: deleted="deleted" ?/>|>',
            rb"(?:<username>[^<>]*+</username>",
            rb"<id>[^<>]*+</id>|<ip>[^<>]*+</ip>)",
            rb"</contributor>)",
            rb")?(?:<minor ?/>",
            rb')?(?:<comment(?: deleted="deleted" ?/>|>[^<>]*+</comment>)',
            rb")?(?:<origin>[^<>]*+</origin>",
            rb")?(?:<model>([A-Za-z0-9._-]*+)</model>",
            rb")?(?:<format>[^<>]*+</format>",
            rb')?<text(?: bytes="\d*+")?(?: sha1="\w*+")?(?: xml:space="preserve")?>',
        ]
    )
)
_TAIL = re.compile(
    _GAP.join([rb"</text>", rb"(?:<sha1>\w*+</sha1>", rb")?</revision>", rb"</page>"])
)
_REFERENCE = re.compile(rb"&(?:(lt;/?ref&gt|lt|gt|amp|quot|#039);)?")
"""Both ends of the commonest tag of wikitext are read at once."""
_MEANING = MappingProxyType(
    {
        b"lt": b"<",
        b"gt": b">",
        b"amp": b"&",
        b"quot": b'"',
        b"#039": b"'",
        b"lt;ref&gt": b"<ref>",
        b"lt;/ref&gt": b"</ref>",
    }
)
_LINE_FEED, _SPACE = 0x0A, 0x20


def look_over(chunk: bytes) -> tuple[int, bool]:
    """Return how many lines end in some bytes, and whether they hold no control character but tabs.

    A carriage return counts as one, for a parser makes it a line feed.
    """
    codes = np.frombuffer(chunk, np.uint8)
    n_lines = int(np.count_nonzero(codes == _LINE_FEED))
    n_controls = int(np.count_nonzero(codes < _SPACE))
    return n_lines, n_controls == n_lines or n_controls == n_lines + chunk.count(b"\t")


class CanonicalPages:
    """Reads pages that keep to the layout."""

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars

    def read(self, data: bytes, start: int, *, plain: bool) -> tuple[Page, int] | None:
        """Return the page that stands at `start`, white space passed over, and where it ends.

        Args:
            data: valid UTF-8, but for a character cut at its end.
            start: a place between two pages.
            plain: the data is known to hold no control character but tabs.

        Returns:
            None if the page is not canonical, or not all there.
        """
        head = _HEAD.match(data, start)
        if head is None:
            return None
        begin = head.end()
        end = data.find(b"<", begin)
        tail = _TAIL.match(data, end) if end >= 0 else None
        if tail is None or data.find(b">", begin, end) >= 0:
            return None  # unescaped, `>` is XML unless it ends `]]>`: not for us to tell
        stop = tail.end()
        if not plain and not look_over(data[start:stop])[1]:
            return None
        try:
            page = self._page(head, memoryview(data)[begin:end])
        except KeyError:  # a reference that MediaWiki does not write
            return None
        return None if page is None else (page, stop)

    def _page(self, head: re.Match[bytes], raw_text: memoryview) -> Page | None:
        whole, (title, namespace, page_id, redirect, revision_id, model) = head[0], head.groups()
        text = _characters(raw_text)
        if "\ufffe" in text or "\uffff" in text:  # valid UTF-8, but no XML
            return None
        if not whole.isascii() and (b"\xef\xbf\xbe" in whole or b"\xef\xbf\xbf" in whole):
            return None
        if b"&" in whole:
            _characters(whole)  # raises for any reference that is not one of ours
        too_long = len(text) > self._max_chars
        return Page(
            _characters(title),
            None if namespace is None else int(namespace),
            int(page_id),
            int(revision_id),
            None if redirect is None else _characters(redirect),
            "wikitext" if model is None else model.decode(),
            "" if too_long else text,
            deleted=False,
            too_long=too_long,
        )


def _characters(raw: bytes | memoryview) -> str:
    """Return the text that bytes of XML stand for; KeyError for an unknown reference."""
    parts = _REFERENCE.split(raw)
    parts[1::2] = map(_MEANING.__getitem__, parts[1::2])
    return b"".join(parts).decode()
