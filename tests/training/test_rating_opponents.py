"""Means of items and users, and chances by popularity, against loops over single ratings."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from training.contract import RatingRecommender
from training.dataset import Catalogue, Dataset, Events, HeldOut
from training.evaluate import user_batch
from training.rating_evaluation import clicked_pairs, evaluate_ratings
from training.rating_opponents import ITEM_SHRINKAGE, USER_SHRINKAGE, ClickShares, Means

N_USERS, N_ITEMS = 40, 15


def rated(rng: np.random.Generator, share: float) -> Events:
    users, items = np.nonzero(rng.random((N_USERS, N_ITEMS)) < share)
    ratings = rng.integers(1, 6, len(users)).astype(np.float32)
    ratings[rng.random(len(users)) < 0.1] = np.nan
    return Events.ordered(users, items, ratings, np.zeros(len(users), np.int64))


@pytest.fixture
def data() -> Dataset:
    rng = np.random.default_rng(4)
    events = {"books": rated(rng, 0.4), "films": rated(rng, 0.3)}
    newcomer = np.array([7])
    events["films"] = events["films"].without_users(newcomer)
    catalogues = {
        domain: Catalogue(domain, np.arange(N_ITEMS, dtype=np.uint32), [""] * N_ITEMS)
        for domain in events
    }
    liked = {
        domain: csr_array(
            (one.ratings >= 4, (one.user_rows, one.item_rows)), shape=(N_USERS, N_ITEMS)
        ).astype(np.float32)
        for domain, one in events.items()
    }
    return Dataset(np.arange(N_USERS, dtype=np.uint32), catalogues, liked, "films", events=events)


def test_means_are_those_of_a_loop_over_all_ratings_also_for_a_newcomer(data):
    model = Means(data)
    assert isinstance(model, RatingRecommender)
    rows = {
        domain: [
            (int(u), int(i), float(r))
            for u, i, r in zip(one.user_rows, one.item_rows, one.ratings, strict=True)
            if not np.isnan(r)
        ]
        for domain, one in data.events.items()
    }
    mean = {domain: np.mean([r for _, _, r in own]) for domain, own in rows.items()}

    def item(domain: str, row: int) -> float:
        own = [r - mean[domain] for _, i, r in rows[domain] if i == row]
        return sum(own) / (ITEM_SHRINKAGE + len(own))

    def user(row: int) -> float:
        own = [
            r - mean[domain] - item(domain, i)
            for domain, known in rows.items()
            for u, i, r in known
            if u == row
        ]
        return sum(own) / (USER_SHRINKAGE + len(own))

    asked = np.array([7, 3, 20])
    films = np.array([0, 5, 14, 5])
    found = model.predict(user_batch(data, asked), np.array([0, 0, 1, 2]), films)
    expected = [
        mean["films"] + item("films", film) + user(who)
        for who, film in zip((7, 7, 3, 20), films, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert abs(user(7)) > 0.01  # known by books alone


def test_the_chance_of_a_click_is_how_often_such_a_pair_is_one():
    rng = np.random.default_rng(0)
    n_users, n_items, n_negatives = 10_000, 50, 2
    grid = rng.random((n_users, n_items)) < 0.2 / np.arange(1, n_items + 1)
    train = grid & (rng.random(grid.shape) < 0.5)
    test = grid & ~train
    users = np.flatnonzero(test.any(axis=1))
    data = Dataset(
        np.arange(n_users, dtype=np.uint32),
        {"films": Catalogue("films", np.arange(n_items, dtype=np.uint32), [""] * n_items)},
        {"films": csr_array(train.astype(np.float32))},
        "films",
    )
    held_out = HeldOut(users, csr_array(test[users].astype(np.float32)))
    pairs = clicked_pairs(data, held_out, n_negatives=n_negatives)
    found = evaluate_ratings(ClickShares(data, n_negatives), data, held_out, pairs)
    for item in (0, 1, 3, 9):
        own = pairs.item_rows == item
        assert own.sum() > 100
        assert found.predicted[own].mean() == pytest.approx(pairs.actual[own].mean(), abs=0.1)
    assert found.summary()["auc"] > 0.6
