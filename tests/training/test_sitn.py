"""SITN whole: stages, ablation switches, clicks and ranking, times and newcomers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from training.baselines.sitn import Sitn, SitnConfig
from training.contract import FitContext, RatingRecommender, UserBatch
from training.errors import DatasetError, TrainingError
from training.evaluate import Full, evaluate, user_batch
from training.events import Events
from training.rating_evaluation import clicked_pairs, evaluate_ratings
from training.registry import create

QUICK = {
    "embedding_size": 8,
    "n_heads": 2,
    "hidden_size": 8,
    "n_clusters": (3, 6),
    "batch_size": 16,
    "epochs": 2,
    "contrast_epochs": 2,
    "learning_rate": 1e-2,
}


def fitted(data, seed=0, **changed):
    model = Sitn(SitnConfig.model_validate({**QUICK, **changed}))
    model.fit(replace(data, valid=None), FitContext(seed=seed))
    return model


@pytest.fixture
def users(world) -> UserBatch:
    return user_batch(world.data, np.arange(20))


def test_both_stages_losses_fall(world):
    model = fitted(world.data, epochs=5, contrast_epochs=5, dropout=0.0)
    assert list(model.phase_reports) == ["contrast", "clicks"]
    for name, report in model.phase_reports.items():
        assert report.losses[-1] < report.losses[0], name


def test_stage_2_goes_on_from_stage_1s_encoders_and_leaves_the_clusters(world, monkeypatch):
    from training.bricks.click_prediction import ClickStage

    before = {}

    class Remembered(ClickStage):
        def __init__(self, pair, predictor):
            super().__init__(pair, predictor)
            before.update({name: one.clone() for name, one in pair.state_dict().items()})

    monkeypatch.setattr("training.baselines.sitn.ClickStage", Remembered)
    only_contrast = fitted(world.data, learning_rate=1e-2)
    untrained = fitted(world.data, instance_contrast=False, cluster_contrast=False)
    first = dict(before)
    assert list(untrained.phase_reports) == ["clicks"]
    fitted(world.data)
    assert any(not np.array_equal(first[name], before[name]) for name in first)
    spaces = only_contrast.module.contrast.state_dict()
    again = fitted(world.data, epochs=4).module.contrast.state_dict()
    assert all(np.array_equal(spaces[name], again[name]) for name in spaces)


@pytest.mark.parametrize(
    ("changed", "n_spaces", "has_views", "phases"),
    [
        ({}, 2, True, ["contrast", "clicks"]),
        ({"cluster_contrast": False}, 0, False, ["contrast", "clicks"]),
        ({"instance_contrast": False}, 2, True, ["contrast", "clicks"]),
        ({"cluster_contrast": False, "instance_contrast": False}, 0, False, ["clicks"]),
        ({"n_clusters": (3,)}, 1, True, ["contrast", "clicks"]),
        ({"n_views": 1}, 2, False, ["contrast", "clicks"]),
    ],
)
def test_each_row_of_both_ablation_tables_is_a_switch(world, changed, n_spaces, has_views, phases):
    model = fitted(world.data, **changed)
    contrast = model.module.contrast
    assert list(model.phase_reports) == phases
    assert len(contrast.spaces) == n_spaces
    assert contrast.instances == changed.get("instance_contrast", True)
    assert all((one.source.views is not None) == has_views for one in contrast.spaces)


def test_chances_of_pairs_are_those_of_the_ranking(world, users):
    model = fitted(world.data)
    scores = model.score(users)
    rows, items = np.array([3, 0, 3, 19]), np.array([5, 5, 0, 17])
    expected = 1 / (1 + np.exp(-scores[rows, items]))
    np.testing.assert_allclose(model.predict(users, rows, items), expected, rtol=1e-5)


def test_clicks_are_judged_by_auc_and_logloss(world):
    model = fitted(world.data, epochs=30, use_positions=False)
    assert isinstance(model, RatingRecommender)
    data = replace(world.data, valid=None)
    pairs = clicked_pairs(data, world.test, n_negatives=1)
    found = evaluate_ratings(model, data, world.test, pairs)
    assert found.n_covered == len(pairs.actual)
    assert found.summary()["auc"] > 0.8
    assert found.summary()["logloss"] < 5


def test_scoring_in_small_parts_changes_nothing(world, users, monkeypatch):
    model = fitted(world.data)
    whole = model.score(users)
    rows, items = np.arange(20), np.arange(20) % 18
    chances = model.predict(users, rows, items)
    monkeypatch.setattr("training.baselines.sitn.CELLS_AT_ONCE", 40)
    np.testing.assert_allclose(model.score(users), whole, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.predict(users, rows, items), chances, rtol=1e-4)


def test_newcomers_are_judged_by_their_source_and_nobody_is_unknown(world, users):
    model = fitted(world.data)
    films = csr_array(users.history["films"].shape, dtype=np.float32)
    cold = replace(users, history={**users.history, "films": films})
    scores = model.score(cold)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores.round(6), axis=0)) > 10, "they differ by their source"
    nobody = {
        domain: csr_array(rows.shape, dtype=np.float32) for domain, rows in users.history.items()
    }
    assert np.isnan(model.score(replace(users, history=nobody))).all()
    assert np.isnan(model.predict(replace(users, history=nobody), np.arange(2), np.arange(2))).all()


def timed(history, seed):
    """Return events of all positives at random times."""
    rng = np.random.default_rng(seed)
    found = {}
    for domain, rows in history.items():
        user, item = (one.astype(np.int64) for one in rows.nonzero())
        at = rng.integers(1, 1000, size=len(user))
        found[domain] = Events.ordered(user, item, np.full(len(user), 5, dtype=np.float32), at)
    return found


def test_times_order_the_sequences(world, users):
    data = replace(world.data, events=timed(world.data.interactions, 0))
    model = fitted(data)
    assert model.phase_reports["clicks"].losses != fitted(world.data).phase_reports["clicks"].losses
    first, second = (
        model.score(replace(users, events=timed(users.history, seed))) for seed in (1, 2)
    )
    assert not np.allclose(first, second)
    blind = fitted(data, use_positions=False)
    first, second = (
        blind.score(replace(users, events=timed(users.history, seed))) for seed in (1, 2)
    )
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


def test_before_learning_it_predicts_no_pair(users):
    with pytest.raises(TrainingError, match="sitn has learned nothing yet"):
        Sitn(SitnConfig()).predict(users, np.arange(2), np.arange(2))


def test_it_says_what_it_lacks(world):
    data = world.data
    alone = replace(
        data,
        catalogues={"films": data.catalogues["films"]},
        interactions={"films": data.interactions["films"]},
        valid=None,
        profiles=None,
    )
    with pytest.raises(DatasetError, match="sitn needs a source domain beside target 'films'"):
        fitted(alone)
    nobody = csr_array(data.interactions["films"].shape, dtype=np.float32)
    with pytest.raises(DatasetError, match="sitn needs users with a history in both domains"):
        fitted(replace(data, interactions={**data.interactions, "films": nobody}))


def test_its_defaults_are_enough_to_learn_more_than_popularity(world):
    """With the loop's own 15 epochs of .001 it is below popularity here."""
    model = Sitn(SitnConfig(batch_size=32))  # of 128 clicks
    model.fit(world.data, FitContext(seed=0))
    found, chance = (
        evaluate(one, world.data, world.test, [Full(k=5)]).summary()["full/ndcg@5"]
        for one in (model, fitted_popularity(world.data))
    )
    assert found > chance + 0.3


def fitted_popularity(data):
    model = create("popularity")
    model.fit(data, FitContext())
    return model
