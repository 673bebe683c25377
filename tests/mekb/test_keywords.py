"""Keyword dictionaries: found in texts, weighed, explained, and called by ids that stay."""

from math import log

import pytest

from mekb import api
from mekb.errors import SourceError
from mekb.interests import EVIDENCE_SQL
from mekb.rdf.files import read_profile
from mekb.schema import KEYWORD_ID_BASE

ITEMS = """item_id,title,text,domain,brand
a,Dune: a SPACE opera,A space opera on sand. #scifi,books,Ace
b,Cooking for two,Vegan and quick; no opera,books,Zed
c,Alpha,Space operas and more,films,Ace
"""
LIKES = "user_id,item_id,domain\nu1,a,books\nu1,c,films\nu2,b,books\nu3,c,films\n"


@pytest.fixture
def world(tmp_path):
    for name, text in {
        "items.csv": ITEMS,
        "likes.csv": LIKES,
        "aliases.tsv": "surface\ttitle\tqid\tcount\nopera\tOpera\tQ1344\t9\n",
        "words.tsv": "keyword\tlabel\tweight\taliases\n"
        "space opera\tSpace opera\t\tspace operas\n#scifi\t\t0.9\t\nvegan\t\t0\t\n",
    }.items():
        (tmp_path / name).write_text(text)
    store = tmp_path / "w.duckdb"
    api.import_data(store, items=[tmp_path / "items.csv"], interactions=[tmp_path / "likes.csv"])
    api.build_aliases(store, extra=[tmp_path / "aliases.tsv"])
    return store


def ids(store, table="custom_entities"):
    return {
        (row["kind"], row["title"]): row["entity_id"]
        for row in api.read_table(store, table).to_pylist()
    }


def test_keywords_are_found_weighed_and_explained(world, tmp_path):
    api.link(world)
    before = ids(world)
    api.import_keywords(world, [tmp_path / "words.tsv"])
    assert not api.link(world).stage.skipped, "a new dictionary is a new input"
    assert api.link(world).stage.skipped
    found = ids(world)
    assert {key: found[key] for key in before} == before
    word, tag = found["keyword", "space opera"], found["keyword", "#scifi"]
    assert min(word, tag) >= KEYWORD_ID_BASE
    mentions = {
        (row["item_id"], row["field"], row["start"], row["surface"], row["entity_id"])
        for row in api.read_table(world, "keyword_mentions").to_pylist()
    }
    numbers = {
        row["external_id"]: row["item_id"] for row in api.read_table(world, "items").to_pylist()
    }
    assert {mention for mention in mentions if mention[-1] in {word, tag}} == {
        (numbers["a"], "title", 8, "SPACE opera", word),
        (numbers["a"], "text", 2, "space opera", word),
        (numbers["a"], "text", 23, "#scifi", tag),
        (numbers["c"], "text", 0, "Space operas", word),
    }
    held = {
        (row["item_id"], row["entity_id"]): (row["n_mentions"], row["weight"])
        for row in api.read_table(world, "item_entities").to_pylist()
    }
    assert held[numbers["a"], word] == (2, 0.5)
    assert held[numbers["c"], word] == (1, 0.5)
    assert held[numbers["a"], tag] == (1, pytest.approx(0.9))
    assert not any(entity == found["keyword", "vegan"] for _, entity in held), "its weight is 0"

    api.build_profiles(world)
    graph = api.user_graph(world, "u1")
    interest = next(one for one in graph.interests if one.entity_id == word)
    assert (interest.kind, interest.label, interest.n_items) == ("keyword", "Space opera", 2)
    assert interest.tf * interest.idf == pytest.approx(0.5 * 2 * log(3 / 2))
    assert {(at.item, at.field, at.surface) for at in interest.evidence} == {
        ("a", "title", "SPACE opera"),
        ("a", "text", "space opera"),
        ("c", "text", "Space operas"),
    }
    api.export_profile(world, "u1", tmp_path / "u1.nt")
    assert read_profile(tmp_path / "u1.nt") == graph


def test_keyword_graphs_conform_to_the_shapes_and_would_not_without_their_evidence(
    world, tmp_path, monkeypatch
):
    api.import_keywords(world, [tmp_path / "words.tsv"])
    api.link(world)
    api.build_profiles(world)
    api.export_profiles(world, tmp_path / "all.nq")
    kinds = {one.kind for one in api.user_graph(world, "u1").interests}
    assert "keyword" in kinds
    for found in (
        api.validate_profiles(world, ["u1", "u2", "u3"]),
        api.validate_profiles(file=tmp_path / "all.nq"),
    ):
        assert found.n_profiles == 3
        assert found.conforms, found.violations
    monkeypatch.setattr("mekb.interests.evidence_sql", lambda _: EVIDENCE_SQL)
    found = api.validate_profiles(world, ["u1"])
    assert {violation.message for violation in found.violations} == {
        "an interest comes from something, or from a person's own hand"
    }


def test_ids_stay_when_words_and_items_come_and_go(world, tmp_path):
    api.import_keywords(world, [tmp_path / "words.tsv"])
    api.link(world)
    before = ids(world)
    (tmp_path / "more.tsv").write_text("keyword\naardvark\n#scifi\n")
    api.import_keywords(world, [tmp_path / "more.tsv"])
    (tmp_path / "items2.csv").write_text(ITEMS.replace("Zed", "Aaa") + "d,Aleph,,books,Ace\n")
    api.import_data(world, items=[tmp_path / "items2.csv"], interactions=[tmp_path / "likes.csv"])
    api.link(world)
    after = ids(world)
    assert {key: after[key] for key in before.keys() & after.keys()} == {
        key: before[key] for key in before.keys() & after.keys()
    }
    assert not set(before.values()) & {after[key] for key in after.keys() - before.keys()}
    assert ("brand", "Aaa") in after.keys() - before.keys()
    assert ("keyword", "aardvark") in after.keys() - before.keys()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keyword\tweight\nx\tmuch\n", "weight 'much'"),
        ("keyword\tweight\nx\t-1\n", "weight '-1'"),
        ("keyword\tweight\nx\t1\nx\t2\n", "two weights, 1 and 2"),
        ("keyword\n\n", "no keyword in it"),
    ],
)
def test_bad_dictionaries_are_refused_in_one_line(world, tmp_path, text, said):
    path = tmp_path / "bad.tsv"
    path.write_text(text)
    with pytest.raises(SourceError, match=said) as raised:
        api.import_keywords(world, [path])
    assert "\n" not in str(raised.value)
    with pytest.raises(SourceError, match="no such file"):
        api.import_keywords(world, [tmp_path / "none.tsv"])
