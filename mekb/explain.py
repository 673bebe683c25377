"""Why an item was recommended: the interests without which it would score lower.

The contribution of an interest to an item is the drop of the item's score when the interest is left out of
the profile. All leave-one-out profiles of a user are encoded in one batch.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

MAX_INTERESTS = 24
"""Interests tried per user, by falling weight: the cost of an explanation is one encoding each."""
MIN_CONTRIBUTION = 1e-4
"""Of a score, which is a logit. Less is rounding: a title that the encoder's token limit cuts off changes
no token, yet a profile packed beside others moves its scores by some 1e-6."""


def contributions(
    weights: csr_array,
    encode: Callable[[csr_array], npt.NDArray[np.float32]],
    item_vectors: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the entities left out in turn and what each gives to each item.

    Args:
        weights: Shape (1, entities): one user's MeKB.
        encode: Turns rows of weights into user vectors, shape (rows, dim).
        item_vectors: Shape (items, dim).

    Returns:
        Entity rows by falling weight, shape (m,), and contributions, shape (m, items).
    """
    row = csr_array(weights)
    order = np.lexsort((row.indices, -row.data))[:MAX_INTERESTS]
    entities = row.indices[order].astype(np.int64)
    dense = np.repeat(row.toarray(), len(entities) + 1, axis=0)
    dense[np.arange(1, len(entities) + 1), entities] = 0.0
    vectors = encode(csr_array(dense))
    # A profile of one interest leaves nothing to encode: its whole score is the interest's.
    left = np.nan_to_num(vectors[1:] @ item_vectors.T, nan=0.0)
    return entities, (vectors[:1] @ item_vectors.T) - left


def strongest(
    entities: npt.NDArray[np.int64], given: npt.NDArray[np.float32], top: int
) -> Sequence[tuple[int, float]]:
    """Return the `top` entity rows that contribute most to one item, shape (m,), and really contribute."""
    order = np.argsort(-given, kind="stable")[:top]
    return [(int(entities[i]), float(given[i])) for i in order if given[i] > MIN_CONTRIBUTION]
