"""Titles: MediaWiki's normal form, brackets, redirect chains, and kinds of pages."""

# ruff: noqa: RUF001 (characters that look alike are the point)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_tables.page_kinds import page_flags
from alias_tables.reasons import Reason
from alias_tables.site import Site
from alias_tables.titles import (
    LinkTargets,
    Target,
    clean_title,
    normal_form,
    raise_first_letter,
    resolve_redirects,
    strip_bracket,
)

TARGETS = LinkTargets(Site())


@given(st.text(max_size=40))
def test_normal_form_taken_twice_is_taken_once(text):
    title = normal_form(text, Site())
    if title is not None:
        assert normal_form(title, Site()) == title
        assert len(title.encode()) <= 255


@given(st.text(max_size=40))
def test_any_target_is_read_or_refused(text):
    read = TARGETS.read(text)
    assert isinstance(read, (Target, Reason))


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        (" star__Wars ", "Star Wars"),
        ("ﬁlm", "ﬁlm"),
        ("ǆ", "Ǆ"),
        ("éa", "Éa"),
        ("ა", "ა"),
        ("It: Chapter Two", "It: Chapter Two"),
        ("a|b", None),
        ("", None),
        ("\ufffd", None),
        (".", None),
        ("a/../b", None),
        ("...And Justice", "...And Justice"),
        ("x%41", None),
        ("100% Wolf", "100% Wolf"),
    ],
)
def test_normal_form(raw, title):
    assert normal_form(raw, Site()) == title


def test_case_25_first_letter_rule_per_language():
    assert raise_first_letter("istanbul", "tr") == "İstanbul"
    assert raise_first_letter("istanbul", "en") == "Istanbul"
    assert raise_first_letter("ßx") == "ßx"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("Paris#History of", Target("Paris", "History of", "Paris")),
        (":Paris", Target("Paris", "", "Paris")),
        ("File:X.jpg", Reason.OTHER_NAMESPACE),
        (" file : X.jpg", Reason.OTHER_NAMESPACE),
        ("FR:Paris", Reason.INTERWIKI),
        ("Foo:", Target("Foo:", "", "Foo:")),
        ("%C3%89tat", Target("État", "", "État")),
        ("%FF", Reason.INVALID_TITLE),
        ("::x", Reason.INVALID_TITLE),
    ],
)
def test_link_targets(raw, expected):
    assert TARGETS.read(raw) == expected


@pytest.mark.parametrize(
    ("title", "bare"),
    [
        pytest.param("Matrix (film)", "Matrix", id="case_39"),
        pytest.param("Paris, Texas", None, id="case_40"),
        pytest.param("(500) Days of Summer", None, id="case_41"),
        pytest.param("Foo (bar) baz", None, id="case_41b"),
        pytest.param("(film)", None, id="case_41c"),
        pytest.param("A (b (c))", "A", id="nested"),
        pytest.param("A b)", None, id="unbalanced"),
        pytest.param("英雄（电影）", "英雄", id="full_width"),
    ],
)
def test_only_a_final_bracket_is_stripped(title, bare):
    assert strip_bracket(title) == bare


@given(
    st.dictionaries(st.integers(0, 12), st.integers(0, 12), max_size=12),
    st.lists(st.integers(0, 12), max_size=6),
)
def test_redirects_end_where_following_them_by_hand_ends(hops, starts):
    redirects = {str(a): str(b) for a, b in hops.items()}
    ends = resolve_redirects(redirects, map(str, starts))
    for start in map(str, starts):
        at = start
        for _ in range(50):
            at = redirects.get(at, at)
        assert ends[start] == (Reason.REDIRECT_LOOP if at in redirects else at)


@pytest.mark.parametrize(
    ("title", "text", "flags"),
    [
        ("Jaguar", "{{Disambiguation|geo}}", ["disambiguation"]),
        ("Jaguar (disambiguation)", "", ["disambiguation"]),
        ("Jaguar", "__DISAMBIG__", ["disambiguation"]),
        ("Jaguar", "{{disambiguation needed}} {{dabble}}", []),
        ("List of films", "", ["list"]),
        ("Listen", "", []),
        ("Smith (surname)", "", ["name"]),
        ("Smith", "{{surname}}", ["name"]),
        ("HMS Hood", "{{SIA}}", ["set_index"]),
        ("1984", "", ["date"]),
        ("July 4", "", ["date"]),
        ("1984 (novel)", "", []),
        ("19th century", "", ["date"]),
        ("2001: A Space Odyssey", "", []),
        ("1990s", "", ["date"]),
    ],
)
def test_case_44_kinds_of_pages(title, text, flags):
    assert page_flags(title, text) == flags


def test_clean_title_drops_direction_marks():
    assert clean_title("Foo\u00a0_bar\u200e") == "Foo bar"
