"""Hashes of every slice of a text at once, and tables of them that are mapped from disk.

A slice c[a:b] of code points hashes to a polynomial in an odd multiplier m, modulo 2^64:

    H(a, b) = mix((S[b] - S[a]) * m^-a),   S[i] = sum over j < i of (c[j] + 1) * m^j

so that one running sum over a batch of texts gives any slice's hash for one multiplication (Karp and Rabin,
1987, with prefix sums). `mix` is a bijection that spreads what short strings leave in the low bits.

A table keeps sorted 64-bit hashes, a 32-bit check of a second multiplier beside each, and where each bucket
of leading bits begins. A slice that is no key is taken for one with a probability of n / 2^96.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]

_MULTIPLIERS: Final = (0x9E3779B97F4A7C15, 0xD1342543DE82EF95)  # both 5 modulo 8: of full period
_NEXT_SEED: Final = 0x5851F42D4C957F28  # 0 modulo 8
_MIX: Final = 0xBF58476D1CE4E5B9  # of splitmix64
_MASK: Final = 0xFFFFFFFFFFFFFFFF
_FEW: Final = 1 << 12
_HIGH, _MIDDLE = np.uint64(32), np.uint64(29)
_MIX_FACTOR: Final = np.uint64(_MIX)


def _powers(factor: int, n: int) -> Hashes:
    """Return 1, factor, factor^2 and so on, n of them, modulo 2^64."""
    steps = np.full(n, factor, np.uint64)
    steps[:1] = 1
    return np.multiply.accumulate(steps)


def mixed(values: Hashes) -> Hashes:
    """Return the values spread over all bits, in place; no two become one."""
    values ^= values >> _HIGH
    values *= _MIX_FACTOR
    values ^= values >> _MIDDLE
    return values


class SliceHash:
    """One member of the family: hashes slices of code points, and whole strings."""

    def __init__(self, seed: int, which: int = 0) -> None:
        """Choose a member.

        Args:
            seed: How often a build met a collision and took the next member.
            which: 0 for the hash, 1 for the check.
        """
        self._multiplier = (_MULTIPLIERS[which] + seed * _NEXT_SEED) & _MASK
        self._inverse = pow(self._multiplier, -1, 1 << 64)
        self._grow(_FEW)

    def _grow(self, n: int) -> None:
        inverses = _powers(self._inverse, n)
        powers = _powers(self._multiplier, n)
        self._ones: list[int] = np.cumsum(powers[: _FEW + 1]).tolist()
        self._powers, self._inverses = powers, inverses

    def sums(self, codes: npt.NDArray[np.uint64]) -> Hashes:
        """Return the running sums S of code points (uint64, each one more than the code point)."""
        powers = self._powers
        if len(codes) >= len(powers):  # a slice may begin where the text ends
            self._grow(1 << len(codes).bit_length())
            powers = self._powers
        sums = np.zeros(len(codes) + 1, np.uint64)
        np.cumsum(codes * powers[: len(codes)], out=sums[1:])
        return sums

    def slices(self, sums: Hashes, starts: Numbers, stops: Numbers) -> Hashes:
        """Return the hash of each slice `[start, stop)` of the text whose sums are given."""
        return mixed((sums[stops] - sums[starts]) * self._inverses[starts])

    def origins(self, sums: Hashes, starts: Numbers) -> tuple[Hashes, Hashes]:
        """Return S at some starts and m^-start: what slices from there all need."""
        return sums[starts], self._inverses[starts]

    def string(self, text: str) -> int:
        """Return the hash of a whole string: that of the slice it would be in any text."""
        n = len(text)
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        if n >= _FEW:
            sums = self.sums(codes.astype(np.uint64) + np.uint64(1))
            value = int(sums[-1])
        elif n:
            value = int(np.dot(codes, self._powers[:n])) + self._ones[n - 1] & _MASK
        else:
            value = 0
        value ^= value >> 32
        value = value * _MIX & _MASK
        return value ^ value >> 29


@lru_cache(maxsize=8)
def slice_hash(seed: int, which: int) -> SliceHash:
    """Return a member of the family; its powers are worked out once a process."""
    return SliceHash(seed, which)


@dataclass(frozen=True, slots=True)
class HashTable:
    """Hash to key number; numbers are ranks of the sorted hashes."""

    hashes: Hashes
    """Sorted, no two equal."""
    buckets: npt.NDArray[np.uint32]
    """First rank of each value of the leading bits; a power of two of them, and the end."""
    checks: npt.NDArray[np.uint32]
    """Second hash of each key."""

    @classmethod
    def of_sorted(cls, hashes: Hashes, checks: npt.NDArray[np.uint32]) -> "HashTable":
        """Return the table of sorted hashes: as many buckets as keys, up to a power of two."""
        bits = max(1, (max(len(hashes), 1) - 1).bit_length())
        leading = (hashes >> np.uint64(64 - bits)).astype(np.int64)
        counts = np.bincount(leading, minlength=1 << bits)
        buckets = np.zeros((1 << bits) + 1, np.uint32)
        np.cumsum(counts, out=buckets[1:])
        return cls(hashes, buckets, checks)

    def __len__(self) -> int:
        return len(self.hashes)

    @property
    def shift(self) -> int:
        """By how much a hash is shifted right to give its bucket."""
        return 64 - (len(self.buckets) - 1).bit_length() + 1

    def ranks(self, wanted: Hashes) -> Numbers:
        """Return the rank of each hash, -1 where there is none."""
        found = np.full(len(wanted), -1, np.int64)
        n = len(self.hashes)
        if n == 0 or len(wanted) == 0:
            return found
        places = self.buckets[wanted >> np.uint64(self.shift)].astype(np.int64)
        rows = np.flatnonzero(places < n)
        places = places[rows]
        while len(rows):
            here, aim = self.hashes[places], wanted[rows]
            equal = here == aim
            found[rows[equal]] = places[equal]
            on = np.flatnonzero(here < aim)
            rows, places = rows[on], places[on] + 1
            inside = places < n
            if not inside.all():
                rows, places = rows[inside], places[inside]
        return found

    def rank(self, wanted: int) -> int:
        """Return the rank of one hash, -1 if there is none."""
        bucket = wanted >> self.shift
        for place in range(self.buckets.item(bucket), self.buckets.item(bucket + 1)):
            if self.hashes.item(place) == wanted:
                return place
        return -1

    def find(self, wanted: Hashes, checks: Hashes) -> Numbers:
        """Return the rank of each pair of hash and check, -1 where there is none."""
        found = self.ranks(wanted)
        if len(self.hashes):
            found[self.checks[found] != checks.astype(np.uint32)] = -1
        return found
