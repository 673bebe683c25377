"""Settings of models: frozen, typed, unknown keys refused.

The names are the same in every model (`embedding_size`, `epochs`, `learning_rate`, ...), and the object
itself is the setting: nothing repeats it.
"""

from pydantic import BaseModel, ConfigDict


class ModelConfig(BaseModel):
    """Base of all model configurations."""

    model_config = ConfigDict(frozen=True, extra="forbid")
