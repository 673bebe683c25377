"""What each code point is to a batch of texts: its kind, its exact form and its folded form.

A character is *regular* when both keys (`surface`) turn it into exactly one character of the same kind,
whatever stands beside it. For texts of regular characters alone, keys and tokens of a whole batch follow from
three lookups an array; a text with any other character (accents written apart, Hangul, ligatures, marks) is
folded by `surface` on its own. The lookups are filled as characters turn up.
"""

import unicodedata
from enum import IntEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from alias_tables.surface import exact_key, fold_text, tokens

_N_CODE_POINTS = 0x110000
_JOINING_JAMO = range(0x1160, 0x1200)  # NFC joins these to what stands before them


class Kind(IntEnum):
    """What a character does to tokens."""

    UNKNOWN = 0
    """Not met yet."""
    WORD = 1
    """Makes one token with its neighbours."""
    SIGN = 2
    """A token by itself."""
    SPACE = 3
    IRREGULAR = 4


class CharacterTable:
    """Kind, exact form and folded form of each code point."""

    def __init__(self) -> None:
        self.kinds: npt.NDArray[np.uint8] = np.zeros(_N_CODE_POINTS, np.uint8)
        self.exact: npt.NDArray[np.uint64] = np.zeros(_N_CODE_POINTS, np.uint64)
        """Exact form, plus one."""
        self.folded: npt.NDArray[np.uint64] = np.zeros(_N_CODE_POINTS, np.uint64)
        """Folded form, plus one."""

    def kinds_of(self, codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
        """Return the kind of each code point; those not met before are worked out."""
        kinds: npt.NDArray[np.uint8] = self.kinds[codes]
        if len(kinds) and not kinds.all():
            for code in np.unique(codes[kinds == Kind.UNKNOWN]).tolist():
                self._learn(code)
            kinds = self.kinds[codes]
        return kinds

    def _learn(self, code: int) -> None:
        kind, exact, folded = _forms(code)
        if kind in {Kind.WORD, Kind.SIGN} and _forms(folded) != (kind, folded, folded):
            kind = Kind.IRREGULAR
        self.exact[code], self.folded[code] = exact + 1, folded + 1
        self.kinds[code] = kind  # last: another thread may look


def _forms(code: int) -> tuple[Kind, int, int]:
    """Return kind, exact and folded form of one character, taken by itself."""
    character = chr(code)
    if character.isspace():
        return Kind.SPACE, ord(" "), ord(" ")
    exact, folded = exact_key(character), fold_text(character).text
    joins = unicodedata.combining(character) or code in _JOINING_JAMO
    if len(exact) != 1 or len(folded) != 1 or joins:
        return Kind.IRREGULAR, code, code
    kind, folded_kind = _token_kind(character), _token_kind(folded)
    if kind is not folded_kind:
        kind = Kind.IRREGULAR
    return kind, ord(exact), ord(folded)


def _token_kind(character: str) -> Kind:
    """Return how a character that is no space stands among its like."""
    if unicodedata.category(character)[0] == "M" or unicodedata.category(character) == "Cf":
        return Kind.IRREGULAR
    return Kind.WORD if len(tokens(character * 2)) == 1 else Kind.SIGN


@lru_cache(maxsize=1)
def character_table() -> CharacterTable:
    """Return the table of this process."""
    return CharacterTable()


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """Return the code points of a string; a lone surrogate is one, too."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
