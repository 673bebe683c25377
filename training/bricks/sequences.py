"""Histories as sequences, cut to windows of equal width: what a sequence encoder reads.

In: positives of users, and their events where the data have times. Out: for each row asked for, the last items of
a stretch of its sequence, oldest first, and a mask of the real places. Without times the order is that of the
matrix (by item), which says nothing about what came first: whoever reads such a sequence reads a set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt32
from scipy.sparse import csr_array
from torch import Tensor

from training.dataset import History, binary
from training.events import Events
from training.gradient_model import TensorEpoch


class Windows(NamedTuple):
    """Items of equally many places a row; padding stands where `mask` is not, and is item 0."""

    items: Int64[Tensor, "rows places"]
    mask: Bool[Tensor, "rows places"]


@dataclass(frozen=True)
class ItemSequences:
    """The items of each user, one user after the other, oldest first."""

    items: Int64[np.ndarray, " events"]
    at: Int64[np.ndarray, " events"]
    """Time of each event; 0 where unknown."""
    starts: Int64[np.ndarray, " users_and_end"]
    """Where each user's stretch begins; the last entry is the end."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Int64[np.ndarray, " users"]:
        """How many items each user has."""
        return np.diff(self.starts)

    @property
    def user_rows(self) -> Int64[np.ndarray, " events"]:
        """The user of each event."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def windows(
        self,
        first: Int64[np.ndarray, " rows"],
        stop: Int64[np.ndarray, " rows"],
        length: int,
        left_out: Int64[np.ndarray, " rows"] | None = None,
    ) -> Windows:
        """Return the last `length` events of the stretches [first, stop), as wide as the longest needs.

        Args:
            first: Place in `items` where each row's stretch begins.
            stop: Place behind its end.
            length: The most events of a row.
            left_out: One place a row that is not shown, be it within its stretch or not.
        """
        begin = np.maximum(first, stop - length - (left_out is not None))
        width = max(1, int((stop - begin).max(initial=0)))
        place = begin[:, None] + np.arange(width)
        mask = place < stop[:, None]
        if left_out is not None:
            mask &= place != left_out[:, None]
            mask[:, 0] &= mask.sum(axis=1) <= length  # one more was taken, for the left-out place
        found = np.zeros(place.shape, dtype=np.int64)
        found[mask] = self.items[place[mask]]
        return Windows(torch.from_numpy(found), torch.from_numpy(mask))

    def of_users(self, rows: Int64[np.ndarray, " rows"], length: int) -> Windows:
        """Return the last `length` events of whole sequences."""
        return self.windows(self.starts[rows], self.starts[rows + 1], length)

    def stops_before(
        self, user_rows: Int64[np.ndarray, " asked"], at: Int64[np.ndarray, " asked"]
    ) -> Int64[np.ndarray, " asked"]:
        """Return for each user and time the place behind the user's last strictly older event.

        Where the time asked for is unknown (0), the place behind all of the user's events.
        """
        n_events = len(self.items)
        # Asked times stand before events of the same time, so that only older ones are counted.
        order = np.lexsort(
            (
                np.concatenate([np.ones(n_events), np.zeros(len(at))]),
                np.concatenate([self.at, at]),
                np.concatenate([self.user_rows, user_rows]),
            )
        )
        is_event = order < n_events
        stops = np.empty(len(at), dtype=np.int64)
        stops[order[~is_event] - n_events] = np.cumsum(is_event)[~is_event]
        return np.where(at > 0, stops, self.starts[user_rows + 1])


def item_sequences(positives: csr_array, events: Events | None = None) -> ItemSequences:
    """Return the positives of each user, by time where `events` hold every one of them, else by item.

    >>> item_sequences(csr_array(np.array([[0, 1, 1], [1, 0, 0]]))).items
    array([1, 2, 0])
    """
    rows = binary(positives)
    rows.sort_indices()
    starts = rows.indptr.astype(np.int64)
    if events is not None:
        liked = events.where(events.stored_in(rows))
        if np.array_equal(np.bincount(liked.user_rows, minlength=rows.shape[0]), np.diff(starts)):
            return ItemSequences(liked.item_rows, liked.at, starts)
    return ItemSequences(rows.indices.astype(np.int64), np.zeros(rows.nnz, dtype=np.int64), starts)


def merged(domains: Sequence[ItemSequences], n_items: Sequence[int]) -> ItemSequences:
    """Return several domains as one, by time: the items of each are numbered on from those before it."""
    offsets = np.cumsum([0, *n_items[:-1]])
    user = np.concatenate([one.user_rows for one in domains])
    items = np.concatenate([one.items + o for one, o in zip(domains, offsets, strict=True)])
    at = np.concatenate([one.at for one in domains])
    order = np.lexsort((at, user))
    starts = np.sum([one.starts for one in domains], axis=0).astype(np.int64)
    return ItemSequences(items[order], at[order], starts)


class TwoDomains(NamedTuple):
    """The sequences of the same users in all source domains as one, and in the target."""

    source: ItemSequences
    target: ItemSequences

    @property
    def in_any(self) -> Bool[np.ndarray, " users"]:
        """Return who did something."""
        some: np.ndarray = self.source.lengths + self.target.lengths > 0
        return some

    @property
    def in_both(self) -> Bool[np.ndarray, " users"]:
        """Return who did something on both sides."""
        both: np.ndarray = (self.source.lengths > 0) & (self.target.lengths > 0)
        return both

    def of_users(self, rows: Int64[np.ndarray, " rows"], length: int) -> tuple[Windows, Windows]:
        """Return the last `length` events of whole sequences of both sides."""
        return self.source.of_users(rows, length), self.target.of_users(rows, length)

    def epoch(
        self,
        user_ids: UInt32[np.ndarray, " users"],
        length: int,
        batch_size: int,
        rng: np.random.Generator,
    ) -> TensorEpoch:
        """Return the windows of all who are in both, in random order: source items, mask, target items, mask."""
        rows = rng.permutation(np.flatnonzero(self.in_both))
        source, target = self.of_users(rows, length)
        return TensorEpoch((*source, *target), user_ids[rows], batch_size)


def two_domains(
    history: History, events: Mapping[str, Events] | None, target: str, n_items: Mapping[str, int]
) -> TwoDomains:
    """Return the sequences of users; the source items are numbered through the domains in the order of `n_items`."""
    known = {} if events is None else events
    each = {domain: item_sequences(history[domain], known.get(domain)) for domain in n_items}
    own = each.pop(target)
    return TwoDomains(merged(list(each.values()), [n_items[domain] for domain in each]), own)
