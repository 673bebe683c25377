"""Cold-start splits: who is held out, and that nothing of them stays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from training.errors import ConfigError, DatasetError
from training.split_config import SplitConfig
from training.splits import make_split


def interactions(seed: int, n_users: int = 40) -> dict[str, csr_array]:
    rng = np.random.default_rng(seed)
    return {
        name: csr_array((rng.random((n_users, 9)) < share).astype(np.float32) * 5)
        for name, share in (("books", 0.15), ("music", 0.1), ("films", 0.2))
    }


@given(st.integers(0, 10_000), st.integers(2, 5), st.floats(0.001, 0.9))
@settings(max_examples=25, deadline=None)
def test_each_overlapping_user_is_tested_once_and_leaves_no_target_row(seed, n_folds, valid_share):
    rows = interactions(seed)
    dense = {name: matrix.toarray() for name, matrix in rows.items()}
    in_source = dense["books"].any(1) | dense["music"].any(1)
    overlapping = set(np.flatnonzero(in_source & dense["films"].any(1)))
    tested: list[int] = []
    for fold in range(n_folds):
        config = SplitConfig(fold=fold, n_folds=n_folds, valid_share=valid_share, seed=seed)
        split = make_split(rows, "films", config)
        test, valid = set(split.test.user_rows), set(split.valid.user_rows)
        assert not test & valid
        assert test | valid <= overlapping
        assert len(valid) == round(valid_share * (len(overlapping) - len(test)))
        train = split.train["films"].toarray()
        held_out = sorted(test | valid)
        assert not train[held_out].any()
        rest = np.setdiff1d(np.arange(len(train)), held_out)
        assert np.array_equal(train[rest], dense["films"][rest])
        for part in (split.test, split.valid):
            assert np.array_equal(part.positives.toarray() > 0, dense["films"][part.user_rows] > 0)
        for source in ("books", "music"):
            assert np.array_equal(split.train[source].toarray(), dense[source])
        tested += test
    assert sorted(tested) == sorted(overlapping)


def test_same_seed_same_split_other_seed_other_split():
    rows = interactions(1)
    first, again, other = (
        make_split(rows, "films", SplitConfig(n_folds=4, seed=seed)).test.user_rows
        for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_rows_below_zero_are_no_positives():
    rows = {
        "books": csr_array(np.array([[1.0], [1.0], [1.0]])),
        "films": csr_array(np.array([[1.0], [1.0], [-1.0]])),
    }
    tested = [
        make_split(rows, "films", SplitConfig(fold=f, n_folds=2)).test.user_rows for f in (0, 1)
    ]
    assert sorted(np.concatenate(tested)) == [0, 1]


def test_what_cannot_be_split_is_refused():
    rows = interactions(2)
    with pytest.raises(ConfigError, match="fold 5 of 5"):
        make_split(rows, "films", SplitConfig(fold=5))
    with pytest.raises(DatasetError, match="games"):
        make_split(rows, "games", SplitConfig())
    nobody = {"books": rows["books"] * 0, "films": rows["films"]}
    with pytest.raises(DatasetError, match="0 users"):
        make_split(nobody, "films", SplitConfig())
