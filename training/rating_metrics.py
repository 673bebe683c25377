"""Metrics of predicted ratings and clicks of given (user, item) pairs.

In: one prediction and one truth a pair, and a weight a pair (all 1, or how often a bootstrap drew its user).
Out: one number for all pairs, or one a user for the metrics at K. With weights w summing to W:

    MAE      = sum w |y - r| / W                   DIAGAE table 2, DDTCDR tables 4-6
    RMSE     = sqrt(sum w (y - r)^2 / W)           DIAGAE table 2, DDTCDR tables 4-6
    ACC      = sum w [(y >= t) = (r >= t)] / W     DIAGAE table 2 (WeChat's clicks; t = 0.5)
    AUC      = P(y+ > y-) + P(y+ = y-) / 2         DIAGAE table 2 (WeChat), SITN
    logloss  = -sum w (r log y + (1 - r) log(1 - y)) / W   SITN

over a pair drawn by its weight among those with r >= t (y+) and another among the rest (y-). Three rank the
test items that a user rated, by prediction (ties at their expectation under a random order):

    P@K      = relevant among the first K / min(K, items rated)      DDTCDR tables 4-6 (K = 5)
    R@K      = relevant among the first K / relevant                 DDTCDR tables 4-6 (K = 5)
    NDCG@K   = DCG@K / the DCG@K of the best order, gains 2^r - 1    DIAGAE table 2 (K = 5)

Left open in the papers and decided here: which items P, R and NDCG rank (those rated: the reported values, .8 to
.99, cannot come from a whole catalogue), the gain (Burges et al., ICML 2005), and that precision divides by the
items there are. DDTCDR's public code has no K at all: it recommends what is predicted at 0.5 or more
(`threshold_precision`, `threshold_recall`).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64

SMALLEST_CHANCE = 1e-7
"""Predicted chances are kept this far from 0 and 1, or one sure mistake makes logloss infinite."""


class Pairs(NamedTuple):
    """Predictions and truths of the same pairs."""

    predicted: Float64[np.ndarray, " pairs"]
    actual: Float64[np.ndarray, " pairs"]
    weights: Float64[np.ndarray, " pairs"]


def mean_absolute_error(pairs: Pairs) -> float:
    """Return MAE.

    >>> mean_absolute_error(Pairs(np.array([1.0, 2.0]), np.array([1.0, 4.0]), np.ones(2)))
    1.0
    """
    return float(np.average(np.abs(pairs.predicted - pairs.actual), weights=pairs.weights))


def root_mean_squared_error(pairs: Pairs) -> float:
    """Return RMSE."""
    return float(np.sqrt(np.average((pairs.predicted - pairs.actual) ** 2, weights=pairs.weights)))


def accuracy(pairs: Pairs, threshold: float = 0.5) -> float:
    """Return the share of pairs predicted on the right side of `threshold`."""
    right = (pairs.predicted >= threshold) == (pairs.actual >= threshold)
    return float(np.average(right, weights=pairs.weights))


def area_under_curve(pairs: Pairs, threshold: float = 0.5) -> float:
    """Return AUC, a tie counting half; NaN where all pairs are on one side of `threshold`."""
    positive = pairs.actual >= threshold
    _, level = np.unique(pairs.predicted, return_inverse=True)
    n_levels = int(level.max()) + 1
    above = np.bincount(level, weights=pairs.weights * positive, minlength=n_levels)
    below = np.bincount(level, weights=pairs.weights * ~positive, minlength=n_levels)
    total = above.sum() * below.sum()
    if total == 0:
        return float("nan")
    return float((above * (np.cumsum(below) - below / 2)).sum() / total)


def log_loss(pairs: Pairs) -> float:
    """Return the mean cross-entropy of chances `predicted` and truths of 0 or 1."""
    chance = np.clip(pairs.predicted, SMALLEST_CHANCE, 1 - SMALLEST_CHANCE)
    lost = pairs.actual * np.log(chance) + (1 - pairs.actual) * np.log1p(-chance)
    return float(-np.average(lost, weights=pairs.weights))


def precision_at(
    users: Int64[np.ndarray, " pairs"], pairs: Pairs, k: int, threshold: float
) -> Float64[np.ndarray, " users"]:
    """Return P@K of every user; users are numbered from 0, and each has a pair."""
    shown = _chances(users, pairs.predicted, k)
    found = np.bincount(users, weights=shown * (pairs.actual >= threshold))
    share: np.ndarray = found / np.minimum(np.bincount(users), k)
    return share


def recall_at(
    users: Int64[np.ndarray, " pairs"], pairs: Pairs, k: int, threshold: float
) -> Float64[np.ndarray, " users"]:
    """Return R@K of every user; NaN for those without a relevant item."""
    relevant = pairs.actual >= threshold
    found = np.bincount(users, weights=_chances(users, pairs.predicted, k) * relevant)
    return _share(found, np.bincount(users, weights=relevant))


def rating_ndcg_at(
    users: Int64[np.ndarray, " pairs"], pairs: Pairs, k: int
) -> Float64[np.ndarray, " users"]:
    """Return NDCG@K of every user; NaN for those whose ratings are all 0."""
    gain = np.exp2(pairs.actual) - 1
    reached, best = (
        np.bincount(users, weights=gain * _discounts(users, order, k))
        for order in (pairs.predicted, pairs.actual)
    )
    return _share(reached, best)


def threshold_precision(
    users: Int64[np.ndarray, " pairs"], pairs: Pairs, threshold: float
) -> Float64[np.ndarray, " users"]:
    """Return the relevant share of what is predicted at `threshold` or more; NaN where nothing is."""
    shown = pairs.predicted >= threshold
    both = np.bincount(users, weights=shown & (pairs.actual >= threshold))
    return _share(both, np.bincount(users, weights=shown))


def threshold_recall(
    users: Int64[np.ndarray, " pairs"], pairs: Pairs, threshold: float
) -> Float64[np.ndarray, " users"]:
    """Return the share of the relevant that is predicted at `threshold` or more; NaN where nothing is relevant."""
    relevant = pairs.actual >= threshold
    both = np.bincount(users, weights=relevant & (pairs.predicted >= threshold))
    return _share(both, np.bincount(users, weights=relevant))


def _share(
    part: Float64[np.ndarray, " users"], whole: Float64[np.ndarray, " users"]
) -> Float64[np.ndarray, " users"]:
    share: np.ndarray = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return share


def _tied_runs(
    users: Int64[np.ndarray, " pairs"], values: Float64[np.ndarray, " pairs"]
) -> tuple[Int64[np.ndarray, " pairs"], Int64[np.ndarray, " pairs"]]:
    """Return for each pair how many pairs of its user have a greater value, and how many the same."""
    order = np.lexsort((-values, users))
    user, value = users[order], values[order]
    new_user = _changes(user)
    new_run = new_user | _changes(value)
    run = np.cumsum(new_run) - 1
    first = np.flatnonzero(new_run)
    length = np.diff(np.append(first, len(order)))
    user_start = np.flatnonzero(new_user)[np.cumsum(new_user) - 1]
    n_greater, n_tied = np.empty((2, len(order)), dtype=np.int64)
    n_greater[order], n_tied[order] = first[run] - user_start, length[run]
    return n_greater, n_tied


def _changes(values: np.ndarray) -> Bool[np.ndarray, " values"]:
    is_new = np.ones(len(values), dtype=bool)
    is_new[1:] = values[1:] != values[:-1]
    return is_new


def _chances(
    users: Int64[np.ndarray, " pairs"], values: Float64[np.ndarray, " pairs"], k: int
) -> Float64[np.ndarray, " pairs"]:
    """Return for each pair the chance that it is among its user's first `k`."""
    n_greater, n_tied = _tied_runs(users, values)
    chance: np.ndarray = np.clip(k - n_greater, 0, n_tied) / n_tied
    return chance


def _discounts(
    users: Int64[np.ndarray, " pairs"], values: Float64[np.ndarray, " pairs"], k: int
) -> Float64[np.ndarray, " pairs"]:
    """Return for each pair the expectation of 1 / log2(place + 2), 0 from place `k` on."""
    n_greater, n_tied = _tied_runs(users, values)
    gains = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(k) + 2.0))])
    first, stop = np.minimum(n_greater, k), np.minimum(n_greater + n_tied, k)
    expected: np.ndarray = (gains[stop] - gains[first]) / n_tied
    return expected
