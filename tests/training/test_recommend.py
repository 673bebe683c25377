"""top_k is a full sort, cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_array

from training.errors import ConfigError
from training.recommend import NO_ITEM, recommendations, top_k
from training.schema import RECOMMENDATIONS

VALUES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.5, np.nan, np.inf, -np.inf])


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=8), elements=VALUES),
    st.integers(1, 12),
    st.randoms(use_true_random=False),
)
def test_equal_to_a_full_sort(scores, k, random):
    excluded = np.array([[random.random() < 0.2 for _ in row] for row in scores], dtype=float)
    items, found = top_k(scores, k, csr_array(excluded))
    assert items.shape == found.shape == (len(scores), min(k, scores.shape[1]))
    for row, (own, values) in enumerate(zip(items, found, strict=True)):
        allowed = [
            i
            for i in range(scores.shape[1])
            if not excluded[row, i] and not np.isnan(scores[row, i])
        ]
        expected = sorted(allowed, key=lambda i: (-scores[row, i], i))[:k]
        assert own[own != NO_ITEM].tolist() == expected
        assert np.isnan(values[len(expected) :]).all()
        assert np.array_equal(values[: len(expected)], scores[row, expected])


def test_k_below_one_is_refused():
    with pytest.raises(ConfigError, match="k is 0"):
        top_k(np.zeros((1, 3), dtype=np.float32), 0)


def test_no_user_and_no_item_are_legal():
    assert top_k(np.zeros((0, 3), dtype=np.float32), 2)[0].shape == (0, 2)
    assert top_k(np.zeros((2, 0), dtype=np.float32), 2)[0].shape == (2, 0)


def test_scores_given_are_not_changed():
    scores = np.array([[3.0, 1.0]], dtype=np.float32)
    top_k(scores, 1, csr_array(np.array([[1.0, 0.0]])))
    assert scores.tolist() == [[3.0, 1.0]]


def test_the_table_holds_only_items_and_ranks_from_one():
    scores = np.array([[0.5, np.nan, 2.0], [np.nan, np.nan, np.nan]], dtype=np.float32)
    best, values = top_k(scores, 3)
    users, items = np.array([9, 4], dtype=np.uint32), np.array([70, 80, 90], dtype=np.uint32)
    table = recommendations(users, items, best, values)
    assert table.schema.equals(RECOMMENDATIONS, check_metadata=True)
    assert table.to_pylist() == [
        {"user_id": 9, "item_id": 90, "rank": 1, "score": 2.0},
        {"user_id": 9, "item_id": 70, "rank": 2, "score": 0.5},
    ]
