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
from typing import ClassVar

import numpy as np
from jaxtyping import Float32
from typing_extensions import override

from training.bricks.closed_form import ClosedForm
from training.bricks.histories import (
    from_arrays,
    names_from_array,
    names_to_array,
    side_by_side,
    sources_of,
    to_arrays,
)
from training.bricks.neighbours import NeighbourConfig, nearest
from training.config import ModelConfig
from training.contract import FitContext, FitReport, Need, UserBatch
from training.dataset import Dataset, binary, counts


class SourceKNNConfig(NeighbourConfig):
    """Settings of the neighbourhood."""


class SourceKNN(ClosedForm):
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

    @override
    def fit(self, data: Dataset, context: FitContext) -> FitReport:
        """Keep the source and target rows of the training users who have both."""
        started = time.monotonic()
        sources = sorted(sources_of(data, self.name))
        source = side_by_side(data.interactions, sources)
        target = binary(data.interactions[data.target])
        kept = np.flatnonzero((counts(source) > 0) & (counts(target) > 0))
        self.learned = {
            "user_ids": data.user_ids[kept],
            "item_ids": data.target_items.item_ids,
            "sources": names_to_array(sources),
            **to_arrays("source", source[kept]),
            **to_arrays("target", target[kept]),
        }
        return FitReport(seconds=time.monotonic() - started, notes=(f"{len(kept)} neighbours",))

    @override
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        """Return the similarity-weighted share of neighbours who liked each item."""
        learned = self.learned
        source, target = from_arrays("source", learned), from_arrays("target", learned)
        own = side_by_side(users.history, names_from_array(learned["sources"]))
        overlap = (own @ source.T).toarray()
        overlap[users.ids[:, None] == learned["user_ids"][None, :]] = 0.0
        chosen = nearest(overlap, counts(own), counts(source), self.settings)
        total = np.asarray(chosen.sum(axis=1))
        scores: np.ndarray = (chosen @ target).toarray() / np.where(total > 0, total, np.nan)[
            :, None
        ]
        return scores.astype(np.float32, copy=False)
