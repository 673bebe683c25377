"""All models by name; naming them loads none.

>>> {"ease", "embedme", "popularity"} <= set(names())
True
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from training.config import parse_config
from training.contract import Recommender
from training.errors import ConfigError

MODELS: Mapping[str, tuple[str, str]] = {
    "conet": ("training.baselines.conet", "Conet"),
    "youtube_dnn": ("training.baselines.youtube_dnn", "YoutubeDnn"),
    "lightgcn": ("training.baselines.lightgcn", "LightGcn"),
    "ddtcdr": ("training.baselines.ddtcdr", "Ddtcdr"),
    "diagae": ("training.baselines.diagae", "Diagae"),
    "cat_art": ("training.baselines.cat_art", "CatArt"),
    "sitn": ("training.baselines.sitn", "Sitn"),
    "dcdcsr": ("training.baselines.dcdcsr", "Dcdcsr"),
    "sscdr": ("training.baselines.sscdr", "Sscdr"),
    "emcdr": ("training.baselines.emcdr", "Emcdr"),
    "item_knn": ("training.baselines.item_knn", "ItemKnn"),
    "cmf": ("training.baselines.cmf", "Cmf"),
    "bpr_mf": ("training.baselines.bpr_mf", "BprMf"),
    "ease": ("training.baselines.ease", "Ease"),
    "ease_target": ("training.baselines.ease", "EaseTarget"),
    "embedme": ("training.embedme.model", "EmbedMe"),
    "frozen_text": ("training.baselines.frozen_text", "FrozenText"),
    "popularity": ("training.baselines.popularity", "Popularity"),
    "source_knn": ("training.baselines.source_knn", "SourceKNN"),
}
"""Name -> (module, class). Model folders hold the name only, so that code may move."""


def names() -> list[str]:
    """Return the names of all models, sorted."""
    return sorted(MODELS)


def model_class(name: str) -> type[Recommender]:
    """Return the class registered as `name`.

    Raises:
        ConfigError: there is no such model.
    """
    if name not in MODELS:
        raise ConfigError(f"no model {name!r}; there are {', '.join(names())}")
    module, attribute = MODELS[name]
    found: type[Recommender] = getattr(import_module(module), attribute)
    return found


def create(name: str, config: Mapping[str, Any] | None = None) -> Recommender:
    """Return a model that has learned nothing yet.

    Args:
        name: One of `names()`.
        config: Its settings; what is not named has its default.

    Raises:
        ConfigError: no such model, or a setting is unknown or out of range.
    """
    found = model_class(name)
    return found(parse_config(found.config_type, config or {}))
