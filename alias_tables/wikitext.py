"""Links of a page's wikitext, as MediaWiki makes them, in linear time.

In: the text of one page. Out: its links as (target, section, surface, offsets, in_template), and the
reason for each one left out. Nine links in ten are words between brackets: one pattern reads them whole
(`brackets.link_pattern`). The others are read with care, and where links nest, brackets are paired by a
stack. What is ours, not MediaWiki's, is said where it stands. `mwparserfromhell` is the oracle of the tests.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from string import ascii_lowercase
from typing import NamedTuple

from alias_tables.brackets import (
    MAX_SIMPLE_CHARS,
    Pair,
    link_pattern,
    pair_brackets,
    template_spans,
)
from alias_tables.config import AliasConfig
from alias_tables.languages import DEFAULT_TRAIL, TRAILS
from alias_tables.markup import COMMENT, LITERAL, LITERAL_TAGS, clean_label, mask, strip_quotes
from alias_tables.reasons import Reason
from alias_tables.site import Site
from alias_tables.surface import exact_key
from alias_tables.titles import MAX_TITLE_BYTES, LinkTargets, Target, raise_first_letter

__all__ = [
    "COMMENT",
    "LITERAL",
    "LITERAL_TAGS",
    "Link",
    "LinkNames",
    "LinkReader",
    "LinkScan",
    "Rejected",
    "clean_label",
    "list_links",
    "mask",
    "strip_quotes",
]

_RAW_TARGET_CHARS = 3 * MAX_TITLE_BYTES + 100
"""A target is at most its bytes percent-encoded and a section; beyond it, it cannot be valid."""
_REMEMBERED_CHARS = 200
_REMEMBERED_LINKS = 1 << 15


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


@dataclass(slots=True)
class LinkNames:
    """What the links of one page call their targets, and those left out."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    """(surface, target) of the links that count, in no certain order."""
    set_aside: list[tuple[str, str]] = field(default_factory=list)
    """The same of links in templates, where the configuration says that they do not count."""
    rejected: list[Rejected] = field(default_factory=list)
    n_in_templates: int = 0
    """Links in templates, whether they count or not."""

    @property
    def n_links(self) -> int:
        """All links, whether they count or not."""
        return len(self.pairs) + len(self.set_aside)


_Spans = list[tuple[int, int]]
_Inner = tuple[str, str, str] | Reason
"""Target, section and surface (without trail) of what stands between brackets, or why it is no link."""


class LinkReader:
    """Finds the links of pages of one wiki."""

    def __init__(self, site: Site, config: AliasConfig) -> None:
        self.targets = LinkTargets(site)
        self._site = site
        self._config = config
        trail = TRAILS.get(config.language or site.language, DEFAULT_TRAIL)
        self._trail = re.compile(f"[{trail}]+") if trail else None
        self._pattern = link_pattern(trail, min(MAX_SIMPLE_CHARS, config.max_label_chars))
        self._outside_only = not config.links_in_templates
        self._capitals = {c: raise_first_letter(c, site.language) for c in ascii_lowercase}
        self._raised_from = "a" if site.first_letter else "\U0010ffff"
        self._remember = lru_cache(maxsize=_REMEMBERED_LINKS)(self._read_inner)

    def scan(self, text: str) -> LinkScan:
        """Return the links of one page's wikitext, with all that is known of them."""
        masked = mask(text)
        spans = _spans(masked)
        scan = LinkScan([], [])
        stop = 0
        while (start := masked.find("[[", stop)) >= 0:
            pairs, too_deep, stop = pair_brackets(masked, start, self._config.max_link_depth)
            scan.rejected.extend(Rejected(Reason.TOO_DEEP, at) for at in too_deep)
            self._add(masked, pairs, spans, scan)
        scan.links.sort(key=lambda link: link.start)
        scan.rejected.sort(key=lambda item: (item.start, item.reason))
        return scan

    def names(self, text: str) -> LinkNames:
        """Return what links call their targets: the same links as `scan` finds, several times as fast."""
        masked = mask(text)
        spans = _spans(masked)
        names = LinkNames()
        unpaired = self._read_simple(masked, spans, names)
        if unpaired:
            self._read_others(masked, spans, unpaired, names)
        names.rejected.sort(key=lambda item: (item.start, item.reason))
        return names

    def _read_simple(self, text: str, spans: _Spans, names: LinkNames) -> list[int]:
        """Add the links that no bracket stands in; return where the others begin."""
        add, capitals, raised_from = names.pairs.append, self._capitals, self._raised_from
        unpaired: list[int] = []
        template = 0
        opened, closed = spans[0]
        for match in self._pattern.finditer(text):
            target, label, inner, trail = match.groups()
            start = match.start()
            if target and "  " not in target and not (label and ("''" in label or "  " in label)):
                surface = (label or target) + trail
                if target >= raised_from:
                    capital = capitals.get(target[0])
                    target = capital + target[1:] if capital else self._raised(target)
            elif trail is None:
                unpaired.append(start)
                continue
            else:
                read = self._read(text[start + 2 : match.start(4) - 2] if inner is None else inner)
                if isinstance(read, Reason):
                    names.rejected.append(Rejected(read, start))
                    continue
                target, surface = read[0], read[2] + trail
            if start > opened:
                while start >= closed:
                    template += 1
                    opened, closed = spans[template]
                if start > opened:
                    names.n_in_templates += 1
                    if self._outside_only:
                        names.set_aside.append((surface, target))
                        continue
            add((surface, target))
        return unpaired

    def _read_others(self, text: str, spans: _Spans, unpaired: list[int], names: LinkNames) -> None:
        """Add the links that begin at certain `[[` and hold other brackets."""
        wanted = set(unpaired)
        scan = LinkScan([], names.rejected)
        stop = 0
        for start in unpaired:
            if start >= stop:
                pairs, too_deep, stop = pair_brackets(text, start, self._config.max_link_depth)
                names.rejected.extend(Rejected(Reason.TOO_DEEP, at) for at in too_deep)
                self._add(text, [pair for pair in pairs if pair.start in wanted], spans, scan)
        for link in scan.links:
            names.n_in_templates += link.in_template
            aside = self._outside_only and link.in_template
            (names.set_aside if aside else names.pairs).append((link.surface, link.target))

    def _raised(self, title: str) -> str:
        return raise_first_letter(title, self._site.language)

    def _add(self, text: str, pairs: list[Pair], spans: _Spans, scan: LinkScan) -> None:
        """Add the links that some pairs of brackets make."""
        for pair in pairs:
            found = self._read_pair(text, pair)
            if isinstance(found, Reason):
                scan.rejected.append(Rejected(found, pair.start))
                continue
            (target, section, surface), end = found
            trail = self._trail.match(text, end) if self._trail else None
            if trail:
                surface, end = surface + trail[0], trail.end()
            template = bisect_right(spans, (pair.start,)) - 1
            inside = template >= 0 and pair.start < spans[template][1]
            scan.links.append(Link(target, section, surface, pair.start, end, inside))

    def _read_pair(self, text: str, pair: Pair) -> tuple[tuple[str, str, str], int] | Reason:
        """Return what a pair of brackets links, and where they end."""
        start, close = pair.start + 2, pair.close
        if (
            pair.nested
        ):  # of a pair around other pairs only the target is cut out: that keeps it linear
            bar = text.find("|", start, min(close, start + _RAW_TARGET_CHARS))
            target = self._read_target(text, start, bar, close)
            return target if isinstance(target, Reason) else Reason.NESTED_LINK
        inner = text[start:close]
        if text.startswith("]", close + 2) and "[" in inner.partition("|")[2]:
            inner, close = inner + "]", close + 1  # MediaWiki: `[[A|[b]]]` shows "[b]"
        read = self._read(inner)
        return read if isinstance(read, Reason) else (read, close + 2)

    def _read(self, inner: str) -> _Inner:
        """Return what stands between brackets as a link, without links inside."""
        raw = inner.partition("|")[0]
        if len(raw) < _RAW_TARGET_CHARS and "{{" not in raw and "\n" not in raw:
            elsewhere = self.targets.leads_elsewhere(raw)
            if elsewhere is not None:
                return elsewhere
        return self._remember(inner) if len(inner) <= _REMEMBERED_CHARS else self._read_inner(inner)

    def _read_inner(self, inner: str) -> _Inner:
        bar = inner.find("|", 0, _RAW_TARGET_CHARS)
        target = self._read_target(inner, 0, bar, len(inner))
        if isinstance(target, Reason):
            return target
        if bar < 0:
            surface: str | Reason = exact_key(target.shown)
        elif len(inner) - bar - 1 - inner.endswith("]") > self._config.max_label_chars:
            return Reason.LABEL_TOO_LONG
        else:
            surface = clean_label(inner[bar + 1 :])
        if isinstance(surface, Reason):
            return surface
        return target.title, target.section, surface

    def _read_target(self, text: str, start: int, bar: int, close: int) -> Target | Reason:
        """Read the target that stands before the bar (-1: there is none near enough)."""
        if bar < 0 and close - start > _RAW_TARGET_CHARS:
            return Reason.INVALID_TITLE
        raw = text[start : close if bar < 0 else bar].replace(COMMENT, "")
        if "{{" in raw:
            return Reason.TEMPLATE_IN_TARGET
        if "\n" in raw:
            return Reason.INVALID_TITLE
        return self.targets.read(raw)


def _spans(text: str) -> _Spans:
    """Return the spans of templates that hold links, and one behind the text."""
    return [*template_spans(text, "[["), (len(text), len(text) + 1)]


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
