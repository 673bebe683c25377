"""Updates: only the users touched are scored, what that leaves behind is measured, and a crash changes nothing."""
# ruff: noqa: D102  (a test's name is its docstring)

import json
import os
import signal
import subprocess
import sys
import time
from math import log
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mekb.drift import measure_drift
from mekb.errors import RefreshError, UnknownError
from mekb.forget import forget_user
from mekb.increments import update_profiles
from mekb.interests import build_profiles, read_user_graph
from mekb.schema import CATALOGUE
from mekb.scoring import ScoringConfig, UpdateConfig
from mekb.store import Store

sys.path.insert(0, str(Path(__file__).parent))  # worlds that two files of tests share
from random_interests import add, entity_rows, random_tables, rows, weights_in_numpy, weights_of

PLAIN = ScoringConfig()
CONFIGS = (PLAIN, ScoringConfig(use_idf=False), ScoringConfig(half_life_days=30, negative_up_to=2))
SCORED = ("user_entity", "profiles", "idf_basis", "touched_users")
few = settings(max_examples=4, deadline=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("increments")


@pytest.fixture
def world(tmp_path):
    """A store of 25 users with profiles."""
    with Store.open(tmp_path / "w.duckdb", create=True) as store:
        store.replace(random_tables(7))
        build_profiles(store, PLAIN)
        yield store


def update(store, config=PLAIN, **more):
    return update_profiles(store, config, UpdateConfig(), **more)


def by_user(store, table):
    found = {}
    for row in store.read(table).to_pylist():
        found.setdefault(row["user_id"], []).append(row)
    return found


class TestUpdate:
    """`update_profiles`."""

    def test_only_the_users_touched_change(self, world, tmp_path):
        before = {table: by_user(world, table) for table in ("user_entity", "profiles")}
        add(world, ["u003,i1,5", "u003,i2,5", "u017,i5,4", "stranger,i4,5"], tmp_path)
        done = update(world)
        assert done.n_users == 3
        for table, old in before.items():
            now = by_user(world, table)
            assert {user: now[user] for user in now if user not in {3, 17, 25}} == {
                user: old[user] for user in old if user not in {3, 17, 25}
            }
        assert weights_of(world)[[3, 17, 25]].sum(axis=1) == pytest.approx(1)
        assert len(read_user_graph(world, "stranger").interests) > 0
        assert read_user_graph(world, "stranger").run_id == done.stage.run_id
        assert world.count("touched_users") == 0

    def test_users_are_weighed_with_the_idf_of_the_last_full_scoring(self, world, tmp_path):
        basis = {row["entity_id"]: row["n_users"] for row in world.read("idf_basis").to_pylist()}
        n_all = world.read("idf_basis")["n_all"][0].as_py()
        add(world, [f"u{user:03d},i{item},5" for user in range(5) for item in range(20)], tmp_path)
        update(world)
        for row in world.read("user_entity").to_pylist():
            assert row["idf"] == pytest.approx(log(n_all / basis[row["entity_id"]]), rel=1e-14)

    def test_an_entity_the_basis_does_not_know_has_the_idf_of_one_user(self, world, tmp_path):
        n_all = world.read("idf_basis")["n_all"][0].as_py()
        linked = world.read("item_entities")
        more = rows(
            "item_entities", item_id=[20], entity_id=[15], n_mentions=[1], score=[1], weight=[1]
        )
        unknown = rows(
            "item_entities", item_id=[20], entity_id=[99], n_mentions=[1], score=[1], weight=[1]
        )
        world.replace(
            {
                "entities": pa.concat_tables(
                    [world.read("entities"), entity_rows("entities", [99], "wikidata")]
                )
            }
        )
        build_profiles(world, PLAIN)
        add(world, ["u001,new,5"], tmp_path)
        world.replace({"item_entities": pa.concat_tables([linked, more, unknown])})
        update(world)
        found = [row for row in world.read("user_entity").to_pylist() if row["entity_id"] == 99]
        assert [(row["user_id"], row["idf"]) for row in found] == [(1, pytest.approx(log(n_all)))]

    @few
    @given(st.integers(0, 2**32 - 1), st.sampled_from(CONFIGS))
    def test_after_a_refresh_or_a_build_all_is_as_if_scored_at_once(self, folder, seed, config):
        rng = np.random.default_rng(seed)
        lines = [
            f"u{rng.integers(0, 30):03d},i{rng.integers(0, 20)},{rng.integers(1, 6)}"
            for _ in range(rng.integers(3, 40))  # a row or more for each of the three days
        ]
        at = folder / f"{seed}-{CONFIGS.index(config)}.duckdb"
        with Store.open(at, create=True) as store:
            store.replace(random_tables(seed))
            build_profiles(store, config)
            for day in np.array_split(lines, 3):
                add(store, day, folder)
                update(store, config)
            assert not update(store, config, refresh=True).stage.skipped
            refreshed = {table: store.fingerprint(table) for table in SCORED}
            tables = {name: store.read(name) for name in random_tables(0)}
        with Store.open(at.with_suffix(".full.duckdb"), create=True) as store:
            store.replace(tables)
            build_profiles(store, config)
            assert {table: store.fingerprint(table) for table in SCORED} == refreshed

    def test_a_build_after_an_update_scores_everybody_and_a_second_is_skipped(
        self, world, tmp_path
    ):
        add(world, ["u003,i1,5", "u017,i5,4"], tmp_path)
        update(world)
        assert not build_profiles(world, PLAIN).skipped
        assert build_profiles(world, PLAIN).skipped
        assert update(world, refresh=True).stage.skipped

    def test_with_nothing_new_it_does_nothing_and_says_so(self, world, tmp_path):
        nothing = update(world)
        assert (nothing.stage.skipped, nothing.n_users, nothing.drift) == (True, 0, None)
        assert "nothing changed since run profiles-" in str(nothing.stage)
        add(world, ["u003,i1,5"], tmp_path)
        done = update(world)
        before = world.fingerprint("user_entity"), world.count("runs")
        again = update(world)
        assert again.stage.skipped
        assert again.stage.run_id == done.stage.run_id
        assert (world.fingerprint("user_entity"), world.count("runs")) == before

    def test_its_run_says_what_it_was_made_from(self, world, tmp_path):
        add(world, ["u003,i1,5", "u009,i8,1", "new,i1,5"], tmp_path)
        update(world)
        newest = world.query("select * from runs order by started_at desc limit 1").to_pylist()[0]
        assert newest["stage"] == "update"
        for table, fingerprint in json.loads(newest["inputs"]).items():
            assert table == "formula" or fingerprint == world.fingerprint(table), table

    def test_a_low_rating_takes_an_interest_away(self, world, tmp_path):
        liked = [
            row["item_id"]
            for row in world.read("interactions").to_pylist()
            if row["user_id"] == 3 and row["positive"]
        ]
        assert by_user(world, "user_entity")[3]
        add(world, [f"u003,i{item},1" for item in liked], tmp_path)
        update(world)
        assert 3 not in by_user(world, "user_entity")
        assert 3 not in by_user(world, "profiles")

    def test_newly_linked_items_touch_those_who_have_them(self, world, tmp_path):
        add(world, ["u003,later,5", "u004,i1,5"], tmp_path)
        update(world)
        more = rows(
            "item_entities", item_id=[20], entity_id=[3], n_mentions=[1], score=[1], weight=[1]
        )
        world.replace({"item_entities": pa.concat_tables([world.read("item_entities"), more])})
        before = weights_of(world)
        assert update(world).n_users == 1
        changed = np.flatnonzero((weights_of(world) != before).any(axis=1))
        assert changed.tolist() == [3]


class TestRefusal:
    """Whatever touches more than some users."""

    def test_other_settings_ask_for_a_refresh(self, world, tmp_path):
        add(world, ["u003,i1,5"], tmp_path)
        with pytest.raises(
            RefreshError, match=r"since run .* the settings of scoring changed; .* --refresh"
        ):
            update(world, ScoringConfig(k_star=2))
        assert not update(world, ScoringConfig(k_star=2), refresh=True).stage.skipped
        assert update(world, ScoringConfig(k_star=2)).stage.skipped

    def test_other_entities_on_items_scored_before_ask_for_a_refresh(self, world):
        world.replace({"item_entities": world.read("item_entities").slice(1)})
        with pytest.raises(RefreshError, match="items scored before got other entities"):
            update(world)

    def test_an_import_asks_for_a_refresh(self, world):
        world.replace({"interactions": world.read("interactions").slice(1)})
        with pytest.raises(RefreshError, match="imported anew"):
            update(world)

    def test_another_alias_table_asks_for_a_refresh(self, world):
        world.replace({"entities": world.read("entities").slice(0, 14)})
        with pytest.raises(RefreshError, match="alias table changed"):
            update(world)

    def test_profiles_must_have_been_built(self, store):
        with pytest.raises(UnknownError, match="mekb profiles build"):
            update(store)


class TestDrift:
    """`measure_drift` against everybody scored anew."""

    def test_the_error_is_that_of_everybody_scored_anew(self, world, tmp_path):
        assert measure(world).mean == measure(world).bound == 0
        lines = [f"n{user},i{item},5" for user in range(12) for item in range(user, 20)]
        add(world, lines, tmp_path)
        done = update(world, PLAIN)
        held = weights_of(world)
        update(world, refresh=True)
        fresh = weights_of(world)
        filled = (held + fresh).any(axis=1)
        gain = (fresh - held)[filled]
        apart = np.maximum(np.maximum(gain, 0).sum(axis=1), np.maximum(-gain, 0).sum(axis=1))
        assert done.drift.n_sampled == filled.sum()
        assert done.drift.mean == pytest.approx(apart.mean(), rel=1e-9)
        assert done.drift.largest == pytest.approx(apart.max(), rel=1e-9)
        assert 0 < apart.max() <= done.drift.bound
        assert done.drift.is_exceeded
        assert "--refresh" in str(done.drift)

    @few
    @given(st.integers(0, 2**32 - 1))
    def test_nobody_is_further_off_than_the_bound(self, folder, seed):
        rng = np.random.default_rng(seed)
        with Store.open(folder / f"bound-{seed}.duckdb", create=True) as store:
            store.replace(random_tables(seed))
            build_profiles(store, PLAIN)
            lines = [f"n{rng.integers(0, 4)},i{rng.integers(0, 20)},5" for _ in range(9)]
            add(store, lines, folder)
            drift = update(store).drift
            assert drift.largest <= drift.bound + 1e-12

    def test_what_moved_is_what_counting_everybody_finds(self, world, tmp_path):
        """Day after day, with users who leave an interest, and one who is forgotten."""
        days = [
            [f"n{user},i{item},5" for user in range(6) for item in range(user, 9)],
            ["u003,i1,1", "u003,i2,1", "n2,i3,1", "u004,i5,5", "new,i0,5"],
            [f"u00{user},i{user},{1 + user % 5}" for user in range(9)],
        ]
        assert world.count("idf_moves") == 0
        for number, lines in enumerate([*days, None]):
            if lines is None:
                forget_user(world, "n2")
            else:
                add(world, lines, tmp_path, name=f"day-{number}.csv")
                update(world, PLAIN)
            moved = measure(world)
            counts = np.bincount(world.read("user_entity")["entity_id"].to_numpy(), minlength=16)
            basis = {
                row["entity_id"]: row["n_users"]
                for row in world.read("idf_basis").to_pylist()
                if row["n_users"] < row["n_all"]
            }
            moves = {row["entity_id"]: row["change"] for row in world.read("idf_moves").to_pylist()}
            assert {e: basis.get(e, 0) + moves.get(e, 0) for e in basis | moves} == {
                e: counts[e] for e in basis | moves
            }
            world.drop("idf_moves")
            assert measure(world) == moved, "as in a store that was made before there were moves"
            rows_ = [{"entity_id": e, "change": change} for e, change in moves.items()]
            world.replace({"idf_moves": pa.Table.from_pylist(rows_, CATALOGUE["idf_moves"])})
        update(world, PLAIN, refresh=True)
        assert world.count("idf_moves") == 0

    def test_the_same_seed_takes_the_same_users(self, world, tmp_path):
        add(world, [f"n{user},i{user},5" for user in range(9)], tmp_path)
        update(world)
        some = [measure(world, n_sampled=5, seed=seed) for seed in (1, 1, 2)]
        assert some[0] == some[1] != some[2]

    def test_a_generous_threshold_is_silent(self, world, tmp_path):
        add(world, [f"n{user},i{user},5" for user in range(9)], tmp_path)
        update(world)
        assert not measure(world, max_drift=1.0).is_exceeded
        assert "--refresh" not in str(measure(world, max_drift=1.0))


def measure(store, **settings_):
    from mekb.aggregation import clear, sides

    try:
        return measure_drift(store, sides(store, PLAIN)[0], UpdateConfig(**settings_))
    finally:
        clear(store)


KILLED = """
import sys
from pathlib import Path
from mekb.growth import add_rows
from mekb.forget import forget_user
from mekb.increments import update_profiles
from mekb.interests import build_profiles
from mekb.schema import CATALOGUE
from mekb.scoring import ScoringConfig, UpdateConfig
from mekb.sources import ImportConfig
from mekb.store import Store

with Store.open(sys.argv[1]) as store:
    print("open", flush=True)
    while True:
        if sys.argv[2] == "build":
            build_profiles(store, ScoringConfig(), force=True, rows_per_part=50)
        else:
            name = f"more{store.count('users')}"
            day = Path(sys.argv[3])
            day.write_text("user_id,item_id,rating,domain\\n" + f"{name},i1,5,films\\nu003,i2,{store.count('users') % 5 + 1},films\\n")
            add_rows(store, [], [day], ImportConfig(), {})
            update_profiles(store, ScoringConfig(), UpdateConfig(n_sampled=5))
"""


@pytest.mark.parametrize("work", ["build", "update"])
def test_a_kill_at_any_moment_leaves_complete_profiles(tmp_path, work):
    path = tmp_path / "killed.duckdb"
    with Store.open(path, create=True) as store:
        store.replace(random_tables(8, n_users=300, n_items=60, n_entities=30))
        build_profiles(store, PLAIN)
    rng = np.random.default_rng(0)
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path), work, str(tmp_path / "day.csv")],
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert process.stdout.readline() == b"open\n"
        time.sleep(float(rng.uniform(0.05, 0.9)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        with Store.open(path) as store:
            assert np.isin(np.round(weights_of(store).sum(axis=1), 9), [0, 1]).all()
            assert {row["user_id"] for row in store.read("profiles").to_pylist()} == set(
                np.flatnonzero(weights_of(store).any(axis=1))
            )
            if work == "build":
                made = store.query("select outputs from runs order by started_at desc limit 1")
                for table, fingerprint in json.loads(made["outputs"][0].as_py()).items():
                    assert store.fingerprint(table) == fingerprint
            # Whatever was done and noted before the kill, the next update makes right.
            update_profiles(store, PLAIN, UpdateConfig())
            tables = {name: store.read(name) for name in random_tables(0)}
            basis = store.read("idf_basis").to_pydict()
            n_users = np.ones(store.count("entities"))
            n_users[np.array(basis["entity_id"]) - 1] = basis["n_users"]
            expected = weights_in_numpy(tables, basis=(basis["n_all"][0], n_users))
            assert weights_of(store) == pytest.approx(expected, rel=1e-12, abs=1e-15)
            build_profiles(store, PLAIN, force=True)
