"""The store: tables replaced whole or not at all, contracts proved, locks and foreign files named."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mekb.errors import StoreError, UnknownError
from mekb.fingerprint import RowsDigest
from mekb.runs import Stage, run_stage
from mekb.store import Store, StoreSettings


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


def pairs(*rows: tuple[int, int, float]) -> pa.Table:
    return pa.table(
        {
            "user_id": pa.array([row[0] for row in rows], pa.uint32()),
            "item_id": pa.array([row[1] for row in rows], pa.uint32()),
            "at": pa.array([None] * len(rows), pa.timestamp("us")),
            "rating": pa.array([row[2] for row in rows], pa.float32()),
            "positive": [True] * len(rows),
        }
    )


def test_merged_rows_replace_those_of_their_keys_and_the_table_reads_in_order(store):
    before = {
        (row["user_id"], row["item_id"]): row for row in store.read("interactions").to_pylist()
    }
    first, last = min(before), max(before)
    whole = RowsDigest.parse(store.fingerprint("interactions"))
    new = next((1, item) for item in range(1, 17) if (1, item) not in before)
    taken, added = store.merge("interactions", pairs((*last, 1.5), (*first, 2.5), (*new, 3.5)))
    assert (taken.n_rows, added.n_rows) == (2, 3)
    assert str(whole.without(taken).joined_by(added)) == store.fingerprint("interactions")
    after = store.read("interactions").to_pylist()
    assert [(row["user_id"], row["item_id"]) for row in after] == sorted({*before, new})
    ratings = {(row["user_id"], row["item_id"]): row["rating"] for row in after}
    assert (ratings[first], ratings[last], ratings[new]) == (2.5, 1.5, 3.5)


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        (pairs((1, 1, 1), (1, 1, 2)), "key_unique"),
        (pairs((1, 999, 1)), "item_known"),
        (pairs((1, 1, float("nan"))), "rating_finite"),
    ],
)
def test_merged_rows_that_break_the_contract_leave_the_old_table(store, rows, named):
    before = store.fingerprint("interactions")
    with pytest.raises(StoreError, match=named):
        store.merge("interactions", rows)
    assert store.fingerprint("interactions") == before


def test_a_name_that_is_there_already_is_found_beyond_the_merged_rows(empty_store):
    empty_store.replace({"users": users((1, "a"), (2, "b"))})
    with pytest.raises(StoreError, match="external_id_unique"):
        empty_store.merge("users", users((3, "a")))
    assert empty_store.count("users") == 2


@given(st.permutations(range(12)), st.integers(0, 11), st.booleans())
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_repeated_key_is_found_wherever_it_stands(empty_store, ids, repeated, is_repeated):
    ids = [*ids, repeated] if is_repeated else list(ids)
    rows = users(*((number, f"{number}-{place}") for place, number in enumerate(ids)))
    if is_repeated:
        with pytest.raises(StoreError, match="key_unique"):
            empty_store.replace({"users": rows})
    else:
        empty_store.replace({"users": rows})


def test_a_block_within_a_block_is_undone_with_it(empty_store):
    empty_store.replace({"users": users((7, "kept"))})

    def write_and_stop():
        with empty_store.transaction():
            empty_store.replace({"users": users((8, "lost"))})
            assert empty_store.read("users")["external_id"].to_pylist() == ["lost"]
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write_and_stop()
    assert empty_store.read("users")["external_id"].to_pylist() == ["kept"]


def test_tables_without_their_run_are_not_written(store, monkeypatch):
    before = store.fingerprint("users")
    stage = Stage(name="any", config={}, inputs={}, outputs=("users",))
    monkeypatch.setattr(Store, "append_run", lambda *_: (_ for _ in ()).throw(ValueError("stop")))
    with pytest.raises(ValueError, match="stop"):
        run_stage(
            store,
            stage,
            lambda: {"users": pa.concat_tables([store.read("users"), users((99, "lost"))])},
        )
    assert store.fingerprint("users") == before


def test_running_out_of_memory_names_the_settings_that_help(empty_store):
    with (
        pytest.raises(StoreError, match=r"memory or disk: .*store\.memory_limit"),
        empty_store.transaction(),
    ):
        raise duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate")


def test_the_engine_uses_what_the_settings_say(tmp_path: Path):
    spill = tmp_path / "spill"
    chosen = StoreSettings(memory_limit="123MB", threads=1, spill_folder=spill)
    with Store.open(tmp_path / "s.duckdb", create=True, settings=chosen) as store:
        found = store.first_row(
            "select current_setting('threads'), parse_formatted_bytes(current_setting('memory_limit')),"
            " current_setting('temp_directory')"
        )
    assert found is not None
    assert found[0] == 1
    assert found[1] == pytest.approx(0.85 * 123e6, rel=0.01)  # the rest is Python's
    assert found[2] == str(spill)
    with pytest.raises(StoreError, match="nothing can be spilled there"):
        Store.open(
            tmp_path / "s.duckdb", settings=StoreSettings(spill_folder=tmp_path / "no" / "folder")
        )
    for wrong in ("much", "-4GB", "4 G"):
        with pytest.raises(ValidationError, match="memory_limit"):
            StoreSettings(memory_limit=wrong)
