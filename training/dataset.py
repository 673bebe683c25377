"""What a recommender is trained on: catalogues, interactions as sparse matrices, and a source of profiles.

Everything is a dense row number here: `user row` counts the rows of `Dataset.user_ids`, `item row` counts
the rows of one domain's catalogue. Stored ids live at the border only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt32
from scipy.sparse import csr_array

from training.errors import DatasetError
from training.events import Events, split_events

__all__ = [
    "Catalogue",
    "Dataset",
    "Events",
    "HeldOut",
    "History",
    "ProfileSource",
    "TitleWeights",
    "WeightedProfileSource",
    "binary",
    "counts",
    "keep_entries",
    "rows_of",
    "split_events",
    "with_events",
]

History = Mapping[str, csr_array]
"""Domain -> matrix of shape (users, items of the domain); a stored value > 0 is a positive interaction."""
TitleWeights = list[Float32[np.ndarray, " _"]]
"""Of each text one number a title, in order."""


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


@runtime_checkable
class WeightedProfileSource(ProfileSource, Protocol):
    """A source of profiles that also tells what each title of a text weighs."""

    def weighted_texts(self, histories: History) -> tuple[list[str], TitleWeights]:
        """Return what `texts` returns, and of each text one number a title, in order, above 0.

        Only the proportions within a text mean something; of "" there are none.
        """
        ...


@dataclass(frozen=True)
class Catalogue:
    """The items of one domain, in row order."""

    domain: str
    item_ids: UInt32[np.ndarray, " items"]
    titles: Sequence[str]
    texts: Sequence[str] | None = None
    """What is written about each item, its title first; None where only titles are known."""

    def __len__(self) -> int:
        return len(self.item_ids)

    @property
    def written(self) -> Sequence[str]:
        """All that is written about each item."""
        return self.titles if self.texts is None else self.texts

    def only(self, rows: Int64[np.ndarray, " kept"]) -> "Catalogue":
        """Return the items of the given rows, in that order."""
        texts = None if self.texts is None else [self.texts[row] for row in rows]
        return Catalogue(
            self.domain, self.item_ids[rows], [self.titles[row] for row in rows], texts
        )


@dataclass(frozen=True)
class HeldOut:
    """Users kept out of training in the target domain, with what they really liked there."""

    user_rows: Int64[np.ndarray, " held_out"]
    positives: csr_array
    """Shape (held out, target items)."""
    excluded: csr_array | None = None
    """Shape (held out, target items): liked too, but held out elsewhere, so neither positives nor candidates."""
    events: Events | None = None
    """All held-out target interactions, low ratings too; their user rows count the rows of this set."""

    def __post_init__(self) -> None:
        if self.events is not None:
            _check_events(self.events, self.positives.shape, "the held-out rows")


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
    events: Mapping[str, Events] | None = None
    """Training rows one by one, with rating and time, low ratings too: domain -> events; None where unknown."""

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
        for domain, events in (self.events or {}).items():
            _check_events(events, self.interactions[domain].shape, repr(domain))

    def events_of(self, user_rows: Int64[np.ndarray, " batch"]) -> Mapping[str, Events] | None:
        """Return the training events of some users, numbered by their place in `user_rows`."""
        if self.events is None:
            return None
        return {domain: events.of_users(user_rows) for domain, events in self.events.items()}

    @property
    def sources(self) -> tuple[str, ...]:
        """The domains that are not the target, in order."""
        return tuple(domain for domain in self.catalogues if domain != self.target)

    @property
    def target_items(self) -> Catalogue:
        """The catalogue recommended from."""
        return self.catalogues[self.target]


def with_events(
    data: Dataset,
    test: HeldOut,
    events: Mapping[str, Events],
    before: History,
    newcomers: Int64[np.ndarray, " newcomers"] | None = None,
) -> tuple[Dataset, HeldOut]:
    """Return a split's training rows and test users with the events of their rows (`split_events`).

    Args:
        data: The training rows, with the validation users.
        test: The test users.
        events: Domain -> all events.
        before: Domain -> all positives, of which the split took some.
        newcomers: Users of whom no target event stays but the positives that were kept. None: the held-out
            users without a positive left in the target.
    """
    held_outs = [test] if data.valid is None else [test, data.valid]
    if newcomers is None:
        n_left = counts(binary(data.interactions[data.target]))
        users = np.unique(np.concatenate([one.user_rows for one in held_outs]))
        newcomers = users[n_left[users] == 0]
    nobody = np.empty(0, dtype=np.int64)
    kept = {
        domain: split_events(
            one,
            before[domain],
            data.interactions[domain],
            newcomers if domain == data.target else nobody,
        )
        for domain, one in events.items()
    }
    gone = kept[data.target][1]
    never_liked = ~gone.stored_in(before[data.target])
    with_theirs = [
        replace(one, events=_held_out_events(gone, never_liked, one)) for one in held_outs
    ]
    kept_events = {domain: stays for domain, (stays, _) in kept.items()}
    valid = with_theirs[1] if len(with_theirs) > 1 else None
    return replace(data, events=kept_events, valid=valid), with_theirs[0]


def _held_out_events(
    gone: Events, never_liked: Bool[np.ndarray, " events"], held_out: HeldOut
) -> Events:
    """Return which events that left the training rows belong to some held-out users."""
    liked = gone.where(~never_liked).of_users(held_out.user_rows)
    liked = liked.where(liked.stored_in(held_out.positives))
    other = gone.where(never_liked).of_users(held_out.user_rows)
    return Events.ordered(
        *(
            np.concatenate([getattr(liked, name), getattr(other, name)])
            for name in ("user_rows", "item_rows", "ratings", "at")
        )
    )


def _check_events(events: Events, shape: tuple[int, int], where: str) -> None:
    for rows, n_rows, kind in zip(
        (events.user_rows, events.item_rows), shape, ("user", "item"), strict=True
    ):
        if len(rows) and not 0 <= rows.min() <= rows.max() < n_rows:
            raise DatasetError(f"events of {where} name {kind} row {rows.max()} of {n_rows}")


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
