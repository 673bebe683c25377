"""The factors against the objective written again, and its gradient."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from training.bricks import implicit_als
from training.bricks.implicit_als import AlsSettings, implicit_factors

SETTINGS = AlsSettings(n_factors=5, l2=0.02, unliked=4.0, n_sweeps=60)


@pytest.fixture
def liked() -> np.ndarray:
    """Return likes of fifty users, of whom one has none, in thirty items, of which one has none."""
    rng = np.random.default_rng(5)
    dense = (rng.random((50, 30)) < rng.random(30) * 0.5).astype(np.float32)
    dense[7], dense[:, 11] = 0.0, 0.0
    dense[8, 3] = 1.0
    return dense


def objective(liked, users, items, settings):
    """Return the formula of the brick's head, over users and items with likes."""
    liked = liked[liked.any(axis=1)][:, liked.any(axis=0)]
    weight = min(1.0, settings.unliked * liked.mean())
    scores = users @ items.T
    fit = (liked * (1 - scores) ** 2).sum() + weight * (scores**2).sum()
    per_user = liked.sum(axis=1) + weight * liked.shape[1]
    per_item = liked.sum(axis=0) + weight * liked.shape[0]
    of_users, of_items = per_user @ (users**2).sum(axis=1), per_item @ (items**2).sum(axis=1)
    return fit + settings.l2 * (of_users + of_items)


def test_no_step_in_any_direction_lowers_the_objective(liked):
    found = implicit_factors(csr_array(liked), SETTINGS)
    users, items = found.users[liked.any(axis=1)], found.items[liked.any(axis=0)]
    least = objective(liked, users, items, SETTINGS)
    rng = np.random.default_rng(0)
    for _ in range(40):
        steps = [1e-3 * rng.normal(size=one.shape) for one in (users, items)]
        there, back = (
            objective(liked, users + sign * steps[0], items + sign * steps[1], SETTINGS)
            for sign in (1.0, -1.0)
        )
        assert min(there, back) > least
        assert abs(there - back) < 0.02 * (there + back - 2 * least)  # the slope is 0


def test_who_likes_nothing_is_nowhere_and_the_others_are_ordered_by_their_likes(liked):
    found = implicit_factors(csr_array(liked), SETTINGS)
    assert not found.users[7].any()
    assert not found.items[11].any()
    scores = found.users @ found.items.T
    assert scores[liked > 0].mean() > scores[liked == 0].mean() + 0.2


def test_empty_rows_do_not_count(liked):
    taller = np.vstack([liked, np.zeros((500, 30))])
    found, again = (implicit_factors(csr_array(one), SETTINGS) for one in (liked, taller))
    np.testing.assert_allclose(np.abs(found.items), np.abs(again.items), atol=1e-8)


@pytest.mark.parametrize("at_once", [1, 60, 1000])
def test_parts_make_no_difference(liked, monkeypatch, at_once):
    whole = implicit_factors(csr_array(liked), SETTINGS)
    monkeypatch.setattr(implicit_als, "NUMBERS_AT_ONCE", at_once)
    found = implicit_factors(csr_array(liked), SETTINGS)
    np.testing.assert_allclose(found.users, whole.users, atol=1e-9)
    np.testing.assert_allclose(found.items, whole.items, atol=1e-9)


def test_where_everybody_likes_everything_it_is_half_way():
    """With a = 1 each like asks for 1 and, like any pair, for 0."""
    full = csr_array(np.ones((6, 4), dtype=np.float32))
    found = implicit_factors(full, AlsSettings(1, l2=0.0, unliked=1e9, n_sweeps=50))
    np.testing.assert_allclose(found.users @ found.items.T, np.full((6, 4), 0.5), atol=1e-9)


def test_nothing_liked_gives_no_factors():
    found = implicit_factors(csr_array((4, 3), dtype=np.float32), SETTINGS)
    assert (found.users.shape, found.items.shape) == ((4, 0), (3, 0))
