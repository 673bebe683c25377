"""Every model is tuned, over settings that it takes; the best of those that work is chosen."""

from dataclasses import replace

import pytest

from training.baselines.frozen_text import FrozenTextConfig
from training.baselines.popularity import Popularity, PopularityConfig
from training.config import ModelConfig
from training.contract import FitContext
from training.errors import CannotJudgeError, DatasetError, DivergedError
from training.evaluate import Full, Measure, evaluate
from training.gradient_model import GradientModel, Shape
from training.registry import MODELS, create, model_class, names
from training.tuning import DECIDING, SPACES, Choice, Trial, fit_best, settings_to_try

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


class MoodyConfig(ModelConfig):
    """How a fit ends, and how well it does."""

    mood: str = "calm"
    sign: float = 1.0


class Moody(Popularity):
    """Diverges, refuses the data or the users, or ranks by popularity, or by its reverse."""

    config_type = MoodyConfig

    def fit(self, data, context):
        """Learn, or not."""
        if self.config.mood == "diverges":
            raise DivergedError("loss is nan in epoch 1")
        if self.config.mood == "refuses":
            raise DatasetError("moody needs other data")
        return super().fit(data, context)

    def score(self, users):
        """Return popularity times the sign, or say no."""
        if self.config.mood == "judges nobody":
            raise CannotJudgeError("moody needs other users")
        return self.config.sign * super().score(users)


@pytest.fixture
def moody(monkeypatch):
    monkeypatch.setitem(MODELS, "moody", (__name__, "Moody"))


@pytest.mark.usefixtures("moody")
def test_the_best_of_the_settings_that_work_is_chosen_and_the_others_are_passed_over(world):
    tried = [{"mood": "diverges"}, {"sign": -1.0}, {"mood": "refuses"}, {"sign": 1.0}]
    tried.append({"mood": "judges nobody"})
    found = fit_best("moody", world.data, FitContext(), tried)
    assert [one.refused for one in found.trials] == [
        "loss is nan in epoch 1",
        "",
        "moody needs other data",
        "",
        "moody needs other users",
    ]
    assert [one.value is None for one in found.trials] == [True, False, True, False, True]
    values = {one.settings["sign"]: one.value for one in found.trials if one.value is not None}
    best = max(values, key=values.get)
    assert values[1.0] != values[-1.0]
    assert (found.settings, found.model.config.sign) == ({"sign": best}, best)
    again = evaluate(found.model, world.data, world.data.valid, [DECIDING])
    measured = again.values(Measure(DECIDING.name, "ndcg", DECIDING.k)).mean()
    assert values[best] == pytest.approx(measured)


@pytest.mark.usefixtures("moody")
def test_what_decides_may_be_told(world):
    tried = [{"sign": -1.0}, {"sign": 1.0}]
    found = fit_best("moody", world.data, FitContext(), tried, Full(k=10))
    for trial in found.trials:
        model = create("moody", trial.settings)
        model.fit(world.data, FitContext())
        again = evaluate(model, world.data, world.data.valid, [Full(k=10), DECIDING])
        measured = [
            again.values(Measure(one.name, "ndcg", 10)).mean() for one in (Full(k=10), DECIDING)
        ]
        assert trial.value == pytest.approx(measured[0]) != pytest.approx(measured[1])


@pytest.mark.usefixtures("moody")
def test_a_model_no_settings_work_for_is_refused_with_the_first_reason(world):
    tried = [{"mood": "diverges"}, {"mood": "refuses"}]
    with pytest.raises(CannotJudgeError, match="loss is nan in epoch 1"):
        fit_best("moody", world.data, FitContext(), tried)
    with pytest.raises(CannotJudgeError, match="other data"):
        fit_best("moody", world.data, FitContext(), tried[1:])


@pytest.mark.usefixtures("moody")
def test_nobody_to_choose_on_is_a_fault_of_the_data_and_one_setting_needs_nobody(world):
    data = replace(world.data, valid=None)
    with pytest.raises(DatasetError, match="no validation users"):
        fit_best("moody", data, FitContext(), [{"sign": 1.0}, {"sign": -1.0}])
    found = fit_best("moody", data, FitContext(), [{"sign": -1.0}])
    assert (found.settings, found.trials) == ({"sign": -1.0}, (Trial({"sign": -1.0}, None),))
    with pytest.raises(DatasetError, match="no settings"):
        fit_best("moody", data, FitContext(), [])
