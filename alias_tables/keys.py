"""The hash tables of an index, made from its surfaces in blocks: no Python object a surface.

In: strings as Arrow holds them. Out: sorted hashes, the rank of each string, and the filter that tells the
matcher which slices are keys and which begin one. A collision is seen here (a second hash differs), and the
build takes the next member of the family of hashes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from alias_tables.characters import Kind, character_table, code_points
from alias_tables.hashing import Hashes, HashTable, Numbers, slice_hash
from alias_tables.matching import KEY_BIT, PREFIX_BIT
from alias_tables.strings import Strings
from alias_tables.surface import folded_key

BLOCK_BYTES: Final = 1 << 20
FILTER_ROOM: Final = 4
"""Bytes of the filter a key, at least: about a seventh of foreign slices pass it, and cost one lookup more."""
MAX_SEEDS: Final = 8
_TOP_BITS, _CONTINUES = np.uint8(0b1100_0000), np.uint8(0b1000_0000)  # of bytes inside a character


class CollisionError(Exception):
    """Two different strings have one hash under this seed."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A hash table, and where each string it was made from went."""

    table: HashTable
    ranks: Numbers
    """Of each string."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some strings in a row: their code points plus one, and where each begins and ends."""

    codes: npt.NDArray[np.uint64]
    bounds: Numbers


def blocks(strings: Strings) -> Iterator[tuple[int, int, Block, npt.NDArray[np.uint8]]]:
    """Yield first and last string number, the code points and their kinds, a block of strings at a time."""
    first, n = 0, len(strings)
    while first < n:
        aim = int(strings.offsets[first]) + BLOCK_BYTES
        last = max(first + 1, int(np.searchsorted(strings.offsets, aim, "right")) - 1)
        offsets = strings.offsets[first : last + 1]
        data = strings.content[offsets[0] : offsets[-1]]
        codes = code_points(str(data.data, "utf-8"))
        bounds = offsets - offsets[0]
        if len(codes) < len(data):  # bounds in code points: bytes that begin one, counted
            heads = np.concatenate(([0], np.cumsum((data & _TOP_BITS) != _CONTINUES)))
            bounds = heads[bounds]
        kinds = character_table().kinds_of(codes)
        yield first, last, Block(codes.astype(np.uint64) + np.uint64(1), bounds), kinds
        first = last


def exact_hashes(strings: Strings, seed: int) -> tuple[Hashes, npt.NDArray[np.uint32]]:
    """Return hash and check of each string as it stands."""
    hashes = np.zeros(len(strings), np.uint64)
    checks = np.zeros(len(strings), np.uint32)
    for first, last, block, _ in blocks(strings):
        hashes[first:last], checks[first:last] = _whole(block, seed)
    return hashes, checks


def _whole(block: Block, seed: int) -> tuple[Hashes, npt.NDArray[np.uint32]]:
    starts, stops = block.bounds[:-1], block.bounds[1:]
    hashing, checking = slice_hash(seed, 0), slice_hash(seed, 1)
    hashes = hashing.slices(hashing.sums(block.codes), starts, stops)
    checks = checking.slices(checking.sums(block.codes), starts, stops)
    return hashes, checks.astype(np.uint32)


@dataclass(frozen=True, slots=True)
class FoldedKeys:
    """The folded key of each string as hash and check, with what the matcher's filter is made of."""

    hashes: Hashes
    checks: npt.NDArray[np.uint32]
    prefixes: Hashes
    """Hashes of what stands before a token stop inside a key; some more than once."""
    longest: int
    """Characters of the longest key."""


def folded_keys(strings: Strings, seed: int) -> FoldedKeys:
    """Return the folded keys of strings."""
    hashes = np.zeros(len(strings), np.uint64)
    checks = np.zeros(len(strings), np.uint32)
    prefixes: list[Hashes] = []
    longest = 0
    for first, last, block, kinds in blocks(strings):
        bad = np.concatenate(([0], np.cumsum(_irregular(kinds, block.bounds))))
        odd = np.flatnonzero(np.diff(bad[block.bounds]) > 0)
        folded = Block(character_table().folded[block.codes - np.uint64(1)], block.bounds)
        hashes[first:last], checks[first:last] = _whole(folded, seed)
        even = np.ones(last - first, bool)
        even[odd] = False
        prefixes.append(_prefixes(folded, kinds, even, seed))
        longest = max(longest, int(np.diff(block.bounds)[even].max(initial=0)))
        if len(odd):
            keys = [folded_key(strings[first + row]) for row in odd.tolist()]
            alone, alone_kinds = _laid_out(keys)
            hashes[first + odd], checks[first + odd] = _whole(alone, seed)
            prefixes.append(_prefixes(alone, alone_kinds, np.ones(len(keys), bool), seed))
            longest = max(longest, *map(len, keys))
    together = np.concatenate(prefixes) if prefixes else np.zeros(0, np.uint64)
    return FoldedKeys(hashes, checks, together, longest)


def _irregular(kinds: npt.NDArray[np.uint8], bounds: Numbers) -> npt.NDArray[np.bool_]:
    """Return which characters keep a string from being folded character by character."""
    space = kinds == Kind.SPACE
    bad: npt.NDArray[np.bool_] = kinds == Kind.IRREGULAR
    bad[1:] |= space[1:] & space[:-1]
    filled = np.flatnonzero(np.diff(bounds))
    bad[bounds[filled]] |= space[bounds[filled]]
    bad[bounds[filled + 1] - 1] |= space[bounds[filled + 1] - 1]
    return bad


def _laid_out(keys: list[str]) -> tuple[Block, npt.NDArray[np.uint8]]:
    codes = code_points("".join(keys))
    bounds = np.concatenate(([0], np.cumsum([len(key) for key in keys]))).astype(np.int64)
    kinds = character_table().kinds_of(codes)
    return Block(codes.astype(np.uint64) + np.uint64(1), bounds), kinds


def _prefixes(
    block: Block,
    kinds: npt.NDArray[np.uint8],
    wanted: npt.NDArray[np.bool_],
    seed: int,
) -> Hashes:
    """Return the hashes of what stands before each token stop inside the wanted strings."""
    if not len(kinds):
        return np.zeros(0, np.uint64)
    word = kinds == Kind.WORD
    ends = kinds != Kind.SPACE
    ends[:-1] &= ~(word[:-1] & word[1:])
    lengths = np.diff(block.bounds)
    ends[block.bounds[1:][lengths > 0] - 1] = False  # the whole key is no prefix of itself
    stops = np.flatnonzero(ends & np.repeat(wanted, lengths)) + 1
    owners = np.searchsorted(block.bounds, stops, "left") - 1
    hashing = slice_hash(seed, 0)
    hashes = hashing.slices(hashing.sums(block.codes), block.bounds[owners], stops)
    return np.unique(hashes)


def ranked(hashes: Hashes, checks: npt.NDArray[np.uint32]) -> Ranked:
    """Return the table of some hashes; equal pairs of hash and check are one key.

    Raises:
        CollisionError: two pairs have one hash and different checks.
    """
    order = np.argsort(hashes, kind="stable")
    in_order = hashes[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = in_order[1:] != in_order[:-1]
    checks = checks[order]
    again = np.flatnonzero(~fresh)
    if (checks[again] != checks[again - 1]).any():
        raise CollisionError
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.cumsum(fresh) - 1
    return Ranked(HashTable.of_sorted(in_order[fresh], checks[fresh]), ranks)


def matching_filter(folded: HashTable, prefixes: Hashes) -> npt.NDArray[np.uint8]:
    """Return the filter of the matcher for some keys and prefixes."""
    size = 1 << max(4, (FILTER_ROOM * len(folded) - 1).bit_length())
    mask = np.uint64(size - 1)
    filled = np.zeros(size, np.uint8)
    filled[prefixes & mask] |= PREFIX_BIT
    filled[folded.hashes & mask] |= KEY_BIT
    return filled
