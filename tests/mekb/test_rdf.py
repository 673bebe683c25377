"""A MeKB as RDF: it comes back the same from every format, whatever the ids are."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib import Graph, Literal, URIRef
from rdflib.compare import isomorphic
from rdflib.namespace import DCTERMS, PROV, RDF, SKOS, XSD

from mekb.errors import OutputError, SourceError
from mekb.graph import Evidence, Interest, UserGraph
from mekb.rdf import (
    DIGITS,
    MEKB,
    NIF,
    SCHEMA,
    WD,
    WI,
    WO,
    Provenance,
    read_user_graph,
    user_graph_rdf,
)

# rdflib 7.6 parses JSON-LD through a class it calls deprecated itself.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")

FORMATS = ["turtle", "json-ld", "nt"]
CUSTOM = 3_000_000_007
PAGE = 2_000_000_042


def evidence(item="B1", domain="books", **changes):
    fields = {
        "title": "Star Wars: Episode IV",
        "field": "title",
        "start": 0,
        "stop": 9,
        "surface": "Star Wars",
    }
    return Evidence(item=item, domain=domain, **{**fields, "score": 0.913, **changes})


def interest(entity_id=462, kind="wikidata", **changes):
    fields = {
        "title": "Star Wars",
        "label": "Star Wars",
        "n_items": 6,
        "n_users": 1243,
        "tf": 1.945910149055,
    }
    more = {"idf": 3.2189, "weight": 0.8421, "rank": 1, "evidence": (evidence(),)}
    return Interest(entity_id=entity_id, kind=kind, **{**fields, **more, **changes})


@pytest.fixture
def graph():
    brand = evidence(item="B 2/é", field="brand", stop=4, surface="Acme", score=1.0, title="")
    return UserGraph(
        user="u 17",
        interests=(
            interest(evidence=(evidence(), evidence(domain="films", item="F1"))),
            interest(CUSTOM, "brand", title="Acme", label="Acme", weight=0.1, rank=2, evidence=(brand,)),
            interest(PAGE, title="Heat (film)", label="Heat", weight=0.0579, rank=3, evidence=(evidence(start=3),)),
        ),
        run_id="7f3a",
    )  # fmt: skip


def trip(rdf, form):
    return Graph().parse(data=rdf.serialize(format=form), format=form)


@pytest.mark.parametrize("form", FORMATS)
def test_round_trip(graph, form):
    rdf = user_graph_rdf(graph)
    back = trip(rdf, form)
    assert isomorphic(rdf, back)
    assert read_user_graph(back) == graph


def test_shape(graph):
    """Statements a consumer relies on, written out by hand."""
    rdf = user_graph_rdf(graph, Provenance(store="demo", wiki="en"))
    user = URIRef("urn:mekb:demo/user/u%2017")
    node = URIRef("urn:mekb:demo/user/u%2017/interest/Q462")
    mention = URIRef("urn:mekb:demo/mention/books/B1/title/0-9/Q462")
    item = URIRef("urn:mekb:demo/item/books/B1")
    weight = rdf.value(node, WO.weight)
    for statement in [
        (user, RDF.type, MEKB.Profile),
        (user, DCTERMS.identifier, Literal("u 17")),
        (user, WI.preference, node),
        (node, WI.topic, WD.Q462),
        (weight, WO.weight_value, Literal("0.842100000000", datatype=XSD.decimal)),
        (weight, WO.scale, MEKB.UnitScale),
        (
            node,
            MEKB.rawScore,
            Literal(f"{1.945910149055 * 3.2189:.{DIGITS}f}", datatype=XSD.decimal),
        ),
        (node, PROV.wasDerivedFrom, mention),
        (mention, NIF.anchorOf, Literal("Star Wars")),
        (mention, NIF.beginIndex, Literal("0", datatype=XSD.nonNegativeInteger)),
        (mention, NIF.endIndex, Literal("9", datatype=XSD.nonNegativeInteger)),
        (mention, NIF.referenceContext, URIRef(f"{item}#title")),
        (URIRef(f"{item}#title"), NIF.isString, Literal("Star Wars: Episode IV")),
        (item, SCHEMA.about, WD.Q462),
        (WD.Q462, SKOS.prefLabel, Literal("Star Wars")),
        (WD.Q462, SCHEMA.sameAs, URIRef("https://en.wikipedia.org/wiki/Star_Wars")),
    ]:
        assert statement in rdf, statement


def test_what_wikidata_does_not_number_is_in_the_stores_namespace(graph):
    rdf = user_graph_rdf(graph, Provenance(store="my store"))
    topics = set(rdf.objects(None, WI.topic))
    assert topics == {
        WD.Q462,
        URIRef(f"urn:mekb:my%20store/entity/{CUSTOM}"),
        URIRef(f"urn:mekb:my%20store/entity/{PAGE}"),
    }


def test_provenance_is_told(graph):
    about = Provenance(
        software="0.1.0", config_hash="sha256:ab12", sources=("enwiki-20260701",),
        ended_at=datetime(2026, 8, 1, 12, tzinfo=UTC),
    )  # fmt: skip
    rdf = user_graph_rdf(graph, about)
    run = URIRef("urn:mekb:local/run/7f3a")
    assert (run, RDF.type, PROV.Activity) in rdf
    assert (run, PROV.used, URIRef("urn:mekb:dump/enwiki-20260701")) in rdf
    assert (run, PROV.wasAssociatedWith, URIRef("urn:mekb:software/0.1.0")) in rdf
    ended = Literal("2026-08-01T12:00:00+00:00", datatype=XSD.dateTime)
    assert (run, PROV.endedAtTime, ended) in rdf
    assert all(
        (mention, PROV.wasGeneratedBy, run) in rdf
        for mention in rdf.subjects(RDF.type, MEKB.Mention)
    )


def test_a_graph_without_run_or_interests():
    empty = UserGraph("u", ())
    rdf = user_graph_rdf(empty)
    assert read_user_graph(rdf) == empty
    assert len(rdf) == 3  # two types and an identifier


@pytest.mark.parametrize("number", [1e-07, 0.1 + 0.2, 1 / 3, 123456.789])
def test_decimals_have_fixed_digits(number):
    rdf = user_graph_rdf(UserGraph("u", (interest(tf=number),)))
    (written,) = rdf.objects(None, MEKB.termFrequency)
    whole, _, digits = str(written).partition(".")
    assert whole.isdigit()
    assert len(digits) == DIGITS
    assert float(written) == pytest.approx(number, abs=0.5 * 10**-DIGITS)
    for form in FORMATS:
        assert (
            "e-"
            not in trip(rdf, form)
            .serialize(format="nt")
            .lower()
            .split("termfrequency")[1]
            .split("\n")[0]
        )


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(number):
    with pytest.raises(OutputError, match=r"xsd:decimal"):
        user_graph_rdf(UserGraph("u", (interest(weight=number),)))


@pytest.mark.parametrize(
    "user",
    [
        "a b",
        '"q"',
        "<x>",
        "..",
        ".",
        "é🎬",
        "a/../b",
        "100%25",
        "#?&",
        "it's",
        "\\",
        "^`{|}",
        "a\u0301",
    ],
)
def test_ids_are_encoded_and_kept(user):
    graph = UserGraph(user, (interest(evidence=(evidence(item=user, domain=user),)),))
    rdf = user_graph_rdf(graph, Provenance(store=user))
    for node in rdf.all_nodes():
        if isinstance(node, URIRef):
            assert node.isascii()
            assert not set(node) & set(' <>"{}|\\^`')
            assert "/../" not in node
    for form in FORMATS:
        assert read_user_graph(trip(rdf, form)) == graph


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
FRACTION = st.integers(1, 10**6).map(lambda n: n / 10**6)


@settings(max_examples=30, deadline=None)
@given(
    user=TEXT,
    item=TEXT,
    title=TEXT,
    surface=TEXT,
    weight=FRACTION,
    start=st.integers(0, 9),
    length=st.integers(0, 9),
)
def test_any_text_survives_every_format(user, item, title, surface, weight, start, length):
    at = evidence(
        item, title, title=title, start=start, stop=start + length, surface=surface, score=weight
    )
    graph = UserGraph(
        user, (interest(title=title, label=surface, weight=weight, evidence=(at,)),), run_id=item
    )
    rdf = user_graph_rdf(graph)
    for form in FORMATS:
        back = trip(rdf, form)
        assert isomorphic(rdf, back)
        assert read_user_graph(back) == graph


def test_reading_needs_one_whole_profile(graph):
    with pytest.raises(SourceError, match="0 nodes"):
        read_user_graph(Graph())
    rdf = user_graph_rdf(graph)
    both = rdf + user_graph_rdf(UserGraph("other", ()))
    with pytest.raises(SourceError, match="2 nodes"):
        read_user_graph(both)
    rdf.remove((None, MEKB.idf, None))
    with pytest.raises(SourceError, match=r"0 values of .*idf"):
        read_user_graph(rdf)


def test_a_wiki_is_a_language_code(graph):
    with pytest.raises(OutputError, match="language code"):
        user_graph_rdf(graph, Provenance(wiki="en.evil.example/"))
