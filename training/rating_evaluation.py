"""What a model is worth that predicts single ratings or clicks: MAE, RMSE, NDCG@K, ACC, AUC, logloss, P@K, R@K.

In: a fitted model with `predict`, and pairs of held-out users and target items with what really happened. Out: a
row a pair, and every metric of `rating_metrics` with its interval over users (a bootstrap draws users, not pairs,
for the pairs of a user are no independent evidence).

No pair is dropped. One the model cannot judge (NaN) counts with the mean of the target's training ratings, and
`n_covered` says how many were judged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Float64, Int64, UInt32
from scipy.sparse import csr_array

from training.contract import RatingRecommender
from training.dataset import Dataset, HeldOut, binary, rows_of
from training.errors import DatasetError
from training.evaluate import user_batch
from training.rating_metrics import (
    Pairs,
    accuracy,
    area_under_curve,
    log_loss,
    mean_absolute_error,
    precision_at,
    rating_ndcg_at,
    recall_at,
    root_mean_squared_error,
)
from training.significance import Interval

N_RESAMPLES = 500
"""Draws of users behind an interval."""
USERS_AT_ONCE = 4096
CLICKED = 0.5
"""Truths of clicks are 0 and 1: between them."""


@dataclass(frozen=True)
class JudgedPairs:
    """Pairs of held-out users and target items, in order of user."""

    user_rows: Int64[np.ndarray, " pairs"]
    """Rows of the held-out set."""
    item_rows: Int64[np.ndarray, " pairs"]
    actual: Float32[np.ndarray, " pairs"]
    """The rating, or 1 for a click and 0 for none."""
    threshold: float
    """From here on an item is relevant (P@K, R@K, ACC, AUC)."""
    fallback: float
    """What a pair counts with that a model cannot judge."""
    are_clicks: bool


def rated_pairs(data: Dataset, held_out: HeldOut, threshold: float) -> JudgedPairs:
    """Return the held-out target interactions that have a rating.

    Raises:
        DatasetError: there is none, or no rating to learn from.
    """
    events = held_out.events
    if events is None or data.events is None or np.isnan(events.ratings).all():
        raise DatasetError(f"no held-out interaction of {data.target!r} has a rating")
    known = data.events[data.target].ratings
    if np.isnan(known).all():
        raise DatasetError(f"no training interaction of {data.target!r} has a rating")
    rated = events.where(~np.isnan(events.ratings))
    return JudgedPairs(
        rated.user_rows,
        rated.item_rows,
        rated.ratings,
        threshold,
        float(np.nanmean(known)),
        are_clicks=False,
    )


def clicked_pairs(
    data: Dataset, held_out: HeldOut, *, n_negatives: int = 1, seed: int = 0
) -> JudgedPairs:
    """Return every held-out positive as a click, and sampled items never liked as none.

    Negatives are uniform without replacement over the items that are neither a positive of the user nor a row of
    training, as many as `n_negatives` times the positives, or all there are.
    """
    liked = binary(held_out.positives)
    keys = _trained(data, held_out)
    trained = np.divmod(keys, liked.shape[1])
    taken = csr_array((np.ones(len(keys)), trained), shape=liked.shape) + liked
    if held_out.excluded is not None:
        taken = taken + binary(held_out.excluded)
    negatives: list[np.ndarray] = []
    for row, user_id in enumerate(data.user_ids[held_out.user_rows].tolist()):
        free = np.ones(liked.shape[1], dtype=bool)
        free[taken.indices[taken.indptr[row] : taken.indptr[row + 1]]] = False
        pool = np.flatnonzero(free)
        n_wanted = n_negatives * int(liked.indptr[row + 1] - liked.indptr[row])
        rng = np.random.default_rng([seed, user_id])
        negatives.append(rng.choice(pool, min(n_wanted, len(pool)), replace=False))
    not_liked = np.repeat(np.arange(len(negatives)), [len(one) for one in negatives])
    users = np.concatenate([rows_of(liked), not_liked])
    items = np.concatenate([liked.indices, *negatives]).astype(np.int64)
    actual = np.repeat(np.array([1.0, 0.0], dtype=np.float32), [liked.nnz, len(not_liked)])
    order = np.argsort(users, kind="stable")
    share = 1.0 / (1.0 + n_negatives)
    return JudgedPairs(users[order], items[order], actual[order], CLICKED, share, are_clicks=True)


Pooled = Callable[[Pairs, float], float]
"""A metric of all pairs at once, from the pairs and the threshold."""
OfUser = Callable[[Int64[np.ndarray, " pairs"], Pairs, int, float], Float64[np.ndarray, " users"]]
"""A metric of each user, from users, pairs, K and the threshold."""

POOLED: Mapping[str, Pooled] = {
    "mae": lambda pairs, _: mean_absolute_error(pairs),
    "rmse": lambda pairs, _: root_mean_squared_error(pairs),
    "acc": accuracy,
    "auc": area_under_curve,
    "logloss": lambda pairs, _: log_loss(pairs),
}
OF_USER: Mapping[str, OfUser] = {
    "ndcg": lambda users, pairs, k, _: rating_ndcg_at(users, pairs, k),
    "precision": precision_at,
    "recall": recall_at,
}
OF_RATINGS = ("mae", "rmse", "ndcg", "precision", "recall", "acc", "auc")
OF_CLICKS = ("acc", "auc", "logloss")


@dataclass(frozen=True)
class RatingEvaluation:
    """What one model predicted, pair by pair."""

    model: str
    pairs: JudgedPairs
    predicted: Float64[np.ndarray, " pairs"]
    """With the fallback where the model could not judge."""
    n_covered: int
    """Pairs the model judged itself."""
    user_ids: UInt32[np.ndarray, " pairs"]
    item_ids: UInt32[np.ndarray, " pairs"]
    k: int = 5
    """Of NDCG, precision and recall."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that fit the pairs."""
        return OF_CLICKS if self.pairs.are_clicks else OF_RATINGS

    def summary(self) -> dict[str, float]:
        """Return every metric: "mae" or "ndcg@5" -> value."""
        weights = np.ones(len(self.predicted))
        return {
            f"{name}@{self.k}" if name in OF_USER else name: self._value(name)(weights)
            for name in self.metrics
        }

    def interval(self, metric: str, *, seed: int = 0, level: float = 0.95) -> Interval:
        """Return a metric with its percentile bootstrap interval over users.

        Raises:
            DatasetError: the metric does not fit the pairs.
        """
        value, (_, user) = self._value(metric), self._users()
        n_users = int(user.max()) + 1
        rng = np.random.default_rng(seed)
        drawn = [
            value(np.bincount(rng.integers(n_users, size=n_users), minlength=n_users)[user])
            for _ in range(N_RESAMPLES)
        ]
        low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        return Interval(value(np.ones(len(user))), float(low), float(high))

    def per_user(self, metric: str) -> Float64[np.ndarray, " users"]:
        """Return a metric of each user's own pairs, in order of held-out row; NaN where it says nothing.

        Raises:
            DatasetError: the metric does not fit the pairs.
        """
        self._check(metric)
        pairs, threshold = self._weighted(np.ones(len(self.predicted))), self.pairs.threshold
        first, user = self._users()
        if metric in OF_USER:
            return OF_USER[metric](user, pairs, self.k, threshold)
        bounds = zip(first, [*first[1:], len(user)], strict=True)
        own = (Pairs(*(column[start:stop] for column in pairs)) for start, stop in bounds)
        return np.array([POOLED[metric](one, threshold) for one in own])

    def table(self) -> pa.Table:
        """Return one row a pair: model, user_id, item_id, actual, predicted."""
        return pa.table(
            {
                "model": pa.array([self.model] * len(self.predicted)),
                "user_id": pa.array(self.user_ids, pa.uint32()),
                "item_id": pa.array(self.item_ids, pa.uint32()),
                "actual": pa.array(self.pairs.actual, pa.float32()),
                "predicted": pa.array(self.predicted, pa.float64()),
            }
        )

    def _check(self, metric: str) -> None:
        if metric not in self.metrics:
            raise DatasetError(f"no metric {metric!r} of these pairs; there are {self.metrics}")

    def _users(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the first pair of each user, and the user of each pair, numbered without gaps."""
        _, first, user = np.unique(self.pairs.user_rows, return_index=True, return_inverse=True)
        return first, user

    def _weighted(self, weights: np.ndarray) -> Pairs:
        return Pairs(
            self.predicted, self.pairs.actual.astype(np.float64), weights.astype(np.float64)
        )

    def _value(self, metric: str) -> Callable[[np.ndarray], float]:
        """Return a metric as a function of the pairs' weights, which are the same for all of a user."""
        self._check(metric)
        if metric in POOLED:
            return lambda weights: POOLED[metric](self._weighted(weights), self.pairs.threshold)
        values, first = self.per_user(metric), self._users()[0]
        known = ~np.isnan(values)

        def mean(weights: np.ndarray) -> float:
            shares = weights[first][known]
            return float(values[known] @ shares / shares.sum()) if shares.sum() else float("nan")

        return mean


def evaluate_ratings(
    model: RatingRecommender, data: Dataset, held_out: HeldOut, pairs: JudgedPairs
) -> RatingEvaluation:
    """Predict every pair and keep what came.

    Args:
        model: Fitted on the training rows.
        data: The training rows.
        held_out: The users of the pairs.
        pairs: What is predicted (`rated_pairs`, `clicked_pairs`).

    Raises:
        DatasetError: a pair is a training row.
    """
    _check_pairs(data, held_out, pairs)
    predicted = np.empty(len(pairs.actual), dtype=np.float64)
    for first in range(0, len(held_out.user_rows), USERS_AT_ONCE):
        rows = held_out.user_rows[first : first + USERS_AT_ONCE]
        part = slice(*np.searchsorted(pairs.user_rows, [first, first + len(rows)]))
        users = user_batch(data, rows)
        predicted[part] = model.predict(users, pairs.user_rows[part] - first, pairs.item_rows[part])
    judged = ~np.isnan(predicted)
    predicted[~judged] = pairs.fallback
    return RatingEvaluation(
        model.name,
        pairs,
        predicted,
        int(judged.sum()),
        data.user_ids[held_out.user_rows[pairs.user_rows]],
        data.target_items.item_ids[pairs.item_rows],
    )


def _check_pairs(data: Dataset, held_out: HeldOut, pairs: JudgedPairs) -> None:
    if not len(pairs.actual):
        raise DatasetError("there are no held-out pairs to predict")
    if np.any(np.diff(pairs.user_rows) < 0):
        raise DatasetError("pairs are not in order of user")
    keys = pairs.user_rows * len(data.target_items) + pairs.item_rows
    n_leaked = int(np.isin(keys, _trained(data, held_out)).sum())
    if n_leaked:
        raise DatasetError(f"{n_leaked} held-out pairs are also training rows: the split leaks")


def _trained(data: Dataset, held_out: HeldOut) -> Int64[np.ndarray, " rows"]:
    """Return user * items + item of every target row of training, for users numbered as held out."""
    n_items = len(data.target_items)
    positives = binary(data.interactions[data.target][held_out.user_rows])
    keys = [rows_of(positives) * n_items + positives.indices]
    if data.events is not None:
        events = data.events[data.target].of_users(held_out.user_rows)
        keys.append(events.user_rows * n_items + events.item_rows)
    return np.unique(np.concatenate(keys)).astype(np.int64)
