"""Types and years from brackets, categories and first sentences: what they say, and where they keep silent."""

import csv
import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_tables.entity_types import (
    WORK_TYPES,
    Guess,
    category_names,
    from_bracket,
    from_categories,
    from_sentence,
    guess_type,
    year_in,
)
from alias_tables.schema import ENTITY_TYPES
from alias_tables.titles import strip_bracket
from alias_tables.type_nouns import ENGLISH_PLURALS, NOUNS

US_FILMS = Path(__file__).parents[2].parent / "shared/data/linking/us_films.tsv.gz"


@pytest.mark.parametrize(
    ("title", "language", "types", "year"),
    [
        ("Alpha (1995 film)", "en", "film", 1995),
        ("Alpha (1995 TV series)", "en", "television", 1995),
        ("Alpha (American TV series)", "en", "television", None),
        ("Alpha (novel)", "en", "book", None),
        ("Alpha (Beta novel)", "en", "book", None),
        ("Alpha (Beta album)", "en", "album", None),
        ("Alpha (EP)", "en", "album", None),
        ("Alpha (2004 song)", "en", "song", 2004),
        ("Alpha (band)", "en", "music_group", None),
        ("Alpha (video game)", "en", "game", None),
        ("Alpha (podcast)", "en", "podcast", None),
        ("Alpha (American actor)", "en", "person", None),
        ("Alpha (footballer, born 1949)", "en", "", 1949),
        ("Alpha (TV film)", "en", "film", None),
        ("Alpha (film series)", "en", "film", None),
        ("Alpha (book series)", "en", "book", None),
        ("Alpha (comics)", "en", "comic", None),
        ("Alpha (Beta character)", "en", "character", None),
        ("Alpha (soundtrack)", "en", "album", None),
        ("Alpha (1990s group)", "en", "music_group", None),
        ("Alpha (disambiguation)", "en", "", None),
        ("Alpha (surname)", "en", "", None),
        ("Alpha", "en", "", None),
        ("(500) Days", "en", "", None),
        ("Alpha (filmmaker)", "en", "person", None),
        ("Alpha (Film)", "de", "film", None),
        ("Alpha (1995)", "de", "", 1995),
        ("Alpha (Fernsehserie)", "de", "television", None),
        ("Alpha (Roman)", "de", "book", None),
        ("Alpha (film, 1995)", "fr", "film", 1995),
        ("Alpha (roman)", "fr", "book", None),
        ("Alpha (película de 1995)", "es", "film", 1995),
        ("Alpha (brano musicale)", "it", "song", None),
        ("甲 (1995年电影)", "zh", "film", 1995),
        ("甲\uff08小說\uff09", "zh", "book", None),
        ("甲 (専輯)", "xx", "", None),
        ("甲 (アルバム)", "ja", "album", None),
    ],
)
def test_brackets(title, language, types, year):
    assert from_bracket(title, language) == Guess((types,) if types else (), year)


@pytest.mark.parametrize(
    ("categories", "types", "year"),
    [
        (["1995 films", "1990s crime films", "Films set in Alpha"], ("film",), 1995),
        (["Films based on novels", "Novels adapted into films", "Alpha novels"], ("book",), None),
        (["1949 births", "Living people", "American film actors", "1995 films"], ("person",), None),
        (["American male film actors", "People from Alpha"], ("person",), None),
        (["1995 debut albums", "Albums produced by Alpha", "Beta albums"], ("album",), 1995),
        (["1999 songs", "2001 singles", "Songs written by Alpha"], ("song",), 1999),
        (
            ["1997 American television series debuts", "2001 television series endings"],
            ("television",),
            1997,
        ),
        (["Characters in American novels of the 20th century"], ("character",), None),
        (
            ["Rock music groups from Alpha", "Musical groups established in 1990"],
            ("music_group",),
            None,
        ),
        (["1995 video games", "Alpha games", "Windows games"], ("game",), 1995),
        (["Audio podcasts", "2014 podcast debuts"], ("podcast",), 2014),
        (["Populated places in Alpha"], ("place",), None),
        (["Best Picture Academy Award winners", "Alpha"], (), None),
        (["1972 in film"], (), None),
        ([], (), None),
    ],
)
def test_categories(categories, types, year):
    assert from_categories(categories) == Guess(types, year)
    assert from_categories(reversed(categories)) == Guess(types, year)


@pytest.mark.parametrize(
    ("sentence", "language", "types", "year"),
    [
        ("Alpha is a 1995 American crime film written by Beta.", "en", "film", 1995),
        ("Alpha is a 1995 film based on the novel of the same name.", "en", "film", 1995),
        ("Alpha is the third studio album by Beta, released on 12 May 1998.", "en", "album", 1998),
        ("Alpha is a novel by Beta, first published in 1937.", "en", "book", 1937),
        ("Alpha are an American rock band formed in 1990.", "en", "music_group", None),
        ("Alpha was an English novelist known for six novels.", "en", "person", None),
        (
            "Alpha (born 1949) is an American actor, film director and producer.",
            "en",
            "person",
            None,
        ),
        ("Alpha is an American recording artist.", "en", "person", None),
        ("Alpha is a silent film featuring clowns.", "en", "film", None),
        ("Alpha is a species of beetle in the family Beta.", "en", "concept", None),
        ("Alpha is a town in Beta.", "en", "place", None),
        ("Alpha is the capital of Beta.", "en", "place", None),
        ("Alpha is a fictional character in Beta.", "en", "character", None),
        ("Alpha is an action-adventure video game developed by Beta.", "en", "game", None),
        ("Alpha is an American animated sitcom created by Beta.", "en", "television", None),
        ("Alpha is a branch of physics that studies film.", "en", "", None),
        ("Alpha ran quickly.", "en", "", None),
        ("Alpha ist ein US-amerikanischer Kriminalfilm aus dem Jahr 1995.", "de", "film", 1995),
        ("Alpha ist ein Roman von Beta.", "de", "book", None),
        ("Alpha est un film américain réalisé par Beta, sorti en 1995.", "fr", "film", 1995),
        ("Alpha es una película estadounidense de 1995.", "es", "film", 1995),
        ("Alpha è un romanzo di Beta.", "it", "book", None),
        ("甲是一部1995年美国犯罪电影。", "zh", "film", 1995),
        ("甲は、1995年のアメリカ映画。", "ja", "film", 1995),
        ("Alpha is a 1995 film.", "xx", "", None),
    ],
)
def test_first_sentences(sentence, language, types, year):
    assert from_sentence(sentence, language) == Guess((types,) if types else (), year)


def test_the_order_of_trust():
    sentence = "Alpha is a novel published in 1990."
    assert guess_type("Alpha (film)", ["1995 films"], sentence) == Guess(("film",), 1995)
    assert guess_type("Alpha", ["1995 films"], sentence) == Guess(("film",), 1995)
    assert guess_type("Alpha", [], sentence) == Guess(("book",), 1990)
    assert guess_type("Alpha (film)", [], sentence) == Guess(
        ("film",), None
    )  # the novel's year is not its
    assert guess_type("Alpha (1994 film)", ["1995 films"], None) == Guess(("film",), 1994)
    assert guess_type("Alpha (1994)", ["1949 births"], None) == Guess(("person",), None)


def test_categories_of_a_page_in_its_own_words():
    text = (
        "[[Category:Old]]"
        + "x" * 9000
        + "[[category : 1995_films|Alpha]]\n[[Kategorie:Film]] [[:Category:no]]"
    )
    assert category_names(text) == ["1995 films"]
    assert category_names(text, ("Kategorie", "Category")) == ["1995 films", "Film"]


def test_one_year_or_none():
    assert [
        year_in(text)
        for text in ("1995", "1995 and 1995", "1995, 1996", "90", "31995", "2150", "1990s")
    ] == [
        1995,
        1995,
        *[None] * 5,
    ]


def test_the_vocabulary_is_closed():
    named = {name for nouns in NOUNS.values() for name in nouns.values()}
    assert named | set(ENGLISH_PLURALS.values()) <= set(ENTITY_TYPES)
    assert set(WORK_TYPES) <= set(ENTITY_TYPES)


@given(st.text(max_size=60), st.lists(st.text(max_size=30), max_size=3), st.text(max_size=120))
def test_any_text_gives_a_guess_of_the_contract(title, categories, sentence):
    for language in ("en", "de", "zh", "xx"):
        types, year = guess_type(title, categories, sentence, language)
        assert list(types) == sorted(set(types))
        assert set(types) <= set(ENTITY_TYPES)
        assert year is None or 1500 <= year < 2100


@pytest.mark.real
@pytest.mark.skipif(not US_FILMS.is_file(), reason="no ../shared: the list of films is missing")
def test_real_films_are_found_to_be_films_of_their_year():
    with gzip.open(US_FILMS, "rt", encoding="utf-8") as file:
        films = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[::5]
    brackets = [
        from_bracket(row["wikipedia_title"])
        for row in films
        if strip_bracket(row["wikipedia_title"])
    ]
    assert sum(guess.types == ("film",) for guess in brackets) > 0.98 * len(brackets)
    told = [
        (from_sentence(row["summary"][:300]), int(row["year"])) for row in films if row["summary"]
    ]
    typed = [guess for guess, _ in told if guess.types]
    assert len(typed) > 0.85 * len(told)
    assert sum(guess.types == ("film",) for guess in typed) > 0.98 * len(typed)
    dated = [(guess.year, year) for guess, year in told if guess.year is not None]
    assert sum(abs(found - year) <= 1 for found, year in dated) > 0.98 * len(dated)
