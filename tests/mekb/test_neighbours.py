"""One hop further: the formula in NumPy, what is kept apart, and how it is marked in files."""
# ruff: noqa: D102  (a test's name is its docstring)

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alias_tables.errors import DumpError
from mekb import api
from mekb.config import load_settings
from mekb.edits import Changes, edit_profile
from mekb.errors import SourceError, UnknownError
from mekb.export import write_user_graph, write_user_graphs
from mekb.interests import build_profiles, read_user_graph
from mekb.neighbours import infer_interests, with_inferred
from mekb.rdf.files import read_profile
from mekb.scoring import NeighbourConfig, ScoringConfig
from mekb.store import Store

sys.path.insert(0, str(Path(__file__).parent))  # worlds that several files of tests share
from random_interests import entity_rows, random_tables, rows, weights_of

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")

N_ENTITIES, N_KNOWN = 15, 25
PREDICATES = ("P50", "P136", "P999")
CONFIG = NeighbourConfig(gamma=0.3, relations={"P50": 1.0, "P136": 0.5}, max_degree=4, top=3)


def relation_rows(triples):
    subjects, predicates, objects = zip(*triples, strict=True) if triples else ((), (), ())
    return rows("relations", subject=subjects, predicate=predicates, object=objects)


def filled(store):
    tables = random_tables(7)
    tables["entities"] = entity_rows("entities", list(range(1, N_KNOWN + 1)), "wikidata")
    store.replace(tables)
    build_profiles(store, ScoringConfig())


@pytest.fixture
def world(tmp_path):
    with Store.open(tmp_path / "w.duckdb", create=True) as store:
        filled(store)
        yield store


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Store.open(tmp_path_factory.mktemp("hop") / "w.duckdb", create=True) as store:
        filled(store)
        yield store


def expected(weights, triples, config):
    """Return {(user, entity): (weight, rank)} by the formula, in NumPy."""
    spread = np.zeros_like(weights)
    for subject, relation, object_ in triples:
        degree = sum((r, o) == (relation, object_) for _, r, o in triples)
        if degree <= config.max_degree and subject != object_:
            factor = config.relations.get(relation, 0) * config.gamma / degree
            spread[:, object_] += weights[:, subject] * factor
    spread[weights > 0] = 0
    spread[:, N_KNOWN + 1 :] = 0
    found = {}
    for user, row in enumerate(spread):
        best = np.lexsort((np.arange(len(row)), -row.round(15)))[: config.top]
        found |= {
            (user, int(e)): (row[e], rank) for rank, e in enumerate(best, start=1) if row[e] > 0
        }
    return found


class TestFormula:
    """`infer_interests`."""

    @settings(max_examples=12, deadline=None)
    @given(
        triples=st.sets(
            st.tuples(st.integers(1, 20), st.sampled_from(PREDICATES), st.integers(1, 30)),
            min_size=1,
            max_size=60,
        ),
        gamma=st.sampled_from([0.3, 0.5]),
    )
    def test_it_is_ten_lines_of_numpy(self, shared, triples, gamma):
        config = CONFIG.model_copy(update={"gamma": gamma})
        shared.replace({"relations": relation_rows(sorted(triples))})
        before = shared.fingerprint("user_entity"), shared.fingerprint("profiles")
        infer_interests(shared, config)
        weights = np.zeros((25, 32))
        own = weights_of(shared)
        weights[:, 1 : own.shape[1] + 1] = own
        wanted = expected(weights, sorted(triples), config)
        found = {
            (row["user_id"], row["entity_id"]): row
            for row in shared.read("inferred_interests").to_pylist()
        }
        totals = {key: weight for key, (weight, _) in wanted.items()}
        assert {key: row["weight"] for key, row in found.items()} == pytest.approx(totals, rel=1e-9)
        for (user, entity), row in found.items():
            assert row["rank"] == wanted[user, entity][1]
            assert set(row["sources"]) == {
                s
                for s, r, o in triples
                if o == entity
                and r in config.relations
                and s != o
                and weights[user, s] > 0
                and sum((p, q) == (r, o) for _, p, q in triples) <= config.max_degree
            }
        assert (shared.fingerprint("user_entity"), shared.fingerprint("profiles")) == before

    def test_a_world_worked_by_hand(self, world):
        graph = read_user_graph(world, "u003")
        first, second = graph.interests[:2]
        world.replace(
            {
                "relations": relation_rows(
                    [
                        (first.entity_id, "P50", 20),
                        (second.entity_id, "P50", 20),
                        (99, "P50", 20),
                        (first.entity_id, "P136", 21),
                        (first.entity_id, "P999", 22),
                        (first.entity_id, "P50", 77),
                    ]
                )
            }
        )
        infer_interests(world, CONFIG)
        inferred = [
            one for one in with_inferred(world, graph).interests if one.origin == "inferred"
        ]
        assert {one.entity_id: one.weight for one in inferred} == pytest.approx(
            {
                20: (first.weight + second.weight) * 0.3 / 3,
                21: first.weight * 0.5 * 0.3,
            }
        )
        assert [one.rank for one in inferred] == [
            len(graph.interests) + 1,
            len(graph.interests) + 2,
        ]
        twenty = next(one for one in inferred if one.entity_id == 20)
        assert twenty.sources == (first.entity_id, second.entity_id)

    def test_what_its_owner_removed_neither_spreads_nor_comes_back(self, world):
        first, second = read_user_graph(world, "u003").interests[:2]
        world.replace(
            {
                "relations": relation_rows(
                    [(first.entity_id, "P50", 20), (second.entity_id, "P50", first.entity_id)]
                )
            }
        )
        infer_interests(world, CONFIG)
        edit_profile(world, "u003", Changes(remove=[first.title]))
        assert 3 not in world.read("inferred_interests")["user_id"].to_pylist()
        assert not infer_interests(world, CONFIG).skipped
        mine = [r for r in world.read("inferred_interests").to_pylist() if r["user_id"] == 3]
        assert mine == []
        edit_profile(world, "u003", Changes(undo_all=True))
        infer_interests(world, CONFIG)
        assert 20 in world.read("inferred_interests")["entity_id"].to_pylist()

    def test_nothing_is_inferred_unasked_and_unchanged_inputs_are_skipped(self, world):
        assert not world.has("inferred_interests")
        with pytest.raises(UnknownError, match="mekb data relations"):
            infer_interests(world, CONFIG)
        with pytest.raises(UnknownError, match="mekb profiles infer"):
            api.user_graph(world, "u003", inferred=True)
        world.replace({"relations": relation_rows([(1, "P50", 20)])})
        infer_interests(world, CONFIG)
        assert infer_interests(world, CONFIG).skipped
        assert all(one.origin == "derived" for one in read_user_graph(world, "u003").interests)


class TestFiles:
    """Relations in, inferred interests out."""

    @pytest.mark.parametrize(
        "names", [("subject", "predicate", "object"), ("head", "prop", "tail")]
    )
    @pytest.mark.parametrize("ending", ["tsv", "csv", "parquet"])
    def test_relations_are_read_from_tables(self, world, tmp_path, names, ending):
        given_rows = [
            ("Q3", "P50", "Q20"),
            (
                "<http://www.wikidata.org/entity/Q4>",
                "http://www.wikidata.org/prop/direct/P136",
                "Q7",
            ),
            ("Q3", "P50", "Q20"),
            ("Q5", "P569", "1952-03-11"),
        ]
        path = tmp_path / f"r.{ending}"
        if ending == "parquet":
            columns = zip(*given_rows, strict=True)
            pq.write_table(pa.table(dict(zip(names, columns, strict=True))), path)
        else:
            mark = "\t" if ending == "tsv" else ","
            path.write_text("\n".join(mark.join(row) for row in [names, *given_rows]))
        api.import_relations(world, path)
        assert [tuple(row.values()) for row in world.read("relations").to_pylist()] == [
            (3, "P50", 20),
            (4, "P136", 7),
        ]
        assert api.import_relations(world, path).skipped

    def test_files_of_something_else_are_refused_in_one_line(self, world, tmp_path):
        path = tmp_path / "r.csv"
        path.write_text("a,b\n1,2\n")
        with pytest.raises(DumpError, match="subject"):
            api.import_relations(world, path)
        path.write_text("subject,predicate,object\nx,y,z\n")
        with pytest.raises(SourceError, match="no row relates two QIDs"):
            api.import_relations(world, path)
        with pytest.raises(SourceError, match="no such file"):
            api.import_relations(world, tmp_path / "none.csv")

    @pytest.fixture
    def graph(self, world):
        world.replace({"relations": relation_rows([(e, "P50", e + 14) for e in range(1, 11)])})
        infer_interests(world, CONFIG)
        return api.user_graph(world, "u003", inferred=True)

    @pytest.mark.parametrize("ending", ["json", "ttl", "nt", "jsonld"])
    def test_a_profile_with_inferred_interests_reads_back(self, graph, tmp_path, ending):
        assert sum(one.origin == "inferred" for one in graph.interests) > 0
        write_user_graph(graph, tmp_path / f"g.{ending}")
        assert read_profile(tmp_path / f"g.{ending}") == graph

    def test_in_quads_inferred_interests_have_a_graph_of_their_own(self, graph, tmp_path):
        path = tmp_path / "g.nq"
        write_user_graphs([graph], path)
        lines = path.read_text().splitlines()
        apart = [line for line in lines if line.endswith("/user/u003#inferred> .")]
        n_inferred = sum(one.origin == "inferred" for one in graph.interests)
        assert sum('mekb:ns#inferred> "true"' in line for line in apart) == n_inferred
        assert not any('mekb:ns#inferred> "true"' in line for line in set(lines) - set(apart))
        assert read_profile(path) == graph

    def test_settings_reach_it(self):
        chosen = load_settings(assignments=["neighbours.gamma=0.3", "neighbours.relations.P1=2"])
        assert (chosen.neighbours.gamma, chosen.neighbours.relations) == (0.3, {"P1": 2.0})

    @pytest.mark.parametrize("ending", ["nq", "nq.gz"])
    def test_a_dump_holds_what_was_inferred_apart_and_reads_back(
        self, graph, world, tmp_path, ending
    ):
        path = tmp_path / f"all.{ending}"
        users = world.read("users")["external_id"].to_pylist()
        assert api.export_profiles(world, path, inferred=True) == len(users)
        wanted = [with_inferred(world, read_user_graph(world, user)) for user in users]
        assert list(api.read_profiles(path)) == wanted
        assert graph in wanted
        assert sum(one.origin == "inferred" for each in wanted for one in each.interests) > 3
        assert api.read_profile(path, user="u003") == graph
        if ending == "nq":
            lines = path.read_text().splitlines()
            apart = [line for line in lines if line.endswith("#inferred> .")]
            assert sum('mekb:ns#inferred> "true"' in line for line in apart) == world.count(
                "inferred_interests"
            )
            bare = tmp_path / "bare.nq"
            api.export_profiles(world, bare)
            assert bare.read_text().splitlines() == [x for x in lines if x not in set(apart)]

    def test_a_dump_of_what_was_never_inferred_says_so(self, world, tmp_path):
        with pytest.raises(UnknownError, match="mekb profiles infer"):
            api.export_profiles(world, tmp_path / "all.nq", inferred=True)
        assert not (tmp_path / "all.nq").exists()

    def test_what_has_become_their_own_is_inferred_no_more(self, graph, world):
        """Interests are inferred now and then, profiles updated every day."""
        gone = next(one for one in graph.interests if one.origin == "inferred")
        source = next(one for one in graph.interests if one.entity_id == gone.sources[0])
        changes = Changes(add={gone.title: None})
        edit_profile(world, "u003", changes)
        mine = api.user_graph(world, "u003", inferred=True).interests
        assert [one.origin for one in mine if one.entity_id == gone.entity_id] == ["added"]
        edit_profile(world, "u003", Changes(undo_all=True, remove=[source.title]))
        mine = api.user_graph(world, "u003", inferred=True).interests
        assert all(source.entity_id not in one.sources for one in mine)
        assert all(one.sources for one in mine if one.origin == "inferred")
        assert [one.rank for one in mine] == list(range(1, len(mine) + 1))
