"""Forgetting: nothing of a person is left, everybody else keeps every bit, and a kill leaves a whole store."""
# ruff: noqa: D102  (a test's name is its docstring)

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mekb import api
from mekb.edits import Changes, edit_profile
from mekb.errors import StoreError, UnknownError
from mekb.forget import count_bytes, find_text, forget_user
from mekb.increments import update_profiles
from mekb.interests import build_profiles, read_user_graph
from mekb.rewriting import rewrite_without, tables_of
from mekb.scoring import ScoringConfig, UpdateConfig
from mekb.store import Store

sys.path.insert(0, str(Path(__file__).parent))  # worlds that several files of tests share
from random_interests import random_tables, rows

CONFIG = ScoringConfig(negative_up_to=2)
PERSON = "Zaphod-Quintessence-4711"
"""An id that is part of nothing else."""


def filled(store):
    tables = random_tables(7)
    names = tables["users"]["external_id"].to_pylist()
    names[3] = PERSON
    tables["users"] = rows("users", user_id=tables["users"]["user_id"], external_id=names)
    store.replace(tables)
    build_profiles(store, CONFIG)
    edit_profile(store, PERSON, Changes(remove=["Q3"], add={"Q1": 0.2}))
    edit_profile(store, "u005", Changes(pin={"Q2": 0.2}))


@pytest.fixture
def world(tmp_path):
    with Store.open(tmp_path / "it's a.duckdb", create=True) as store:
        filled(store)
        yield store


def everything(store, *, but=PERSON):
    """Return all rows of all tables, less those of a user."""
    numbers = dict(store.connection.execute("select external_id, user_id from users").fetchall())
    gone = numbers.get(but)
    return {
        table: [
            row
            for row in store.connection.table(table).to_arrow_table().to_pylist()
            if but not in row.values() and (gone is None or row.get("user_id") != gone)
        ]
        for table in tables_of(store)
        if table not in {"runs", "idf_basis"}
    }


class TestForget:
    """`forget_user`."""

    def test_nothing_is_left_and_others_keep_every_bit(self, world):
        before = everything(world)
        assert find_text(world, PERSON) == {"users.external_id": 1, "profile_edits.external_id": 2}
        world.connection.execute("checkpoint")
        assert count_bytes(world.path, PERSON) > 0
        done = forget_user(world, PERSON)
        assert done.before["users"] == 1
        assert done.before["profile_edits"] == 2
        for table in ("interactions", "user_entity", "negative_interests", "profiles"):
            assert done.before[table] > 0, table
        assert set(done.after.values()) == {0}
        assert done.found == {}
        assert done.bytes_before > 0 == done.bytes_after
        assert everything(world) == before
        with pytest.raises(UnknownError, match="no user"):
            read_user_graph(world, PERSON)
        world.close()
        assert count_bytes(world.path, PERSON) == 0
        with Store.open(world.path) as again:
            assert everything(again) == before
        assert sorted(p.name for p in world.path.parent.iterdir()) == [
            world.path.name,
            f"{world.path.name}.aliases",
        ] or [p.name for p in world.path.parent.iterdir()] == [world.path.name]

    def test_deleting_alone_would_leave_the_id_in_the_file(self, world):
        """Why the file is written anew."""
        world.connection.execute("delete from users where external_id = $u", {"u": PERSON})
        world.connection.execute("delete from profile_edits where external_id = $u", {"u": PERSON})
        world.connection.execute("checkpoint")
        assert find_text(world, PERSON) == {}
        assert count_bytes(world.path, PERSON) > 0

    def test_what_idf_rests_on_is_that_of_a_store_without_them(self, world, tmp_path):
        forget_user(world, PERSON)
        with Store.open(tmp_path / "without.duckdb", create=True) as other:
            names = ("items", "users", "interactions", "entities", "custom_entities")
            other.replace(
                {name: world.read(name) for name in (*names, "mentions", "item_entities")}
            )
            build_profiles(other, CONFIG)
            assert other.read("idf_basis") == world.read("idf_basis")
            assert not build_profiles(world, CONFIG).skipped
            for table in ("user_entity", "negative_interests"):
                assert other.read(table) == world.read(table)

    def test_an_update_goes_on_after_it(self, world):
        forget_user(world, PERSON)
        assert update_profiles(world, CONFIG, UpdateConfig()).n_users == 0
        world.replace({"touched_users": rows("touched_users", user_id=[5])})
        run = update_profiles(world, CONFIG, UpdateConfig())
        assert run.n_users == 1
        outputs = next(r for r in api.runs(world) if r["run_id"] == run.stage.run_id)["outputs"]
        for table, known in json.loads(outputs).items():
            assert known == world.fingerprint(table), table

    def test_an_import_of_the_same_files_brings_nobody_back(self, tmp_path):
        store = tmp_path / "s.duckdb"
        items, likes = tmp_path / "items.csv", tmp_path / "likes.csv"
        items.write_text("item_id,title,domain\na,Alpha,films\nb,Beta,films\n")
        likes.write_text(
            f"user_id,item_id,domain\n{PERSON},a,films\nother,a,films\nother,b,films\n"
        )
        api.import_data(store, items=[items], interactions=[likes])
        api.forget_user(store, PERSON)
        assert api.import_data(store, items=[items], interactions=[likes]).stage.skipped
        assert api.read_table(store, "users")["external_id"].to_pylist() == ["other"]
        assert api.import_data(store, items=[items], interactions=[likes], force=True).report, (
            "only a forced one reads the files again"
        )

    def test_exports_of_the_person_are_deleted_and_others_named(self, world, tmp_path):
        own, changed, other, dump = (
            tmp_path / name for name in ("own.json", "changed.csv", "other.json", "all.nq")
        )
        for user, path in ((PERSON, own), (PERSON, changed), ("u005", other)):
            api.export_profile(world, user, path)
        api.export_profiles(world, dump)
        changed.write_text("mine now")
        assert PERSON in own.read_text()
        assert PERSON not in other.read_text()
        done = forget_user(world, PERSON)
        assert done.deleted == (own,)
        assert not own.exists()
        assert other.exists()
        assert changed.read_text() == "mine now"
        said = "\n".join(done.left)
        assert f"{changed} was changed" in said
        assert f"{dump} holds everybody" in said
        assert world.count("exports") == 2
        api.export_profiles(world, dump, force=True)
        assert PERSON not in dump.read_text()

    def test_a_text_that_is_alike_is_named_and_stays(self, world):
        items = world.read("items").to_pydict()
        items["external_id"][0] = PERSON
        world.replace({"items": rows("items", **items)})
        done = forget_user(world, PERSON)
        assert done.found == {"items.external_id": 1}
        assert done.alike == 1

    def test_an_unknown_user_changes_nothing(self, world):
        world.connection.execute("checkpoint")
        before = world.path.read_bytes()
        with pytest.raises(UnknownError, match=r"no user 'nobody' in .*; nothing there is theirs"):
            forget_user(world, "nobody")
        assert world.path.read_bytes() == before

    def test_edits_of_someone_who_left_the_data_are_found(self, world):
        forgotten = world.read("users").to_pydict()
        keep = [i for i, name in enumerate(forgotten["external_id"]) if name != PERSON]
        likes = world.read("interactions").to_pylist()
        world.replace(
            {
                "users": rows("users", **{k: [v[i] for i in keep] for k, v in forgotten.items()}),
                "interactions": rows(
                    "interactions",
                    **{k: [r[k] for r in likes if r["user_id"] != 3] for k in likes[0]},
                ),
            }
        )
        done = forget_user(world, PERSON)
        assert done.before["profile_edits"] == 2
        assert find_text(world, PERSON) == {}


KILLED = """
import os, sys
from mekb import rewriting
from mekb.forget import forget_user
from mekb.store import Store

moment = sys.argv[3]
real = {name: getattr(rewriting, name) for name in ("_copy", "_sync", "_take_place", "_check_count")}

def at(name, before):
    def wrapped(*args):
        if before:
            os._exit(9)
        real[name](*args)
        os._exit(9)
    setattr(rewriting, name, wrapped)

name, when = moment.split(":")
at(name, when == "before")
with Store.open(sys.argv[1]) as store:
    forget_user(store, sys.argv[2])
"""


class TestInterruption:
    """A kill at any moment."""

    @pytest.mark.parametrize(
        ("moment", "gone"),
        [
            ("_copy:before", False),
            ("_check_count:after", False),
            ("_copy:after", False),
            ("_sync:after", False),
            ("_take_place:after", True),
        ],
    )
    def test_the_store_holds_the_person_wholly_or_not_at_all(self, world, moment, gone):
        path = world.path
        before, theirs = everything(world), world.read("users")
        world.close()
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(path), PERSON, moment], check=False
        )
        assert killed.returncode == 9
        with Store.open(path) as store:
            assert everything(store) == before
            assert (PERSON not in store.read("users")["external_id"].to_pylist()) == gone
            if not gone:
                assert store.read("users") == theirs
                assert set(forget_user(store, PERSON).after.values()) == {0}
            assert everything(store) == before
        assert count_bytes(path, PERSON) == 0
        assert not list(path.parent.glob(".*rewriting*"))

    @pytest.mark.slow
    def test_kills_at_any_time(self, world):
        path = world.path
        before = everything(world)
        world.close()
        call = (
            "import sys; from mekb import api\n"
            "sys.stdout.write('go'); sys.stdout.flush()\n"
            f"api.forget_user({str(path)!r}, {PERSON!r})"
        )
        for wait in (0.05, 0.2):
            process = subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.PIPE)
            process.stdout.read(2)
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            with Store.open(path) as store:
                assert everything(store) == before

    def test_a_failed_copy_leaves_the_store_as_it_was(self, world, monkeypatch):
        before = everything(world, but="nobody")

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("mekb.rewriting._take_place", full)
        with pytest.raises(StoreError, match="No space left") as raised:
            forget_user(world, PERSON)
        assert "\n" not in str(raised.value)
        assert everything(world, but="nobody") == before
        assert not list(world.path.parent.glob(".*rewriting*"))


def test_a_rewritten_store_keeps_order_and_schema(world):
    described = "select table_name, sql from duckdb_tables() where not temporary order by all"
    before, tables = world.connection.execute(described).fetchall(), everything(world)
    rewrite_without(world, {}, {})
    assert world.connection.execute(described).fetchall() == before
    assert everything(world) == tables
