"""Splits: which rows train, validate and test, as a pure function of data, settings and seed.

In: interactions of every domain (and their times, for what needs them). Out: the training rows, and held-out
users with their positives for validation and for test. Each stored target row gets one part; what differs
between the kinds is the rule that deals them:

    cold     whole target histories of some overlapping users: a fold of them, or a share (20, 50, 80 %)
    shots    the same, but such a user keeps k target rows in training (k-shot)
    warm     a share of every user's target rows
    time     the latest target rows of all; no row of any domain from then on is trained on
    paper    a tenth of the target rows validates, a tenth tests, and so do all rows of a fold of the
             overlapping users (Yuan et al., MeKB-Rec, KaRS 2023, section 4.2 and appendix A)

Overlapping users, those with a positive in a source domain and in the target, alone can play a newcomer whose
taste is known. Validation users of a cold split are cold themselves, and others than the test users. In every
kind validation rows are no candidates when the test is ranked, while nothing of the test shapes validation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64
from scipy.sparse import csr_array

from training.dataset import HeldOut, History, binary, counts, keep_entries, rows_of
from training.errors import DatasetError
from training.parts import Part, cold_parts, paper_parts, time_parts, warm_parts
from training.split_config import SplitConfig, SplitKind

Times = Mapping[str, Float64[np.ndarray, " _"]]
"""Domain -> seconds since 1970 of each stored entry of its matrix, in storage order; NaN where not known."""


@dataclass(frozen=True)
class Split:
    """Training rows, and the held-out users of validation and test."""

    train: History
    valid: HeldOut
    """Chooses epochs and settings."""
    test: HeldOut
    """Is measured on, and chooses nothing."""
    facts: Mapping[str, int] = field(default_factory=dict)
    """What was left out, counted."""
    before: Mapping[str, Float64[np.ndarray, " users"]] = field(default_factory=dict)
    """Domain -> the moment from which nothing of each user may be known, where time decided it."""
    newcomers: Int64[np.ndarray, " newcomers"] | None = None
    """Users of whom nothing of the target is known but the training rows; None: those held out whole."""


def make_split(
    interactions: History, target: str, config: SplitConfig, times: Times | None = None
) -> Split:
    """Return the split that `config` describes.

    Args:
        interactions: Domain -> (users, items), indices sorted.
        target: The domain recommended in.
        config: The kind and its settings.
        times: Of every domain; only for what needs them.

    Raises:
        ConfigError: a fold or share is out of range.
        DatasetError: there is nobody to hold out, or times are needed and missing.
    """
    if target not in interactions:
        raise DatasetError(
            f"no interactions of target {target!r}; there are {sorted(interactions)}"
        )
    if config.needs_times and (times is None or not np.isfinite(times[target]).any()):
        raise DatasetError(f"the split needs times, and no row of {target!r} has one")
    rows, before = interactions[target], dict[str, Float64[np.ndarray, " users"]]()
    part, end = _parts(interactions, target, config, times)
    if end is not None:
        before = {domain: np.full(rows.shape[0], end) for domain in interactions}
    if config.source_before_target:
        assert times is not None
        first = _first_times(rows, times[target])
        for domain in interactions:
            if domain != target:
                before[domain] = np.minimum(before.get(domain, first), first)
    train = {
        domain: keep_entries(matrix, _older(matrix, domain, before, times))
        for domain, matrix in interactions.items()
    }
    n_removed = sum(interactions[one].nnz - train[one].nnz for one in interactions if one != target)
    train[target] = keep_entries(rows, part == Part.TRAIN)
    split = _assembled(rows, part, train, {"source rows removed": n_removed})
    whole = config.kind in {SplitKind.COLD, SplitKind.SHOTS}
    newcomers = np.unique(rows_of(rows)[part != Part.TRAIN]) if whole else None
    return replace(split, before=before, newcomers=newcomers)


def _parts(
    interactions: History, target: str, config: SplitConfig, times: Times | None
) -> tuple[Int8[np.ndarray, " entries"], float | None]:
    """Return the part of each target row, and the moment where training ends, if one does."""
    match config.kind:
        case SplitKind.COLD | SplitKind.SHOTS:
            return cold_parts(interactions, target, config), None
        case SplitKind.WARM:
            return warm_parts(interactions[target], config), None
        case SplitKind.PAPER:
            return paper_parts(interactions, target, config), None
        case SplitKind.TIME:
            assert times is not None
            return time_parts(interactions[target], times[target], config)


def _first_times(
    matrix: csr_array, at: Float64[np.ndarray, " entries"]
) -> Float64[np.ndarray, " users"]:
    """Return when each user's first row was; infinity where that is not known."""
    first = np.full(matrix.shape[0], np.inf)
    np.fmin.at(first, rows_of(matrix), at)
    return first


def _older(
    matrix: csr_array,
    domain: str,
    before: Mapping[str, Float64[np.ndarray, " users"]],
    times: Times | None,
) -> Bool[np.ndarray, " entries"]:
    """Mark the entries that are known to be older than their user's moment; all, where there is none."""
    if domain not in before or times is None:
        return np.ones(matrix.nnz, dtype=bool)
    moment = before[domain][rows_of(matrix)]
    older: np.ndarray = (times[domain] < moment) | np.isinf(moment)
    return older


def _assembled(
    rows: csr_array,
    part: Int8[np.ndarray, " entries"],
    train: History,
    facts: Mapping[str, int],
) -> Split:
    """Return the split of target rows whose parts are known."""
    apart = part == Part.APART
    valid = _held_out(rows, part == Part.VALID, apart)
    test = _held_out(rows, part == Part.TEST, apart | (part == Part.VALID))
    if not len(test.user_rows):
        raise DatasetError("the split leaves no positive to test on")
    n_apart = int(np.count_nonzero(apart & (rows.data > 0)))
    return Split(train, valid, test, {**facts, "target positives set apart": n_apart})


def _held_out(
    rows: csr_array, taken: Bool[np.ndarray, " entries"], excluded: Bool[np.ndarray, " entries"]
) -> HeldOut:
    positives = binary(keep_entries(rows, taken))
    users = np.flatnonzero(counts(positives)).astype(np.int64)
    others = binary(keep_entries(rows, excluded)[users])
    return HeldOut(users, positives[users], others if others.nnz else None)
