"""Titles as MediaWiki normalises them (`MediaWikiTitleCodec::splitTitleString`), and their brackets.

In: a title as it stands in a dump, a link or a user's file. Out: its normal form with spaces, or the
reason why it is none. Titles here are never those of redirect chains: `resolve` follows these.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from urllib.parse import unquote

from alias_tables.languages import DOTTED_I, INTERWIKI_PREFIXES
from alias_tables.reasons import Reason
from alias_tables.site import Site

MAX_TITLE_BYTES = 255
"""MediaWiki's limit, in UTF-8."""

_BIDI = re.compile("[\u200e\u200f\u202a-\u202e]")
_SPACE = re.compile("[ _\u00a0\u1680\u180e\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ILLEGAL = re.compile(
    "[\x00-\x1f\x7f<>\\[\\]{}|\ufffd\ud800-\udfff]"
    "|%[0-9A-Fa-f]{2}|&(?:#\\d+|#[xX][0-9a-fA-F]+|[A-Za-z0-9\x80-\uffff]+);|~~~"
)
_HARMLESS = re.compile("[^\x00-\x1f\x7f<>\\[\\]{}|\ufffd\ud800-\udfff%&~]*+")
"""Most titles; the others are searched for what is illegal."""
_RELATIVE = re.compile(r"\.{1,2}$|\.{1,2}/|.*/\.{1,2}(?:/|$)", re.DOTALL)
_GEORGIAN = ("\u10d0", "\u10ff")


def decode_entities(text: str) -> str:
    """Decode character references that end in a semicolon, as MediaWiki does; others stay as they are.

    >>> decode_entities("AT&amp;T &bogus; &copy")
    'AT&T &bogus; &copy'
    """
    if "&" not in text:
        return text
    return _ENTITY.sub(lambda match: unescape(match[0]), text)


def raise_first_letter(title: str, language: str = "en") -> str:
    """Return the title with its first letter raised, unless that would take more than one character.

    >>> raise_first_letter("star Wars"), raise_first_letter("ß")
    ('Star Wars', 'ß')
    """
    first = title[:1]
    if first == "i" and language in DOTTED_I:
        return "İ" + title[1:]
    raised = first.upper()
    if len(raised) != 1 or _GEORGIAN[0] <= first <= _GEORGIAN[1]:
        return title
    return raised + title[1:]


def clean_title(raw: str) -> str:
    """Return the text with MediaWiki's spaces and underscores collapsed, direction marks out, in NFC."""
    if raw.isascii():
        text = raw.replace("_", " ")
        return _SPACE.sub(" ", text).strip(" ") if "  " in text else text.strip(" ")
    return _SPACE.sub(" ", unicodedata.normalize("NFC", _BIDI.sub("", raw))).strip(" ")


def is_valid(title: str) -> bool:
    """Say whether a cleaned title may name a page."""
    if not title or len(title) > MAX_TITLE_BYTES or title.startswith(":"):
        return False
    if not _HARMLESS.fullmatch(title) and _ILLEGAL.search(title):
        return False
    if "." in title and _RELATIVE.match(title):
        return False
    return title.isascii() or len(title.encode()) <= MAX_TITLE_BYTES


def normal_form(raw: str, site: Site) -> str | None:
    """Return the normal form of a title known to be in the main namespace; None if it is invalid.

    A colon is part of the title here: this is for page titles and for titles in files, not for links.

    >>> normal_form("star_Wars", Site()), normal_form("It: Chapter Two", Site())
    ('Star Wars', 'It: Chapter Two')
    """
    title = clean_title(raw)
    if not is_valid(title):
        return None
    return raise_first_letter(title, site.language) if site.first_letter else title


@dataclass(frozen=True, slots=True)
class Target:
    """What a link points to: normal title, the section after `#`, and the text shown without a label."""

    title: str
    section: str
    shown: str


class LinkTargets:
    """Reads link targets on one wiki; remembers the most recent ones, for links repeat."""

    def __init__(self, site: Site, cache_size: int = 1 << 16) -> None:
        self._site = site
        self._namespaces = site.namespaces()
        self.read = lru_cache(maxsize=cache_size)(self._read)
        """`read(raw)` returns the `Target`, or the `Reason` why there is none."""

    def _read(self, raw: str) -> Target | Reason:
        text = decode_entities(raw)
        if "%" in text:
            text = unquote(text)  # once, as MediaWiki does; bytes that are no UTF-8 become U+FFFD
        text = clean_title(text)
        leading_colon = text.startswith(":")
        if leading_colon:
            text = text[1:].lstrip(" ")
        page, _, section = text.partition("#")
        page, section = page.rstrip(" "), section.strip(" ")
        if not page:
            return Reason.SELF_SECTION if section else Reason.EMPTY_TARGET
        elsewhere = self._other_space(page)
        if elsewhere is not None:
            return elsewhere
        if not is_valid(page):
            return Reason.INVALID_TITLE
        title = raise_first_letter(page, self._site.language) if self._site.first_letter else page
        return Target(title, section, page)

    def _other_space(self, page: str) -> Reason | None:
        prefix, colon, rest = page.partition(":")
        if not colon or not rest:
            return None
        return self._space(prefix.strip(" "))

    def _space(self, prefix: str) -> Reason | None:
        prefix = prefix.casefold()
        if self._namespaces.get(prefix, 0) != 0:
            return Reason.OTHER_NAMESPACE
        return Reason.INTERWIKI if prefix in INTERWIKI_PREFIXES else None

    def leads_elsewhere(self, raw: str) -> Reason | None:
        """Return why a target is no article, if its first characters tell; None: `read` must say.

        Most prefixes are written as they are known, and no cleaning of what follows can change that.
        """
        prefix, _, rest = raw.partition(":")
        return self._space(prefix) if rest[:1].isalnum() else None

    def is_elsewhere(self, raw: str) -> bool:
        """Say whether a raw target leads to a file, a category, another namespace or another wiki."""
        return self.read(raw) in {Reason.OTHER_NAMESPACE, Reason.INTERWIKI}


def strip_bracket(title: str) -> str | None:
    """Return the title without its final bracket; None if it has none or nothing stands before it.

    >>> strip_bracket("Heat (1995 film)"), strip_bracket("(500) Days of Summer")
    ('Heat', None)
    """
    if not title.endswith((")", "\uff09")):
        return None
    depth = 0
    for position in range(len(title) - 1, -1, -1):
        if title[position] in ")\uff09":
            depth += 1
        elif title[position] in "(\uff08":
            depth -= 1
        if depth == 0:
            return title[:position].rstrip(" ") or None
    return None


def resolve_redirects(
    redirects: Mapping[str, str], titles: Iterable[str]
) -> dict[str, str | Reason]:
    """Follow each title to the end of its chain; a chain that comes back to itself is a `Reason`.

    This states the rule in Python for small maps; the build applies it in SQL (`resolve`).

    >>> resolve_redirects({"A": "B", "B": "C", "X": "X"}, ["A", "C", "X"])
    {'A': 'C', 'C': 'C', 'X': <Reason.REDIRECT_LOOP: 'redirect_loop'>}
    """
    ends: dict[str, str | Reason] = {}
    for title in titles:
        seen = {title}
        end = title
        while end in redirects:
            end = redirects[end]
            if end in seen:
                break
            seen.add(end)
        ends[title] = Reason.REDIRECT_LOOP if end in redirects else end
    return ends
