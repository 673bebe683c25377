"""What a recommender is trained on: catalogues, interactions as sparse matrices, and a source of profiles.

Everything is a dense row number here: `user row` counts the rows of `Dataset.user_ids`, `item row` counts
the rows of one domain's catalogue. Stored ids live at the border only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Int64, UInt32
from scipy.sparse import csr_array

History = Mapping[str, csr_array]
"""Domain -> matrix of shape (users, items of the domain); a stored value > 0 is a positive interaction."""


class ProfileSource(Protocol):
    """Turns histories into profile texts: the MeKB of each row, flattened to weighted entity titles."""

    def texts(self, histories: History) -> list[str]:
        """Return one text a row, entity titles by falling weight joined by " [SEP] "; "" where none.

        A profile depends on nothing but the history given: what is not in it cannot leak.
        """
        ...


@dataclass(frozen=True)
class Catalogue:
    """The items of one domain, in row order."""

    domain: str
    item_ids: UInt32[np.ndarray, "items"]
    titles: Sequence[str]

    def __len__(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True)
class HeldOut:
    """Users kept out of training in the target domain, with what they really liked there."""

    user_rows: Int64[np.ndarray, "held_out"]
    positives: csr_array
    """Shape (held out, target items)."""


@dataclass(frozen=True)
class Dataset:
    """Training rows only, of every domain, over one set of users."""

    user_ids: UInt32[np.ndarray, "users"]
    catalogues: Mapping[str, Catalogue]
    interactions: History
    """Training rows: domain -> (users, items)."""
    target: str
    profiles: ProfileSource | None = None
    valid: HeldOut | None = None
    """Users whose target rows choose epochs and settings; never the test users."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The domains that are not the target, in order."""
        return tuple(domain for domain in self.catalogues if domain != self.target)

    @property
    def target_items(self) -> Catalogue:
        """The catalogue recommended from."""
        return self.catalogues[self.target]
