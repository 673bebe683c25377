"""Names as a NER finds them: what a sentence hangs on them, and short names after long ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entity_linking.config import LinkConfig
from entity_linking.spans import dictionary_proposals, ner_proposals
from entity_linking.text import clean_text


def proposals(text, *names, name_parts=True):
    """The (surface, key) of what is proposed for names given as (phrase, label), in their order."""
    clean, entities, position = clean_text(text), [], 0
    for phrase, label in names:
        position = clean.text.index(phrase, position)
        entities.append((position, position + len(phrase), label))
        position += len(phrase)
    found = ner_proposals(clean, entities, name_parts=name_parts)
    return [(text[span.start : span.stop], span.key) for span in found]


def keys(text, *names, name_parts=True):
    return [key for _, key in proposals(text, *names, name_parts=name_parts)]


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("the United States", "GPE", ["United States", "the United States"]),
        ("The Hague", "GPE", ["The Hague", "Hague"]),
        ("South Africa's", "GPE", ["South Africa", "South Africa's"]),
        ("McDonald's", "ORG", ["McDonald's", "McDonald"]),
        ("Danish", "NORP", ["Danish"]),
    ],
)
def test_what_is_likelier_the_name_is_tried_first(name, label, expected):
    assert keys(f"in {name} now", (name, label)) == expected


def test_a_single_name_is_looked_up_as_the_full_name_before_it():
    text = "Stanley Kubrick&#39;s film. Kubrick&#39;s Stanley, not Stephen King; King"
    names = [
        *(("Stanley Kubrick's", "PERSON"), ("Kubrick's", "PERSON"), ("Stanley", "PERSON")),
        *(("Stephen King", "PERSON"), ("King", "PERSON")),
    ]
    assert proposals(text, *names) == [
        ("Stanley Kubrick", "Stanley Kubrick"),
        ("Stanley Kubrick&#39;s", "Stanley Kubrick's"),
        ("Kubrick", "Stanley Kubrick"),
        ("Stanley", "Stanley Kubrick"),
        ("Stephen King", "Stephen King"),
        ("King", "Stephen King"),
    ]
    assert "Kubrick" in keys(text, *names, name_parts=False)


@pytest.mark.parametrize(
    ("text", "names", "last"),
    [
        ("King met Stephen King", [("King", "PERSON"), ("Stephen King", "PERSON")], "King"),
        ("Ann Lee, Bo Lee, Lee", [("Ann Lee", "PERSON"), ("Bo Lee", "PERSON"), ("Lee", "PERSON")], "Bo Lee"),
        ("George Washington in Washington", [("George Washington", "PERSON"), ("Washington", "GPE")], "Washington"),
        ("New York Times, Times", [("New York Times", "ORG"), ("Times", "PERSON")], "Times"),
        ("V W X Y Z, then Z", [("V W X Y Z", "PERSON"), ("Z", "PERSON")], "Z"),
    ],
    ids=["before", "the last of two", "another label", "no person", "too long for a name"],
)  # fmt: skip
def test_which_full_name_a_single_name_takes(text, names, last):
    found = keys(text, *names)
    assert (found[0] if text.startswith("King") else found[-1]) == last


@pytest.mark.parametrize(
    ("surface", "found"), [("10 years", False), ("12 Monkeys", True), ("20 \u4e16\u7eaa", True)]
)
def test_an_uncounted_surface_without_a_capital_is_no_name(make_index, surface, found):
    index = make_index({surface: (None, {1: 1.0})}, {1: "Meant"})
    assert bool(dictionary_proposals(index, clean_text(surface), LinkConfig())) is found


words = st.sampled_from(["Ann", "Lee", "the", "Bo's", "  "])


@given(st.lists(st.tuples(st.lists(words, min_size=1, max_size=3), st.sampled_from(["PERSON", "ORG"])), max_size=6))  # fmt: skip
def test_name_parts_change_keys_and_no_spans(entities):
    """Every span proposed with name parts is proposed without, and stays inside its entity."""
    text, spans = "", []
    for name, label in entities:
        phrase = " ".join(name)
        spans.append((len(text), len(text) + len(phrase), label))
        text += phrase + ", "
    clean = clean_text(text)
    plain = ner_proposals(clean, spans, name_parts=False)
    for span in ner_proposals(clean, spans):
        assert (span.start, span.stop) in {(one.start, one.stop) for one in plain}
        assert span.key == span.key.strip() != ""
        assert any(start <= span.start and span.stop <= stop for start, stop, _ in spans)
    assert all(clean.text[span.start : span.stop] == span.key for span in plain)
