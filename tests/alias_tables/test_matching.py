"""Matching batches of texts against the plain way: a dict of folded keys walked from every token start."""

# ruff: noqa: RUF001 (characters that look alike are the point)

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alias_tables import keys, matching
from alias_tables.lookup import AliasIndex
from alias_tables.schema import ALIASES, ENTITIES
from alias_tables.surface import exact_key, fold_text, folded_key, skip_ignored, tokens

PIECES = st.sampled_from(
    [
        *("a", "A", "b", "ab", "Big Apple", "apple", "é", "e\u0301", "É", "İ", "ı", "i", "ß", "ss"),
        *("ﬁ", "fi", "½", "²", "2", "_", "'", "`", "’", "´", "-", "–", "(", ")", ".", "$", "&"),
        *(" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\x1c", "\x00", "\x7f"),
        *("\u00ad", "\u200d", "\u200e", "\ufe0f", "\u0327", "\u0345", "\ud800", "\ufffd"),
        *(
            "東",
            "京",
            "か",
            "が",
            "か\u3099",
            "ｱ",
            "한",
            "\u1112\u1161\u11ab",
            "ก",
            "ก\u0e33",
            "कि",
        ),
        *("\U0001f600", "\U0001f44d\U0001f3fd", "Å", "\u212b", "Ω", "\u2126", "Σ", "ς", "ǅ", "Ⅷ"),
    ]
)
WRITTEN = st.lists(PIECES, max_size=9).map("".join)
ANY_TEXT = st.one_of(WRITTEN, st.text(st.characters(exclude_categories=()), max_size=12))


def make_index(surfaces):
    """Return an index in which every surface means entity 1."""
    entity = {"entity_id": 1, "title": "One", "label": "One", "kind": "wikidata"}
    entity |= {"flags": [], "types": [], "n_inlinks": 0}
    counts = {name: 1 for name in ALIASES.names if name.startswith("n_")}
    rows = [
        {**counts, "surface": text, "entity_id": 1, "prior": 1.0, "link_prob": 0.5}
        for text in surfaces
    ]
    return AliasIndex.from_tables(
        pa.Table.from_pylist([entity], ENTITIES), pa.Table.from_pylist(rows, ALIASES)
    )


def plain_matches(surfaces, text):
    """Return start, stop and whether the exact key is known: the definition, one slice at a time."""
    known = {folded_key(surface) for surface in surfaces} - {""}
    folded = fold_text(text)
    spans = tokens(text)
    stops = {stop for _, stop in spans}
    found = []
    for start, _ in spans:
        if skip_ignored(text, start) != start:
            continue
        n = len(folded.text)
        places = (i for i in range(n) if folded.original_span(i, i + 1)[0] >= start)
        position = next(places, n)  # n: the sign folded to white space that ran into another's
        best = None
        for end in range(position + 1, n + 1):
            stop = skip_ignored(text, folded.original_span(position, end)[1])
            if stop in stops and folded.text[position:end] in known:
                best = stop
        if best is not None:
            found.append((start, best, exact_key(text[start:best]) in surfaces))
    return found


def spelled(match):
    return match.start, match.stop, match.exact


@given(
    surfaces=st.lists(WRITTEN, max_size=12), texts=st.lists(ANY_TEXT, max_size=6), data=st.data()
)
@example(surfaces=["a"], texts=["a´´", "´´a", "´ ´"], data=None)
@example(surfaces=["Å", "\u1161"], texts=["\u212b", "\u1100\u1161", ""], data=None)
@settings(max_examples=300, deadline=None)
def test_batches_match_as_the_plain_way_does(surfaces, texts, data):
    surfaces = {exact_key(text) for text in surfaces} - {""}
    if data is not None:  # texts that hold surfaces are the interesting ones
        for text in sorted(surfaces)[:4]:
            around = data.draw(st.tuples(PIECES, PIECES))
            texts = [*texts, text.join(around), text]
    index = make_index(sorted(surfaces))
    found = [[] for _ in texts]
    for number, match in index.matches_many(texts).rows():
        found[number].append(spelled(match))
    assert found == [plain_matches(surfaces, text) for text in texts]
    assert found == [list(map(spelled, index.matches(text))) for text in texts]


@given(texts=st.lists(ANY_TEXT, max_size=6), size=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_the_size_of_a_batch_changes_nothing(texts, size):
    surfaces = sorted({exact_key(text) for text in texts} - {""} | {"a", "Big Apple", "東"})
    index = make_index(surfaces)
    whole = list(index.matches_many(texts).rows())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "BATCH_CHARACTERS", size)
        assert list(index.matches_many(texts).rows()) == whole
        ids, _ = index.top_many(surfaces)
    assert ids.tolist() == [1] * len(surfaces)


def test_what_automata_lose_is_found():
    """The leftmost-longest hit "New York Times S" ends inside a word, and would hide the two inside it."""
    index = make_index(["New York Times S", "New York", "York Times Square", "Times"])
    text = "New York Times Square"
    assert [text[m.start : m.stop] for m in index.matches(text)] == [
        "New York",
        "York Times Square",
        "Times",
    ]


def test_a_text_longer_than_a_batch_is_read_whole():
    text = "x " * 80_000 + "Big Apple"
    index = make_index(["Big Apple"])
    assert [(m.start, m.stop) for m in index.matches(text)] == [(160_000, 160_009)]


def test_blocks_of_surfaces_are_seamless(monkeypatch):
    """Surfaces are hashed block by block; the seams must not show, whatever the bytes of a character."""
    surfaces = sorted(
        {f"{a}{b}{n}" for n in range(40) for a in ("é", "東 ", "x") for b in ("", "한")}
    )
    monkeypatch.setattr(keys, "BLOCK_BYTES", 17)
    small = make_index(surfaces)
    assert all(small.candidates(text) for text in surfaces)
    monkeypatch.undo()
    text = ", ".join(surfaces)
    assert small.matches(text) == make_index(surfaces).matches(text)
    assert [match.surface for match in small.matches(text) if match.stop - match.start > 3]


def test_a_collision_takes_the_next_hash(monkeypatch):
    """Two strings of one hash are seen when the index is made: a second hash tells them apart."""
    real = keys._whole

    def colliding(block, seed):
        hashes, checks = real(block, seed)
        return (hashes & np.uint64(1), checks) if seed == 0 else (hashes, checks)

    monkeypatch.setattr(keys, "_whole", colliding)
    index = make_index(["one", "two", "three", "four"])
    assert index._labels.seed == 1
    assert [match.surface for match in index.matches("One two, three four")] == [
        *("one", "two", "three", "four"),
    ]


def test_a_foreign_slice_with_the_hash_of_a_key_is_no_match():
    """The check of the second multiplier is compared, too."""
    index = make_index(["one"])
    index._arrays.folded_checks[:] ^= 1
    index._arrays.exact_checks[:] ^= 1
    assert index.matches("one") == []
