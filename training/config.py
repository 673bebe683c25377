"""Settings of models: frozen, typed, unknown keys refused.

The names are the same in every model (`embedding_size`, `epochs`, `learning_rate`, ...), and the object
itself is the setting: nothing repeats it.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from training.errors import ConfigError


class ModelConfig(BaseModel):
    """Base of all model configurations."""

    model_config = ConfigDict(frozen=True, extra="forbid")


C = TypeVar("C", bound=ModelConfig)


def parse_config(config_type: type[C], values: Mapping[str, Any]) -> C:
    """Return the configuration that `values` describe.

    Raises:
        ConfigError: a key is unknown or missing, or a value is out of range; one line names them all.

    >>> parse_config(ModelConfig, {"epoch": 3})
    Traceback (most recent call last):
    training.errors.ConfigError: ModelConfig: epoch: Extra inputs are not permitted
    """
    try:
        return config_type.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise ConfigError(f"{config_type.__name__}: {faults}") from error
