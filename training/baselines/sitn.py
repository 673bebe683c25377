"""SITN: encoders of two domains' sequences, taught by contrast what stays the same, predict clicks.

    stage 1   L = L_i2i + sum over interest spaces of L_i2c           eqs. 2-7, `bricks.interest_clusters`
    stage 2   y(u, v) = sigmoid(MLP(u^s, u^t, v))                     eqs. 8-9, `bricks.click_prediction`

Stage 1 sees users with a sequence in both domains; a user's instance p is the mean of the self-attended places,
L_i2i = InfoNCE(p^s, p^t) + InfoNCE(p^t, p^s) within the batch. Stage 2 goes on from its encoders and item vectors.
Sun et al., Self-Supervised Interest Transfer Network via Prototypical Contrastive Learning, AAAI 2023.

Its authors published neither code nor settings. Decided here: 50 epochs of .005 at most (with the loop's own 15 of
.001 it ends where it had just learned popularity: `SitnConfig`); means over the batch where the paper has sums (with
Adam the same, but for the balance with weight decay); 10 epochs of stage 1; temperature 0.1 on unit vectors
(`normalise`; without, the printed dot products), for clusters from the mean of the batch, without which all clusters
of a domain become one (`bricks.interest_clusters`); clusters 32, 64, 128 and 256 as in its figure 3 and 2 views as in
its figure 2; a learned vector a place, counted from the newest; 4 negatives a click, uniform among what the user has
not liked. Items are known by id alone (the paper adds title, brand, category and the user's id, which says nothing of
a newcomer). Several source domains are one sequence. What an example sees: `bricks.click_examples`.

A newcomer's target sequence is empty: u^t is then 0, and `empty_target_share` of the examples are shown so, whatever
the user did, so that stage 2 learns to judge by the source alone. Without any history a user cannot be judged: NaN.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Int64
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.special import expit
from torch import Tensor, nn
from typing_extensions import override

from training.bricks.click_examples import ClickExamples, ExampleSettings
from training.bricks.click_prediction import ClickPredictor, ClickStage
from training.bricks.domain_contrast import ContrastStage, DomainContrast, SequencePair
from training.bricks.interest_clusters import ClusterSettings
from training.bricks.sequence_attention import SequenceEncoder
from training.bricks.sequences import TwoDomains, two_domains
from training.config import ModelConfig
from training.contract import FitContext, Need, UserBatch, not_fitted
from training.dataset import Dataset, History
from training.errors import DatasetError
from training.events import Events
from training.gradient_model import GradientConfig, GradientModel, Phase, Shape

CELLS_AT_ONCE = 1 << 20
"""Users x items x places of one call of the predictor: some ten MiB a head."""


class SitnConfig(GradientConfig):
    """Settings; those of the loop are of stage 2, but for batch size and learning rate, which are of both.

    On validation users of the sample world (12,000 clicks, 14 steps an epoch) NDCG@10 over all items is .18 after 15
    epochs of .001, as popularity's, .25 after 50, and .27 with .005, which validation stops after 28.
    """

    epochs: PositiveInt = 50
    learning_rate: PositiveFloat = 5e-3
    patience: PositiveInt | None = 20
    """Before it tells users apart it ranks by popularity for some epochs, and no validation is better than the last."""
    embedding_size: PositiveInt = 64
    n_heads: PositiveInt = 4
    hidden_size: PositiveInt = 64
    dropout: float = Field(default=0.1, ge=0, lt=1)
    max_length: PositiveInt = 100
    """Longer sequences are cut to their newest items (the paper's)."""
    use_positions: bool = True
    contrast_epochs: PositiveInt = 10
    """Of stage 1; without both contrasts there is none."""
    temperature: PositiveFloat = 0.1
    n_clusters: tuple[PositiveInt, ...] = Field(default=(32, 64, 128, 256), min_length=1)
    """One interest space each; "without multi-granularity" is one of them alone."""
    n_views: PositiveInt = 2
    """1 is "without multi-view"."""
    normalise: bool = True
    own_clusters_repel: bool = True
    """Eq. 7 as printed; False takes a user's own clusters out of the negatives."""
    instance_contrast: bool = True
    """False is "w/o L_i2i"."""
    cluster_contrast: bool = True
    """False is "w/o L_i2c"."""
    n_negatives: PositiveInt = 4
    empty_target_share: float = Field(default=0.5, ge=0, le=1)


class SitnModule(nn.Module):
    """The encoders, their contrast and the predictor."""

    def __init__(self, shape: Shape, settings: SitnConfig) -> None:
        super().__init__()
        dim, heads, dropout = settings.embedding_size, settings.n_heads, settings.dropout
        n_places = settings.max_length if settings.use_positions else 0
        encoders = [SequenceEncoder(dim, heads, n_places, dropout) for _ in range(2)]
        n_source_items = sum(shape.n_items[domain] for domain in shape.sources)
        self.pair = SequencePair(n_source_items, shape.n_target_items, *encoders)
        temperature, normalise = settings.temperature, settings.normalise
        kind = settings.n_views, temperature, normalise, settings.own_clusters_repel
        spaces = [
            ClusterSettings(dim, n, *kind) for n in settings.n_clusters if settings.cluster_contrast
        ]
        self.contrast = DomainContrast(spaces, settings.instance_contrast, temperature, normalise)
        self.predictor = ClickPredictor(dim, heads, settings.hidden_size, dropout)


class Sitn(GradientModel[SitnModule]):
    """Prototypical contrast across domains, then click prediction; it ranks by the chance of a click."""

    name: ClassVar[str] = "sitn"
    paper: ClassVar[str] = (
        "Sun et al.: Self-Supervised Interest Transfer Network via Prototypical Contrastive Learning for"
        " Recommendation, AAAI 2023"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HISTORY})
    config_type: ClassVar[type[ModelConfig]] = SitnConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, SitnConfig)
        self.settings = config

    @override
    def build(self, shape: Shape) -> SitnModule:
        """Return a module for the items of all domains; users are known by their sequences alone."""
        if not shape.sources:
            raise DatasetError(f"{self.name} needs a source domain beside target {shape.target!r}")
        return SitnModule(shape, self.settings)

    @override
    def phases(self, data: Dataset, context: FitContext) -> Iterator[Phase]:
        """Contrast the domains, then predict clicks from the encoders it leaves."""
        settings, module = self.settings, self.module
        domains = self._domains(data.interactions, data.events)
        ids, length, size = data.user_ids, settings.max_length, settings.batch_size
        if settings.instance_contrast or settings.cluster_contrast:
            if not domains.in_both.any():
                raise DatasetError(f"{self.name} needs users with a history in both domains")
            pairs = partial(domains.epoch, ids, length, size)
            first = settings.model_copy(update={"epochs": settings.contrast_epochs})
            yield Phase("contrast", ContrastStage(module.pair, module.contrast), pairs, first)
        kinds = ExampleSettings(size, length, settings.n_negatives, settings.empty_target_share)
        examples = ClickExamples(domains, len(data.target_items), ids, kinds)
        clicks = ClickStage(module.pair, module.predictor)
        yield Phase("clicks", clicks, examples.epoch, settings, lambda: self.ranking(data))

    def _domains(self, history: History, events: Mapping[str, Events] | None) -> TwoDomains:
        if self.shape is None:
            raise not_fitted(self)
        return two_domains(history, events, self.shape.target, self.shape.n_items)

    @override
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        """Return the log-odds of a click of each user on each item."""
        domains = self._domains(users.history, users.events)
        table = self.module.pair.target_items.weight
        rows = np.flatnonzero(domains.in_any)
        found = np.full((len(users), len(table)), np.nan, dtype=np.float32)
        n_items = max(1, CELLS_AT_ONCE // self._n_places(domains))
        n_users = max(1, n_items // len(table))
        for start in range(0, len(rows), n_users):
            part = rows[start : start + n_users]
            for first in range(0, len(table), n_items):
                items = torch.arange(first, min(first + n_items, len(table))).expand(len(part), -1)
                found[part, first : first + n_items] = self._log_odds(domains, part, items)
        return found

    def predict(
        self,
        users: UserBatch,
        user_rows: Int64[np.ndarray, " pairs"],
        item_rows: Int64[np.ndarray, " pairs"],
    ) -> Float32[np.ndarray, " pairs"]:
        """Return the chance that each user clicks the item (eq. 8); NaN where unknown."""
        domains = self._domains(users.history, users.events)
        judged = np.flatnonzero(domains.in_any[user_rows])
        found = np.full(len(user_rows), np.nan, dtype=np.float32)
        size = max(1, CELLS_AT_ONCE // self._n_places(domains) ** 2)
        for start in range(0, len(judged), size):
            part = judged[start : start + size]
            items = torch.from_numpy(item_rows[part])[:, None]
            log_odds = self._log_odds(domains, user_rows[part], items)[:, 0]
            found[part] = expit(log_odds)
        return found

    def _n_places(self, domains: TwoDomains) -> int:
        longest = max(int(one.lengths.max(initial=1)) for one in domains)
        return min(self.settings.max_length, longest)

    @torch.no_grad()
    def _log_odds(
        self,
        domains: TwoDomains,
        rows: Int64[np.ndarray, " users"],
        items: Int64[Tensor, "users n"],
    ) -> Float32[np.ndarray, "users n"]:
        sides = self.module.pair(*domains.of_users(rows, self.settings.max_length))
        vectors = self.module.pair.target_items(items.to(self.device))
        log_odds: np.ndarray = self.module.predictor(vectors, *sides).cpu().numpy()
        return log_odds
