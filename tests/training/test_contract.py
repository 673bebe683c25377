"""The contract, over every model of the registry."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from training import baselines
from training.contract import FitContext, Need, UserBatch, VectorRecommender
from training.errors import TrainingError
from training.evaluate import user_batch
from training.registry import MODELS, create, model_class, names

PERSONAL = [name for name in names() if name != "popularity"]
TARGET_ONLY = {"ease_target"}  # transfer nothing: a newcomer is nobody to them


@pytest.fixture(scope="module")
def fitted_models() -> dict:
    return {}


@pytest.fixture(params=names())
def fitted(request, world, settings, fitted_models):
    """Return each model, fitted once on the world (which is the same in every test)."""
    name = request.param
    if name not in fitted_models:
        model = create(name, settings(name))
        model.fit(world.data, FitContext(seed=1))
        fitted_models[name] = model
    return fitted_models[name]


@pytest.fixture
def test_users(world) -> UserBatch:
    return user_batch(world.data, world.test.user_rows)


def permuted(users: UserBatch, order: np.ndarray) -> UserBatch:
    return UserBatch(
        users.ids[order],
        {domain: rows[order] for domain, rows in users.history.items()},
        [users.profiles[i] for i in order],
    )


def test_a_newcomers_block_comes_first(world, fitted, test_users):
    scores = fitted.score(test_users)
    assert scores.shape == (12, 18)
    assert scores.dtype == np.float32
    if fitted.name in TARGET_ONLY:
        assert np.isnan(scores).all()
        return
    best = np.argsort(-scores, axis=1)[:, :6]
    own = world.block_of_film[best] == world.block_of_user[world.test.user_rows][:, None]
    if fitted.name in PERSONAL:
        assert own.mean() > 0.85  # chance is 1/3
    else:
        assert (scores == scores[0]).all()


def test_a_batch_equals_its_users_one_by_one(fitted, test_users):
    whole = fitted.score(test_users)
    for row in range(len(test_users)):
        alone = fitted.score(permuted(test_users, np.array([row])))
        np.testing.assert_allclose(alone[0], whole[row], rtol=1e-4, atol=1e-4)


def test_permuting_users_permutes_rows(fitted, test_users):
    order = np.random.default_rng(0).permutation(len(test_users))
    shuffled = fitted.score(permuted(test_users, order))
    np.testing.assert_allclose(shuffled, fitted.score(test_users)[order], rtol=1e-4, atol=1e-4)


def test_a_user_nobody_knows_is_nan_or_scored(fitted, newcomer):
    scores = fitted.score(newcomer)
    assert scores.shape == (1, 18)
    assert np.isnan(scores).all() == bool(fitted.needs), (
        "an empty user is unknown to whoever needs something"
    )


def test_no_user_at_all_is_legal(fitted, test_users):
    assert fitted.score(permuted(test_users, np.empty(0, dtype=np.int64))).shape == (0, 18)


def test_restored_scores_are_equal(fitted, settings, test_users):
    other = create(fitted.name, settings(fitted.name))
    other.restore(fitted.state(), fitted.assets())
    np.testing.assert_array_equal(other.score(test_users), fitted.score(test_users))
    np.testing.assert_array_equal(other.item_ids, fitted.item_ids)


def test_vectors_multiply_to_scores(fitted, test_users):
    if not isinstance(fitted, VectorRecommender):
        return
    product = fitted.user_vectors(test_users) @ fitted.item_vectors().T
    np.testing.assert_array_equal(product, fitted.score(test_users))


@pytest.mark.parametrize("name", names())
def test_same_seed_same_scores_and_a_refit_starts_anew(name, world, settings, test_users):
    quick = {key: 2 if key.endswith("epochs") else value for key, value in settings(name).items()}
    first, second = create(name, quick), create(name, quick)
    first.fit(world.data, FitContext(seed=3))
    once = first.score(test_users)
    other = {**world.data.interactions, "films": world.data.interactions["films"][::-1]}
    second.fit(replace(world.data, interactions=other, valid=None), FitContext(seed=4))
    second.fit(world.data, FitContext(seed=3))
    np.testing.assert_array_equal(second.score(test_users), once)
    if name == "embedme":
        second.fit(world.data, FitContext(seed=5))
        assert not np.array_equal(second.score(test_users), once)


@pytest.mark.parametrize("name", names())
def test_it_learns_in_mixed_precision(name, world, settings, test_users):
    """The command line's default; models without products of matrices are none the wiser."""
    quick = {key: 1 if key.endswith("epochs") else value for key, value in settings(name).items()}
    model = create(name, quick)
    report = model.fit(world.data, FitContext(seed=3, precision="bf16-mixed"))
    assert np.isfinite(report.losses).all()
    scores = model.score(test_users)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all() or name in TARGET_ONLY


@pytest.mark.parametrize("name", names())
def test_asked_before_learning_it_says_so(name, settings, newcomer):
    model = create(name, settings(name))
    with pytest.raises(TrainingError, match=f"{name} has learned nothing yet"):
        model.score(replace(newcomer, profiles=["red book1"]))
    with pytest.raises(TrainingError, match=f"{name} has learned nothing yet"):
        model.state()


def test_every_file_in_baselines_is_registered_and_names_its_paper():
    folder = Path(baselines.__file__).parent
    files = {f"training.baselines.{path.stem}" for path in folder.glob("*.py")} - {
        "training.baselines.__init__"
    }
    assert files == {module for module, _ in MODELS.values() if ".baselines." in module}
    for name in names():
        found = model_class(name)
        assert found.name == name
        assert len(found.paper) > 20
        assert any(year in found.paper for year in map(str, range(1990, 2030)))
        assert all(isinstance(need, Need) for need in found.needs)
        assert find_spec(found.__module__) is not None
