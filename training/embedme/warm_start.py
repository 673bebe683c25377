"""The warm start: the head and the items learn on what the untouched language model says, before it moves.

In: a dual encoder with pretrained BERT and everything else new, the data. Out: the same module, its head,
items and scale of what is known trained, where that is clearly better than silence. Each training user is encoded a few times with the BERT as it is, each time
with other labels drawn; what follows are epochs over those vectors, which cost next to nothing. Fine-tuning
then starts from a head that asks the language model for something sensible, instead of shaking it with the
gradients of random items (linear probing, then fine-tuning: Kumar et al., ICLR 2022).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from scipy.sparse import csr_array
from torch import Tensor, nn
from typing_extensions import override

from training.contract import FitContext, FitReport
from training.dataset import Dataset, rows_of
from training.embedme.batch import ProfileTokenizer
from training.embedme.dual_encoder import DualEncoder
from training.embedme.examples import (
    Drawing,
    draw_examples,
    example_users,
    weights_of,
    with_profile,
)
from training.embedme.pooler import FrozenPooler, Pooled
from training.embedme.selection import clear_gain, deciding_metrics
from training.embedme.taste import LearnedTaste, Taste, training_tastes, user_tastes
from training.evaluate import Evaluation, Protocol, evaluate_scores, user_batch
from training.loop import Batch, LoopConfig, OptimizerName, fit_epochs


def warm_start(
    module: DualEncoder,
    tokenizer: ProfileTokenizer,
    data: Dataset,
    taste: LearnedTaste | None,
    context: FitContext,
) -> FitReport:
    """Train head, items and scale of `module` in place for `head_epochs` of its settings.

    Args:
        module: Both towers.
        tokenizer: Of profiles.
        data: Training rows, and validation users.
        taste: The taste map of the training rows, if there is one.
        context: How to train.

    Raises:
        TrainingError: the loss became NaN or infinite.
    """
    config = module.config
    pooler = FrozenPooler(module, tokenizer, config, context)
    views = [
        _view(data, pooler, taste, seed=(context.seed, view)) for view in range(config.head_views)
    ]
    pooled = np.concatenate([view.pooled for view in views])
    pooled = pooled.reshape(-1, pooled.shape[-1])
    module.encoder.set_input_scale(
        torch.from_numpy(pooled.mean(axis=0)), torch.from_numpy(pooled.std(axis=0))
    )
    if taste is not None:
        fit_known_scale(module, views[0])
    task = HeadTask(module, data, views, pooler, None if taste is None else taste.taste)
    loop = LoopConfig(
        epochs=config.head_epochs,
        batch_size=config.head_batch_size,
        optimizer=OptimizerName.ADAMW,
        learning_rate=config.head_learning_rate,
        weight_decay=config.weight_decay,
        warmup_epochs=0.0,
        patience=config.head_patience,
    )
    alone = FitContext(
        context.seed,
        context.device,
        on_progress=context.on_progress,
        on_record=lambda record: context.on_record({"stage": "warm start", **record}),
    )
    start = {name: one.detach().clone() for name, one in task.module.state_dict().items()}
    before = task.evaluation()
    report = fit_epochs(task, loop, alone)
    after = task.evaluation()
    if before is None or after is None:
        return report
    gain = clear_gain(before, after, config)
    if not gain.is_clear:
        task.module.load_state_dict(start)
    notes = (*report.notes, f"warm start on validation users: {gain}")
    return replace(report, chosen_epoch=report.chosen_epoch if gain.is_clear else 0, notes=notes)


@dataclass(frozen=True)
class _View:
    """Training users encoded once, with the labels their profiles leave out."""

    pooled: Pooled
    tastes: Float32[np.ndarray, "users tastes"]
    labels: csr_array
    user_ids: np.ndarray


def _view(
    data: Dataset, pooler: FrozenPooler, taste: LearnedTaste | None, seed: tuple[int, int]
) -> _View:
    config = pooler.config
    drawing = Drawing.of(config)
    examples = draw_examples(data, drawing, np.random.default_rng([*seed, 1]))
    users = example_users(data, examples, slice(0, len(examples)))
    texts = users.profiles or []
    kept = with_profile(texts)
    note = f"view {seed[1] + 1} of {config.head_views}"
    pooled = pooler.pool([texts[i] for i in kept], note, weights_of(users, kept))
    tastes = training_tastes(taste, examples.user_rows[kept], users, kept)
    return _View(pooled, tastes, examples.labels[kept], users.ids[kept])


def fit_known_scale(module: DualEncoder, view: _View) -> None:
    """Set the scale of what is known without text to its most likely value, in place.

    Prior and taste are shares of users, not logits: until their scale is right, the text would learn
    to be a temperature.
    """
    if not module.known_scale.requires_grad:
        return
    device = module.items.device
    tastes = torch.from_numpy(view.tastes).to(device)
    silent = torch.zeros(len(tastes), module.items.shape[1], device=device)
    labels = [
        torch.from_numpy(one).to(device)
        for one in (rows_of(view.labels), view.labels.indices.astype(np.int64))
    ]
    optimizer = torch.optim.LBFGS([module.known_scale], line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = module.loss(silent, tastes, *labels)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's stub
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch's stub
    module.zero_grad()


class Head(nn.Module):
    """Everything of a dual encoder but its language model; parameters are shared, not copied."""

    def __init__(self, module: DualEncoder) -> None:
        super().__init__()
        self.mlp, self.items = module.encoder.mlp, module.items
        self.known_scale = module.known_scale
        self._whole = (module,)  # in a tuple, so that the language model is no part of this module

    @override
    def forward(
        self,
        pooled: Float[Tensor, "users *vectors hidden"],
        tastes: Float[Tensor, "users tastes"],
        label_users: Int64[Tensor, " labels"],
        label_items: Int64[Tensor, " labels"],
    ) -> Float[Tensor, ""]:
        """Return the mean loss of the users."""
        module = self._whole[0]
        return module.loss(module.encoder.head(pooled), tastes, label_users, label_items)


class _Batches:
    """An epoch over one view, in random order."""

    def __init__(self, view: _View, batch_size: int, rng: np.random.Generator) -> None:
        self._view, self._batch_size = view, batch_size
        self._order = rng.permutation(len(view.user_ids))

    def __len__(self) -> int:
        return math.ceil(len(self._order) / self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self._order), self._batch_size):
            part = self._order[start : start + self._batch_size]
            labels = self._view.labels[part]
            inputs = (
                torch.from_numpy(self._view.pooled[part]),
                torch.from_numpy(self._view.tastes[part]),
                torch.from_numpy(rows_of(labels)),
                torch.from_numpy(labels.indices.astype(np.int64)),
            )
            yield Batch(inputs, self._view.user_ids[part])


class HeadTask:
    """The warm start as the loop sees it."""

    pretrained = None
    identity = "warm start"

    def __init__(
        self,
        module: DualEncoder,
        data: Dataset,
        views: Sequence[_View],
        pooler: FrozenPooler,
        taste: Taste | None,
    ) -> None:
        self._dual, self._data, self._views = module, data, views
        self._batch_size = pooler.config.head_batch_size
        self._module = Head(module)
        self._protocol: Protocol = pooler.config.validation_protocol
        self._seed = pooler.context.seed
        self._valid: tuple[Pooled, Float32[np.ndarray, "users tastes"], np.ndarray] | None = None
        if data.valid is not None and len(data.valid.user_rows):
            users = user_batch(data, data.valid.user_rows)
            texts = users.profiles or []
            kept = with_profile(texts)
            weights = weights_of(users, kept)
            pooled = pooler.pool([texts[i] for i in kept], "validation users", weights)
            self._valid = (pooled, user_tastes(taste, users)[kept], kept)

    @property
    def module(self) -> nn.Module:
        """The head and the items."""
        return self._module

    def batches(self, epoch: int) -> _Batches:
        """Return the batches over one of the views, in turn."""
        rng = np.random.default_rng([self._seed, epoch, 2])
        return _Batches(self._views[epoch % len(self._views)], self._batch_size, rng)

    def validate(self) -> Mapping[str, float]:
        """Return NDCG@10 and HR@10 on the validation users."""
        found = self.evaluation()
        return {} if found is None else deciding_metrics(found)

    def evaluation(self) -> Evaluation | None:
        """Return how the validation users are ranked now; None where there are none."""
        if self._valid is None or self._data.valid is None:
            return None
        pooled, tastes, kept = self._valid
        scores = np.full(
            (len(self._data.valid.user_rows), len(self._dual.items)), np.nan, np.float32
        )
        self._dual.eval()
        with torch.inference_mode():
            device = self._dual.items.device
            texts = self._dual.encoder.head(torch.from_numpy(pooled).to(device))
            logits = self._dual.logits(texts, torch.from_numpy(tastes).to(device))
            scores[kept] = logits.cpu().numpy()
        return evaluate_scores(
            "warm start", lambda part: scores[part], self._data, self._data.valid, [self._protocol]
        )
