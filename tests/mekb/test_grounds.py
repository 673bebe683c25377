"""What a bundle knows of where interests come from, beside the store's own tables, read another way."""
# ruff: noqa: D102  (a test's name is its docstring)

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mekb import api
from mekb.bundle.sorted_rows import SortedRows, write_sorted
from mekb.errors import BundleError
from mekb.given import Weighted, given_history, given_weighted, grounded
from mekb.graph import Evidence
from mekb.grounds import ITEM_EVIDENCE, RELATED, read_grounds
from mekb.reasons import evidence_behind
from mekb.store import Store


@pytest.fixture(scope="module")
def bundle(project):
    return api.open_bundle(project.bundle)


@pytest.fixture(scope="module")
def texts(project):
    """item_id -> its row."""
    with Store.open(project.store) as store:
        return {row["item_id"]: row for row in store.read("items").to_pylist()}


@pytest.fixture(scope="module")
def grounds(project):
    with Store.open(project.store) as store:
        return read_grounds(store)


def test_every_place_is_the_surface_of_its_text(grounds, texts):
    rows = grounds.evidence.to_pylist()
    assert len(rows) > 1000
    for row in rows:
        value = texts[row["item_id"]][row["field"]]
        fields = value if row["field"] == "categories" else [value]
        assert row["surface"] in [field[row["start"] : row["stop"]] for field in fields]
        assert 0 < row["prior"] <= 1


def test_every_entity_of_an_item_has_a_place(project, grounds):
    with Store.open(project.store) as store:
        held = store.read("item_entities")
    expected = set(zip(held["item_id"].to_pylist(), held["entity_id"].to_pylist(), strict=True))
    found = zip(
        grounds.evidence["item_id"].to_pylist(),
        grounds.evidence["entity_id"].to_pylist(),
        strict=True,
    )
    assert set(found) == expected


def test_mentions_are_those_of_the_store(project, grounds):
    with Store.open(project.store) as store:
        mentions = store.read("mentions").to_pylist()
    names = ("item_id", "entity_id", "field", "start", "stop", "surface", "prior")
    expected = {tuple(row[name] for name in names) for row in mentions}
    found = {tuple(row[name] for name in names) for row in grounds.evidence.to_pylist()}
    assert expected <= found
    own = {row[2] for row in found - expected}
    assert own == {"brand", "categories", "title"}


def test_a_name_between_spaces_stands_where_it_stands(store):
    store.connection.execute("update items set brand = '  ' || brand || ' '")
    items = {row["item_id"]: row for row in store.read("items").to_pylist()}
    rows = read_grounds(store).evidence.to_pylist()
    assert len(rows) == len(items)
    for row in rows:
        assert items[row["item_id"]]["brand"][row["start"] : row["stop"]] == row["surface"]
        assert row["start"] == 2


def test_relations_are_told_from_both_ends(own_project):
    triples = own_project.folder / "triples.tsv"
    triples.write_text(
        "subject\tpredicate\tobject\nQ8341\tP31\tQ93341\nQ93341\tP1\tQ93341\nQ8341\tP2\tQ999999999\n"
    )
    with Store.open(own_project.store) as store:
        assert read_grounds(store).relations is None
    api.import_relations(own_project.store, triples)
    with Store.open(own_project.store) as store:
        found = read_grounds(store).relations
    assert found.schema == RELATED
    assert found.to_pylist() == [
        {"entity_id": 8341, "predicate": "P31", "other_id": 93341, "is_object": False},
        {"entity_id": 93341, "predicate": "P31", "other_id": 8341, "is_object": True},
    ]


class TestSortedRows:
    """Binary search over a mapped file."""

    @staticmethod
    def table(keys):
        n = len(keys)
        return pa.table(
            [
                pa.array(keys, pa.uint32()),
                pa.array(range(n), pa.uint32()),
                pa.array([f"f{key % 3}" for key in keys]).dictionary_encode().cast(
                    ITEM_EVIDENCE.field("field").type
                ),
                pa.array([0] * n, pa.uint32()),
                pa.array([1] * n, pa.uint32()),
                pa.array([f"s{place}" for place in range(n)]).dictionary_encode().cast(
                    ITEM_EVIDENCE.field("surface").type
                ),
                pa.array([1.0] * n, pa.float32()),
            ],
            schema=ITEM_EVIDENCE,
        )  # fmt: skip

    @given(keys=st.lists(st.integers(0, 2**32 - 2), max_size=40).map(sorted))
    def test_the_rows_of_a_key_are_those_with_it(self, tmp_path_factory, keys):
        path = tmp_path_factory.mktemp("rows") / "rows.arrow"
        table = self.table(keys)
        write_sorted(table, path)
        rows = SortedRows(path, ITEM_EVIDENCE)
        rows.open()
        assert len(rows) == len(keys)
        for key in {0, 7, 2**32 - 2, *keys}:
            assert rows.of(key) == [row for row in table.to_pylist() if row["item_id"] == key]

    def test_a_file_that_is_gone_is_still_read(self, tmp_path):
        path = tmp_path / "rows.arrow"
        write_sorted(self.table([1, 2, 2]), path)
        rows = SortedRows(path, ITEM_EVIDENCE)
        rows.open()
        path.unlink()
        assert [row["entity_id"] for row in rows.of(2)] == [1, 2]

    def test_what_is_no_such_file_is_named(self, tmp_path):
        path = tmp_path / "rows.arrow"
        for content in (b"", b"no arrow", b"ARROW1\0\0" + b"\0" * 100):
            path.write_bytes(content)
            with pytest.raises(BundleError, match=r"rows\.arrow: cannot be read"):
                SortedRows(path, ITEM_EVIDENCE).open()
        write_sorted(pa.table({"other": [1]}), path)
        with pytest.raises(BundleError, match="has other columns"):
            SortedRows(path, ITEM_EVIDENCE).open()
        with pytest.raises(BundleError, match="cannot be read"):
            SortedRows(tmp_path / "absent", ITEM_EVIDENCE).open()


class TestGiven:
    """What stands behind an interest, whichever way it was given."""

    def test_history_and_statement_are_both_evidence_and_none_twice(self, bundle):
        ground = given_history(bundle, [("books", "b001")])
        row = bundle.profiles.entities.row_of[892]
        (place,) = evidence_behind(bundle, ground, [row])[row]
        assert place == Evidence(
            "b001", "books", "The Hobbit (Paperback)", "text", 0, 7, "Tolkien", place.score
        )
        edited = grounded(
            given_weighted(bundle, [Weighted(892, 1.0), Weighted("Jazz", 3.0)]), ground
        )
        assert edited.weights.data.sum() == pytest.approx(1.0)
        jazz = bundle.profiles.entities.row_of[8341]
        assert dict(zip(edited.weights.indices.tolist(), edited.weights.data, strict=True)) == {
            row: pytest.approx(0.25),
            jazz: pytest.approx(0.75),
        }
        found = evidence_behind(bundle, edited, [row, jazz])
        assert found[row] == (place,)
        assert [at.surface for at in found[jazz]] == ["Jazz"]

    def test_an_interest_twice_has_the_sum_of_its_weights(self, bundle):
        given_twice = given_weighted(
            bundle, [Weighted("Jazz", 1.0), Weighted(8341, 2.0), Weighted("Q892", 1.0)]
        )
        assert sorted(given_twice.weights.data.tolist()) == pytest.approx([0.25, 0.75])
