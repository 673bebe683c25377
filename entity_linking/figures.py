"""From counts a document to figures with intervals: precision, recall, F1, recall@k. Pure.

    P = right links / links that count     R = right units / units     F1 = 2 P R / (P + R)

Micro figures divide sums over documents; macro figures are means over the documents that have a
denominator. The interval is the percentile bootstrap over documents (Efron & Tibshirani 1993, ch. 13): what is
drawn again are whole documents, for mentions of one document are not independent. An F1 without any link or
without any unit is 0, one without both is unknown (NaN); so is every share of nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

DEPTHS: Final = (1, 5, 10, 50)
"""The k of candidate recall@k."""

COUNTS: Final = (
    *("units", "units_found", "units_right"),
    *("links", "links_right", "spans", "spans_right"),
    *("labels", "labels_chosen", *(f"labels_in_{k}" for k in DEPTHS)),
    *("nil_labels", "nil_labels_marked", "nil_marks", "nil_marks_right"),
)
"""What is counted in each document, in the order of the columns of a count array."""

COLUMN: Final[Mapping[str, int]] = {name: column for column, name in enumerate(COUNTS)}

_CELLS_A_BLOCK: Final = 4_000_000

Numbers = npt.NDArray[np.float64]


class Measure(NamedTuple):
    """A share of two counts, or the F1 of two shares."""

    name: str
    part: str = ""
    whole: str = ""
    f1_of: tuple[tuple[str, str], tuple[str, str]] | None = None
    """(part, whole) of precision and of recall."""


def _prf(name: str, precision: tuple[str, str], recall: tuple[str, str]) -> tuple[Measure, ...]:
    return (
        Measure(f"{name} precision", *precision),
        Measure(f"{name} recall", *recall),
        Measure(f"{name} F1", f1_of=(precision, recall)),
    )


RECALLS: Final = tuple(Measure(f"candidate recall@{k}", f"labels_in_{k}", "labels") for k in DEPTHS)
SPANS: Final = _prf("span", ("spans_right", "spans"), ("units_found", "units"))
GIVEN: Final = (
    Measure("accuracy given gold span", "labels_chosen", "labels"),
    Measure("accuracy given found span", "links_right", "spans_right"),
)
END_TO_END: Final = _prf("end-to-end", ("links_right", "links"), ("units_right", "units"))
NIL: Final = _prf("NIL", ("nil_marks_right", "nil_marks"), ("nil_labels_marked", "nil_labels"))

TEXT_MEASURES: Final = (*SPANS, *RECALLS, *GIVEN, *END_TO_END, *NIL)
TITLE_MEASURES: Final = (
    Measure("whole-title accuracy", "units_right", "units"),
    *RECALLS,
    *END_TO_END,
    *NIL,
)


class Figure(NamedTuple):
    """One number with its interval and the counts it was made of."""

    name: str
    value: float | None
    """None where there was nothing to divide by."""
    low: float | None
    high: float | None
    part: int | None
    """The numerator; None for an F1, and for a mean over documents."""
    whole: int | None
    """The denominator; for a mean, the documents that have one."""


class Resampling(NamedTuple):
    """How intervals are drawn."""

    n_draws: int = 1000
    confidence: float = 0.95
    seed: int = 0


def micro_figures(
    counts: npt.NDArray[np.int64], measures: Sequence[Measure], resampling: Resampling
) -> list[list[Figure]]:
    """Return, for each group, the figures over all documents together.

    Args:
        counts: Shape (documents, groups, `COUNTS`).
        measures: What to work out.
        resampling: How often and from which seed documents are drawn again.
    """
    n_documents, n_groups, n_counts = counts.shape
    flat = counts.reshape(n_documents, n_groups * n_counts).astype(np.float64)
    totals = flat.sum(axis=0).reshape(n_groups, n_counts)
    drawn = np.concatenate([weights @ flat for weights in _draws(n_documents, resampling)]).reshape(
        -1, n_groups, n_counts
    )
    groups = []
    for group in range(n_groups):
        figures = []
        for measure in measures:
            value = float(_value(totals[group][None, :], measure)[0])
            low, high = _interval(_value(drawn[:, group], measure), resampling.confidence)
            part, whole = (
                (None, None)
                if measure.f1_of
                else (
                    int(totals[group, COLUMN[measure.part]]),
                    int(totals[group, COLUMN[measure.whole]]),
                )
            )
            figures.append(Figure(measure.name, _known(value), low, high, part, whole))
        groups.append(figures)
    return groups


def macro_figures(
    counts: npt.NDArray[np.int64], measures: Sequence[Measure], resampling: Resampling
) -> list[Figure]:
    """Return the means over documents.

    Args:
        counts: Shape (documents, `COUNTS`).
        measures: What to work out.
        resampling: As for micro figures.
    """
    each = np.stack([_value(counts.astype(np.float64), measure) for measure in measures], axis=1)
    has = np.isfinite(each)
    known = np.where(has, each, 0.0)
    columns = np.concatenate([known, has], axis=1)
    drawn = np.concatenate([weights @ columns for weights in _draws(len(counts), resampling)])
    figures = []
    for row, measure in enumerate(measures):
        n = int(has[:, row].sum())
        value = float(known[:, row].sum() / n) if n else None
        means = _share(drawn[:, row], drawn[:, len(measures) + row])
        low, high = _interval(means, resampling.confidence)
        figures.append(Figure(f"{measure.name}, mean of documents", value, low, high, None, n))
    return figures


def _value(counts: Numbers, measure: Measure) -> Numbers:
    """A measure for each row of counts; NaN where it is unknown."""
    if measure.f1_of is None:
        return _share(counts[:, COLUMN[measure.part]], counts[:, COLUMN[measure.whole]])
    (right_links, links), (right_units, units) = measure.f1_of
    precision = _share(counts[:, COLUMN[right_links]], counts[:, COLUMN[links]])
    recall = _share(counts[:, COLUMN[right_units]], counts[:, COLUMN[units]])
    unknown = np.isnan(precision) & np.isnan(recall)
    precision, recall = np.nan_to_num(precision), np.nan_to_num(recall)
    f1 = np.nan_to_num(_share(2 * precision * recall, precision + recall))
    return np.where(unknown, np.nan, f1)


def _share(part: Numbers, whole: Numbers) -> Numbers:
    shares: Numbers = np.full(part.shape, np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares


def _draws(n_documents: int, resampling: Resampling) -> Iterator[Numbers]:
    """Blocks of draws: how often each document was drawn, shape (draws, documents)."""
    rng = np.random.default_rng(resampling.seed)
    block = max(1, _CELLS_A_BLOCK // n_documents)
    for start in range(0, resampling.n_draws, block):
        n = min(block, resampling.n_draws - start)
        chances = np.full(n_documents, 1.0 / n_documents)
        yield rng.multinomial(n_documents, chances, size=n).astype(np.float64)


def _interval(values: Numbers, confidence: float) -> tuple[float | None, float | None]:
    """The percentiles of the draws in which the measure is known."""
    known = values[np.isfinite(values)]
    if not len(known):
        return None, None
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(known, [tail, 1.0 - tail]).tolist()
    return low, high


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
