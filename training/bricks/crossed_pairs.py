"""Examples of two domains crossed by their users: pairs of what somebody likes on either side.

In: who likes what, in the target and in the source. Out: the pairs of an epoch. Each positive of both sides is judged
once, with the items drawn against it. Of a user with both sides the shorter list is gone through again to stand beside
the longer one, and is not judged again; of a user with one side the other's columns have no meaning.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int64
from scipy.sparse import csr_array
from torch import Tensor

from training.bricks.bpr import Negatives
from training.dataset import counts, rows_of


class CrossedPairs(NamedTuple):
    """The pairs of an epoch in random order."""

    rows: Int64[Tensor, "pairs 2"]
    """1 where the user has both sides, else 0; and the user."""
    target: Int64[Tensor, "pairs items"]
    """The liked item, then those drawn against it."""
    source: Int64[Tensor, "pairs items"]
    judged: Bool[Tensor, "pairs 2"]
    """Whether the target's items are judged here, and the source's."""


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
    items, judged = [], []
    for own, n_own, sampler in zip(liked, n_liked, negatives, strict=True):
        shuffled = own.indices[np.lexsort((rng.random(own.nnz), rows_of(own)))]
        at = own.indptr[users] + place % np.maximum(n_own[users], 1)
        positives = np.append(shuffled, 0)[np.where(n_own[users] > 0, at, -1)]
        drawn = sampler.draw(users, n_negatives, rng)
        items.append(np.concatenate([positives[:, None], drawn], axis=1).astype(np.int64))
        judged.append(place < n_own[users])
    is_crossed = (n_liked[0] > 0) & (n_liked[1] > 0)
    rows = np.stack([is_crossed[users], users], axis=1).astype(np.int64)
    order = rng.permutation(len(users))
    columns = (rows, *items, np.stack(judged, axis=1))
    return CrossedPairs(*(torch.from_numpy(one[order]) for one in columns))
