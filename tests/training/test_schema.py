"""The checks that tables carry find the rows they are named for."""

import json

import duckdb
import pyarrow as pa
import pytest

from training.schema import EMBEDDINGS, METRICS, RECOMMENDATIONS

GOOD = {
    "embeddings": (EMBEDDINGS, [{"kind": "item", "id": 1, "vector": [0.5, 1.0]}]),
    "recommendations": (
        RECOMMENDATIONS,
        [{"user_id": 1, "item_id": i, "rank": i, "score": 0.5} for i in (1, 2)],
    ),
    "metrics": (
        METRICS,
        [{"model": "m", "protocol": "full", "user_id": 1, "metric": "hr", "k": 10, "value": 1.0}],
    ),
}
BAD = [
    ("embeddings", "kind_known", {"kind": "shop"}),
    ("embeddings", "finite", {"vector": [0.5, float("nan")]}),
    ("embeddings", "one_size", {"vector": [0.5]}),
    ("recommendations", "finite", {"score": float("inf")}),
    ("recommendations", "rank_from_one_without_gaps", {"rank": 4}),
    ("metrics", "value_in_unit_interval", {"value": 1.5}),
]


def offending(name: str, schema: pa.Schema, rows: list[dict]) -> set[str]:
    checks = json.loads(schema.metadata[b"checks"])
    connection = duckdb.connect()
    connection.register(name, pa.Table.from_pylist(rows, schema=schema))
    return {check for check, query in checks.items() if connection.sql(query).fetchall()}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_table_passes(name):
    assert offending(name, *GOOD[name]) == set()


@pytest.mark.parametrize(("name", "check", "change"), BAD)
def test_a_bad_row_is_found(name, check, change):
    schema, rows = GOOD[name]
    assert check in offending(name, schema, [*rows, {**rows[0], **change}])


@pytest.mark.parametrize("name", GOOD)
def test_key_and_sort_are_columns(name):
    schema = GOOD[name][0]
    for entry in (b"key", b"sort"):
        assert set(json.loads(schema.metadata[entry])) <= set(schema.names)
