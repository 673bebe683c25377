"""The same product under two ids: found by what is planted, and worth a perfect score until it is left out."""

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from mekb import api
from mekb.config import Settings, SplitConfig, load_settings
from mekb.dataset import load_world, split_world, without_twins
from mekb.schema import CATALOGUE
from mekb.scoring import ScoringConfig
from mekb.store import Store
from mekb.twins import TWINS, TwinConfig, twins

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "amazon_kg_5core"


def rows(table, **columns):
    schema = CATALOGUE[table]
    return pa.table(
        {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}
    )


def tables_of(items, events):
    """Return the tables of items (domain, external id, title, text) and events (user, item number, time)."""
    return {
        "items": rows(
            "items",
            item_id=list(range(len(items))),
            external_id=[name for _, name, _, _ in items],
            domain=[domain for domain, *_ in items],
            title=[title for *_, title, _ in items],
            text=[text for *_, text in items],
            brand=[None] * len(items),
            categories=[[]] * len(items),
        ),
        "users": rows(
            "users",
            user_id=sorted({user for user, *_ in events}),
            external_id=[f"u{user}" for user in sorted({user for user, *_ in events})],
        ),
        "interactions": rows(
            "interactions",
            user_id=[user for user, _, _ in sorted(events)],
            item_id=[item for _, item, _ in sorted(events)],
            at=[at for _, _, at in sorted(events)],
            rating=[5.0] * len(events),
            positive=[True] * len(events),
        ),
    }


def found(items, events, **config):
    """Return {(kind, frozenset of item numbers)} of a world."""
    connection = duckdb.default_connection()  # opening one for every example is slow
    for name, table in tables_of(items, events).items():
        connection.register("given", table)
        connection.execute(f"create or replace table {name} as select * from given")
    table = twins(connection, "books", "films", TwinConfig(**config))
    assert table.schema == TWINS
    groups = defaultdict(set)
    for row in table.to_pylist():
        groups[row["kind"], row["group_id"]].add(row["item_id"])
    return {(kind, frozenset(members)) for (kind, _), members in groups.items()}


def untitled(*domains):
    return [(domain, f"{domain}{number}", "", "") for number, domain in enumerate(domains)]


def bought(item, *users):
    return [(user, item, None) for user in users]


def test_exactly_the_same_buyers_make_twins():
    items = untitled("books", "films", "films", "books", "music")
    events = [
        *bought(0, 1, 2, 3, 4),
        *bought(1, 1, 2, 3, 4),
        *bought(2, 1, 2, 3, 5),
        *bought(3, 6, 7, 8),
        *bought(4, 1, 2, 3, 4),
    ]
    assert found(items, events) == {("buyers", frozenset({0, 1}))}


def test_too_few_buyers_prove_nothing():
    items = untitled("books", "films")
    events = [*bought(0, 1, 2, 3), *bought(1, 1, 2, 3)]
    assert found(items, events) == set()
    assert found(items, events, min_buyers=3) == {("buyers", frozenset({0, 1}))}


def test_several_items_with_the_same_buyers_are_one_group():
    items = untitled("books", "books", "films", "films")
    events = [row for item in range(4) for row in bought(item, 1, 2, 3, 4)]
    assert found(items, events) == {("buyers", frozenset({0, 1, 2, 3}))}


def test_two_of_one_domain_are_no_twins_across_domains():
    items = untitled("books", "books", "films")
    events = [row for item in range(2) for row in bought(item, 1, 2, 3, 4)] + bought(2, 5, 6, 7, 8)
    assert found(items, events) == set()


DAY = datetime(2020, 1, 1)  # noqa: DTZ001  the store's times are UTC without saying so


def test_the_same_moments_need_fewer_users_but_the_same_days_prove_nothing():
    items = untitled("books", "films")
    moments = {user: DAY + timedelta(days=user, seconds=user) for user in (1, 2)}
    events = [(user, item, at) for item in (0, 1) for user, at in moments.items()]
    assert found(items, events) == {("events", frozenset({0, 1}))}
    days = [(user, item, DAY + timedelta(days=user)) for user, item, _ in events]
    assert found(items, days) == set()
    shifted = [(user, item, at + timedelta(seconds=item)) for user, item, at in events]
    assert found(items, shifted) == set()


@pytest.mark.parametrize(
    ("one", "other", "are_twins"),
    [
        (("17", "Dune"), ("17", "Alien"), False),
        (("17", ""), ("17", ""), False),
        (("17", "The Thing!"), ("17", "the thing"), True),
        (("B000AB12CD", ""), ("B000AB12CD", "Dune"), True),
        (("B000AB12CD", ""), ("b000ab12cd", ""), False),
        (("0441172717", ""), ("0441172717", ""), True),
        (("B000AB12CD", "Dune"), ("B000AB12CD", "Alien"), False),
    ],
)
def test_an_equal_id_counts_where_it_cannot_be_chance(one, other, are_twins):
    items = [("books", *one, ""), ("films", *other, "")]
    pair = {("id", frozenset({0, 1}))} if are_twins else set()
    assert found(items, bought(0, 1)) == pair


def test_equal_title_and_text_count_whatever_their_case_but_no_bare_title():
    text = "A desert planet, a feud, and a great deal of sand."
    items = [
        ("books", "a", "Dune", text),
        ("films", "b", "DUNE ", text.upper().replace(",", " -")),
        ("films", "c", "Dune", "A film about a desert planet and its worms."),
        ("books", "d", "Alien", ""),
        ("films", "e", "Alien", ""),
        ("books", "f", "Solaris", "Paperback"),
        ("films", "g", "Solaris", "Paperback"),
    ]
    assert found(items, bought(0, 1)) == {("text", frozenset({0, 1}))}


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 7)), unique=True, min_size=1, max_size=48),
    st.integers(1, 4),
)
def test_the_buyers_are_those_of_brute_force(pairs, min_buyers):
    """Items 0 to 3 are books, 4 to 7 films; compare all pairs."""
    items = untitled(*["books"] * 4, *["films"] * 4)
    of = {item: frozenset(user for user, bought in pairs if bought == item) for item in range(8)}
    groups = {
        frozenset(item for item in range(8) if of[item] == of[book])
        for book in range(4)
        if len(of[book]) >= min_buyers and any(of[film] == of[book] for film in range(4, 8))
    }
    events = [(user, item, None) for user, item in pairs]
    assert found(items, events, min_buyers=min_buyers) == {("buyers", group) for group in groups}


N_USERS, N_FILMS, N_BOOKS = 300, 60, 60


def fill(store):
    """Write films and books liked at random, and beside each film a book that is the film under another id."""
    rng = np.random.default_rng(5)
    likes = [
        (user, int(item))
        for user in range(N_USERS)
        for item in np.flatnonzero(rng.random(N_FILMS + N_BOOKS) < 0.12)
    ]
    doubled = [(user, item + N_FILMS + N_BOOKS) for user, item in likes if item < N_FILMS]
    domains = ["films"] * N_FILMS + ["books"] * (N_BOOKS + N_FILMS)
    items = [(domain, f"{domain}{n}", "", "") for n, domain in enumerate(domains)]
    store.replace(
        tables_of(items, [(user, item, None) for user, item in likes + doubled])
        | {
            "entities": rows("entities", **{name: [] for name in CATALOGUE["entities"].names}),
            "custom_entities": rows(
                "custom_entities", **{name: [] for name in CATALOGUE["custom_entities"].names}
            ),
            "item_entities": rows(
                "item_entities", **{name: [] for name in CATALOGUE["item_entities"].names}
            ),
        }
    )


@pytest.fixture(scope="module")
def doubled(tmp_path_factory):
    with Store.open(tmp_path_factory.mktemp("twins") / "w.duckdb", create=True) as store:
        fill(store)
        yield store


def hit_rate(store: Store, split: SplitConfig, k: int = 3) -> float:
    """Return HR@k, over all films, of item neighbours across domains: cosine of the buyers in training."""
    world = without_twins(load_world(store, ("books", "films")), store, "films", split)
    data = split_world(world, "films", split, ScoringConfig())
    books, films = (data.data.interactions[domain].toarray() for domain in ("books", "films"))
    lengths = np.outer(np.linalg.norm(books, axis=0), np.linalg.norm(films, axis=0))
    alike = np.divide(books.T @ films, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    best = books[:, :, None] * alike[None]  # users, books, films
    users = data.test.user_rows
    order = np.argsort(-best[users].max(axis=1), axis=1, kind="stable")[:, :k]
    liked = data.test.positives.toarray() > 0
    return float(np.take_along_axis(liked, order, axis=1).mean())


def test_twins_make_a_two_domain_model_look_perfect_and_leaving_them_out_brings_it_down(doubled):
    kept = hit_rate(doubled, SplitConfig(drop_twins=False))
    dropped = hit_rate(doubled, SplitConfig())
    assert kept > 0.9, "the twins of what test users like are in their source rows"
    assert dropped < 0.25, "nothing but chance (0.12) connects the two domains"


def test_what_is_left_out_is_the_twins_alone(doubled):
    world = load_world(doubled, ("books", "films"))
    left = without_twins(world, doubled, "films", SplitConfig())
    before, after = (each.interactions["books"].toarray() for each in (world, left))
    assert after[:, N_BOOKS:].sum() == 0
    assert before[:, N_BOOKS:].sum() > 0
    np.testing.assert_array_equal(after[:, :N_BOOKS], before[:, :N_BOOKS])
    assert isinstance(left.interactions["books"], csr_array)
    assert left.catalogues is world.catalogues
    assert left.interactions["films"] is world.interactions["films"]


def test_the_setting_keeps_them(doubled):
    world = load_world(doubled, ("books", "films"))
    assert without_twins(world, doubled, "films", SplitConfig(drop_twins=False)) is world
    strict = SplitConfig(min_twin_buyers=N_USERS)
    assert (
        without_twins(world, doubled, "films", strict).interactions["books"].nnz
        == world.interactions["books"].nnz
    )


@pytest.mark.real
def test_the_real_books_and_films_share_no_product(tmp_path):
    """amazon_kg_5core has none with four buyers or more; with two, none either."""
    if not REAL.is_dir():
        pytest.skip(f"no {REAL}")
    given = load_settings(None, ['source.brand="creator"', "source.positive_from=1.0"])
    assert isinstance(given, Settings)
    api.import_data(
        tmp_path / "kg.duckdb",
        items=[REAL / "items.parquet"],
        interactions=[REAL / "interactions.parquet"],
        settings=given,
    )
    with Store.open(tmp_path / "kg.duckdb") as store:
        for one, other in pairwise(("books", "movies", "books")):
            assert twins(store.connection, one, other).num_rows == 0
            assert twins(store.connection, one, other, TwinConfig(min_buyers=2)).num_rows == 0
