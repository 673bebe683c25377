"""Neighbourhoods of the kNN models against brute force."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training.bricks.neighbours import NeighbourConfig, nearest


@given(arrays(bool, st.tuples(st.integers(1, 6), st.just(5))), st.integers(1, 8), st.floats(0, 30))
def test_each_row_keeps_its_most_similar_others(rows, k, shrinkage):
    sets = [set(np.flatnonzero(row)) for row in rows]
    common = (rows.astype(np.float32) @ rows.T.astype(np.float32)).astype(np.float32)
    np.fill_diagonal(common, 0)
    sizes = rows.sum(axis=1)
    found = nearest(common, sizes, sizes, NeighbourConfig(n_neighbours=k, shrinkage=shrinkage))
    assert found.shape == common.shape
    for place, own in enumerate(sets):
        wanted = {
            other: len(own & theirs) / (np.sqrt(len(own) * len(theirs)) + shrinkage)
            for other, theirs in enumerate(sets)
            if other != place and own & theirs
        }
        kept = dict(enumerate(found.toarray()[place]))
        kept = {other: value for other, value in kept.items() if value}
        assert len(kept) == min(k, len(wanted))
        for other, value in kept.items():
            np.testing.assert_allclose(value, wanted[other], rtol=1e-6)
        left_out = [value for other, value in wanted.items() if other not in kept]
        assert max(left_out, default=0) <= min(kept.values(), default=1) * (1 + 1e-6)


def test_nobody_to_choose_from():
    nothing = np.empty((3, 0), dtype=np.float32)
    empty = np.empty(0, dtype=np.int64)
    assert nearest(nothing, np.ones(3, dtype=np.int64), empty, NeighbourConfig()).shape == (3, 0)
