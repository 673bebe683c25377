"""Metrics of ratings and clicks, against scikit-learn and brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from training.rating_metrics import (
    Pairs,
    accuracy,
    area_under_curve,
    log_loss,
    mean_absolute_error,
    precision_at,
    rating_ndcg_at,
    recall_at,
    root_mean_squared_error,
    threshold_precision,
    threshold_recall,
)

N_USERS = 6


def drawn(seed: int) -> tuple[np.ndarray, Pairs]:
    """Return users and pairs: predictions with ties, ratings 1 to 5, whole weights."""
    rng = np.random.default_rng(seed)
    users = np.sort(np.concatenate([np.arange(N_USERS), rng.integers(0, N_USERS, 24)]))
    predicted = rng.integers(1, 8, len(users)) / 2
    actual = rng.integers(1, 6, len(users)).astype(float)
    return users, Pairs(predicted, actual, rng.integers(0, 4, len(users)).astype(float) + 0.5)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_weighted_metrics_are_scikit_learns(seed):
    _, pairs = drawn(seed)
    weights, liked = pairs.weights, pairs.actual >= 4
    error = reference.mean_absolute_error(pairs.actual, pairs.predicted, sample_weight=weights)
    assert mean_absolute_error(pairs) == pytest.approx(error)
    error = reference.root_mean_squared_error(pairs.actual, pairs.predicted, sample_weight=weights)
    assert root_mean_squared_error(pairs) == pytest.approx(error)
    said = pairs.predicted >= 4
    assert accuracy(pairs, 4.0) == pytest.approx(
        reference.accuracy_score(liked, said, sample_weight=weights)
    )
    if 0 < liked.sum() < len(liked):
        assert area_under_curve(pairs, 4.0) == pytest.approx(
            reference.roc_auc_score(liked, pairs.predicted, sample_weight=weights)
        )
        chances = pairs._replace(predicted=pairs.predicted / 8, actual=liked.astype(float))
        assert log_loss(chances) == pytest.approx(
            reference.log_loss(liked, pairs.predicted / 8, sample_weight=weights)
        )


def test_a_weight_is_a_number_of_copies():
    _, pairs = drawn(1)
    times = np.arange(len(pairs.actual)) % 3
    copies = Pairs(*(np.repeat(column, times) for column in pairs))._replace(
        weights=np.ones(times.sum())
    )
    weighted = pairs._replace(weights=times.astype(float))
    for metric in (mean_absolute_error, root_mean_squared_error, area_under_curve, accuracy):
        assert metric(weighted) == pytest.approx(metric(copies), nan_ok=True)


def test_one_sided_truth_has_no_auc_and_a_sure_mistake_is_finite():
    ones = Pairs(np.array([0.2, 0.9]), np.ones(2), np.ones(2))
    assert np.isnan(area_under_curve(ones))
    assert log_loss(Pairs(np.zeros(1), np.ones(1), np.ones(1))) == pytest.approx(-np.log(1e-7))


@given(st.integers(0, 10_000), st.integers(1, 4))
@settings(max_examples=8, deadline=None)
def test_what_ranks_a_users_items_is_the_mean_over_all_orders_of_ties(seed, k):
    """Brute force: every order of a user's items that the predictions allow, with its own P, R and DCG."""
    users, pairs = drawn(seed)
    found = (
        precision_at(users, pairs, k, 4.0),
        recall_at(users, pairs, k, 4.0),
        rating_ndcg_at(users, pairs, k),
    )
    for user in range(N_USERS):
        own = np.flatnonzero(users == user)[:6]
        small = Pairs(*(column[own] for column in pairs))
        nobody = np.zeros(len(own), dtype=np.int64)
        values = np.array([ranked(order, small, k) for order in allowed(small.predicted)])
        alone = (
            precision_at(nobody, small, k, 4.0),
            recall_at(nobody, small, k, 4.0),
            rating_ndcg_at(nobody, small, k),
        )
        np.testing.assert_allclose(np.concatenate(alone), values.mean(axis=0))
        if len(own) == np.count_nonzero(users == user):
            np.testing.assert_allclose([one[user] for one in found], np.concatenate(alone))


def allowed(predicted: np.ndarray) -> list[tuple[int, ...]]:
    orders = itertools.permutations(range(len(predicted)))
    return [order for order in orders if (np.diff(predicted[list(order)]) <= 0).all()]


def ranked(order: tuple[int, ...], pairs: Pairs, k: int) -> list[float]:
    ratings = pairs.actual[list(order)]
    n_relevant = np.count_nonzero(ratings >= 4)
    hits = np.count_nonzero(ratings[:k] >= 4)
    discounts = 1 / np.log2(np.arange(2, k + 2))

    def dcg(values: np.ndarray) -> float:
        best = 2.0 ** values[:k] - 1
        return float(best @ discounts[: len(best)])

    ndcg = dcg(ratings) / dcg(np.sort(ratings)[::-1])
    return [hits / min(k, len(ratings)), hits / n_relevant if n_relevant else np.nan, ndcg]


def test_ndcg_is_scikit_learns_over_exponential_gains():
    rng = np.random.default_rng(0)
    predicted, actual = rng.integers(0, 5, (2, 8, 12)).astype(float)
    users = np.repeat(np.arange(8), 12)
    pairs = Pairs(predicted.ravel(), actual.ravel(), np.ones(96))
    assert rating_ndcg_at(users, pairs, 5).mean() == pytest.approx(
        reference.ndcg_score(2**actual - 1, predicted, k=5)
    )


def test_the_codes_precision_has_no_k():
    users = np.array([0, 0, 0, 1, 1])
    pairs = Pairs(
        np.array([0.9, 0.6, 0.2, 0.1, 0.3]), np.array([1.0, 0.2, 0.8, 0.9, 0.1]), np.ones(5)
    )
    np.testing.assert_array_equal(threshold_precision(users, pairs, 0.5), [0.5, np.nan])
    np.testing.assert_array_equal(threshold_recall(users, pairs, 0.5), [0.5, 0.0])
