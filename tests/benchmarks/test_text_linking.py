"""The benchmark's own preparation and sorting of errors; its figures are those of `entity_linking.evaluate`."""

import sys
from pathlib import Path

import pyarrow as pa
import pytest

from alias_tables.lookup import AliasIndex
from alias_tables.schema import ALIASES, ENTITIES
from entity_linking.config import LinkConfig
from entity_linking.evaluate import EvaluationConfig, evaluate
from entity_linking.gold import Gold, GoldMention, GoldText

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # they are scripts, no package

import text_linking

SHARED = Path(__file__).parents[2].parent / "shared"


def gold_text(text, *mentions):
    found = [
        GoldMention(text.index(surface), text.index(surface) + len(surface), surface, None, qid, standing)
        for surface, qid, standing in mentions
    ]  # fmt: skip
    return GoldText(text, tuple(found))


def test_the_annotated_part_is_whole_paragraphs():
    text = gold_text(
        "Title\nOne York here.\nAnd Bath.\nRest", ("York", 1, "required"), ("Bath", 2, "nil")
    )
    part = text_linking.annotated_part(text)
    assert text.text[slice(*part.evaluated)] == "One York here.\nAnd Bath."
    last = text_linking.annotated_part(gold_text("York", ("York", 1, "required")))
    assert last.evaluated == (0, 4)


def test_the_halves_are_disjoint_and_whole():
    gold = Gold("text", tuple(GoldText(f"text {i}", ()) for i in range(40)))
    halves = [text_linking.half(gold, number).texts for number in (0, 1)]
    assert all(len(texts) > 10 for texts in halves)
    assert sorted(halves[0] + halves[1]) == sorted(gold.texts)


@pytest.fixture
def index():
    names = {1: ["York"], 2: ["New Berlin"], 3: ["New Bern"], 4: ["Old Bath"]}

    def row(schema, values):
        empty = {f.name: [] if pa.types.is_list(f.type) else 0 for f in schema}
        return {f.name: None if f.nullable else empty[f.name] for f in schema} | values

    entities = [
        row(ENTITIES, {"entity_id": n, "title": f"Page {n}", "label": "", "kind": "wikidata"})
        for n in names
    ]
    aliases = [
        row(
            ALIASES,
            {"surface": name, "entity_id": n, "n_anchor": 1, "prior": 1.0, "link_prob": 1.0},
        )
        for n, own in names.items()
        for name in own
    ]
    return AliasIndex.from_tables(
        pa.Table.from_pylist(entities, ENTITIES),
        pa.Table.from_pylist(sorted(aliases, key=lambda one: one["surface"]), ALIASES),
    )


def test_errors_by_kind(index):
    text = gold_text(
        "New Berlin, New Bern, York city, Old Bath, Nowhere, a lake.",
        ("New Berlin", 2, "required"),  # right
        ("New Bern", 9, "required"),  # wrong entity
        ("York city", 1, "required"),  # unknown surface, and a link inside it
        ("Old Bath", None, "nil"),
        ("Nowhere", 7, "required"),
        ("lake", 8, "required"),
    )
    found = text_linking.errors(index, Gold("text", (text,)), LinkConfig(detector="dictionary"))
    assert [(error.kind, error.what) for error in found] == [
        ("wrong entity: another sense", "Q9"),
        ("missed: name the table does not know", "Q1"),
        ("missed: name the table does not know", "Q7"),
        ("missed: no name (small letter) the table does not know", "Q8"),
        ("false link: boundary", "Page 1"),
        ("false link: gold NIL", "Page 4"),
    ]


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/linking and ../shared/models")
def test_the_published_baseline_is_reached_on_the_bars():
    linking = SHARED / "data" / "linking"
    index = text_linking.table_index(linking / "at1_surface_qid.tsv.gz")
    pipeline = str(SHARED / "models" / "en_ner_distilled_sm")
    config = text_linking.configurations(pipeline)["both"]
    for name in text_linking.BARS:
        gold = text_linking.read_benchmark(linking / "benchmarks", name)
        found = evaluate(index, gold, config, scoring=EvaluationConfig(n_draws=1))
        assert found.figure("end-to-end F1").value >= max(text_linking.PUBLISHED[name])
        assert found.figure("accuracy given found span").value >= 0.7, "AT@1 has .71 to .74 there"
