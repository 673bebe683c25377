"""Slice hashes against the polynomial written out, and tables against a dict."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alias_tables.hashing import HashTable, SliceHash, mixed, slice_hash

TEXT = st.text(st.characters(exclude_categories=()), max_size=30)


def polynomial(text: str, multiplier: int) -> int:
    """Return the hash by its definition, in whole numbers of Python."""
    value = sum((ord(c) + 1) * pow(multiplier, j) for j, c in enumerate(text)) % 2**64
    value ^= value >> 32
    value = value * 0xBF58476D1CE4E5B9 % 2**64
    return value ^ value >> 29


@given(TEXT, st.integers(0, 3), st.integers(0, 1))
def test_a_string_hashes_to_its_polynomial(text, seed, which):
    hashing = slice_hash(seed, which)
    assert hashing.string(text) == polynomial(text, hashing._multiplier)


@given(TEXT, st.data())
def test_a_slice_hashes_as_the_string_it_is(text, data):
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, len(text)))
    hashing = slice_hash(0, 0)
    codes = np.array([ord(c) + 1 for c in text], np.uint64)
    (found,) = hashing.slices(hashing.sums(codes), np.array([start]), np.array([stop])).tolist()
    assert found == hashing.string(text[start:stop])


def test_long_texts_grow_the_powers():
    hashing = SliceHash(0)
    text = "ab" * 5000
    codes = np.array([ord(c) + 1 for c in text], np.uint64)
    sums = hashing.sums(codes)
    starts, stops = np.array([0, 9990]), np.array([10000, 10000])
    assert hashing.slices(sums, starts, stops).tolist() == [
        hashing.string(text),
        hashing.string(text[9990:]),
    ]


@given(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=60), st.lists(st.integers(0, 9)))
def test_tables_answer_as_dicts_do(keys, others):
    hashes = np.sort(np.array(keys, np.uint64))
    checks = (hashes % np.uint64(97)).astype(np.uint32)
    table = HashTable.of_sorted(hashes, checks)
    ranks = {value: rank for rank, value in enumerate(hashes.tolist())}
    wanted = np.array([*keys, *others, 2**64 - 1], np.uint64)
    expected = [ranks.get(value, -1) for value in wanted.tolist()]
    assert table.ranks(wanted).tolist() == expected
    assert [table.rank(value) for value in wanted.tolist()] == expected
    assert table.find(wanted, wanted % np.uint64(97)).tolist() == expected
    assert set(table.find(wanted, wanted % np.uint64(97) + np.uint64(100)).tolist()) == {-1}


@given(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=50))
def test_mixing_makes_no_two_values_one(values):
    assert len(set(mixed(np.array(values, np.uint64)).tolist())) == len(values)
