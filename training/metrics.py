"""HR@K, NDCG@K, precision@K and recall@K, with ties at their expectation under a random order.

In: scores of every candidate and the positives among them. Out: one value a user. A scorer that cannot
tell items apart gets what chance gives, K / candidates for one positive, never the favour of the sort.

A positive is described by two counts: `n_greater` candidates score above it, and it shares its score with
`n_tied` candidates (itself included); under random tie order its place, from 0, is uniform over
n_greater, ..., n_greater + n_tied - 1. Then

    NDCG@K = sum over positives of E[1 / log2(place + 2); place < K]  /  the same of a perfect ranking
    HR@K   = P(some positive has place < K)
    precision@K = E[number of positives with place < K] / K
    recall@K    = E[number of positives with place < K] / number of positives

By linearity all but HR need nothing else. For HR the positives tied at the cut compete: with p of them among n
tied candidates and m places left, P(none gets one) = C(n - p, m) / C(n, m).
NDCG: Järvelin and Kekäläinen, ACM TOIS 20(4), 2002, with binary gains.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64
from scipy.sparse import csr_array

from training.dataset import rows_of
from training.errors import CannotJudgeError, DatasetError

COMPARISONS_AT_ONCE = 1 << 24
"""Scores compared in one NumPy call: bounds the memory to some tens of MiB."""


@dataclass(frozen=True)
class Places:
    """Where positives stand among their candidates; `row` says to which ranking (user) each belongs."""

    n_rows: int
    row: Int64[np.ndarray, " positives"]
    n_greater: Int64[np.ndarray, " positives"]
    n_tied: Int64[np.ndarray, " positives"]


def places(scores: Float32[np.ndarray, "users items"], positives: csr_array) -> Places:
    """Return the place of every positive among the candidates of its row.

    Args:
        scores: NaN means the item is no candidate for this user (it was seen, say).
        positives: Shape (users, items); every stored entry is a positive.

    Raises:
        CannotJudgeError: a row has no candidate, or a positive is NaN: unknown is not a rank.
        DatasetError: a row has no positive.
    """
    row, item = rows_of(positives), positives.indices.astype(np.int64)
    empty = np.setdiff1d(np.arange(len(scores)), row)
    if len(empty):
        raise DatasetError(
            f"{len(empty)} users have no positive to rank, the first in row {empty[0]}"
        )
    own = scores[row, item]
    unknown = row[np.isnan(own)]
    if len(unknown):
        raise CannotJudgeError(
            f"{len(unknown)} positives have no score (NaN), the first in row {unknown[0]}"
        )
    n_greater, n_tied = np.empty(len(row), np.int64), np.empty(len(row), np.int64)
    step = max(1, COMPARISONS_AT_ONCE // max(1, scores.shape[1]))
    for start in range(0, len(row), step):
        part = slice(start, start + step)
        candidates, score = scores[row[part]], own[part, None]
        n_greater[part] = np.count_nonzero(candidates > score, axis=1)
        n_tied[part] = np.count_nonzero(candidates == score, axis=1)
    return Places(len(scores), row, n_greater, n_tied)


def hit_rate(ranked: Places, k: int) -> Float64[np.ndarray, " users"]:
    """Return for each row the probability that some positive is among the first `k`."""
    stop = ranked.n_greater + ranked.n_tied
    sure = np.bincount(ranked.row[stop <= k], minlength=ranked.n_rows) > 0
    at_cut = (ranked.n_greater < k) & (k < stop)
    row = ranked.row[at_cut]
    n_positive = np.bincount(row, minlength=ranked.n_rows)
    n_tied, n_places = np.ones(ranked.n_rows), np.zeros(ranked.n_rows)
    n_tied[row], n_places[row] = ranked.n_tied[at_cut], k - ranked.n_greater[at_cut]
    miss = np.ones(ranked.n_rows)
    for place in range(int(n_places.max(initial=0))):
        left = np.maximum(n_tied - place, 1)  # a row with fewer places is not looked at below
        free = np.maximum(left - n_positive, 0)
        miss *= np.where(place < n_places, free / left, 1.0)
    return np.where(sure, 1.0, 1.0 - miss)


def ndcg(ranked: Places, k: int) -> Float64[np.ndarray, " users"]:
    """Return for each row the expected DCG of the first `k` over that of min(positives, k) hits."""
    gains = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(k) + 2.0))])
    n_positive = np.bincount(ranked.row, minlength=ranked.n_rows)
    found = np.bincount(ranked.row, weights=place_gain(ranked, k), minlength=ranked.n_rows)
    share: np.ndarray = np.minimum(found / gains[np.minimum(n_positive, k)], 1.0)
    return share


def place_chance(ranked: Places, k: int) -> Float64[np.ndarray, " positives"]:
    """Return for each positive the probability that its place is among the first `k`."""
    chance: np.ndarray = np.clip(k - ranked.n_greater, 0, ranked.n_tied) / ranked.n_tied
    return chance


def place_gain(ranked: Places, k: int) -> Float64[np.ndarray, " positives"]:
    """Return for each positive E[1 / log2(place + 2); place < k]: NDCG@k of a positive that is alone."""
    gains = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(k) + 2.0))])
    first = np.minimum(ranked.n_greater, k)
    stop = np.minimum(ranked.n_greater + ranked.n_tied, k)
    gain: np.ndarray = (gains[stop] - gains[first]) / ranked.n_tied
    return gain


def precision(ranked: Places, k: int) -> Float64[np.ndarray, " users"]:
    """Return for each row the expected share of positives among the first `k`, of which there may be fewer."""
    hits = np.bincount(ranked.row, weights=place_chance(ranked, k), minlength=ranked.n_rows)
    share: np.ndarray = hits / k
    return share


def recall(ranked: Places, k: int) -> Float64[np.ndarray, " users"]:
    """Return for each row the expected share of its positives that are among the first `k`."""
    n_positive = np.bincount(ranked.row, minlength=ranked.n_rows)
    hits = np.bincount(ranked.row, weights=place_chance(ranked, k), minlength=ranked.n_rows)
    share: np.ndarray = np.minimum(hits / n_positive, 1.0)
    return share
