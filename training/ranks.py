"""Devices and ranks of a fit: one process by default, several under `torchrun`.

In: a `FitContext`, and the environment `torchrun` sets. Out: `Ranks`, through which processes that each hold
the whole model learn as one would: with L_r the mean loss of the n_r examples rank r took of a batch,

    loss of the batch = sum_r (n_r / n) L_r          gradient = sum_r (n_r / n) dL_r,     n = sum_r n_r

which is the gradient of the whole batch on one process however unevenly it was dealt, ranks without any example
included. (Lightning's and torch's own data-parallel wrapper take the plain mean over ranks, and wait for ever for a
rank that has nothing to do; so gradients are summed here, after the backward pass.) Rows of a `ShardedTable` belong to
one rank alone and are left out of the sum.
"""

import contextlib
import logging
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import nn
from typing_extensions import override

from training.contract import FitContext
from training.errors import ConfigError
from training.sharded_softmax import ShardedTable

T = TypeVar("T")

PATIENCE = timedelta(hours=12)
"""For what a rank waits at most for the others: the first one validates alone."""
BUCKET_BYTES = 2**25
"""Gradients are summed in pieces of about this size (torch's own wrapper takes as much)."""


class WholeModels(DDPStrategy):
    """Fabric's strategy of one process a device, without its wrapper around the module."""

    @override
    def setup_module(self, module: nn.Module) -> nn.Module:  # type: ignore[override]  # no wrapper is the point
        """Return the module as it is: `Ranks` sums the gradients."""
        return module


def make_fabric(context: FitContext) -> Fabric:
    """Return Fabric for one device, or for this process's device of those `torchrun` started processes for.

    Raises:
        ConfigError: the device does not exist here, or one device is named for several processes.
    """
    kind, _, number = context.device.partition(":")
    if kind not in {"cpu", "cuda"} or (number and not number.isdigit()):
        raise ConfigError(f"device is {context.device!r}; use 'cpu', 'cuda' or 'cuda:<number>'")
    environment = _launched()
    if environment is not None and number:
        raise ConfigError(
            f"device is {context.device!r} under torchrun, which gives each process its own; use {kind!r}"
        )
    n_here = 1 if environment is None else environment[0]
    if kind == "cuda" and max(int(number or 0), n_here - 1) >= torch.cuda.device_count():
        wanted = f"device {context.device!r}" if environment is None else f"{n_here} processes"
        raise ConfigError(
            f"{wanted}: torch sees {torch.cuda.device_count()} GPUs here; use 'cpu' or fewer"
        )
    devices: int | list[int] = [int(number or 0)] if kind == "cuda" else 1
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces its precision
    options: dict[str, Any] = {"accelerator": kind, "precision": context.precision}
    try:
        if environment is None:
            return Fabric(devices=devices, **options)
        fabric = Fabric(
            devices=n_here,
            num_nodes=environment[1],
            strategy=WholeModels(timeout=PATIENCE),
            **options,
        )
    except ValueError as error:
        raise ConfigError(f"precision {context.precision!r}: {error}") from error
    fabric.launch()
    return fabric


def _launched() -> tuple[int, int] | None:
    """Return processes a node and nodes where `torchrun` started this process; None for one process."""
    if not dist.is_available() or not dist.is_torchelastic_launched():
        return None
    from os import environ  # noqa: PLC0415  read here and nowhere else

    n_ranks, n_here = int(environ["WORLD_SIZE"]), int(environ["LOCAL_WORLD_SIZE"])
    if n_ranks == 1:
        return None
    if n_ranks % n_here:
        raise ConfigError(f"{n_ranks} processes on nodes of {n_here}: let every node have as many")
    return n_here, n_ranks // n_here


@dataclass(frozen=True)
class Ranks:
    """This process among those that train one model; alone, every method is as good as nothing."""

    fabric: Fabric

    @property
    def rank(self) -> int:
        """The number of this process, from 0; the first one writes and validates."""
        return self.fabric.global_rank

    @property
    def n_ranks(self) -> int:
        """How many processes there are."""
        return self.fabric.world_size

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and validates."""
        return self.rank == 0

    def from_first(self, make: Callable[[], T]) -> T:
        """Return what `make` gives on the first rank, on all."""
        if self.n_ranks == 1:
            return make()
        return self.fabric.broadcast(make() if self.is_first else None)  # type: ignore[return-value]  # the first rank's value

    def sum(self, *values: float) -> tuple[float, ...]:
        """Return the sums of some numbers over ranks."""
        if self.n_ranks == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=self.fabric.device)
        dist.all_reduce(total)
        return tuple(total.tolist())

    def gather(self, value: T) -> list[T]:
        """Return the values of all ranks, on all."""
        if self.n_ranks == 1:
            return [value]
        found: list[Any] = [None] * self.n_ranks
        dist.all_gather_object(found, value)
        return found

    def same_start(self, module: nn.Module) -> None:
        """Give all ranks the first one's weights; each keeps its own rows of sharded tables."""
        if self.n_ranks == 1:
            return
        own = _shard_ids(module)
        with torch.no_grad():
            for value in [*module.parameters(), *module.buffers()]:
                if id(value) not in own and value.numel():
                    dist.broadcast(value.data, src=0)

    def sum_gradients(self, module: nn.Module) -> None:
        """Replace the gradients by their sums over ranks; a missing one counts as zeros."""
        if self.n_ranks == 1:
            return
        own = _shard_ids(module)
        whole = [one for one in module.parameters() if one.requires_grad and id(one) not in own]
        used = torch.tensor([one.grad is not None for one in whole], device=self.fabric.device)
        used = used.to(torch.uint8)
        dist.all_reduce(used, op=dist.ReduceOp.MAX)
        taken = [one for one, is_used in zip(whole, used.tolist(), strict=True) if is_used]
        for bucket in _buckets(taken):
            gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in bucket]
            flat = torch.cat([one.reshape(-1) for one in gradients])
            dist.all_reduce(flat)
            parts = torch.split(flat, [one.numel() for one in bucket])
            for parameter, part in zip(bucket, parts, strict=True):
                parameter.grad = part.view_as(parameter)

    def clip_gradients(self, module: nn.Module, max_norm: float) -> None:
        """Scale all gradients down so that the norm of the whole model's, shards together, is `max_norm`."""
        own = _shard_ids(module)
        having = [one for one in module.parameters() if one.grad is not None]
        whole = [one.grad for one in having if id(one) not in own]
        shards = [one.grad for one in having if id(one) in own]
        norm = torch.nn.utils.get_total_norm([one for one in whole if one is not None])
        if shards or self.n_ranks > 1:
            here = sum(float(one.double().square().sum()) for one in shards if one is not None)
            norm = norm.new_tensor(math.sqrt(float(norm) ** 2 + self.sum(here)[0]))
        torch.nn.utils.clip_grads_with_norm_(having, max_norm, norm)


@contextlib.contextmanager
def in_turn(context: FitContext) -> Iterator[bool]:
    """Let one rank after the other run the block, for what one process at a time may hold open.

    Yields:
        Whether this is the first rank.
    """
    ranks = Ranks(make_fabric(context))
    for _ in range(ranks.rank):
        ranks.fabric.barrier()
    yield ranks.is_first
    for _ in range(ranks.n_ranks - ranks.rank):
        ranks.fabric.barrier()


def _shard_ids(module: nn.Module) -> set[int]:
    """Return the identities of parameters that are rows of a sharded table."""
    tables = [one for one in module.modules() if isinstance(one, ShardedTable)]
    return {id(parameter) for table in tables for parameter in table.parameters()}


def _buckets(parameters: Iterable[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Yield parameters in order, so many of one type that their gradients fill a bucket."""
    bucket: list[nn.Parameter] = []
    size = 0
    for one in parameters:
        n_bytes = one.numel() * one.element_size()
        if bucket and (size + n_bytes > BUCKET_BYTES or one.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], 0
        bucket.append(one)
        size += n_bytes
    if bucket:
        yield bucket
