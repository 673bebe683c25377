"""The interest score against equations 4-7 written again, and its edges."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from mekb.interests import build_profiles
from mekb.scoring import (
    ScoringConfig,
    interest_weights,
    inverse_user_frequency,
    smoothed_frequency,
)


def equations_4_to_7(liked, held, k_star):
    """Score in plain Python: liked is {user: items}, held {item: {entity: multiplier}}."""
    counts = {
        user: Counter(entity for item in items for entity in held.get(item, {}))
        for user, items in liked.items()
    }
    multiplier = {
        entity: weight for entities in held.values() for entity, weight in entities.items()
    }
    n_users = Counter(entity for entities in counts.values() for entity in entities)
    scores = {}
    for user, entities in counts.items():
        raw = {}
        for entity, k in entities.items():
            smoothed = k if k < k_star else k_star * (1 + math.log(k / k_star))
            raw[entity] = multiplier[entity] * smoothed * math.log(len(liked) / n_users[entity])
        total = sum(raw.values())
        scores[user] = {entity: value / total for entity, value in raw.items() if value > 0}
    return scores


@pytest.mark.parametrize("k_star", [0.5, 1.0, 2.0, 5.0])
def test_a_store_is_scored_as_the_equations_say(store, k_star):
    liked, held = defaultdict(set), defaultdict(dict)
    for row in store.read("interactions").to_pylist():
        if row["positive"]:
            liked[row["user_id"]].add(row["item_id"])
    for row in store.read("item_entities").to_pylist():
        held[row["item_id"]][row["entity_id"]] = row["weight"]
    build_profiles(store, ScoringConfig(k_star=k_star))
    found = defaultdict(dict)
    for row in store.read("user_entity").to_pylist():
        found[row["user_id"]][row["entity_id"]] = row["weight"]
    expected = {
        user: scores for user, scores in equations_4_to_7(liked, held, k_star).items() if scores
    }
    assert found.keys() == expected.keys()
    for user, scores in expected.items():
        assert found[user] == pytest.approx(scores, rel=1e-12)


def test_log_smoothing_is_continuous_at_k_star():
    k_star = 5.0
    below, at, above = smoothed_frequency(np.array([k_star - 1e-9, k_star, k_star + 1e-9]), k_star)
    assert at == k_star
    assert below == pytest.approx(at, abs=1e-8)
    assert above == pytest.approx(at, abs=1e-8)
    # The slope is 1 on both sides, so that no count is preferred at the seam.
    assert (at - below) / 1e-9 == pytest.approx((above - at) / 1e-9, rel=1e-3)


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=20), st.floats(0.1, 100))
def test_smoothing_keeps_the_order_of_counts_and_never_raises_them(counts, k_star):
    ordered = np.sort(np.array(counts, dtype=float))
    smoothed = smoothed_frequency(ordered, k_star)
    assert np.all(np.diff(smoothed) >= 0)
    assert np.all(smoothed <= np.maximum(ordered, k_star) + 1e-9)
    assert np.all(np.isfinite(smoothed))


def test_idf_is_zero_for_everybody_and_largest_for_one():
    idf = inverse_user_frequency(100, np.array([100, 50, 1, 0]))
    assert idf[0] == 0.0
    assert idf[1] == pytest.approx(math.log(2))
    assert idf[2] == idf[3] == pytest.approx(math.log(100))
    assert inverse_user_frequency(0, np.array([0])).tolist() == [0.0]


def test_an_entity_that_everybody_has_leaves_the_graph():
    counts = csr_array(np.array([[1.0, 3.0], [1.0, 0.0]]))
    weights = interest_weights(counts, np.ones(2), inverse_user_frequency(2, np.array([2, 1])), 5.0)
    assert weights.toarray().tolist() == [[0.0, 1.0], [0.0, 0.0]]


def test_one_entity_seen_a_million_times_weighs_one_at_most():
    weights = interest_weights(csr_array(np.array([[1e6]])), np.ones(1), np.array([2.0]), 5.0)
    assert weights.toarray().tolist() == [[1.0]]


def test_an_empty_history_is_an_empty_row():
    weights = interest_weights(csr_array((2, 3)), np.ones(3), np.ones(3), 5.0)
    assert weights.nnz == 0
    assert weights.shape == (2, 3)


@given(st.integers(0, 2**32 - 1))
def test_weights_of_a_user_sum_to_one(seed):
    rng = np.random.default_rng(seed)
    counts = csr_array(rng.poisson(0.7, size=(5, 9)).astype(float))
    weights = interest_weights(counts, rng.uniform(0.1, 1, 9), rng.uniform(0.01, 5, 9), 3.0)
    totals = weights.sum(axis=1)
    filled = np.diff(counts.indptr) > 0
    assert totals[filled] == pytest.approx(1.0)
    assert np.all(totals[~filled] == 0)
