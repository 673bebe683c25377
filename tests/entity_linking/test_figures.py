"""Figures against numbers worked out on paper, and intervals against a bootstrap in a loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from entity_linking.figures import (
    COLUMN,
    COUNTS,
    END_TO_END,
    TEXT_MEASURES,
    TITLE_MEASURES,
    Resampling,
    macro_figures,
    micro_figures,
)

WITHIN = {
    **{part: (whole,) for m in TEXT_MEASURES if (part := m.part) and (whole := m.whole)},
    "links_right": ("links", "spans_right"),
}
"""Each numerator and what it is a part of."""


def counted(**columns):
    """A count array of one row a document from columns of numbers."""
    n = len(next(iter(columns.values())))
    counts = np.zeros((n, len(COUNTS)), np.int64)
    for name, values in columns.items():
        counts[:, COLUMN[name]] = values
    return counts


def micro(counts, measures=END_TO_END, **resampling):
    (figures,) = micro_figures(counts[:, None, :], measures, Resampling(**resampling))
    return {figure.name: figure for figure in figures}


PAPER = counted(links=[4, 1, 0], links_right=[2, 1, 0], units=[3, 1, 2], units_right=[2, 1, 0])
"""P = 3/5; R = 3/6; F1 = 2 * .6 * .5 / 1.1 = 6/11.
By document: P .5, 1, none; R 2/3, 1, 0; F1 2 * (1/2)(2/3) / (7/6) = 4/7, 1, 0."""


def test_micro_figures_are_those_on_paper():
    found = micro(PAPER)
    assert (found["end-to-end precision"].part, found["end-to-end precision"].whole) == (3, 5)
    assert found["end-to-end precision"].value == pytest.approx(0.6)
    assert found["end-to-end recall"].value == pytest.approx(0.5)
    assert found["end-to-end F1"].value == pytest.approx(6 / 11)
    assert (found["end-to-end F1"].part, found["end-to-end F1"].whole) == (None, None)


def test_macro_figures_are_those_on_paper():
    precision, recall, f1 = macro_figures(PAPER, END_TO_END, Resampling())
    assert (precision.value, precision.whole) == (pytest.approx(1.5 / 2), 2)
    assert (recall.value, recall.whole) == (pytest.approx((2 / 3 + 1) / 3), 3)
    assert (f1.value, f1.whole) == (pytest.approx((4 / 7 + 1 + 0) / 3), 3)
    assert f1.name == "end-to-end F1, mean of documents"


def test_a_share_of_nothing_is_unknown_and_an_f1_without_links_is_zero():
    nothing = micro(counted(units=[0, 0]))
    assert {figure.value for figure in nothing.values()} == {None}
    assert {(figure.low, figure.high) for figure in nothing.values()} == {(None, None)}
    silent = micro(counted(units=[2, 1]))
    assert silent["end-to-end precision"].value is None
    assert (silent["end-to-end F1"].value, silent["end-to-end F1"].high) == (0.0, 0.0)


def test_the_interval_is_the_percentile_bootstrap():
    """Drawn in a loop from another generator: equal within what a thousand draws tell."""
    rng = np.random.default_rng(7)
    units = rng.integers(1, 6, 40)
    counts = counted(
        units=units, units_right=rng.binomial(units, 0.6), links=units, links_right=units
    )
    recall = micro(counts, n_draws=4000)["end-to-end recall"]
    shares = []
    for _ in range(4000):
        rows = rng.integers(0, 40, 40)
        shares.append(counts[rows, COLUMN["units_right"]].sum() / units[rows].sum())
    low, high = np.quantile(shares, [0.025, 0.975])
    assert recall.low == pytest.approx(low, abs=0.01)
    assert recall.high == pytest.approx(high, abs=0.01)
    assert recall.low < recall.value < recall.high


def test_a_seed_gives_the_same_interval_and_confidence_widens_it():
    first, again = micro(PAPER, seed=3), micro(PAPER, seed=3)
    assert first == again
    narrow = micro(PAPER, seed=3, confidence=0.5)["end-to-end recall"]
    wide = first["end-to-end recall"]
    assert wide.low <= narrow.low <= narrow.high <= wide.high


def test_draws_in_blocks_are_draws_at_once(monkeypatch):
    at_once = micro(PAPER)
    monkeypatch.setattr("entity_linking.figures._CELLS_A_BLOCK", 10)
    assert micro(PAPER) == at_once


def test_groups_have_the_same_draws():
    figures = micro_figures(np.stack([PAPER, PAPER], axis=1), TEXT_MEASURES, Resampling())
    assert figures[0] == figures[1]


def test_every_measure_is_of_counts_there_are():
    for measure in (*TEXT_MEASURES, *TITLE_MEASURES):
        pairs = measure.f1_of or ((measure.part, measure.whole),)
        assert {name for pair in pairs for name in pair} <= set(COUNTS)


@st.composite
def count_arrays(draw):
    """Counts in which no part is more than its whole."""
    n = draw(st.integers(1, 6))
    counts = np.zeros((n, len(COUNTS)), np.int64)
    for name in sorted(COUNTS, key=lambda name: (name in WITHIN, name == "links_right")):
        most = np.min(
            [counts[:, COLUMN[whole]] for whole in WITHIN.get(name, ())], axis=0, initial=5
        )
        shares = draw(hnp.arrays(np.float64, n, elements=st.floats(0, 1)))
        counts[:, COLUMN[name]] = np.floor(shares * most)
    return counts


@given(count_arrays())
def test_f1_lies_between_precision_and_recall_and_all_within_the_unit_interval(counts):
    found = micro(counts, TEXT_MEASURES, n_draws=20)
    for name in ("span", "end-to-end", "NIL"):
        precision, recall, f1 = (
            found[f"{name} {what}"].value for what in ("precision", "recall", "F1")
        )
        if precision is None and recall is None:
            assert f1 is None
        else:
            known = [precision or 0.0, recall or 0.0]
            assert min(known) - 1e-12 <= f1 <= max(known) + 1e-12
    for figure in found.values():
        for value in (figure.value, figure.low, figure.high):
            assert value is None or 0.0 <= value <= 1.0
        if figure.part is not None and figure.whole:
            assert figure.value == pytest.approx(figure.part / figure.whole)


@given(count_arrays(), st.randoms(use_true_random=False))
def test_permuting_documents_changes_no_value(counts, random):
    order = random.sample(range(len(counts)), len(counts))
    for one, other in zip(
        micro(counts, TEXT_MEASURES, n_draws=2).values(),
        micro(counts[order], TEXT_MEASURES, n_draws=2).values(),
        strict=True,
    ):
        assert one.value == other.value
    straight, shuffled = (
        macro_figures(each, END_TO_END, Resampling(n_draws=2)) for each in (counts, counts[order])
    )
    for one, other in zip(straight, shuffled, strict=True):
        assert one.whole == other.whole
        assert one.value == (None if other.value is None else pytest.approx(other.value))
