"""The profile stage: what a user's graph holds, and that neither row order nor threads change it."""

import numpy as np
import pyarrow as pa
import pytest

from alias_tables.schema import CUSTOM_ID_BASE
from mekb.config import SplitConfig
from mekb.dataset import load_world, split_world
from mekb.errors import UnknownError
from mekb.interests import build_profiles, liked_items, read_user_graph
from mekb.profile import SEPARATOR, ProfileScorer
from mekb.scoring import ScoringConfig
from mekb.store import Store, StoreSettings


def test_numpy_profiles_are_the_stores_own(store):
    build_profiles(store, ScoringConfig(k_star=2.0))
    world = load_world(store, ("books", "films"))
    scorer = ProfileScorer.learn(
        world.entities, world.item_entities, world.interactions, ScoringConfig(k_star=2.0)
    )
    texts = dict(zip(world.user_ids.tolist(), scorer.texts(world.interactions), strict=True))
    stored = {row["user_id"]: row["text"] for row in store.read("profiles").to_pylist()}
    assert {user: text for user, text in texts.items() if text} == stored
    weights = scorer.weights(world.interactions).tocoo()
    by_pair = {
        (int(world.user_ids[row]), int(world.entities.entity_ids[column])): value
        for row, column, value in zip(*weights.coords, weights.data, strict=True)
    }
    for row in store.read("user_entity").to_pylist():
        assert by_pair.pop((row["user_id"], row["entity_id"])) == pytest.approx(
            row["weight"], rel=1e-12
        )
    assert not by_pair


def test_row_order_and_threads_change_nothing(store, tmp_path):
    build_profiles(store, ScoringConfig())
    expected = store.fingerprint("user_entity"), store.fingerprint("profiles")
    rng = np.random.default_rng(1)
    for threads in (1, 4):
        with Store.open(
            tmp_path / f"{threads}.duckdb", create=True, settings=StoreSettings(threads=threads)
        ) as other:
            tables = {
                name: store.read(name)
                for name in (
                    "items",
                    "users",
                    "interactions",
                    "entities",
                    "custom_entities",
                    "item_entities",
                )
            }
            shuffled = {
                name: table.take(rng.permutation(table.num_rows)) for name, table in tables.items()
            }
            other.replace(shuffled)
            build_profiles(other, ScoringConfig())
            assert (other.fingerprint("user_entity"), other.fingerprint("profiles")) == expected


def test_ranks_follow_weights_and_texts_follow_ranks(store):
    build_profiles(store, ScoringConfig())
    profiles = {row["user_id"]: row for row in store.read("profiles").to_pylist()}
    for user in store.read("users").to_pylist():
        graph = read_user_graph(store, user["external_id"])
        weights = [interest.weight for interest in graph.interests]
        assert weights == sorted(weights, reverse=True)
        assert [interest.rank for interest in graph.interests] == list(range(1, len(weights) + 1))
        if graph.interests:
            titles = SEPARATOR.join(interest.title for interest in graph.interests)
            assert profiles[user["user_id"]]["text"] == titles


def test_evidence_names_the_item_attribute_an_interest_came_from(store):
    build_profiles(store, ScoringConfig())
    user = store.read("users")["external_id"][0].as_py()
    liked = {name for _, name in liked_items(store, user)}
    brands = [i for i in read_user_graph(store, user).interests if i.entity_id >= CUSTOM_ID_BASE]
    assert brands
    for interest in brands:
        assert {evidence.item for evidence in interest.evidence} <= liked
        assert len(interest.evidence) == interest.n_items
        assert all(evidence.surface == interest.title for evidence in interest.evidence)


def test_an_unknown_user_is_named_with_an_example(store):
    build_profiles(store, ScoringConfig())
    with pytest.raises(UnknownError, match=r"no user 'nobody'.*like 'u001'"):
        read_user_graph(store, "nobody")


def test_unchanged_profiles_are_not_built_again(store):
    first = build_profiles(store, ScoringConfig())
    again = build_profiles(store, ScoringConfig())
    other = build_profiles(store, ScoringConfig(k_star=1.0))
    forced = build_profiles(store, ScoringConfig(k_star=1.0), force=True)
    assert [first.skipped, again.skipped, other.skipped, forced.skipped] == [
        False,
        True,
        False,
        False,
    ]
    interactions = store.read("interactions")
    store.replace({"interactions": interactions.slice(1)})
    assert not build_profiles(store, ScoringConfig(k_star=1.0)).skipped


def test_a_table_altered_by_hand_is_built_again(store):
    build_profiles(store, ScoringConfig())
    profiles = store.read("profiles")
    store.replace({"profiles": profiles.slice(1)})
    assert not build_profiles(store, ScoringConfig()).skipped
    assert store.read("profiles").equals(profiles)


def test_idf_of_a_split_counts_training_rows_only(store):
    world = load_world(store, ("books", "films"))
    split = split_world(world, "films", SplitConfig(n_folds=3, valid_share=0.2), ScoringConfig())
    held = np.concatenate([split.test.user_rows, split.data.valid.user_rows])
    assert split.data.interactions["films"][held].nnz == 0
    counts = {
        domain: (split.data.interactions[domain] > 0).astype(float) @ world.item_entities[domain]
        for domain in ("books", "films")
    }
    has = ((counts["books"] + counts["films"]).toarray() > 0).sum(axis=0)
    assert split.profiles.entities.n_users.tolist() == has.tolist()


def test_a_history_is_all_a_profile_depends_on(store):
    world = load_world(store, ("books", "films"))
    scorer = ProfileScorer.learn(
        world.entities, world.item_entities, world.interactions, ScoringConfig()
    )
    some = {domain: matrix[:5] for domain, matrix in world.interactions.items()}
    assert scorer.texts(some) == scorer.texts(world.interactions)[:5]
    nothing = {domain: matrix[:1] * 0 for domain, matrix in world.interactions.items()}
    for matrix in nothing.values():
        matrix.eliminate_zeros()
    assert scorer.texts(nothing) == [""]


def test_read_tables_keep_their_types(store):
    build_profiles(store, ScoringConfig())
    assert store.read("user_entity").schema.field("weight").type == pa.float64()
