"""The base of recommenders whose weights are one torch module, learned in one phase or several by `loop`.

A subclass says what the module is (`build`, from sizes alone) and how it learns (`phases`); the base seeds,
places it on the device, runs the phases in order, and turns the module into arrays and back:

    class Factors(GradientModel[FactorsModule], VectorRecommender):
        def build(self, shape): ...                    # the module, randomly initialised
        def phases(self, data, context): yield Phase("train", self.module, batches, self.settings, validate)
        def user_vectors(self, users): ...             # NaN where `self.known_rows(users) < 0`

`phases` is a generator: what stands after a `yield` runs when that phase is over, with its best weights in the
module, so a later phase may compute its targets from an earlier one.
"""

import hashlib
import json
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Generic, TypeVar

import numpy as np
import torch
from jaxtyping import Int64, UInt32
from pydantic import NonNegativeFloat
from torch import Tensor, nn
from typing_extensions import override

from training.contract import FitContext, FitReport, Recommender, UserBatch, not_fitted
from training.dataset import Dataset
from training.errors import CheckpointError
from training.evaluate import Full, Sampled, evaluate
from training.loop import Batch, Epoch, LoopConfig, Schedule, fit_epochs, make_fabric

MODULE_PREFIX = "module."
"""Before the names of the module's arrays among the model's."""
UNKNOWN = -1
"""The training row of a user who was not in training."""

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class ValidationProtocol(StrEnum):
    """How the validation users are ranked when an epoch is chosen."""

    FULL = "full"
    SAMPLED = "sampled"
    """Among 999 negatives."""


class GradientConfig(LoopConfig):
    """Settings of every gradient baseline; a model's own configuration extends them."""

    warmup_epochs: NonNegativeFloat = 0.0
    schedule: Schedule = Schedule.CONSTANT
    validation: ValidationProtocol = ValidationProtocol.FULL


@dataclass(frozen=True)
class Shape:
    """All that is needed to build a module again without data."""

    n_users: int
    n_items: Mapping[str, int]
    """Domain -> items, in the data's order."""
    target: str
    extra: Mapping[str, int] = field(default_factory=dict)
    """Further sizes of a model of its own (`GradientModel.extra_sizes`)."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The domains that are not the target, in order."""
        return tuple(domain for domain in self.n_items if domain != self.target)

    @property
    def n_target_items(self) -> int:
        """Items recommended from."""
        return self.n_items[self.target]

    def to_array(self) -> np.ndarray:
        """Return the shape as bytes of JSON."""
        text = json.dumps([self.n_users, list(self.n_items.items()), self.target, dict(self.extra)])
        return np.frombuffer(text.encode(), dtype=np.uint8)

    @staticmethod
    def from_array(array: np.ndarray) -> "Shape":
        """Take back what `to_array` gave."""
        n_users, n_items, target, extra = json.loads(array.tobytes().decode())
        return Shape(n_users, dict(n_items), target, extra)


@dataclass(frozen=True)
class Phase:
    """One run of the loop over the module or a part of it."""

    name: str
    """In reports, and the name of its folder of records."""
    module: nn.Module
    """What the loop calls: the model's module, a part of it, or a new module around parts of it. Its forward
    takes a batch's inputs and returns the mean loss."""
    batches: Callable[[np.random.Generator], Epoch]
    """The batches of an epoch, from a generator that is the same whenever the epoch is."""
    config: LoopConfig
    validate: Callable[[], Mapping[str, float]] | None = None
    """Metrics after an epoch, the deciding one (greater is better) first; None keeps the last epoch."""
    frozen: Sequence[nn.Module | nn.Parameter] = ()
    """Parts of `module` that take no gradient in this phase; modules stay in evaluation mode."""


@dataclass(frozen=True)
class TensorEpoch:
    """The batches of one epoch, cut from tensors of equal length in their order: shuffle them first."""

    tensors: tuple[Tensor, ...]
    user_ids: UInt32[np.ndarray, " examples"]
    batch_size: int

    def __len__(self) -> int:
        return math.ceil(len(self.user_ids) / self.batch_size)

    def __iter__(self) -> Iterator[Batch | None]:
        for start in range(0, len(self.user_ids), self.batch_size):
            part = slice(start, start + self.batch_size)
            yield Batch(tuple(tensor[part] for tensor in self.tensors), self.user_ids[part])


class GradientModel(Recommender, Generic[ModuleT]):
    """A recommender that is one module; see this file's head for what a subclass writes."""

    _module: ModuleT | None = None
    shape: Shape | None = None
    """Of the data last fitted on; None before."""
    user_ids: UInt32[np.ndarray, " users"] | None = None
    """The users of the training data, in row order."""
    phase_reports: Mapping[str, FitReport]
    """Of the last fit, by the names of its phases; empty after `restore`."""

    @abstractmethod
    def build(self, shape: Shape) -> ModuleT:
        """Return a new module; called with torch seeded, at `fit` and (to be filled) at `restore`."""

    @abstractmethod
    def phases(self, data: Dataset, context: FitContext) -> Iterator[Phase]:
        """Yield the phases in order; `self.module` is on its device, with the weights reached so far.

        Raises:
            DatasetError: the data lack what the model needs.
        """

    def extra_sizes(self, data: Dataset) -> Mapping[str, int]:
        """Return sizes beside users and items that `build` needs."""
        del data
        return {}

    @property
    def module(self) -> ModuleT:
        """The module, once fitted or restored."""
        if self._module is None:
            raise not_fitted(self)
        return self._module

    @property
    def device(self) -> torch.device:
        """Where the module lies."""
        return next(self.module.parameters()).device

    @override
    def fit(self, data: Dataset, context: FitContext) -> FitReport:
        """Build the module anew and run its phases."""
        device = make_fabric(context).device
        n_items = {domain: len(catalogue) for domain, catalogue in data.catalogues.items()}
        shape = Shape(len(data.user_ids), n_items, data.target, self.extra_sizes(data))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            self._module = self.build(shape)
            self._module.to(device)
            self.shape, self.user_ids = shape, data.user_ids
            self.item_ids = data.target_items.item_ids
            reports: dict[str, FitReport] = {}
            for number, phase in enumerate(self.phases(data, context)):
                reports[phase.name] = self._run(phase, number, data, context)
        self.phase_reports = reports
        self._module.requires_grad_(requires_grad=True).eval()
        return joined(reports)

    def _run(self, phase: Phase, number: int, data: Dataset, context: FitContext) -> FitReport:
        self.module.requires_grad_(requires_grad=True).eval()
        phase.module.requires_grad_(requires_grad=True)
        for part in phase.frozen:
            part.requires_grad_(False)  # noqa: FBT003  (torch's own signature)
        folder = None if context.folder is None else context.folder / phase.name
        identity = hashlib.sha256(
            f"{phase.name} {self.config.model_dump_json()} {fingerprint(data)}".encode()
        ).hexdigest()
        task = _PhaseTask(phase, identity, (context.seed, number))
        report = fit_epochs(task, phase.config, replace(context, folder=folder))
        self.module.eval()
        return report

    def ranking(self, data: Dataset) -> Mapping[str, float]:
        """Return NDCG@10 and HR@10 on the validation users; nothing where there are none."""
        if data.valid is None or not len(data.valid.user_rows):
            return {}
        self.module.eval()
        config = self.config
        sampled = (
            isinstance(config, GradientConfig) and config.validation is ValidationProtocol.SAMPLED
        )
        protocol = Sampled(k=10) if sampled else Full(k=10)
        found = evaluate(self, data, data.valid, [protocol]).summary()
        return {f"{metric}@10": found[f"{protocol.name}/{metric}@10"] for metric in ("ndcg", "hr")}

    def known_rows(self, users: UserBatch) -> Int64[np.ndarray, " users"]:
        """Return each user's row in the training data, `UNKNOWN` for those who were not there."""
        if self.user_ids is None:
            raise not_fitted(self)
        if not len(self.user_ids):
            return np.full(len(users), UNKNOWN, dtype=np.int64)
        order = np.argsort(self.user_ids, kind="stable")
        place = np.searchsorted(self.user_ids, users.ids, sorter=order)
        rows = order[np.minimum(place, len(order) - 1)].astype(np.int64)
        return np.where(self.user_ids[rows] == users.ids, rows, UNKNOWN)

    @override
    def state(self) -> Mapping[str, np.ndarray]:
        """Return the module's arrays, `shape`, `user_ids` and `item_ids`."""
        weights, shape, user_ids, item_ids = (
            self.module.state_dict(),
            self.shape,
            self.user_ids,
            self.item_ids,
        )
        if shape is None or user_ids is None or item_ids is None:
            raise not_fitted(self)
        arrays = {MODULE_PREFIX + name: one.detach().cpu().numpy() for name, one in weights.items()}
        return {**arrays, "shape": shape.to_array(), "user_ids": user_ids, "item_ids": item_ids}

    @override
    def restore(self, state: Mapping[str, np.ndarray], assets: Mapping[str, bytes]) -> None:
        """Take back what `state` gave.

        Raises:
            CheckpointError: an array is missing, unknown or of another shape.
        """
        weights = {
            name.removeprefix(MODULE_PREFIX): torch.from_numpy(np.array(value))
            for name, value in state.items()
            if name.startswith(MODULE_PREFIX)
        }
        try:
            shape = Shape.from_array(state["shape"])
            user_ids, item_ids = np.array(state["user_ids"]), np.array(state["item_ids"])
            with torch.random.fork_rng(devices=[]):
                module = self.build(shape)
            module.load_state_dict(weights)
        except (KeyError, RuntimeError, ValueError) as error:
            line = " ".join(str(error).split())
            raise CheckpointError(
                f"the arrays are not those of this {self.name}: {line}"
            ) from error
        self._module = module
        self.shape, self.user_ids, self.item_ids = shape, user_ids, item_ids
        self.phase_reports = {}
        module.eval()


class _PhaseTask:
    """A phase as the loop sees it."""

    pretrained: str | None = None

    def __init__(self, phase: Phase, identity: str, seed: tuple[int, int]) -> None:
        self._phase, self._seed = phase, seed
        self.identity = identity

    @property
    def module(self) -> nn.Module:
        """The phase's module."""
        return self._phase.module

    def batches(self, epoch: int) -> Epoch:
        """Return the batches of an epoch; the loop has just switched the module to training."""
        for part in self._phase.frozen:
            if isinstance(part, nn.Module):
                part.eval()
        return self._phase.batches(np.random.default_rng([*self._seed, epoch]))

    def validate(self) -> Mapping[str, float]:
        """Return the phase's metrics."""
        return {} if self._phase.validate is None else self._phase.validate()


def joined(reports: Mapping[str, FitReport]) -> FitReport:
    """Return the reports of all phases as one: losses in order, the last phase's choice, a note each."""
    last = next(reversed(list(reports.values())), FitReport(seconds=0.0))
    notes = [
        f"phase {name}: {len(one.losses)} epochs"
        + ("" if one.chosen_epoch is None else f", the best is {one.chosen_epoch}")
        for name, one in reports.items()
    ]
    return FitReport(
        seconds=sum(one.seconds for one in reports.values()),
        losses=tuple(loss for one in reports.values() for loss in one.losses),
        validation=tuple(found for one in reports.values() for found in one.validation),
        chosen_epoch=last.chosen_epoch,
        notes=(*notes, *(note for one in reports.values() for note in one.notes)),
    )


def fingerprint(data: Dataset) -> str:
    """Return a digest of the training rows, users and target items."""
    digest = hashlib.sha256(data.target_items.item_ids.tobytes() + data.user_ids.tobytes())
    for domain, matrix in sorted(data.interactions.items()):
        digest.update(domain.encode())
        for array in (matrix.indptr, matrix.indices, matrix.data):
            digest.update(array.tobytes())
    return digest.hexdigest()
