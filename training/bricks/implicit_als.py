"""Factors of likes by alternating least squares, where what is not liked counts for little and is never listed.

In: who likes what. Out: p_u and q_i, of which p_u . q_i is near 1 for likes and small elsewhere, the minimum of

    sum over likes (1 - p_u.q_i)^2 + a sum over all u, i (p_u.q_i)^2 + l2 [sum_u w_u |p_u|^2 + sum_i w_i |q_i|^2]

    w_u = n_u + a n_items,  w_i = n_i + a n_users        n_u, n_i: likes of a user, of an item
    a   = min(1, unliked per_like)                       what all pairs without a like weigh, over what the likes do

(Hu, Koren and Volinsky, ICDM 2008; `a` on its own and the l2 by weights as in Rendle, Krichene, Zhang and Koren, Revisiting the
Performance of iALS, RecSys 2022). One side given, each row of the other is a ridge regression, solved exactly. It starts from the
truncated singular value decomposition, so that few sweeps do and nothing is drawn.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.sparse import csr_array

from training.bricks.singular_space import singular_space
from training.dataset import counts

NUMBERS_AT_ONCE = 1 << 22
"""Held while rows are solved together: 32 MiB of float64."""


@dataclass(frozen=True)
class AlsSettings:
    """What is minimised, and how long."""

    n_factors: int
    l2: float
    unliked: float
    """What all pairs without a like weigh together, over what the likes do."""
    n_sweeps: int = 4
    """Over both sides. On fold 0 of Amazon-KG 4 and 12 rank alike (NDCG@10 among 999 negatives within .002)."""


@dataclass(frozen=True)
class ImplicitFactors:
    """Both sides."""

    users: Float64[np.ndarray, "users m"]
    """p; zeros for users without a like."""
    items: Float64[np.ndarray, "items m"]
    """q; zeros for items that nobody likes."""


def implicit_factors(liked: csr_array, settings: AlsSettings) -> ImplicitFactors:
    """Return the factors, fewer than asked for where the matrix has a smaller rank.

    Args:
        liked: Shape (users, items), binary; empty rows and columns do not count.
        settings: Sizes and weights.
    """
    n_likes = counts(liked), counts(csr_array(liked.T))
    n_users, n_items = (int(np.count_nonzero(one)) for one in n_likes)
    space = singular_space(liked, settings.n_factors)
    items = space.vectors * np.sqrt(space.strengths)
    users = np.zeros((liked.shape[0], items.shape[1]))
    weight = min(1.0, settings.unliked * liked.nnz / max(n_users * n_items, 1))
    by_user, by_item = csr_array(liked), csr_array(liked.T)
    for _ in range(settings.n_sweeps):
        users = _solved(by_user, items, weight, settings.l2, weight * n_items)
        items = _solved(by_item, users, weight, settings.l2, weight * n_users)
    return ImplicitFactors(_solved(by_user, items, weight, settings.l2, weight * n_items), items)


def _solved(
    liked: csr_array,
    others: Float64[np.ndarray, "others m"],
    weight: float,
    l2: float,
    unliked_mass: float,
) -> Float64[np.ndarray, "rows m"]:
    """Return the rows of one side, given the other's."""
    size = others.shape[1]
    found = np.zeros((liked.shape[0], size))
    if not size:
        return found
    of_all = weight * others.T @ others
    padded = np.vstack([others, np.zeros(size)])
    n_likes = counts(liked)
    for rows in _alike(n_likes, size):
        gram, moment = _sums(liked, rows, n_likes[rows], padded)
        gram += of_all
        gram[:, np.arange(size), np.arange(size)] += l2 * (n_likes[rows] + unliked_mass)[:, None]
        found[rows] = np.linalg.solve(gram, moment[:, :, None])[:, :, 0]
    return found


def _alike(n_likes: Int64[np.ndarray, " rows"], size: int) -> list[Int64[np.ndarray, " part"]]:
    """Return the rows with likes in parts of similar numbers of likes, small enough to be solved together."""
    order = np.argsort(n_likes, kind="stable")
    order = order[n_likes[order] > 0]
    most = max(1, NUMBERS_AT_ONCE // size**2)
    parts, start = [], 0
    while start < len(order):
        longest = n_likes[order[start : start + most]]  # of the rows up to each
        held = np.arange(1, len(longest) + 1) * np.maximum(longest, size) * size
        n_rows = max(1, int(np.searchsorted(held, NUMBERS_AT_ONCE, side="right")))
        parts.append(order[start : start + n_rows])
        start += n_rows
    return parts


def _sums(
    liked: csr_array,
    rows: Int64[np.ndarray, " part"],
    n_likes: Int64[np.ndarray, " part"],
    padded: Float64[np.ndarray, "others m"],
) -> tuple[Float64[np.ndarray, "part m m"], Float64[np.ndarray, "part m"]]:
    """Return the sums over each row's likes of q q' and of q; the last of `padded` is 0, for shorter rows."""
    size = padded.shape[1]
    gram, moment = np.zeros((len(rows), size, size)), np.zeros((len(rows), size))
    step = max(1, NUMBERS_AT_ONCE // (len(rows) * size))
    for first in range(0, int(n_likes.max()), step):
        place = first + np.arange(min(step, int(n_likes.max()) - first))
        is_like = place < n_likes[:, None]
        where = np.minimum(liked.indptr[rows][:, None] + place, liked.nnz - 1)
        vectors = padded[np.where(is_like, liked.indices[where], len(padded) - 1)]
        gram += vectors.transpose(0, 2, 1) @ vectors
        moment += vectors.sum(axis=1)
    return gram, moment
