"""Cold-start splits: who is held out of the target domain, as a pure function of data, settings and seed.

In: interactions of every domain. Out: the training rows, and validation and test users all of whose target
rows were taken out of them. Only overlapping users, those with a positive in a source domain and in the
target, can play a newcomer whose taste is known (Yuan et al., MeKB-Rec, KaRS 2023, section 4.2 and appendix
A: a fifth of the overlapping users with all their target records).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from scipy.sparse import csr_array

from training.dataset import HeldOut, History, binary, counts, keep_entries, rows_of
from training.errors import ConfigError, DatasetError


@dataclass(frozen=True)
class Split:
    """Training rows and two disjoint sets of users without any target row in them."""

    train: History
    valid: HeldOut
    """Chooses epochs and settings."""
    test: HeldOut
    """Is measured on, and chooses nothing."""


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


def hold_out(target_rows: csr_array, user_rows: Int64[np.ndarray, " held_out"]) -> HeldOut:
    """Return the target positives of `user_rows`, which are sorted first."""
    ordered = np.sort(user_rows)
    return HeldOut(user_rows=ordered, positives=binary(target_rows[ordered]))


def cold_start_split(
    interactions: History,
    target: str,
    *,
    fold: int,
    n_folds: int = 5,
    valid_share: float = 0.1,
    seed: int = 0,
) -> Split:
    """Return fold `fold` of `n_folds` as test users; each overlapping user is in exactly one fold.

    Args:
        interactions: Domain -> (users, items).
        target: The domain recommended in.
        fold: Which fold is the test, from 0.
        n_folds: How many folds; 5 is the paper's fifth.
        valid_share: Share of the remaining overlapping users held out for validation.
        seed: Of the permutation that deals users to folds; the folds of one seed are disjoint.

    Raises:
        ConfigError: `fold` or `valid_share` is out of range.
        DatasetError: there are fewer overlapping users than folds.
    """
    if not 0 <= fold < n_folds or n_folds < 2:  # noqa: PLR2004  (one fold leaves nothing to train on)
        raise ConfigError(
            f"fold {fold} of {n_folds}: need two folds or more, and a fold below their number"
        )
    if not 0 <= valid_share < 1:
        raise ConfigError(f"valid_share is {valid_share}, must be at least 0 and below 1")
    overlapping = overlapping_users(interactions, target)
    if len(overlapping) < n_folds:
        raise DatasetError(
            f"{len(overlapping)} users have positives both in {target!r} and in a source domain,"
            f" too few for {n_folds} folds"
        )
    folds = np.array_split(np.random.default_rng(seed).permutation(overlapping), n_folds)
    rest = np.concatenate([users for number, users in enumerate(folds) if number != fold])
    n_valid = round(valid_share * len(rest))
    valid_users = np.random.default_rng([seed, fold]).permutation(rest)[:n_valid]
    test, valid = (hold_out(interactions[target], users) for users in (folds[fold], valid_users))
    held_out = np.concatenate([test.user_rows, valid.user_rows])
    return Split(train=_without_target(interactions, target, held_out), valid=valid, test=test)


def _without_target(
    interactions: History, target: str, user_rows: Int64[np.ndarray, " held_out"]
) -> History:
    matrix = interactions[target]
    kept = ~np.isin(rows_of(matrix), user_rows)
    return {**interactions, target: keep_entries(matrix, kept)}
