"""What an item's text lends: the formula in NumPy, a new item found by its text, no change where likes abound."""

from dataclasses import replace

import numpy as np
import pytest

from training.contract import FitContext
from training.dataset import keep_entries
from training.embedme.config import EmbedMeConfig
from training.embedme.item_text import ItemPlaces, ItemTextSettings, lend_text
from training.embedme.model import EmbedMe
from training.evaluate import user_batch

SETTINGS = ItemTextSettings(ridge=2.0, text_likes=3.0)


@pytest.fixture
def drawn():
    rng = np.random.default_rng(3)
    pooled = rng.normal(size=(60, 8)).astype(np.float32)
    n_likes = rng.integers(0, 30, 60)
    n_likes[:5] = 0
    return ItemPlaces(rng.normal(size=(60, 4)), rng.random(60) * 0.2), pooled, n_likes


def test_it_is_the_formula(drawn):
    places, pooled, n = drawn
    found = lend_text(places, pooled, n, SETTINGS)
    g = pooled - pooled[n > 0].mean(0)
    g = (g / np.linalg.norm(g, axis=1, keepdims=True)).astype(float)
    w = np.diag(n / (n + 10))
    inverse = np.linalg.inv(g.T @ w @ g + 2.0 * np.eye(8))
    told = g @ inverse @ g.T @ w @ places.tastes
    gate = (n / (n + 3))[:, None]
    assert found.tastes == pytest.approx(gate * places.tastes + (1 - gate) * told, abs=1e-4)
    logs = np.log(places.shares + 1e-4)
    logs -= np.trace(w @ np.diag(logs)) / np.trace(w)
    shares = np.exp(g @ inverse @ g.T @ w @ logs)
    shares *= (np.diag(w) @ places.shares) / (np.diag(w) @ shares)
    expected = gate[:, 0] * places.shares + (1 - gate[:, 0]) * shares
    assert found.shares == pytest.approx(expected, rel=1e-3)


def test_likes_outweigh_words_and_nothing_known_changes_nothing(drawn):
    places, pooled, n = drawn
    found = lend_text(places, pooled, np.full_like(n, 10**9), SETTINGS)
    assert found.tastes == pytest.approx(places.tastes, abs=1e-6)
    assert lend_text(places, pooled, np.zeros_like(n), SETTINGS) is places


def test_a_film_nobody_has_liked_is_found_by_its_text(world, settings):
    """Half of the films lose all likes; their titles name the block they belong to."""
    is_new = np.arange(len(world.block_of_film)) % 2 == 0
    films = world.data.interactions["films"]
    kept = keep_entries(films, ~is_new[films.indices])
    data = replace(world.data, interactions={**world.data.interactions, "films": kept})
    users = user_batch(data, world.test.user_rows)
    is_own = (world.block_of_user[world.test.user_rows][:, None] == world.block_of_film)[:, is_new]
    gaps = {}
    for likes in (0.0, 3.0):
        wanted = {"n_target_tastes": 4, "head_epochs": 0, "epochs": 1, "learning_rate": 1e-12}
        model = EmbedMe(
            EmbedMeConfig(**{**settings("embedme"), **wanted, "item_text_likes": likes})
        )
        model.fit(data, FitContext())
        scores = model.score(users)[:, is_new]
        gaps[likes] = scores[is_own].mean() - scores[~is_own].mean()
    assert gaps[0.0] == pytest.approx(0.0, abs=1e-3)
    assert gaps[3.0] > 0.05
