"""Nearest users by the source domains: who liked the same there, may like the same here.

For a user u and each training user v with target positives, over binary source histories a (all source
domains side by side):

    sim(u, v)   = |a_u and a_v| / (sqrt(|a_u| |a_v|) + shrinkage)
    score(u, i) = sum of sim(u, v) over the k most similar v who liked i  /  sum of sim(u, v) over those k

User-based collaborative filtering after Herlocker et al. (SIGIR 1999); it needs no target row of u, so it
is the plainest cross-domain model for newcomers. A user without a source row, or without any neighbour,
cannot be judged: NaN. A training user is no neighbour of its own.
"""

import time
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from jaxtyping import Float32
from pydantic import NonNegativeFloat, PositiveInt
from scipy.sparse import csr_array
from typing_extensions import override

from training.bricks.histories import (
    from_arrays,
    names_from_array,
    names_to_array,
    side_by_side,
    to_arrays,
)
from training.config import ModelConfig
from training.contract import FitContext, FitReport, Need, Recommender, UserBatch, not_fitted
from training.dataset import Dataset, binary, counts
from training.errors import DatasetError
from training.recommend import NO_ITEM, top_k


class SourceKNNConfig(ModelConfig):
    """Settings of the neighbourhood."""

    n_neighbours: PositiveInt = 100
    shrinkage: NonNegativeFloat = 10.0
    """Takes weight from similarities that rest on few items."""


class SourceKNN(Recommender):
    """User-kNN over the source domains."""

    name: ClassVar[str] = "source_knn"
    paper: ClassVar[str] = (
        "Herlocker et al.: An Algorithmic Framework for Performing Collaborative Filtering, SIGIR 1999"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HISTORY})
    config_type: ClassVar[type[ModelConfig]] = SourceKNNConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, SourceKNNConfig)
        self.settings = config
        self._sources: tuple[str, ...] = ()
        self._state: dict[str, np.ndarray] = {}

    @override
    def fit(self, data: Dataset, context: FitContext) -> FitReport:
        """Keep the source and target rows of the training users who have both."""
        started = time.monotonic()
        if not data.sources:
            raise DatasetError(f"{self.name} needs a source domain beside target {data.target!r}")
        self._sources = tuple(sorted(data.sources))
        source, target = (
            side_by_side(data.interactions, self._sources),
            data.interactions[data.target],
        )
        target = binary(target)
        kept = np.flatnonzero((counts(source) > 0) & (counts(target) > 0))
        self.item_ids = data.target_items.item_ids
        self._state = {
            "user_ids": data.user_ids[kept],
            "item_ids": self.item_ids,
            "sources": names_to_array(self._sources),
            **to_arrays("source", source[kept]),
            **to_arrays("target", target[kept]),
        }
        return FitReport(seconds=time.monotonic() - started, notes=(f"{len(kept)} neighbours",))

    @override
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        """Return the similarity-weighted share of neighbours who liked each item."""
        if not self._state:
            raise not_fitted(self)
        source, target = from_arrays("source", self._state), from_arrays("target", self._state)
        own = side_by_side(users.history, self._sources)
        overlap = (own @ source.T).toarray()
        norms = np.sqrt(counts(own)[:, None] * counts(source)[None, :])
        similarity = overlap / np.maximum(norms + self.settings.shrinkage, 1e-9)
        similarity[users.ids[:, None] == self._state["user_ids"][None, :]] = 0.0
        similarity = np.where(similarity > 0, similarity, np.nan).astype(np.float32)
        if similarity.shape[1] == 0:
            return np.full((len(users), target.shape[1]), np.nan, dtype=np.float32)
        neighbours, weights = top_k(similarity, self.settings.n_neighbours)
        user, place = np.nonzero(neighbours != NO_ITEM)
        shape = (len(users), similarity.shape[1])
        chosen = csr_array((weights[user, place], (user, neighbours[user, place])), shape=shape)
        total = np.asarray(chosen.sum(axis=1))
        scores: np.ndarray = (chosen @ target).toarray() / np.where(total > 0, total, np.nan)[
            :, None
        ]
        return scores.astype(np.float32, copy=False)

    @override
    def state(self) -> Mapping[str, np.ndarray]:
        """Return the kept rows in the form of compressed sparse rows."""
        if not self._state:
            raise not_fitted(self)
        return self._state

    @override
    def restore(self, state: Mapping[str, np.ndarray], assets: Mapping[str, bytes]) -> None:
        """Take back what `state` gave."""
        self._state = dict(state)
        self._sources = names_from_array(state["sources"])
        self.item_ids = state["item_ids"]
