"""HR@K, NDCG@K, precision and recall against brute force over all orders of tied items."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from training.errors import CannotJudgeError, DatasetError
from training.metrics import hit_rate, ndcg, place_chance, place_gain, places, precision, recall


def brute_force(scores: list[float], liked: set[int], k: int) -> tuple[float, ...]:
    """Average over every order of the items that the scores allow."""
    candidates = [item for item in range(len(scores)) if not np.isnan(scores[item])]
    hits, gains, n_found, n_orders = 0.0, 0.0, 0, 0
    for order in permutations(candidates):
        if any(scores[a] < scores[b] for a, b in pairwise(order)):
            continue
        n_orders += 1
        found = [place for place, item in enumerate(order[:k]) if item in liked]
        hits += bool(found)
        n_found += len(found)
        gains += sum(1 / np.log2(place + 2) for place in found)
    best = sum(1 / np.log2(place + 2) for place in range(min(len(liked), k)))
    mean = n_found / n_orders
    return hits / n_orders, gains / n_orders / best, mean / k, mean / len(liked)


@st.composite
def cases(draw):
    scores = draw(
        st.lists(st.sampled_from([0.0, 1.0, 2.0, np.nan, -np.inf]), min_size=2, max_size=6)
    )
    scores[0] = 1.0
    known = [item for item, score in enumerate(scores) if not np.isnan(score)]
    liked = draw(st.sets(st.sampled_from(known), min_size=1))
    return scores, liked, draw(st.integers(1, 7))


@given(cases())
@settings(max_examples=150, deadline=None)
def test_equal_to_the_average_over_all_orders(case):
    scores, liked, k = case
    row = np.zeros((1, len(scores)))
    row[0, sorted(liked)] = 1
    ranked = places(np.array([scores], dtype=np.float32), csr_array(row))
    found = [metric(ranked, k)[0] for metric in (hit_rate, ndcg, precision, recall)]
    assert found == pytest.approx(brute_force(scores, liked, k), abs=1e-12)


@given(cases())
@settings(max_examples=60, deadline=None)
def test_a_positive_alone_has_the_hit_rate_and_ndcg_of_its_place(case):
    scores, _, k = case
    ranked = places(np.array([scores], dtype=np.float32), csr_array(np.eye(1, len(scores))))
    hit, gain, _, _ = brute_force(scores, {0}, k)
    assert place_chance(ranked, k)[0] == pytest.approx(hit, abs=1e-12)
    assert place_gain(ranked, k)[0] == pytest.approx(gain, abs=1e-12)


@pytest.mark.parametrize("n_items", [10, 1000, 25_000])
def test_a_constant_scorer_gets_chance(n_items):
    positives = csr_array(([1.0], ([0], [n_items // 2])), shape=(1, n_items))
    ranked = places(np.zeros((1, n_items), dtype=np.float32), positives)
    for metric in (hit_rate, recall):
        assert metric(ranked, 10)[0] == pytest.approx(10 / n_items, rel=1e-12)
    assert precision(ranked, 10)[0] == pytest.approx(1 / n_items, rel=1e-12)


def test_many_rows_at_once_equal_one_by_one(monkeypatch):
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, size=(20, 15)).astype(np.float32)
    liked = rng.random((20, 15)) < 0.3
    liked[:, 3] = True
    positives = csr_array(liked.astype(float))
    monkeypatch.setattr("training.metrics.COMPARISONS_AT_ONCE", 40)
    ranked = places(scores, positives)
    for row in range(20):
        alone = places(scores[row : row + 1], csr_array(liked[row : row + 1].astype(float)))
        assert hit_rate(ranked, 5)[row] == hit_rate(alone, 5)[0]
        assert ndcg(ranked, 5)[row] == pytest.approx(ndcg(alone, 5)[0], abs=1e-15)


def test_unknown_is_refused():
    scores = np.array([[1.0, 2.0], [np.nan, np.nan]], dtype=np.float32)
    with pytest.raises(CannotJudgeError, match="row 1"):
        places(scores, csr_array(np.array([[1.0, 0.0], [1.0, 0.0]])))
    with pytest.raises(DatasetError, match="no positive"):
        places(scores, csr_array(np.array([[1.0, 0.0], [0.0, 0.0]])))
