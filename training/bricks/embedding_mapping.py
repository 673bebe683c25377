"""Embedding and mapping: factors of the sources, factors of the target, and a map between their users.

In: a data set with users of both. Three phases: the source's factors, the target's factors, then the map f
with both frozen, learned on the users who have positives in both. A user with target rows has the vector the
target gave them; a newcomer with source rows has f of their source vector; anybody else cannot be judged.

A phase chooses its epoch by the validation users whom it decides for: the target's factors by those with target rows,
the map by newcomers (by all with source rows, if everyone is mapped). Without such users it runs all its epochs.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from pydantic import PositiveFloat, PositiveInt
from torch import nn
from typing_extensions import override

from training.bricks.bpr import RankingLoss
from training.bricks.histories import has_history, sources_of
from training.bricks.matrix_factorisation import FactorConfig, Factors, factor_phase
from training.config import ModelConfig
from training.contract import FitContext, Need, UserBatch, VectorRecommender
from training.dataset import Dataset, HeldOut
from training.errors import DatasetError
from training.gradient_model import GradientModel, Phase, Shape, TensorEpoch
from training.loop import Epoch, LoopConfig


class MappingConfig(FactorConfig):
    """Settings of the two factorisations and of the map."""

    loss: RankingLoss = RankingLoss.BPR
    mapping_hidden: int = 128
    """Width of the map's hidden layer; 0 makes the map linear."""
    mapping_epochs: PositiveInt = 100
    mapping_batch_size: PositiveInt = 128
    mapping_learning_rate: PositiveFloat = 1e-3
    map_everyone: bool = False
    """Whether users with target rows get the map of their source vector too, as public code does."""

    def of_map(self) -> LoopConfig:
        """Return the settings of the loop over the map."""
        return self.model_copy(
            update={
                "epochs": self.mapping_epochs,
                "batch_size": self.mapping_batch_size,
                "learning_rate": self.mapping_learning_rate,
            }
        )


class Spaces(nn.Module):
    """The factors of both sides, and the map from the source's users to the target's."""

    def __init__(self, source: Factors, target: Factors, config: MappingConfig) -> None:
        super().__init__()
        self.source, self.target = source, target
        self.mapping = mapping(config.embedding_size, config.mapping_hidden)


def mapping(size: int, hidden: int) -> nn.Module:
    """Return a linear map of `size` numbers, or one with a hidden layer of tanh."""
    if not hidden:
        return nn.Linear(size, size)
    return nn.Sequential(nn.Linear(size, hidden), nn.Tanh(), nn.Linear(hidden, size))


class EmbeddingMapping(GradientModel[Spaces], VectorRecommender):
    """The frame; a model says how the map is learned, and may say what the factors are."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.KNOWN_USER, Need.HISTORY})

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, MappingConfig)
        self.mapping_settings = config

    def factors(self, n_users: int, n_items: int) -> Factors:
        """Return the factors of one side."""
        return Factors(n_users, n_items, self.mapping_settings)

    @abstractmethod
    def map_phases(self, data: Dataset, shared: Int64[np.ndarray, " shared"]) -> Iterator[Phase]:
        """Yield what follows the factorisations; `shared` are the rows of users with both."""

    def source_vectors(self, users: UserBatch) -> Float32[np.ndarray, "users dim"]:
        """Return vectors in the source's space; NaN for users without source rows in training."""
        return self.module.source.user_vectors(self.known_rows(users))

    @override
    def build(self, shape: Shape) -> Spaces:
        n_source = sum(shape.n_items[domain] for domain in shape.sources)
        source = self.factors(shape.n_users, n_source)
        target = self.factors(shape.n_users, shape.n_target_items)
        return Spaces(source, target, self.mapping_settings)

    @override
    def phases(self, data: Dataset, context: FitContext) -> Iterator[Phase]:
        sources = tuple(sorted(sources_of(data, self.name)))
        module, config = self.module, self.mapping_settings
        yield factor_phase("source", module.source, data, sources, config)
        own = has_history(data.interactions, (data.target,))
        validate = None if config.map_everyone else self._ranking_of(data, own)
        yield factor_phase("target", module.target, data, (data.target,), config, validate=validate)
        shared = np.flatnonzero(module.source.is_trained() & module.target.is_trained())
        if not len(shared):
            raise DatasetError(f"{self.name} learns from users of both sides, and there are none")
        yield from self.map_phases(data, shared)

    def ranking_by_map(self, data: Dataset) -> Callable[[], Mapping[str, float]] | None:
        """Return the ranking of the validation users whom the map judges; None where there are none."""
        mapped = has_history(data.interactions, sorted(data.sources))
        if not self.mapping_settings.map_everyone:
            mapped &= ~has_history(data.interactions, (data.target,))
        return self._ranking_of(data, mapped)

    def _ranking_of(
        self, data: Dataset, users: Bool[np.ndarray, " users"]
    ) -> Callable[[], Mapping[str, float]] | None:
        if data.valid is None:
            return None
        rows, positives, excluded = (
            data.valid.user_rows,
            data.valid.positives,
            data.valid.excluded,
        )
        kept = np.flatnonzero(users[rows])
        if not len(kept):
            return None
        valid = HeldOut(rows[kept], positives[kept], None if excluded is None else excluded[kept])
        return partial(self.ranking, replace(data, valid=valid))

    @override
    def item_vectors(self) -> Float32[np.ndarray, "items dim"]:
        """Return q of the target's items."""
        found: np.ndarray = self.module.target.items.detach().cpu().numpy()
        return found

    @override
    def user_vectors(self, users: UserBatch) -> Float32[np.ndarray, "users dim"]:
        """Return the target's vector of users who have one, else the map of the source's; else NaN."""
        own = self.module.target.user_vectors(self.known_rows(users))
        mapped = self.mapped(self.source_vectors(users))
        if self.mapping_settings.map_everyone:
            return np.where(np.isnan(mapped), own, mapped)
        return np.where(np.isnan(own), mapped, own)

    def mapped(self, vectors: Float32[np.ndarray, "users dim"]) -> Float32[np.ndarray, "users dim"]:
        """Return f of each vector; NaN stays NaN."""
        with torch.no_grad():
            found = self.module.mapping(torch.from_numpy(vectors).to(self.device))
        values: np.ndarray = found.cpu().numpy()
        return values


def shuffled_rows(
    data: Dataset, rows: Int64[np.ndarray, " shared"], batch_size: int, rng: np.random.Generator
) -> Epoch:
    """Return users in random order."""
    order = rng.permutation(rows)
    return TensorEpoch((torch.from_numpy(order),), data.user_ids[order], batch_size)
