"""A graph of one's own: read from tables and RDF, beside Wikidata, with ids that stay."""

import json

import duckdb
import pytest

from alias_tables.build import build
from alias_tables.errors import DumpError
from alias_tables.inputs import BuildInputs
from alias_tables.own_graph import GRAPH_ID_BASE
from alias_tables.resolve import TITLE_ID_BASE

# rdflib's JSON-LD reader is written with a class that rdflib itself calls deprecated
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")

TABLE = """id\ttitle\taliases\tdescription\ttype\tweight\tcount
x:dune\tDune (our film)\tDune|Arrakis\ta film we sell\tfilm\t0.7\t
Q42\tDouglas Adams\tBop Ad\t\tperson\t\t
77\tPlain id\t\t\t\t\t5
"""
TURTLE = """@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix schema: <https://schema.org/> .
<https://shop.example/e/1> a schema:Book ; skos:prefLabel "Der Turm"@de, "The Tower"@en ;
  skos:altLabel "Tower" ; rdfs:comment "a book" .
<https://shop.example/e/2> schema:name "Second" .
<http://www.wikidata.org/entity/Q7> rdfs:label "Seven" .
<https://shop.example/e/3> rdfs:comment "has no name" .
"""
JSON_LD = {
    "@context": {"name": "https://schema.org/name"},
    "@id": "https://shop.example/e/9",
    "name": "Ninth",
}


def built(*paths, **more):
    connection = duckdb.connect()
    tables = build(connection, BuildInputs(graph=paths, **more))
    entities = {row["title"]: row for row in tables.entities.to_arrow_table().to_pylist()}
    aliases = {
        (row["surface"], row["entity_id"]): row["prior"]
        for row in tables.aliases.to_arrow_table().to_pylist()
    }
    return entities, aliases, {row["entity_id"]: row for row in tables.graph.to_pylist()}


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "own.tsv"
    path.write_text(TABLE)
    return path


def test_a_table_gives_entities_names_and_weights(table):
    entities, aliases, graph = built(table)
    film = entities["Dune (our film)"]
    assert GRAPH_ID_BASE <= film["entity_id"] < TITLE_ID_BASE
    assert (film["description"], film["types"], film["kind"]) == (
        "a film we sell",
        ["film"],
        "wikidata",
    )
    assert graph[film["entity_id"]] == {
        "entity_id": film["entity_id"],
        "iri": "x:dune",
        "weight": 0.7,
    }
    assert aliases["Arrakis", film["entity_id"]] == 1
    assert entities["Douglas Adams"]["entity_id"] == 42
    assert aliases["Bop Ad", 42] == 1
    assert graph[entities["Plain id"]["entity_id"]]["iri"] is None
    assert entities["Plain id"]["n_inlinks"] == 5


def test_it_stands_beside_other_names_and_ids_stay_over_rebuilds(table, tmp_path):
    extra = tmp_path / "extra.tsv"
    extra.write_text(
        "surface\ttitle\tqid\tcount\nDune\tDune\tQ190192\t9\nSpice\tSpice\tQ42527\t2\n"
    )
    more = tmp_path / "more.tsv"
    more.write_text("id\ttitle\na:0\tFirst of all\nx:dune\tDune (our film)\nz:9\tLast\n")
    alone, _, _ = built(table)
    entities, aliases, _ = built(more, table, extra=(extra,))
    for title, row in alone.items():
        assert entities[title]["entity_id"] == row["entity_id"]
    assert entities["Dune"]["entity_id"] == 190192
    assert aliases["Dune", 190192] == 1, "links outweigh names that were only listed"
    again, names, _ = built(table, more, extra=(extra,))
    assert (again, names) == (entities, aliases)


def test_rdf_is_read_in_each_syntax(tmp_path):
    turtle, ld = tmp_path / "g.ttl", tmp_path / "g.jsonld"
    turtle.write_text(TURTLE)
    ld.write_text(json.dumps(JSON_LD))
    entities, aliases, graph = built(turtle, ld)
    assert set(entities) == {"The Tower", "Second", "Seven", "Ninth"}
    tower = entities["The Tower"]
    assert (tower["description"], tower["types"]) == ("a book", ["book"])
    assert {surface for surface, entity in aliases if entity == tower["entity_id"]} == {
        *("The Tower", "Der Turm", "Tower"),
    }
    assert graph[tower["entity_id"]]["iri"] == "https://shop.example/e/1"
    assert entities["Seven"]["entity_id"] == 7
    from rdflib import Graph

    lines = tmp_path / "g.nt"
    Graph().parse(data=TURTLE, format="turtle").serialize(lines, format="nt", encoding="utf-8")
    assert built(lines, ld) == (entities, aliases, graph)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("g.ttl", "<a> <b", "cannot be read as turtle"),
        ("g.jsonld", '{"@context": "https://example.org/c"}', "nothing is fetched"),
        ("g.tsv", "name\tof\nx\ty\n", "id and title"),
        ("g.tsv", "id\ttitle\tweight\nx\ty\theavy\n", "weight 'heavy' of 'x'"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DumpError, match=said) as raised:
        built(path)
    assert "\n" not in str(raised.value)
