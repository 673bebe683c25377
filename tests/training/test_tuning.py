"""Every model is tuned, over settings that it takes."""

import pytest

from training.baselines.frozen_text import FrozenTextConfig
from training.baselines.popularity import PopularityConfig
from training.gradient_model import GradientModel, Shape
from training.registry import create, model_class, names
from training.tuning import SPACES, Choice, settings_to_try

UNTUNED = {"popularity": PopularityConfig, "frozen_text": FrozenTextConfig}
SHAPE = Shape(
    5,
    {"books": 7, "films": 6, "music": 8},
    "films",
    {"features.users": 4, "features.items.books": 3, "features.items.films": 3}
    | {"features.items.music": 3},
)


def values(one):
    """Return all values of a choice, both ends of a range."""
    return one.values if isinstance(one, Choice) else (one.low, one.high)


def test_every_model_with_anything_to_tune_has_a_space():
    assert set(names()) - set(SPACES) == set(UNTUNED)
    assert set(SPACES) <= set(names())
    found = {name: set(one.model_fields) for name, one in UNTUNED.items()}
    assert found == {"popularity": set(), "frozen_text": {"encoder", "encode_batch_size"}}


@pytest.mark.parametrize("name", sorted(SPACES))
def test_each_value_is_a_setting_the_model_takes_and_can_be_built_with(name):
    for key, one in SPACES[name].items():
        for value in values(one):
            model = create(name, {key: value})
            assert getattr(model.config, key) == value
            if isinstance(model, GradientModel) and isinstance(one, Choice):
                assert any(part.numel() for part in model.build(SHAPE).parameters())


@pytest.mark.parametrize("name", sorted(set(SPACES) - {"embedme"}))  # its defaults are the paper's
def test_a_search_goes_around_the_defaults(name):
    config = create(name).config
    for key, one in SPACES[name].items():
        default = getattr(config, key)
        is_off = default == 0  # and is searched switched on
        if not is_off and not isinstance(default, tuple | bool):
            assert min(values(one)) <= default <= max(values(one)), key


@pytest.mark.parametrize("name", sorted(SPACES))
def test_the_same_budget_for_all_starting_with_the_defaults(name):
    tried = settings_to_try(name, 4)
    assert len(tried) == 4
    assert tried[0] == {}
    assert tried == settings_to_try(name, 4)
    assert len({str(sorted(one.items())) for one in tried}) == 4
    for settings in tried:
        model_class(name).config_type.model_validate(settings)
