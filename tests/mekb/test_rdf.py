"""A MeKB as RDF: the shape against rdflib's own terms, and the same MeKB back from every format."""

import json
import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib import Dataset, Graph, Literal, URIRef
from rdflib.compare import isomorphic
from rdflib.namespace import DCTERMS, FOAF, PROV, RDF, SKOS, XSD

from mekb.errors import OutputError, SourceError
from mekb.graph import Evidence, Interest, UserGraph
from mekb.rdf.provenance import Provenance, Source
from mekb.rdf.read import ITSRDF, MEKB, NIF, SCHEMA, WD, WI, WO, read_user_graph
from mekb.rdf.statements import Statements
from mekb.rdf.write import json_ld, turtle, user_graph_rdf

# rdflib 7.6 parses JSON-LD and N-Quads through classes it calls deprecated itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Dataset.default_context is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Dataset.identifier is deprecated:DeprecationWarning"),
]

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
            interest(8341, title="Jazz", label="Jazz", weight=0.0001, rank=4, origin="added", evidence=()),
        ),
        run_id="7f3a",
    )  # fmt: skip


ABOUT = Provenance(
    store="demo",
    software="0.1.0",
    config_hash="sha256:" + "ab12" * 16,
    sources=(Source("enwiki-20260701", date(2026, 7, 1)), Source("titles.tsv")),
    ended_at=datetime(2026, 8, 1, 14, tzinfo=timezone(timedelta(hours=2))),
    wiki="en",
)


def written(graph, form, provenance=None):
    """Return a MeKB as we write it, in one of the formats."""
    if form == "nt":
        return Statements(provenance or Provenance()).triples(graph).decode()
    rdf = user_graph_rdf(graph, provenance)
    return json_ld(rdf) if form == "json-ld" else turtle(rdf)


def trip(graph, form, provenance=None):
    return Graph().parse(data=written(graph, form, provenance), format=form)


def urn(*parts):
    """An IRI of ours, written independently: every byte that is no letter or digit is encoded."""
    return "urn:mekb:" + "/".join(encode(part) for part in parts)


def encode(part):
    encoded = quote(part, safe="")
    return encoded.replace(".", "%2E") if set(part) == {"."} else encoded


def by_hand(graph, about):  # noqa: C901, PLR0912, PLR0915  (the shape in one piece, as a reader wants it)
    """The whole shape again, in rdflib's own terms."""
    rdf = Graph()

    def decimal(number):
        return Literal(Decimal(repr(float(number))), datatype=XSD.decimal)

    def say(subject, **said):
        for name, values in said.items():
            prefix, _, local = name.partition("_")
            space = {
                "rdf": RDF, "dcterms": DCTERMS, "foaf": FOAF, "prov": PROV, "mekb": MEKB, "wi": WI,
                "wo": WO, "skos": SKOS, "nif": NIF, "itsrdf": ITSRDF, "schema": SCHEMA,
            }[prefix]  # fmt: skip
            for value in values if isinstance(values, list) else [values]:
                rdf.add((subject, space[local], value))

    user = URIRef(urn(about.store, "user", graph.user))
    say(user, rdf_type=[MEKB.Profile, FOAF.Agent], dcterms_identifier=Literal(graph.user))
    run = None
    if graph.run_id:
        run = URIRef(urn(about.store, "run", graph.run_id))
        say(user, prov_wasGeneratedBy=run)
        say(run, rdf_type=[PROV.Activity, MEKB.BuildRun], dcterms_identifier=Literal(graph.run_id))
        if about.software:
            software = URIRef(urn("software", about.software))
            say(run, prov_wasAssociatedWith=software)
            say(software, rdf_type=PROV.SoftwareAgent)
        if about.config_hash:
            say(run, mekb_configHash=Literal(about.config_hash))
        if about.ended_at:
            ended = f"{about.ended_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"
            say(run, prov_endedAtTime=Literal(ended, datatype=XSD.dateTime))
        for source in about.sources:
            node = URIRef(urn("dump", source.name))
            say(run, prov_used=node)
            say(node, rdf_type=PROV.Entity, dcterms_identifier=Literal(source.name))
            if source.issued:
                say(node, dcterms_issued=Literal(source.issued))
    if graph.interests:
        say(MEKB.UnitScale, rdf_type=WO.Scale, wo_min_weight=decimal(0), wo_max_weight=decimal(1))
    for one in graph.interests:
        key = one.qid or str(one.entity_id)
        is_page = one.kind == "wikidata"
        page = None
        if is_page and about.wiki:
            title = quote(one.title.replace(" ", "_"), safe="")
            title = title.replace(".", "%2E") if set(one.title) == {"."} else title
            page = URIRef(f"https://{about.wiki}.wikipedia.org/wiki/{title}")
        topic = WD[one.qid] if one.qid else page or URIRef(urn(about.store, "entity", key))
        if page not in {None, topic}:
            say(topic, schema_sameAs=page)
        say(
            topic, rdf_type=SKOS.Concept, mekb_title=Literal(one.title), mekb_kind=Literal(one.kind),
            skos_prefLabel=Literal(one.label, lang=about.wiki if is_page else None),
            mekb_entityId=Literal(one.entity_id),
        )  # fmt: skip
        node, weight = URIRef(f"{user}/interest/{key}"), URIRef(f"{user}/interest/{key}#weight")
        say(user, wi_preference=node, foaf_topic_interest=topic)
        say(
            node, rdf_type=[WI.WeightedInterest, MEKB.Interest], wi_topic=topic, wo_weight=weight,
            mekb_rank=Literal(one.rank), mekb_frequency=Literal(one.n_items),
            mekb_usersWithInterest=Literal(one.n_users), mekb_termFrequency=decimal(one.tf),
            mekb_idf=decimal(one.idf), mekb_rawScore=decimal(one.tf * one.idf),
            mekb_inferred=Literal(one.origin == "inferred"),
            mekb_edited=Literal(one.origin in {"added", "pinned"}),
        )  # fmt: skip
        if one.origin in {"added", "pinned"}:
            say(node, mekb_edit=Literal(one.origin))
        say(
            weight, rdf_type=WO.Weight, wo_weight_value=decimal(one.weight), wo_scale=MEKB.UnitScale
        )
        for at in one.evidence:
            item = URIRef(urn(about.store, "item", at.domain, at.item))
            context = URIRef(f"{item}#{encode(at.field)}")
            place = f"{at.start}-{at.stop}"
            mention = URIRef(urn(about.store, "mention", at.domain, at.item, at.field, place, key))
            types = [MEKB.Mention, NIF.OffsetBasedString] if is_page else MEKB.Attribute
            say(node, prov_wasDerivedFrom=mention)
            say(
                mention, rdf_type=types, nif_anchorOf=Literal(at.surface), mekb_field=Literal(at.field),
                nif_beginIndex=Literal(str(at.start), datatype=XSD.nonNegativeInteger),
                nif_endIndex=Literal(str(at.stop), datatype=XSD.nonNegativeInteger),
                nif_referenceContext=context, itsrdf_taIdentRef=topic,
                itsrdf_taConfidence=decimal(at.score),
            )  # fmt: skip
            if run:
                say(mention, prov_wasGeneratedBy=run)
            say(context, rdf_type=NIF.Context, dcterms_isPartOf=item)
            if at.field == "title":
                say(context, nif_isString=Literal(at.title))
            say(
                item, rdf_type=SCHEMA.Product, dcterms_identifier=Literal(at.item),
                schema_name=Literal(at.title), mekb_domain=Literal(at.domain), schema_about=topic,
            )  # fmt: skip
    return rdf


@pytest.mark.parametrize("about", [Provenance(), ABOUT], ids=["bare", "full"])
def test_the_shape_is_that_of_rdflibs_own_terms(graph, about):
    expected = by_hand(graph, about)
    found = user_graph_rdf(graph, about)
    assert set(found) - set(expected) == set()
    assert set(expected) - set(found) == set()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("about", [Provenance(), ABOUT], ids=["bare", "full"])
def test_round_trip(graph, form, about):
    back = trip(graph, form, about)
    assert isomorphic(by_hand(graph, about), back)
    assert read_user_graph(back) == graph


def test_quads_are_the_triples_in_the_graph_of_the_profile(graph):
    statements = Statements(ABOUT)
    dataset = Dataset()
    dataset.parse(data=statements.quads(graph).decode(), format="nquads")
    (named,) = (g for g in dataset.graphs() if len(g))
    assert named.identifier == URIRef("urn:mekb:demo/user/u%2017")
    assert isomorphic(named, by_hand(graph, ABOUT))
    lines = statements.triples(graph).decode().splitlines()
    assert len(lines) == len(set(lines)) == len(named)


def test_json_ld_is_framed_as_people_read_it(graph):
    content = json.loads(written(graph, "json-ld", ABOUT))
    assert content["@id"] == "urn:mekb:demo/user/u%2017"
    assert content["run"]["endedAt"].startswith("2026-08-01T12:00:00")
    assert [one["rank"] for one in content["interests"]] == [1, 2, 3, 4]
    first = content["interests"][0]
    assert first["topic"]["@id"] == "http://www.wikidata.org/entity/Q462"
    assert first["topic"]["label"] == {"@value": "Star Wars", "@language": "en"}
    assert first["weight"]["value"] == "0.8421"
    assert first["frequency"] == 6
    mention = first["evidence"][0]
    assert (mention["surface"], mention["begin"], mention["end"]) == ("Star Wars", "0", "9")
    assert mention["context"]["item"]["name"] == "Star Wars: Episode IV"


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
        (weight, WO.weight_value, Literal("0.8421", datatype=XSD.decimal)),
        (weight, WO.scale, MEKB.UnitScale),
        (
            node,
            MEKB.rawScore,
            Literal(repr(1.945910149055 * 3.2189), datatype=XSD.decimal),
        ),
        (node, PROV.wasDerivedFrom, mention),
        (mention, NIF.anchorOf, Literal("Star Wars")),
        (mention, NIF.beginIndex, Literal("0", datatype=XSD.nonNegativeInteger)),
        (mention, NIF.endIndex, Literal("9", datatype=XSD.nonNegativeInteger)),
        (mention, NIF.referenceContext, URIRef(f"{item}#title")),
        (URIRef(f"{item}#title"), NIF.isString, Literal("Star Wars: Episode IV")),
        (item, SCHEMA.about, WD.Q462),
        (WD.Q462, SKOS.prefLabel, Literal("Star Wars", lang="en")),
        (WD.Q462, SCHEMA.sameAs, URIRef("https://en.wikipedia.org/wiki/Star_Wars")),
    ]:
        assert statement in rdf, statement


def test_what_wikidata_does_not_number_is_in_the_stores_namespace(graph):
    rdf = user_graph_rdf(graph, Provenance(store="my store"))
    topics = set(rdf.objects(None, WI.topic))
    assert topics == {
        WD.Q462,
        WD.Q8341,
        URIRef(f"urn:mekb:my%20store/entity/{CUSTOM}"),
        URIRef(f"urn:mekb:my%20store/entity/{PAGE}"),
    }
    known = set(user_graph_rdf(graph, ABOUT).objects(None, WI.topic))
    assert URIRef("https://en.wikipedia.org/wiki/Heat_%28film%29") in known


def test_a_graph_without_run_or_interests():
    empty = UserGraph("u", ())
    rdf = user_graph_rdf(empty)
    assert read_user_graph(rdf) == empty
    assert len(rdf) == 3  # two types and an identifier


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(number=NUMBERS)
def test_decimals_are_exact_and_without_exponent(number):
    """xsd:decimal knows no exponent; the float that comes back is the one that went in."""
    graph = UserGraph("u", (interest(tf=number, idf=0.0),))
    for form in FORMATS:
        (back,) = trip(graph, form).objects(None, MEKB.termFrequency)
        assert back.datatype == XSD.decimal
        assert re.fullmatch(r"-?\d+\.\d+", str(back)), (form, back)
        assert float(str(back)) == number


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(number):
    with pytest.raises(OutputError, match=r"xsd:decimal"):
        user_graph_rdf(UserGraph("u", (interest(weight=number),)))


def test_what_is_no_character_is_refused(graph):
    """A lone surrogate can stand in a Python string and in no file."""
    for broken in [
        UserGraph("u\ud800", ()),
        UserGraph("u", (interest(title="\udfff"),)),
        UserGraph("u", (interest(evidence=(evidence(item="\ud800"),)),)),
        UserGraph("u", (interest(evidence=(evidence(surface="a\udc00"),)),)),
        UserGraph("u", (), run_id="\ud800"),
    ]:
        with pytest.raises(OutputError, match="lone surrogate"):
            user_graph_rdf(broken)
    with pytest.raises(OutputError, match="lone surrogate"):
        user_graph_rdf(graph, Provenance(store="\ud800"))


IRI_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/#%]+")
"""What our IRIs are made of; RFC 3986 allows more, and none of it is needed."""


def iris_of(text, form):
    """Every IRI a file spells, found without a parser of RDF."""
    if form == "json-ld":
        return set(_ids(json.loads(text)))
    without_literals = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text, flags=re.DOTALL)
    return set(re.findall(r"<([^>]*)>", without_literals))


def _ids(content):
    if isinstance(content, list):
        for each in content:
            yield from _ids(each)
    elif isinstance(content, dict):
        yield from ([content["@id"]] if "@id" in content else [])
        for key, value in content.items():
            if key != "@context":
                yield from _ids(value)


NASTY = ["a b", '"q"', "<x>", "..", ".", "é🎬", "a/../b", "100%25", "#?&", "it's", "\\", "^`{|}", "a\u0301",
         "\x00", "a\nb", "\u2028", "\x7f", "\ufeff", "> .\n<urn:x> <urn:y> <urn:z> .", ""]  # fmt: skip
ANY_ID = st.one_of(st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs"])))


@settings(max_examples=40, deadline=None)
@given(user=ANY_ID, item=ANY_ID, domain=ANY_ID, store=ANY_ID, run=ANY_ID, title=ANY_ID)
def test_no_id_breaks_an_iri_in_any_format(user, item, domain, store, run, title):
    """Spaces, quotes, brackets, control characters: what is parsed back is what went in, and every IRI is plain."""
    brand = interest(CUSTOM, "brand", title=title, label=title, rank=2)
    graph = UserGraph(
        user, (interest(evidence=(evidence(item=item, domain=domain),)), brand), run or None
    )
    about = Provenance(store=store, wiki="en", sources=(Source(title),), software=title or None)
    expected = by_hand(graph, about)
    for form in FORMATS:
        text = written(graph, form, about)
        for found in iris_of(text, form):
            assert IRI_CHARACTERS.fullmatch(found), (form, found)
            assert not {".", ".."} & set(re.split("[/#]", found))
        back = Graph().parse(data=text, format=form)
        assert isomorphic(back, expected)
        assert read_user_graph(back) == graph
        (profile,) = back.subjects(RDF.type, MEKB.Profile)
        assert unquote(str(profile).rsplit("/", 1)[1]) == user
    lines = Statements(about).triples(graph).split(b"\n")
    assert all(line.endswith(b" .") for line in lines[:-1])
    assert len(lines) - 1 == len(expected)


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
    expected = by_hand(graph, Provenance())
    for form in FORMATS:
        back = trip(graph, form)
        assert isomorphic(expected, back)
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
