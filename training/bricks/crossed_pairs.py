"""Examples of two domains crossed by their users: pairs of what somebody likes on either side.

In: who likes what, in the target and in the source. Out: the pairs of an epoch. Each positive of both sides stands in one
pair, with the items drawn against it. Of a user with both sides the likes are put side by side at random; what is left of
the longer list, and what users with one side like, has nobody to stand beside and is a pair with one side alone.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from scipy.sparse import csr_array
from torch import Tensor

from training.bricks.bpr import Negatives
from training.dataset import counts, rows_of

TARGET, BOTH, SOURCE = 0, 1, 2
"""What a pair has."""


class CrossedPairs(NamedTuple):
    """The pairs of an epoch in random order."""

    users: Int64[Tensor, " pairs"]
    sides: Int64[Tensor, " pairs"]
    """`BOTH`, `TARGET` or `SOURCE`; where a side is missing its items have no meaning."""
    target: Int64[Tensor, "pairs items"]
    """The liked item, then those drawn against it."""
    source: Int64[Tensor, "pairs items"]


def pair_up(
    liked: tuple[csr_array, csr_array],
    negatives: tuple[Negatives, Negatives],
    n_negatives: int,
    rng: np.random.Generator,
) -> CrossedPairs:
    """Return the pairs of one epoch.

    Args:
        liked: Shape (users, items) each: the target's, the source's.
        negatives: What is drawn against them.
        n_negatives: Drawn for each positive.
        rng: Of the order, of who stands beside whom, and of the draws.
    """
    n_liked = [counts(one) for one in liked]
    n_pairs = np.maximum(*n_liked)
    users = np.repeat(np.arange(len(n_pairs)), n_pairs)
    place = np.arange(len(users)) - np.repeat(np.cumsum(n_pairs) - n_pairs, n_pairs)
    items = []
    for own, n_own, sampler in zip(liked, n_liked, negatives, strict=True):
        here = np.flatnonzero(place < n_own[users])
        shuffled = own.indices[np.lexsort((rng.random(own.nnz), rows_of(own)))]
        chosen = np.zeros((len(users), 1 + n_negatives), dtype=np.int64)
        chosen[here, 0] = shuffled[own.indptr[users[here]] + place[here]]
        chosen[here, 1:] = sampler.draw(users[here], n_negatives, rng)
        items.append(chosen)
    sides = np.where(place < n_liked[0][users], TARGET, SOURCE)
    sides[place < np.minimum(*n_liked)[users]] = BOTH
    order = rng.permutation(len(users))
    return CrossedPairs(*(torch.from_numpy(one[order]) for one in (users, sides, *items)))
