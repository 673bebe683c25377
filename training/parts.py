"""The rules of the splits: what each target row is for, training, validation, test, or nothing.

In: a matrix of target rows and the settings of a split. Out: one `Part` for each stored entry, in storage order.
"""

from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64
from scipy.sparse import csr_array

from training.dataset import History, binary, counts, rows_of
from training.errors import ConfigError, DatasetError
from training.split_config import SplitConfig, SplitKind


class Part(IntEnum):
    """What a target row is for."""

    TRAIN = 0
    VALID = 1
    TEST = 2
    APART = 3
    """Neither trained on nor measured, and no candidate of its user."""


def overlapping_users(interactions: History, target: str) -> Int64[np.ndarray, " overlapping"]:
    """Return the rows of users with a positive in the target and in some other domain.

    Raises:
        DatasetError: the target is not among the domains.
    """
    if target not in interactions:
        raise DatasetError(
            f"no interactions of target {target!r}; there are {sorted(interactions)}"
        )
    in_target = counts(binary(interactions[target])) > 0
    in_source = np.zeros_like(in_target)
    for domain, matrix in interactions.items():
        if domain != target:
            in_source |= counts(binary(matrix)) > 0
    return np.flatnonzero(in_target & in_source).astype(np.int64)


def core(matrix: csr_array, least_of_user: int, least_of_item: int) -> Bool[np.ndarray, " entries"]:
    """Mark the stored entries of users and items with so many positives, counted until none is dropped."""
    kept = np.ones(matrix.nnz, dtype=bool)
    users, items, positive = rows_of(matrix), matrix.indices, matrix.data > 0
    while True:
        live = kept & positive
        user_ok = np.bincount(users[live], minlength=matrix.shape[0]) >= least_of_user
        item_ok = np.bincount(items[live], minlength=matrix.shape[1]) >= least_of_item
        still = kept & user_ok[users] & item_ok[items]
        if np.array_equal(still, kept):
            return kept
        kept = still


def _cold_users(
    interactions: History, target: str, config: SplitConfig
) -> tuple[Int64[np.ndarray, " test"], Int64[np.ndarray, " rest"]]:
    """Return the overlapping users to test on, and the others in an order of luck."""
    overlapping = overlapping_users(interactions, target)
    seed, fold, n_folds = config.seed, config.fold, config.n_folds
    if config.cold_share is None:
        if fold >= n_folds:
            raise ConfigError(f"fold {fold} of {n_folds}: need a fold below their number")
        if len(overlapping) < n_folds:
            raise DatasetError(
                f"{len(overlapping)} users have positives both in {target!r} and in a source domain,"
                f" too few for {n_folds} folds"
            )
        folds = np.array_split(np.random.default_rng(seed).permutation(overlapping), n_folds)
        test = folds[fold]
        rest = np.concatenate([users for number, users in enumerate(folds) if number != fold])
    else:
        dealt = np.random.default_rng([seed, fold, 1]).permutation(overlapping)
        n_test = round(config.cold_share * len(dealt))
        test, rest = dealt[:n_test], dealt[n_test:]
        if not len(test):
            raise DatasetError(f"{config.cold_share} of {len(overlapping)} overlapping users: none")
    return test, np.random.default_rng([seed, fold]).permutation(rest)


def cold_parts(
    interactions: History, target: str, config: SplitConfig
) -> Int8[np.ndarray, " entries"]:
    """Take all rows of some overlapping users, but those a k-shot split leaves them."""
    test, rest = _cold_users(interactions, target, config)
    valid = rest[: round(config.valid_share * len(rest))]
    matrix = interactions[target]
    role = np.full(matrix.shape[0], Part.TRAIN, dtype=np.int8)
    role[test], role[valid] = Part.TEST, Part.VALID
    part: np.ndarray = role[rows_of(matrix)]
    if config.kind is SplitKind.SHOTS:
        place = _luck(matrix, np.random.default_rng([config.seed, config.fold, 2]))
        held_out = part != Part.TRAIN
        part[held_out & (place < max(config.shots, config.reserve))] = Part.APART
        part[held_out & (place < config.shots)] = Part.TRAIN
    part[(matrix.data <= 0) & (part != Part.TRAIN)] = Part.APART
    return part


def warm_parts(matrix: csr_array, config: SplitConfig) -> Int8[np.ndarray, " entries"]:
    """Take a share of each user's positives: one at least where one is left to train on."""
    place = _luck(matrix, np.random.default_rng([config.seed, config.fold]))
    n = counts(binary(matrix))
    n_test = np.clip(np.round(config.test_share * n), 1, np.maximum(n - 1, 0))
    left = n - n_test
    n_valid = np.clip(np.round(config.valid_share * n), 1, np.maximum(left - 1, 0))
    user = rows_of(matrix)
    part = np.full(matrix.nnz, Part.TRAIN, dtype=np.int8)
    part[place < (n_test + n_valid)[user]] = Part.VALID
    part[place < n_test[user]] = Part.TEST
    return part


def paper_parts(
    interactions: History, target: str, config: SplitConfig
) -> Int8[np.ndarray, " entries"]:
    """Deal all positives by luck, and take all rows of a fold of the overlapping users for the test."""
    cold, _ = _cold_users(interactions, target, config)
    matrix = interactions[target]
    draw = np.random.default_rng([config.seed, config.fold]).random(matrix.nnz)
    part = np.full(matrix.nnz, Part.TRAIN, dtype=np.int8)
    part[draw < config.test_share + config.valid_share] = Part.VALID
    part[draw < config.test_share] = Part.TEST
    part[matrix.data <= 0] = Part.TRAIN
    is_cold = np.isin(rows_of(matrix), cold)
    part[is_cold] = np.where(matrix.data > 0, Part.TEST, Part.APART)[is_cold]
    return part


def time_parts(
    matrix: csr_array, at: Float64[np.ndarray, " entries"], config: SplitConfig
) -> tuple[Int8[np.ndarray, " entries"], float]:
    """Return the parts by two moments, and the earlier one, where training ends."""
    known = np.sort(at[np.isfinite(at) & (matrix.data > 0)])
    first_test = known[min(round((1 - config.test_share) * len(known)), len(known) - 1)]
    share = max(1 - config.test_share - config.valid_share, 0.0)
    first_valid = known[round(share * (len(known) - 1))]
    part = np.full(matrix.nnz, Part.APART, dtype=np.int8)
    part[at < first_valid] = Part.TRAIN
    liked = matrix.data > 0
    part[liked & (at >= first_valid)] = Part.VALID
    part[liked & (at >= first_test)] = Part.TEST
    return part, float(first_valid)


def _luck(matrix: csr_array, rng: np.random.Generator) -> Int64[np.ndarray, " entries"]:
    """Return the place of each positive among its row's in an order of luck; what is no positive comes last."""
    owner = rows_of(matrix)
    order = np.lexsort((np.where(matrix.data > 0, rng.random(matrix.nnz), 2.0), owner))
    place = np.empty(matrix.nnz, dtype=np.int64)
    place[order] = np.arange(matrix.nnz) - matrix.indptr[owner[order]]
    place[matrix.data <= 0] = np.iinfo(np.int64).max
    return place
