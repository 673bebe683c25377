"""The shipped SHACL shapes: good graphs conform, and each way to be wrong is reported where it is."""

import sys
from decimal import Decimal
from importlib.resources import files

import pytest
from rdflib import Graph, Literal, URIRef
from rdflib.namespace import PROV, RDF, XSD

from mekb import api
from mekb.errors import MissingError, SourceError, UnknownError
from mekb.export import write_user_graphs
from mekb.graph import Evidence, Interest, UserGraph
from mekb.rdf.provenance import Provenance, source_of
from mekb.rdf.read import ITSRDF, MEKB, NIF, WI, WO
from mekb.rdf.validate import Validator, shapes
from mekb.rdf.write import user_graph_rdf

ABOUT = Provenance(
    software="0.1.0", config_hash=f"sha256:{'0' * 64}", wiki="en", sources=(source_of("enwiki-20261101-x"),)
)  # fmt: skip
USER = URIRef("urn:mekb:local/user/u1")
NODE = URIRef(f"{USER}/interest/Q462")
WEIGHT = URIRef(f"{NODE}#weight")
MENTION = URIRef("urn:mekb:local/mention/books/B1/title/0-9/Q462")


def make_graph(user="u1"):
    title = "Star Wars: Episode IV"
    at = Evidence("B1", "books", title, "title", 0, 9, "Star Wars", 0.913)
    brand = Evidence("B1", "books", title, "brand", 0, 4, "Acme", 1.0)
    return UserGraph(
        user,
        (
            Interest(462, "Star Wars", "Star Wars", "wikidata", 6, 12, 1.9, 3.2, 0.8, 1, (at,)),
            Interest(3_000_000_007, "Acme", "Acme", "brand", 1, 3, 0.5, 3.0, 0.15, 2, (brand,)),
            Interest(8341, "Jazz", "Jazz", "wikidata", 0, 3, 0.0, 0.0, 0.05, 3, (), "added"),
        ),
        "run-1",
    )


@pytest.fixture(scope="module")
def validator():
    return Validator()


@pytest.fixture
def rdf():
    return user_graph_rdf(make_graph(), ABOUT)


def test_good_graphs_conform(validator, rdf):
    assert validator.violations(rdf) == []
    assert validator.violations(user_graph_rdf(UserGraph("nobody", (), "run-1"))) == []


def decimal(number):
    return Literal(Decimal(number), datatype=XSD.decimal)


BROKEN = {
    "a float is a double": (
        lambda rdf: rdf.set((WEIGHT, WO.weight_value, Literal(0.8))),
        (WEIGHT, WO.weight_value, "decimal"),
    ),
    "a weight of 1.2": (
        lambda rdf: rdf.set((WEIGHT, WO.weight_value, decimal("1.2"))),
        (WEIGHT, WO.weight_value, "1.0"),
    ),
    "a weight below 0": (
        lambda rdf: rdf.set((WEIGHT, WO.weight_value, decimal("-0.1"))),
        (WEIGHT, WO.weight_value, "0.0"),
    ),
    "no evidence": (
        lambda rdf: rdf.remove((NODE, PROV.wasDerivedFrom, None)),
        (NODE, f"{PROV.wasDerivedFrom}|{MEKB.edit}", "comes from something"),
    ),
    "two nodes of one topic": (
        lambda rdf: rdf.set(
            (URIRef(f"{USER}/interest/Q8341"), WI.topic, rdf.value(NODE, WI.topic))
        ),
        (USER, WI.preference, "the same topic has two interest nodes"),
    ),
    "a mention that ends where it begins": (
        lambda rdf: rdf.set((MENTION, NIF.endIndex, rdf.value(MENTION, NIF.beginIndex))),
        (MENTION, NIF.beginIndex, "<"),
    ),
    "a surface that stands elsewhere": (
        lambda rdf: rdf.set((MENTION, NIF.anchorOf, Literal("Star Trek"))),
        (USER, NIF.anchorOf, "not what stands in the text"),
    ),
    "a confidence of 2": (
        lambda rdf: rdf.set((MENTION, ITSRDF.taConfidence, decimal("2.0"))),
        (MENTION, ITSRDF.taConfidence, "1.0"),
    ),
    "no run": (
        lambda rdf: rdf.remove((USER, PROV.wasGeneratedBy, None)),
        (USER, PROV.wasGeneratedBy, "1"),
    ),
    "no scale": (lambda rdf: rdf.remove((WEIGHT, WO.scale, None)), (WEIGHT, WO.scale, "1")),
    "rank 0": (lambda rdf: rdf.set((NODE, MEKB.rank, Literal(0))), (NODE, MEKB.rank, "1")),
    "a preference that is nothing": (
        lambda rdf: rdf.add((USER, WI.preference, URIRef("urn:x:nothing"))),
        (USER, WI.preference, "class"),
    ),
    "a hash of no kind we know": (
        lambda rdf: rdf.set((URIRef("urn:mekb:local/run/run-1"), MEKB.configHash, Literal("ab12"))),
        (URIRef("urn:mekb:local/run/run-1"), MEKB.configHash, "pattern"),
    ),
}


@pytest.mark.parametrize("about", BROKEN)
def test_each_way_to_be_wrong_is_reported_where_it_is(validator, rdf, about):
    spoil, (focus, path, says) = BROKEN[about]
    spoil(rdf)
    found = validator.violations(rdf)
    assert [(one.user, one.focus, one.path) for one in found] == [
        (str(USER), str(focus), str(path))
    ]
    assert says in found[0].message
    if path == NIF.anchorOf:  # asked once a profile: the mention is the value
        assert found[0].value == str(MENTION)


def test_every_property_we_write_is_one_the_shapes_know(rdf):
    """A statement that no shape speaks of would be checked by nobody."""
    text = files("mekb.rdf").joinpath("shapes.ttl").read_text(encoding="utf-8")
    known = {
        str(value) for value in shapes().objects(None, URIRef("http://www.w3.org/ns/shacl#path"))
    }
    written = {str(predicate) for predicate in rdf.predicates()} - {str(RDF.type)}
    assert {one for one in written - known if "terms/issued" not in one} == set()
    assert text.startswith("# What a MeKB must look like")


def test_users_of_a_store_conform(project):
    found = api.validate_profiles(project.store, sample=1, seed=1)
    assert found.conforms
    assert found.n_profiles == 1
    named = api.validate_profiles(project.store, [project.newcomer])
    assert (named.n_profiles, named.violations) == (1, ())
    with pytest.raises(UnknownError, match="no user 'nobody'"):
        api.validate_profiles(project.store, ["nobody"])


def test_the_sample_is_that_of_the_seed(project):
    from mekb.store import Store
    from mekb.validation import sampled_users

    with Store.open(project.store) as store:
        draws = [sampled_users(store, 20, seed) for seed in (1, 1, 2)]
        everybody = sampled_users(store, 10**6, 1)
    assert draws[0] == draws[1] != draws[2]
    assert len(set(draws[0])) == 20
    assert len(everybody) == 300


def test_a_file_is_checked_graph_by_graph(tmp_path):
    path = tmp_path / "all.nq"
    write_user_graphs([make_graph("a"), make_graph("b"), make_graph("c")], path)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    spoilt = [
        line.replace('"0.8"^^', '"1.8"^^') if "<urn:mekb:local/user/b> ." in line else line
        for line in lines
    ]
    path.write_text("".join(spoilt), encoding="utf-8")
    found = api.validate_profiles(file=path)
    assert found.n_profiles == 3
    assert [one.user for one in found.violations] == ["urn:mekb:local/user/b"]
    assert not found.conforms


def test_what_holds_no_profile_is_no_success(tmp_path, validator):
    path = tmp_path / "x.ttl"
    path.write_text("<urn:a> <urn:b> <urn:c> .")
    with pytest.raises(SourceError, match=r"x\.ttl: no profile here"):
        api.validate_profiles(file=path)
    with pytest.raises(SourceError, match="no profile here"):
        validator.violations(Graph())
    with pytest.raises(UnknownError, match="give one of"):
        api.validate_profiles()
    with pytest.raises(UnknownError, match="give one of"):
        api.validate_profiles("my.duckdb", file=path)


def test_without_pyshacl_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyshacl", None)
    with pytest.raises(MissingError, match=r"pip install 'mekb\[validate\]'"):
        api.validate_profiles(file=tmp_path / "x.ttl")
