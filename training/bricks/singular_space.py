"""The space that likes, or interests, span: the first right singular vectors of a sparse matrix, and their strengths.

In: users x columns. Out: one row a column, in a space of few dimensions in which what goes together is near.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.linalg import eigh
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

MOST_DENSE_ROWS = 3000
"""Size of a Gram matrix up to which its eigenvectors take a few seconds."""
LEAST_STRENGTH = 1e-6
"""Of the largest: both solvers square the matrix, so that a strength of 0 comes out as some 1e-8 of it."""
DENSE_SHARE = 8
"""With more than a so-manieth of all vectors asked for, Lanczos iterations take longer than a dense solver."""


@dataclass(frozen=True)
class SingularSpace:
    """Singular vectors by falling strength."""

    vectors: Float64[np.ndarray, "columns m"]
    """Of length 1, each with its largest entry positive."""
    strengths: Float64[np.ndarray, " m"]
    """The singular values."""


def singular_space(matrix: csr_array, n_wanted: int) -> SingularSpace:
    """Return the first right singular vectors; fewer than wanted where the matrix has not so many.

    Args:
        matrix: Shape (users, columns).
        n_wanted: m.
    """
    n_vectors = min(n_wanted, min(matrix.shape) - 1)
    if n_vectors < 1 or matrix.nnz == 0:
        return SingularSpace(np.zeros((matrix.shape[1], 0)), np.zeros(0))
    if min(matrix.shape) <= min(DENSE_SHARE * n_vectors, MOST_DENSE_ROWS):
        return _dense(matrix.astype(np.float64), n_vectors)
    start = np.ones(min(matrix.shape))  # ARPACK starts from a random vector unless it is told
    _, values, rows = svds(matrix.astype(np.float64), k=n_vectors, v0=start)
    order = np.argsort(-values, kind="stable")
    return _told_apart(rows[order].T, values[order])


def _dense(matrix: csr_array, n_vectors: int) -> SingularSpace:
    """Return the same by the eigenvectors of the smaller Gram matrix."""
    n_users, n_columns = matrix.shape
    gram = (matrix.T @ matrix if n_columns <= n_users else matrix @ matrix.T).toarray()
    last = len(gram) - 1
    powers, vectors = eigh(gram, subset_by_index=[last + 1 - n_vectors, last])
    values, vectors = np.sqrt(np.maximum(powers[::-1], 0.0)), vectors[:, ::-1]
    if n_columns > n_users:
        vectors = (matrix.T @ vectors) / np.where(values > 0, values, 1.0)
    return _told_apart(vectors, values)


def _told_apart(
    vectors: Float64[np.ndarray, "columns m"], values: Float64[np.ndarray, " m"]
) -> SingularSpace:
    """Return the vectors with their signs fixed, without those of no strength, which are any that are left."""
    is_kept = values > values[0] * LEAST_STRENGTH
    vectors, values = vectors[:, is_kept], values[is_kept]
    largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])]
    return SingularSpace(np.ascontiguousarray(vectors * np.where(largest < 0, -1.0, 1.0)), values)
