"""Keys of surfaces, folded text with its way back, and tokens."""

# ruff: noqa: RUF001 (characters that look alike are the point)

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_tables.surface import exact_key, fold_text, folded_key, skip_ignored, tokens

TEXT = st.text(
    st.sampled_from(
        "aAbB Éé\u0301\u0327\u0345İıßﬁ½™ \t\n\u00a0\u200e\u200d\ufe0f'`´’“-–東한\U0001f600ǅΣς\u1e9e\u0390"
    )
    | st.characters(),
    max_size=25,
)


@given(TEXT)
def test_keys_taken_twice_are_keys_taken_once(text):
    assert exact_key(exact_key(text)) == exact_key(text)
    assert folded_key(folded_key(text)) == folded_key(text)


@given(TEXT)
def test_spellings_of_one_exact_key_have_one_folded_key(text):
    assert folded_key(exact_key(text)) == folded_key(text)


@given(TEXT)
def test_exact_key_is_nfc_without_loose_space(text):
    key = exact_key(text)
    assert unicodedata.is_normalized("NFC", key)
    assert key == " ".join(key.split())


@given(TEXT)
def test_every_folded_character_knows_where_it_came_from(text):
    folded = fold_text(text)
    n = len(folded.text)
    spans = [folded.original_span(i, i + 1) for i in range(n)]
    assert all(0 <= start < stop <= len(text) for start, stop in spans)
    assert spans == sorted(spans)
    for (start, stop), character in zip(spans, folded.text, strict=True):
        assert character in fold_text(text[start:stop]).text
    assert folded_key(text) == folded.text.strip()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("AMÉLIE", "Ame\u0301lie"),
        ("İstanbul", "istanbul"),
        ("Straße", "STRASSE"),
        ("rock ’n’ roll", "Rock 'n' Roll"),
        ("Spider–Man", "spider-man"),
        ("STAR  WARS", "star\u00a0wars"),
        ("Ⅷ", "viii"),
        ("ΣΊΣΥΦΟΣ", "Σίσυφος"),
    ],
)
def test_case_56_spellings_that_meet_under_the_folded_key(left, right):
    assert exact_key(left) != exact_key(right)
    assert folded_key(left) == folded_key(right)


def test_vowel_signs_are_no_accents():
    assert folded_key("कि") != folded_key("क")


def test_case_26_decomposed_letters_have_one_exact_key():
    assert exact_key("Ame\u0301lie") == exact_key("Amélie") == "Amélie"


@given(TEXT)
def test_tokens_cover_all_but_spaces_once_and_in_order(text):
    spans = tokens(text)
    covered = np.zeros(len(text), int)
    for start, stop in spans:
        assert start < stop
        covered[start:stop] += 1
    assert spans == sorted(spans)
    assert [bool(n) for n in covered] == [
        not c.isspace() or unicodedata.category(c) == "Cf" for c in text
    ]


def test_tokens_keep_marks_with_their_letters():
    text = "Ame\u0301lie, e\u0301"
    assert [text[a:b] for a, b in tokens(text)] == ["Ame\u0301lie", ",", "e\u0301"]


def test_skip_ignored_passes_marks_that_fold_to_nothing():
    assert skip_ignored("ab\u200e\u200dc", 2) == 4
    assert skip_ignored("abc", 2) == 2
