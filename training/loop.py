"""The one epoch loop of all models that learn by gradients, on Lightning Fabric.

In: a `Task` (a module whose forward is the loss, and the batches of each epoch), a `LoopConfig`, a
`FitContext`. Out: the module with its best weights, and a `FitReport`. Random numbers are seeded at the
start of each epoch from (seed, epoch), so an epoch is a function of the weights it starts from: a killed
fit goes on from its last epoch with the same numbers as one that was never killed.
"""

import hashlib
import json
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from lightning_fabric import Fabric
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from pytorch_optimizer import Lamb
from torch import Tensor, nn

from training.config import ModelConfig
from training.contract import FitContext, FitReport, Progress
from training.errors import ConfigError, TrainingError
from training.snapshot import Snapshot, read_snapshot, remove_snapshot, write_snapshot

logger = logging.getLogger(__name__)


class OptimizerName(StrEnum):
    """The optimisers on offer."""

    LAMB = "lamb"
    """You et al., ICLR 2020; the paper's."""
    ADAMW = "adamw"


class Schedule(StrEnum):
    """The course of the learning rate after the warm-up."""

    COSINE = "cosine"
    CONSTANT = "constant"


class LoopConfig(ModelConfig):
    """Settings of the loop; the configuration of a gradient model extends them."""

    epochs: PositiveInt = 15
    batch_size: PositiveInt = 1024
    """Examples a step."""
    optimizer: OptimizerName = OptimizerName.ADAMW
    learning_rate: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.0
    schedule: Schedule = Schedule.COSINE
    warmup_epochs: NonNegativeFloat = 1.0
    """Epochs in which the learning rate rises linearly."""
    new_weights_factor: PositiveFloat = 1.0
    """Learning rate of weights that start from nothing, over that of pretrained ones (`Task.pretrained`)."""
    clip_norm: PositiveFloat | None = None
    """Gradients are scaled down to this norm; None leaves them."""
    patience: PositiveInt | None = Field(default=None)
    """Stop after this many epochs without a better validation; None runs all epochs."""


@dataclass(frozen=True)
class Batch:
    """The arguments of one call of the module, and whom they came from."""

    inputs: tuple[Tensor, ...]
    user_ids: np.ndarray
    """Named when something goes wrong."""


@runtime_checkable
class Epoch(Protocol):
    """The batches of one epoch, made one by one; None where no example of a batch is left."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch | None]: ...


@runtime_checkable
class Task(Protocol):
    """What the loop trains."""

    @property
    def module(self) -> nn.Module:
        """The module; its forward takes a batch's inputs and returns the mean loss."""
        ...

    @property
    def pretrained(self) -> str | None:
        """What the names of pretrained parameters begin with; None where every weight is new."""
        ...

    @property
    def identity(self) -> str:
        """A digest of configuration and data: a snapshot with another is not taken up."""
        ...

    def batches(self, epoch: int) -> Epoch:
        """Return the batches of an epoch (from 0), the same at every call."""
        ...

    def validate(self) -> Mapping[str, float]:
        """Return metrics on the validation users, the deciding one (greater is better) first; or none."""
        ...


def learning_rate(config: LoopConfig, at_epoch: float) -> float:
    """Return the learning rate after `at_epoch` epochs, parts of an epoch counting.

    >>> config = LoopConfig(epochs=3, learning_rate=1.0)
    >>> [round(learning_rate(config, at), 3) for at in (0.5, 1.0, 2.0, 3.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if at_epoch < config.warmup_epochs:
        return config.learning_rate * at_epoch / config.warmup_epochs
    if config.schedule is Schedule.CONSTANT:
        return config.learning_rate
    rest = max(config.epochs - config.warmup_epochs, 1e-9)
    share = min((at_epoch - config.warmup_epochs) / rest, 1.0)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))


def fit_epochs(task: Task, config: LoopConfig, context: FitContext) -> FitReport:
    """Train `task.module` in place and leave the weights of the best epoch in it.

    Without validation the last epoch is the best. With `context.folder`, `metrics.jsonl` there holds one
    record an epoch, and an interrupted fit of the same configuration, seed and data is continued.

    Raises:
        ConfigError: the device or the precision is not to be had.
        TrainingError: the loss or a weight became NaN or infinite, or memory ran out; says where.
    """
    started = time.monotonic()
    fabric = make_fabric(context)
    optimizer = make_optimizer(task.module, config, task.pretrained)
    module, optimizer = fabric.setup(task.module, optimizer)
    run = _Run(task, config, context, fabric, module, optimizer)
    identity = hashlib.sha256(f"{task.identity} {context.seed}".encode()).hexdigest()
    state, notes = run.resume(identity)
    with torch.random.fork_rng(devices=[fabric.device] if fabric.device.type == "cuda" else []):
        while state.epoch < config.epochs and not _out_of_patience(state.history, config):
            state = run.epoch(state)
            run.record(state, identity)
    task.module.load_state_dict(dict(state.best))
    if context.folder is not None:
        remove_snapshot(context.folder)
    return FitReport(
        seconds=time.monotonic() - started,
        losses=tuple(record["loss"] for record in state.history),
        validation=tuple(record["validation"] for record in state.history),
        chosen_epoch=_best_epoch(state.history),
        notes=(notes,) if notes else (),
    )


def make_fabric(context: FitContext) -> Fabric:
    """Return Fabric for one device.

    Raises:
        ConfigError: the device does not exist here.
    """
    kind, _, number = context.device.partition(":")
    if kind not in {"cpu", "cuda"} or (number and not number.isdigit()):
        raise ConfigError(f"device is {context.device!r}; use 'cpu', 'cuda' or 'cuda:<number>'")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device {context.device!r} is not here: torch sees {torch.cuda.device_count()} GPUs; use 'cpu'"
        )
    devices: int | list[int] = [int(number or 0)] if kind == "cuda" else 1
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces its precision
    try:
        return Fabric(accelerator=kind, devices=devices, precision=context.precision)  # type: ignore[arg-type]  # a string here, checked by Fabric
    except ValueError as error:
        raise ConfigError(f"precision {context.precision!r}: {error}") from error


def make_optimizer(
    module: nn.Module, config: LoopConfig, pretrained: str | None = None
) -> torch.optim.Optimizer:
    """Return the optimiser of `config` over the parameters that take gradients.

    Each group carries a `factor` of the learning rate: 1 for parameters whose names begin with `pretrained`
    (for all, when None), `config.new_weights_factor` for the others.
    """
    named = [(name, one) for name, one in module.named_parameters() if one.requires_grad]
    old = [one for name, one in named if pretrained is None or name.startswith(pretrained)]
    new = [one for name, one in named if pretrained is not None and not name.startswith(pretrained)]
    groups: list[dict[str, Any]] = [
        {"params": parameters, "factor": factor}
        for parameters, factor in ((old, 1.0), (new, config.new_weights_factor))
        if parameters
    ]
    match config.optimizer:
        case OptimizerName.LAMB:
            lamb: torch.optim.Optimizer = Lamb(
                groups, lr=config.learning_rate, weight_decay=config.weight_decay
            )
            return lamb
        case OptimizerName.ADAMW:
            return torch.optim.AdamW(
                groups, lr=config.learning_rate, weight_decay=config.weight_decay
            )


@dataclass(frozen=True)
class _Run:
    """One fit: the parts that stay while epochs pass."""

    task: Task
    config: LoopConfig
    context: FitContext
    fabric: Fabric
    module: Any
    optimizer: Any

    def resume(self, identity: str) -> tuple[Snapshot, str]:
        """Return where to start: an interrupted fit of this identity, or the beginning."""
        if self.context.folder is not None:
            self.context.folder.mkdir(parents=True, exist_ok=True)
            found, note = read_snapshot(self.context.folder, identity)
            if found is not None:
                self.task.module.load_state_dict(dict(found.weights))
                self.optimizer.load_state_dict(dict(found.optimizer))
                return found, note
        else:
            note = ""
        weights = _copy(self.task.module)
        return Snapshot(0, weights, weights, {"state": {}, "param_groups": []}), note

    def epoch(self, state: Snapshot) -> Snapshot:
        """Return the state after one more epoch."""
        started = time.monotonic()
        torch.manual_seed(
            int(np.random.default_rng([self.context.seed, state.epoch]).integers(2**62))
        )
        loss = self._steps(state.epoch)
        if not all(
            bool(torch.isfinite(value).all()) for value in self.task.module.state_dict().values()
        ):
            raise TrainingError(f"a weight is NaN or infinite after epoch {state.epoch + 1}")
        self.module.eval()
        record = {
            "epoch": state.epoch + 1,
            "loss": loss,
            "learning_rate": learning_rate(self.config, float(state.epoch + 1)),
            "seconds": round(time.monotonic() - started, 3),
            "validation": dict(self.task.validate()),
        }
        history = [*state.history, record]
        weights = _copy(self.task.module)
        is_best = _best_epoch(history) in {None, state.epoch + 1}
        return Snapshot(
            state.epoch + 1,
            weights,
            weights if is_best else state.best,
            self.optimizer.state_dict(),
            history,
        )

    def _steps(self, epoch: int) -> float:
        """Take the steps of an epoch and return the mean loss of its examples."""
        self.module.train()
        batches = self.task.batches(epoch)
        total, n_examples = 0.0, 0
        for number, batch in enumerate(batches):
            if batch is None:
                continue
            rate = learning_rate(self.config, epoch + (number + 0.5) / len(batches))
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            loss = self._step(
                batch, where=f"epoch {epoch + 1}, step {number + 1} of {len(batches)}"
            )
            total += loss * len(batch.user_ids)
            n_examples += len(batch.user_ids)
            done = epoch * len(batches) + number + 1
            note = f"epoch {epoch + 1} of {self.config.epochs}, loss {loss:.4f}"
            self.context.on_progress(Progress("fit", done, self.config.epochs * len(batches), note))
        if n_examples == 0:
            raise TrainingError(
                f"epoch {epoch + 1} has no example: no training user has a profile left"
            )
        return total / n_examples

    def _step(self, batch: Batch, where: str) -> float:
        inputs = self.fabric.to_device(batch.inputs)
        self.optimizer.zero_grad()
        try:
            loss = self.module(*inputs)
            value = float(loss.detach())
            if not math.isfinite(value):
                users = ", ".join(map(str, batch.user_ids[:5]))
                raise TrainingError(
                    f"loss is {value} in {where} (users {users}, ...): lower learning_rate or set clip_norm"
                )
            self.fabric.backward(loss)
        except torch.OutOfMemoryError as error:
            half = max(1, self.config.batch_size // 2)
            raise TrainingError(
                f"GPU memory ran out in {where}: set batch_size to {half}"
            ) from error
        if self.config.clip_norm is not None:
            self.fabric.clip_gradients(self.module, self.optimizer, max_norm=self.config.clip_norm)
        self.optimizer.step()
        return value

    def record(self, state: Snapshot, identity: str) -> None:
        """Log the last epoch and, where there is a folder, write its records and the snapshot."""
        logger.info("epoch", extra=state.history[-1])
        if self.context.folder is None:
            return
        write_snapshot(self.context.folder, state, identity)
        write_records(self.context.folder / "metrics.jsonl", state.history)


def write_records(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write one JSON object a line."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


def _best_epoch(history: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the first epoch with the best deciding metric; None without validation."""
    values = [
        next(iter(record["validation"].values())) for record in history if record["validation"]
    ]
    return int(np.argmax(values)) + 1 if values else None


def _out_of_patience(history: Sequence[Mapping[str, Any]], config: LoopConfig) -> bool:
    best = _best_epoch(history)
    return (
        best is not None and config.patience is not None and len(history) - best >= config.patience
    )
