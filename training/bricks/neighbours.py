"""Who or what is most alike, by binary rows: the neighbourhood of the kNN models.

    sim(a, b) = |a and b| / (sqrt(|a| |b|) + shrinkage)

the cosine of binary rows (Herlocker et al., SIGIR 1999, of users; Deshpande and Karypis, TOIS 2004, of items), with the
shrinkage of Bell and Koren (ICDM 2007). What has nothing in common is no neighbour.
"""

import numpy as np
from jaxtyping import Float, Integer
from pydantic import NonNegativeFloat, PositiveInt
from scipy.sparse import csr_array

from training.config import ModelConfig
from training.recommend import NO_ITEM, top_k


class NeighbourConfig(ModelConfig):
    """Settings of a neighbourhood."""

    n_neighbours: PositiveInt = 100
    shrinkage: NonNegativeFloat = 10.0
    """Takes weight from similarities that rest on little."""


def nearest(
    common: Float[np.ndarray, "rows others"],
    own_counts: Integer[np.ndarray, " rows"],
    other_counts: Integer[np.ndarray, " others"],
    config: NeighbourConfig,
) -> csr_array:
    """Return sim of each row's nearest others, shape (rows, others).

    Args:
        common: |a and b|; 0 where b shall be no neighbour of a.
        own_counts: |a|.
        other_counts: |b|.
        config: How many neighbours, and the shrinkage.

    >>> rows = np.array([[1.0, 1.0, 0.0]])
    >>> config = NeighbourConfig(n_neighbours=1, shrinkage=1.0)
    >>> nearest(rows, np.array([1]), np.array([1, 4, 1]), config).toarray()
    array([[0.5, 0. , 0. ]], dtype=float32)
    """
    norms = np.sqrt(own_counts[:, None] * other_counts[None, :]) + config.shrinkage
    similarity = common / np.maximum(norms, 1e-9)
    similarity = np.where(similarity > 0, similarity, np.nan).astype(np.float32)
    best, weights = top_k(similarity, config.n_neighbours)
    row, place = np.nonzero(best != NO_ITEM)
    return csr_array((weights[row, place], (row, best[row, place])), shape=common.shape)
