"""A user's own knowledge graph from its file to a profile and back out under its own IRI."""

import pytest

from mekb import api
from mekb.rdf.files import read_profile, read_profiles


@pytest.fixture
def world(tmp_path):
    store = tmp_path / "w.duckdb"
    (tmp_path / "items.csv").write_text(
        "item_id,title,domain\na,Arrakis Sands and the Plain,books\nb,Cooking,books\n"
    )
    (tmp_path / "likes.csv").write_text("user_id,item_id,domain\nu1,a,books\nu2,b,books\n")
    (tmp_path / "own.tsv").write_text(
        "id\ttitle\taliases\tweight\nhttps://shop.example/dune\tDune World\tArrakis Sands\t0.7\n"
        "12\tPlain Thing\tPlain\t\n"
    )
    api.import_data(store, items=[tmp_path / "items.csv"], interactions=[tmp_path / "likes.csv"])
    api.build_aliases(store, graph=[tmp_path / "own.tsv"])
    return store


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
def test_an_entity_of_ones_own_is_linked_weighed_and_exported_by_its_iri(world, tmp_path):
    assert api.build_aliases(world, graph=[tmp_path / "own.tsv"]).stage.skipped
    api.link(world)
    api.build_profiles(world)
    graph = api.user_graph(world, "u1")
    dune = next(one for one in graph.interests if one.title == "Dune World")
    assert dune.iri == "https://shop.example/dune"
    assert dune.tf == pytest.approx(0.7)
    assert dune.qid is None
    assert [at.surface for at in dune.evidence] == ["Arrakis Sands"]
    for ending in ("nt", "ttl", "jsonld", "json"):
        path = tmp_path / f"u1.{ending}"
        api.export_profile(world, "u1", path)
        assert "https://shop.example/dune" in path.read_text()
        assert read_profile(path) == graph
    api.export_profiles(world, tmp_path / "all.nq")
    assert next(read_profiles(tmp_path / "all.nq")) == graph
