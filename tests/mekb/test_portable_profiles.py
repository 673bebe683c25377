"""A profile taken from one service to another: its weights count there, and what is unknown there is said."""
# ruff: noqa: D102  (a test's name is its docstring)

import numpy as np
import pytest

from mekb import api
from mekb.errors import SourceError, UnknownError
from mekb.given import given_graph, items_of_graph
from mekb.graph import Evidence, Interest, UserGraph

# rdflib 7.6 parses JSON-LD through a class it calls deprecated itself.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")


@pytest.fixture(scope="module")
def bundle(project):
    return api.open_bundle(project.bundle)


@pytest.fixture(scope="module")
def graph(project):
    return api.user_graph(project.store, project.newcomer)


def interest(entity_id, weight, *, title="?", kind="wikidata", evidence=()):
    return Interest(entity_id, title, title, kind, 1, 1, 1.0, 1.0, weight, 1, evidence)


def some_row(bundle, first, last=2**32):
    """The row of an entity whose id is in a range."""
    ids = bundle.profiles.entities.entity_ids.astype(np.int64)
    return int(np.flatnonzero((ids >= first) & (ids < last))[0])


@pytest.mark.parametrize("ending", ["json", "jsonld", "nt", "ttl", "nq"])
def test_the_round_trip_through_a_file(project, bundle, graph, tmp_path, ending):
    """Exported here, answered there: the same as the graph itself, and near what the history gives."""
    path = tmp_path / f"u.{ending}"
    if ending == "nq":
        api.export_profiles(project.store, path)
        found = api.recommend(bundle, profile=path, user=project.newcomer, k=5)
    else:
        api.export_profile(project.store, project.newcomer, path)
        found = api.recommend(bundle, profile=path, k=5)
    assert found == api.recommend(bundle, profile=graph, k=5)
    assert len(found.recommendations) == 5
    assert found.fallback is None
    strongest = [title for title, _ in found.interests[:3]]
    assert strongest == [one.title for one in graph.interests[:3]]
    assert any(reason.items for one in found.recommendations for reason in one.reasons)


class TestWeights:
    """What becomes of an interest."""

    def test_they_are_kept_and_sum_to_one(self, bundle, graph):
        given = given_graph(bundle, graph)
        weights, notes = given.weights, given.notes
        assert weights.sum() == pytest.approx(1.0)
        expected = {one.entity_id: one.weight for one in graph.interests}
        ids = bundle.profiles.entities.entity_ids[weights.indices].tolist()  # of the same store
        scale = sum(expected[entity_id] for entity_id in ids)
        for entity_id, weight in zip(ids, weights.data, strict=True):
            assert weight == pytest.approx(expected[entity_id] / scale)
        assert bool(notes) == (scale < 1 - 1e-9)

    def test_wikidata_ids_count_and_not_titles(self, bundle):
        entities = bundle.profiles.entities
        row = some_row(bundle, 1, 10**9)
        entity_id, title = int(entities.entity_ids[row]), entities.titles[row]
        known = UserGraph("u", (interest(entity_id, 0.5, title="another title"),))
        given = given_graph(bundle, known)
        weights, notes = given.weights, given.notes
        assert (weights.indices.tolist(), weights.data.tolist(), notes) == ([row], [1.0], ())
        other = UserGraph("u", (interest(999_999_999, 0.5, title=title),))
        given = given_graph(bundle, other)
        weights, notes = given.weights, given.notes
        assert weights.nnz == 0
        assert notes == (
            f"1 of 1 interests, 50% of the weight, are of no item here; '{title}' weighs most",
        )

    def test_a_page_without_an_id_is_known_by_its_title(self, bundle):
        row = some_row(bundle, 1, 10**9)
        title = bundle.profiles.entities.titles[row]
        graph = UserGraph("u", (interest(2_000_000_999, 1.0, title=title),))
        weights = given_graph(bundle, graph).weights
        assert weights.indices.tolist() == [row]

    def test_a_brand_is_known_by_its_name_and_no_page_is_meant(self, bundle):
        row = some_row(bundle, 3_000_000_000)
        title = bundle.profiles.entities.titles[row]
        brand = interest(3_999_999_999, 1.0, title=title, kind="brand")
        assert given_graph(bundle, UserGraph("u", (brand,))).weights.indices.tolist() == [row]
        page = interest(2_999_999_999, 1.0, title=title)
        found = given_graph(bundle, UserGraph("u", (page,))).weights.indices.tolist()
        assert row not in found

    def test_a_dislike_adds_nothing(self, bundle):
        row = some_row(bundle, 1, 10**9)
        entity_id = int(bundle.profiles.entities.entity_ids[row])
        given = given_graph(bundle, UserGraph("u", (interest(entity_id, -0.5),)))
        assert (given.weights.nnz, given.notes) == (0, ())

    def test_nothing_known_falls_back_and_says_so(self, bundle):
        found = api.recommend(bundle, profile=UserGraph("u", (interest(999_999_999, 1.0),)), k=3)
        assert found.fallback == "popularity"
        assert "1 of 1 interests" in found.notes[0]
        assert api.recommend(bundle, profile=UserGraph("u", ()), k=3).fallback == "popularity"


class TestItems:
    """What the person knows already."""

    def test_items_of_this_service_are_not_recommended_again(self, bundle):
        films = bundle.items["films"]
        at = Evidence(films.names[0], "films", films.titles[0], "title", 0, 1, "x", 1.0)
        row = some_row(bundle, 1, 10**9)
        entity_id = int(bundle.profiles.entities.entity_ids[row])
        graph = UserGraph("u", (interest(entity_id, 1.0, evidence=(at,)),))
        assert items_of_graph(bundle, graph)["films"].indices.tolist() == [0]
        found = api.recommend(bundle, profile=graph, k=10_000)
        assert films.names[0] not in {one.item for one in found.recommendations}
        assert len(found.recommendations) == len(films.names) - 1

    def test_an_id_of_another_service_is_another_item(self, bundle):
        films = bundle.items["films"]
        at = Evidence(films.names[0], "films", "Something else", "title", 0, 1, "x", 1.0)
        elsewhere = Evidence("x", "no such domain", "Something", "title", 0, 1, "x", 1.0)
        graph = UserGraph("u", (interest(1, 1.0, evidence=(at, elsewhere)),))
        assert all(matrix.nnz == 0 for matrix in items_of_graph(bundle, graph).values())


def test_one_way_to_ask_at_a_time(bundle, graph, project):
    for more in (
        {"history": ["b001"]},
        {"interests": ["jazz"]},
        {"user": "u", "store": project.store},
    ):
        with pytest.raises(UnknownError, match="give one of"):
            api.recommend(bundle, profile=graph, **more)
    with pytest.raises(SourceError, match="no such file"):
        api.recommend(bundle, profile="absent.ttl")
