"""Links of a page's wikitext: a scanner over bracket tokens with a stack, in linear time.

In: the text of one page. Out: its links as (target, section, surface, offsets, in_template), and the
reason for each one left out. Follows MediaWiki's link rules; what is ours is said where it stands.
`mwparserfromhell` is the oracle of the tests.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from alias_tables.config import AliasConfig
from alias_tables.languages import DEFAULT_TRAIL, TRAILS
from alias_tables.reasons import Reason
from alias_tables.site import Site
from alias_tables.surface import exact_key
from alias_tables.titles import MAX_TITLE_BYTES, LinkTargets, Target, decode_entities

COMMENT = "\x00"
"""Stands for each character of a comment: it joins what is beside it, `[[Fo<!-- -->o]]`."""
LITERAL = "\x01"
"""Stands for each character of a literal element (`<nowiki>`, `<math>`): it separates."""
LITERAL_TAGS = (
    "nowiki|pre|math|chem|ce|syntaxhighlight|source|score|timeline|graph|hiero|mapframe|maplink"
    "|templatedata|templatestyles|includeonly"
)

_TOKEN = re.compile(r"\[\[|\]\]|\{\{|\}\}")
_MESSY_LABEL = re.compile(r"[<&{\x00\x01]|''")
_QUOTES = re.compile("'{2,}")
_REF = re.compile(r"<ref\b[^<>]*/>|<ref\b[^<>]*>.*?(?:</ref\s*>|$)", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"<(?:br|p|hr)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_RAW_TARGET_CHARS = 3 * MAX_TITLE_BYTES + 100
"""A target is at most its bytes percent-encoded and a section; beyond it, it cannot be valid."""


class Link(NamedTuple):
    """One link; `text[start:stop]` is its wikitext from `[[` to the end of its trail."""

    target: str
    section: str
    surface: str
    start: int
    stop: int
    in_template: bool


class Rejected(NamedTuple):
    """A link left out: why, and where it begins."""

    reason: Reason
    start: int


@dataclass(frozen=True, slots=True)
class LinkScan:
    """All links of one page, in order, and those left out."""

    links: list[Link]
    rejected: list[Rejected]


@lru_cache(maxsize=8)
def _literal_opening(tags: str) -> re.Pattern[str]:
    return re.compile(rf"<!--|<({tags})(?=[\s/>])([^<>]{{0,1000}})>", re.IGNORECASE)


def mask(text: str, literal_tags: str = LITERAL_TAGS) -> str:
    """Return text of the same length in which comments and literal elements are blanked out.

    An unclosed comment runs to the end of the page; an unclosed element is plain text.

    >>> mask("a<!--b-->c").replace(COMMENT, ".")
    'a........c'
    """
    opening = _literal_opening(literal_tags)
    pieces: list[str] = []
    unclosed: set[str] = set()
    position = 0
    while match := opening.search(text, position):
        start, stop = match.span()
        pieces.append(text[position:start])
        name = match[1]
        if name is None:
            close = text.find("-->", stop)
            end = len(text) if close < 0 else close + len("-->")
            pieces.append(COMMENT * (end - start))
        else:
            end = _end_of_element(text, name.lower(), match, unclosed)
            pieces.append(
                LITERAL * (end - start) if end > stop or match[2].endswith("/") else match[0]
            )
        position = end
    return "".join(pieces) + text[position:] if pieces else text


def _end_of_element(text: str, name: str, match: re.Match[str], unclosed: set[str]) -> int:
    """Return where the element ends; the end of its opening tag if it is empty or never closed."""
    if match[2].endswith("/") or name in unclosed:
        return match.end()
    close = re.compile(rf"</{name}\s*>", re.IGNORECASE).search(text, match.end())
    if close is None:
        unclosed.add(name)  # as in MediaWiki: never look again, or many openings cost a scan each
        return match.end()
    return close.end()


class Pair(NamedTuple):
    """A `[[` at `start` and the `]]` at `close`; `nested` when another `[[` stands between."""

    start: int
    close: int
    nested: bool


def scan_brackets(text: str, max_depth: int) -> tuple[list[Pair], list[tuple[int, int]], list[int]]:
    """Pair the brackets of masked text.

    Returns:
        The pairs of `[[ ]]`, innermost first; the spans of closed `{{ }}`, disjoint and in order; and
        the starts of the `[[` given up because more than `max_depth` were open.
    """
    pairs: list[Pair] = []
    too_deep: list[int] = []
    spans: list[tuple[int, int]] = []
    links: list[int] = []
    templates: list[int] = []
    parents: set[int] = set()
    for match in _TOKEN.finditer(text):
        bracket, start = match[0], match.start()
        if bracket == "[[":
            if len(links) < max_depth:
                links.append(start)
            else:
                too_deep.append(links[-1])
                links[-1] = start  # the innermost link is the one MediaWiki makes
        elif bracket == "]]":
            if links:
                opened = links.pop()
                pairs.append(Pair(opened, start, opened in parents))
                parents.update(links[-1:])
        elif bracket == "{{":
            templates.append(start)
        elif templates:
            opened = templates.pop()
            while spans and spans[-1][0] > opened:
                spans.pop()
            spans.append((opened, start + 2))
    return pairs, spans, too_deep


def clean_label(label: str) -> str | Reason:
    """Return the text a label shows: quotes, references and tags out, entities decoded.

    >>> clean_label("''SW''<ref>x</ref>&nbsp;4")
    'SW 4'
    """
    if _MESSY_LABEL.search(label):
        if "{{" in label:
            return Reason.TEMPLATE_IN_LABEL  # what it shows is known to MediaWiki alone
        label = label.replace(COMMENT, "").replace(LITERAL, "")
        label = _TAG.sub("", _BREAK.sub(" ", _REF.sub("", label)))
        label = decode_entities(strip_quotes(label))
    return exact_key(label) or Reason.EMPTY_LABEL


def strip_quotes(text: str) -> str:
    """Remove the marks of bold and italics; a fourth quote, or those beyond five, are apostrophes."""
    if "''" not in text:
        return text
    return _QUOTES.sub(lambda match: "'" * max(len(match[0]) - 5, int(len(match[0]) == 4)), text)  # noqa: PLR2004 (MediaWiki's doQuotes)


class LinkReader:
    """Finds the links of pages of one wiki."""

    def __init__(self, site: Site, config: AliasConfig) -> None:
        self.targets = LinkTargets(site)
        self._config = config
        trail = TRAILS.get(config.language or site.language, DEFAULT_TRAIL)
        self._trail = re.compile(f"[{trail}]+") if trail else None

    def scan(self, text: str) -> LinkScan:
        """Return the links of one page's wikitext."""
        masked = mask(text)
        pairs, templates, too_deep = scan_brackets(masked, self._config.max_link_depth)
        rejected = [Rejected(Reason.TOO_DEEP, start) for start in too_deep]
        links: list[Link] = []
        starts = [span[0] for span in templates]
        for pair in pairs:
            index = bisect_right(starts, pair.start) - 1
            inside = index >= 0 and pair.start < templates[index][1]
            found = self._read(masked, pair, inside)
            if isinstance(found, Link):
                links.append(found)
            else:
                rejected.append(Rejected(found, pair.start))
        links.sort(key=lambda link: link.start)
        return LinkScan(links, sorted(rejected, key=lambda item: (item.start, item.reason)))

    def _read(self, text: str, pair: Pair, inside: bool) -> Link | Reason:
        start, close = pair.start + 2, pair.close
        bar = text.find("|", start, min(close, start + _RAW_TARGET_CHARS))
        if bar < 0 and close - start > _RAW_TARGET_CHARS:
            return Reason.INVALID_TITLE
        target = self._read_target(text[start : close if bar < 0 else bar])
        if isinstance(target, Reason):
            return target
        if pair.nested:
            return Reason.NESTED_LINK
        if bar < 0:
            surface: str | Reason = exact_key(target.shown)
        elif close - bar > self._config.max_label_chars:
            return Reason.LABEL_TOO_LONG
        else:
            label = text[bar + 1 : close]
            if text.startswith("]", close + 2) and "[" in label:
                label, close = label + "]", close + 1  # MediaWiki: `[[A|[b]]]` shows "[b]"
            surface = clean_label(label)
        if isinstance(surface, Reason):
            return surface
        stop = close + 2
        trail = self._trail.match(text, stop) if self._trail else None
        if trail:
            surface, stop = surface + trail[0], trail.end()
        return Link(target.title, target.section, surface, pair.start, stop, inside)

    def _read_target(self, raw: str) -> Target | Reason:
        raw = raw.replace(COMMENT, "")
        if "{{" in raw:
            return Reason.TEMPLATE_IN_TARGET
        if "\n" in raw:
            return Reason.INVALID_TITLE
        return self.targets.read(raw)


def list_links(text: str, links: list[Link]) -> Iterator[Link]:
    """Yield the first link of each list line: the entries of a disambiguation page."""
    line, previous, taken = 0, 0, -1
    for link in links:
        line_break = text.rfind("\n", previous, link.start)
        line = line_break + 1 if line_break >= 0 else line
        previous = link.start
        if line != taken and text.startswith("*", line):
            taken = line
            yield link
