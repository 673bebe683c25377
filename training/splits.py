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
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64, Int8
from scipy.sparse import csr_array

from training.dataset import HeldOut, History, binary, counts, keep_entries, rows_of
from training.errors import DatasetError
from training.parts import Part, cold_parts, paper_parts, time_parts, warm_parts
from training.split_config import SplitConfig, SplitKind

Times = Mapping[str, Float64[np.ndarray, " entries"]]
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
    sources, rows = interactions, interactions[target]
    match config.kind:
        case SplitKind.COLD | SplitKind.SHOTS:
            part = cold_parts(interactions, target, config)
        case SplitKind.WARM:
            part = warm_parts(rows, config)
        case SplitKind.PAPER:
            part = paper_parts(interactions, target, config)
        case SplitKind.TIME:
            assert times is not None
            part, start = time_parts(rows, times[target], config)
            sources = {
                domain: keep_entries(matrix, times[domain] < start)
                for domain, matrix in interactions.items()
                if domain != target
            }
    if config.source_before_target:
        assert times is not None
        sources = _before_target(interactions, sources, target, times)
    train = {
        domain: keep_entries(rows, part == Part.TRAIN) if domain == target else sources[domain]
        for domain in interactions
    }
    removed = sum(interactions[one].nnz - train[one].nnz for one in interactions if one != target)
    return _assembled(rows, part, train, {"source rows removed": removed})


def _before_target(all_rows: History, sources: History, target: str, times: Times) -> History:
    """Return the sources with only rows older than the first target row of their user, where one has any."""
    matrix = all_rows[target]
    first = np.full(matrix.shape[0], np.inf)
    np.fmin.at(first, rows_of(matrix), times[target])
    kept: dict[str, csr_array] = {}
    for domain in all_rows:
        if domain == target:
            continue
        user = rows_of(all_rows[domain])
        older = (times[domain] < first[user]) | np.isinf(first[user])
        n_items = all_rows[domain].shape[1]
        allowed = (user * n_items + all_rows[domain].indices)[older]
        there = sources[domain]
        kept[domain] = keep_entries(
            there, np.isin(rows_of(there) * n_items + there.indices, allowed)
        )
    return kept


def _assembled(
    rows: csr_array, part: Int8[np.ndarray, " entries"], train: History, facts: Mapping[str, int]
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
