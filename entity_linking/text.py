"""Text as shops write it, made plain, with a map back to the original offsets.

`clean_text` takes HTML tags and entities out, turns control characters and unusual spaces into plain
spaces, drops invisible marks (bidi, zero width, soft hyphens) and replaces lone surrogates; every
character of the result knows the slice of the original it came from. `parse_title` further sets aside
what wraps a title ("[VHS]", "(Collector's Edition)", "(1999)") and lists the readings under which the
whole title may be looked up: "Matrix, The (1999)" reads as "The Matrix", and stands at `original[0:11]`.

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


# What shops wrap a title in. A bracket holding one of these words is a mark, and so is a tail after a
# dash, colon or comma that is made of these and the filling words alone.
_FORMAT_WORDS = frozenset(
    """3d 4k abridged audio audiobook blu bluray box boxed cd cds collector collectors criterion cut
    deluxe digital disc discs dubbed dvd dvds edition editions fullscreen hardback hardcover hd import
    kindle letterbox letterboxed mp3 ntsc paperback region remastered screen soundtrack steelbook
    subtitled uhd unabridged uncut unrated version vhs widescreen""".split()  # noqa: SIM905  a list to read
)
_FILLING_WORDS = frozenset(
    """1 2 3 4 5 6 and anniversary collection complete director double extended final four full
    international limited mass market one original ray s set single special the theatrical three two
    ultimate wide with""".split()  # noqa: SIM905  a list to read
)
_CARRIERS = frozenset(("vhs", "dvd", "dvds", "bluray"))
_WORD = re.compile(r"\w+")
_BRACKET = re.compile(r"\[([^\[\]()]{0,200})\]|\(([^\[\]()]{0,200})\)")
_YEAR = re.compile(r"\s*((?:18|19|20)[0-9]{2})\s*(?:[-\u2013/]\s*[0-9]{0,4}\s*)?")
_TAIL = re.compile(r"(?:\s[-\u2013\u2014|]|[:,/])\s([^:,/|()\[\]]{1,60})$")
_MAX_TAILS = 8
_LAST_WORD = re.compile(r"\s(\S{3,8})$")
_ALSO_KNOWN = re.compile(r"a\.?\s?k\.?\s?a\.?:?\s+", re.IGNORECASE)
_ARTICLES = frozenset(
    """the a an le la les l' l\u2019 un une el los las il lo gli i uno una der die das ein eine den det
    de het een en ett o os as""".split()  # noqa: SIM905  a list to read
)
_EDGE = " \t\r\n-\u2013\u2014:,/|"


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to look a whole title up: `key`, which stands for `original[start:stop]`."""

    key: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class TitleParts:
    """A title taken apart.

    Attributes:
        core: The title itself, its article in front: "The Matrix"; empty if nothing is left.
        year: The year set aside from brackets, if one was.
        marks: What else was set aside, in order: "[VHS]", "(Collector's Edition)".
        readings: What the whole title may be looked up as, most literal first, no key twice.
        body: The title without marks and year, with the map to the original: the running text of a title.
    """

    core: str
    year: int | None
    marks: tuple[str, ...]
    readings: tuple[Reading, ...]
    body: CleanText


def parse_title(original: str) -> TitleParts:
    """Return the parts of a title as a shop or MovieLens writes it.

    >>> parts = parse_title("Matrix, The (1999) [VHS]")
    >>> parts.core, parts.year, parts.marks, parts.readings[1]
    ('The Matrix', 1999, ('[VHS]',), Reading(key='The Matrix', start=0, stop=11))
    """
    clean = clean_text(original)
    year, regions = _set_aside(clean.text)
    body = clean.without(regions)
    core, named = _readings(body, alternative=year is not None)
    literal = _forms(clean, 0, len(clean.text))[-1:] if regions and named else []
    readings: dict[str, Reading] = {}
    for reading in literal + named:
        readings.setdefault(reading.key, reading)
    marks = [clean.text[start:stop].strip(_EDGE) for start, stop in regions]
    marks = [mark for mark in marks if _YEAR.fullmatch(mark.strip("()[]")) is None]
    return TitleParts(core, year, tuple(marks), tuple(readings.values()), body)


def _set_aside(text: str) -> tuple[int | None, list[tuple[int, int]]]:
    """The year and the slices of a title that are year, marks, and the punctuation before them."""
    year: int | None = None
    regions: list[tuple[int, int]] = []
    first = len(text) - len(text.lstrip())
    for bracket in _BRACKET.finditer(text):
        found = _YEAR.fullmatch(bracket[1] or bracket[2] or "")
        if bracket.start() == first:
            continue  # "(500) Days of Summer", "[REC]"
        if found is not None:
            year = year or int(found[1])
        elif bracket[1] is None and _FORMAT_WORDS.isdisjoint(_words(bracket[2])):
            continue
        start = bracket.start()
        while text[start - 1].isspace():
            start -= 1
        regions.append((start, bracket.end()))
    stop, trailing = _last_kept(text, regions)
    for _ in range(_MAX_TAILS):
        tail = _tail_start(text, stop)
        if tail is None:
            break
        regions.insert(trailing, (tail, stop))
        stop = len(text[:tail].rstrip())
    if trailing < len(regions):
        regions[trailing] = (len(text[:stop].rstrip(_EDGE)), regions[trailing][1])
    return year, regions


def _last_kept(text: str, regions: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Where a title ends before the regions that close it, and the number of the first of these."""
    stop, trailing = len(text.rstrip()), len(regions)
    while trailing and regions[trailing - 1][1] >= stop:
        trailing -= 1
        stop = regions[trailing][0]
    return stop, trailing


def _tail_start(text: str, stop: int) -> int | None:
    """Where a wrapper without a bracket begins at the end of `text[:stop]`: " - Special Edition", " DVD"."""
    for pattern in (_TAIL, _LAST_WORD):
        match = pattern.search(text, max(0, stop - 80), stop)
        if match is None or not text[: match.start()].strip(_EDGE):
            continue
        words = _words(match[1])
        named = words & (_FORMAT_WORDS if pattern is _TAIL else _CARRIERS)
        if named and words <= _FORMAT_WORDS | _FILLING_WORDS:
            return match.start()
    return None


def _readings(body: CleanText, *, alternative: bool) -> tuple[str, list[Reading]]:
    """The core of a title, and its readings: as written, before its last bracket, within it."""
    text = body.text.rstrip()
    brackets = [found for found in _BRACKET.finditer(text) if found.end() == len(text)]
    if not brackets or not text[: brackets[0].start()].strip():
        forms = _forms(body, 0, len(text))
        return (forms[0].key if forms else ""), forms
    bracket = brackets[0]
    forms = _forms(body, 0, bracket.start())
    readings = [*_forms(body, 0, len(text))[-1:], *forms]
    known_as = _ALSO_KNOWN.match(text, bracket.start() + 1)
    if alternative or known_as is not None:
        start = bracket.start() + 1 if known_as is None else known_as.end()
        readings.extend(_forms(body, start, bracket.end() - 1))
    return forms[0].key, readings


def _forms(text: CleanText, start: int, stop: int) -> list[Reading]:
    """A slice as it is, and before that with its article in front where it ends in one."""
    raw = text.text[start:stop]
    key = raw.strip()
    if not key:
        return []
    start += len(raw) - len(raw.lstrip())
    span = text.origin(start, start + len(key))
    forms = [Reading(key, *span)]
    rest, comma, article = key.rpartition(",")
    if comma and rest.strip() and article.strip().lower() in _ARTICLES:
        glue = "" if article.endswith(("'", "\u2019")) else " "
        forms.insert(0, Reading(f"{article.strip()}{glue}{rest.strip()}", *span))
    return forms


def _words(text: str) -> frozenset[str]:
    """The words of a short text, in small letters."""
    return frozenset(_WORD.findall(text.lower()))
