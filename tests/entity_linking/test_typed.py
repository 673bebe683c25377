"""The chooser by type and year: its evidence, its score, its reasons and its NIL."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alias_tables.lookup import Candidate
from alias_tables.schema import ENTITY_TYPES
from entity_linking.config import DOMAIN_TYPES, NER_LABELS, LinkConfig
from entity_linking.disambiguate import NIL_ODDS, MostLikely, Query
from entity_linking.linker import Linker, TextRow
from entity_linking.typed import (
    DOMAIN_FACTORS,
    LABEL_FACTORS,
    LABEL_TYPES,
    YEAR_FACTORS,
    Typed,
    type_fit,
    year_fit,
)


class Descriptions:
    """As much of an index as the chooser asks."""

    def __init__(self, known=()):
        self._known = dict(known)

    def description(self, entity_id):
        """Return what the table says of an entity."""
        return self._known.get(entity_id)


def candidate(entity_id, title, prior, types=(), year=None):
    return Candidate(entity_id, title, prior, True, types, year)  # noqa: FBT003  a row of the table


def title(domain=None, year=None):
    return Query("Heat", "Heat", 0, 4, whole_title=True, year=year, domain=domain)


def typed(descriptions=(), **settings):
    return Typed(Descriptions(descriptions), LinkConfig(chooser="typed", **settings))


HEAT = (
    candidate(1, "Heat", 0.6),
    candidate(2, "Heat (1995 film)", 0.3),
    candidate(3, "Heat (1986 film)", 0.02),
    candidate(4, "Heat (magazine)", 0.008),
)


@pytest.mark.parametrize(
    ("domain", "year", "expected", "reason"),
    [
        pytest.param(None, None, 1, "highest_prior", id="no-evidence"),
        pytest.param("pottery", None, 1, "highest_prior", id="unknown-domain"),
        pytest.param(None, 1995, 2, "year", id="case_63-year"),
        pytest.param(None, 1986, 3, "year", id="case_63-other-year"),
        pytest.param(None, 1972, 1, "highest_prior", id="year-nobody-has"),
        pytest.param("films", None, 2, "type", id="case_63-kind"),
        pytest.param(" Films ", None, 2, "type", id="domain-as-written"),
        pytest.param("films", 1986, 3, "year", id="year-and-kind"),
        pytest.param("books", None, 1, "highest_prior", id="kind-nobody-has"),
    ],
)
def test_case_63_evidence_of_a_whole_title(domain, year, expected, reason):
    (choice,) = typed().choose_many([title(domain, year)], [HEAT])
    assert HEAT[choice.row].entity_id == expected
    assert choice.reason == reason


def test_the_tables_types_and_year_go_before_the_title():
    found = [
        candidate(1, "Heat (film)", 0.6, types=("album",)),
        candidate(2, "Heat", 0.3, ("film",)),
    ]
    (choice,) = typed().choose_many([title("films")], [found])
    assert (choice.row, choice.reason) == (1, "type")


def test_descriptions_are_the_last_resort():
    found = [candidate(1, "Heat", 0.6), candidate(2, "Heat (Mann)", 0.3)]
    chooser = typed({1: "form of energy", 2: "1995 film by Michael Mann"})
    (choice,) = chooser.choose_many([title("films", 1995)], [found])
    assert (choice.row, choice.reason) == (1, "type_and_year")  # each alone would do
    assert chooser.facts(found[1]) == (frozenset({"film"}), (1995,))


def test_both_kinds_of_evidence_may_be_needed():
    """A book of the right year and a film of another stand before the film of the right year."""
    found = [
        candidate(1, "Heat (novel)", 0.9, year=1995),
        candidate(2, "Heat (1986 film)", 0.09),
        candidate(3, "Heat (1995 film)", 0.01),
    ]
    (choice,) = typed().choose_many([title("films", 1995)], [found])
    assert (choice.row, choice.reason) == (2, "type_and_year")


@pytest.mark.parametrize(
    ("label", "expected", "reason"),
    [
        ("PERSON", 1, "type"),
        ("GPE", 0, "highest_prior"),
        ("NORP", 0, "highest_prior"),
        (None, 0, "highest_prior"),
    ],
)
def test_a_label_of_the_ner_is_evidence_in_running_text(label, expected, reason):
    washington = [
        candidate(1, "Washington", 0.55, ("place",)),
        candidate(2, "G. W.", 0.35, ("person",)),
    ]
    query = Query("Washington", "in Washington", 3, 13, label=label, domain="films", year=1995)
    (choice,) = typed().choose_many([query], [washington])
    assert (choice.row, choice.reason) == (expected, reason)


def test_scores_are_the_formula_written_again():
    (choice,) = typed().choose_many([title("films", 1995)], [HEAT])
    priors = np.array([one.prior for one in HEAT])
    factors = np.array(
        [
            1.0,
            DOMAIN_FACTORS["fits"] * YEAR_FACTORS["same"],
            DOMAIN_FACTORS["fits"] * YEAR_FACTORS["other"],
            DOMAIN_FACTORS["other"],
        ]
    )
    expected = priors * factors / ((priors * factors).sum() + (1 - priors.sum()) + NIL_ODDS)
    np.testing.assert_allclose(choice.scores, expected, rtol=1e-12)


def test_nobody_is_meant_where_the_only_one_is_of_another_type():
    only = [candidate(1, "Heat", 1.0, types=("concept",))]
    chooser = typed()
    (choice,) = chooser.choose_many([title("films")], [only])
    assert (choice.row, choice.reason) == (None, "nil")
    assert choice.scores[0] == pytest.approx(0.008 / (0.008 + NIL_ODDS))
    (choice,) = chooser.choose_many([title("pottery")], [only])
    assert (choice.row, choice.reason) == (0, "only_candidate")
    (choice,) = typed(min_typed_score=0.1).choose_many([title("films")], [only])
    assert choice.row == 0


def test_evidence_needs_no_threshold_on_the_prior():
    rare = [candidate(1, "Heat (1986 film)", 0.004)]
    chooser = typed()
    assert chooser.choose_many([title(year=1986)], [rare])[0].row == 0
    assert chooser.choose_many([title()], [rare])[0].row is None
    assert chooser.choose_many([title(year=1999)], [rare])[0].row is None


@given(
    st.lists(st.floats(0.001, 1), min_size=1, max_size=8),
    st.sampled_from([None, "PERSON", "GPE"]),
    st.booleans(),
)
def test_without_evidence_it_is_at1(priors, label, whole):
    total = sum(priors)
    found = [
        candidate(number, f"Name {number}", prior / total)
        for number, prior in enumerate(sorted(priors, reverse=True))
    ]
    query = Query("x", "x", label=label, whole_title=whole, domain="pottery")
    (choice,) = typed(min_typed_score=0.0).choose_many([query], [found])
    (at1,) = MostLikely(0.01).choose_many([query], [found])
    assert (choice.row, choice.reason) == (at1.row, at1.reason)


@given(
    st.lists(
        st.tuples(
            st.floats(0.001, 1),
            st.sampled_from([(), ("film",), ("book",), ("franchise",)]),
            st.sampled_from([None, 1994, 1995, 1960]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["films", "books", None]),
    st.sampled_from([None, 1995]),
)
def test_the_choice_is_the_largest_product_and_the_first_of_equals(rows, domain, year):
    total = sum(prior for prior, *_ in rows)
    found = [
        candidate(number, f"Name {number}", prior / total, types, born)
        for number, (prior, types, born) in enumerate(rows)
    ]
    (choice,) = typed(min_typed_score=0.0, min_prior=0.0).choose_many(
        [title(domain, year)], [found]
    )
    if choice.scores is None:
        assert (domain, year) == (None, None)
        return
    wanted = frozenset(DOMAIN_TYPES.get(domain or "", ()))
    products = [
        one.prior
        * DOMAIN_FACTORS[type_fit(wanted, frozenset(one.types))]
        * YEAR_FACTORS[year_fit(year, () if one.year is None else (one.year,))]
        for one in found
    ]
    assert products[choice.row] == pytest.approx(max(products))
    assert all(0 < score <= 1 for score in choice.scores)
    assert sum(choice.scores) < 1


@pytest.mark.parametrize(
    ("wanted", "types", "fit"),
    [
        ({"film"}, {"film", "work"}, "fits"),
        ({"film"}, {"book"}, "other"),
        ({"film"}, {"franchise"}, "unknown"),
        ({"film"}, (), "unknown"),
        ((), {"book"}, "unknown"),
    ],
)
def test_type_fit(wanted, types, fit):
    assert type_fit(frozenset(wanted), frozenset(types)) == fit


@pytest.mark.parametrize(
    ("wanted", "years", "fit"),
    [
        (1995, (1995,), "same"),
        (1995, (1960, 1996), "near"),
        (1995, (1997,), "other"),
        (1995, (), "unknown"),
        (None, (1995,), "unknown"),
    ],
)
def test_year_fit(wanted, years, fit):
    assert year_fit(wanted, years) == fit


def test_factors_are_evidence_for_and_against():
    for factors in (DOMAIN_FACTORS, LABEL_FACTORS):
        assert factors["fits"] > factors["unknown"] == 1 > factors["other"] > 0
    assert YEAR_FACTORS["same"] > YEAR_FACTORS["near"] > YEAR_FACTORS["unknown"] == 1
    assert set(LABEL_TYPES) <= set(NER_LABELS)
    assert {name for types in LABEL_TYPES.values() for name in types} <= set(ENTITY_TYPES)
    assert {name for types in DOMAIN_TYPES.values() for name in types} <= set(ENTITY_TYPES)


def test_domains_of_ones_own_are_added_to_the_usual_ones():
    config = LinkConfig(domain_types={"Bandes dessinées": ("comic",), "books": ()})
    assert config.domain_types["bandes dessinées"] == ("comic",)
    assert config.domain_types["books"] == ()
    assert config.domain_types["films"] == DOMAIN_TYPES["films"]
    assert LinkConfig.model_validate(config.model_dump()) == config


def test_a_type_that_does_not_exist_is_refused():
    with pytest.raises(ValidationError, match="no such type: movie; types are album, award"):
        LinkConfig(domain_types={"films": ("movie",)})


def test_the_old_setting_is_refused_by_name():
    with pytest.raises(ValidationError, match="title_kinds"):
        LinkConfig(title_kinds=("film",))


@pytest.mark.parametrize(
    ("text", "domain", "entity_id"),
    [
        pytest.param("Matrix, The (1999)", None, 10, id="case_63"),
        pytest.param("Matrix, The", None, 8, id="case_63-no-year"),
        pytest.param("Matrix, The", "films", 10, id="case_63-domain"),
        pytest.param("Titanic (1953) [VHS]", None, 13, id="case_63-year-among-films"),
        pytest.param("It", "films", 6, id="case_60-film"),
        pytest.param("It", "books", 5, id="case_60-book"),
        pytest.param("Up", "books", None, id="case_60-no-such-book"),
    ],
)
def test_whole_titles(index, text, domain, entity_id):
    linker = Linker(index, LinkConfig(chooser="typed"))
    (mentions,) = linker.link_rows([TextRow(text, "title", domain)])
    assert [one.entity_id for one in mentions] == ([] if entity_id is None else [entity_id])
