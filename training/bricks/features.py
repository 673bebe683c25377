"""Feature vectors of users and items, from what a data set has: histories or interests, and words of titles.

In: sparse rows of users, or a domain's items. Out: sparse features of bounded width, and batches of them as dense rows.
The columns kept are those with the most entries, and each row of a block is scaled to length 1.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt32
from scipy.sparse import csr_array, hstack

from training.dataset import rows_of
from training.loop import Batch

WORD = re.compile(r"\w+")
SMALLEST_LENGTH = 1e-12
"""Of a row: one of stored zeros is not divided by 0."""


def frequent_columns(matrix: csr_array, n_columns: int) -> Int64[np.ndarray, " columns"]:
    """Return the `n_columns` columns with the most entries, in order; of equals the first.

    >>> frequent_columns(csr_array(np.array([[1, 0, 1], [0, 0, 1]])), 2)
    array([0, 2])
    """
    n_entries = np.bincount(matrix.indices, minlength=matrix.shape[1])
    return np.sort(np.argsort(-n_entries, kind="stable")[:n_columns]).astype(np.int64)


def unit_rows(matrix: csr_array) -> csr_array:
    """Return the matrix with rows of length 1, in its own precision; empty rows stay empty.

    >>> unit_rows(csr_array(np.array([[3.0, 4.0], [0.0, 0.0]]))).toarray().round(6).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)))
    scaled: csr_array = matrix.astype(np.result_type(matrix.dtype, np.float32))
    scaled.data /= np.maximum(lengths, SMALLEST_LENGTH)[rows_of(matrix)]
    return scaled


def words_of(titles: Sequence[str]) -> csr_array:
    """Return which title has which word, shape (titles, words), words in alphabetical order."""
    found = [sorted(set(WORD.findall(title.lower()))) for title in titles]
    words = {word: place for place, word in enumerate(sorted({w for own in found for w in own}))}
    starts = np.cumsum([0, *(len(own) for own in found)])
    columns = np.array([words[word] for own in found for word in own], dtype=np.int64)
    ones = np.ones(len(columns), dtype=np.float32)
    return csr_array((ones, columns, starts), shape=(len(titles), len(words)))


def item_features(titles: Sequence[str], users: csr_array, n_columns: int) -> csr_array:
    """Return an item's features: the words of its title, and the users who met it; `n_columns` of each at most.

    Args:
        titles: One an item.
        users: Shape (users, items): 1 where it was liked, -1 where it was met and not liked.
        n_columns: Words, and users, kept.
    """
    blocks = [words_of(titles), csr_array(users.T.tocsr())]
    kept = [unit_rows(one[:, frequent_columns(one, n_columns)]) for one in blocks]
    joined: csr_array = csr_array(hstack(kept, format="csr"))
    return joined


@dataclass(frozen=True)
class FeatureEpoch:
    """Rows of a sparse matrix in some order, a dense batch at a time."""

    features: csr_array
    order: Int64[np.ndarray, " rows"]
    ids: UInt32[np.ndarray, " rows"]
    """Of each row in `order`."""
    batch_size: int

    def __len__(self) -> int:
        return math.ceil(len(self.order) / self.batch_size)

    def __iter__(self) -> Iterator[Batch | None]:
        for start in range(0, len(self.order), self.batch_size):
            part = slice(start, start + self.batch_size)
            rows = self.features[self.order[part]].toarray().astype(np.float32)
            yield Batch((torch.from_numpy(rows),), self.ids[part])
