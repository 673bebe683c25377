"""Surfaces in texts: all of them between token boundaries, as a walk over all slices finds them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alias_tables import surface_table
from alias_tables.surface import exact_key, token_bounds, tokens
from alias_tables.surface_table import SurfaceTable, save_surface_table

LETTERS = "ab X.-'é\u0301東京한\u200dİ  \u0915\u093e\n"
WORDS = st.text(LETTERS, min_size=1, max_size=8)


def made(folder: Path, surfaces: list[str]) -> tuple[SurfaceTable, dict[int, str]]:
    save_surface_table(lambda: [surfaces[:3], surfaces[3:]], len(surfaces), folder)
    table = SurfaceTable(folder)
    numbers = table.numbers_of(surfaces).tolist()
    assert sorted(numbers) == list(range(len(surfaces)))
    return table, dict(zip(numbers, surfaces, strict=True))


@settings(max_examples=300, deadline=None)
@given(st.text(LETTERS, max_size=40))
def test_token_bounds_are_those_of_the_tokens(text):
    starts, stops = token_bounds(text)
    assert list(zip(starts.tolist(), stops.tolist(), strict=True)) == tokens(text)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS.map(exact_key).filter(bool), unique=True, max_size=12), st.data())
def test_found_is_every_slice_between_token_boundaries(tmp_path_factory, surfaces, data):
    table, names = made(tmp_path_factory.mktemp("t") / "table", surfaces)
    pieces = data.draw(st.lists(st.sampled_from([*surfaces, " ", "a", "-"]) | WORDS, max_size=12))
    text = exact_key("".join(pieces))
    spans = tokens(text)
    slices = {text[start:stop] for start, _ in spans for _, stop in spans if start < stop}
    assert [names[number] for number in table.found_in(text)] == [
        names[number] for number in sorted(names) if names[number] in slices
    ]


def test_others_are_not_found(tmp_path):
    table, _ = made(tmp_path / "table", ["New York", "New York Times", "York", "York Times Square"])
    assert table.numbers_of(["New", "new york", ""]).tolist() == [-1, -1, -1]
    assert len(table.found_in("New Yorker Time, Newyork")) == 0
    assert len(table.found_in("")) == 0
    assert len(table.found_in("New York Times Square")) == 4


def test_a_table_of_nothing_finds_nothing(tmp_path):
    save_surface_table(list, 0, tmp_path / "table")
    table = SurfaceTable(tmp_path / "table")
    assert len(table) == len(table.found_in("a b")) == 0
    assert table.numbers_of(["a"]).tolist() == [-1]


def test_the_order_of_surfaces_does_not_matter(tmp_path):
    surfaces = [f"name {i}" for i in range(500)]
    digests = {
        save_surface_table(lambda given=given: [given], len(given), tmp_path / str(i))
        for i, given in enumerate((surfaces, surfaces[::-1]))
    }
    assert len(digests) == 1


def test_surfaces_of_one_hash_get_another_seed(tmp_path, monkeypatch):
    hashed = surface_table._hashed

    def colliding(surfaces, seed):
        hashes, checks, prefixes = hashed(surfaces, seed)
        return (np.zeros_like(hashes), checks, prefixes) if seed < 2 else (hashes, checks, prefixes)

    monkeypatch.setattr(surface_table, "_hashed", colliding)
    table, names = made(tmp_path / "table", ["a b", "b", "c"])
    assert (tmp_path / "table" / "seed").read_text() == "2"
    assert {names[number] for number in table.found_in("x a b c")} == {"a b", "b", "c"}


@pytest.mark.parametrize("n", [1, 1000])
def test_tables_are_mapped_not_loaded(tmp_path, n):
    table, _ = made(tmp_path / "table", [f"name {i}" for i in range(n)])
    assert isinstance(table._table.hashes, np.memmap)
    assert isinstance(table._filter, np.memmap)
