"""The store: tables replaced whole or not at all, contracts proved, locks and foreign files named."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from mekb.errors import StoreError, UnknownError
from mekb.store import Store


def users(*pairs: tuple[int, str]) -> pa.Table:
    return pa.table(
        {
            "user_id": pa.array([number for number, _ in pairs], pa.uint32()),
            "external_id": [name for _, name in pairs],
        }
    )


def test_a_table_comes_back_sorted_and_its_fingerprint_ignores_row_order(empty_store):
    empty_store.replace({"users": users((2, "b"), (1, "a"))})
    first = empty_store.fingerprint("users")
    assert empty_store.read("users")["external_id"].to_pylist() == ["a", "b"]
    empty_store.replace({"users": users((1, "a"), (2, "b"))})
    assert empty_store.fingerprint("users") == first
    empty_store.replace({"users": users((1, "a"), (2, "c"))})
    assert empty_store.fingerprint("users") != first


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (users((1, "a"), (1, "b")), "key_unique"),
        (users((1, "a"), (2, "a")), "external_id_unique"),
        (pa.table({"user_id": pa.array([1], pa.uint32())}), "external_id"),
        (pa.table({"user_id": pa.array([None], pa.uint32()), "external_id": ["a"]}), "user_id"),
    ],
)
def test_rows_that_break_the_contract_leave_the_old_table(empty_store, bad, named):
    empty_store.replace({"users": users((7, "kept"))})
    with pytest.raises(StoreError, match=named):
        empty_store.replace({"users": bad})
    assert empty_store.read("users")["external_id"].to_pylist() == ["kept"]
    empty_store.replace({"users": users((8, "next"))})
    assert empty_store.count("users") == 1


def test_tables_are_replaced_together_or_not_at_all(store):
    before = store.fingerprint("users"), store.fingerprint("interactions")
    with pytest.raises(StoreError, match="user_known"):
        store.replace({"users": users((999, "other")), "interactions": store.read("interactions")})
    assert (store.fingerprint("users"), store.fingerprint("interactions")) == before


def test_what_is_not_there_is_named_with_what_to_run(tmp_path: Path, empty_store):
    with pytest.raises(StoreError, match="no such store"):
        Store.open(tmp_path / "absent.duckdb")
    with pytest.raises(UnknownError, match="no table 'aliases' yet; run x"):
        empty_store.require("aliases", hint="run x")


def test_foreign_files_are_refused_and_left_as_they_are(tmp_path: Path):
    text = tmp_path / "text.duckdb"
    text.write_text("no database")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store.open(text)
    assert text.read_text() == "no database"
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("create table mine (x integer)")
    with pytest.raises(StoreError, match="not a mekb store"):
        Store.open(other)
    with pytest.raises(StoreError, match="is a folder"):
        Store.open(tmp_path)


def test_another_version_is_refused_with_both_numbers(tmp_path: Path):
    path = tmp_path / "old.duckdb"
    Store.open(path, create=True).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("update mekb_store set format_version = 99")
    with pytest.raises(StoreError, match="format 99, this mekb reads 2"):
        Store.open(path)


def test_a_second_writer_is_told_who_holds_the_store(tmp_path: Path):
    path = tmp_path / "held.duckdb"
    with Store.open(path, create=True):
        code = f"from mekb.store import Store; Store.open({str(path)!r})"
        other = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
        )
    assert "StoreError" in other.stderr
    assert "in use by process" in other.stderr
