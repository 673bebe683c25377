"""Results by kind of user and of item: newcomers apart from regulars, cold items apart from popular ones.

In: evaluations with their ranks, and the training rows they were made from. Out: one row a bin and measure.
Users are binned by their positives in the target's training rows, as the paper's Table 5 does (none, fewer than
ten, ten or more: Yuan et al., MeKB-Rec, KaRS 2023, appendix B.2); items by those of the item, where each
held-out positive is looked at alone. A value is a mean over a user's positives in the bin, then over users.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64, UInt32
from scipy.sparse import csr_array

from training.dataset import binary, counts
from training.evaluate import Evaluation, Measure
from training.metrics import Places, place_chance, place_gain
from training.significance import Interval, bootstrap_interval

ACTIVITY = (("zero", 0), ("1-9", 1), ("10 or more", 10))
"""Bin and the lowest number of training positives in it (paper 002, Table 5)."""
POPULARITY = (("cold", 0), ("1-9", 1), ("10-49", 10), ("50 or more", 50))
GAINS: dict[str, Callable[[Places, int], Float64[np.ndarray, " positives"]]] = {
    "hr": place_chance,
    "ndcg": place_gain,
}

Bins = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Segment:
    """One bin of one model."""

    bin: str
    measure: Measure
    interval: Interval
    n_users: int
    n_positives: int
    """Held-out positives in the bin, over all runs; of an activity bin, user values."""


@dataclass(frozen=True)
class Trained:
    """How often users and items occur in the target's training rows."""

    user_ids: UInt32[np.ndarray, " users"]
    n_of_user: Int64[np.ndarray, " users"]
    item_ids: UInt32[np.ndarray, " items"]
    n_of_item: Int64[np.ndarray, " items"]

    @classmethod
    def of(
        cls,
        user_ids: UInt32[np.ndarray, " users"],
        item_ids: UInt32[np.ndarray, " items"],
        rows: csr_array,
    ) -> "Trained":
        """Count training rows, of shape (users, items)."""
        liked = binary(rows)
        n_of_item = np.bincount(liked.indices, minlength=liked.shape[1]).astype(np.int64)
        return cls(user_ids, counts(liked), item_ids, n_of_item)


def by_activity(
    runs: Sequence[tuple[Evaluation, Trained]], measure: Measure, bins: Bins = ACTIVITY
) -> list[Segment]:
    """Return one segment for each bin of users that holds any."""
    users, places, values = [], [], []
    for found, trained in runs:
        ids = found.user_ids(measure)
        users.append(ids)
        places.append(_bin(_looked_up(ids, trained.user_ids, trained.n_of_user), bins))
        values.append(found.values(measure))
    return _segments(
        np.concatenate(users), np.concatenate(places), np.concatenate(values), measure, bins
    )


def by_popularity(
    runs: Sequence[tuple[Evaluation, Trained]], measure: Measure, bins: Bins = POPULARITY
) -> list[Segment]:
    """Return one segment for each bin of held-out items that holds any; `measure` is HR or NDCG.

    Each held-out positive is the only one counted: HR@K is the chance that it is among the first K, NDCG@K the
    gain of its place.
    """
    users, places, values = [], [], []
    for found, trained in runs:
        ranks = found.ranks.filter(
            pa.array(found.ranks["protocol"].to_numpy(zero_copy_only=False) == measure.protocol)
        )
        n_greater, n_tied = (
            ranks[name].to_numpy().astype(np.int64) for name in ("n_greater", "n_tied")
        )
        alone = Places(len(n_tied), np.arange(len(n_tied)), n_greater, n_tied)
        n_trained = _looked_up(ranks["item_id"].to_numpy(), trained.item_ids, trained.n_of_item)
        users.append(ranks["user_id"].to_numpy())
        places.append(_bin(n_trained, bins))
        values.append(GAINS[measure.metric](alone, measure.k))
    return _segments(
        np.concatenate(users), np.concatenate(places), np.concatenate(values), measure, bins
    )


def _looked_up(
    ids: UInt32[np.ndarray, " asked"],
    known: UInt32[np.ndarray, " known"],
    numbers: Int64[np.ndarray, " known"],
) -> Int64[np.ndarray, " asked"]:
    order = np.argsort(known)
    found: np.ndarray = numbers[order[np.searchsorted(known[order], ids)]]
    return found


def _bin(numbers: Int64[np.ndarray, " rows"], bins: Bins) -> Int64[np.ndarray, " rows"]:
    found: np.ndarray = np.searchsorted([low for _, low in bins], numbers, side="right") - 1
    return found


def _segments(
    users: UInt32[np.ndarray, " rows"],
    places: Int64[np.ndarray, " rows"],
    values: Float64[np.ndarray, " rows"],
    measure: Measure,
    bins: Bins,
) -> list[Segment]:
    found = []
    for number, (name, _) in enumerate(bins):
        inside = places == number
        if not inside.any():
            continue
        ids, own = np.unique(users[inside], return_inverse=True)
        mean = np.bincount(own, weights=values[inside]) / np.bincount(own)
        found.append(Segment(name, measure, bootstrap_interval(mean), len(ids), int(inside.sum())))
    return found
