"""AT@1, its threshold, and the hints of a whole title."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_tables.lookup import Candidate
from entity_linking.disambiguate import KIND_WEIGHT, YEAR_WEIGHT, MostLikely, Query, TitleHints


def candidate(entity_id, title, prior):
    return Candidate(entity_id, title, prior, exact=True)


JAGUAR = (
    candidate(1, "Jaguar Cars", 0.6),
    candidate(2, "Jaguar", 0.3),
    candidate(3, "Jaguar (band)", 0.1),
)
HEAT = (
    candidate(1, "Heat", 0.6),
    candidate(2, "Heat (1995 film)", 0.3),
    candidate(3, "Heat (1986 film)", 0.02),
    candidate(4, "Heat (magazine)", 0.008),
)


def query(**changes):
    return Query(key="x", text="x", **changes)


@pytest.mark.parametrize(("min_prior", "expected"), [(0.0, 1), (0.6, 1), (0.61, None), (1.0, None)])
def test_at1_takes_the_first_or_none(min_prior, expected):
    chosen = MostLikely(min_prior).choose(query(), JAGUAR)
    assert (chosen and chosen.entity_id) == expected


def test_case_57_no_candidates_are_nil():
    assert MostLikely().choose(query(), []) is None
    assert TitleHints(kinds=["film"]).choose(query(whole_title=True, year=1995), []) is None


@given(st.floats(1e-30, 1))
def test_a_prior_equal_to_the_threshold_passes_though_stored_as_float32(threshold):
    only = candidate(1, "x", float(np.float32(threshold)))
    assert MostLikely(threshold).choose(query(), [only]) is only


@pytest.mark.parametrize(
    ("kinds", "year", "expected"),
    [
        pytest.param((), None, 1, id="no-hint"),
        pytest.param((), 1995, 2, id="case_63-year"),
        pytest.param((), 1986, 3, id="case_63-other-year"),
        pytest.param((), 1972, 1, id="unknown-year"),
        pytest.param(("film",), None, 2, id="case_63-kind"),
        pytest.param(("Film",), 1986, 3, id="year-and-kind"),
        pytest.param(("novel",), None, 1, id="kind-nobody-has"),
        pytest.param(("magazine",), None, 1, id="kind-too-unlikely"),
    ],
)
def test_case_63_hints_of_a_whole_title(kinds, year, expected):
    chosen = TitleHints(0.01, kinds).choose(query(whole_title=True, year=year), HEAT)
    assert chosen is not None
    assert chosen.entity_id == expected


def test_hints_are_for_whole_titles_only():
    chosen = TitleHints(kinds=["film"]).choose(query(year=1995, whole_title=False), HEAT)
    assert chosen is HEAT[0]


def test_a_hint_is_evidence_that_needs_no_threshold():
    rare = [candidate(1, "Heat (1986 film)", 0.004)]
    hints = TitleHints(min_prior=0.01)
    assert hints.choose(query(whole_title=True, year=1986), rare) is rare[0]
    assert hints.choose(query(whole_title=True), rare) is None
    assert hints.choose(query(whole_title=True, year=1999), rare) is None


@pytest.mark.parametrize(
    ("title", "weight"),
    [
        ("Heat", 1.0),
        ("Heat (1995 film)", YEAR_WEIGHT * KIND_WEIGHT),
        ("Heat (film)", KIND_WEIGHT),
        ("Heat (1986 film)", KIND_WEIGHT / YEAR_WEIGHT),
        ("(1995 film)", 1.0),
        ("Heat (1995) strikes", 1.0),
        ("Heat (band)", 1.0),
    ],
)
def test_weight_reads_the_final_bracket(title, weight):
    assert TitleHints(kinds=["film"]).weight(1995, title) == pytest.approx(weight)


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=6), st.sampled_from([None, 1995, 1986]))
def test_choice_is_the_largest_product_and_the_first_of_equals(priors, year):
    titles = ["Heat", "Heat (1995 film)", "Heat (1986 film)"] * 2
    candidates = [
        candidate(number, titles[number], prior)
        for number, prior in enumerate(sorted(priors, reverse=True))
    ]
    hints = TitleHints(kinds=["film"])
    products = [item.prior * hints.weight(year, item.title) for item in candidates]
    chosen = hints.choose(query(whole_title=True, year=year), candidates)
    assert chosen is candidates[products.index(max(products))]
