"""The one epoch loop of all models that learn by gradients, on Lightning Fabric.

In: a `Task` (a module whose forward is the loss, and the batches of each epoch), a `LoopConfig`, a
`FitContext`. Out: the module with its best weights, and a `FitReport`. Random numbers are seeded at the
start of each epoch from (seed, epoch), and a snapshot within an epoch holds their state: a killed fit goes on from
its last snapshot with the same numbers as one that was never killed.

Under `torchrun` each process runs all this with the same arguments, takes its share of each batch
(`SharedEpoch`) and ends with the same weights; `training.ranks` says how. Only the first one validates and writes.
"""

import hashlib
import itertools
import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from training.contract import FitContext, FitReport, Progress
from training.errors import DivergedError, TrainingError
from training.optimisation import (
    LoopConfig,
    OptimizerName,
    Schedule,
    learning_rate,
    make_optimizer,
)
from training.ranks import Ranks, make_fabric
from training.snapshot import (
    Snapshot,
    SnapshotClock,
    copied,
    is_finite,
    random_state,
    read_snapshot,
    remove_snapshot,
    set_random_state,
    write_records,
    write_snapshot,
)
from training.speed import Speedometer, matmul_peak
from training.task import Batch, Epoch, SharedEpoch, Task

__all__ = [
    "Batch",
    "Epoch",
    "LoopConfig",
    "OptimizerName",
    "Schedule",
    "SharedEpoch",
    "Task",
    "fit_epochs",
    "learning_rate",
    "make_fabric",
    "make_optimizer",
]

logger = logging.getLogger(__name__)


def fit_epochs(task: Task, config: LoopConfig, context: FitContext) -> FitReport:
    """Train `task.module` in place and leave the weights of the best epoch in it.

    Without validation the last epoch is the best. With `context.folder`, `metrics.jsonl` there holds one
    record an epoch, and an interrupted fit of the same configuration, seed and data is continued.

    Raises:
        ConfigError: the device or the precision is not to be had.
        DivergedError: the loss or a weight became NaN or infinite; says where.
        TrainingError: memory ran out; says where and what batch to try.
    """
    started = time.monotonic()
    fabric = make_fabric(context)
    ranks = Ranks(fabric)
    optimizer = make_optimizer(task.module, config, task.pretrained)
    module, optimizer = fabric.setup(task.module, optimizer)
    identity = hashlib.sha256(f"{task.identity} {context.seed}".encode()).hexdigest()
    run = _Run(task, config, context, ranks, module, optimizer, identity)
    state, notes = run.resume()
    earlier = sum(record["seconds"] for record in state.history)
    with torch.random.fork_rng(devices=[fabric.device] if fabric.device.type == "cuda" else []):
        while state.epoch < config.epochs and not _out_of_patience(state.history, config):
            state = run.epoch(state)
            run.record(state)
    task.module.load_state_dict(dict(state.best))
    if context.folder is not None and ranks.is_first and not context.keep_snapshot:
        remove_snapshot(context.folder)
    return FitReport(
        seconds=earlier + time.monotonic() - started,
        losses=tuple(record["loss"] for record in state.history),
        validation=tuple(record["validation"] for record in state.history),
        chosen_epoch=_best_epoch(state.history),
        notes=(notes,) if notes else (),
        speed=run.speed.rates() if run.speed.n_users else {},
    )


@dataclass(frozen=True)
class _Run:
    """One fit: the parts that stay while epochs pass."""

    task: Task
    config: LoopConfig
    context: FitContext
    ranks: Ranks
    module: Any
    optimizer: Any
    identity: str
    speed: Speedometer = field(default_factory=Speedometer)
    """Of all epochs of this process's life."""

    def resume(self) -> tuple[Snapshot, str]:
        """Return where to start: an interrupted fit of this identity, or the beginning."""
        self.ranks.same_start(self.task.module)
        found, note = self.ranks.from_first(self._read_snapshot)
        if found is not None:
            self.task.module.load_state_dict(dict(found.weights))
            self.optimizer.load_state_dict(dict(found.optimizer))
            for record in found.history:
                self._tell(record)
            return found, note
        weights = copied(self.task.module)
        return Snapshot(0, weights, weights, {"state": {}, "param_groups": []}), note

    def _read_snapshot(self) -> tuple[Snapshot | None, str]:
        if self.context.folder is None:
            return None, ""
        self.context.folder.mkdir(parents=True, exist_ok=True)
        return read_snapshot(self.context.folder, self.identity)

    def epoch(self, state: Snapshot) -> Snapshot:
        """Return the state after one more epoch."""
        started = time.monotonic()
        _seed(self.context.seed, state.epoch)
        loss, speed = self._steps(state)
        if not is_finite(self.task.module):
            raise DivergedError(f"a weight is NaN or infinite after epoch {state.epoch + 1}")
        self.module.eval()
        record = {
            "epoch": state.epoch + 1,
            "loss": loss,
            "learning_rate": learning_rate(self.config, float(state.epoch + 1)),
            **speed.rates(),
            "seconds": round(time.monotonic() - started, 3),
            "validation": self.ranks.from_first(lambda: dict(self.task.validate())),
        }
        history = [*state.history, record]
        weights = copied(self.task.module)
        is_best = _best_epoch(history) in {None, state.epoch + 1}
        return Snapshot(
            state.epoch + 1,
            weights,
            weights if is_best else state.best,
            self.optimizer.state_dict(),
            history,
        )

    def _steps(self, state: Snapshot) -> tuple[float, Speedometer]:
        """Take the steps of an epoch that are left; return the mean loss of its examples and the speed."""
        self.module.train()
        batches = self.task.batches(state.epoch)
        if self.ranks.n_ranks > 1 and isinstance(batches, SharedEpoch):
            batches = batches.share(self.ranks.rank, self.ranks.n_ranks)
            if not self.ranks.is_first:
                _seed(self.context.seed, state.epoch, self.ranks.rank)
        total, n_examples = (state.sums.get(name, 0.0) for name in ("loss", "examples"))
        speed, clock = Speedometer(self.speed.peak), self._clock()
        for number, batch in enumerate(self._from(state, batches), start=state.step):
            where = f"epoch {state.epoch + 1}, step {number + 1} of {len(batches)}"
            at = state.epoch + (number + 0.5) / len(batches)
            loss, n_here, n_tokens, flops = self._step(batch, at, where)
            total, n_examples = total + loss * n_here, n_examples + n_here
            self._measure(speed, clock, (n_here, n_tokens, flops))
            if n_here:
                done = state.epoch * len(batches) + number + 1
                note = f"epoch {state.epoch + 1} of {self.config.epochs}, loss {loss:.4f}, {speed.note()}"
                steps = self.config.epochs * len(batches)
                self.context.on_progress(Progress("fit", done, steps, note))
            if number + 1 < len(batches) and self._is_due(clock, number + 1):
                self._write_within(state, number + 1, {"loss": total, "examples": n_examples})
                clock.restart()
        if n_examples == 0:
            raise TrainingError(
                f"epoch {state.epoch + 1} has no example: no training user has a profile left"
            )
        return total / n_examples, speed

    def _clock(self) -> SnapshotClock:
        if self.context.folder is None:
            return SnapshotClock(None, None)
        return SnapshotClock(self.context.snapshot_steps, self.context.snapshot_seconds)

    def _is_due(self, clock: SnapshotClock, step: int) -> bool:
        """Return whether a snapshot is written now: the first rank's clock decides for all."""
        return clock.is_on and self.ranks.from_first(lambda: clock.is_due(step))

    def _from(self, state: Snapshot, batches: Epoch) -> Iterator[Batch | None]:
        """Return the batches not gone through yet, the random numbers as they were before them."""
        left = iter(batches)
        if state.step:
            for _ in itertools.islice(left, state.step):
                pass  # made and dropped: what is drawn on the way is drawn again
            if len(state.random) == self.ranks.n_ranks:
                set_random_state(state.random[self.ranks.rank], self.ranks.fabric.device)
        return left

    def _step(
        self, batch: Batch | None, at_epoch: float, where: str
    ) -> tuple[float, float, float, float]:
        """Take a step; return the batch's mean loss, its examples, tokens and operations, over all ranks."""
        rate = learning_rate(self.config, at_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self.optimizer.zero_grad()
        loss, value = None, 0.0
        try:
            if batch is not None:
                loss = self.module(*self.ranks.fabric.to_device(batch.inputs))
                value = float(loss.detach())
            n_own = 0 if batch is None else len(batch.user_ids)
            work = (0.0, 0.0) if batch is None else (float(batch.n_tokens), batch.flops)
            total, n_all, n_tokens, flops = self.ranks.sum(value * n_own, float(n_own), *work)
            if n_all == 0:
                return 0.0, 0.0, 0.0, 0.0
            if not math.isfinite(total):
                users = ", ".join(map(str, [] if batch is None else batch.user_ids[:5]))
                raise DivergedError(
                    f"loss is {total / n_all} in {where} (users {users}, ...): lower learning_rate or set clip_norm"
                )
            if loss is not None:
                share = n_own / n_all
                self.ranks.fabric.backward(loss if share == 1.0 else loss * share)
        except (MemoryError, RuntimeError) as error:
            raise self._out_of_memory(error, where) from error
        self.ranks.sum_gradients(self.task.module)
        if self.config.clip_norm is not None:
            self.ranks.clip_gradients(self.task.module, self.config.clip_norm)
        self.optimizer.step()
        return total / n_all, n_all, n_tokens, flops

    def _out_of_memory(self, error: Exception, where: str) -> Exception:
        """Return what to say of an error that means that memory ran out; any other as it is."""
        if isinstance(error, torch.OutOfMemoryError):
            kind = "GPU memory"
        elif isinstance(error, MemoryError) or NO_HOST_MEMORY in str(error):
            kind = "memory"
        else:
            return error
        half = max(1, self.config.batch_size // 2)
        return TrainingError(f"{kind} ran out in {where}: set batch_size to {half}")

    def _measure(
        self, speed: Speedometer, clock: SnapshotClock, work: tuple[float, float, float]
    ) -> None:
        """Count a step's work in the epoch's speed and in the fit's."""
        seconds = clock.lap()
        if work[-1] and speed.peak is None:
            precision = self.context.precision
            dtype = torch.bfloat16 if precision.startswith("bf16") else torch.float32
            peak = matmul_peak(self.ranks.fabric.device, dtype) * self.ranks.n_ranks
            speed.peak = self.speed.peak = peak
            clock.lap()
        speed.add(*work, seconds)
        self.speed.add(*work, seconds)

    def _write_within(self, state: Snapshot, step: int, sums: Mapping[str, float]) -> None:
        """Write a snapshot in the middle of an epoch, unless a weight is no number any more."""
        random = self.ranks.gather(random_state(self.ranks.fabric.device))
        if (
            self.context.folder is None
            or not self.ranks.is_first
            or not is_finite(self.task.module)
        ):
            return
        now = replace(
            state,
            weights=self.task.module.state_dict(),
            optimizer=self.optimizer.state_dict(),
            step=step,
            sums=sums,
            random=random,
        )
        write_snapshot(self.context.folder, now, self.identity)

    def _tell(self, record: Mapping[str, Any]) -> None:
        if self.ranks.is_first:
            self.context.on_record(record)

    def record(self, state: Snapshot) -> None:
        """Log the last epoch and, where there is a folder, write its records and the snapshot."""
        logger.info("epoch", extra=state.history[-1])
        self._tell(state.history[-1])
        if self.context.folder is None or not self.ranks.is_first:
            return
        write_snapshot(self.context.folder, state, self.identity)
        write_records(self.context.folder / "metrics.jsonl", state.history)


NO_HOST_MEMORY = "can't allocate memory"
"""What torch's allocator of host memory says, in a plain RuntimeError."""


def _seed(seed: int, epoch: int, rank: int = 0) -> None:
    """Seed torch for an epoch; the first rank's numbers are those of a process alone.

    Where every rank goes through whole batches, all draw the first one's: their gradients are then equal.
    """
    parts = [seed, epoch] if rank == 0 else [seed, epoch, rank]
    torch.manual_seed(int(np.random.default_rng(parts).integers(2**62)))


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
