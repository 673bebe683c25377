"""Titles as shops and MovieLens write them, taken apart.

`parse_title` sets aside what wraps a title ("[VHS]", "(Collector's Edition)", "(1999)") and lists the readings
under which the whole title may be looked up: "Matrix, The (1999)" reads as "The Matrix", and stands at
`original[0:11]`. All offsets are code points of the original; all patterns are bounded.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from entity_linking.text import CleanText, clean_text

# What shops wrap a title in. A bracket holding one of these words is a mark, and so is a tail after a
# dash, colon or comma that is made of these and the filling words alone.
_FORMAT_WORDS = frozenset(
    """3d 4k abridged audio audiobook blu bluray box boxed cd cds collector collectors criterion cut
    deluxe digital disc discs dubbed dvd dvds edition editions fullscreen hardback hardcover hd import
    kindle letterbox letterboxed mp3 ntsc paperback region remastered screen soundtrack steelbook
    subtitled uhd unabridged uncut unrated version vhs widescreen""".split()  # noqa: SIM905  a list to read
)
_FILLING_WORDS = frozenset(
    """and anniversary collection complete director double extended final four full
    international limited mass market one original ray s set single special the theatrical three two
    ultimate wide with""".split()  # noqa: SIM905  a list to read
)
_WORD = re.compile(r"\w+")
_BRACKET = re.compile(r"\[([^\[\]()]{0,200})\]|\(([^\[\]()]{0,200})\)")
_YEAR = re.compile(r"\s*((?:18|19|20)[0-9]{2})\s*(?:[-\u2013/]\s*[0-9]{0,4}\s*)?")
_TAIL = re.compile(
    r"(?P<title>.*)(?:\s[-\u2013\u2014|]|[:,/])\s(?P<tail>[^:,/|()\[\]]{1,60})$", re.DOTALL
)
_CARRIER = re.compile(
    r"(?P<title>.*)\s(?P<tail>(?:dvd|vhs|blu-?ray|box|boxed)\sset|vhs|dvds?|blu-?ray)$",
    re.DOTALL | re.IGNORECASE,
)
_TAIL_SIGN = re.compile(r"[-\u2013\u2014|:,/]")
_CARRIERS = (
    "set",
    "vhs",
    "dvd",
    "dvds",
    "ray",
)  # how a title ends that `_CARRIER` matches, in small letters
_MAX_TAILS = 8
_TAIL_WINDOW = 80
_ORDINAL = re.compile(r"[0-9]+(?:st|nd|rd|th)?")
_SUBTITLE = re.compile(r":\s|\s[-\u2013\u2014]\s")
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
    for bracket in _brackets(text):
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


def _brackets(text: str) -> Iterable[re.Match[str]]:
    """The brackets of a title, which most titles have none of."""
    return _BRACKET.finditer(text) if "(" in text or "[" in text else ()


def _last_kept(text: str, regions: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Where a title ends before the regions that close it, and the number of the first of these."""
    stop, trailing = len(text.rstrip()), len(regions)
    while trailing and regions[trailing - 1][1] >= stop:
        trailing -= 1
        stop = regions[trailing][0]
    return stop, trailing


def _tail_start(text: str, stop: int) -> int | None:
    """Where a wrapper without a bracket begins at the end of `text[:stop]`: " - Special Edition", " DVD"."""
    start = max(0, stop - _TAIL_WINDOW)
    signed = _TAIL_SIGN.search(text, start, stop) is not None
    carried = text[max(0, stop - 4) : stop].lower().endswith(_CARRIERS)
    for pattern, possible in ((_TAIL, signed), (_CARRIER, carried)):
        match = pattern.match(text, start, stop) if possible else None
        if match is None or not text[: match.end("title")].strip(_EDGE):
            continue
        words = {word for word in _words(match["tail"]) if _ORDINAL.fullmatch(word) is None}
        if words & _FORMAT_WORDS and words <= _FORMAT_WORDS | _FILLING_WORDS:
            return match.end("title")
    return None


def _readings(body: CleanText, *, alternative: bool) -> tuple[str, list[Reading]]:
    """The core of a title, and its readings: as written, before its last bracket, in it, shortened."""
    text = body.text.rstrip()
    closed = text.endswith((")", "]"))
    brackets = [found for found in _brackets(text) if found.end() == len(text)] if closed else []
    if not brackets or not text[: brackets[0].start()].strip():
        forms = _forms(body, 0, len(text))
        return (forms[0].key if forms else ""), forms + _shorter_forms(body, len(text))
    bracket = brackets[0]
    forms = _forms(body, 0, bracket.start())
    readings = [*_forms(body, 0, len(text))[-1:], *forms]
    known_as = _ALSO_KNOWN.match(text, bracket.start() + 1)
    if alternative or known_as is not None:
        start = bracket.start() + 1 if known_as is None else known_as.end()
        readings.extend(_forms(body, start, bracket.end() - 1))
    return forms[0].key, readings + _shorter_forms(body, bracket.start())


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


def _shorter_forms(body: CleanText, stop: int) -> list[Reading]:
    """`body[:stop]` without its final punctuation, and what stands before its subtitle."""
    title = body.text[:stop].rstrip()
    stops = [len(title.rstrip("?!.\u2026 "))]
    subtitle = _SUBTITLE.search(title)
    if subtitle is not None:
        stops.append(subtitle.start())
    return [form for end in stops if 0 < end < len(title) for form in _forms(body, 0, end)]


def _words(text: str) -> frozenset[str]:
    """The words of a short text, in small letters."""
    return frozenset(_WORD.findall(text.lower()))
