"""AT@1 and its threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_tables.lookup import Candidate
from entity_linking.disambiguate import MostLikely, Query


def candidate(entity_id, title, prior):
    return Candidate(entity_id, title, prior, exact=True)


JAGUAR = (
    candidate(1, "Jaguar Cars", 0.6),
    candidate(2, "Jaguar", 0.3),
    candidate(3, "Jaguar (band)", 0.1),
)


def query(**changes):
    return Query(key="x", text="x", **changes)


@pytest.mark.parametrize(("min_prior", "expected"), [(0.0, 1), (0.6, 1), (0.61, None), (1.0, None)])
def test_at1_takes_the_first_or_none(min_prior, expected):
    (choice,) = MostLikely(min_prior).choose_many([query()], [JAGUAR])
    assert (None if choice.row is None else JAGUAR[choice.row].entity_id) == expected
    assert choice.reason == ("nil" if expected is None else "highest_prior")


@given(st.floats(1e-30, 1))
def test_a_prior_equal_to_the_threshold_passes_though_stored_as_float32(threshold):
    only = candidate(1, "x", float(np.float32(threshold)))
    (choice,) = MostLikely(threshold).choose_many([query()], [[only]])
    assert (choice.row, choice.reason) == (0, "only_candidate")
