"""Feature vectors, by hand."""

import numpy as np
from scipy.sparse import csr_array

from training.bricks.features import (
    FeatureEpoch,
    frequent_columns,
    item_features,
    unit_rows,
    words_of,
)


def test_words_are_those_of_the_title_once_in_any_case():
    found = words_of(["The red Film", "", "red, RED book"]).toarray()
    np.testing.assert_array_equal(found, [[0, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 0]])


def test_an_item_is_its_words_and_its_users():
    liked = csr_array(np.array([[1.0, 0, 1], [1, 0, 0]]))
    found = item_features(["a b", "", "b"], liked, 10).toarray()
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        found, [[half, half, half, half], [0, 0, 0, 0], [0, 1, 1, 0]], rtol=1e-6
    )
    assert item_features(["a b", "", "b"], liked, 1).shape == (3, 2)
    np.testing.assert_array_equal(
        item_features(["a b", "", "b"], liked, 1).toarray()[:, 0], [1, 0, 1]
    )


def test_the_most_frequent_columns_are_kept_in_order():
    matrix = csr_array(np.array([[0, 1, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]]))
    assert frequent_columns(matrix, 2).tolist() == [1, 2]
    assert frequent_columns(matrix, 9).tolist() == [0, 1, 2, 3]
    lengths = np.linalg.norm(unit_rows(matrix * 3.0).toarray(), axis=1)
    np.testing.assert_allclose(lengths, 1.0, rtol=1e-6)


def test_batches_are_the_rows_in_the_order_told():
    rows = np.arange(12.0).reshape(6, 2)
    order = np.array([3, 0, 5, 1, 2])
    epoch = FeatureEpoch(csr_array(rows), order, order.astype(np.uint32), 2)
    batches = list(epoch)
    assert len(epoch) == len(batches) == 3
    np.testing.assert_array_equal(np.concatenate([b.inputs[0] for b in batches]), rows[order])
    assert np.concatenate([b.user_ids for b in batches]).tolist() == order.tolist()
