"""Examples of a watch against the same cut out of dense histories by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from training.bricks.watch_examples import WatchEpoch

N_SOURCE, N_TARGET, N_USERS = 4, 3, 6


@given(st.integers(0, 10_000))
def test_histories_lack_their_label_and_those_of_newcomers_the_target(seed):
    rng = np.random.default_rng(seed)
    dense = (rng.random((N_USERS, N_SOURCE + N_TARGET)) < 0.6).astype(np.float32)
    dense[:, [0, N_SOURCE]] = 1  # everybody has something of both
    users, labels = np.nonzero(dense[:, N_SOURCE:])
    as_newcomer = rng.random(len(users)) < 0.5
    ids = np.arange(N_USERS, dtype=np.uint32) + 7
    epoch = WatchEpoch(csr_array(dense), N_SOURCE, users, labels, ids, 4, as_newcomer)
    example = 0
    for batch in epoch:
        items, starts, found = (one.numpy() for one in batch.inputs)
        assert (batch.user_ids == users[example : example + len(found)] + 7).all()
        for history, label in zip(np.split(items, starts[1:]), found, strict=True):
            expected = dense[users[example]].copy()
            expected[N_SOURCE + label] = 0
            if as_newcomer[example]:
                expected[N_SOURCE:] = 0
            assert label == labels[example]
            assert history.tolist() == np.flatnonzero(expected).tolist()
            example += 1
    assert example == len(users)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nobody_is_a_newcomer_unless_told(share):
    dense = np.array([[1, 1, 0, 0, 1, 1, 1]], dtype=np.float32)
    told = None if share == 0 else np.array([True] * 3)
    users, labels = np.zeros(3, dtype=np.int64), np.arange(3)
    ids = np.zeros(1, dtype=np.uint32)
    (batch,) = WatchEpoch(csr_array(dense), N_SOURCE, users, labels, ids, 9, told)
    assert len(batch.inputs[0]) == 3 * (2 if share else 4)
