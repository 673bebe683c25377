"""What is inferred in profile texts and vectors: equal to the store's own, off unless asked for, and in bundles."""
# ruff: noqa: D102  (a test's name is its docstring)

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from mekb import api
from mekb.bundle import Bundle, BundleParts, write_bundle
from mekb.config import load_settings
from mekb.dataset import load_world, split_world
from mekb.errors import StoreError, UnknownError
from mekb.interests import build_profiles
from mekb.linking import alias_index
from mekb.neighbours import infer_interests, with_neighbours
from mekb.one_hop import OneHop
from mekb.profile import SEPARATOR, ProfileScorer
from mekb.relations import one_hop
from mekb.scoring import NeighbourConfig, ScoringConfig
from mekb.store import Store
from training import checkpoint
from training.split_config import SplitConfig

sys.path.insert(0, str(Path(__file__).parent))  # worlds that several files of tests share
from random_interests import entity_rows, random_tables, rows

CONFIG = NeighbourConfig(
    gamma=0.3, relations={"P50": 1.0, "P136": 0.5}, max_degree=4, top=3, in_profiles=True
)
N_KNOWN = 25


def relation_rows(triples):
    subjects, predicates, objects = zip(*sorted(triples), strict=True) if triples else ((),) * 3
    return rows("relations", subject=subjects, predicate=predicates, object=objects)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store.open(tmp_path_factory.mktemp("hop") / "w.duckdb", create=True) as store:
        tables = random_tables(7)
        tables["entities"] = entity_rows("entities", list(range(1, N_KNOWN + 1)), "wikidata")
        store.replace(tables)
        build_profiles(store, ScoringConfig())
        yield store


def scorer_of(store, config):
    """Return the scorer that knows what the store's own scoring knew, and its users' histories."""
    world = with_neighbours(load_world(store, ("films",)), store, config)
    hop = None
    if world.factors is not None:
        hop = one_hop(world.factors, world.entities.entity_ids, world.neighbours)
    scorer = ProfileScorer.learn(
        world.entities, world.item_entities, world.interactions, ScoringConfig(), hop
    )
    return scorer, world.interactions


def entries(matrix, entity_ids):
    """Return {(user, entity id): value} of a matrix."""
    found = matrix.tocoo()
    return {
        (int(user), int(entity_ids[row])): value
        for user, row, value in zip(*found.coords, found.data, strict=True)
    }


class TestEqualToTheStore:
    """Matrices give what SQL gives."""

    @settings(max_examples=15, deadline=None)
    @given(
        triples=st.sets(
            st.tuples(
                st.integers(1, 20), st.sampled_from(["P50", "P136", "P9"]), st.integers(1, 30)
            ),
            min_size=1,
            max_size=60,
        ),
        top=st.sampled_from([1, 3, 20]),
    )
    def test_inferred_interests_are_those_of_the_stores_sql(self, store, triples, top):
        config = CONFIG.model_copy(update={"top": top})
        store.replace({"relations": relation_rows(triples)})
        infer_interests(store, config)
        scorer, histories = scorer_of(store, config)
        own = scorer.weights(histories)
        ids = scorer.entities.entity_ids
        wanted = {
            (row["user_id"], row["entity_id"]): row["weight"]
            for row in store.read("inferred_interests").to_pylist()
        }
        assert entries(scorer.one_hop.inferred(own), ids) == pytest.approx(wanted, rel=1e-9)
        derived = {
            (row["user_id"], row["entity_id"]): row["weight"]
            for row in store.read("user_entity").to_pylist()
        }
        both = entries(scorer.one_hop.beside(own), ids)
        assert both == pytest.approx(derived | wanted, rel=1e-9)

    def test_texts_are_titles_by_falling_weight_of_both(self, store):
        store.replace({"relations": relation_rows([(e, "P50", 21) for e in (1, 2, 3)])})
        infer_interests(store, CONFIG)
        scorer, histories = scorer_of(store, CONFIG)
        weights = {}
        for table in ("user_entity", "inferred_interests"):
            for row in store.read(table).to_pylist():
                weights.setdefault(row["user_id"], {})[row["entity_id"]] = row["weight"]
        said = scorer.texts(histories)
        assert any("Title of 21" in text for text in said)
        for user, text in enumerate(said):
            mine = weights.get(user, {})
            ordered = sorted(mine, key=lambda entity: (-mine[entity], entity))
            assert text == SEPARATOR.join(f"Title of {entity}" for entity in ordered)

    def test_numbers_hold_them_in_the_same_proportions(self, store):
        store.replace({"relations": relation_rows([(e, "P50", 21) for e in (1, 2, 3)])})
        scorer, histories = scorer_of(store, CONFIG)
        place = int(np.searchsorted(scorer.entities.entity_ids, 21))
        both = scorer.one_hop.beside(scorer.weights(histories)).toarray()
        numbers = scorer.interests(histories).toarray()
        assert both[:, place].any()
        factor = 0.3 / scorer.entities.multipliers
        assert numbers == pytest.approx(both * factor)


class TestSwitch:
    """Off unless asked for."""

    def test_it_is_off_and_then_nothing_is_other_than_without_relations(self, store):
        assert not NeighbourConfig().in_profiles
        store.replace({"relations": relation_rows([(1, "P50", 21)])})
        plain = load_world(store, ("films",))
        assert with_neighbours(plain, store, NeighbourConfig()) is plain
        scorer, histories = scorer_of(store, NeighbourConfig())
        assert scorer.one_hop is None
        assert 21 not in scorer.entities.entity_ids
        weights = scorer.weights(histories)
        assert scorer.texts_of(weights) == scorer.texts(histories)
        assert (scorer.interests_of(weights) != scorer.interests(histories)).nnz == 0

    def test_a_world_with_neighbours_scores_its_own_interests_as_before(self, store):
        store.replace({"relations": relation_rows([(1, "P50", 21), (2, "P136", 3)])})
        (plain, histories), (wider, _) = (
            scorer_of(store, config) for config in (NeighbourConfig(), CONFIG)
        )
        before = entries(plain.weights(histories), plain.entities.entity_ids)
        assert entries(wider.weights(histories), wider.entities.entity_ids) == before

    def test_relations_must_be_there(self, tmp_path):
        with Store.open(tmp_path / "bare.duckdb", create=True) as bare:
            bare.replace(random_tables(3))
            with pytest.raises(UnknownError, match="mekb data relations"):
                with_neighbours(load_world(bare, ("films",)), bare, CONFIG)


def test_many_users_are_spread_in_blocks_as_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    weights = csr_array(rng.random((23, 9)) * (rng.random((23, 9)) < 0.4))
    hop = OneHop(csr_array(rng.random((9, 9)) * (rng.random((9, 9)) < 0.3)), top=2)
    whole = hop.beside(weights).toarray()
    monkeypatch.setattr("mekb.one_hop._ROWS_AT_ONCE", 5)
    assert np.array_equal(hop.beside(weights).toarray(), whole)
    assert hop.beside(weights[:0]).shape == (0, 9)


@pytest.fixture
def related(own_project):
    """The sample project with relations between its entities, some to entities that no item holds."""
    with Store.open(own_project.store) as store:
        held = store.query("select distinct entity_id from item_entities order by 1")
        known = store.query(
            "select entity_id from entities where entity_id < 1000000000 order by 1"
        )
        ends = held["entity_id"].to_pylist()[:40], known["entity_id"].to_pylist()
        triples = {(a, "P136", ends[1][(7 * n) % len(ends[1])]) for n, a in enumerate(ends[0])}
        store.replace({"relations": relation_rows({t for t in triples if t[0] != t[2]})})
    return own_project


def test_a_bundle_scores_with_them_as_the_store_does(related, tmp_path):
    quick = ["train.model.head_epochs=0", "train.model.fine_tune=false"]
    assignments = [word for word in related.quick if word != "--set"]
    chosen = load_settings(assignments=[*assignments, *quick, "neighbours.in_profiles=true"])
    trained = api.train(
        related.store, tmp_path / "m", target="films", sources=["books", "music"], settings=chosen
    )
    model, _ = checkpoint.load(trained.folder)
    with Store.open(related.store) as store:
        world = with_neighbours(
            load_world(store, ("books", "music", "films")), store, NeighbourConfig(in_profiles=True)
        )
        split = split_world(world, "films", SplitConfig(), ScoringConfig())
        write_bundle(tmp_path / "b", BundleParts(model, world, split, alias_index(store), {}))
    histories = {domain: matrix[:40] for domain, matrix in split.data.interactions.items()}
    assert split.profiles.one_hop is not None
    assert split.profiles.one_hop.inferred(split.profiles.weights(histories)).nnz > 0
    bundle = Bundle(tmp_path / "b")
    assert bundle.profiles.texts(histories) == split.profiles.texts(histories)
    same = bundle.profiles.interests(histories) != split.profiles.interests(histories)
    assert same.nnz == 0


def test_a_model_is_trained_bundled_and_asked_with_them(related, tmp_path):
    assignments = [word for word in related.quick if word != "--set"]
    chosen = load_settings(assignments=[*assignments, "neighbours.in_profiles=true"])
    trained = api.train(
        related.store, tmp_path / "m", target="films", sources=["books"], settings=chosen
    )
    _, metadata = checkpoint.load(trained.folder)
    assert metadata["neighbours"]["in_profiles"]
    bundle = api.make_bundle(related.store, trained.folder, tmp_path / "b")
    assert bundle.profiles.one_hop is not None
    assert api.recommend(bundle, user=related.newcomer, store=related.store).recommendations
    with Store.open(related.store) as store:
        store.replace({"relations": relation_rows([(1, "P136", 2)])})
    with pytest.raises(StoreError, match="relations"):
        api.make_bundle(related.store, trained.folder, tmp_path / "c")
