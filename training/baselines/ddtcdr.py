"""DDTCDR: two (or more) recommenders that learn together, each rating the other's users through an orthogonal map.

    W_u, W_i = autoencoders of user and item features, for each domain alone          (eq. 1)
    r'_A = (1 - alpha) RS_A(W_uA, W_iA) + alpha RS_B(X W_uA, W_iA)                      (eq. 2)
    r'_B = (1 - alpha) RS_B(W_uB, W_iB) + alpha RS_A(X^T W_uB, W_iB)                    (eq. 3; eq. 7 for more domains)
    loss = MSE_A + MSE_B over pairs of both domains in each step                        (Algorithm 1)

Li and Tuzhilin, WSDM 2020. Features are the paper's private surveys and catalogues; here a user's are what they liked
and did not in all domains side by side (or their MeKB, `user_features`), an item's its title's words and its users. So a
newcomer of the target has an embedding there, made of the source history. Open in the paper, and decided: tanh codes;
recommenders 16-64-8-1 with ReLU and dropout .1, no sigmoid (the public code's); embeddings stay fixed in stage 2;
AdamW .01; an epoch is one of the larger domain; ratings are scaled to 0..1; clicks get sampled negatives.

The public code differs in what changes results: its cross-domain term carries no gradient (`repo` does so too, and
the maps then never move), its two bridges are no transposes and have biases, dropout stays on when it is asked, the
split follows the rows of a file, and its precision has a threshold (`rating_metrics.threshold_precision`).

Each epoch's mean loss of each domain (figures 2-4; of the same `judged_pairs`) stands in
`phase_reports["dual"].validation`, as "loss/<domain>", that of the validation users' target pairs as
"held_out_loss/<target>"; `benchmarks/convergence.py` draws them. A user without any history is NaN.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from typing_extensions import override

from training.bricks.dual_transfer import (
    DomainTable,
    DualEpoch,
    DualNetworks,
    DualStage,
    Ratings,
    judged_pairs,
    losses_by_domain,
    transfer_weights,
)
from training.bricks.feature_embeddings import EmbeddingConfig, FeatureEmbeddings, as_users
from training.bricks.feedback import (
    Feedback,
    LabelledDomain,
    RatingScale,
    held_out_loss,
    rating_scale,
    rating_validation,
)
from training.config import ModelConfig
from training.contract import FitContext, Need, UserBatch, not_fitted
from training.dataset import Dataset
from training.errors import DatasetError
from training.gradient_model import GradientModel, Phase, Shape


class DdtcdrConfig(EmbeddingConfig):
    """Settings of DDTCDR."""

    epochs: PositiveInt = 100
    """Section 5.2."""
    batch_size: PositiveInt = 1024
    """Pairs of each domain a step; the public code's."""
    learning_rate: PositiveFloat = 0.01
    patience: PositiveInt | None = 20
    transfer_rate: float = Field(default=0.03, ge=0, lt=0.5)
    """alpha (section 4.3); 0 leaves two recommenders that know nothing of each other."""
    n_negatives: PositiveInt = 4
    """Of clicks: items never liked, with label 0, for each positive."""
    repo: bool = False
    """Leave out the gradient of the cross-domain term, as the public code does."""


class DualTransfer(nn.Module):
    """All weights, the target items' embeddings, and the scale of the ratings."""

    items: Tensor
    scale: Tensor

    def __init__(self, shape: Shape, config: DdtcdrConfig) -> None:
        super().__init__()
        self.embeddings = FeatureEmbeddings(shape, config)
        self.networks = DualNetworks(len(shape.n_items), config.embedding_size)
        empty = torch.zeros(shape.n_target_items, config.embedding_size)
        self.register_buffer("items", empty)
        self.register_buffer("scale", torch.tensor([0.0, 1.0]))


class Ddtcdr(GradientModel[DualTransfer]):
    """Deep dual transfer cross-domain recommendation."""

    name: ClassVar[str] = "ddtcdr"
    paper: ClassVar[str] = (
        "Li, Tuzhilin: DDTCDR: Deep Dual Transfer Cross Domain Recommendation, WSDM 2020"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HISTORY})
    config_type: ClassVar[type[ModelConfig]] = DdtcdrConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, DdtcdrConfig)
        self.settings = config

    @override
    def extra_sizes(self, data: Dataset) -> Mapping[str, int]:
        return FeatureEmbeddings.sizes(data, self.settings)

    @override
    def build(self, shape: Shape) -> DualTransfer:
        return DualTransfer(shape, self.settings)

    @override
    def phases(self, data: Dataset, context: FitContext) -> Iterator[Phase]:
        settings, module, domains = self.settings, self.module, tuple(data.catalogues)
        if not data.sources:
            raise DatasetError(f"{self.name} needs a source domain beside target {data.target!r}")
        module.scale.copy_(torch.tensor(rating_scale(data, settings.feedback)))
        yield from module.embeddings.phases(data)
        tables = [self._table(data, number) for number in range(len(domains))]
        module.items.copy_(tables[self._target].items)
        stage = DualStage(module.networks, detach=settings.repo)

        every = tables, data.user_ids, settings.batch_size
        epoch, judged = partial(DualEpoch, *every), judged_pairs(*every, context.seed)

        def validate() -> Mapping[str, float]:
            stage.eval()
            losses = losses_by_domain(stage, judged, domains)
            if data.valid is None:
                return {"minus_loss": -sum(losses.values()), **losses}
            unseen = held_out_loss(self, data, settings.feedback, settings.n_negatives)
            return {**self._judged(data), **losses, **unseen}

        yield Phase("dual", stage, epoch, settings, validate)

    def _judged(self, data: Dataset) -> Mapping[str, float]:
        if self.settings.feedback is Feedback.RATINGS:
            return rating_validation(self, data)
        return self.ranking(data)

    def _table(self, data: Dataset, number: int) -> DomainTable:
        settings, embeddings = self.settings, self.module.embeddings
        people = embeddings.people(as_users(data))
        weights = transfer_weights(people.known, number, settings.transfer_rate)
        domain = tuple(data.catalogues)[number]
        return DomainTable(
            LabelledDomain(data, [domain], settings.feedback, settings.n_negatives),
            embeddings.of_users(number, people.features),
            embeddings.of_items(number, data),
            torch.from_numpy(weights),
        )

    @property
    def _target(self) -> int:
        """The number of the target domain."""
        if self.shape is None:
            raise not_fitted(self)
        return tuple(self.shape.n_items).index(self.shape.target)

    def _represented(
        self, users: UserBatch
    ) -> tuple[
        Float[Tensor, "users dim"], Float[Tensor, "users domains"], Bool[np.ndarray, " users"]
    ]:
        """Return W_u in the target, the recommenders' weights, and who has a history to be judged by."""
        target, embeddings = self._target, self.module.embeddings
        people = embeddings.people(users)
        weights = transfer_weights(people.known, target, self.settings.transfer_rate)
        vectors = embeddings.of_users(target, people.features).to(self.device)
        has_history = np.logical_or.reduce(people.known, axis=1)
        return vectors, torch.from_numpy(weights).to(self.device), has_history

    @override
    @torch.no_grad()
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        """Return the predicted label of every target item; NaN for users without a history."""
        vectors, weights, has_history = self._represented(users)
        found = self.module.networks.of_all(vectors, self.module.items, weights, self._target)
        scores: np.ndarray = found.cpu().numpy()
        scores[~has_history] = np.nan
        return scores

    @torch.no_grad()
    def predict(
        self,
        users: UserBatch,
        user_rows: Int64[np.ndarray, " pairs"],
        item_rows: Int64[np.ndarray, " pairs"],
    ) -> Float32[np.ndarray, " pairs"]:
        """Return the rating of each pair, or a click's label; NaN for users without a history."""
        vectors, weights, has_history = self._represented(users)
        own = torch.from_numpy(user_rows).to(self.device)
        items = self.module.items[torch.from_numpy(item_rows).to(self.device)]
        pairs = Ratings(vectors[own], items, items.new_zeros(len(items)), weights[own])
        labels = self.module.networks.rated(pairs, self._target, detach=False).cpu().numpy()
        labels[~has_history[user_rows]] = np.nan
        return RatingScale(*self.module.scale.tolist()).from_unit(labels)
