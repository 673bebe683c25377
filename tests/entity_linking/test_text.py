"""Cleaning and title parsing: what is read, and that every offset leads back to the original."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entity_linking.text import clean_text, cut_text


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


@given(data=st.data())
def test_clean_text_each_character_comes_from_a_slice_in_order(messy, data):
    original = data.draw(messy)
    clean = clean_text(original)
    spans = [clean.origin(place, place + 1) for place in range(len(clean.text))]
    assert all(0 <= start < stop <= len(original) for start, stop in spans)
    for (start, stop), (next_start, next_stop) in pairwise(spans):
        assert stop <= next_start or (start, stop) == (next_start, next_stop)
    for character, (start, stop) in zip(clean.text, spans, strict=True):
        piece = original[start:stop]
        assert character == piece or character in " \ufffd" or piece[0] == "&"


@given(data=st.data())
def test_clean_text_can_be_written_as_utf8_and_holds_nothing_invisible(messy, data):
    original = data.draw(messy)
    text = clean_text(original).text
    text.encode()
    assert not set(text) & set("\x00\xa0\u200e\u202e\ufeff\xad")


@given(st.text(st.characters(exclude_characters="<&", exclude_categories=())))
def test_clean_text_clean_text_stays_as_it_is(original):
    once = clean_text(original).text
    assert clean_text(once).text == once


@given(data=st.data(), cuts=st.lists(st.integers(0, 60), max_size=6))
def test_clean_text_regions_go_and_the_rest_keeps_its_place(messy, data, cuts):
    original = data.draw(messy)
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
