"""What linking found, in a small world whose answer is known."""

from collections import Counter
from itertools import combinations

import duckdb
import numpy as np
import pytest

from alias_tables.schema import CUSTOM_ID_BASE
from mekb.sources import describe
from mekb.sources.links import describe_links

BRAND = CUSTOM_ID_BASE + 1
ITEMS = {1: "books", 2: "books", 3: "books", 4: "books", 5: "films", 6: "films", 7: "music"}
HELD = [(1, 42), (1, 43), (2, 42), (2, BRAND), (3, BRAND), (5, 42), (6, 44), (6, BRAND)]
MENTIONS = [  # item, surface, entity, prior, candidates, detector
    (1, "Heat", 42, 0.4, 3, "title"),
    (1, "Al Pacino", 43, 0.9, 1, "ner"),
    (2, "Heat", 42, 0.8, 3, "title"),
    (2, "Heat", 42, 0.8, 3, "dictionary"),
    (5, "heat", 42, 1.0, 1, "dictionary"),
    (6, "Jazz", 44, 0.5, 2, "dictionary"),
]


@pytest.fixture
def world():
    """Four books, two films and an album; one brand of the data set's own."""
    with duckdb.connect() as connection:
        connection.execute(
            "create table items (item_id uinteger, domain varchar, title varchar, text varchar)"
        )
        connection.executemany("insert into items values (?, ?, 'T', 'about')", list(ITEMS.items()))
        connection.execute("create table users as select 1::uinteger as user_id")
        connection.execute(
            "create table interactions as select 1::uinteger as user_id, item_id, true as positive from items"
        )
        connection.execute("create table item_entities (item_id uinteger, entity_id uinteger)")
        connection.executemany("insert into item_entities values (?, ?)", HELD)
        connection.execute(
            "create table mentions (item_id uinteger, surface varchar, entity_id uinteger, prior float,"
            " n_candidates uinteger, detector varchar)"
        )
        connection.executemany("insert into mentions values (?, ?, ?, ?, ?, ?)", MENTIONS)
        connection.execute("create table entities (entity_id uinteger, label varchar)")
        connection.execute("insert into entities values (42, 'Heat (film)'), (43, 'Al Pacino')")
        connection.execute("create table custom_entities as select 3000000001::uinteger as entity_id, 'Acme' as label")  # fmt: skip
        yield connection


@pytest.fixture
def books(world):
    return describe(world).links.domains[0]


def test_coverage_tells_linked_from_named(world):
    books, films, music = describe(world).links.domains
    assert (books.n_items, books.any_share, books.any_per_item) == (4, 0.75, 1.25)
    assert (books.alias_share, books.alias_per_item) == (0.5, 0.75)
    assert (films.any_share, films.alias_share, films.alias_per_item) == (1.0, 1.0, 1.0)
    assert (music.any_share, music.n_mentions, music.ambiguous_share) == (0.0, 0, None)


def test_doubt_and_detectors_are_shares_of_the_mentions(books):
    assert (books.n_mentions, books.ambiguous_share) == (4, 0.75)
    assert books.detectors == {"title": 0.5, "dictionary": 0.25, "ner": 0.25}


def test_the_most_frequent_entities_and_surfaces_of_a_domain(books):
    tops = [(top.entity_id, top.label, top.n_items) for top in books.top_entities]
    assert tops == [(42, "Heat (film)", 2), (BRAND, "Acme", 2), (43, "Al Pacino", 1)]
    first, second = books.top_surfaces
    assert (first.surface, first.label, first.n_items) == ("Heat", "Heat (film)", 2)
    assert first.mean_prior == pytest.approx((0.4 + 0.8 + 0.8) / 3)
    assert (second.surface, second.n_items) == ("Al Pacino", 1)


def test_an_entity_without_a_label_is_named_by_its_id(world):
    films = describe(world).links.domains[1]
    assert [top.label for top in films.top_surfaces] == ["entity 44", "Heat (film)"]


def test_shared_entities(world):
    pairs = {(pair.domain, pair.other): pair for pair in describe(world).links.overlaps}
    both = pairs["books", "films"]
    assert (both.n_entities, both.n_entities_of_other, both.n_shared) == (3, 3, 2)
    assert both.jaccard == 2 / 4
    assert (both.row_share, both.row_share_of_other) == (4 / 5, 2 / 3)
    empty = pairs["books", "music"]
    assert (empty.n_shared, empty.jaccard, empty.row_share, empty.row_share_of_other) == (
        0,
        0,
        0,
        0,
    )


def test_verdicts(world):
    said = "\n".join(describe(world).warnings)
    assert "music: only 0% of the items have an entity of the alias table" in said
    assert "books and music have no entity in common" in said
    assert "'Heat' makes" not in said, "too few items to judge"
    world.execute("insert into items select i, 'books', 'T', '' from range(100, 200) t(i)")
    world.execute("insert into item_entities select i, 44 from range(100, 130) t(i)")
    world.execute(
        "insert into mentions select i, 'Edition', 44, 0.3, 2, 'dictionary' from range(100, 130) t(i)"
    )
    (found,) = (line for line in describe(world).warnings if "makes" in line)
    assert found.startswith("books: 'Edition' makes 29% of the items name entity 44")


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_those_of_python(seed):
    """Shared entities and the most frequent ones, counted again without SQL."""
    rng = np.random.default_rng(seed)
    domains = {item: str(rng.choice(["a", "b", "c"])) for item in range(40)}
    held = sorted({(int(rng.integers(40)), int(rng.integers(15))) for _ in range(120)})
    with duckdb.connect() as connection:
        connection.execute("create table items (item_id uinteger, domain varchar)")
        connection.executemany("insert into items values (?, ?)", list(domains.items()))
        connection.execute("create table item_entities (item_id uinteger, entity_id uinteger)")
        connection.executemany("insert into item_entities values (?, ?)", held)
        found = describe_links(connection, {"item_entities"})
    of = {name: Counter(e for i, e in held if domains[i] == name) for name in "abc"}
    for domain in found.domains:
        expected = sorted(of[domain.domain].items(), key=lambda one: (-one[1], one[0]))[:10]
        assert [(top.entity_id, top.n_items) for top in domain.top_entities] == expected
    for pair, (one, other) in zip(found.overlaps, combinations("abc", 2), strict=True):
        common = of[one].keys() & of[other].keys()
        assert pair.n_shared == len(common)
        assert pair.jaccard == pytest.approx(len(common) / len(of[one].keys() | of[other].keys()))
        assert pair.row_share == pytest.approx(sum(of[one][e] for e in common) / of[one].total())
