"""Faults 44 to 50: a store that is in use, damaged, foreign, closed, or asked for by a name that is code."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from mekb import api
from mekb.errors import StoreError
from mekb.store import Store

INJECTION = "x'; DROP TABLE users;--"


@pytest.fixture
def held(own_project):
    """Return a process that holds the store open for writing."""
    code = "import sys; from mekb.store import Store; s = Store.open(sys.argv[1]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, own_project.store],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        yield process
        process.communicate(b"\n")


def test_fault_44_a_second_writer_is_told_who_is_first(mekb, own_project, held):
    begun = time.monotonic()
    ran = mekb("profiles", "build", own_project.store, "--force", "--quiet")
    seconds = time.monotonic() - begun
    assert ran.code == 1
    assert ran.err == (
        f"mekb: {own_project.store}: in use by process {held.pid}; wait for it to end, then try again\n"
    )
    assert seconds < 10


def test_fault_45_what_is_served_is_read_from_the_last_complete_bundle(mekb, own_project, held):
    """DuckDB's lock shuts readers out too, so serving never reads the live file but an immutable bundle."""
    assert held.poll() is None
    ran = mekb("recommend", own_project.bundle, "--interests", "jazz")
    assert ran.code == 0
    shut_out = mekb("runs", own_project.store)
    assert shut_out.code == 1
    assert f"in use by process {held.pid}" in shut_out.err


def foreign(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table theirs as select 42 as answer")


def another_version(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table mekb_store as select 999 as format_version")


NO_STORES = {
    "text": (lambda path: path.write_text("no database\n" * 500), "cannot be opened as a store"),
    "foreign": (foreign, "a DuckDB file, but not a mekb store"),
    "version": (another_version, r"store format 999, this mekb reads \d+; build it again"),
}


@pytest.mark.parametrize(("make", "said"), NO_STORES.values(), ids=NO_STORES)
def test_fault_46_what_is_no_store_is_named_and_never_altered(mekb, tmp_path, make, said):
    path = tmp_path / "s.duckdb"
    make(path)
    before = path.read_bytes()
    for words in (("runs", path), ("profiles", "build", path), ("link", path)):
        ran = mekb(*words)
        assert ran.code == 1
        assert re.fullmatch(rf"mekb: [^\n]*s\.duckdb: [^\n]*{said}[^\n]*\n", ran.err), ran.err
    assert path.read_bytes() == before


CUT_OFF = """
import os, signal, sys
from mekb.store import Store
store = Store.open(sys.argv[1])
store.connection.execute("create table kept as select range as i from range(1000)")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def log(own_project):
    """Return the log that a killed process left beside the store."""
    with Store.open(own_project.store) as store:
        store.connection.execute("checkpoint")
    done = subprocess.run([sys.executable, "-c", CUT_OFF, own_project.store], check=False)
    assert done.returncode == -signal.SIGKILL
    found = own_project.store.with_name("my.duckdb.wal")
    assert found.stat().st_size
    return found


def test_fault_47_a_log_left_behind_is_replayed(own_project, log):
    assert log.exists()
    with Store.open(own_project.store) as store:
        assert store.count("kept") == 1000


def test_fault_47_a_damaged_log_is_named_and_nothing_is_moved_unasked(mekb, own_project, log):
    """What was committed may be in it: to give that up is for its owner to say, so the line says how."""
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 0xFF
    log.write_bytes(data)
    store = own_project.store.read_bytes()
    ran = mekb("runs", own_project.store)
    assert ran.code == 1
    assert re.fullmatch(
        r"mekb: [^\n]*my\.duckdb\.wal[^\n]*is damaged; move the log away[^\n]*\n", ran.err
    )
    assert (own_project.store.read_bytes(), log.read_bytes()) == (store, data)
    log.rename(log.with_suffix(".aside"))
    assert mekb("runs", own_project.store).code == 0


def test_fault_48_an_id_that_is_sql_is_an_id(mekb, tmp_path):
    (tmp_path / "items.csv").write_text(f'item_id,domain,title\n"{INJECTION}","{INJECTION}",T\n')
    (tmp_path / "events.csv").write_text(f'user_id,item_id,rating\n"{INJECTION}","{INJECTION}",5\n')
    store = tmp_path / "new.duckdb"
    words = ("--items", tmp_path / "items.csv", "--interactions", tmp_path / "events.csv")
    assert mekb("data", "import", store, *words).code == 0
    (tmp_path / "names.tsv").write_text("surface\ttitle\nT\tT\n")
    assert mekb("aliases", "import", store, tmp_path / "names.tsv").code == 0
    assert mekb("link", store, "--quiet").code == 0
    assert mekb("profiles", "build", store, "--quiet").code == 0
    assert mekb("profiles", "show", store, INJECTION).code == 0
    assert api.read_table(store, "users")["external_id"].to_pylist() == [INJECTION]
    assert api.read_table(store, "items")["domain"].to_pylist() == [INJECTION]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a place nobody can write to")
@pytest.mark.parametrize(
    "words",
    [
        "train {store} /proc/model --target films --quiet",
        "bundle {store} {model} /proc/bundle",
        "data import /proc/new.duckdb --items {folder}/items.jsonl --interactions {folder}/interactions.csv",
        "aliases build /proc/new.duckdb --dump {folder}/enwiki-pages-articles.xml.bz2 --quiet",
        "profiles export {store} u00001 /proc/u.json",
        "data export {store} /proc/tables",
    ],
    ids=["train", "bundle", "import", "aliases", "profile", "tables"],
)
def test_fault_49_a_closed_place_is_found_before_the_work(mekb, project, words):
    """That a disk is full shows when it is written to (fault 10); NFS is a file system like any other here."""
    places = {"store": project.store, "model": project.model, "folder": project.folder}
    begun = time.process_time()
    ran = mekb(*words.format(**places).split())
    seconds = time.process_time() - begun
    assert ran.code == 1
    assert re.fullmatch(r"mekb: /proc/[^\n]+\n", ran.err), ran.err
    assert seconds < 10


@pytest.mark.parametrize("name", ["it's", "a*b?", "[12]", "domain=books", "a b;c"])
def test_fault_50_names_of_files_are_no_patterns(mekb, tmp_path, name):
    events = tmp_path / f"{name}.csv"
    events.write_text("user_id,item_id,rating\nu1,b1,5\n")
    for other in ("1.csv", "2.csv", "axxby.csv"):
        (tmp_path / other).write_text("user_id,item_id,rating\nwrong,b1,5\n")
    (tmp_path / f"{name}.jsonl").write_text('{"item_id": "b1", "domain": "books", "title": "T"}\n')
    store = tmp_path / f"{name}.duckdb"
    words = ("--items", tmp_path / f"{name}.jsonl", "--interactions", events)
    assert mekb("data", "import", store, *words).code == 0
    assert api.read_table(store, "users")["external_id"].to_pylist() == ["u1"]
    assert mekb("data", "export", store, tmp_path / f"{name} tables").code in {0, 1}


def test_fault_50_a_lock_is_let_go_of_when_a_process_ends(own_project, held):
    held.send_signal(signal.SIGKILL)
    held.wait()
    with Store.open(own_project.store) as store:
        assert store.count("users")
    with pytest.raises(StoreError, match="no such store"):
        Store.open(own_project.folder / "[m]y.duckdb")
