"""`mekb link`: the default command, and `evaluate` on a folder of a saved index and on a store."""

import json

import pyarrow as pa
import pytest

from alias_tables.lookup import AliasIndex
from alias_tables.schema import ALIASES, ENTITIES
from mekb.store import Store

NAMES = {1: ("Heat (film)", 1200), 2: ("Heat", 40), 3: ("Al Pacino", 5)}
PRIORS = {("Heat", 1): 0.3, ("Heat", 2): 0.7, ("Al Pacino", 3): 1.0}


def filled(schema, row):
    """A row with what it does not name: null, an empty list or 0."""
    empty = {field.name: [] if pa.types.is_list(field.type) else 0 for field in schema}
    return {field.name: None if field.nullable else empty[field.name] for field in schema} | row


@pytest.fixture
def tables():
    """Two entities of one name, and a person."""
    entities = [
        filled(ENTITIES, {"entity_id": number, "title": title, "label": title, "kind": "wikidata", "n_inlinks": n})
        for number, (title, n) in NAMES.items()
    ]  # fmt: skip
    aliases = [
        filled(ALIASES, {"surface": surface, "entity_id": number, "n_anchor": 1, "prior": prior, "link_prob": 0.9})
        for (surface, number), prior in sorted(PRIORS.items())
    ]  # fmt: skip
    return pa.Table.from_pylist(entities, ENTITIES), pa.Table.from_pylist(aliases, ALIASES)


@pytest.fixture
def index_folder(tables, tmp_path):
    folder = tmp_path / "index"
    AliasIndex.from_tables(*tables).save(folder)
    return folder


@pytest.fixture
def texts(tmp_path):
    """Two right links, and one wrong."""
    path = tmp_path / "gold.jsonl"
    mentions = [
        {"start": 0, "end": 9, "surface": "Al Pacino", "qid": "Q3"},
        {"start": 13, "end": 17, "surface": "Heat", "title": "Heat (film)"},
    ]
    path.write_text(
        json.dumps({"text": "Al Pacino in Heat", "mentions": mentions})
        + '\n{"text": "Al Pacino", "mentions": [{"start": 0, "end": 9, "surface": "Al Pacino", "qid": "Q3"}]}\n'
    )
    return path


def test_evaluate_prints_figures_with_counts_and_the_rule(mekb, index_folder, texts):
    ran = mekb("link", "evaluate", index_folder, "--gold", texts)
    assert ran.code == 0, ran.err
    for said in (
        *("Gold: gold.jsonl", "end-to-end precision", "2 of 3", "both its offsets are the same"),
        *("By P(entity | surface)", "0.9 to 1", "0.1 to 0.5", "seed 0"),
    ):
        assert said in ran.out
    assert "By links" not in ran.out, "an index does not know the links to its entities"


def test_evaluate_as_json_holds_every_figure(mekb, index_folder, texts):
    ran = mekb(
        "link", "evaluate", index_folder, "--gold", texts, "--rule", "weak", "--format", "json"
    )
    found = json.loads(ran.out)
    figures = {figure["name"]: figure for figure in found["figures"]}
    assert (figures["end-to-end recall"]["part"], figures["end-to-end recall"]["whole"]) == (2, 3)
    assert figures["candidate recall@5"]["value"] == 1.0
    assert figures["end-to-end F1"]["low"] <= figures["end-to-end F1"]["value"]
    assert "code point in common" in found["rule"][0]
    assert set(found["by_prior"]) == {"0.9 to 1", "0.5 to 0.9", "0.1 to 0.5"}
    assert found["counts"]["required"] == 3


def test_evaluate_reads_settings(mekb, index_folder, texts):
    words = ("link", "evaluate", index_folder, "--gold", texts, "--format", "json")
    ran = mekb(*words, "--set", "link.min_prior=0.8")
    figures = {figure["name"]: figure for figure in json.loads(ran.out)["figures"]}
    assert figures["end-to-end precision"]["whole"] == 2
    assert mekb(*words, "--set", "link.detector=magic").code == 2


def test_a_store_knows_the_links_to_its_entities(mekb, tables, tmp_path):
    entities, aliases = tables
    gold = tmp_path / "titles.tsv"
    gold.write_text("Heat [VHS]\tQ1\tfilms\nAl Pacino\tAl Pacino\tpeople\nNobody\tNIL\tpeople\n")
    path = tmp_path / "my.duckdb"
    with Store.open(path, create=True) as store:
        store.replace({"entities": entities, "aliases": aliases})
    ran = mekb("link", "evaluate", path, "--gold", gold, "--format", "json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert set(found["by_frequency"]) == {"head (>1000)", "torso (11-1000)", "tail (1-10)", "NIL"}
    assert set(found["by_domain"]) == {"films", "people"}
    accuracy = {figure["name"]: figure for figure in found["figures"]}["whole-title accuracy"]
    assert (accuracy["part"], accuracy["whole"]) == (1, 2)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "Heat", "mentions": [{"start": 1, "end": 5, "surface": "Heat", "qid": "Q1"}]}',
         "line 1, mention 1: start 1 and end 5; expected 0 <= start < end <= 4"),
        ("Heat", "line 1: is not JSON"),
    ],
)  # fmt: skip
def test_wrong_gold_is_one_line(mekb, index_folder, tmp_path, line, said):
    path = tmp_path / "wrong.jsonl"
    path.write_text(line + "\n")
    ran = mekb("link", "evaluate", index_folder, "--gold", path)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert ran.err.startswith(f"mekb: {path}, ")
    assert said in ran.err


def test_what_is_no_index_is_refused(mekb, texts, tmp_path):
    ran = mekb("link", "evaluate", tmp_path, "--gold", texts)
    assert (ran.code, ran.err.count("\n")) == (1, 1)


@pytest.mark.parametrize("words", [["absent.duckdb"], ["items", "absent.duckdb"], ["--force", "absent.duckdb"]])  # fmt: skip
def test_the_word_items_may_be_left_out(mekb, words):
    ran = mekb("link", *words)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("mekb: absent.duckdb: no such store")


def test_link_alone_shows_its_commands(mekb):
    for words in (["--help"], []):
        shown = mekb("link", *words).out
        assert all(name in shown for name in ("items", "evaluate"))
