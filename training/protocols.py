"""Which candidates a held-out positive is ranked among, and what is read off its place.

In: scores of all items for some users, their positives, and what is no candidate of theirs. Out: the place of
every positive (`metrics.Places`), and one value a user and measure.

Every item (`Full`) is the protocol to believe. Sampled negatives (`Sampled`, or `Listed` where the negatives
themselves are given) make the paper's numbers comparable, and are biased: the expected metric is another
function of the rank than the metric named, with few negatives nearly a linear one (AUC), so that it may order
models otherwise (`BIAS`; Krichene and Rendle, On Sampled Metrics for Item Recommendation, KDD 2020).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64
from scipy.sparse import csr_array

from training.dataset import counts, rows_of
from training.metrics import Places, hit_rate, ndcg, places, precision, recall

BIAS = (
    "sampled negatives are biased: they may order models otherwise than the full ranking does, and"
    " favour popularity (Krichene and Rendle, KDD 2020); decide by the full ranking"
)
NO_NEGATIVE = -1
"""Fills the rows of `Listed.negatives` that hold fewer negatives than others."""


class Measure(NamedTuple):
    """One column of a table of results."""

    protocol: str
    metric: str
    k: int


class Users(NamedTuple):
    """Held-out users of one batch with the items they are ranked on."""

    ids: np.ndarray
    positives: csr_array
    seen: csr_array
    """Target items that are never candidates: positives of the training rows, or held out elsewhere."""
    first_positive: int = 0
    """Number of positives of the held-out users before this batch."""


Values = Mapping[tuple[str, int], Float64[np.ndarray, " users"]]
"""(metric, K) -> one value a user."""


@dataclass(frozen=True)
class Full:
    """Every item is ranked, except those the user has in the training rows."""

    k: int = 20
    also: tuple[int, ...] = ()
    """Further cut-offs."""
    metrics: tuple[str, ...] = ("hr", "ndcg")
    """Of "hr", "ndcg", "precision" and "recall"."""

    @property
    def name(self) -> str:
        """The protocol's name in tables."""
        return "full"

    def places(self, scores: Float32[np.ndarray, "users items"], users: Users) -> Places:
        """Return the place of every positive among all candidates of its user."""
        candidates = scores.copy()
        candidates[rows_of(users.seen), users.seen.indices] = np.nan
        return places(candidates, users.positives)

    def values(self, ranked: Places, users: Users) -> Values:
        """Return the metrics of each user over all of the user's positives."""
        assert ranked.n_rows == len(users.ids)
        return {
            (metric, k): METRIC[metric](ranked, k)
            for k in (self.k, *self.also)
            for metric in self.metrics
        }


METRIC = {"hr": hit_rate, "ndcg": ndcg, "precision": precision, "recall": recall}


@dataclass(frozen=True)
class Sampled:
    """Each positive is ranked among sampled negatives, the same ones for every model.

    The paper's measure (Yuan et al., MeKB-Rec, KaRS 2023, section 4.2: 1 positive, 999 negatives, K = 10).
    Sampled metrics may order models otherwise than full ranking does (Krichene and Rendle, KDD 2020):
    report it beside `Full`, not instead.
    """

    n_negatives: int = 999
    k: int = 10
    seed: int = 0

    @property
    def name(self) -> str:
        """The protocol's name in tables."""
        return f"sampled-{self.n_negatives}"

    def negatives(
        self, user_id: int, pool: Int64[np.ndarray, " pool"], n_positives: int
    ) -> Int64[np.ndarray, "positives negatives"]:
        """Return the negatives of each positive: uniform without replacement from `pool`.

        A pool smaller than `n_negatives` is taken whole.
        """
        rng = np.random.default_rng([self.seed, user_id])
        n = min(self.n_negatives, len(pool))
        draws = [rng.choice(pool, n, replace=False, shuffle=False) for _ in range(n_positives)]
        return np.stack(draws)

    def negatives_of(
        self, users: Users, user: int, n_items: int
    ) -> Int64[np.ndarray, "positives negatives"]:
        """Return the negatives of each positive of the batch's user number `user`."""
        liked, seen = _row(users.positives, user), _row(users.seen, user)
        is_negative = np.ones(n_items, dtype=bool)
        is_negative[liked] = is_negative[seen] = False
        pool = np.flatnonzero(is_negative).astype(np.int64)
        return self.negatives(int(users.ids[user]), pool, len(liked))

    def places(self, scores: Float32[np.ndarray, "users items"], users: Users) -> Places:
        """Return the place of every positive among its negatives; each positive is a ranking of its own."""
        n_positives = users.positives.nnz
        n_greater, n_tied = np.empty(n_positives, np.int64), np.empty(n_positives, np.int64)
        for user in range(len(users.ids)):
            part = slice(users.positives.indptr[user], users.positives.indptr[user + 1])
            negatives = self.negatives_of(users, user, scores.shape[1])
            n_greater[part], n_tied[part] = _counts(
                scores[user], _row(users.positives, user), negatives
            )
        return Places(n_positives, np.arange(n_positives), n_greater, n_tied)

    def values(self, ranked: Places, users: Users) -> Values:
        """Return the mean over each user's positives of HR@K and NDCG@K among their negatives."""
        return _mean_over_positives(ranked, users, self.k)


@dataclass(frozen=True)
class Listed:
    """Each positive is ranked among negatives that are given, such as those of a split's file."""

    negatives: Int32[np.ndarray, "positives negatives"]
    """Item rows, for the positives of the held-out users in order of user row and item row;
    `NO_NEGATIVE` where a positive has fewer."""
    k: int = 10

    @property
    def name(self) -> str:
        """The protocol's name in tables."""
        return f"sampled-{self.negatives.shape[1]}"

    def places(self, scores: Float32[np.ndarray, "users items"], users: Users) -> Places:
        """Return the place of every positive among its negatives; each positive is a ranking of its own."""
        n_positives = users.positives.nnz
        n_greater, n_tied = np.empty(n_positives, np.int64), np.empty(n_positives, np.int64)
        for user in range(len(users.ids)):
            part = slice(users.positives.indptr[user], users.positives.indptr[user + 1])
            shifted = slice(users.first_positive + part.start, users.first_positive + part.stop)
            liked = _row(users.positives, user)
            n_greater[part], n_tied[part] = _counts(scores[user], liked, self.negatives[shifted])
        return Places(n_positives, np.arange(n_positives), n_greater, n_tied)

    def values(self, ranked: Places, users: Users) -> Values:
        """Return the mean over each user's positives of HR@K and NDCG@K among their negatives."""
        return _mean_over_positives(ranked, users, self.k)


Protocol = Full | Sampled | Listed


def _row(matrix: csr_array, row: int) -> Int32[np.ndarray, " items"] | Int64[np.ndarray, " items"]:
    found: np.ndarray = matrix.indices[matrix.indptr[row] : matrix.indptr[row + 1]]
    return found


def _counts(
    scores: Float32[np.ndarray, " items"], liked: np.ndarray, negatives: np.ndarray
) -> tuple[Int64[np.ndarray, " positives"], Int64[np.ndarray, " positives"]]:
    """Return how many negatives score above each positive, and how many like it, itself included."""
    others = scores[negatives].astype(np.float64)
    others[negatives == NO_NEGATIVE] = np.nan
    own = scores[liked].astype(np.float64)[:, None]
    return np.count_nonzero(others > own, axis=1), 1 + np.count_nonzero(others == own, axis=1)


def _mean_over_positives(ranked: Places, users: Users, k: int) -> Values:
    row = rows_of(users.positives)
    share = 1.0 / counts(users.positives)[row]
    return {
        (metric, k): np.minimum(
            np.bincount(row, weights=share * value, minlength=len(users.ids)), 1.0
        )
        for metric, value in {"hr": hit_rate(ranked, k), "ndcg": ndcg(ranked, k)}.items()
    }
