"""The best items of a row of scores: the one place that ranks, excludes and breaks ties.

In: scores (NaN = unknown) and the items not to show. Out: for each user at most `k` item rows by falling
score, ties by item row; unknown and excluded items never come out.
"""

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int64, UInt32
from scipy.sparse import csr_array

from training.dataset import rows_of
from training.errors import ConfigError
from training.schema import RECOMMENDATIONS

NO_ITEM = -1
"""Fills the end of a row that has fewer than k items; its score is NaN, and no table shows it."""


def top_k(
    scores: Float32[np.ndarray, "users items"], k: int, exclude: csr_array | None = None
) -> tuple[Int64[np.ndarray, "users k"], Float32[np.ndarray, "users k"]]:
    """Return the best `k` items of each user, and their scores.

    Args:
        scores: NaN items are never returned.
        k: At least 1; more than there are items means all of them.
        exclude: Shape (users, items); stored entries are not returned.

    Returns:
        Item rows and scores, both (users, min(k, items)); `NO_ITEM` and NaN where a row ran out.

    Raises:
        ConfigError: `k` is below 1.
    """
    if k < 1:
        raise ConfigError(f"k is {k}, must be at least 1")
    n_users, n_items = scores.shape
    k = min(k, n_items)
    falling = -scores
    if exclude is not None:
        falling[rows_of(exclude), exclude.indices] = np.nan
    if n_users == 0 or k == 0:
        return np.empty((n_users, k), np.int64), np.empty((n_users, k), np.float32)
    chosen = _choose(falling, k)
    user, item = np.nonzero(chosen)
    place = np.arange(len(user)) - np.concatenate([[0], np.cumsum(chosen.sum(1))])[user]
    items = np.full((n_users, k), NO_ITEM, dtype=np.int64)
    keys = np.full((n_users, k), np.nan, dtype=np.float32)
    items[user, place], keys[user, place] = item, falling[user, item]
    order = np.argsort(keys, axis=1, kind="stable")  # NaN last; within a tie, rows stay rising
    return np.take_along_axis(items, order, 1), -np.take_along_axis(keys, order, 1)


def _choose(falling: Float32[np.ndarray, "users items"], k: int) -> np.ndarray:
    """Mark the `k` smallest of each row, ties by column; NaN is larger than all and never marked."""
    bound = np.partition(falling, k - 1, axis=1)[:, k - 1 : k]
    better = (falling < bound) | (np.isnan(bound) & ~np.isnan(falling))
    tied = falling == bound
    n_left = k - np.count_nonzero(better, axis=1, keepdims=True)
    marked: np.ndarray = better | (tied & (np.cumsum(tied, axis=1) <= n_left))
    return marked


def recommendations(
    user_ids: UInt32[np.ndarray, " users"],
    item_ids: UInt32[np.ndarray, " items"],
    best: Int64[np.ndarray, "users k"],
    scores: Float32[np.ndarray, "users k"],
) -> pa.Table:
    """Return `top_k`'s answer as a table of `schema.RECOMMENDATIONS`, ranks from 1 without gaps."""
    user, place = np.nonzero((best != NO_ITEM) & np.isfinite(scores))
    columns = [user_ids[user], item_ids[best[user, place]], place + 1, scores[user, place]]
    table = pa.table(
        [
            pa.array(column, type=field.type)
            for column, field in zip(columns, RECOMMENDATIONS, strict=True)
        ],
        schema=RECOMMENDATIONS,
    )
    return table.sort_by([("user_id", "ascending"), ("rank", "ascending")])
