"""Edits: what each does to the weights, that they survive what rebuilds a store, and that undoing leaves no trace."""
# ruff: noqa: D102  (a test's name is its docstring)

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alias_tables.schema import CUSTOM_ID_BASE
from mekb import api
from mekb.all_profiles import read_all_graphs
from mekb.edits import Changes, edit_profile, read_edits
from mekb.errors import UnknownError
from mekb.export import write_user_graph
from mekb.increments import update_profiles
from mekb.interests import build_profiles, read_user_graph
from mekb.profile import SEPARATOR
from mekb.rdf.files import read_profile
from mekb.rdf.write import user_graph_rdf
from mekb.scoring import ScoringConfig, UpdateConfig
from mekb.store import Store

sys.path.insert(0, str(Path(__file__).parent))  # worlds that several files of tests share
from random_interests import entity_rows, random_tables, rows

pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")

PLAIN = ScoringConfig()
USER = "u003"
N_ENTITIES = 15


def filled(store):
    tables = random_tables(7)
    tables["custom_entities"] = entity_rows("custom_entities", [CUSTOM_ID_BASE], "brand")
    store.replace(tables)
    build_profiles(store, PLAIN)


@pytest.fixture
def world(tmp_path):
    with Store.open(tmp_path / "w.duckdb", create=True) as store:
        filled(store)
        yield store


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Store.open(tmp_path_factory.mktemp("edits") / "w.duckdb", create=True) as store:
        filled(store)
        yield store


def weights(graph):
    return {one.entity_id: one.weight for one in graph.interests}


def text_of(store, user=USER):
    number = store.first_row("select user_id from users where external_id = $u", {"u": user})[0]
    row = store.first_row("select text, n_entities from profiles where user_id = $u", {"u": number})
    return row or ("", 0)


def expected(derived, edits):
    """Return the effective weights by the formula of `mekb.effective`, in a few lines."""
    pins = {e: w for e, (action, w) in edits.items() if action == "pin"}
    free = {e: w for e, w in derived.items() if e not in edits}
    free |= {e: max(derived.get(e, 0), w) for e, (a, w) in edits.items() if a == "add"}
    rest = 1 - sum(pins.values()) if free else 0
    scale = 1 if free else 1 / sum(pins.values() or [1])
    return {e: w / sum(free.values()) * rest for e, w in free.items()} | {
        e: w * scale for e, w in pins.items()
    }


entities = st.integers(1, N_ENTITIES) | st.just(CUSTOM_ID_BASE)
edits_of_one = st.dictionaries(
    entities,
    st.just(("remove", None))
    | st.tuples(st.just("add"), st.floats(0.001, 0.99))
    | st.tuples(st.just("pin"), st.floats(0.001, 0.06)),
    max_size=8,
)


def name_of(entity_id):
    return f"Q{entity_id}" if entity_id < CUSTOM_ID_BASE else f"brand:Title of {entity_id}"


def changes_of(edits):
    return Changes(
        remove=[name_of(e) for e, (action, _) in edits.items() if action == "remove"],
        add={name_of(e): w for e, (action, w) in edits.items() if action == "add"},
        pin={name_of(e): w for e, (action, w) in edits.items() if action == "pin"},
    )


class TestWeights:
    """What edits do to the weights."""

    @settings(max_examples=10, deadline=None)
    @given(edits=edits_of_one, user=st.sampled_from(["u000", "u003", "u011", "u020"]))
    def test_weights_are_the_formulas_and_sum_to_one_and_undoing_restores_every_bit(
        self, shared, edits, user
    ):
        before, texts = read_user_graph(shared, user), shared.read("profiles")
        derived = weights(before)
        if edits:
            edit_profile(shared, user, changes_of(edits))
        graph = read_user_graph(shared, user)
        found = weights(graph)
        assert found == pytest.approx(expected(derived, edits), rel=1e-12)
        if found:
            assert sum(found.values()) == pytest.approx(1, abs=1e-12)
        assert [one.rank for one in graph.interests] == list(range(1, len(found) + 1))
        assert list(found.values()) == sorted(found.values(), reverse=True)
        text, n_entities = text_of(shared, user)
        assert text == SEPARATOR.join(one.title for one in graph.interests)
        assert n_entities == len(found)
        edit_profile(shared, user, Changes(undo_all=True))
        assert read_user_graph(shared, user) == before
        assert shared.read("profiles") == texts
        assert shared.count("profile_edits") == 0

    def test_a_pin_without_a_weight_keeps_that_of_now_when_others_go(self, world):
        before = read_user_graph(world, USER)
        first, second, *rest = before.interests
        edit_profile(world, USER, Changes(pin={second.title: None}))
        after = edit_profile(world, USER, Changes(remove=[first.title]))
        assert weights(after)[second.entity_id] == second.weight
        scale = (1 - second.weight) / (1 - second.weight - first.weight)
        for one in rest:
            assert weights(after)[one.entity_id] == pytest.approx(one.weight * scale, rel=1e-12)
        assert first.entity_id not in weights(after)

    def test_a_pin_keeps_its_weight_whatever_the_data_say(self, world):
        edit_profile(world, USER, Changes(pin={"Q3": 0.25}))
        for config in (ScoringConfig(k_star=1), ScoringConfig(use_idf=False)):
            build_profiles(world, config)
            assert weights(read_user_graph(world, USER))[3] == 0.25

    def test_origins_tell_edits_apart_and_evidence_stays(self, world):
        derived = {one.entity_id for one in read_user_graph(world, USER).interests}
        strange = next(e for e in range(1, N_ENTITIES + 1) if e not in derived)
        known = min(derived)
        graph = edit_profile(world, USER, Changes(add={f"Q{strange}": 0.3}, pin={f"Q{known}": 0.1}))
        origins = {one.entity_id: one.origin for one in graph.interests}
        assert origins.pop(strange) == "added"
        assert origins.pop(known) == "pinned"
        assert set(origins.values()) == {"derived"}
        added = next(one for one in graph.interests if one.entity_id == strange)
        assert (added.n_items, added.tf, added.evidence) == (0, 0, ())

    def test_other_people_keep_every_bit(self, world):
        before = {graph.user: graph for graph in read_all_graphs(world)}
        edit_profile(world, USER, Changes(add={"Q1": 0.5}, remove=["Q3"]))
        after = {graph.user: graph for graph in read_all_graphs(world)}
        assert after.pop(USER) != before.pop(USER)
        assert after == before


class TestSurvival:
    """Edits are a layer of their own."""

    def edited(self, world):
        return edit_profile(world, USER, Changes(remove=["Q3"], pin={"Q2": 0.25}, add={"Q1": 0.2}))

    def test_a_rebuild_keeps_the_edits(self, world):
        before = self.edited(world)
        text = text_of(world)
        build_profiles(world, PLAIN, force=True)
        after = read_user_graph(world, USER)
        assert after.interests == before.interests
        assert text_of(world) == text

    def test_an_edit_makes_no_stage_run_again(self, world):
        self.edited(world)
        assert build_profiles(world, PLAIN).skipped
        edit_profile(world, USER, Changes(undo=["Q3"]))
        assert build_profiles(world, PLAIN).skipped

    def test_an_import_that_deals_out_other_ids_keeps_the_edits(self, world):
        before = self.edited(world)
        users, interactions = world.read("users"), world.read("interactions")
        turned = [24 - number for number in users["user_id"].to_pylist()]
        rows_of = interactions.to_pydict() | {
            "user_id": [24 - number for number in interactions["user_id"].to_pylist()]
        }
        world.replace(
            {
                "users": rows("users", user_id=turned, external_id=users["external_id"]),
                "interactions": rows("interactions", **rows_of),
            }
        )
        build_profiles(world, PLAIN)
        assert read_user_graph(world, USER).interests == before.interests

    def test_an_update_keeps_the_edits(self, world):
        self.edited(world)
        world.replace({"touched_users": rows("touched_users", user_id=[3, 5])})
        run = update_profiles(world, PLAIN, UpdateConfig())
        assert run.n_users == 2
        assert text_of(world)[0].startswith("Title of 2")
        assert world.count("touched_users") == 0

    def test_an_edit_of_an_entity_that_is_gone_waits_for_it(self, world):
        derived = read_user_graph(world, "u011")
        edit_profile(world, "u011", Changes(add={"brand:Title of 3000000000": 0.4}))
        custom = world.read("custom_entities")
        world.replace({"custom_entities": custom.slice(0, 0)})
        assert read_user_graph(world, "u011") == derived
        world.replace({"custom_entities": custom})
        assert CUSTOM_ID_BASE in weights(read_user_graph(world, "u011"))

    @pytest.mark.parametrize("ending", ["json", "ttl", "nt", "jsonld"])
    def test_an_export_holds_the_edited_profile_and_reads_back(self, world, tmp_path, ending):
        graph = self.edited(world)
        write_user_graph(graph, tmp_path / f"e.{ending}")
        assert read_profile(tmp_path / f"e.{ending}") == graph

    def test_the_shapes_take_an_edited_profile(self, world):
        from mekb.rdf.provenance import provenance_of
        from mekb.rdf.validate import Validator

        edit_profile(world, USER, Changes(add={"brand:Title of 3000000000": 0.2}))
        graph = edit_profile(world, USER, Changes(add={"Q1": 0.2}, pin={"Q5": 0.2}))
        rdf = user_graph_rdf(graph, provenance_of(world, graph.run_id))
        without = {found.focus for found in Validator().violations(rdf) if "edit" in found.path}
        assert without  # what this world derived has no evidence: the check can fail
        edited = [one for one in graph.interests if one.edited]
        assert len(edited) == 3
        assert not {f.rpartition("/")[2] for f in without} & {
            one.qid or str(one.entity_id) for one in edited
        }


class TestNames:
    """How entities are called."""

    def test_an_ambiguous_name_lists_its_meanings_and_changes_nothing(self, store):
        build_profiles(store, PLAIN)
        aliases = store.read("aliases").to_pydict()
        for meaning in (1, 2):
            for column, values in aliases.items():
                values.append(
                    {"surface": "Heat", "entity_id": meaning, "prior": 0.5}.get(column, values[0])
                )
        store.replace({"aliases": rows("aliases", **aliases)})
        with pytest.raises(UnknownError, match=r"'Heat' may mean Q1 \(Entity 1\), Q2 \(Entity 2\)"):
            edit_profile(store, "u001", Changes(add={"Heat": None}))
        assert read_edits(store, "u001") == ()
        with pytest.raises(UnknownError, match="no entity of"):
            edit_profile(store, "u001", Changes(add={"Nothing": None}))

    def test_all_ways_to_name_an_entity(self, store):
        build_profiles(store, PLAIN)
        for name in ("Q5", "q5", "Entity 5", "entity 5"):
            edit_profile(store, "u001", Changes(undo_all=True))
            edit_profile(store, "u001", Changes(add={name: 0.2}))
            assert [edit.entity_id for edit in read_edits(store, "u001")] == [5]
        edit_profile(store, "u001", Changes(remove=["brand:Brand 0"], undo=["entity 5"]))
        assert [(e.entity_id, e.action) for e in read_edits(store, "u001")] == [
            (CUSTOM_ID_BASE, "remove")
        ]

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            (Changes(pin={"Q1": 0.6, "Q2": 0.4}), "leave nothing"),
            (Changes(pin={"Q1": 1.0}), "below 1"),
            (Changes(add={"Q1": 0.0}), "above 0"),
            (Changes(add={"Q1": float("nan")}), "above 0"),
            (Changes(undo=["Q1"]), "no edit of 'u003' to be undone; there are: none"),
            (Changes(add={"Q999": None}), "no entity of"),
        ],
    )
    def test_what_cannot_be_is_said_in_one_line(self, shared, changes, said):
        before = read_user_graph(shared, USER)
        with pytest.raises(UnknownError, match=said) as raised:
            edit_profile(shared, USER, changes)
        assert "\n" not in str(raised.value)
        assert read_user_graph(shared, USER) == before

    def test_the_python_door(self, world):
        api.edit_profile(world, USER, add=["Q1=0.3"], pin={"Q2": 0.1})
        assert {(e.entity_id, e.weight) for e in api.profile_edits(world, USER)} == {
            (1, 0.3),
            (2, 0.1),
        }
        assert api.user_graph(world, USER) == api.edit_profile(world, USER)
        with pytest.raises(UnknownError):
            api.profile_edits(world, "nobody")
