"""Surface forms: the exact key, the folded key, and a map from folded text back to the original.

A surface is looked up first by its exact key (NFC, white space collapsed), then by its folded key
(compatibility forms, accents, case and typographic quotes levelled). Running text is folded segment by
segment, so that each folded character knows where it came from: `"İ".lower()` has two code points, and
offsets taken in lowered text point beside the word.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

_BIDI_MARKS = re.compile("[\u200e\u200f\u202a-\u202e]")
_SURROGATE = re.compile("[\ud800-\udfff]")  # a lone one has no UTF-8, so no dictionary can hold it
_SEGMENT = re.compile("[\x00-\x7f]+|[^\x00-\x7f]")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_TOKEN_CLASSES = re.compile("w[wm]*|[cp]m*|m+")
_SPACES = re.compile(r"\s+")

_LEVELLED = {
    "'": "\u2018\u2019\u201a\u201b\u2032\u02bc`",
    '"': "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
    "/": "\u2044",
}
_IGNORED = re.compile(  # accents, zero-width and direction marks, variants; vowel signs of other scripts stay
    "[\u0300-\u036f\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufe00-\ufe0f\ufeff]+"
)
_TYPOGRAPHY = str.maketrans({sign: plain for plain, signs in _LEVELLED.items() for sign in signs})
_CJK = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),
    (0x3005, 0x3007),
    (0x3021, 0x3029),
    (0x3031, 0x30FF),  # Kana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),  # Han
    (0xAC00, 0xD7AF),  # Hangul: particles are written onto the noun
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)


def exact_key(text: str) -> str:
    r"""Return `text` in NFC with white space collapsed and direction marks removed.

    >>> exact_key("  Star\u00a0 Wars\u200e ")
    'Star Wars'
    """
    if _PLAIN.fullmatch(text):
        return text
    # NFC may not change white space, and removing marks may bring combining characters together
    text = unicodedata.normalize("NFC", _SURROGATE.sub("\ufffd", _BIDI_MARKS.sub("", text)))
    return " ".join(text.split())


def _fold_segment(segment: str) -> str:
    segment = _SURROGATE.sub("\ufffd", segment)
    for _ in range(2):  # casefolding may bring forth what the first round would have levelled
        bare = _IGNORED.sub("", unicodedata.normalize("NFKD", segment))
        segment = bare.translate(_TYPOGRAPHY).casefold()
    return segment


def skip_ignored(text: str, position: int) -> int:
    """Return the next position whose character leaves a trace in folded text."""
    match = None if text.isascii() else _IGNORED.match(text, position)
    return match.end() if match else position


def folded_key(text: str) -> str:
    """Return the key under which spellings of one name meet; folding twice is folding once.

    >>> folded_key("AMÉLIE"), folded_key("İstanbul"), folded_key("Straße")
    ('amelie', 'istanbul', 'strasse')
    """
    if _PLAIN.fullmatch(text):
        return text.lower().replace("`", "'")
    return fold_text(text).text.strip()


@dataclass(frozen=True, slots=True)
class FoldedText:
    """Folded running text and where each of its characters came from."""

    text: str
    starts: npt.NDArray[np.int64] | None
    """Start of the original segment of each folded character; None: offsets are the same."""
    stops: npt.NDArray[np.int64] | None
    """Stop of the original segment of each folded character; None: offsets are the same."""

    def original_span(self, start: int, stop: int) -> tuple[int, int]:
        """Return the span of the original text that became `text[start:stop]` (not empty)."""
        if self.starts is None or self.stops is None:
            return start, stop
        return int(self.starts[start]), int(self.stops[stop - 1])


def _segments(text: str) -> list[tuple[int, int]]:
    """Cut text into ASCII runs and single characters with the combining characters after them."""
    spans: list[tuple[int, int]] = []
    for match in _SEGMENT.finditer(text):
        start, stop = match.span()
        if spans and not match[0].isascii() and unicodedata.combining(match[0]):
            last_start, last_stop = spans[-1]
            if last_stop - last_start > 1 and text[last_stop - 1].isascii():
                spans[-1] = (last_start, last_stop - 1)
                spans.append((last_stop - 1, stop))
            else:
                spans[-1] = (last_start, stop)
        else:
            spans.append((start, stop))
    return spans


def fold_text(text: str) -> FoldedText:
    """Fold running text for matching, keeping the way back to the original offsets."""
    if text.isascii() and not _SPACES.search(text.replace(" ", "x")) and "  " not in text:
        return FoldedText(text.lower().replace("`", "'"), None, None)
    pieces: list[str] = []
    starts: list[int] = []
    stops: list[int] = []
    for start, stop in _segments(text):
        if text[start:stop].isascii():
            pieces.append(text[start:stop].lower().replace("`", "'"))
            starts.extend(range(start, stop))
            stops.extend(range(start + 1, stop + 1))
        else:
            piece = _fold_segment(text[start:stop])
            pieces.append(piece)
            starts.extend([start] * len(piece))
            stops.extend([stop] * len(piece))
    return _collapse_spaces("".join(pieces), np.asarray(starts, int), np.asarray(stops, int))


def _collapse_spaces(
    folded: str, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]
) -> FoldedText:
    """Make each run of white space one space, whose segment is the whole run."""
    runs = [match.span() for match in _SPACES.finditer(folded) if match[0] != " "]
    if not runs:
        return FoldedText(folded, starts, stops)
    keep = np.ones(len(folded), dtype=bool)
    stops = stops.copy()
    for start, stop in runs:
        keep[start + 1 : stop] = False
        stops[start] = stops[stop - 1]
    return FoldedText(_SPACES.sub(" ", folded), starts[keep], stops[keep])


class _CharacterClasses(dict[int, str]):
    """Character to class: w word, c script without spaces, m mark, s space, p anything else."""

    def __missing__(self, code: int) -> str:
        category = unicodedata.category(chr(code))
        if category[0] == "M" or category == "Cf":
            kind = "m"
        elif any(low <= code <= high for low, high in _CJK):
            kind = "c"
        elif category[0] in "LN" or code == ord("_"):
            kind = "w"
        else:
            kind = "s" if chr(code).isspace() else "p"
        self[code] = kind
        return kind


@lru_cache(maxsize=1)
def _character_classes() -> _CharacterClasses:
    return _CharacterClasses()


def tokens(text: str) -> list[tuple[int, int]]:
    """Return the spans of the tokens: words, and single characters of other kinds.

    A combining mark belongs to what it follows; in scripts written without spaces each character is
    a token, so that every position may start a match.

    >>> [text[a:b] for text in ["Who's 东京?"] for a, b in tokens(text)]
    ['Who', "'", 's', '东', '京', '?']
    """
    classes = text.translate(_character_classes())
    return [match.span() for match in _TOKEN_CLASSES.finditer(classes)]


def token_bounds(text: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the starts and the stops of the tokens as arrays: those of `tokens`.

    >>> [bounds.tolist() for bounds in token_bounds("Who's 东京?")]
    [[0, 3, 4, 6, 7, 8], [3, 4, 5, 7, 8, 9]]
    """
    classes = np.frombuffer(text.translate(_character_classes()).encode("ascii"), np.uint8)
    n = len(classes)
    solid, word, mark = classes != ord("s"), classes == ord("w"), classes == ord("m")
    joined = np.zeros(n + 1, bool)  # whether characters i - 1 and i are of one token
    if mark.any():
        base = classes[
            np.maximum.accumulate(np.where(mark, 0, np.arange(n)))
        ]  # what marks stand on
        joined[1:n] = (mark[1:] & solid[:-1]) | (word[1:] & (base[:-1] == ord("w")))
    else:
        joined[1:n] = word[1:] & word[:-1]
    return np.flatnonzero(solid & ~joined[:n]), np.flatnonzero(solid & ~joined[1:]) + 1
