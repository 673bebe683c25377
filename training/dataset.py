"""What a recommender is trained on: catalogues, interactions as sparse matrices, and a source of profiles.

Everything is a dense row number here: `user row` counts the rows of `Dataset.user_ids`, `item row` counts
the rows of one domain's catalogue. Stored ids live at the border only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int64, UInt32
from scipy.sparse import csr_array

from training.errors import DatasetError

History = Mapping[str, csr_array]
"""Domain -> matrix of shape (users, items of the domain); a stored value > 0 is a positive interaction."""


@runtime_checkable
class ProfileSource(Protocol):
    """Turns histories into profile texts: the MeKB of each row, flattened to weighted entity titles."""

    def texts(self, histories: History) -> list[str]:
        """Return one text a row, entity titles by falling weight joined by " [SEP] "; "" where none.

        A profile depends on nothing but the history given: what is not in it cannot leak.
        """
        ...

    def interests(self, histories: History) -> csr_array:
        """Return the same MeKBs as numbers: shape (users, entities), above 0 where the user has the entity.

        Only the proportions within a row mean something; rows without any interest are empty.
        """
        ...


@dataclass(frozen=True)
class Catalogue:
    """The items of one domain, in row order."""

    domain: str
    item_ids: UInt32[np.ndarray, " items"]
    titles: Sequence[str]

    def __len__(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True)
class HeldOut:
    """Users kept out of training in the target domain, with what they really liked there."""

    user_rows: Int64[np.ndarray, " held_out"]
    positives: csr_array
    """Shape (held out, target items)."""
    excluded: csr_array | None = None
    """Shape (held out, target items): liked too, but held out elsewhere, so neither positives nor candidates."""


@dataclass(frozen=True)
class Dataset:
    """Training rows only, of every domain, over one set of users.

    Raises:
        DatasetError: the catalogues, the interactions and the users do not fit together.
    """

    user_ids: UInt32[np.ndarray, " users"]
    catalogues: Mapping[str, Catalogue]
    interactions: History
    """Training rows: domain -> (users, items)."""
    target: str
    profiles: ProfileSource | None = None
    valid: HeldOut | None = None
    """Users whose target rows choose epochs and settings; never the test users."""

    def __post_init__(self) -> None:
        if self.target not in self.catalogues:
            raise DatasetError(
                f"target domain {self.target!r} has no catalogue; there are {sorted(self.catalogues)}"
            )
        if set(self.catalogues) != set(self.interactions):
            raise DatasetError(
                f"catalogues of {sorted(self.catalogues)} but interactions of {sorted(self.interactions)}"
            )
        for domain, catalogue in self.catalogues.items():
            expected = (len(self.user_ids), len(catalogue))
            found = self.interactions[domain].shape
            if found != expected:
                raise DatasetError(f"interactions of {domain!r} have shape {found}, not {expected}")

    @property
    def sources(self) -> tuple[str, ...]:
        """The domains that are not the target, in order."""
        return tuple(domain for domain in self.catalogues if domain != self.target)

    @property
    def target_items(self) -> Catalogue:
        """The catalogue recommended from."""
        return self.catalogues[self.target]


def binary(matrix: csr_array) -> csr_array:
    """Return `matrix` with 1 for every positive interaction (stored value > 0) and nothing else.

    >>> binary(csr_array(np.array([[0.0, 4.5, -1.0]]))).toarray()
    array([[0., 1., 0.]], dtype=float32)
    """
    ones: csr_array = matrix.astype(np.float32)
    ones.sum_duplicates()
    ones.data = (ones.data > 0).astype(np.float32)
    ones.eliminate_zeros()
    return ones


def counts(matrix: csr_array) -> Int64[np.ndarray, " rows"]:
    """Return the number of stored entries of each row; of positives, after `binary`."""
    return np.diff(matrix.indptr).astype(np.int64)


def rows_of(matrix: csr_array) -> Int64[np.ndarray, " entries"]:
    """Return the row of each stored entry, in storage order.

    >>> rows_of(csr_array(np.array([[0, 1], [1, 1]])))
    array([0, 1, 1])
    """
    return np.repeat(np.arange(len(matrix.indptr) - 1), np.diff(matrix.indptr)).astype(np.int64)


def keep_entries(matrix: csr_array, kept: Bool[np.ndarray, " entries"]) -> csr_array:
    """Return `matrix` with only the stored entries that `kept` marks, in storage order."""
    starts = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    return csr_array((matrix.data[kept], matrix.indices[kept], starts), shape=matrix.shape)
