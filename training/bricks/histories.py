"""Histories of several domains as one binary matrix, and sparse matrices as arrays a model folder can hold.

In: domain -> (users, items). Out: the same users over the columns of all chosen domains, side by side.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np
from jaxtyping import Bool
from scipy.sparse import csr_array, hstack

from training.dataset import Dataset, History, binary, counts
from training.errors import DatasetError


class Domains(StrEnum):
    """Which domains' histories a model learns from and is asked with."""

    ALL = "all"
    """The target and every source."""
    TARGET = "target"
    """The target alone: nothing is transferred, and a newcomer cannot be judged."""


def chosen_domains(data: Dataset, domains: Domains) -> tuple[str, ...]:
    """Return the names of the domains, the target last."""
    sources = tuple(sorted(data.sources)) if domains is Domains.ALL else ()
    return (*sources, data.target)


def sources_of(data: Dataset, model: str) -> tuple[str, ...]:
    """Return the names of the source domains, in the data's order.

    Args:
        data: What a model is to learn from.
        model: Its name, for the message.

    Raises:
        DatasetError: there is none.
    """
    if not data.sources:
        raise DatasetError(f"{model} needs a source domain beside target {data.target!r}")
    return data.sources


def side_by_side(history: History, domains: Sequence[str]) -> csr_array:
    """Return the binary histories of several domains as one matrix, columns in the order of `domains`.

    >>> rows = {"a": csr_array(np.array([[5.0, 0.0]])), "b": csr_array(np.array([[0.0, 2.0]]))}
    >>> side_by_side(rows, ["b", "a"]).toarray()
    array([[0., 1., 1., 0.]], dtype=float32)
    """
    joined: csr_array = csr_array(
        hstack([binary(history[domain]) for domain in domains], format="csr")
    )
    return joined


def has_history(history: History, domains: Sequence[str]) -> Bool[np.ndarray, " users"]:
    """Return which users have a positive in any of the domains."""
    return counts(side_by_side(history, domains)) > 0


def to_arrays(name: str, matrix: csr_array) -> dict[str, np.ndarray]:
    """Return a matrix of zeros and ones as three arrays."""
    return {
        f"{name}.indptr": matrix.indptr.astype(np.int64),
        f"{name}.indices": matrix.indices.astype(np.int64),
        f"{name}.shape": np.array(matrix.shape, dtype=np.int64),
    }


def from_arrays(name: str, arrays: Mapping[str, np.ndarray]) -> csr_array:
    """Take back what `to_arrays` gave."""
    indices = arrays[f"{name}.indices"]
    n_rows, n_columns = arrays[f"{name}.shape"].tolist()
    ones = np.ones(len(indices), dtype=np.float32)
    return csr_array((ones, indices, arrays[f"{name}.indptr"]), shape=(n_rows, n_columns))


def names_to_array(names: Sequence[str]) -> np.ndarray:
    """Return names as bytes, one a line."""
    return np.frombuffer("\n".join(names).encode(), dtype=np.uint8)


def names_from_array(array: np.ndarray) -> tuple[str, ...]:
    """Take back what `names_to_array` gave."""
    return tuple(array.tobytes().decode().split("\n"))
