"""The two tables this package writes, each with its key, sort order and named checks.

The metadata of a schema travels with a Parquet file, so that a file carries its own contract:
`key` and `sort` are JSON lists of columns, `checks` is a JSON object from a check's name to a query
that returns the offending rows (none, in a good table).
"""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa

# Entity ids are the number of the QID. Two ranges above it hold what Wikidata has no number for.
PAGE_ID_BASE = 2_000_000_000
"""First id of pages without a known QID: `PAGE_ID_BASE + page id`. Wikidata stands near 140 million."""
CUSTOM_ID_BASE = 3_000_000_000
"""First id of custom entities: brands, categories, products, keywords (paper 002, appendix A)."""

KINDS = ("wikidata", "brand", "category", "product", "keyword")
"""The kinds of entity a MeKB may hold (paper 002, appendix A)."""


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


ENTITIES = table_schema(
    [
        pa.field("entity_id", pa.uint32(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("description", pa.string()),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
        pa.field("n_inlinks", pa.uint32(), nullable=False),
    ],
    key=["entity_id"],
    sort=["entity_id"],
    checks={
        "title_not_empty": "select * from entities where title = ''",
        "kind_known": "select * from entities"
        " where kind not in ('wikidata', 'brand', 'category', 'product', 'keyword')",
    },
)
"""One row an entity: `title` is unambiguous (a Wikipedia title, "Heat (1995 film)"), `label` is for people."""

CHANNELS = ("anchor", "title", "title_stripped", "redirect", "disambig", "wikidata_alias")
"""Where a surface was seen: link text, page title, title without its bracket, redirect, and so on."""

ALIASES = table_schema(
    [
        pa.field("surface", pa.string(), nullable=False),
        pa.field("entity_id", pa.uint32(), nullable=False),
        *(pa.field(f"n_{channel}", pa.uint32(), nullable=False) for channel in CHANNELS),
        pa.field("prior", pa.float32(), nullable=False),
        pa.field("link_prob", pa.float32()),
    ],
    key=["surface", "entity_id"],
    sort=["surface", "entity_id"],
    checks={
        "surface_not_empty": "select * from aliases where surface = ''",
        "prior_in_unit_interval": "select * from aliases where not (prior > 0 and prior <= 1)",
        "priors_sum_to_at_most_one": "select surface, sum(prior) as total from aliases"
        " group by surface having sum(prior) > 1 + 1e-5",
        "link_prob_in_unit_interval": "select * from aliases where not (link_prob >= 0 and link_prob <= 1)",
        "entity_known": "select * from aliases anti join entities using (entity_id)",
    },
)
"""One row a (surface, entity): counts per channel, P(e|m) and the surface's document-level link probability.

`prior` is freq(m, e) / freq(m) (paper 002, eq. 3); `link_prob` is the share of documents holding the
surface in which it is a link at least once, null where it was not counted.
"""
