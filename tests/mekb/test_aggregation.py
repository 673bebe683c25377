"""Scoring of whole stores: against ten lines of NumPy, in any number of parts, by age, and of low ratings."""
# ruff: noqa: D102  (a test's name is its docstring)

import itertools
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mekb.aggregation import choose_all, user_parts
from mekb.errors import ConfigError
from mekb.interests import build_profiles
from mekb.profile import ProfileScorer
from mekb.scoring import ALL_USERS, ScoringConfig
from mekb.store import Store, StoreSettings

sys.path.insert(0, str(Path(__file__).parent))  # worlds that two files of tests share
from random_interests import random_tables, rows, weights_in_numpy, weights_of

SCORED = ("user_entity", "profiles", "idf_basis")
few = settings(max_examples=5, deadline=None)


def fresh(folder, name, tables, **engine):
    store = Store.open(folder / f"{name}.duckdb", create=True, settings=StoreSettings(**engine))
    store.replace(tables)
    return store


def fingerprints(store, tables=SCORED):
    return {table: store.fingerprint(table) for table in tables}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("aggregation")


class TestAgainstNumpy:
    """Equations 4-7 written again."""

    @few
    @given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 2.0, 5.0]))
    def test_duckdb_equals_ten_lines_of_numpy(self, folder, seed, k_star):
        tables = random_tables(seed)
        with fresh(folder, f"numpy-{seed}-{k_star}", tables) as store:
            build_profiles(store, ScoringConfig(k_star=k_star))
            assert weights_of(store) == pytest.approx(
                weights_in_numpy(tables, k_star), rel=1e-12, abs=1e-15
            )

    @pytest.mark.parametrize("half_life_days", [3.0, 90.0, 10_000.0])
    def test_decay_counts_each_item_by_its_age(self, folder, half_life_days):
        tables = random_tables(1)
        with fresh(folder, f"decay-{half_life_days}", tables) as store:
            build_profiles(store, ScoringConfig(half_life_days=half_life_days))
            assert weights_of(store) == pytest.approx(
                weights_in_numpy(tables, half_life_days=half_life_days), rel=1e-9, abs=1e-15
            )

    def test_low_ratings_are_scored_among_themselves_with_weights_below_zero(self, folder):
        tables = random_tables(2)
        with fresh(folder, "negative", tables) as store:
            build_profiles(store, ScoringConfig())
            without = fingerprints(store, ("user_entity", "profiles"))
            assert not store.has("negative_interests")
            build_profiles(store, ScoringConfig(negative_up_to=2))
            assert fingerprints(store, ("user_entity", "profiles")) == without
            expected = weights_in_numpy(tables, wanted=lambda rating: rating <= 2)
            assert weights_of(store, "negative_interests") == pytest.approx(
                -expected, rel=1e-12, abs=1e-15
            )
            strongest = {
                row["user_id"]: row["weight"]
                for row in store.read("negative_interests").to_pylist()
                if row["rank"] == 1
            }
            for user, weight in strongest.items():
                assert weight == weights_of(store, "negative_interests")[user].min()
            build_profiles(store, ScoringConfig())
            assert not store.has("negative_interests")


class TestParts:
    """Parts, threads, memory and the order of rows change no bit."""

    @few
    @given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.sampled_from([1, 3]))
    def test_parts_threads_and_row_order_change_nothing(self, folder, seed, rows_per_part, threads):
        tables, config = random_tables(seed), ScoringConfig(half_life_days=100, negative_up_to=1)
        rng = np.random.default_rng(seed)
        shuffled = {
            name: table.take(rng.permutation(table.num_rows)) for name, table in tables.items()
        }
        names = (*SCORED, "negative_interests")
        with fresh(folder, f"whole-{seed}", tables) as store:
            build_profiles(store, config, force=True)
            expected = fingerprints(store, names)
        with fresh(folder, f"{rows_per_part}-{threads}-{seed}", shuffled, threads=threads) as store:
            build_profiles(store, config, force=True, rows_per_part=rows_per_part)
            assert fingerprints(store, names) == expected
            for table in ("user_entity", "profiles"):
                order = store.connection.table(table).to_arrow_table()
                assert order.equals(store.read(table))

    @given(st.integers(0, 2**32 - 1), st.integers(1, 400))
    @settings(max_examples=10, deadline=None)
    def test_parts_hold_every_user_once(self, folder, seed, rows_per_part):
        with fresh(folder, f"parts-{seed}-{rows_per_part}", random_tables(seed)) as store:
            choose_all(store)
            parts = user_parts(store, rows_per_part)
            assert parts[0][0] == ALL_USERS[0]
            assert parts[-1][1] == ALL_USERS[1]
            assert all(before[1] + 1 == after[0] for before, after in itertools.pairwise(parts))
            users = store.read("interactions")["user_id"].to_numpy()
            for first, last in parts:
                inside = users[(users >= first) & (users <= last)]
                # A part is closed by the user that fills it: without its last user it is too small.
                assert np.sum(inside < inside.max(initial=0)) < rows_per_part

    def test_a_small_memory_limit_means_more_parts_and_the_same_rows(self, folder):
        tables = random_tables(3, n_users=400, n_items=200, n_entities=50)
        with fresh(folder, "much", tables) as store:
            build_profiles(store, ScoringConfig())
            choose_all(store)
            assert len(user_parts(store)) == 1
            expected = fingerprints(store)
        with fresh(folder, "little", tables, memory_limit="40MB", threads=1) as store:
            build_profiles(store, ScoringConfig())
            choose_all(store)
            assert len(user_parts(store)) > 1
            assert fingerprints(store) == expected

    def test_a_store_without_interactions_has_nobody(self, folder):
        tables = random_tables(0)
        tables["interactions"] = tables["interactions"].slice(0, 0)
        with fresh(folder, "nobody", tables) as store:
            build_profiles(store, ScoringConfig())
            assert store.count("user_entity") == store.count("profiles") == 0

    def test_temporary_tables_are_gone(self, folder):
        with fresh(folder, "clean", random_tables(0)) as store:
            build_profiles(store, ScoringConfig(negative_up_to=2))
            left = "select view_name from duckdb_views() where temporary and not internal union all select table_name from duckdb_tables() where temporary and not internal"
            assert store.first_row(left) is None


class TestUsers:
    """What one user has to do with the others."""

    @few
    @given(st.integers(0, 2**32 - 1))
    def test_another_user_changes_the_others_through_idf_alone(self, folder, seed):
        tables = random_tables(seed)
        number = tables["users"].num_rows
        more = dict(tables)
        more["users"] = pa.concat_tables(
            [tables["users"], rows("users", user_id=[number], external_id=["new"])]
        )
        liked = sorted(np.random.default_rng(seed).choice(20, 5, replace=False).tolist())
        at = [np.datetime64("2020-06-01T00:00:00", "us")] * 5
        more["interactions"] = pa.concat_tables(
            [
                tables["interactions"],
                rows(
                    "interactions",
                    user_id=[number] * 5,
                    item_id=liked,
                    at=at,
                    rating=[5] * 5,
                    positive=[True] * 5,
                ),
            ]
        )
        kept = {}
        for name, world in (("before", tables), ("after", more)):
            for use_idf in (True, False):
                with fresh(folder, f"{name}-{use_idf}-{seed}", world) as store:
                    build_profiles(store, ScoringConfig(use_idf=use_idf))
                    old = store.read("user_entity").to_pandas()
                    kept[name, use_idf] = old[old.user_id < number].reset_index(drop=True)
        assert kept["before", False].equals(kept["after", False])
        columns = ["user_id", "entity_id", "n_items", "tf", "first_at", "last_at"]
        both = kept["before", True].merge(kept["after", True], on=["user_id", "entity_id"])
        for column in columns[2:]:
            assert (both[f"{column}_x"] == both[f"{column}_y"]).all()

    @few
    @given(st.integers(0, 2**32 - 1))
    def test_weights_of_a_user_sum_to_one(self, folder, seed):
        with fresh(folder, f"sums-{seed}", random_tables(seed)) as store:
            build_profiles(store, ScoringConfig(half_life_days=5))
            totals = weights_of(store).sum(axis=1)
            assert totals[totals > 0] == pytest.approx(1.0, abs=1e-12)


class TestDecay:
    """What `half_life_days` and `as_of` mean at their edges."""

    def test_an_endless_half_life_is_no_decay_to_the_last_bit(self, folder):
        with fresh(folder, "endless", random_tables(4)) as store:
            build_profiles(store, ScoringConfig())
            plain = store.fingerprint("user_entity")
            build_profiles(store, ScoringConfig(half_life_days=1e300))
            assert store.fingerprint("user_entity") == plain

    def test_ages_are_measured_to_a_date_and_what_is_newer_has_none(self, folder):
        tables = random_tables(5)
        newest = tables["interactions"]["at"].to_numpy().max().astype("datetime64[us]")
        with fresh(folder, "dated", tables) as store:
            build_profiles(store, ScoringConfig(half_life_days=50))
            implied = store.fingerprint("user_entity")
            as_of = newest.item().replace(tzinfo=UTC)
            build_profiles(store, ScoringConfig(half_life_days=50, as_of=as_of))
            assert store.fingerprint("user_entity") == implied
            long_ago = datetime(1999, 1, 1, tzinfo=UTC)
            build_profiles(store, ScoringConfig(half_life_days=50, as_of=long_ago))
            aged = store.fingerprint("user_entity")
            build_profiles(store, ScoringConfig())
            assert store.fingerprint("user_entity") == aged

    def test_old_interests_alone_are_still_interests(self, folder):
        with fresh(folder, "ancient", random_tables(6)) as store:
            build_profiles(store, ScoringConfig())
            users = set(store.read("profiles")["user_id"].to_pylist())
            far = datetime(2300, 1, 1, tzinfo=UTC)
            build_profiles(store, ScoringConfig(half_life_days=1, as_of=far))
            assert set(store.read("profiles")["user_id"].to_pylist()) == users

    def test_interactions_without_a_time_are_counted_in_a_refusal(self, store):
        with pytest.raises(
            ConfigError, match=r"half_life_days: \d+ interactions of .* have no time"
        ):
            build_profiles(store, ScoringConfig(half_life_days=30))

    def test_training_refuses_decay_in_one_line(self):
        with pytest.raises(ConfigError, match="training, bundles and recommendations") as error:
            ProfileScorer(None, {}, ScoringConfig(half_life_days=30))
        assert "\n" not in str(error.value)


def test_many_rows_after_a_part_without_any_are_all_there(tmp_path):
    """More rows than a row group of the engine, in one transaction, behind an empty first part."""
    n_users, n_items = 1_600, 100
    tables = random_tables(0, n_users=2, n_items=n_items, n_entities=n_items)
    users = np.repeat(np.arange(n_users), n_items)
    items = np.tile(np.arange(n_items), n_users)
    linked = (users < 50) <= (items % 2 == 0)  # the first users have no item that is linked
    tables["users"] = rows(
        "users", user_id=range(n_users), external_id=[f"u{i:04d}" for i in range(n_users)]
    )
    tables["interactions"] = rows(
        "interactions",
        user_id=users[linked],
        item_id=items[linked],
        at=[None] * int(linked.sum()),
        rating=[5.0] * int(linked.sum()),
        positive=[True] * int(linked.sum()),
    )
    odd = list(range(1, n_items, 2))
    tables["item_entities"] = rows(
        "item_entities",
        item_id=[*odd, *odd],
        entity_id=[*odd, *(item + 1 for item in odd)],
        n_mentions=[1] * 2 * len(odd),
        score=[1.0] * 2 * len(odd),
        weight=[1.0] * 2 * len(odd),
    )
    with fresh(tmp_path, "many", tables, threads=4) as store:
        build_profiles(store, ScoringConfig(use_idf=False), rows_per_part=2_000)
        expected = (n_users - 50) * n_items
        assert expected > 122_880
        assert store.count("user_entity") == expected
        assert store.count("profiles") == n_users - 50
        store.keep("scope", "select user_id from users where user_id >= 100")
        same = store.read("user_entity")
        late = same.filter(pc.greater_equal(same["user_id"], 100))
        store.replace_users("scope", ("user_entity",), [{"user_entity": late}])
        assert store.read("user_entity").equals(same)
