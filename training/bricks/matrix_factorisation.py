"""Matrix factorisation by gradients: a vector for each user and each item, their dot product is the score.

    score(u, i) = p_u . q_i,    loss = mean over examples of  w l(score+, score-) + l2/2 (|p_u|^2 + |q_+|^2 + mean |q_-|^2)

with l of `bpr.ranking_loss`. Koren, Bell and Volinsky (Computer 2009) for the model.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from typing_extensions import override

from training.bricks.bpr import RankingLoss, Triplets, ranking_loss
from training.bricks.histories import Domains, chosen_domains, has_history
from training.bricks.pair_scores import pair_scores
from training.config import ModelConfig
from training.contract import FitContext, Need, UserBatch, VectorRecommender, not_fitted
from training.dataset import Dataset
from training.errors import DatasetError
from training.gradient_model import GradientConfig, GradientModel, Phase, Shape
from training.loop import Epoch


class FactorConfig(GradientConfig):
    """Settings of a factorisation."""

    epochs: PositiveInt = 50
    batch_size: PositiveInt = 2048
    learning_rate: PositiveFloat = 5e-3
    patience: PositiveInt | None = 10
    embedding_size: PositiveInt = 64
    loss: RankingLoss = RankingLoss.BPR
    n_negatives: PositiveInt = 1
    """Sampled for each positive."""
    l2: NonNegativeFloat = 2e-2
    """On the vectors of a batch, by the formula of `matrix_factorisation`. With 1e-4, which public code has, factors learn
    their rows by heart: on validation users of Amazon-KG with a history NDCG@10 over all items is .054 (CMF), .049 (BPR-MF)
    and .049 (EMCDR) with it, .070, .069 and .075 with .02; on newcomers of the sample world .27, .25, .36 and .39, .36, .38."""
    init_scale: PositiveFloat = 0.1
    """Standard deviation of the first vectors."""


class Factors(nn.Module):
    """User and item vectors; the forward is the loss of a batch of examples."""

    trained: Tensor
    """(users,) bool: who had a positive to learn from; the vectors of the others mean nothing."""

    def __init__(self, n_users: int, n_items: int, config: FactorConfig) -> None:
        super().__init__()
        self.users = nn.Parameter(config.init_scale * torch.randn(n_users, config.embedding_size))
        self.items = nn.Parameter(config.init_scale * torch.randn(n_items, config.embedding_size))
        self.register_buffer("trained", torch.zeros(n_users, dtype=torch.bool))
        self._loss, self._l2 = config.loss, config.l2

    @override
    def forward(
        self, users: Tensor, positives: Tensor, negatives: Tensor, weights: Tensor
    ) -> Float[Tensor, ""]:
        """Return the loss; `negatives` has shape (examples, n)."""
        pairs = torch.cat([positives[:, None], negatives], dim=1)
        shares = self.users.new_full((pairs.shape[1],), 1.0 / negatives.shape[1])
        shares[0] = 1.0
        scores, squares = pair_scores(self.users, self.items, users, pairs, shares)
        loss = (weights * ranking_loss(self._loss, scores[:, 0], scores[:, 1:])).mean()
        return loss + 0.5 * self._l2 * squares / len(users) if self._l2 else loss

    def user_vectors(self, rows: Int64[np.ndarray, " users"]) -> Float32[np.ndarray, "users dim"]:
        """Return the vectors of training rows; NaN for rows below 0 and users without a positive."""
        known = (rows >= 0) & self.is_trained()[np.maximum(rows, 0)]
        vectors = np.full((len(rows), self.users.shape[1]), np.nan, dtype=np.float32)
        vectors[known] = self.users.detach()[torch.from_numpy(rows[known])].cpu().numpy()
        return vectors

    def is_trained(self) -> Bool[np.ndarray, " users"]:
        """Return who had a positive to learn from."""
        found: np.ndarray = self.trained.cpu().numpy()
        return found


def factor_phase(  # noqa: PLR0913  (a phase's own five, and whose rows weigh how much)
    name: str,
    factors: Factors,
    data: Dataset,
    domains: Sequence[str],
    config: FactorConfig,
    *,
    weights: Mapping[str, float] | None = None,
    validate: Callable[[], Mapping[str, float]] | None = None,
) -> Phase:
    """Return the phase that trains `factors` on the histories of `domains`, side by side in that order.

    Raises:
        DatasetError: there is no positive in the domains.
    """
    triplets = Triplets(data.user_ids, data.interactions, domains, weights)
    if not len(triplets):
        raise DatasetError(f"no positive interaction in {', '.join(domains)} to learn from")
    factors.trained.copy_(torch.from_numpy(has_history(data.interactions, domains)))

    def batches(rng: np.random.Generator) -> Epoch:
        return triplets.epoch(rng, config.batch_size, config.n_negatives)

    return Phase(name, factors, batches, config, validate)


class SharedFactors(GradientModel[Factors], VectorRecommender):
    """A model of one table of users and one of items of several domains, trained in one phase.

    A user is a row of the table: one who was not in training, or had no positive in the domains, is NaN.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({Need.KNOWN_USER, Need.HISTORY})

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, FactorConfig)
        self.factor_settings = config

    @abstractmethod
    def domains(self) -> Domains:
        """Return whose items stand side by side."""

    def weights(self, data: Dataset) -> Mapping[str, float] | None:
        """Return what the examples of each domain count; None for one each."""
        del data
        return None

    @override
    def build(self, shape: Shape) -> Factors:
        n_items = shape.n_target_items
        if self.domains() is Domains.ALL:
            n_items = sum(shape.n_items.values())
        return Factors(shape.n_users, n_items, self.factor_settings)

    @override
    def phases(self, data: Dataset, context: FitContext) -> Iterator[Phase]:
        yield factor_phase(
            self.name,
            self.module,
            data,
            chosen_domains(data, self.domains()),
            self.factor_settings,
            weights=self.weights(data),
            validate=partial(self.ranking, data),
        )

    @override
    def item_vectors(self) -> Float32[np.ndarray, "items dim"]:
        """Return q of the target's items, which stand last."""
        if self.shape is None:
            raise not_fitted(self)
        items = self.module.items.detach()[-self.shape.n_target_items :]
        found: np.ndarray = items.cpu().numpy()
        return found

    @override
    def user_vectors(self, users: UserBatch) -> Float32[np.ndarray, "users dim"]:
        """Return p; NaN for users who had no positive in training."""
        return self.module.user_vectors(self.known_rows(users))
