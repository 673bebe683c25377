"""The taste map against kernel ridge written again, and in a world where what is right is known."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from training.bricks.implicit_als import AlsSettings, implicit_factors
from training.embedme.taste_map import (
    TasteMapSettings,
    cross_fitted,
    fit_map,
    foretold,
    learn_spaces,
)

SETTINGS = TasteMapSettings(
    AlsSettings(3, l2=0.02, unliked=5.0), AlsSettings(2, l2=0.01, unliked=3.0), ridge=0.7
)


@pytest.fixture
def users() -> tuple[csr_array, csr_array]:
    """Interests and likes of forty users, at random."""
    rng = np.random.default_rng(3)
    interests = rng.random((40, 12)) * (rng.random((40, 12)) < 0.4)
    liked = (rng.random((40, 9)) < 0.3).astype(np.float32)
    return csr_array(interests), csr_array(liked)


def features(interests: csr_array, basis: np.ndarray) -> np.ndarray:
    x = interests.toarray()
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    z = x @ basis
    return np.hstack([x, z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)])


def test_the_spaces_are_factors_of_who_is_interested_at_all_and_of_likes(users):
    interests, liked = users
    spaces = learn_spaces(interests, liked, SETTINGS)
    at_all = csr_array((interests.toarray() > 0).astype(np.float32))
    assert np.array_equal(spaces.interest_basis, implicit_factors(at_all, SETTINGS.interests).items)
    assert spaces.interest_basis.shape == (12, 3)
    factors = implicit_factors(liked, SETTINGS.target)
    assert np.array_equal(spaces.user_tastes, factors.users)
    assert np.array_equal(spaces.item_tastes, factors.items)


def test_the_map_equals_kernel_ridge_in_the_dual(users):
    interests, liked = users
    spaces = learn_spaces(interests, liked, SETTINGS)
    tastes = spaces.user_tastes[:30]
    found = fit_map(spaces, interests[:30], tastes, SETTINGS).user_tastes(interests[30:])
    own, others = (
        features(rows, spaces.interest_basis) for rows in (interests[:30], interests[30:])
    )
    dual = np.linalg.solve(own @ own.T + SETTINGS.ridge * np.eye(30), tastes - tastes.mean(axis=0))
    np.testing.assert_allclose(found, others @ own.T @ dual, atol=1e-5)


def test_a_user_without_interests_has_no_taste(users):
    interests, liked = users
    spaces = learn_spaces(interests, liked, SETTINGS)
    fitted = fit_map(spaces, interests, spaces.user_tastes, SETTINGS)
    nothing = csr_array((2, interests.shape[1]), dtype=np.float64)
    assert fitted.user_tastes(nothing).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_scale_and_batch_of_interests_do_not_matter(users):
    interests, liked = users
    spaces = learn_spaces(interests, liked, SETTINGS)
    fitted = fit_map(spaces, interests, spaces.user_tastes, SETTINGS)
    whole = fitted.user_tastes(interests)
    np.testing.assert_allclose(fitted.user_tastes(interests * 7.0), whole, atol=1e-12)
    np.testing.assert_allclose(fitted.user_tastes(interests[5:6]), whole[5:6], atol=1e-12)


def test_cross_fitted_maps_never_saw_the_users_of_their_fold(users):
    interests, liked = users
    spaces = learn_spaces(interests, liked, SETTINGS)
    folds = np.arange(40) % 4
    tastes = spaces.user_tastes
    maps = cross_fitted(spaces, interests, tastes, SETTINGS, folds)
    changed = np.where((folds == 2)[:, None], 1 - tastes, tastes)
    again = cross_fitted(spaces, interests, changed, SETTINGS, folds)
    assert np.array_equal(maps[2].from_interests, again[2].from_interests)
    assert not np.allclose(maps[1].from_interests, again[1].from_interests)


def test_an_empty_target_gives_a_map_of_no_dimensions(users):
    interests, _ = users
    nothing = csr_array((40, 9), dtype=np.float32)
    spaces = learn_spaces(interests, nothing, SETTINGS)
    fitted = fit_map(spaces, interests, spaces.user_tastes, SETTINGS)
    assert fitted.user_tastes(interests).shape == (40, 0)


def test_source_only_and_target_only_people_teach_the_map_what_goes_together():
    """Entities 0, 1 go together, and so do items 0, 1: each is known from people of one domain only."""
    source_only = np.repeat([[1, 1, 0, 0], [0, 0, 1, 1]], 30, axis=0)
    target_only = np.repeat([[1, 1, 0, 0], [0, 0, 1, 1]], 30, axis=0)
    both = ([[1, 0, 0, 0], [0, 0, 1, 0]], [[1, 0, 0, 0], [0, 0, 1, 0]])
    interests = csr_array(np.vstack([source_only, np.zeros((60, 4)), both[0]]).astype(float))
    liked = csr_array(np.vstack([np.zeros((60, 4)), target_only, both[1]]).astype(np.float32))
    of_both = AlsSettings(2, l2=0.001, unliked=3.0)
    settings = TasteMapSettings(of_both, of_both, ridge=0.1)
    spaces = learn_spaces(interests, liked, settings)
    fitted = fit_map(spaces, interests[-2:], spaces.user_tastes[-2:], settings)
    newcomer = csr_array(np.array([[0.0, 1.0, 0.0, 0.0]]))
    scores = (fitted.user_tastes(newcomer) @ fitted.item_tastes.T).ravel()
    assert scores[1] > 0 > scores[3]
    assert scores[0] == pytest.approx(scores[1], rel=0.05)


def test_slopes_are_those_of_least_squares_on_predictions_of_others(users):
    interests, liked = users
    spaces = learn_spaces(interests, liked, SETTINGS)
    folds = np.arange(40) % 4
    tastes = spaces.user_tastes
    maps = cross_fitted(spaces, interests, tastes, SETTINGS, folds)
    found = foretold(maps, interests, tastes, folds)
    wanted = tastes - tastes.mean(axis=0)
    predicted = np.stack([maps[folds[u]].user_tastes(interests[[u]])[0] for u in range(40)])
    for j in range(2):
        slope = np.linalg.lstsq(predicted[:, [j]], wanted[:, j])[0][0]
        assert found[j] == pytest.approx(np.clip(slope, 0, 1), abs=1e-5)
    shrunk = maps[0].shrunk(np.array([0.5, 0.0]))
    assert shrunk.user_tastes(interests) == pytest.approx(
        maps[0].user_tastes(interests) * [0.5, 0.0]
    )


def test_what_cannot_be_foretold_goes_silent():
    """Half of the films follow the books a user reads, the other half a coin."""
    rng = np.random.default_rng(0)
    side = rng.integers(2, size=600)
    coin = rng.integers(2, size=600)
    likes = np.zeros((600, 40))
    for user in range(600):
        likes[user, rng.choice(10, 7, replace=False) + 10 * side[user]] = 1
        likes[user, rng.choice(10, 4, replace=False) + 20 + 10 * coin[user]] = 1
    interests = csr_array(np.eye(2)[side] * 0.9 + 0.1)
    settings = TasteMapSettings(
        AlsSettings(2, l2=0.001, unliked=20.0), AlsSettings(3, l2=0.001, unliked=20.0), ridge=1.0
    )
    spaces = learn_spaces(interests, csr_array(likes), settings)
    folds = np.arange(600) % 5
    maps = cross_fitted(spaces, interests, spaces.user_tastes, settings, folds)
    slopes = foretold(maps, interests, spaces.user_tastes, folds)
    of_side = np.abs(spaces.item_tastes[:20]).sum(axis=0) - np.abs(spaces.item_tastes[20:]).sum(
        axis=0
    )
    assert slopes[of_side > 3].min(initial=1.0) > 0.9
    assert slopes[of_side < -3].max(initial=0.0) < 0.5
    assert (of_side > 3).any()
    assert (of_side < -3).any()
