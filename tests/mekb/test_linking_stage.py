"""The linking stage: mentions as the linker finds them, and the entities an item's own columns name."""

import itertools

import pyarrow as pa
import pytest

from alias_tables.lookup import AliasIndex
from alias_tables.schema import CHANNELS, CUSTOM_ID_BASE
from entity_linking.config import LinkConfig
from entity_linking.linker import Linker
from mekb import linking
from mekb.errors import UnknownError
from mekb.linking import alias_index, link_items
from mekb.schema import CATALOGUE
from mekb.scoring import EntityWeights
from mekb.store import Store

DUNE, KING, SHINING, HORROR = 1, 2, 3, 4
TITLES = {DUNE: "Dune", KING: "Stephen King", SHINING: "The Shining", HORROR: "Horror fiction"}
ITEMS = [
    # id, title, text, brand, categories
    (1, "The Shining", "Stephen King wrote The Shining.", "Acme", ["Horror", " Novels "]),
    (2, "Dune", "", "Acme", ["Novels", "Novels"]),
    (3, "Carrie", "A novel by Stephen King and of Stephen King.", None, []),
    (4, "", "", "  ", ["", "Horror"]),
    (5, "Acme", "Nothing known is said here.", "Dune", []),
]


def rows(table: str, **columns: list) -> pa.Table:
    schema = CATALOGUE[table]
    return pa.table(
        {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}
    )


@pytest.fixture
def shop(tmp_path):
    """Five items and a dictionary of four names."""
    with Store.open(tmp_path / "shop.duckdb", create=True) as store:
        n = len(TITLES)
        store.replace(
            {
                "items": rows(
                    "items",
                    item_id=[item[0] for item in ITEMS],
                    external_id=[f"i{item[0]}" for item in ITEMS],
                    domain=["books"] * len(ITEMS),
                    title=[item[1] for item in ITEMS],
                    text=[item[2] for item in ITEMS],
                    brand=[item[3] for item in ITEMS],
                    categories=[item[4] for item in ITEMS],
                ),
                "entities": rows(
                    "entities",
                    entity_id=list(TITLES),
                    title=list(TITLES.values()),
                    label=list(TITLES.values()),
                    description=[None] * n,
                    kind=["wikidata"] * n,
                    flags=[[]] * n,
                    types=[[]] * n,
                    year=[None] * n,
                    n_inlinks=[0] * n,
                ),
                "aliases": rows(
                    "aliases",
                    surface=list(TITLES.values()),
                    entity_id=list(TITLES),
                    **{f"n_{channel}": [1] * n for channel in CHANNELS},
                    prior=[1.0] * n,
                    link_prob=[0.9] * n,
                    kept_mass=[None] * n,
                    cut=[None] * n,
                ),
            }
        )
        yield store


def link(store, *, weights=None, config=None, force=False, seen=None):
    def on_progress(*step: object) -> None:
        if seen is not None:
            seen.append(step)

    return link_items(
        store,
        config or LinkConfig(),
        weights or EntityWeights(),
        force=force,
        on_progress=on_progress,
    )


def named(store):
    """Return (kind, title) -> entity id of the custom entities."""
    return {
        (row["kind"], row["title"]): row["entity_id"]
        for row in store.read("custom_entities").to_pylist()
    }


def held(store):
    """Return (item, entity) -> row of `item_entities`."""
    found = store.read("item_entities").to_pylist()
    return {(row["item_id"], row["entity_id"]): row for row in found}


def test_mentions_are_the_linkers_own(shop):
    link(shop)
    index = AliasIndex.from_tables(shop.read("entities"), shop.read("aliases"))
    linker = Linker(index, LinkConfig())
    found = [
        (row["item_id"], row["field"], row["start"], row["stop"], row["entity_id"])
        for row in shop.read("mentions").to_pylist()
    ]
    expected = []
    for item_id, title, text, *_ in ITEMS:
        for field, content in (("text", text), ("title", title)):
            mentions = linker.link_texts([content], fields=[field])[0] if content else []
            expected += [(item_id, field, one.start, one.stop, one.entity_id) for one in mentions]
    assert sorted(found) == sorted(expected)
    assert len(found) >= 5


def test_a_surface_is_the_very_text_at_its_place(shop):
    link(shop)
    texts = {
        (item[0], field): value
        for item in ITEMS
        for field, value in zip(("title", "text"), item[1:3], strict=True)
    }
    for row in shop.read("mentions").to_pylist():
        assert texts[row["item_id"], row["field"]][row["start"] : row["stop"]] == row["surface"]


def test_an_items_columns_are_entities_with_their_kinds_multiplier(shop):
    link(shop)
    names, pairs = named(shop), held(shop)
    assert set(names) == {
        ("brand", "Acme"),
        ("brand", "Dune"),
        ("category", "Horror"),
        ("category", "Novels"),
        *(("product", item[1]) for item in ITEMS if item[1]),
    }
    assert min(names.values()) == CUSTOM_ID_BASE
    assert sorted(names.values()) == list(range(CUSTOM_ID_BASE, CUSTOM_ID_BASE + len(names)))
    own = {item: {entity for i, entity in pairs if i == item} for item, *_ in ITEMS}
    assert own[4] == {names["category", "Horror"]}
    assert names["brand", "Acme"] in own[1] & own[2]
    assert names["product", "Acme"] in own[5]
    assert names["brand", "Acme"] not in own[5]  # a product's name is no brand
    multiplier = EntityWeights().model_dump()
    for (kind, _), entity in names.items():
        for (_, other), row in pairs.items():
            if other == entity:
                assert row["weight"] == pytest.approx(multiplier[kind])
                assert (row["score"], row["n_mentions"]) == (1.0, 1)


def test_mentions_of_an_item_are_counted_once_an_entity(shop):
    link(shop)
    pairs = held(shop)
    assert pairs[3, KING]["n_mentions"] == 2
    assert pairs[1, SHINING]["n_mentions"] == 2  # its title, and once in the text
    assert pairs[1, KING]["weight"] == 1.0
    assert (2, DUNE) in pairs


@pytest.mark.parametrize("kind", ["wikidata", "brand", "category", "product"])
def test_a_multiplier_of_nought_leaves_the_kind_out(shop, kind):
    link(shop, weights=EntityWeights(**{kind: 0}))
    kinds = {entity: kind for (kind, _), entity in named(shop).items()}
    left = {kinds.get(entity, "wikidata") for _, entity in held(shop)}
    assert left == {"wikidata", "brand", "category", "product"} - {kind}


def test_the_row_order_of_the_items_changes_nothing(shop, tmp_path):
    link(shop)
    expected = [shop.fingerprint(name) for name in ("mentions", "custom_entities", "item_entities")]
    with Store.open(tmp_path / "other.duckdb", create=True) as other:
        for name in ("items", "entities", "aliases"):
            table = shop.read(name)
            other.replace({name: table.take(list(reversed(range(table.num_rows))))})
        link(other)
        names = ("mentions", "custom_entities", "item_entities")
        assert [other.fingerprint(name) for name in names] == expected


def test_a_stage_reruns_for_what_it_depends_on_and_nothing_else(shop):
    first = link(shop)
    assert first.report is not None
    assert first.report.n_mentions == shop.count("mentions")
    assert link(shop).stage.skipped
    assert link(shop).report is None
    assert not link(shop, config=LinkConfig(min_link_prob=0.95)).stage.skipped
    assert not link(shop, weights=EntityWeights(brand=0.4)).stage.skipped
    assert link(shop, weights=EntityWeights(brand=0.4)).stage.skipped
    assert not link(shop, weights=EntityWeights(brand=0.4), force=True).stage.skipped
    items = shop.read("items")
    shop.replace({"items": items.slice(1)})
    assert not link(shop, weights=EntityWeights(brand=0.4)).stage.skipped
    assert not [entity for item, entity in held(shop) if item == 1]
    mentions = shop.read("mentions")
    shop.replace({"mentions": mentions.slice(1)})  # a hand in the tables is noticed too
    assert not link(shop, weights=EntityWeights(brand=0.4)).stage.skipped


def test_progress_counts_texts_to_their_end(shop, monkeypatch):
    monkeypatch.setattr(linking, "_BATCH_ROWS", 3)
    seen: list[tuple[str, int, int]] = []
    link(shop, seen=seen)
    n_texts = sum(bool(text) for item in ITEMS for text in item[1:3])
    assert seen[0] == ("link", 0, n_texts)
    assert seen[-1] == ("link", n_texts, n_texts)
    done = [step[1] for step in seen]
    assert all(before < after for before, after in itertools.pairwise(done))


def test_many_small_batches_give_what_one_gives(shop, monkeypatch):
    link(shop)
    expected = shop.fingerprint("mentions")
    monkeypatch.setattr(linking, "_BATCH_ROWS", 1)
    link(shop, force=True)
    assert shop.fingerprint("mentions") == expected


def test_items_without_any_text_link_to_nothing(shop):
    items = shop.read("items")
    blank = pa.array([""] * items.num_rows)
    for column in ("title", "text"):
        index = items.schema.get_field_index(column)
        items = items.set_column(index, items.schema.field(index), blank)
    shop.replace({"items": items})
    link(shop, weights=EntityWeights(brand=0, category=0))
    assert shop.count("mentions") == shop.count("item_entities") == 0


def test_no_working_name_is_left_behind(shop):
    link(shop)
    views = shop.connection.execute(
        "select view_name from duckdb_views() where not internal"
    ).fetchall()
    assert views == []


@pytest.mark.parametrize(
    ("missing", "advice"),
    [("items", "mekb data import"), ("entities", "mekb aliases build"), ("aliases", "--dump FILE")],
)
def test_what_is_not_there_yet_is_named(shop, missing, advice):
    shop.connection.execute(f'drop table "{missing}"')
    with pytest.raises(UnknownError, match=f"no table '{missing}' yet.*{advice}"):
        link(shop)


def test_an_alias_table_is_asked_for_by_whoever_needs_it(empty_store):
    with pytest.raises(UnknownError, match="no table 'entities' yet"):
        alias_index(empty_store)


@pytest.fixture
def two_dunes(shop):
    """The shop with a novel and a film of one name, of which the novel is the likelier."""
    film = 9
    entities, aliases = shop.read("entities").to_pylist(), shop.read("aliases").to_pylist()
    (novel,) = [row for row in entities if row["entity_id"] == DUNE]
    (name,) = [row for row in aliases if row["entity_id"] == DUNE]
    novel |= {"types": ["book"]}
    entities.append(novel | {"entity_id": film, "title": "Dune (film)", "types": ["film"]})
    name["prior"] = 0.75
    aliases.append(name | {"entity_id": film, "prior": 0.25})
    items = shop.read("items").to_pylist()
    items.append(items[1] | {"item_id": 6, "external_id": "i6", "domain": "films"})
    shop.replace(
        {
            "entities": pa.Table.from_pylist(entities, CATALOGUE["entities"]),
            "aliases": pa.Table.from_pylist(aliases, CATALOGUE["aliases"]),
            "items": pa.Table.from_pylist(items, CATALOGUE["items"]),
        }
    )
    return shop


def test_the_domain_of_an_item_reaches_the_chooser(two_dunes):
    def of_dunes():
        return {
            row["item_id"]: (row["entity_id"], row["reason"], round(row["prior"], 2))
            for row in two_dunes.read("mentions").to_pylist()
            if row["surface"] == "Dune" and row["field"] == "title"
        }

    link(two_dunes)
    assert of_dunes() == {2: (DUNE, "highest_prior", 0.75), 6: (DUNE, "highest_prior", 0.75)}
    link(two_dunes, config=LinkConfig(chooser="typed"))
    assert of_dunes() == {2: (DUNE, "highest_prior", 0.75), 6: (9, "type", 0.25)}


def test_an_items_score_is_the_best_prior_whatever_the_chooser_compared(two_dunes):
    link(two_dunes, config=LinkConfig(chooser="typed"))
    (mention,) = [row for row in two_dunes.read("mentions").to_pylist() if row["entity_id"] == 9]
    assert mention["score"] > 0.9
    assert held(two_dunes)[6, 9]["score"] == pytest.approx(mention["prior"]) == pytest.approx(0.25)


@pytest.mark.parametrize("chooser", ["at1", "context"])
def test_an_items_other_text_goes_to_the_chooser_that_reads_it(shop, chooser):
    texts = shop.query(linking.TEXTS_SQL, {"context": chooser == "context"}).to_pylist()
    (title,) = [row for row in texts if (row["item_id"], row["field"]) == (1, "title")]
    (text,) = [row for row in texts if (row["item_id"], row["field"]) == (1, "text")]
    expected = (title["text"], text["text"]) if chooser == "context" else (None, None)
    assert (text["context"], title["context"]) == expected
    assert {row["domain"] for row in texts} == {"books"}
