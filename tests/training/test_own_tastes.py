"""The taste of people with a history in the target: its formula, its world, and newcomers who see nothing of it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from training.contract import FitContext, UserBatch
from training.dataset import Catalogue, Dataset
from training.embedme.config import EmbedMeConfig
from training.embedme.model import EmbedMe
from training.embedme.own_tastes import (
    OwnTasteSettings,
    item_signs,
    learn_own_tastes,
    usual_weights,
)
from training.evaluate import user_batch, with_profiles

SETTINGS = OwnTasteSettings(n_tastes=3, ridge=0.5, weight=4.0)
CLOSED_FORM = {"head_epochs": 0, "fine_tune": False, "n_target_tastes": 4}


# entities 0-3 are of films, 4 and 5 of books, 6 of both, 7 of two films
HELD = {
    "films": np.array(
        [
            [1, 0, 0, 0, 0, 0, 1, 0],
            [0, 1, 1, 0, 0, 0, 0, 0],
            [0, 0, 0, 1, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 0, 0, 1],
        ]
    ),
    "books": np.array([[0, 0, 0, 0, 1, 0, 1, 0], [0, 0, 0, 0, 0, 1, 0, 0]]),
}


class Held:
    """Profiles of the entities that items hold."""

    def texts(self, histories):
        """Return nothing: no text is read here."""
        return [""] * next(iter(histories.values())).shape[0]

    def interests(self, histories):
        """Return how many items hold each entity."""
        return csr_array(sum(rows.toarray() @ HELD[domain] for domain, rows in histories.items()))


@pytest.fixture
def drawn() -> Dataset:
    rng = np.random.default_rng(1)
    rows = {"books": rng.random((30, 2)) < 0.5, "films": rng.random((30, 4)) < 0.5}
    return Dataset(
        user_ids=np.arange(30, dtype=np.uint32),
        catalogues={
            name: Catalogue(name, np.arange(one.shape[1], dtype=np.uint32), ["x"] * one.shape[1])
            for name, one in rows.items()
        },
        interactions={name: csr_array(one.astype(np.float32)) for name, one in rows.items()},
        target="films",
        profiles=Held(),
    )


def test_a_sign_is_what_one_film_alone_holds(drawn):
    signs, items = item_signs(drawn)
    assert signs.tolist() == [0, 1, 2, 3]
    assert items.tolist() == [0, 1, 1, 2]  # film 3 holds nothing of its own


def test_it_is_the_formula(drawn):
    learned = learn_own_tastes(drawn, SETTINGS)
    np.testing.assert_allclose(learned.usual, 1.0)  # every entity weighs 1 here
    x = np.array([[3.0, 1, 1, 0, 5, 0, 2, 0], [0, 0, 0, 0, 1, 0, 1, 0], [0, 0, 6, 2, 0, 0, 0, 1]])
    # the items named: weights over their mean, an item of two signs by their mean
    h = np.array([[9 / 5, (3 / 5 + 3 / 5) / 2, 0, 0], [0, 0, 0, 0], [0, 1.5 / 2, 0.5, 0]])
    t = drawn.interactions["films"].toarray().astype(float)
    n_u, n_i = np.maximum(t.sum(axis=1), 1), t.sum(axis=0)
    scaled = t / n_u[:, None] ** 0.25 / n_i**0.35
    _, sigma, vt = np.linalg.svd(scaled, full_matrices=False)
    d = (sigma**2 / (sigma**2 + 0.5 * sigma[0] ** 2))[:3]
    expected = 4.0 * (h / n_i**0.35) @ vt[:3].T @ np.diag(d) @ vt[:3] * n_i**0.35
    found = learned.user_tastes(csr_array(x)) @ learned.item_tastes.T
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert (found[1] == 0).all()


def test_what_is_usual_of_an_interest_is_no_word_about_its_user():
    """Weights that are (factor of the user) x (factor of the entity), as tf x idf is, tell no likes apart."""
    rng = np.random.default_rng(6)
    of_user, of_sign = rng.uniform(0.1, 3.0, (40, 1)), rng.uniform(0.5, 9.0, 7)
    named = (rng.random((40, 7)) < 0.6) * of_user * of_sign
    found = usual_weights(csr_array(named))
    np.testing.assert_allclose(found / of_sign, (found / of_sign)[0], rtol=1e-6)


def test_only_proportions_count_and_an_interest_taken_out_is_forgotten(drawn):
    learned = learn_own_tastes(drawn, SETTINGS)
    x = np.array([[2.0, 1, 1, 0, 0, 1, 0, 0]])
    once = learned.user_tastes(csr_array(x))
    np.testing.assert_allclose(learned.user_tastes(csr_array(7 * x)), once, atol=1e-12)
    x[0, :3] = 0
    assert (learned.user_tastes(csr_array(x)) == 0).all()


def fitted(data: Dataset, settings, **changes) -> EmbedMe:
    model = EmbedMe(EmbedMeConfig(**{**settings("embedme"), **CLOSED_FORM, **changes}))
    model.fit(data, FitContext())
    return model


def test_newcomers_see_nothing_of_it(world, settings):
    newcomers = user_batch(world.data, world.test.user_rows)
    without, beside = (fitted(world.data, settings, n_own_tastes=n) for n in (0, 8))
    np.testing.assert_array_equal(without.score(newcomers), beside.score(newcomers))


def test_who_named_a_film_is_shown_what_its_friends_like(world, settings):
    """Films go together by their number, whatever their block: books know nothing of that, other viewers do."""
    rng = np.random.default_rng(2)
    n_users, n_films = world.data.interactions["films"].shape
    sort_of_film = np.arange(n_films) % 3
    sort_of_user = rng.integers(0, 3, n_users)
    films = (rng.random((n_users, n_films)) < 0.8) & (sort_of_user[:, None] == sort_of_film)
    data = replace(
        world.data,
        interactions={**world.data.interactions, "films": csr_array(films.astype(np.float32))},
        valid=None,
    )
    named = np.zeros((3, n_films), dtype=np.float32)
    named[[0, 1, 2], [0, 1, 2]] = 1
    no_books = csr_array((3, data.interactions["books"].shape[1]), dtype=np.float32)
    history = {"books": no_books, "films": csr_array(named)}
    users = with_profiles(data, np.arange(3, dtype=np.uint32), history)
    is_own = (sort_of_film == np.arange(3)[:, None]) & (named == 0)
    hits = {}
    for n in (0, 8):
        scores = np.where(named > 0, -np.inf, fitted(data, settings, n_own_tastes=n).score(users))
        best = np.argsort(-scores, axis=1)[:, :5]
        hits[n] = np.take_along_axis(is_own, best, axis=1).mean()
    assert hits[8] == 1.0
    assert hits[0] < 0.7


def test_it_is_stored_with_the_model(world, settings):
    model = fitted(world.data, settings, n_own_tastes=8)
    other = EmbedMe(model.settings)
    other.restore(model.state(), model.assets())
    users: UserBatch = user_batch(world.data, np.arange(20))
    assert np.ptp(model.score(users)) > 0
    np.testing.assert_array_equal(other.score(users), model.score(users))
