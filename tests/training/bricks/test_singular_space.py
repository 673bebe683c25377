"""Both solvers against each other and against NumPy's, where ranks are full and where they are not."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from training.bricks.singular_space import singular_space


@pytest.mark.parametrize("shape", [(400, 60), (50, 300)])
def test_the_dense_solver_and_lanczos_agree(shape, monkeypatch):
    rng = np.random.default_rng(4)
    matrix = csr_array((rng.random(shape) < 0.1) * rng.random(shape))
    dense = singular_space(matrix, 8)
    monkeypatch.setattr("training.bricks.singular_space.MOST_DENSE_ROWS", 0)
    lanczos = singular_space(matrix, 8)
    np.testing.assert_allclose(dense.strengths, lanczos.strengths, rtol=1e-9)
    np.testing.assert_allclose(dense.vectors, lanczos.vectors, atol=1e-7)


@pytest.mark.parametrize("most_dense_rows", [0, 3000])
def test_directions_that_say_nothing_are_left_out(most_dense_rows, monkeypatch):
    """They would be other ones in every run."""
    monkeypatch.setattr("training.bricks.singular_space.MOST_DENSE_ROWS", most_dense_rows)
    rng = np.random.default_rng(8)
    rank_five = csr_array(rng.random((60, 5)) @ rng.random((5, 40)))
    for matrix in (rank_five, csr_array(rank_five.T)):
        found = singular_space(matrix, 20)
        assert found.strengths == pytest.approx(np.linalg.svd(matrix.toarray())[1][:5])
        again = singular_space(matrix, 20)
        np.testing.assert_allclose(found.vectors, again.vectors, atol=1e-9)
    matrix = csr_array(np.repeat(np.eye(3), 4, axis=0))  # rank 3
    assert singular_space(matrix, 2).strengths == pytest.approx([2.0, 2.0])
    doubled = csr_array(np.hstack([np.ones((9, 4)), np.zeros((9, 4))]))
    assert singular_space(doubled, 6).vectors.shape == (8, 1)
    assert singular_space(csr_array((5, 4)), 3).vectors.shape == (4, 0)
