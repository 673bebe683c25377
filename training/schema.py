"""The tables this package hands over, each with its key, sort order and named checks.

The metadata of a schema travels with a Parquet file, so that a file carries its own contract:
`key` and `sort` are JSON lists of columns, `checks` is a JSON object from a check's name to a query
that returns the offending rows (none, in a good table).
"""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa


def table_schema(
    columns: Sequence[pa.Field],
    *,
    key: Sequence[str],
    sort: Sequence[str],
    checks: Mapping[str, str],
) -> pa.Schema:
    """Return a schema whose metadata names its key, its sort order and its checks."""
    contract = {"key": list(key), "sort": list(sort), "checks": dict(checks)}
    return pa.schema(
        columns, metadata={name: json.dumps(value) for name, value in contract.items()}
    )


EMBEDDINGS = table_schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("id", pa.uint32(), nullable=False),
        pa.field("vector", pa.list_(pa.float32()), nullable=False),
    ],
    key=["kind", "id"],
    sort=["kind", "id"],
    checks={
        "kind_known": "select * from embeddings where kind not in ('user', 'item')",
        "finite": "select id from (select id, unnest(vector) as value from embeddings)"
        " where not isfinite(value)",
        "one_size": "select 1 from embeddings having count(distinct len(vector)) > 1",
    },
)
"""One row a user or item: the vector whose inner products are the scores. `id` is a user_id or item_id."""

RECOMMENDATIONS = table_schema(
    [
        pa.field("user_id", pa.uint32(), nullable=False),
        pa.field("item_id", pa.uint32(), nullable=False),
        pa.field("rank", pa.uint32(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
    ],
    key=["user_id", "item_id"],
    sort=["user_id", "rank"],
    checks={
        "finite": "select * from recommendations where not isfinite(score)",
        "rank_from_one_without_gaps": "select user_id from recommendations group by user_id"
        " having min(rank) <> 1 or max(rank) <> count(*) or count(distinct rank) <> count(*)",
    },
)
"""One row a recommendation: rank 1 is the best."""

METRICS = table_schema(
    [
        pa.field("model", pa.string(), nullable=False),
        pa.field("protocol", pa.string(), nullable=False),
        pa.field("user_id", pa.uint32(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("k", pa.uint32(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ],
    key=["model", "protocol", "user_id", "metric", "k"],
    sort=["model", "protocol", "user_id", "metric", "k"],
    checks={
        "value_in_unit_interval": "select * from metrics where not (value >= 0 and value <= 1)",
    },
)
"""One row a user and metric; `protocol` says which candidates the positives were ranked among."""

RANKS = table_schema(
    [
        pa.field("model", pa.string(), nullable=False),
        pa.field("protocol", pa.string(), nullable=False),
        pa.field("user_id", pa.uint32(), nullable=False),
        pa.field("item_id", pa.uint32(), nullable=False),
        pa.field("n_greater", pa.uint32(), nullable=False),
        pa.field("n_tied", pa.uint32(), nullable=False),
    ],
    key=["model", "protocol", "user_id", "item_id"],
    sort=["model", "protocol", "user_id", "item_id"],
    checks={"tied_with_itself": "select * from ranks where n_tied < 1"},
)
"""One row a held-out positive: `n_greater` candidates score above it, `n_tied` like it (itself included)."""
