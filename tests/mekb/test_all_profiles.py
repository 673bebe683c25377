"""All users' MeKBs at once: each the same as read alone, and a dump that rdflib reads as the same graphs."""

import gzip
import itertools
from contextlib import closing

import pytest
from rdflib import Dataset, Graph, URIRef
from rdflib.compare import isomorphic

from mekb import api
from mekb.all_profiles import INTERACTIONS_A_RANGE, RANGES_SQL, read_all_graphs
from mekb.errors import OutputError, UnknownError
from mekb.interests import build_profiles, read_user_graph
from mekb.rdf.provenance import provenance_of
from mekb.rdf.terms import profile_iri
from mekb.rdf.write import user_graph_rdf
from mekb.scoring import ScoringConfig
from mekb.store import Store

# rdflib 7.6 parses N-Quads through a class whose parts it calls deprecated itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Dataset.default_context is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Dataset.identifier is deprecated:DeprecationWarning"),
]


@pytest.mark.parametrize("interactions", [1, 7, INTERACTIONS_A_RANGE])
def test_each_graph_is_the_one_read_alone(store, interactions):
    build_profiles(store, ScoringConfig())
    names = store.read("users")["external_id"].to_pylist()
    found = list(read_all_graphs(store, interactions_a_range=interactions))
    assert found == [read_user_graph(store, name) for name in names]
    assert any(graph.interests for graph in found)


def test_mentions_too_are_those_read_alone(project):
    with Store.open(project.store) as store:
        found = {graph.user: graph for graph in read_all_graphs(store, interactions_a_range=300)}
        for user in list(found)[::30]:
            assert found[user] == read_user_graph(store, user)
        assert len(found) == store.count("users")
        kinds = {i.kind for graph in found.values() for i in graph.interests if i.evidence}
    assert "wikidata" in kinds


def test_ranges_hold_about_as_much_each(store):
    ends = store.query(RANGES_SQL, {"rows": 10}).to_pylist()
    users = store.read("users")["user_id"].to_pylist()
    covered = [
        user for end in ends for user in users if end["first_user"] <= user <= end["last_user"]
    ]
    assert covered == users
    for end in ends:
        inside = store.first_row(
            "select count(*) from interactions where user_id between $first_user and $last_user",
            end,
        )
        assert inside is not None
        assert inside[0] <= 10 + 8  # what a range holds, and its last user's


def test_the_connection_may_be_used_between_two_users(store):
    build_profiles(store, ScoringConfig())
    for graph in read_all_graphs(store, interactions_a_range=10):
        known = store.query("select 1 from users where external_id = $user", {"user": graph.user})
        assert known.num_rows == 1


def test_nothing_is_left_in_the_store(store):
    build_profiles(store, ScoringConfig())
    tables = store.query("select table_name from duckdb_tables()").to_pydict()
    reading = read_all_graphs(store)
    next(reading)
    reading.close()
    assert store.query("select table_name from duckdb_tables()").to_pydict() == tables


def test_no_profiles_yet(store):
    with pytest.raises(UnknownError, match="mekb profiles build"):
        next(read_all_graphs(store))


def test_a_dump_is_parsed_back_by_rdflib_as_each_users_graph(project, tmp_path):
    path = tmp_path / "all.nq.gz"
    told = []
    n_users = api.export_profiles(
        project.store, path, on_progress=lambda *progress: told.append(progress)
    )
    assert told[-1] == ("users", n_users, n_users)
    data = gzip.decompress(path.read_bytes())
    names = [f"<{profile_iri(user, 'my')}> .".encode() for user in ("u00001", project.newcomer)]
    own = [line for line in data.splitlines(keepends=True) if line.rstrip().endswith(tuple(names))]
    dataset = Dataset()
    dataset.parse(data=b"".join(own).decode(), format="nquads")
    from importlib.metadata import version

    with Store.open(project.store) as store:
        for user in ("u00001", project.newcomer):
            graph = read_user_graph(store, user)
            about = provenance_of(store, graph.run_id, software=version("mekb"))
            part = Graph()
            for triple in dataset.graph(URIRef(profile_iri(user, "my"))):
                part.add(triple)
            assert isomorphic(part, user_graph_rdf(graph, about))


def test_a_dump_comes_back_as_the_same_mekbs(project, tmp_path):
    path = tmp_path / "all.nq"
    assert api.export_profiles(project.store, path) == 300
    with Store.open(project.store) as store, closing(read_all_graphs(store)) as graphs:
        pairs = zip(graphs, api.read_profiles(path), strict=False)
        for stored, read in itertools.islice(pairs, 4):
            assert read == stored


def test_a_dump_is_whole_or_not_there(store, tmp_path):
    path = tmp_path / "all.nq"
    with pytest.raises(UnknownError, match="mekb profiles build"):
        api.export_profiles(store, path)
    build_profiles(store, ScoringConfig())

    def stop(_stage, done, _total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.export_profiles(store, path, on_progress=stop)
    assert all(one.name.startswith(store.path.name) for one in tmp_path.iterdir())
    api.export_profiles(store, path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists; add --force"):
        api.export_profiles(store, path)
    with pytest.raises(OutputError, match=r"\.nq or \.nq\.gz"):
        api.export_profiles(store, tmp_path / "all.ttl")
    api.export_profiles(store, path, force=True)
    assert path.read_bytes() == before
