"""Labelled pairs of clicks and of ratings, counted by hand."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from training.bricks.feedback import Feedback, LabelledDomain, met, rating_scale
from training.dataset import Catalogue, Dataset, Events
from training.errors import DatasetError

GRID = {
    "books": np.array([[5, 0, 1, 0], [0, 4, 0, 0], [0, 0, 0, 0]], dtype=np.float32),
    "films": np.array([[0, 3, 0], [5, 2, 0], [0, 0, 4]], dtype=np.float32),
}


def rated(*, with_ratings: bool = True) -> Dataset:
    def events(grid: np.ndarray) -> Events:
        users, items = np.nonzero(grid)
        ratings = grid[users, items] if with_ratings else np.full(len(users), np.nan, np.float32)
        return Events.ordered(users, items, ratings, np.zeros(len(users), np.int64))

    return Dataset(
        np.arange(3, dtype=np.uint32),
        {
            name: Catalogue(name, np.arange(grid.shape[1], dtype=np.uint32), ["x"] * grid.shape[1])
            for name, grid in GRID.items()
        },
        {name: csr_array((grid >= 4).astype(np.float32)) for name, grid in GRID.items()},
        "films",
        events={name: events(grid) for name, grid in GRID.items()},
    )


def test_ratings_are_all_events_on_one_scale():
    data = rated()
    assert rating_scale(data, Feedback.RATINGS) == (1.0, 5.0)
    pairs = LabelledDomain(data, ["books", "films"], Feedback.RATINGS, 3).epoch(
        np.random.default_rng(0)
    )
    both = np.concatenate([GRID["books"], GRID["films"]], axis=1)
    expected = sorted((u, i, (both[u, i] - 1) / 4) for u, i in zip(*np.nonzero(both), strict=True))
    assert sorted(zip(*pairs, strict=True)) == expected


def test_clicks_are_positives_with_negatives_of_their_own_domain():
    data = rated()
    side = LabelledDomain(data, ["books", "films"], Feedback.CLICKS, 2)
    assert rating_scale(data, Feedback.CLICKS) == (0.0, 1.0)
    liked = np.concatenate([GRID["books"] >= 4, GRID["films"] >= 4], axis=1)
    seen = set()
    for seed in range(20):
        pairs = side.epoch(np.random.default_rng(seed))
        assert (liked[pairs.user_rows, pairs.item_rows] == (pairs.labels == 1)).all()
        assert pairs.labels.sum() == liked.sum()
        assert len(pairs.labels) == 3 * liked.sum()
        of_books = pairs.item_rows < 4
        assert np.bincount(pairs.user_rows[of_books], minlength=3).tolist() == [3, 3, 0]
        seen |= set(zip(pairs.user_rows.tolist(), pairs.item_rows.tolist(), strict=True))
    assert len(seen) > 3 * liked.sum()


def test_the_graph_holds_low_ratings_where_ratings_are_learned():
    data = rated()
    whole = np.concatenate([GRID["books"], GRID["films"]], axis=1)
    domains = ("books", "films")
    for feedback, cut in ((Feedback.RATINGS, 1), (Feedback.CLICKS, 4)):
        found = met(data.interactions, data.events, domains, feedback)
        np.testing.assert_array_equal(found.toarray(), whole >= cut)
    unrated = met(data.interactions, None, domains, Feedback.RATINGS)
    np.testing.assert_array_equal(unrated.toarray(), whole >= 4)


def test_without_grades_there_are_no_ratings_to_learn():
    with pytest.raises(DatasetError, match="set feedback to 'clicks'"):
        rating_scale(rated(with_ratings=False), Feedback.RATINGS)
