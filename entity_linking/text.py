"""Text as shops write it, made plain, with a map back to the original offsets.

`clean_text` takes HTML tags and entities out, turns control characters and unusual spaces into plain
spaces, drops invisible marks (bidi, zero width, soft hyphens) and replaces lone surrogates; every
character of the result knows the slice of the original it came from.

All offsets are code points. All patterns are bounded, so that no input takes quadratic time.
"""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html.entities import html5
from typing import Final

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

_INVISIBLE = "\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
_ODD_SPACE = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_SURROGATE = "\ud800-\udfff"

# Entities need their semicolon ("AT&T;" is rare, "?a=1&copy=2" is not); shops escape twice ("&amp;quot;").
_MARKUP = re.compile(
    rf"""
    (?P<script> <(?P<name>script|style)\b [^<>]{{0,2000}} > .{{0,5000}}? </(?P=name)\s{{0,9}}> )
  | (?P<comment> <!-- .{{0,2000}}? --> )
  | (?P<tag> </? (?P<element>[a-z][a-z0-9]{{0,20}}) (?: [\s/] [^<>]{{0,2000}} )? > )
  | (?P<entity> & (?:amp;){{0,3}} (?P<body> \#[0-9]{{1,7}} | \#x[0-9a-f]{{1,6}} | [a-z][a-z0-9]{{1,31}} ) ; )
  | (?P<odd> [{_INVISIBLE}{_ODD_SPACE}{_SURROGATE}] )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_ODD = re.compile(
    rf"(?P<invisible>[{_INVISIBLE}])|(?P<space>[{_ODD_SPACE}])|(?P<surrogate>[{_SURROGATE}])"
)
_NEEDS_CLEANING = re.compile(rf"[<&{_INVISIBLE}{_ODD_SPACE}{_SURROGATE}]")
_INLINE = frozenset(
    "a abbr b bdi bdo big code em font i ins mark q s small span strong sub sup tt u wbr".split()  # noqa: SIM905  a list to read
)


@dataclass(frozen=True, slots=True)
class CleanText:
    """A plain text and where each of its characters stood in the original.

    Attributes:
        text: What is read.
        starts: Per character of `text`, the first original offset it stands for; None: the same offset.
        stops: Per character, the original offset after it; None together with `starts`.
    """

    text: str
    starts: tuple[int, ...] | None = None
    stops: tuple[int, ...] | None = None

    def origin(self, start: int, stop: int) -> tuple[int, int]:
        """Return the original slice that a non-empty slice of `text` stands for.

        >>> clean_text("<b>Tom &amp; Jerry</b>").origin(0, 11)
        (3, 18)
        """
        if self.starts is None or self.stops is None:
            return start, stop
        return self.starts[start], self.stops[stop - 1]

    def without(self, regions: Sequence[tuple[int, int]]) -> "CleanText":
        """Return the same text with some slices of `text` (in order, disjoint) taken out."""
        if not regions:
            return self
        kept: list[int] = []
        position = 0
        for start, stop in (*regions, (len(self.text), len(self.text))):
            kept.extend(range(position, start))
            position = stop
        origins = [self.origin(index, index + 1) for index in kept]
        return CleanText(
            "".join([self.text[index] for index in kept]),
            tuple([start for start, _ in origins]),
            tuple([stop for _, stop in origins]),
        )


def clean_text(original: str) -> CleanText:
    """Return `original` without markup and odd characters, with the map back.

    >>> clean_text("Tom &amp; Jerry").text
    'Tom & Jerry'
    """
    if _NEEDS_CLEANING.search(original) is None:
        return CleanText(original)
    pieces: list[str] = []
    starts: list[int] = []
    stops: list[int] = []

    def keep(start: int, stop: int) -> None:
        pieces.append(original[start:stop])
        starts.extend(range(start, stop))
        stops.extend(range(start + 1, stop + 1))

    position = 0
    for match in _MARKUP.finditer(original):
        plain = _plain(match)
        if plain is None:
            continue
        keep(position, match.start())
        position = match.end()
        pieces.append(plain)
        starts.extend([match.start()] * len(plain))
        stops.extend([match.end()] * len(plain))
    keep(position, len(original))
    return CleanText("".join(pieces), tuple(starts), tuple(stops))


def _plain(match: re.Match[str]) -> str | None:
    """What a piece of markup, an entity or an odd character becomes; None: it is none, and stays."""
    match match.lastgroup:
        case "odd":
            return _plain_characters(match[0])
        case "entity":
            name = match["body"]
            if not name.startswith("#") and f"{name};" not in html5:
                return None
            return _plain_characters(html.unescape(f"&{name};"))
        case "tag" if match["element"].lower() in _INLINE:
            return ""
        case _:
            return " "


def _plain_characters(text: str) -> str:
    """Invisible characters out, odd spaces and controls to a space, lone surrogates to U+FFFD."""
    replacements = {"invisible": "", "space": " ", "surrogate": REPLACEMENT}
    return _ODD.sub(lambda found: replacements[found.lastgroup or "space"], text)


def cut_text(text: str, max_length: int) -> str:
    """Return at most `max_length` code points, cut at a space where one is near.

    >>> cut_text("The Matrix Reloaded", 13)
    'The Matrix'
    """
    if len(text) <= max_length:
        return text
    space = text.rfind(" ", max(1, max_length - 100), max_length + 1)
    return text[: space if space > 0 else max_length]
