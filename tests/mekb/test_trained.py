"""A model beside its baselines where some of them fail: `mekb evaluate --baselines` goes on, and says who failed and why."""

import math

import numpy as np

from mekb import api
from training.baselines.popularity import Popularity
from training.config import ModelConfig
from training.errors import CannotJudgeError, DatasetError, DivergedError
from training.registry import MODELS
from training.tuning import SPACES, Choice

MOODS = {
    "diverges": DivergedError("loss is nan in epoch 1"),
    "refuses": DatasetError("moody needs other data"),
    "cannot": CannotJudgeError("moody needs other users"),
}


class MoodyConfig(ModelConfig):
    """How a fit ends."""

    mood: str = "calm"


class Moody(Popularity):
    """Popularity that may fail to fit."""

    config_type = MoodyConfig

    def fit(self, data, context):
        """Learn, or not."""
        if self.config.mood in MOODS:
            raise MOODS[self.config.mood]
        return super().fit(data, context)


def moods(monkeypatch, *tried: str) -> None:
    monkeypatch.setitem(MODELS, "moody", (__name__, "Moody"))
    monkeypatch.setitem(SPACES, "moody", {"mood": Choice(tried)})


def test_baselines_that_fail_are_chance_with_their_reason_and_the_others_go_on(
    project, monkeypatch
):
    moods(monkeypatch, *MOODS)
    found = api.evaluate(project.store, [project.model], baselines=["moody", "popularity"])
    assert [row["model"] for row in found.rows] == ["embedme", "moody", "popularity"]
    ours, moody, popularity = found.rows
    assert (moody["users"], moody["judged"]) == (ours["users"], 0)
    assert popularity["judged"] == popularity["users"] > 0
    assert "moody counts as chance: loss is nan in epoch 1" in found.notes
    hit_rate = next(one for one in found.evaluations["moody"].measures if one[:2] == ("full", "hr"))
    values = found.evaluations["moody"].values(hit_rate)
    ranks = found.evaluations["moody"].ranks.to_pandas()
    ranks = ranks[ranks["protocol"] == "full"]
    n_items, k = int(ranks["n_tied"].iloc[0]), hit_rate.k  # a tie of all
    n_held_out = ranks.groupby("user_id").size().to_numpy()
    missed = [math.comb(n_items - n, k) / math.comb(n_items, k) for n in n_held_out]
    np.testing.assert_allclose(values, 1 - np.array(missed), atol=1e-6)


def test_a_baseline_is_tuned_over_the_settings_that_work(project, monkeypatch):
    moods(monkeypatch, "refuses", "calm")
    found = api.evaluate(project.store, [project.model], baselines=["moody", "popularity"])
    values = [{key: one[key] for key in one if key != "model"} for one in found.rows[1:]]
    assert values[0] == values[1]
    assert found.notes == [
        "moody: 2 settings tried, chosen {'mood': 'calm'}",
        "moody: 1 of 2 trials failed, such as: moody needs other data",
    ]


def test_a_baseline_that_judges_nobody_is_said_to_be_chance(project, monkeypatch):
    monkeypatch.setitem(SPACES, "ease_target", {})
    found = api.evaluate(project.store, [project.model], baselines=["ease_target"])
    assert found.rows[1]["judged"] == 0
    assert found.notes == ["ease_target could judge none of the test users: its row is chance"]
