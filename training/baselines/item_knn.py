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
from typing import ClassVar

import numpy as np
from jaxtyping import Float32
from scipy.sparse import csr_array, vstack
from typing_extensions import override

from training.bricks.closed_form import ClosedForm
from training.bricks.histories import (
    Domains,
    chosen_domains,
    from_arrays,
    names_from_array,
    names_to_array,
    side_by_side,
    to_arrays,
)
from training.bricks.neighbours import NeighbourConfig, nearest
from training.config import ModelConfig
from training.contract import FitContext, FitReport, Need, UserBatch
from training.dataset import Dataset, binary, counts
from training.errors import DatasetError

ITEMS_AT_ONCE = 1024
"""Target items whose similarities are held dense at a time."""


class ItemKnnConfig(NeighbourConfig):
    """Settings of the neighbourhood; `n_neighbours` are taken in each domain."""

    domains: Domains = Domains.ALL


class ItemKnn(ClosedForm):
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

    @override
    def fit(self, data: Dataset, context: FitContext) -> FitReport:
        """Find each target item's nearest items of every chosen domain."""
        started = time.monotonic()
        domains = chosen_domains(data, self.settings.domains)
        target = binary(data.interactions[data.target])
        if not target.nnz:
            raise DatasetError(f"no positive interaction in {data.target!r} to learn from")
        found = vstack(
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
        self.learned = {
            "item_ids": data.target_items.item_ids,
            "domains": names_to_array(domains),
            "similarities": found.data,
            **to_arrays("nearest", found),
        }
        return FitReport(seconds=time.monotonic() - started, notes=(f"{found.nnz} similarities",))

    @override
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        """Return the summed similarities of each user's history."""
        learned = self.learned
        found = from_arrays("nearest", learned)
        found.data = learned["similarities"]
        own = side_by_side(users.history, names_from_array(learned["domains"]))
        scores: np.ndarray = (own @ found).toarray().astype(np.float32, copy=False)
        scores[counts(own) == 0] = np.nan
        return scores


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
    parts = []
    n_liked, n_target = counts(liked.T.tocsr()), counts(target.T.tocsr())
    for start in range(0, target.shape[1], ITEMS_AT_ONCE):
        part = slice(start, start + ITEMS_AT_ONCE)
        common = (target[:, part].T @ liked).toarray()
        if same:
            here = np.arange(len(common))
            common[here, start + here] = 0.0
        parts.append(nearest(common, n_target[part], n_liked, settings))
    found: csr_array = vstack(parts, format="csr").T.tocsr()
    return found
