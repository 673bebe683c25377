"""Wikidata's JSON dump: items against a full decoding, layouts, damage, and types of classes."""

import bz2
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_tables import wikidata
from alias_tables.errors import DumpError
from alias_tables.schema import ENTITY_TYPES
from alias_tables.wikidata import Item, ItemChoice, ItemReader, WikidataDump
from alias_tables.wikidata_classes import FLAGS_OF_CLASS, INTERNAL_CLASSES, TYPES_OF_CLASS
from alias_tables.wikidata_items import year_of

SAMPLE = Path(__file__).parents[2].parent / "shared/data/wikidata/wikidata-entities-sample.json.bz2"


def item_statement(prop: str, number: int, rank: str = "normal") -> dict:
    value = {"entity-type": "item", "numeric-id": number, "id": f"Q{number}"}
    snak = {
        "snaktype": "value",
        "property": prop,
        "datavalue": {"value": value, "type": "wikibase-entityid"},
    }
    return {"mainsnak": snak, "type": "statement", "rank": rank}


def time_statement(prop: str, time: str, rank: str = "normal", precision: int = 11) -> dict:
    value = {"time": time, "precision": precision}
    snak = {"snaktype": "value", "property": prop, "datavalue": {"value": value, "type": "time"}}
    return {"mainsnak": snak, "type": "statement", "rank": rank}


def entity(number: int, **parts: object) -> dict:
    texts = {"en": {"language": "en", "value": "Heat"}}
    return {
        "type": "item",
        "id": f"Q{number}",
        "labels": texts,
        "descriptions": {"en": {"language": "en", "value": "1995 film by Michael Mann"}},
        "aliases": {"en": [{"language": "en", "value": "The Heat"}]},
        "claims": {
            "P31": [item_statement("P31", 11424), item_statement("P31", 5, "deprecated")],
            "P577": [
                time_statement("P577", "+1996-02-01T00:00:00Z"),
                time_statement("P577", "+1995-12-15T00:00:00Z"),
            ],
        },
        "sitelinks": {"enwiki": {"site": "enwiki", "title": "Heat (1995 film)", "badges": []}},
        **parts,
    }


def array_of(*entities: dict) -> bytes:
    lines = [json.dumps(entity, separators=(",", ":")) for entity in entities]
    return ("[\n" + ",\n".join(lines) + "\n]\n").encode()


def read(path: Path, choice=None, *, skip=False) -> list[Item]:
    with WikidataDump(path, choice or ItemChoice("enwiki"), skip_damaged_lines=skip) as dump:
        return list(dump.items())


HEAT = Item(
    42,
    "Heat (1995 film)",
    "Heat",
    ("Heat", "The Heat"),
    "1995 film by Michael Mann",
    (11424,),
    1995,
    None,
)


@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress])
@pytest.mark.parametrize("form", ["array", "lines"])
def test_an_item_in_every_form_of_the_dump(tmp_path, pack, form):
    content = array_of(entity(42), entity(43, sitelinks={}))
    if form == "lines":
        content = b"".join(json.dumps(entity(n)).encode() + b"\n" for n in (42,))
    path = tmp_path / "latest-all.json"
    path.write_bytes(pack(content))
    assert read(path) == [HEAT]


def test_a_layout_of_its_own_is_decoded_whole(tmp_path):
    turned = dict(reversed(entity(42).items()))
    turned["claims"] = {
        name: [dict(reversed(one.items())) for one in statements]
        for name, statements in entity(42)["claims"].items()
    }
    path = tmp_path / "turned.json"
    path.write_bytes(json.dumps(turned, indent=None).encode())
    assert read(path) == [HEAT]


def test_strings_that_look_like_structure_do_not_mislead(tmp_path):
    trap = '"sitelinks":{"enwiki":{"site":"enwiki","title":"Trap"}},"claims":{"P31":[{"mainsnak"'
    texts = {"en": {"language": "en", "value": trap}}
    snak = time_statement("P577", "+1900-01-01T00:00:00Z")["mainsnak"]
    statement = {**item_statement("P1343", 7), "qualifiers": {"P577": [snak], "P31": [snak]}}
    path = tmp_path / "trap.json"
    path.write_bytes(
        array_of(
            entity(42, labels=texts, claims={"P1343": [statement], **entity(1)["claims"]}),
        )
    )
    (item,) = read(path)
    assert (item.title, item.label, item.published) == ("Heat (1995 film)", trap, 1995)
    assert item.classes == (11424,)


def test_languages_variants_and_names_for_all(tmp_path):
    texts = {
        code: {"language": code, "value": value}
        for code, value in {
            "mul": "Heat",
            "zh-tw": "烈火悍將",
            "zh-cn": "盗火线",
            "en": "no",
        }.items()
    }
    links = {"zhwiki": {"site": "zhwiki", "title": "盗火线", "badges": []}}
    path = tmp_path / "zh.json"
    path.write_bytes(array_of(entity(42, labels=texts, aliases=[], sitelinks=links)))
    (item,) = read(path, ItemChoice("zhwiki", "zh"))
    assert (item.label, item.names) == ("Heat", ("Heat", "盗火线", "烈火悍將"))
    assert read(path, ItemChoice("enwiki", "en")) == []
    assert read(path, ItemChoice("enwiki", "en", frozenset({42})))[0].names == ("no", "Heat")
    assert read(path, ItemChoice("", "en"))[0].title is None


@pytest.mark.parametrize(
    ("claims", "published", "begun"),
    [
        ({}, None, None),
        ({"P571": [time_statement("P571", "+1990-00-00T00:00:00Z", precision=9)]}, None, 1990),
        ({"P577": [time_statement("P577", "+1990-00-00T00:00:00Z", precision=8)]}, None, None),
        ({"P577": [time_statement("P577", "-0300-00-00T00:00:00Z", precision=9)]}, None, None),
        (
            {
                "P577": [
                    time_statement("P577", "+1990-01-01T00:00:00Z"),
                    time_statement("P577", "+1991-01-01T00:00:00Z", "preferred"),
                    time_statement("P577", "+1980-01-01T00:00:00Z", "deprecated"),
                ]
            },
            1991,
            None,
        ),
        ({"P577": [{"mainsnak": {"snaktype": "somevalue"}, "rank": "normal"}]}, None, None),
    ],
)
def test_years_keep_rank_and_precision(tmp_path, claims, published, begun):
    path = tmp_path / "years.json"
    path.write_bytes(array_of(entity(42, claims=claims or [])))
    (item,) = read(path)
    assert (item.published, item.begun) == (published, begun)


def test_a_year_is_that_of_a_work():
    item = Item(1, None, "x", ("x",), None, (), None, 1990)
    assert year_of(item, ["film"]) == 1990
    assert year_of(item, ["place"]) is None
    assert year_of(item, []) is None  # the inception of who knows what
    assert year_of(Item(1, None, "x", ("x",), None, (), 1995, 1990), []) == 1995


def test_properties_lexemes_and_empty_items_are_passed_over(tmp_path):
    path = tmp_path / "other.json"
    path.write_bytes(
        array_of(
            entity(1, type="property", id="P31"),
            entity(2, type="lexeme", id="L7"),
            entity(3, labels=[], aliases=[], descriptions=[], claims=[], sitelinks=[]),
        )
    )
    assert read(path, ItemChoice("", "en")) == []


GOOD = array_of(entity(42), entity(43), entity(44))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GOOD[:-3], "ends too soon"),
        (GOOD[: len(GOOD) // 2], "damaged entity at byte|ends too soon"),
        (GOOD.replace(b'"aliases":{', b'"aliases":{{', 1), r"damaged entity at byte 2 "),
        (GOOD.replace(b'"id":"Q43"', b'"id":"Q43', 1), "damaged entity at byte"),
        (b"<html>", "no entity at byte 0"),
        (b"[\n]\n"[:2], "ends too soon"),
        (b"\n", "no entity in the file"),
        (bz2.compress(GOOD)[:-9], "ends too soon"),
    ],
)
def test_damage_is_named_in_one_line(tmp_path, content, message):
    path = tmp_path / "latest-all.json"
    path.write_bytes(content)
    with pytest.raises(DumpError, match=message) as caught:
        read(path)
    assert "latest-all.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_damaged_lines_are_skipped_and_counted_on_request(tmp_path):
    path = tmp_path / "latest-all.json"
    path.write_bytes(GOOD.replace(b'"aliases":{', b'"aliases":{{', 1))
    with WikidataDump(path, ItemChoice("enwiki"), skip_damaged_lines=True) as dump:
        assert [item.qid for item in dump.items()] == [43, 44]
        assert (dump.n_lines, dump.damaged) == (3, 1)


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(wikidata, "MAX_LINE_BYTES", 1 << 20)
    path = tmp_path / "long.json"
    path.write_bytes(b'{"id":"Q1","x":"' + b"x" * (3 << 20))
    with pytest.raises(DumpError, match="no end of line"):
        read(path)


@given(
    st.dictionaries(
        st.sampled_from(["en", "en-gb", "mul", "de"]), st.text(max_size=12), max_size=4
    ),
    st.lists(st.sampled_from([11424, 5, 571, 7889, 99]), max_size=4),
    st.none() | st.text(min_size=1, max_size=12),
)
def test_reading_in_parts_is_reading_whole(labels, classes, title):
    texts = {code: {"language": code, "value": value} for code, value in labels.items()}
    links = {"enwiki": {"site": "enwiki", "title": title, "badges": ["Q1"]}} if title else {}
    whole = entity(
        7,
        labels=texts,
        sitelinks=links,
        claims={"P31": [item_statement("P31", number) for number in classes]} if classes else {},
    )
    for ascii_only in (False, True):
        line = json.dumps(whole, ensure_ascii=ascii_only, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )
        reader = ItemReader(ItemChoice("enwiki"))
        assert reader.read(line) == reader._item(json.loads(line))
        assert reader.matters(line) or reader.read(line) is None


def test_classes_name_known_types_only():
    assert {name for names in TYPES_OF_CLASS.values() for name in names} == set(ENTITY_TYPES)
    assert all(len(names) == 1 for names in TYPES_OF_CLASS.values())
    assert not set(TYPES_OF_CLASS) & set(FLAGS_OF_CLASS)
    assert not INTERNAL_CLASSES & (set(TYPES_OF_CLASS) | set(FLAGS_OF_CLASS))


@pytest.mark.real
@pytest.mark.skipif(not SAMPLE.is_file(), reason="no ../shared: real Wikidata entities are missing")
def test_real_entities_read_in_parts_as_whole():
    raw = bz2.decompress(SAMPLE.read_bytes()).splitlines()
    lines = [line.strip().rstrip(b",") for line in raw if line.startswith(b"{")]
    for choice in (ItemChoice("enwiki"), ItemChoice("zhwiki", "zh"), ItemChoice("", "de")):
        reader = ItemReader(choice)
        assert all(reader._parts(line) is not None for line in lines)
        items = [reader.read(line) for line in lines]
        assert items == [reader._item(json.loads(line)) for line in lines]
    with WikidataDump(SAMPLE, ItemChoice("enwiki")) as dump:
        assert len(list(dump.items())) == 149
    assert read(SAMPLE, ItemChoice("zhwiki", "zh"))[0].title == "比利时"


@pytest.mark.real
@pytest.mark.skipif(not SAMPLE.is_file(), reason="no ../shared: real Wikidata entities are missing")
def test_real_chinese_names_are_those_another_reader_found():
    with WikidataDump(SAMPLE, ItemChoice("", "zh")) as dump:
        found = {(name, f"Q{item.qid}") for item in dump.items() for name in item.names}
    table = SAMPLE.parents[1] / "linking/wikidata_sample_zh_alias.tsv"
    rows = table.read_text(encoding="utf-8").splitlines()
    assert found == {tuple(row.split("\t")[:2]) for row in rows}
