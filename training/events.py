"""Single interactions with rating and time, beside the matrices of positives, and how a split divides them.

In: columns of one domain's interactions. Out: the same rows in order of user and time, cut down to some users,
or to what a split left in training. Positions in a catalogue and in a list of users, never stored ids.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64
from scipy.sparse import csr_array

from training.errors import DatasetError


@dataclass(frozen=True)
class Events:
    """Single interactions of one domain, by user row and time: what a matrix of positives forgets.

    Low ratings are here too. There is at most one event a (user, item), as in the store.

    Raises:
        DatasetError: the arrays differ in length, or are not in order of user row and time.
    """

    user_rows: Int64[np.ndarray, " events"]
    item_rows: Int64[np.ndarray, " events"]
    ratings: Float32[np.ndarray, " events"]
    """NaN where the feedback has no grade."""
    at: Int64[np.ndarray, " events"]
    """Microseconds since 1970; 0 where unknown."""

    def __post_init__(self) -> None:
        columns = (self.user_rows, self.item_rows, self.ratings, self.at)
        if len({len(column) for column in columns}) > 1:
            raise DatasetError(f"columns of events are {[len(one) for one in columns]} rows long")
        same_user = self.user_rows[1:] == self.user_rows[:-1]
        if np.any(self.user_rows[1:] < self.user_rows[:-1]) or np.any(
            (self.at[1:] < self.at[:-1]) & same_user
        ):
            raise DatasetError("events are not sorted by user row and time: use Events.ordered")

    @classmethod
    def ordered(
        cls,
        user_rows: Int64[np.ndarray, " events"],
        item_rows: Int64[np.ndarray, " events"],
        ratings: Float32[np.ndarray, " events"],
        at: Int64[np.ndarray, " events"],
    ) -> "Events":
        """Return events in order of user row and time, and of item row where the time is the same."""
        order = np.lexsort((item_rows, at, user_rows))
        return cls(user_rows[order], item_rows[order], ratings[order], at[order])

    def __len__(self) -> int:
        return len(self.user_rows)

    def where(self, kept: Bool[np.ndarray, " events"]) -> "Events":
        """Return the events that `kept` marks."""
        return Events(self.user_rows[kept], self.item_rows[kept], self.ratings[kept], self.at[kept])

    def of_users(self, user_rows: Int64[np.ndarray, " users"]) -> "Events":
        """Return the events of some users, numbered by their place in `user_rows`.

        >>> none, time = np.full(3, np.nan, dtype=np.float32), np.zeros(3, dtype=np.int64)
        >>> Events(np.array([0, 0, 4]), np.array([5, 6, 7]), none, time).of_users(np.array([4, 0])).item_rows
        array([7, 5, 6])
        """
        first = np.searchsorted(self.user_rows, user_rows, side="left")
        n_events = np.searchsorted(self.user_rows, user_rows, side="right") - first
        start = np.cumsum(n_events) - n_events
        chosen = np.arange(n_events.sum()) + np.repeat(first - start, n_events)
        rows = np.repeat(np.arange(len(user_rows)), n_events).astype(np.int64)
        return Events(rows, self.item_rows[chosen], self.ratings[chosen], self.at[chosen])

    def without_users(self, user_rows: Int64[np.ndarray, " users"]) -> "Events":
        """Return the events of all other users, whose rows stay as they are."""
        return self.where(~np.isin(self.user_rows, user_rows))

    def stored_in(self, matrix: csr_array) -> Bool[np.ndarray, " events"]:
        """Return which events have an entry in `matrix`, of shape (users, items)."""
        n_items = matrix.shape[1]
        row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)).astype(np.int64)
        entries = row * n_items + matrix.indices
        return np.isin(self.user_rows * n_items + self.item_rows, entries)


def split_events(
    events: Events,
    before: csr_array,
    after: csr_array,
    newcomers: Int64[np.ndarray, " newcomers"],
) -> tuple[Events, Events]:
    """Return the events of the training rows and those that a split held out: events follow the matrices.

    An event whose pair has an entry stays exactly if the split kept the entry. One without (a low rating)
    stays too, except of a newcomer: of newcomers nothing is known but the entries that were kept.

    Args:
        events: Of one domain, before the split.
        before: The domain's positives before the split, shape (users, items).
        after: Those of the training rows.
        newcomers: User rows of whom the domain is to know nothing else (a cold-start split's held-out users;
            none in a source domain, or where a split only takes single rows).
    """
    stays = events.stored_in(after)
    stays |= ~events.stored_in(before) & ~np.isin(events.user_rows, newcomers)
    return events.where(stays), events.where(~stays)
