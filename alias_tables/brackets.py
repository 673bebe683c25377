"""The brackets of wikitext: links found by one pattern where they are simple, pairs by a stack elsewhere.

In: masked text of one page. Out: pairs of `[[ ]]`, spans of `{{ }}`, or the pattern of links that need no
pairing. Every function is linear: each region of the text is looked at a bounded number of times.
"""

import re
from functools import lru_cache
from typing import NamedTuple

MAX_SIMPLE_CHARS = 80
"""Longer titles and labels are read with care."""

_BRACKET = re.compile(r"\[\[|\]\]")
_TEMPLATE = re.compile(r"\{\{(?:[^}]*+\}\})?")
"""From `{{` to the first `}}`, or the `{{` alone where a single `}` comes before."""

_STEADY = (
    "\u00c0-\u024f\u0391-\u03a1\u03a3-\u03ce\u0400-\u0482\u048a-\u052f\u05d0-\u05ea\u0621-\u064a"
    "\u2013\u2014\u2018\u2019\u201c-\u201e\u2026\u3041-\u3096\u30a1-\u30fc\u4e00-\u9fff\uac00-\ud7a3"
)
"""Letters and signs that NFC leaves alone beside one another, and that are no space and no mark."""
_TITLE = "!\"$'()*+,\\-.0-9;=?@A-Z\\\\^`a-z" + _STEADY
"""Characters that are themselves in a title, wherever they stand (but for a dot at its beginning)."""
_LABEL = _TITLE + "#%_:~/"


class Pair(NamedTuple):
    """A `[[` at `start` and the `]]` at `close`; `nested` when another `[[` stands between."""

    start: int
    close: int
    nested: bool


@lru_cache(maxsize=8)
def link_pattern(trail: str, max_chars: int) -> re.Pattern[str]:
    """Return the pattern of `[[`, taken together with a whole link if no bracket stands in it.

    Its groups: target and label if they are at most `max_chars` of which none has a meaning by itself
    (two spaces or two quotes together have); else all that stands between the brackets; and the link's
    trail. The first and third are None for a `[[` that needs pairing.

    Args:
        trail: body of the character class of link trails; empty for none.
        max_chars: at most 85, so that no target passes 255 bytes of UTF-8.
    """
    target = rf"(?![. ])[{_TITLE} ]{{1,{max_chars}}}+(?<! )"
    label = rf"(?! )[{_LABEL} ]{{1,{max_chars}}}+(?<! )"
    after = f"([{trail}]*+)" if trail else "()"
    return re.compile(rf"\[\[(?:(?:({target})(?:\|({label}))?|([^\[\]]*+))\]\]{after})?")


def pair_brackets(text: str, start: int, max_depth: int) -> tuple[list[Pair], list[int], int]:
    """Pair the brackets from the `[[` at `start` on, until none is open.

    Returns:
        The pairs, innermost first; the starts of the `[[` given up because more than `max_depth` were
        open; and where the last pair ends, the end of the text if a `[[` stays open.
    """
    pairs: list[Pair] = []
    too_deep: list[int] = []
    opened: list[int] = []
    parents: set[int] = set()
    for match in _BRACKET.finditer(text, start):
        at = match.start()
        if match[0] == "]]":
            begin = opened.pop()
            pairs.append(Pair(begin, at, begin in parents))
            if not opened:
                return pairs, too_deep, match.end()
            parents.add(opened[-1])
        elif len(opened) < max_depth:
            opened.append(at)
        else:
            too_deep.append(opened[-1])
            opened[-1] = at  # the innermost link is the one MediaWiki makes
    return pairs, too_deep, len(text)


def template_spans(text: str, holding: str = "") -> list[tuple[int, int]]:
    """Return the spans of closed `{{ }}` that stand in no other, in order; of those that hold a string."""
    spans: list[tuple[int, int]] = []
    position = 0
    while True:
        for match in _TEMPLATE.finditer(text, position):
            piece = match[0]
            if piece == "{{" or ("{" in piece[2:] and "{{" in piece[2:]):
                break
            if holding in piece:
                spans.append(match.span())
        else:
            return spans
        nested, position = _pair_braces(text, match.start())
        spans.extend(span for span in nested if text.find(holding, *span) >= 0)


def _pair_braces(text: str, start: int) -> tuple[list[tuple[int, int]], int]:
    """Return the outer spans from the `{{` at `start` on, until none is open, and where that is."""
    find = text.find
    spans: list[tuple[int, int]] = []
    opened = [start]
    opening, closing = find("{{", start + 2), find("}}", start + 2)
    while closing >= 0:
        if 0 <= opening < closing:
            opened.append(opening)
            opening = find("{{", opening + 2)
            continue
        begin, stop = opened.pop(), closing + 2
        while spans and spans[-1][0] > begin:
            spans.pop()
        spans.append((begin, stop))
        if not opened:
            return spans, stop
        closing = find("}}", stop)
    return spans, len(text)
