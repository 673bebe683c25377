"""Examples of a watch: a user's history without one item, and that item as the label.

In: histories of several domains side by side, the target's last, and the target's positives. Out: batches of
(items of the histories laid end to end, where each history starts, label), the label taken out of its history. Some
examples show nothing of the target: the user as a newcomer.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt32
from scipy.sparse import csr_array

from training.dataset import rows_of
from training.loop import Batch


@dataclass(frozen=True)
class WatchEpoch:
    """The examples of one epoch, their histories cut out batch by batch."""

    histories: csr_array
    n_before: int
    """Where the target's columns begin in the histories."""
    users: Int64[np.ndarray, " examples"]
    labels: Int64[np.ndarray, " examples"]
    user_ids: UInt32[np.ndarray, " users"]
    batch_size: int
    as_newcomer: Bool[np.ndarray, " examples"] | None = None
    """Which of them show the sources alone; None is nobody."""

    def __len__(self) -> int:
        return math.ceil(len(self.users) / self.batch_size)

    def __iter__(self) -> Iterator[Batch | None]:
        for number in range(len(self)):
            part = slice(number * self.batch_size, (number + 1) * self.batch_size)
            users, labels = self.users[part], self.labels[part]
            rows = self.histories[users]
            example, is_source = rows_of(rows), rows.indices < self.n_before
            kept = rows.indices != (labels + self.n_before)[example]
            if self.as_newcomer is not None:
                kept &= is_source | ~self.as_newcomer[part][example]
            lengths = np.bincount(example[kept], minlength=len(users))
            starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
            arrays = (rows.indices[kept], starts, labels)
            tensors = tuple(torch.from_numpy(one.astype(np.int64)) for one in arrays)
            yield Batch(tensors, self.user_ids[users])


def drawn_examples(
    users: Int64[np.ndarray, " positives"],
    kept: Int64[np.ndarray, " kept"],
    per_user: int | None,
    rng: np.random.Generator,
) -> Int64[np.ndarray, " examples"]:
    """Return the examples of an epoch in random order.

    Args:
        users: The user of each positive, ascending.
        kept: The positives to draw from, ascending.
        per_user: So many of each user, with replacement; every one once when None.
        rng: Random numbers.
    """
    if per_user is None:
        return rng.permutation(kept)
    _, starts, sizes = np.unique(users[kept], return_index=True, return_counts=True)
    draws = (rng.random((len(sizes), per_user)) * sizes[:, None]).astype(np.int64)
    drawn: np.ndarray = rng.permutation(kept[(starts[:, None] + draws).ravel()])
    return drawn
