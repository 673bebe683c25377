"""Rows added to a store: ids stay, and rows are merged as an import of all files would have."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mekb import api
from mekb.config import Settings
from mekb.errors import ConfigError, SourceError, UnknownError
from mekb.growth import add_rows
from mekb.increments import update_profiles
from mekb.interests import build_profiles
from mekb.scoring import ScoringConfig, UpdateConfig
from mekb.sources import ImportConfig
from mekb.store import Store

sys.path.insert(0, str(Path(__file__).parent))  # worlds that two files of tests share
from random_interests import add, random_tables

few = settings(max_examples=4, deadline=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("growth")


@pytest.fixture
def world(tmp_path):
    """A store of 25 users with profiles."""
    with Store.open(tmp_path / "w.duckdb", create=True) as store:
        store.replace(random_tables(7))
        build_profiles(store, ScoringConfig())
        yield store


def test_known_users_and_items_keep_their_ids(world, tmp_path):
    before = {table: world.read(table) for table in ("users", "items")}
    done = add(world, ["zoe,i1,5", "anna,b,5", "u003,a,5"], tmp_path)
    assert (done.report.n_new_users, done.report.n_new_items) == (2, 2)
    for table, rows_before in before.items():
        now = world.read(table)
        assert now.slice(0, rows_before.num_rows).equals(rows_before)
    assert world.read("users")["external_id"].to_pylist()[25:] == ["anna", "zoe"]
    assert world.read("items")["external_id"].to_pylist()[20:] == ["a", "b"]
    assert world.read("touched_users")["user_id"].to_pylist() == [3, 25, 26]


@few
@given(st.integers(0, 2**32 - 1), st.sampled_from(["last", "first", "max"]))
def test_days_added_are_the_days_imported_at_once(folder, seed, policy):
    rng = np.random.default_rng(seed)
    chosen = Settings.model_validate({"source": {"duplicates": policy}})
    header = "user_id,item_id,domain,rating,timestamp\n"
    days = []
    for number in range(3):
        days.append(folder / f"{number}.csv")
        days[-1].write_text(
            header
            + "".join(
                f"u{rng.integers(0, 9)},i{rng.integers(0, 6)},{rng.choice(['a', 'b'])},{rng.integers(1, 6)},{rng.integers(1, 5)}\n"
                for _ in range(30)
            )
        )
    contents = []
    for name, later in (("at once", []), ("by days", days[1:])):
        path = folder / f"{name}-{seed}-{policy}.duckdb"
        api.import_data(
            path, items=[], interactions=days if not later else days[:1], settings=chosen
        )
        for day in later:
            api.add_data(path, interactions=[day], settings=chosen)
        with Store.open(path) as store:
            contents.append(
                store.query(
                    "select users.external_id as u, domain, items.external_id as i, interactions.at as t, rating, positive"
                    " from interactions join users using (user_id) join items using (item_id) order by all"
                )
            )
            assert (
                store.read("interactions")
                .sort_by([("user_id", "ascending"), ("item_id", "ascending")])
                .equals(store.read("interactions"))
            )
    assert contents[0].equals(contents[1])


def test_the_same_file_again_changes_nothing(world, tmp_path):
    add(world, ["u003,i1,5", "zoe,i1,5"], tmp_path)
    update_profiles(world, ScoringConfig(), UpdateConfig())
    before = {t: world.fingerprint(t) for t in ("users", "items", "interactions", "runs")}
    again = add(world, ["u003,i1,5", "zoe,i1,5"], tmp_path)
    assert again.stage.skipped
    assert again.report.n_touched_users == 0
    assert {t: world.fingerprint(t) for t in before} == before


def test_a_repeated_row_is_refused_where_the_policy_says_so(world, tmp_path):
    add(world, ["zoe,i1,5"], tmp_path)
    refusing = ImportConfig(duplicates="error")
    with pytest.raises(SourceError, match="1 rows repeat"):
        add(world, ["zoe,i1,5", "zoe,i2,5"], tmp_path, config=refusing)
    assert add(world, ["zoe,i2,5"], tmp_path, config=refusing).report.n_new_interactions == 1


def test_items_gain_what_was_not_known_of_them(world, tmp_path):
    add(world, ["u003,bare,5"], tmp_path)
    items = tmp_path / "items.jsonl"
    items.write_text('{"item_id": "bare", "domain": "films", "title": "Stalker"}\n')
    done = add(world, ["u003,bare,5"], tmp_path, items=[items])
    assert (done.report.n_changed_items, done.report.n_new_interactions) == (1, 0)
    assert world.read("items")["title"].to_pylist()[20] == "Stalker"
    items.write_text('{"item_id": "bare", "domain": "films", "title": "Solaris"}\n')
    first = ImportConfig(duplicates="first")
    assert add_rows(world, [items], [], first, {}).stage.skipped
    assert not add_rows(world, [items], [], ImportConfig(), {}).stage.skipped
    assert world.read("items")["title"].to_pylist()[20] == "Solaris"


def test_another_threshold_of_what_is_positive_is_refused(world, tmp_path):
    add(world, ["u003,i1,5"], tmp_path)
    with pytest.raises(ConfigError, match="imported with 4, now it is 3"):
        add(world, ["u003,i2,5"], tmp_path, config=ImportConfig(positive_from=3))


def test_something_must_be_there_to_add_to(empty_store, tmp_path):
    with pytest.raises(UnknownError, match="mekb data import"):
        add(empty_store, ["u003,i1,5"], tmp_path)
