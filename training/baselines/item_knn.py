"""ItemKNN: items that were liked together, on the target alone or across domains.

Over binary histories, with U_i the users who liked i:

    sim(i, j)   = |U_i and U_j| / (sqrt(|U_i| |U_j|) + shrinkage),    sim(j, j) = 0
    score(u, j) = sum of sim(i, j) over the items i in u's history that are among the k nearest of j

Item-based collaborative filtering after Deshpande and Karypis (TOIS 2004), with the shrinkage of Bell and
Koren (ICDM 2007). The k nearest are taken in each domain by itself: a target item always has neighbours in
the sources, else its own domain would fill its list and a newcomer's source rows would reach nothing.

A user is their history; one without a positive in the chosen domains cannot be judged (NaN).
"""

import time
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from jaxtyping import Float32
from pydantic import NonNegativeFloat, PositiveInt
from scipy.sparse import csr_array, vstack
from typing_extensions import override

from training.bricks.histories import (
    Domains,
    chosen_domains,
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

ITEMS_AT_ONCE = 1024
"""Target items whose similarities are held dense at a time."""


class ItemKnnConfig(ModelConfig):
    """Settings of the neighbourhood."""

    n_neighbours: PositiveInt = 100
    """In each domain."""
    shrinkage: NonNegativeFloat = 10.0
    """Takes weight from similarities that rest on few users."""
    domains: Domains = Domains.ALL


class ItemKnn(Recommender):
    """Cosine of items by their users."""

    name: ClassVar[str] = "item_knn"
    paper: ClassVar[str] = (
        "Deshpande, Karypis: Item-Based Top-N Recommendation Algorithms, ACM TOIS 2004"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HISTORY})
    config_type: ClassVar[type[ModelConfig]] = ItemKnnConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, ItemKnnConfig)
        self.settings = config
        self._state: dict[str, np.ndarray] = {}

    @override
    def fit(self, data: Dataset, context: FitContext) -> FitReport:
        """Find each target item's nearest items of every chosen domain."""
        started = time.monotonic()
        domains = chosen_domains(data, self.settings.domains)
        target = binary(data.interactions[data.target])
        if not target.nnz:
            raise DatasetError(f"no positive interaction in {data.target!r} to learn from")
        self.item_ids = data.target_items.item_ids
        nearest = vstack(
            [
                nearest_items(
                    binary(data.interactions[domain]),
                    target,
                    self.settings,
                    same=domain == data.target,
                )
                for domain in domains
            ],
            format="csr",
        )
        self._state = {
            "item_ids": self.item_ids,
            "domains": names_to_array(domains),
            "similarities": nearest.data,
            **to_arrays("nearest", nearest),
        }
        return FitReport(seconds=time.monotonic() - started, notes=(f"{nearest.nnz} similarities",))

    @override
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        """Return the summed similarities of each user's history."""
        if not self._state:
            raise not_fitted(self)
        nearest = from_arrays("nearest", self._state)
        nearest.data = self._state["similarities"]
        own = side_by_side(users.history, names_from_array(self._state["domains"]))
        scores: np.ndarray = (own @ nearest).toarray().astype(np.float32, copy=False)
        scores[counts(own) == 0] = np.nan
        return scores

    @override
    def state(self) -> Mapping[str, np.ndarray]:
        """Return the similarities in the form of compressed sparse rows, and the domains."""
        if not self._state:
            raise not_fitted(self)
        return self._state

    @override
    def restore(self, state: Mapping[str, np.ndarray], assets: Mapping[str, bytes]) -> None:
        """Take back what `state` gave."""
        self._state, self.item_ids = dict(state), state["item_ids"]


def nearest_items(
    liked: csr_array, target: csr_array, settings: ItemKnnConfig, *, same: bool
) -> csr_array:
    """Return sim(i, j) of each target item's nearest items: shape (items of `liked`, target items).

    Args:
        liked: Binary histories of one domain.
        target: Binary histories of the target, over the same users.
        settings: How many neighbours, and the shrinkage.
        same: Whether `liked` is the target: an item is no neighbour of its own.
    """
    columns = liked.T.tocsr()
    rows, neighbours, values = [], [], []
    own_counts, target_counts = counts(columns), counts(target.T.tocsr())
    for start in range(0, target.shape[1], ITEMS_AT_ONCE):
        part = target[:, start : start + ITEMS_AT_ONCE]
        common = (part.T @ liked).toarray()
        norms = np.sqrt(target_counts[start : start + ITEMS_AT_ONCE, None] * own_counts[None, :])
        similarity = common / np.maximum(norms + settings.shrinkage, 1e-9)
        if same:
            here = np.arange(len(similarity))
            similarity[here, start + here] = 0.0
        similarity = np.where(similarity > 0, similarity, np.nan).astype(np.float32)
        best, weights = top_k(similarity, settings.n_neighbours)
        item, place = np.nonzero(best != NO_ITEM)
        rows.append(best[item, place])
        neighbours.append(item + start)
        values.append(weights[item, place])
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(neighbours)))
    return csr_array(entries, shape=(liked.shape[1], target.shape[1]))
