"""Title parsing: what is set aside, what is looked up, and where it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entity_linking.text import clean_text
from entity_linking.titles import parse_title


@pytest.mark.parametrize(
    ("title", "core", "year", "marks"),
    [
        pytest.param("Matrix, The (1999)", "The Matrix", 1999, (), id="case_63"),
        pytest.param(
            "Legend of Sleepy Hollow, The",
            "The Legend of Sleepy Hollow",
            None,
            (),
            id="article",
        ),
        pytest.param("Avventura, L' (1960)", "L'Avventura", 1960, (), id="elided-article"),
        pytest.param("Jaws [VHS]", "Jaws", None, ("[VHS]",), id="square-bracket"),
        pytest.param("Jaws (DVD)", "Jaws", None, ("(DVD)",), id="round-bracket"),
        pytest.param(
            "Jaws (Collector's Edition) [VHS]",
            "Jaws",
            None,
            ("(Collector's Edition)", "[VHS]"),
            id="two",
        ),
        pytest.param(
            "Jaws - Two-Disc Special Edition DVD (1975)",
            "Jaws",
            1975,
            ("Two-Disc Special Edition DVD",),
            id="tail",
        ),
        pytest.param(
            "Jaws: The Collector's Edition",
            "Jaws",
            None,
            ("The Collector's Edition",),
            id="tail-colon",
        ),
        pytest.param(
            "Dune: Part Two - 30th Anniversary Edition",
            "Dune: Part Two",
            None,
            ("30th Anniversary Edition",),
            id="tail-after-a-subtitle",
        ),
        pytest.param("Jaws DVD Set", "Jaws", None, ("DVD Set",), id="set"),
        pytest.param("Box Set", "Box Set", None, (), id="nothing-but-a-wrapper"),
        pytest.param("Kill Bill, Vol. 1 DVD", "Kill Bill, Vol. 1", None, ("DVD",), id="last-word"),
        pytest.param("Foo [DVD] bar", "Foo bar", None, ("[DVD]",), id="in-the-middle"),
        pytest.param(
            "(500) Days of Summer (2009)",
            "(500) Days of Summer",
            2009,
            (),
            id="opens-with-bracket",
        ),
        pytest.param("[REC] (2007)", "[REC]", 2007, (), id="is-a-bracket"),
        pytest.param("1984", "1984", None, (), id="is-a-year"),
        pytest.param("2001: A Space Odyssey", "2001: A Space Odyssey", None, (), id="colon"),
        pytest.param("Dune (Penguin Classics)", "Dune", None, (), id="other-bracket"),
        pytest.param(
            "&quot;Crocodile&quot; Dundee (1986)", '"Crocodile" Dundee', 1986, (), id="case_62"
        ),
        pytest.param("DVD", "DVD", None, (), id="nothing-but-a-word"),
        pytest.param("- [DVD]", "", None, ("[DVD]",), id="nothing-left"),
        pytest.param(" \u200e ", "", None, (), id="empty"),
    ],
)
def test_parse_title_parts(title, core, year, marks):
    parts = parse_title(title)
    assert (parts.core, parts.year, parts.marks) == (core, year, marks)


@pytest.mark.parametrize(
    ("title", "readings"),
    [
        ("Jaws", {"Jaws": "Jaws"}),
        (
            "Matrix, The (1999)",
            {
                "Matrix, The (1999)": "Matrix, The (1999)",
                "The Matrix": "Matrix, The",
                "Matrix, The": "Matrix, The",
            },
        ),
        (
            "Jaws: A Novel [Import]",
            {
                "Jaws: A Novel [Import]": "Jaws: A Novel [Import]",
                "Jaws: A Novel": "Jaws: A Novel",
                "Jaws": "Jaws",
            },
        ),
        (
            "Who Framed Roger Rabbit?",
            {
                "Who Framed Roger Rabbit?": "Who Framed Roger Rabbit?",
                "Who Framed Roger Rabbit": "Who Framed Roger Rabbit",
            },
        ),
        (
            "Seven (a.k.a. Se7en)",
            {
                "Seven (a.k.a. Se7en)": "Seven (a.k.a. Se7en)",
                "Seven": "Seven",
                "Se7en": "Se7en",
            },
        ),
        (
            "Postman, The (Postino, Il) (1994)",
            {
                "Postman, The (Postino, Il) (1994)": "Postman, The (Postino, Il) (1994)",
                "Postman, The (Postino, Il)": "Postman, The (Postino, Il)",
                "The Postman": "Postman, The",
                "Postman, The": "Postman, The",
                "Il Postino": "Postino, Il",
                "Postino, Il": "Postino, Il",
            },
        ),
        (
            "Dune (Penguin Classics)",
            {"Dune (Penguin Classics)": "Dune (Penguin Classics)", "Dune": "Dune"},
        ),
    ],
)
def test_parse_title_readings_in_order(title, readings):
    found = parse_title(title).readings
    assert [(reading.key, title[reading.start : reading.stop]) for reading in found] == list(
        readings.items()
    )


@given(data=st.data())
def test_parse_title_readings_stand_somewhere_and_hold_what_they_read(messy, data):
    title = data.draw(messy)
    parts = parse_title(title)
    keys = [reading.key for reading in parts.readings]
    assert len(set(keys)) == len(keys)
    assert not parts.core or parts.core in keys
    for reading in parts.readings:
        assert 0 <= reading.start < reading.stop <= len(title)
        assert reading.key.strip() == reading.key != ""
        inside = clean_text(title[reading.start : reading.stop]).text
        assert set(reading.key) - {" "} <= set(inside)


@given(st.sampled_from(["Jaws", "The Sting", "東京物語", "Amélie"]), st.integers(1900, 2029))
def test_parse_title_year_and_wrapper_leave_the_title(title, year):
    for written in (
        f"{title} ({year})",
        f"{title} ({year}) [VHS]",
        f"{title} [Blu-ray] ({year})",
    ):
        parts = parse_title(written)
        assert (parts.core, parts.year) == (title, year)
