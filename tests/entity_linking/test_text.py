"""Cleaning and title parsing: what is read, and that every offset leads back to the original."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entity_linking.text import clean_text, cut_text, parse_title

ANY_CHARACTER = st.characters(exclude_categories=())
PIECES = st.one_of(
    st.text(ANY_CHARACTER, max_size=6),
    st.sampled_from(
        ["&amp;", "&quot;", "&amp;quot;", "&#39;", "&#x27;", "&nbsp;", "&bogus;", "&", ";"]
    ),
    st.sampled_from(["<", ">", "<b>", "</b>", "<br/>", "<!--", "-->", "<script>", "</script>"]),
    st.sampled_from(["(", ")", "[", "]", "(1999)", "[VHS]", "The", "DVD", ":", "Edition"]),
    st.sampled_from(["\u200e", "\xa0", "\x00", "\ud800", "\u0130", "e\u0301"]),
    st.sampled_from([" ", ", The", " - ", "\r\n"]),
)
MESSY = st.lists(PIECES, max_size=12).map("".join)


@pytest.mark.parametrize(
    ("original", "text"),
    [
        pytest.param("&quot;Crocodile&quot; Dundee", '"Crocodile" Dundee', id="case_62-entity"),
        pytest.param('<span id="x">Up</span>', "Up", id="case_62-tag"),
        pytest.param("Tom &amp;amp; Jerry", "Tom & Jerry", id="case_62-escaped-twice"),
        pytest.param("One<br />Two</p>Three", "One Two Three", id="block-tags-part-words"),
        pytest.param("St<b>ar</b> Wars", "Star Wars", id="inline-tags-do-not"),
        pytest.param("a<script>if (a<b) x()</script>b", "a b", id="script"),
        pytest.param("a<!-- <b>no</b> -->b", "a b", id="comment"),
        pytest.param(
            "AT&T; R&D I <3 you > me, 1 < 2", "AT&T; R&D I <3 you > me, 1 < 2", id="no-markup"
        ),
        pytest.param("&bogus; &quot", "&bogus; &quot", id="no-entity"),
        pytest.param("Star\x00Wars\x85\x9f", "Star Wars  ", id="fault_38-controls"),
        pytest.param("a\ud800b&#xD800;", "a\ufffdb\ufffd", id="fault_38-lone-surrogates"),
        pytest.param("Foo\xa0bar\u200e\u202e\xad", "Foo bar", id="fault_38-spaces-and-marks"),
        pytest.param("&nbsp;&shy;&#8206;x", " x", id="odd-characters-by-entity"),
    ],
)
def test_clean_text_reads(original, text):
    assert clean_text(original).text == text


def test_clean_text_maps_back():
    original = "See <i>Tom &amp; Jerry</i>!"
    clean = clean_text(original)
    start = clean.text.index("Tom")
    first, last = clean.origin(start, start + len("Tom & Jerry"))
    assert original[first:last] == "Tom &amp; Jerry"


@given(MESSY)
def test_clean_text_each_character_comes_from_a_slice_in_order(original):
    clean = clean_text(original)
    spans = [clean.origin(place, place + 1) for place in range(len(clean.text))]
    assert all(0 <= start < stop <= len(original) for start, stop in spans)
    for (start, stop), (next_start, next_stop) in pairwise(spans):
        assert stop <= next_start or (start, stop) == (next_start, next_stop)
    for character, (start, stop) in zip(clean.text, spans, strict=True):
        piece = original[start:stop]
        assert character == piece or character in " \ufffd" or piece[0] == "&"


@given(MESSY)
def test_clean_text_can_be_written_as_utf8_and_holds_nothing_invisible(original):
    text = clean_text(original).text
    text.encode()
    assert not set(text) & set("\x00\xa0\u200e\u202e\ufeff\xad")


@given(st.text(st.characters(exclude_characters="<&", exclude_categories=())))
def test_clean_text_clean_text_stays_as_it_is(original):
    once = clean_text(original).text
    assert clean_text(once).text == once


@given(MESSY, st.lists(st.integers(0, 60), max_size=6))
def test_clean_text_regions_go_and_the_rest_keeps_its_place(original, cuts):
    clean = clean_text(original)
    edges = sorted({min(cut, len(clean.text)) for cut in cuts})
    regions = list(zip(edges[::2], edges[1::2], strict=False))
    gone = {place for start, stop in regions for place in range(start, stop)}
    kept = [place for place in range(len(clean.text)) if place not in gone]
    rest = clean.without(regions)
    assert rest.text == "".join(clean.text[place] for place in kept)
    assert [rest.origin(place, place + 1) for place in range(len(rest.text))] == [
        clean.origin(place, place + 1) for place in kept
    ]


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("The Matrix", 10, "The Matrix"),
        ("The Matrix", 9, "The"),
        ("Matrix", 3, "Mat"),
        (" abc", 2, " a"),
    ],
)
def test_cut_text_cuts_at_a_space_where_one_is_near(text, limit, cut):
    assert cut_text(text, limit) == cut


@given(st.text(), st.integers(1, 30))
def test_cut_text_is_a_prefix_within_the_limit(text, limit):
    cut = cut_text(text, limit)
    assert text.startswith(cut)
    assert len(cut) <= limit
    assert bool(cut) == bool(text)


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


@given(MESSY)
def test_parse_title_readings_stand_somewhere_and_hold_what_they_read(title):
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


@pytest.mark.parametrize(
    "unit",
    [
        " ",
        "<!--",
        "<script>",
        "&amp;",
        "(",
        "[]",
        "(dvd)",
        ", ",
        "- DVD ",
        "<a ",
        "&#",
        " - ",
        ": cut",
        "(1999)",
    ],
)
def test_time_is_linear(unit):
    """Quadrupled input takes about four times as long; a quadratic pattern would take sixteen."""

    def seconds(length):
        text = unit * (length // len(unit))
        times = []
        for _ in range(3):
            start = time.process_time()
            parse_title(text)
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(40_000) < 10 * seconds(10_000) + 0.02
