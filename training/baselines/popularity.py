"""Popularity: every user is shown what most users liked.

    score(u, i) = log(1 + number of training users who liked i)

The row every table of results must hold: under sampled negatives it is hard to beat, under full ranking it
is not (Cremonesi et al., Performance of Recommender Algorithms on Top-N Recommendation Tasks, RecSys 2010).
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from jaxtyping import Float32
from typing_extensions import override

from training.config import ModelConfig
from training.contract import FitContext, FitReport, Need, UserBatch, VectorRecommender, not_fitted
from training.dataset import Dataset, binary


class PopularityConfig(ModelConfig):
    """Popularity has no settings."""


class Popularity(VectorRecommender):
    """Scores an item by how many users liked it."""

    name: ClassVar[str] = "popularity"
    paper: ClassVar[str] = (
        "Cremonesi, Koren, Turrin: Performance of Recommender Algorithms on Top-N Recommendation Tasks,"
        " RecSys 2010 (TopPop)"
    )
    needs: ClassVar[frozenset[Need]] = frozenset()
    config_type: ClassVar[type[ModelConfig]] = PopularityConfig

    _log_counts: Float32[np.ndarray, " items"] | None = None

    @override
    def fit(self, data: Dataset, context: FitContext) -> FitReport:
        """Count."""
        n_liked = binary(data.interactions[data.target]).sum(axis=0)
        self._log_counts = np.log1p(n_liked).astype(np.float32)
        self.item_ids = data.target_items.item_ids
        return FitReport(seconds=0.0)

    @override
    def item_vectors(self) -> Float32[np.ndarray, "items dim"]:
        """Return the score as a vector of one number."""
        if self._log_counts is None:
            raise not_fitted(self)
        return self._log_counts[:, None]

    @override
    def user_vectors(self, users: UserBatch) -> Float32[np.ndarray, "users dim"]:
        """Return 1 for every user."""
        return np.ones((len(users), 1), dtype=np.float32)

    @override
    def state(self) -> Mapping[str, np.ndarray]:
        """Return `log_counts` and `item_ids`."""
        if self._log_counts is None or self.item_ids is None:
            raise not_fitted(self)
        return {"log_counts": self._log_counts, "item_ids": self.item_ids}

    @override
    def restore(self, state: Mapping[str, np.ndarray], assets: Mapping[str, bytes]) -> None:
        """Take back what `state` gave."""
        self._log_counts, self.item_ids = state["log_counts"], state["item_ids"]
