"""Profiles of ablations, made from a store: whose links count, one hop further, descriptions; and what is refused."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mekb.comparison_plan import Plan, possible_entries
from mekb.dataset import load_world, split_world
from mekb.descriptions import with_descriptions
from mekb.errors import UnknownError
from mekb.neighbours import with_neighbours
from mekb.profile import DESCRIPTION_WORDS, EntityTable, shortened
from mekb.profile_variants import ProfileVariant, varied, world_for
from mekb.schema import CATALOGUE
from mekb.scoring import NeighbourConfig, ScoringConfig
from training.embedme.ablations import ABLATIONS
from training.split_config import SplitConfig
from training.splits import make_split

DOMAINS = ("books", "films")
SPLIT = SplitConfig(n_folds=3, valid_share=0.2, seed=1, drop_twins=False)
HOP = NeighbourConfig(gamma=0.5, relations={"P50": 1.0}, top=3)
FOUND_BY = {0: ("title",), 1: ("ner",), 2: ("dictionary", "ner")}
"""The n-th entity of an item modulo 3 -> who found it there."""


def rows(table: str, **columns: list) -> pa.Table:
    schema = CATALOGUE[table]
    return pa.table(
        {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}
    )


@pytest.fixture
def linked(store):
    """Give each link of the random store its mentions: the first of an item by its title, and so on."""
    held = store.query(
        "select item_id, entity_id from item_entities where entity_id < 1000 order by all"
    )
    place: dict[int, int] = {}
    found = []
    for item, entity in zip(
        held["item_id"].to_pylist(), held["entity_id"].to_pylist(), strict=True
    ):
        number = place[item] = place.get(item, -1) + 1
        found += [(item, entity, who) for who in FOUND_BY[number % 3]]
    items, entities, detectors = zip(*found, strict=True)
    n = len(found)
    ranked = [[{"entity_id": entity, "prior": 1.0, "score": 1.0}] for entity in entities]
    texts = store.read("items").to_pylist()
    starts, spoken = [], {row["item_id"]: "" for row in texts}
    for item in items:
        starts.append(len(spoken[item]))
        spoken[item] += "x "
    for row in texts:
        row["text"] = spoken[row["item_id"]]
    store.replace(
        {
            "items": pa.Table.from_pylist(texts, CATALOGUE["items"]),
            "mentions": rows(
                "mentions",
                item_id=list(items),
                field=["text"] * n,
                start=starts,
                stop=[start + 1 for start in starts],
                surface=["x"] * n,
                entity_id=list(entities),
                prior=[1.0] * n,
                score=[1.0] * n,
                reason=["only_candidate"] * n,
                n_candidates=[1] * n,
                candidates=ranked,
                detector=list(detectors),
            ),
        }
    )
    return store, found


def related(store) -> None:
    """Relate the first entities to the last one by their author."""
    triples = [(1, 12), (2, 12), (3, 11)]
    subjects, objects = zip(*triples, strict=True)
    store.replace(
        {
            "relations": rows(
                "relations", subject=list(subjects), predicate=["P50"] * 3, object=list(objects)
            )
        }
    )


def described(store, texts: dict[int, str]) -> None:
    """Give some entities a description."""
    table = store.read("entities").to_pylist()
    for row in table:
        row["description"] = texts.get(row["entity_id"])
    store.replace({"entities": pa.Table.from_pylist(table, CATALOGUE["entities"])})


def texts_of(store, variant: ProfileVariant, neighbours: NeighbourConfig = HOP) -> list[str]:
    """Return the texts of everybody's training rows under a variant."""
    world = with_neighbours(load_world(store, DOMAINS), store, neighbours)
    split = make_split(world.interactions, "films", SPLIT)
    own = world_for(world, store, variant, neighbours)
    made = varied(own, "films", split, ScoringConfig(), variant)
    return made.data.profiles.texts(made.data.interactions)


@pytest.mark.parametrize("detector", ["title", "ner", "dictionary"])
def test_the_links_of_one_detector_and_what_items_name_themselves(linked, detector):
    store, found = linked
    world = load_world(store, DOMAINS)
    kept = world_for(world, store, ProfileVariant(links=detector), HOP)
    ids = world.entities.entity_ids
    n_lost = 0
    for domain in DOMAINS:
        own, all_ = kept.item_entities[domain].toarray(), world.item_entities[domain].toarray()
        for row, item in enumerate(world.catalogues[domain].item_ids):
            linked_by = {entity for one, entity, who in found if (one, who) == (item, detector)}
            expected = [
                all_[row, column] * (ids[column] >= 1000 or int(ids[column]) in linked_by)
                for column in range(len(ids))
            ]
            assert own[row].tolist() == expected
        n_lost += all_.sum() - own.sum()
    assert n_lost > 0


@pytest.mark.usefixtures("linked")
def test_a_detector_that_found_nothing_is_refused(store):
    store.connection.execute("delete from mentions where detector = 'title'")
    with pytest.raises(
        UnknownError, match=r"found by 'title' \(there: dictionary, ner\)"
    ) as caught:
        texts_of(store, ProfileVariant(links="title"))
    assert "\n" not in str(caught.value)


def test_one_hop_puts_in_what_is_inferred_and_takes_it_out_where_it_is_in(store):
    with pytest.raises(UnknownError, match="mekb data relations"):
        texts_of(store, ProfileVariant(one_hop=True))
    related(store)
    plain = texts_of(store, ProfileVariant())
    hopped = texts_of(store, ProfileVariant(one_hop=True))
    on = HOP.model_copy(update={"in_profiles": True})
    assert hopped == texts_of(store, ProfileVariant(), on)
    assert plain == texts_of(store, ProfileVariant(one_hop=True), on)
    longer = [(one, other) for one, other in zip(plain, hopped, strict=True) if one != other]
    assert longer
    for one, other in longer:
        own, inferred = one.split(" [SEP] "), other.split(" [SEP] ")
        assert [title for title in inferred if title in own] == own
        assert {"Entity 11", "Entity 12"} >= set(inferred) - set(own) != set()


def test_descriptions_stand_behind_titles_in_training_and_in_a_bundle(store):
    with pytest.raises(
        UnknownError, match=r"no entity has a description; .*aliases\.describe=true"
    ):
        texts_of(store, ProfileVariant(descriptions=True))
    described(store, {1: "1995 film.", 2: " ".join(map(str, range(40))), 3: "a [SEP] b"})
    plain, told = (texts_of(store, ProfileVariant(descriptions=on)) for on in (False, True))
    twelve = " ".join(map(str, range(DESCRIPTION_WORDS)))
    for one, other in zip(plain, told, strict=True):
        names = {"Entity 1": "(1995 film)", "Entity 2": f"({twelve})", "Entity 3": "(a b)"}
        wanted = [
            f"{title} {names[title]}" if title in names else title for title in one.split(" [SEP] ")
        ]
        assert other == " [SEP] ".join(wanted)
    assert any("(1995 film)" in text for text in told)
    world = with_descriptions(load_world(store, DOMAINS), store)
    made = split_world(world, "films", SPLIT, ScoringConfig())
    entities = made.profiles.entities
    again = EntityTable.from_arrow(entities.to_arrow(), entities.n_all)
    assert again.names == entities.names != again.titles
    before = EntityTable.from_arrow(replace(entities, descriptions=None).to_arrow(), entities.n_all)
    assert before.names == before.titles == entities.titles
    switched = world_for(world, store, ProfileVariant(descriptions=True), HOP)
    assert switched.entities.descriptions is None, "they are taken out where they were in"


def test_a_description_that_says_nothing_leaves_the_title():
    assert [shortened(one) for one in (None, "", " . ", "[SEP]")] == [""] * 4


def test_what_a_store_lacks_is_left_out_of_all_and_refused_by_name(store):
    entries, left_out = possible_entries(Plan(models=("popularity",), ablations=("all",)), store)
    names = {entry.name for entry in entries}
    missing = {"links-title", "links-ner", "links-dictionary", "one-hop", "descriptions"}
    assert {name for name in ABLATIONS if f"embedme [{name}]" not in names} == missing
    assert len(left_out) == len(missing)
    assert all("is left out: " in line and "\n" not in line for line in left_out)
    with pytest.raises(UnknownError, match="mekb data relations"):
        possible_entries(Plan(models=(), ablations=("no-idf", "one-hop")), store)
    related(store)
    entries, left_out = possible_entries(Plan(models=(), ablations=("one-hop",)), store)
    assert ([entry.name for entry in entries], left_out) == (["embedme", "embedme [one-hop]"], [])
    assert entries[1].variant.tables == ("relations",)


def test_weights_come_with_texts_in_their_order(store):
    world = load_world(store, DOMAINS)
    made = split_world(world, "films", SPLIT, ScoringConfig())
    histories = made.data.interactions
    texts, weights = made.profiles.weighted_texts(histories)
    assert texts == made.profiles.texts(histories)
    found = made.profiles.weights(histories)
    titles = np.array(made.profiles.entities.titles)
    for row, (text, own) in enumerate(zip(texts, weights, strict=True)):
        part = slice(found.indptr[row], found.indptr[row + 1])
        known = dict(zip(titles[found.indices[part]], found.data[part], strict=True))
        named = text.split(" [SEP] ") if text else []
        assert own.tolist() == pytest.approx([known[title] for title in named])
        assert (np.diff(own) <= 0).all()


def test_the_page_names_every_ablation():
    page = (Path(__file__).parents[2] / "docs" / "comparing.md").read_text(encoding="utf-8")
    table = page.partition("| `--ablate` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z-]+)`", table.replace("`--", ""))) >= set(ABLATIONS)
