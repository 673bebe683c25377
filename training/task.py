"""What the loop trains: a module, and the batches of each epoch.

A model with gradients is written against these; `training.loop.fit_epochs` does the rest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor, nn


@dataclass(frozen=True)
class Batch:
    """The arguments of one call of the module, and whom they came from."""

    inputs: tuple[Tensor, ...]
    user_ids: np.ndarray
    """One an example: what the loss is the mean of; named when something goes wrong."""
    n_tokens: int = 0
    """Tokens of text read, for the report; 0 where there is no text."""
    flops: float = 0.0
    """Operations of forward and backward pass (`training.speed`); 0 where nobody counts."""


@runtime_checkable
class Epoch(Protocol):
    """The batches of one epoch, made one by one; None where no example of a batch is left."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch | None]: ...


@runtime_checkable
class SharedEpoch(Epoch, Protocol):
    """An epoch whose batches can be dealt out; any other is gone through whole by every rank."""

    def share(self, rank: int, n_ranks: int) -> Epoch:
        """Return this rank's part of each batch: every example on one rank, as many batches as before."""
        ...


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
