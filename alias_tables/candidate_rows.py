"""Candidates in rows: those of an exact key as the table has them, those of a folded key pooled over spellings.

In: pairs of a key and an entity row with a prior each. Out: CSR arrays, best candidate first.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UInts = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Candidate rows to be put in CSR order: a key, an entity row and a prior each."""

    keys: Offsets
    rows: UInts
    priors: npt.NDArray[np.float64]


def csr(pairs: Pairs, n_keys: int) -> tuple[Offsets, UInts, Floats]:
    """Sort pairs by key, prior (highest first) and entity row; return offsets, rows and priors."""
    priors = pairs.priors.astype(np.float32)
    order = np.lexsort((pairs.rows, -priors, pairs.keys))
    counts = np.bincount(pairs.keys, minlength=n_keys)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return offsets, pairs.rows[order], priors[order]


def sums(keys: Offsets, weights: npt.NDArray[np.float64], n_keys: int) -> npt.NDArray[np.float64]:
    """Return the sum of the weights of each key."""
    return np.bincount(keys, weights=weights, minlength=n_keys).astype(np.float64)


def folded_pairs(
    pairs: Pairs, folded_of_exact: Offsets, seen: npt.NDArray[np.float64], n_entities: int
) -> Pairs:
    """Return the candidates of folded keys: the mean over spellings, weighted by how often each was seen.

    A spelling that no channel counted weighs as one that was seen once, so that its entities keep a
    probability above zero, and spellings none of which was counted have equal shares.
    """
    weights = np.maximum(seen, 1.0)
    n_folded = int(folded_of_exact.max(initial=-1)) + 1
    totals = sums(folded_of_exact, weights, n_folded)
    folded = folded_of_exact[pairs.keys]
    merged = _merge(Pairs(folded, pairs.rows, pairs.priors * weights[pairs.keys]), n_entities)
    shares = _six_digits(merged.priors / totals[merged.keys])
    return Pairs(merged.keys, merged.rows, shares)


def _six_digits(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Round to six significant digits, so that sums of float32 priors that should tie do tie."""
    scale = 10.0 ** (6 - np.ceil(np.log10(shares)))
    return np.minimum(np.round(shares * scale) / scale, 1.0)


def _merge(pairs: Pairs, n_entities: int) -> Pairs:
    """Sum the priors of pairs with equal key and row."""
    codes = pairs.keys * max(n_entities, 1) + pairs.rows
    unique, inverse = np.unique(codes, return_inverse=True)
    totals = sums(inverse, pairs.priors, len(unique))
    keys, rows = np.divmod(unique, max(n_entities, 1))
    return Pairs(keys.astype(np.int64), rows.astype(np.uint32), totals)


def representatives(
    folded_of_exact: Offsets, seen: npt.NDArray[np.float64], first_seen: Offsets, n_folded: int
) -> UInts:
    """Return the exact key seen most often of each folded key (ties: the first of the table)."""
    order = np.lexsort((-first_seen, seen))
    chosen = np.zeros(n_folded, np.uint32)
    chosen[folded_of_exact[order]] = order
    return chosen
