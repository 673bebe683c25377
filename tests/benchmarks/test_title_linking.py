"""The arithmetic of the title benchmark, on titles whose pages are known."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # they are scripts, no package

import label_evidence
import title_linking
import title_linking_data

from alias_tables.schema import ENTITY_TYPES
from entity_linking.config import LinkConfig

PAGES = ["Heat (1995 film)", "Heat (1986 film)", "Heat", "Solaris (novel)", "Solaris (1972 film)"]


def case(title, gold, domain="films"):
    return title_linking_data.Case("group", "items", title, domain, None, gold)


CASES = [
    case("Heat (1995)", "Heat (1995 film)"),
    case("Heat (1986)", "Heat (1986 film)"),
    case("Solaris", "Solaris (novel)", "books"),
    case("Solaris (1999)", "Solaris (2002 film)"),
    case("Alien (1979)", "Alien (film)"),
]


@pytest.fixture(scope="module")
def index():
    return title_linking_data._index(PAGES, {}, {})


@pytest.mark.parametrize(("chooser", "right"), [("at1", set()), ("typed", {0, 1, 2})])
def test_tallies_are_counts_of_titles(index, chooser, right):
    found = title_linking.link(index, CASES, LinkConfig(chooser=chooser))
    assert [mention is None for mention in found] == [False] * 4 + [True]
    assert {row for row, one in enumerate(found) if one and one.title == CASES[row].gold} == right
    tally = title_linking.tally(index, CASES, found)["group"]
    assert (tally.titles, tally.recalled, tally.right) == (5, 3, len(right))
    assert tally.accuracy == len(right) / 5
    assert tally.recall == 3 / 5


def test_no_title_is_both_fitted_and_reported():
    halves = [
        title_linking_data.Case("g", "t", f"Title {n}", "films", None, "x") for n in range(400)
    ]
    fitted = sum(one.is_for_fitting for one in halves)
    assert 150 < fitted < 250
    again = title_linking_data.Case("h", "u", "Title 7", "books", "other", "y")
    assert again.is_for_fitting == halves[7].is_for_fitting


def test_sections_and_underscores_are_no_part_of_a_page():
    assert title_linking_data.page("Laughing_Gas_(film)#1907 Film") == "Laughing Gas (film)"


def test_the_gold_types_are_types_of_ours():
    assert set(label_evidence.TYPES.values()) <= set(ENTITY_TYPES)
