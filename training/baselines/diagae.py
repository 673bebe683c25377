"""DIAGAE: who is like whom carries over from source to target, even where no item of one resembles any of the other.

Users of both domains are encoded by graph attention over the items they met (eqs. 1-2), and a rating is an MLP on
user and item (eqs. 3-4). Stage 1 learns the source; stage 2 learns the target while similarities between users
follow those of the source (eqs. 5-6), and users who met the same items are decoded as linked (eqs. 7-8):

    h'_u   = sigma(sum of alpha_ui h_i + h_u) in each domain,    H_u = fusion of both
    r_ui   = sigmoid(MLP(H_u || h_i))
    L      = L_rec^T + 0.8 KL(P of source || Q of target) + 0.6 (L_links^S + L_links^T)                (eq. 9)

Zheng et al., CIKM 2023; no code is public. What the paper leaves open and what we take: sigma is ELU; one head and
one layer (eq. 3 pairs h'_u with the item's own vector, so a second layer would have no encoded items to go through);
the fusion is linear, and rates in the target, while the alignment takes the two encodings before it; the source goes
on learning in stage 2 except through P; eqs. 6 and 8 are means over a batch's users and pairs (`reduction` "sum" is
their text to the letter, by which their weight grows with the batch: `bricks.interest_alignment.Reduction`); ratings
are scaled to 0..1; clicks get sampled negatives. `bricks.interest_graphs` says who is in a batch. The ablations are `inter_weight` 0 and
`intra_weight` 0.

The model knows two domains (its authors' limit, section 6): several sources are one graph here, side by side. It
judges whoever has a history, by eq. 2 with h_u = 0 for those not in training; without any history a row is NaN.
It is served by `similarity_map` (section 3): candidates by inner product of H_u and h_i, to be scored by the MLP.
"""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor
from typing_extensions import override

from training.bricks.feedback import (
    Feedback,
    LabelledDomain,
    RatingScale,
    met_by,
    rating_scale,
    rating_validation,
)
from training.bricks.graph_attention import Edges, GraphEncoder
from training.bricks.histories import sources_of
from training.bricks.interest_graphs import (
    GraphBatches,
    InterestConfig,
    InterestGraphs,
    JointStage,
    SourceStage,
)
from training.config import ModelConfig
from training.contract import FitContext, Need, UserBatch, not_fitted
from training.dataset import Dataset, counts, rows_of
from training.gradient_model import GradientModel, Phase, Shape
from training.recommend import top_k


class DiagaeConfig(InterestConfig):
    """Settings of DIAGAE."""


class Diagae(GradientModel[InterestGraphs]):
    """Dual interests-aligned graph auto-encoders."""

    name: ClassVar[str] = "diagae"
    paper: ClassVar[str] = (
        "Zheng et al.: Dual Interests-Aligned Graph Auto-Encoders for Cross-domain Recommendation in WeChat,"
        " CIKM 2023"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HISTORY})
    config_type: ClassVar[type[ModelConfig]] = DiagaeConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, DiagaeConfig)
        self.settings = config

    @override
    def build(self, shape: Shape) -> InterestGraphs:
        n_source_items = sum(shape.n_items[domain] for domain in shape.sources)
        return InterestGraphs(shape.n_users, n_source_items, shape.n_target_items, self.settings)

    @override
    def phases(self, data: Dataset, context: FitContext) -> Iterator[Phase]:
        settings = self.settings
        sources = sources_of(data, self.name)
        scale = rating_scale(data, settings.feedback)
        self.module.scale.copy_(torch.tensor(scale))
        source, target = (
            LabelledDomain(data, domains, settings.feedback, settings.n_negatives)
            for domains in (sources, (data.target,))
        )
        yield Phase(
            "source",
            SourceStage(self.module),
            GraphBatches(source, None, data.user_ids, settings).epoch,
            settings.model_copy(update={"epochs": settings.pretraining_epochs}),
        )
        judge = self.ranking if settings.feedback is Feedback.CLICKS else self._rating
        yield Phase(
            "target",
            JointStage(self.module, settings),
            GraphBatches(source, target, data.user_ids, settings).epoch,
            settings,
            partial(judge, data),
        )

    def _rating(self, data: Dataset) -> dict[str, float]:
        self.module.eval()
        return dict(rating_validation(self, data))

    @torch.no_grad()
    def _represented(
        self, users: UserBatch
    ) -> tuple[Float[Tensor, "users dim"], Bool[np.ndarray, " users"]]:
        """Return H_u, and who has a history to be judged by."""
        if self.shape is None:
            raise not_fitted(self)
        module, rows = self.module, torch.from_numpy(self.known_rows(users)).to(self.device)
        has_history = np.zeros(len(users), dtype=bool)

        def encoded(encoder: GraphEncoder, domains: tuple[str, ...]) -> Float[Tensor, "users dim"]:
            graph = met_by(users, domains, self.settings.feedback)
            np.logical_or(has_history, counts(graph) > 0, out=has_history)
            ends = (rows_of(graph), graph.indices.astype(np.int64))
            found: Tensor = encoder(rows, Edges(*(torch.from_numpy(one).to(rows) for one in ends)))
            return found

        source = encoded(module.source, self.shape.sources)
        target = encoded(module.target, (self.shape.target,))
        return module.fused(source, target), has_history

    @override
    @torch.no_grad()
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        """Return the predicted label of every target item, between 0 and 1; NaN for users without a history."""
        vectors, has_history = self._represented(users)
        predicted = self.module.target_head.of_all(vectors, self.module.target.items)
        scores: np.ndarray = torch.sigmoid(predicted).cpu().numpy()
        scores[~has_history] = np.nan
        return scores

    @torch.no_grad()
    def predict(
        self,
        users: UserBatch,
        user_rows: Int64[np.ndarray, " pairs"],
        item_rows: Int64[np.ndarray, " pairs"],
    ) -> Float32[np.ndarray, " pairs"]:
        """Return the rating of each pair, or the chance of a click; NaN for users without a history."""
        vectors, has_history = self._represented(users)
        items = self.module.target.items[torch.from_numpy(item_rows).to(self.device)]
        own = vectors[torch.from_numpy(user_rows).to(self.device)]
        labels = torch.sigmoid(self.module.target_head(own, items)).cpu().numpy()
        labels[~has_history[user_rows]] = np.nan
        return RatingScale(*self.module.scale.tolist()).from_unit(labels)

    def similarity_map(
        self, users: UserBatch, k: int
    ) -> tuple[Int64[np.ndarray, "users k"], Float32[np.ndarray, "users k"]]:
        """Return the U2I map (section 3): the `k` items of greatest inner product H_u . h_i, and the products.

        Users without a history have no candidates: `NO_ITEM` and NaN.
        """
        vectors, has_history = self._represented(users)
        products = (vectors @ self.module.target.items.detach().T).cpu().numpy()
        products[~has_history] = np.nan
        return top_k(products, k)
