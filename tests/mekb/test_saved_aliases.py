"""The dictionary beside the store: made once, mapped after, never one of other tables."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from alias_tables.lookup import AliasIndex
from mekb import api
from mekb.errors import OutputError
from mekb.linking import alias_index
from mekb.saved_aliases import aliases_folder, saved_index, tables_stamp
from mekb.store import Store


@pytest.fixture
def built(tmp_path):
    """A store with an alias table of two surfaces, and the list it was made from."""
    names = tmp_path / "names.tsv"
    names.write_text("surface\ttitle\tqid\nBig Apple\tNew York City\tQ60\nHeat\tHeat (film)\tQ1\n")
    path = tmp_path / "my.duckdb"
    done = api.build_aliases(path, extra=[names])
    return path, names, done


def never(*_, **__):
    raise AssertionError("the dictionary was made again")


def test_the_build_writes_it_and_says_where(built):
    path, _, done = built
    assert done.dictionary == aliases_folder(path)
    index = AliasIndex.open(done.dictionary, verify=True)
    with Store.open(path) as store:
        assert index.stamp == tables_stamp(store)
    assert [candidate.entity_id for candidate in index.candidates("big apple")] == [60]


def test_it_is_opened_and_not_made_again(built, monkeypatch):
    path, _, _ = built
    monkeypatch.setattr(AliasIndex, "from_tables", never)
    assert [candidate.title for candidate in api.lookup(path, "Heat")] == ["Heat (film)"]


def test_another_table_makes_another_dictionary(built):
    path, names, _ = built
    names.write_text("surface\ttitle\tqid\nMotown\tDetroit\tQ12439\n")
    api.build_aliases(path, extra=[names])
    assert api.lookup(path, "Heat") == []
    assert [candidate.entity_id for candidate in api.lookup(path, "Motown")] == [12439]


@pytest.mark.parametrize("damage", ["gone", "torn", "cut", "stale"])
def test_a_folder_that_does_not_fit_is_made_again(built, damage):
    path, _, done = built
    folder = done.dictionary
    match damage:
        case "gone":
            shutil.rmtree(folder)
        case "torn":
            (folder / "exact_rows.npy").unlink()
        case "cut":
            file = folder / "exact_priors.npy"
            file.write_bytes(file.read_bytes()[:-1])
        case "stale":
            index = AliasIndex.open(folder)
            shutil.rmtree(folder)
            index.save(folder, "entities=of another time")
    assert [candidate.entity_id for candidate in api.lookup(path, "Heat")] == [1]
    with Store.open(path) as store:
        AliasIndex.open(folder, verify=True, expect_stamp=tables_stamp(store))
    assert sorted(entry.name for entry in path.parent.iterdir()) == [
        "my.duckdb",
        "my.duckdb.aliases",
        "names.tsv",
    ]


def test_where_nothing_can_be_written_it_stays_in_memory(built, monkeypatch, caplog):
    path, _, done = built
    shutil.rmtree(done.dictionary)

    @contextmanager
    def refused(folder, **_):
        raise OutputError(f"{folder}: cannot be written: Read-only file system")
        yield

    monkeypatch.setattr("mekb.saved_aliases.folder_written_whole", refused)
    assert [candidate.entity_id for candidate in api.lookup(path, "Heat")] == [1]
    assert "stays in memory" in caplog.text
    assert "Read-only file system" in caplog.text
    assert not done.dictionary.exists()


def test_a_folder_of_somebody_else_is_left_alone(built, caplog):
    path, _, done = built
    shutil.rmtree(done.dictionary)
    done.dictionary.mkdir()
    (done.dictionary / "mine.txt").write_text("x")
    assert [candidate.entity_id for candidate in api.lookup(path, "Heat")] == [1]
    assert "not ours to replace" in caplog.text
    assert [entry.name for entry in done.dictionary.iterdir()] == ["mine.txt"]


def test_many_at_once_do_not_disturb_each_other(built):
    """Threads with a cursor of their own stand for processes, which DuckDB would let in one by one."""
    path, _, done = built
    shutil.rmtree(done.dictionary)
    with Store.open(path) as store, ThreadPoolExecutor(8) as pool:
        stores = [Store(path, store.connection.cursor()) for _ in range(16)]
        found = list(pool.map(lambda own: saved_index(own).candidates("Heat")[0].entity_id, stores))
    assert found == [1] * 16
    AliasIndex.open(done.dictionary, verify=True)
    assert not [entry for entry in path.parent.iterdir() if entry.name.startswith(".")]


def test_an_empty_table_has_an_empty_dictionary(built):
    path, _, _ = built
    with Store.open(path) as store:
        empty = {name: store.read(name).slice(0, 0) for name in ("aliases", "entities")}
        store.replace(empty)
        assert len(alias_index(store)) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_maps_it(built):
    """What another process opens is file pages, not a copy in its memory."""
    path, _, _ = built
    code = (
        "import sys; from mekb.store import Store; from mekb.linking import alias_index\n"
        "with Store.open(sys.argv[1]) as store: index = alias_index(store)\n"
        "assert index.candidates('Heat')\n"
        "print(open('/proc/self/maps').read())"
    )
    maps = subprocess.run(
        [sys.executable, "-c", code, os.fspath(path)], check=True, capture_output=True, text=True
    ).stdout
    assert "my.duckdb.aliases/exact_hashes.npy" in maps
