"""Known surfaces in a batch of texts: from each token start the longest one, as arrays.

All texts of a batch are one array of code points. Token starts and stops come from the kinds of characters,
the hash of every slice from one running sum (`hashing`). Round r asks of each start still in play whether the
slice up to its r-th token stop is a key, and whether it begins a longer one: most starts leave in the first
round, so the cost is a few lookups a token. Answers are those of walking a dict of folded keys from every
token start; nothing is lost at word boundaries, which automata that check them afterwards do lose.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from alias_tables.characters import Kind, character_table, code_points
from alias_tables.hashing import Hashes, HashTable, Numbers, mixed, slice_hash
from alias_tables.surface import exact_key, fold_text, skip_ignored, tokens

PREFIX_BIT: Final = np.uint8(1)
"""Set in the filter where a slice up to a token stop begins a longer key."""
KEY_BIT: Final = np.uint8(2)
"""Set in the filter where a slice is a key."""
BATCH_CHARACTERS: Final = 1 << 17
"""Code points of a batch: its arrays stay in the processor's cache."""

_PLUS_ONE: Final = np.uint64(1)


@dataclass(frozen=True, slots=True)
class Dictionary:
    """What is known, as hash tables."""

    exact: HashTable
    folded: HashTable
    filter: npt.NDArray[np.uint8]
    """By the low bits of a folded hash: `PREFIX_BIT`, `KEY_BIT`; a power of two long."""
    seed: int
    longest: int
    """Characters of the longest folded key."""


@dataclass(frozen=True, slots=True)
class Found:
    """Matches of some texts, ordered by text and start; arrays of one length."""

    texts: Numbers
    """Number of the text."""
    starts: Numbers
    """In code points of the original text."""
    stops: Numbers
    folded: Numbers
    """Number of the folded key."""
    exact: Numbers
    """Number of the exact key; -1: only the folded one is known."""

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class _Laid:
    """Texts laid out for matching: one array of folded code points, and where matches may begin and end."""

    folded: npt.NDArray[np.uint64]
    """Folded code points plus one, all texts in a row."""
    starts: Numbers
    stops: Numbers
    """Sorted; a match ends before one of them."""
    first: Numbers
    """Of each start, the first of `stops` after it."""
    limit: Numbers
    """Of each start, the first of `stops` beyond its text."""
    pruned: bool
    """Whether `PREFIX_BIT` may end the search: stops follow from folded characters alone."""


def find_all(dictionary: Dictionary, texts: Sequence[str]) -> Found:
    """Return the longest known surface from each token start of each text."""
    parts = [_find_batch(dictionary, texts[first:last], first) for first, last in _batches(texts)]
    return parts[0] if len(parts) == 1 else _joined(parts)


def _batches(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield first and last number of texts of one batch; one longer than a batch is one by itself."""
    first, size = 0, 0
    for number, text in enumerate(texts):
        if size and size + len(text) > BATCH_CHARACTERS:
            yield first, number
            first, size = number, 0
        size += len(text)
    yield first, len(texts)


def _joined(parts: Sequence[Found]) -> Found:
    columns = ("texts", "starts", "stops", "folded", "exact")
    return Found(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))


def _find_batch(dictionary: Dictionary, texts: Sequence[str], offset: int) -> Found:
    """Match the regular texts of a batch together, and the others one by one."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    codes = code_points("".join(texts))
    kinds = character_table().kinds_of(codes)
    irregular = np.flatnonzero(kinds == Kind.IRREGULAR)
    if not len(irregular):
        numbers = np.arange(offset, offset + len(texts))
        return _find_regular(dictionary, codes, kinds, lengths, numbers)
    bounds = np.cumsum(lengths)
    odd = np.zeros(len(texts), bool)
    odd[np.searchsorted(bounds, irregular, "right")] = True
    keep = np.repeat(~odd, lengths)
    regular = np.flatnonzero(~odd)
    found = _find_regular(dictionary, codes[keep], kinds[keep], lengths[regular], regular + offset)
    others = [
        _find_irregular(dictionary, texts[number], number + offset)
        for number in np.flatnonzero(odd).tolist()
    ]
    together = _joined([found, *others])
    order = np.lexsort((together.starts, together.texts))
    return Found(
        together.texts[order],
        together.starts[order],
        together.stops[order],
        together.folded[order],
        together.exact[order],
    )


def _find_regular(
    dictionary: Dictionary,
    codes: npt.NDArray[np.uint32],
    kinds: npt.NDArray[np.uint8],
    lengths: Numbers,
    numbers: Numbers,
) -> Found:
    """Match texts whose characters are all regular; runs of white space count as one space."""
    bounds = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=bounds[1:])
    space = kinds == Kind.SPACE
    double = np.flatnonzero(space[1:] & space[:-1]) + 1
    places: Numbers | None = None
    origin = bounds
    if len(double):
        keep = np.ones(len(codes), bool)
        keep[double] = False
        places = np.flatnonzero(keep)
        codes, kinds = codes[keep], kinds[keep]
        bounds = bounds - np.searchsorted(double, bounds)
    table = character_table()
    starts, stops = _token_bounds(kinds, bounds)
    counts = np.searchsorted(starts, bounds)
    limit = np.repeat(counts[1:], np.diff(counts))
    laid = _Laid(table.folded[codes], starts, stops, np.arange(len(starts)), limit, pruned=True)
    which, ends, folded = _longest(dictionary, laid)
    first, last = starts[which], stops[ends]
    exact = _slice_numbers(dictionary, table.exact[codes], first, last)
    rows = np.searchsorted(counts, which, "right") - 1
    shift = origin[rows]
    if places is not None:
        first, last = places[first], places[last - 1] + 1
    return Found(numbers[rows], first - shift, last - shift, folded, exact)


def _token_bounds(kinds: npt.NDArray[np.uint8], bounds: Numbers) -> tuple[Numbers, Numbers]:
    """Return starts and stops of the tokens of texts in a row: runs of word characters, and signs."""
    n = len(kinds)
    word = kinds == Kind.WORD
    joined = np.zeros(n + 1, bool)  # whether characters i - 1 and i are of one word
    np.logical_and(word[1:], word[:-1], out=joined[1:n] if n else joined[:0])
    joined[bounds] = False
    solid = kinds != Kind.SPACE
    return np.flatnonzero(solid & ~joined[:n]), np.flatnonzero(solid & ~joined[1:]) + 1


def _longest(dictionary: Dictionary, laid: _Laid) -> tuple[Numbers, Numbers, Numbers]:
    """Return which starts have a match, the number of its stop, and its folded key."""
    hashing, checking = slice_hash(dictionary.seed, 0), slice_hash(dictionary.seed, 1)
    sums = hashing.sums(laid.folded)
    check_sums = checking.sums(laid.folded)
    n = len(laid.starts)
    best_key, best_end = np.full(n, -1, np.int64), np.zeros(n, np.int64)
    bases, factors = hashing.origins(sums, laid.starts)
    mask = np.uint64(len(dictionary.filter) - 1)
    active, ends = np.flatnonzero(laid.first < laid.limit), laid.first
    ends = ends[active]
    while len(active):
        stops = laid.stops[ends]
        hashes = _mixed_slices(sums[stops], bases[active], factors[active])
        flags = dictionary.filter[hashes & mask]
        rows = np.flatnonzero(flags & KEY_BIT)
        if len(rows):
            starters = active[rows]
            checks = checking.slices(check_sums, laid.starts[starters], stops[rows])
            keys = dictionary.folded.find(hashes[rows], checks)
            known = np.flatnonzero(keys >= 0)
            best_key[starters[known]] = keys[known]
            best_end[starters[known]] = ends[rows[known]]
        if laid.pruned:
            onward = (flags & PREFIX_BIT).view(bool)
        else:
            onward = stops - laid.starts[active] < dictionary.longest
        onward &= ends + 1 < laid.limit[active]
        active, ends = active[onward], ends[onward] + 1
    which = np.flatnonzero(best_key >= 0)
    return which, best_end[which], best_key[which]


def _mixed_slices(sums: Hashes, bases: Hashes, factors: Hashes) -> Hashes:
    sums -= bases
    sums *= factors
    return mixed(sums)


def _slice_numbers(
    dictionary: Dictionary, codes: npt.NDArray[np.uint64], starts: Numbers, stops: Numbers
) -> Numbers:
    """Return the exact key of each slice, -1 where it is none."""
    hashing, checking = slice_hash(dictionary.seed, 0), slice_hash(dictionary.seed, 1)
    hashes = hashing.slices(hashing.sums(codes), starts, stops)
    checks = checking.slices(checking.sums(codes), starts, stops)
    return dictionary.exact.find(hashes, checks)


def number_of(table: HashTable, seed: int, key: str) -> int:
    """Return the number of a string in a table, -1 where it is not there."""
    found = table.rank(slice_hash(seed, 0).string(key))
    if found >= 0 and table.checks.item(found) != slice_hash(seed, 1).string(key) & 0xFFFFFFFF:
        return -1
    return found


def numbers_of(table: HashTable, seed: int, keys: Sequence[str]) -> Numbers:
    """Return the number of each string in a table, -1 where it is not there."""
    numbers = np.full(len(keys), -1, np.int64)
    hashing, checking = slice_hash(seed, 0), slice_hash(seed, 1)
    for first, last in _batches(keys):
        bounds = np.zeros(last - first + 1, np.int64)
        np.cumsum(np.fromiter(map(len, keys[first:last]), np.int64, last - first), out=bounds[1:])
        codes = code_points("".join(keys[first:last])).astype(np.uint64) + _PLUS_ONE
        starts, stops = bounds[:-1], bounds[1:]
        hashes = hashing.slices(hashing.sums(codes), starts, stops)
        checks = checking.slices(checking.sums(codes), starts, stops)
        numbers[first:last] = table.find(hashes, checks)
    return numbers


def _find_irregular(dictionary: Dictionary, text: str, number: int) -> Found:
    """Match one text by its own folding, where a token and its folded characters may differ in length."""
    folded = fold_text(text)
    spans = tokens(text)
    boundaries = {stop for _, stop in spans}
    origins = [start for start, _ in spans if skip_ignored(text, start) == start]
    originals = np.arange(len(folded.text)) if folded.starts is None else folded.starts
    ends = originals + 1 if folded.stops is None else folded.stops
    ends_list: list[int] = ends.tolist()
    after = {end: skip_ignored(text, end) for end in set(ends_list)}
    stops = np.array(
        [place + 1 for place, end in enumerate(ends_list) if after[end] in boundaries], np.int64
    )
    starts = np.searchsorted(originals, np.array(origins, np.int64)).astype(np.int64)
    laid = _Laid(
        code_points(folded.text).astype(np.uint64) + _PLUS_ONE,
        starts,
        stops,
        np.searchsorted(stops, starts, "right").astype(np.int64),
        np.full(len(starts), len(stops), np.int64),
        pruned=False,
    )
    which, last, keys = _longest(dictionary, laid)
    firsts = [origins[row] for row in which.tolist()]
    lasts = [after[ends_list[place - 1]] for place in stops[last].tolist()]
    exact = [
        number_of(dictionary.exact, dictionary.seed, exact_key(text[start:stop]))
        for start, stop in zip(firsts, lasts, strict=True)
    ]
    return Found(
        np.full(len(firsts), number, np.int64),
        np.array(firsts, np.int64),
        np.array(lasts, np.int64),
        keys,
        np.array(exact, np.int64),
    )
