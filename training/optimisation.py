"""What the loop is told and how weights move: its settings, the course of the learning rate, the optimiser."""

import math
from enum import StrEnum
from typing import Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn

from training.config import ModelConfig


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
    """Examples a step, over all ranks together."""
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
            from pytorch_optimizer import Lamb  # noqa: PLC0415  (seconds; only who asks for it waits)

            lamb: torch.optim.Optimizer = Lamb(
                groups, lr=config.learning_rate, weight_decay=config.weight_decay
            )
            return lamb
        case OptimizerName.ADAMW:
            # one pass over each weight: a sixth of the time on a host, where a small step was 7 % optimiser
            return torch.optim.AdamW(
                groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
            )
