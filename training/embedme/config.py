"""Settings of EmbedMe, with three presets: the paper's, a default for one machine, and a demo."""

from enum import StrEnum
from typing import Any

from pydantic import Field, PositiveInt

from training.config import parse_config
from training.encoder_files import MINILM
from training.errors import ConfigError
from training.loop import LoopConfig, OptimizerName, Schedule
from training.losses import Reduction


class ExampleMode(StrEnum):
    """What one example is."""

    USER = "user"
    """A user with all its labels, encoded once an epoch."""
    POSITIVE = "positive"
    """A (user, positive) pair, as in the paper: a user is encoded once for each positive."""


class PopularityBias(StrEnum):
    """Whether an item's logit knows how often the item was liked."""

    NONE = "none"
    """The paper's score, eq. 8."""
    FIXED = "fixed"
    """Plus log P(item) of the training rows."""
    LEARNED = "learned"
    """Plus log P(item) times a learned scale that starts at 1."""


class ValidationProtocol(StrEnum):
    """How validation users are ranked; see `training.evaluate`."""

    FULL = "full"
    SAMPLED = "sampled"


class EmbedMeConfig(LoopConfig):
    """Settings of EmbedMe; the loop's are inherited."""

    encoder: str = MINILM
    """"minilm", a folder, or the name of a BERT in the Hugging Face cache."""
    max_tokens: int = Field(default=256, ge=8)
    """Tokens of a profile, N in section 3.2.2."""
    embedding_size: PositiveInt = 256
    """K in section 3.2.2."""
    examples: ExampleMode = ExampleMode.USER
    source_only_share: float = Field(default=0.5, ge=0, le=1)
    """Chance that a user with source rows is shown without any target row: a zero-shot user."""
    label_share: float = Field(default=0.5, gt=0, le=1)
    """Chance of each target positive of a mixed example to be a label."""
    reduction: Reduction = "mean"
    """"mean" weighs users alike, "sum" interactions."""
    popularity: PopularityBias = PopularityBias.LEARNED
    hidden_dropout: float = Field(default=0.1, ge=0, lt=1)
    """Inside the BERT; its attention weights have none, for the fused kernels' sake."""
    mlp_dropout: float = Field(default=0.1, ge=0, lt=1)
    validation: ValidationProtocol = ValidationProtocol.FULL
    encode_batch_size: PositiveInt = 256
    """Profiles encoded at once when users are judged."""

    @staticmethod
    def preset(name: str, **overrides: object) -> "EmbedMeConfig":
        """Return preset "paper", "default" or "demo", with some settings changed.

        Raises:
            ConfigError: there is no such preset, or an override is not a setting.

        >>> EmbedMeConfig.preset("paper", epochs=3).optimizer.value
        'lamb'
        """
        if name not in PRESETS:
            raise ConfigError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
        return parse_config(EmbedMeConfig, {**PRESETS[name], **overrides})


PRESETS: dict[str, dict[str, Any]] = {
    # Sections 3.2.2 and 4.2: N = 256, K = 256, 1,024 examples a step, LAMB with learning rate and weight
    # decay 5e-4, 15 epochs, cosine schedule with the first epoch for warm-up, one example a positive.
    # The histories drop the positive of the example; the paper does not say whether its own did.
    "paper": {
        "max_tokens": 256,
        "embedding_size": 256,
        "batch_size": 1024,
        "optimizer": OptimizerName.LAMB,
        "learning_rate": 5e-4,
        "weight_decay": 5e-4,
        "epochs": 15,
        "schedule": Schedule.COSINE,
        "warmup_epochs": 1.0,
        "examples": ExampleMode.POSITIVE,
        "source_only_share": 0.0,
        "reduction": "sum",
        "popularity": PopularityBias.NONE,
        "validation": ValidationProtocol.SAMPLED,
    },
    "default": {
        "max_tokens": 256,
        "batch_size": 256,
        "optimizer": OptimizerName.ADAMW,
        "learning_rate": 3e-4,
        "weight_decay": 1e-2,
        "epochs": 15,
        "clip_norm": 1.0,
        "patience": 4,
    },
    "demo": {
        "max_tokens": 64,
        "embedding_size": 64,
        "batch_size": 64,
        "optimizer": OptimizerName.ADAMW,
        "learning_rate": 5e-4,
        "weight_decay": 1e-2,
        "epochs": 5,
        "clip_norm": 1.0,
    },
}
"""Settings that differ from the class's own defaults, or that the paper fixes."""
