"""What a rating or a click would be if user and item had nothing to do with one another: the row to be ahead of.

In: training events. Out: predictions by means alone, of the two kinds of feedback:

    ratings    mu + b_i + b_u, with mu the mean rating of the target,
               b_i = sum_(u of i) (r_ui - mu_d) / (25 + n_i),
               b_u = sum_(i of u) (r_ui - mu_d - b_i) / (10 + n_u)
    clicks     q_i / (q_i + n / N), with q_i = (n_i + 1) / sum_j (n_j + 1)

b_u is taken over the user's ratings in every domain d, so that newcomers of the target have one too. The constants
are those of Koren and Bell (Advances in Collaborative Filtering, Recommender Systems Handbook, 2011, section 2.1).
The chance of a click is Bayes' rule for how such pairs are made (`rating_evaluation.clicked_pairs`): a like, drawn by
popularity q, or one of n items beside it, drawn evenly among N (that nobody is given as a negative what they like is
left out of account: the chances of the most popular items are a little too low, their order is right).
"""

from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Float64, Int64

from training.contract import UserBatch
from training.dataset import Dataset, Events, binary

ITEM_SHRINKAGE, USER_SHRINKAGE = 25.0, 10.0


class Means:
    """Predicts ratings by the means of item and user."""

    name: ClassVar[str] = "means"

    def __init__(self, data: Dataset) -> None:
        self._target = data.target
        self._domains = {
            domain: _means_of(events, len(data.catalogues[domain]))
            for domain, events in (data.events or {}).items()
        }

    def predict(
        self,
        users: UserBatch,
        user_rows: Int64[np.ndarray, " pairs"],
        item_rows: Int64[np.ndarray, " pairs"],
    ) -> Float32[np.ndarray, " pairs"]:
        """Return the rating of each pair."""
        above, n_ratings = np.zeros(len(users)), np.zeros(len(users))
        for domain, events in (users.events or {}).items():
            mean, items = self._domains[domain]
            rated = events.where(~np.isnan(events.ratings))
            rest = rated.ratings - mean - items[rated.item_rows]
            above += np.bincount(rated.user_rows, rest, minlength=len(users))
            n_ratings += np.bincount(rated.user_rows, minlength=len(users))
        own = above / (USER_SHRINKAGE + n_ratings)
        mean, items = self._domains[self._target]
        found: np.ndarray = mean + items[item_rows] + own[user_rows]
        return found.astype(np.float32)


class ClickShares:
    """Predicts the chance of a click by the item's popularity."""

    name: ClassVar[str] = "popularity"

    def __init__(self, data: Dataset, n_negatives: int) -> None:
        shares = 1.0 + binary(data.interactions[data.target]).sum(axis=0)
        shares = shares / shares.sum()
        self._chance = shares / (shares + n_negatives / len(shares))

    def predict(
        self,
        users: UserBatch,
        user_rows: Int64[np.ndarray, " pairs"],
        item_rows: Int64[np.ndarray, " pairs"],
    ) -> Float32[np.ndarray, " pairs"]:
        """Return the chance of each pair."""
        del users, user_rows
        found: np.ndarray = self._chance[item_rows]
        return found.astype(np.float32)


def _means_of(events: Events, n_items: int) -> tuple[float, Float64[np.ndarray, " items"]]:
    """Return the mean rating of a domain and how far each item is above it; 0 where nothing is rated."""
    rated = events.where(~np.isnan(events.ratings))
    mean = float(rated.ratings.mean()) if len(rated) else 0.0
    above = np.bincount(rated.item_rows, rated.ratings - mean, minlength=n_items)
    return mean, above / (ITEM_SHRINKAGE + np.bincount(rated.item_rows, minlength=n_items))
