"""Evaluation of predicted ratings: a model that knows half of the pairs, worked by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.metrics import roc_auc_score

from training.contract import RatingRecommender
from training.dataset import Catalogue, Dataset, Events, HeldOut
from training.errors import DatasetError
from training.rating_evaluation import clicked_pairs, evaluate_ratings, rated_pairs

N_USERS, N_ITEMS = 30, 12


class Oracle:
    """Predicts the item row plus the user's id, NaN for the last two items."""

    name = "oracle"

    def predict(self, users, user_rows, item_rows):
        """Return what the class says."""
        found = (users.ids[user_rows] % 3 + item_rows / N_ITEMS).astype(np.float32)
        return np.where(item_rows < N_ITEMS - 2, found, np.nan)


@pytest.fixture
def rated() -> tuple[Dataset, HeldOut]:
    rng = np.random.default_rng(2)
    grid = rng.integers(1, 6, (N_USERS, N_ITEMS)).astype(np.float32)
    kept = rng.random(grid.shape) < 0.5
    held_rows = np.arange(0, N_USERS, 2)

    def events(mask: np.ndarray) -> Events:
        users, items = np.nonzero(mask)
        return Events.ordered(users, items, grid[users, items], np.zeros(len(users), np.int64))

    held = ~kept
    held[1::2] = False
    data = Dataset(
        np.arange(100, 100 + N_USERS, dtype=np.uint32),
        {"films": Catalogue("films", np.arange(N_ITEMS, dtype=np.uint32), ["f"] * N_ITEMS)},
        {"films": csr_array((grid >= 4) * kept * 1.0)},
        "films",
        events={"films": events(kept)},
    )
    positives = csr_array(((grid >= 4) & held)[held_rows] * 1.0)
    return data, HeldOut(held_rows, positives, events=events(held).of_users(held_rows))


def test_every_pair_counts_and_the_unknown_counts_with_the_mean(rated):
    data, held_out = rated
    model = Oracle()
    assert isinstance(model, RatingRecommender)
    found = evaluate_ratings(model, data, held_out, rated_pairs(data, held_out, 4.0))
    rows = found.table().to_pylist()
    assert len(rows) == len(held_out.events)
    mean = data.events["films"].ratings.mean()
    errors = []
    for row in rows:
        known = row["item_id"] < N_ITEMS - 2
        expected = row["user_id"] % 3 + row["item_id"] / N_ITEMS if known else mean
        assert row["predicted"] == pytest.approx(expected, rel=1e-6)
        errors.append(abs(row["actual"] - expected))
    assert found.n_covered == sum(row["item_id"] < N_ITEMS - 2 for row in rows) < len(rows)
    assert found.summary()["mae"] == pytest.approx(np.mean(errors))
    assert set(found.summary()) == {
        *("mae", "rmse", "acc", "auc", "ndcg@5", "precision@5", "recall@5")
    }


def test_users_are_what_intervals_draw(rated):
    data, held_out = rated
    found = evaluate_ratings(Oracle(), data, held_out, rated_pairs(data, held_out, 4.0))
    for metric in ("mae", "rmse", "ndcg"):
        interval = found.interval(metric)
        assert interval.low < interval.mean < interval.high
    per_user = found.per_user("mae")
    ids, counts = np.unique(found.user_ids, return_counts=True)
    assert len(per_user) == len(ids)
    assert per_user @ counts / counts.sum() == pytest.approx(found.summary()["mae"])
    assert np.nanmean(found.per_user("recall")) == pytest.approx(found.summary()["recall@5"])
    with pytest.raises(DatasetError, match="no metric 'logloss'"):
        found.interval("logloss")


def test_clicks_are_ranked_against_items_never_liked(rated):
    data, held_out = rated
    pairs = clicked_pairs(data, held_out, n_negatives=2, seed=1)
    assert pairs.actual.sum() == held_out.positives.nnz
    taken = held_out.positives.toarray()
    seen = data.events["films"].of_users(held_out.user_rows)
    taken[seen.user_rows, seen.item_rows] = 1
    negative = pairs.actual == 0
    assert not taken[pairs.user_rows[negative], pairs.item_rows[negative]].any()
    wanted = np.minimum(2 * np.diff(held_out.positives.indptr), (taken == 0).sum(axis=1))
    np.testing.assert_array_equal(np.bincount(pairs.user_rows[negative], minlength=15), wanted)
    found = evaluate_ratings(Oracle(), data, held_out, pairs)
    assert set(found.summary()) == {"acc", "auc", "logloss"}
    assert found.summary()["auc"] == pytest.approx(roc_auc_score(pairs.actual, found.predicted))


def test_pairs_that_are_trained_on_are_refused(rated):
    data, held_out = rated
    pairs = rated_pairs(data, held_out, 4.0)
    leaky = replace(data, events={"films": Events(*held_rows_of(held_out))})
    with pytest.raises(DatasetError, match="the split leaks"):
        evaluate_ratings(Oracle(), leaky, held_out, pairs)
    with pytest.raises(DatasetError, match="no held-out interaction"):
        rated_pairs(data, replace(held_out, events=None), 4.0)


def held_rows_of(held_out: HeldOut) -> tuple[np.ndarray, ...]:
    events = held_out.events
    return held_out.user_rows[events.user_rows], events.item_rows, events.ratings, events.at
