"""The surfaces of a build as hash tables in files, and which of them occur in a text.

In: surfaces in batches, in any order. Out: a folder that workers map into memory, whose numbers are ranks of
hashes, so that equal surfaces give equal files. A text is matched as arrays: round r asks of each token start
still in play whether the slice up to its r-th token stop is a surface, and whether it begins a longer one
(`hashing`). Found is every surface between token boundaries, overlapping ones too; a slice that is none is
taken for one with a probability of n / 2^96.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from alias_tables.characters import code_points
from alias_tables.hashing import Hashes, HashTable, Numbers, mixed, slice_hash
from alias_tables.matching import KEY_BIT, PREFIX_BIT, numbers_of
from alias_tables.surface import exact_key, token_bounds

FILTER_ROOM: Final = 4
"""Bytes of the filter a surface, at least."""
_ARRAYS: Final = ("hashes", "buckets", "checks", "filter")
_END: Final = "\n"  # stands in no surface, and belongs to no token
_ONE: Final = np.uint64(1)


class SurfaceTable:
    """Surfaces by number, mapped from a folder."""

    def __init__(self, folder: Path) -> None:
        hashes, buckets, checks, self._filter = (
            np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS
        )
        self._table = HashTable(hashes, buckets, checks)
        self._seed = int((folder / "seed").read_text(encoding="ascii"))

    def __len__(self) -> int:
        return len(self._table)

    def numbers_of(self, surfaces: Sequence[str]) -> Numbers:
        """Return the number of each surface, -1 of those not in the table."""
        return numbers_of(self._table, self._seed, surfaces)

    def found_in(self, text: str) -> Numbers:
        """Return the numbers of all surfaces in a text, each once, sorted."""
        text = exact_key(text)
        starts, stops = token_bounds(text)
        hashing, checking = slice_hash(self._seed, 0), slice_hash(self._seed, 1)
        codes = code_points(text).astype(np.uint64) + _ONE
        sums, check_sums = hashing.sums(codes), checking.sums(codes)
        bases, factors = hashing.origins(sums, starts)
        mask = np.uint64(len(self._filter) - 1)
        found: list[Numbers] = []
        active = ends = np.arange(len(starts))  # the first stop after the i-th start is the i-th
        while len(active):
            here = stops[ends]
            hashes = mixed((sums[here] - bases[active]) * factors[active])
            flags = self._filter[hashes & mask]
            rows = np.flatnonzero(flags & KEY_BIT)
            hashes, first = np.unique(hashes[rows], return_index=True)
            rows = rows[first]
            checks = checking.slices(check_sums, starts[active[rows]], here[rows])
            found.append(self._table.find(hashes, checks))
            onward = np.flatnonzero(((flags & PREFIX_BIT) > 0) & (ends + 1 < len(stops)))
            active, ends = active[onward], ends[onward] + 1
        numbers = np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)
        return numbers[np.searchsorted(numbers, 0) :]


def save_surface_table(
    batches: Callable[[], Iterable[Sequence[str]]], n_surfaces: int, folder: Path
) -> str:
    """Write the table of some surfaces into a new folder; return a digest of what it holds.

    Args:
        batches: gives the surfaces, each once; asked again in the rare case that two have one hash.
        n_surfaces: how many there are.
        folder: does not exist yet.
    """
    folder.mkdir()
    seed = 0
    while (arrays := _arrays(batches(), n_surfaces, seed)) is None:
        seed += 1
    (folder / "seed").write_text(str(seed), encoding="ascii")
    digest = hashlib.sha256(str(seed).encode())
    for name, array in zip(_ARRAYS, arrays, strict=True):
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
        digest.update(array.data)
    return digest.hexdigest()


def _arrays(
    batches: Iterable[Sequence[str]], n_surfaces: int, seed: int
) -> tuple[npt.NDArray[np.generic], ...] | None:
    """Return the arrays of a table; None if two surfaces have one hash."""
    hashes = np.zeros(n_surfaces, np.uint64)
    checks = np.zeros(n_surfaces, np.uint32)
    size = 1 << max(4, (FILTER_ROOM * n_surfaces - 1).bit_length())
    mask = np.uint64(size - 1)
    filled = np.zeros(size, np.uint8)
    first = 0
    for batch in batches:
        part = slice(first, first + len(batch))
        hashes[part], checks[part], prefixes = _hashed(batch, seed)
        filled[prefixes & mask] |= PREFIX_BIT
        first += len(batch)
    filled[hashes & mask] |= KEY_BIT
    order = np.argsort(hashes)
    hashes, checks = hashes[order], checks[order]
    if (hashes[1:] == hashes[:-1]).any():
        return None
    table = HashTable.of_sorted(hashes, checks)
    return hashes, table.buckets, checks, filled


def _hashed(surfaces: Sequence[str], seed: int) -> tuple[Hashes, npt.NDArray[np.uint32], Hashes]:
    """Return hash and check of each surface, and the hashes of what stands before a token stop in one."""
    text = _END.join([*surfaces, ""])
    lengths = np.fromiter(map(len, surfaces), np.int64, len(surfaces))
    stops = np.cumsum(lengths + 1) - 1
    starts = stops - lengths
    codes = code_points(text).astype(np.uint64) + _ONE
    hashing, checking = slice_hash(seed, 0), slice_hash(seed, 1)
    sums = hashing.sums(codes)
    hashes = hashing.slices(sums, starts, stops)
    checks = checking.slices(checking.sums(codes), starts, stops).astype(np.uint32)
    _, inner = token_bounds(text)
    owners = np.searchsorted(stops, inner)
    prefixes = hashing.slices(sums, starts[owners], inner)
    return hashes, checks, prefixes[inner < stops[owners]]
