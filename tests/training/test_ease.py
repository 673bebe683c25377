"""EASE against the paper's ten lines, in both spaces."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from training.baselines.ease import item_space, user_space
from training.contract import FitContext, UserBatch
from training.errors import DatasetError
from training.evaluate import user_batch
from training.registry import create


def by_the_paper(x: np.ndarray, ridge: float) -> np.ndarray:
    """Steck's listing."""
    gram = x.T @ x
    gram[np.diag_indices(len(gram))] += ridge
    p = np.linalg.inv(gram)
    b = p / (-np.diag(p))
    b[np.diag_indices(len(b))] = 0
    return b


@pytest.fixture
def histories() -> np.ndarray:
    return (np.random.default_rng(0).random((30, 40)) < 0.3).astype(np.float64)


@pytest.mark.parametrize("n_shared", [0, 5, 30])
def test_few_or_many_shared_users_make_no_difference(histories, n_shared):
    histories[n_shared : n_shared + 12, :25] = 0
    histories[n_shared + 12 :, 25:] = 0
    expected = by_the_paper(histories, 2.0)[:, -15:]
    np.testing.assert_allclose(item_space(csr_array(histories), 15, 2.0), expected, atol=1e-6)


@pytest.mark.parametrize("ridge", [0.5, 20.0])
def test_both_spaces_are_the_papers_weights(histories, ridge):
    expected = by_the_paper(histories, ridge)[:, -15:]
    np.testing.assert_allclose(item_space(csr_array(histories), 15, ridge), expected, atol=1e-6)
    target = by_the_paper(histories[:, -15:], ridge)
    found = item_space(csr_array(histories[:, -15:]), 15, ridge)
    np.testing.assert_allclose(found, target, atol=1e-6)
    weights, own = user_space(csr_array(histories), 15, ridge)
    asked = (np.random.default_rng(1).random((7, 40)) < 0.2).astype(np.float64)
    found = asked @ histories.T @ weights - asked[:, -15:] * own
    np.testing.assert_allclose(found, asked @ expected, atol=1e-5)


@pytest.mark.parametrize("name", ["ease", "ease_target"])
def test_it_scores_as_the_paper_in_either_space(world, name):
    users = user_batch(world.data, np.arange(48))
    rows = {domain: rows.toarray() for domain, rows in world.data.interactions.items()}
    x = np.hstack([rows["books"], rows["films"]]) if name == "ease" else rows["films"]
    expected = (x @ by_the_paper(x, 3.0))[:, -18:]
    expected[x.sum(axis=1) == 0] = np.nan
    model = create(name, {"ridge": 3.0})
    report = model.fit(world.data, FitContext())
    assert report.notes == (
        ("solved over 42 items",) if name == "ease" else ("solved over 18 items",)
    )
    np.testing.assert_allclose(model.score(users), expected, atol=1e-5)


def test_few_users_are_solved_over_users_and_score_the_same(world):
    few = np.array([0, 1, 2, 17, 18, 19, 33, 34, 35, 40])
    interactions = {name: rows[few] for name, rows in world.data.interactions.items()}
    data = replace(
        world.data, user_ids=world.data.user_ids[few], interactions=interactions, valid=None
    )
    x = np.hstack([interactions["books"].toarray(), interactions["films"].toarray()])
    model = create("ease", {"ridge": 3.0})
    assert model.fit(data, FitContext()).notes == ("solved over 10 users",)
    everyone = user_batch(world.data, np.arange(48))
    asked = np.hstack([everyone.history["books"].toarray(), everyone.history["films"].toarray()])
    expected = (asked @ by_the_paper(x, 3.0))[:, -18:]
    np.testing.assert_allclose(model.score(everyone), expected, atol=1e-5)
    again = create("ease", {"ridge": 3.0})
    again.restore(model.state(), {})
    np.testing.assert_array_equal(again.score(everyone), model.score(everyone))


def test_a_stranger_is_judged_by_history_alone(world):
    model = create("ease")
    model.fit(world.data, FitContext())
    known = user_batch(world.data, np.array([3]))
    stranger = UserBatch(np.array([4_000_000_000], dtype=np.uint32), known.history)
    np.testing.assert_array_equal(model.score(stranger), model.score(known))


def test_an_item_without_a_training_row_scores_zero(world):
    films = world.data.interactions["films"].toarray()
    films[:, 4] = 0
    data = replace(
        world.data, interactions={**world.data.interactions, "films": csr_array(films)}, valid=None
    )
    model = create("ease")
    model.fit(data, FitContext())
    assert (model.score(user_batch(data, np.arange(48)))[:, 4] == 0).all()


def test_without_any_positive_it_refuses(world):
    nothing = {name: rows * 0 for name, rows in world.data.interactions.items()}
    with pytest.raises(DatasetError, match="no positive interaction in books, films"):
        create("ease").fit(replace(world.data, interactions=nothing, valid=None), FitContext())
