"""YouTubeDNN: a tower over the average of what a user watched, a softmax over everything that can be watched.

    x = mean of the input vectors of the items in the history,   u = ReLU tower of x,
    P(i | u) = exp(v_i . u) / sum_j exp(v_j . u)

(Covington, Adams and Sargin, RecSys 2016, sections 3.1 to 3.3), trained by cross-entropy: over all items ("full"),
or over some `n_sampled` drawn in proportion to their popularity, their logits corrected by -log of that chance
("sampled", the paper's importance weighting; `correct_sampling` off shows what is lost). Input and output vectors are separate tables.
The label is left out of the history that predicts it; the paper also leaves out everything later, but there are no
times here. Demographics, search tokens and example age are not in these data. Each user gives the same number
of examples an epoch (`examples_per_user`; None takes every positive once), the paper's guard against heavy users.

Some examples show the sources alone (`newcomer_share`), as newcomers of the target come. MeKB-Rec's table 1 takes it
as a model of the target alone ("target": a newcomer is NaN); with "all" the history has the items of every domain.
PTUPCDR's "DNN" is an average with a tower and a rating loss, not this model.
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import partial
from itertools import pairwise
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from training.bricks.histories import Domains, chosen_domains, side_by_side
from training.bricks.watch_examples import WatchEpoch, drawn_examples
from training.config import ModelConfig
from training.contract import FitContext, Need, UserBatch, VectorRecommender, not_fitted
from training.dataset import Dataset, binary, counts, rows_of
from training.errors import DatasetError
from training.gradient_model import GradientConfig, GradientModel, Phase, Shape
from training.losses import full_softmax
from training.sampled_softmax import draw_items, inclusion_chances, sampled_softmax


class Softmax(StrEnum):
    """Over which items the loss is normalised."""

    FULL = "full"
    SAMPLED = "sampled"


class YoutubeDnnConfig(GradientConfig):
    """Settings of YouTubeDNN."""

    epochs: PositiveInt = 50
    batch_size: PositiveInt = 512
    patience: PositiveInt | None = 10
    embedding_size: PositiveInt = 64
    hidden: tuple[PositiveInt, ...] = (128,)
    """Widths of the tower between the average and the user vector; the paper tries up to 2048, 1024, 512, before 256."""
    softmax: Softmax = Softmax.FULL
    n_sampled: PositiveInt = 1000
    correct_sampling: bool = True
    examples_per_user: PositiveInt | None = None
    newcomer_share: float = Field(default=0.5, ge=0, le=1)
    """Of the examples of users with a source history, those that are shown without any of the target, as a newcomer comes.
    The paper has one domain. On validation users of the sample world, newcomers all, NDCG@10 over all items is .327 with
    0, .366 with .5, .372 with .9."""
    init_scale: PositiveFloat = 0.1
    domains: Domains = Domains.ALL


class Towers(nn.Module):
    """Input vectors of the history's items, the tower, output vectors of the target's items."""

    chances: Tensor
    """(items,) with which an item is drawn in a step of "sampled"."""

    def __init__(self, n_inputs: int, n_items: int, config: YoutubeDnnConfig) -> None:
        super().__init__()
        size = config.embedding_size
        self.inputs = nn.Parameter(config.init_scale * torch.randn(n_inputs, size))
        self.outputs = nn.Parameter(config.init_scale * torch.randn(n_items, size))
        widths = [size, *config.hidden, size]
        layers: list[nn.Module] = []
        for width, after in pairwise(widths):
            layers += [nn.Linear(width, after), nn.ReLU()]
        self.tower = nn.Sequential(*layers)
        self.register_buffer("chances", torch.ones(n_items))
        self._config = config

    def users(
        self, items: Int64[Tensor, " watched"], starts: Int64[Tensor, " users"]
    ) -> Float[Tensor, "users dim"]:
        """Return u of histories laid end to end; an empty one has the average 0."""
        vectors: Tensor = self.tower(
            functional.embedding_bag(items, self.inputs, starts, mode="mean")
        )
        return vectors

    @override
    def forward(self, items: Tensor, starts: Tensor, labels: Tensor) -> Float[Tensor, ""]:
        """Return the mean cross-entropy of one label a user."""
        users = self.users(items, starts)
        here = torch.arange(len(users), device=users.device)
        bias = users.new_zeros(len(self.outputs))
        if self._config.softmax is Softmax.FULL:
            return full_softmax(
                users, self.outputs, bias, positive_users=here, positive_items=labels
            ).mean()
        corrected = self._config.correct_sampling
        return sampled_softmax(
            users,
            self.outputs,
            bias,
            positive_users=here,
            positive_items=labels,
            drawn=draw_items(self.chances),
            chances=self.chances if corrected else torch.ones_like(self.chances),
        ).mean()


class YoutubeDnn(GradientModel[Towers], VectorRecommender):
    """An average, a tower and a softmax."""

    name: ClassVar[str] = "youtube_dnn"
    paper: ClassVar[str] = (
        "Covington, Adams, Sargin: Deep Neural Networks for YouTube Recommendations, RecSys 2016"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HISTORY})
    config_type: ClassVar[type[ModelConfig]] = YoutubeDnnConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, YoutubeDnnConfig)
        self.settings = config

    @override
    def build(self, shape: Shape) -> Towers:
        n_inputs = sum(shape.n_items[domain] for domain in self._domains(shape))
        return Towers(n_inputs, shape.n_target_items, self.settings)

    @override
    def phases(self, data: Dataset, context: FitContext) -> Iterator[Phase]:
        domains = chosen_domains(data, self.settings.domains)
        histories = side_by_side(data.interactions, domains)
        target = binary(data.interactions[data.target])
        users, labels = rows_of(target), target.indices.astype(np.int64)
        kept = np.flatnonzero(counts(histories)[users] > 1)
        if not len(kept):
            raise DatasetError(f"no user has a history beside a positive in {data.target!r}")
        popularity = torch.from_numpy(1.0 + target.sum(axis=0).astype(np.float32))
        self.module.chances.copy_(inclusion_chances(popularity, self.settings.n_sampled))
        n_before = histories.shape[1] - target.shape[1]
        in_source = counts(histories) > counts(target)

        def batches(rng: np.random.Generator) -> WatchEpoch:
            order = drawn_examples(users, kept, self.settings.examples_per_user, rng)
            return WatchEpoch(
                histories,
                n_before,
                users[order],
                labels[order],
                data.user_ids,
                self.settings.batch_size,
                in_source[users[order]] & (rng.random(len(order)) < self.settings.newcomer_share),
            )

        validate = partial(self.ranking, data)
        yield Phase("softmax", self.module, batches, self.settings, validate)

    def _domains(self, shape: Shape) -> tuple[str, ...]:
        sources = sorted(shape.sources) if self.settings.domains is Domains.ALL else ()
        return (*sources, shape.target)

    @override
    def item_vectors(self) -> Float32[np.ndarray, "items dim"]:
        """Return v of the target's items."""
        found: np.ndarray = self.module.outputs.detach().cpu().numpy()
        return found

    @override
    def user_vectors(self, users: UserBatch) -> Float32[np.ndarray, "users dim"]:
        """Return u of each history; NaN where it is empty."""
        if self.shape is None:
            raise not_fitted(self)
        own = side_by_side(users.history, self._domains(self.shape))
        arrays = (own.indices, own.indptr[:-1])
        items, starts = (torch.from_numpy(one.astype(np.int64)).to(self.device) for one in arrays)
        with torch.no_grad():
            vectors: np.ndarray = self.module.users(items, starts).cpu().numpy()
        vectors[counts(own) == 0] = np.nan
        return vectors
