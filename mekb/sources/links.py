"""What linking found in a store's items, domain by domain, before anything is trained on it.

Coverage (items with an entity, entities an item), doubt (mentions with more than one candidate), who found the
mentions, the most frequent entities and surfaces, where bad links show first, and the entities that two domains
have in common, over which a profile of one speaks to the other:

    Jaccard(X, Y) = |Ex and Ey| / |Ex or Ey|, with Ex the entities of the items of X

Entities of the alias table are told apart from those the data set itself names (brands, categories, products).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb
from pydantic import BaseModel, ConfigDict

from alias_tables.schema import CUSTOM_ID_BASE
from mekb.sources.query import query_rows

N_MOST_FREQUENT = 10

LINKS_SQL = """
with held as (
    select item_id, count(*) as n_entities, count(*) filter (entity_id < $first_custom) as n_linked
    from item_entities
    group by item_id
)
select
    domain,
    count(*) as n_items,
    avg(cast(coalesce(n_entities, 0) > 0 as integer)) as any_share,
    avg(coalesce(n_entities, 0)) as any_per_item,
    avg(cast(coalesce(n_linked, 0) > 0 as integer)) as alias_share,
    avg(coalesce(n_linked, 0)) as alias_per_item
from items
left join held using (item_id)
group by domain
order by domain
"""

MENTIONS_SQL = """
select
    domain,
    detector,
    count(*) as n_mentions,
    count(*) filter (n_candidates > 1) as n_ambiguous
from mentions
join items using (item_id)
group by domain, detector
order by domain, n_mentions desc, detector
"""

ENTITIES_SQL = """
select domain, entity_id, count(*) as n_items
from item_entities
join items using (item_id)
group by domain, entity_id
qualify row_number() over (partition by domain order by n_items desc, entity_id) <= $limit
order by domain, n_items desc, entity_id
"""

SURFACES_SQL = """
select domain, surface, entity_id, count(distinct item_id) as n_items, avg(prior) as mean_prior
from mentions
join items using (item_id)
group by domain, surface, entity_id
qualify row_number() over (partition by domain order by n_items desc, surface, entity_id) <= $limit
order by domain, n_items desc, surface, entity_id
"""

SHARED_SQL = """
with held as (
    select domain, entity_id, count(*) as n_rows
    from item_entities
    join items using (item_id)
    group by domain, entity_id
),
sizes as (
    select domain, count(entity_id) as n_entities, coalesce(sum(n_rows), 0) as n_rows
    from (select distinct domain from items)
    left join held using (domain)
    group by domain
),
shared as (
    select
        one.domain,
        other.domain as other,
        count(*) as n_shared,
        sum(one.n_rows) as n_rows,
        sum(other.n_rows) as n_rows_of_other
    from held as one
    join held as other on other.entity_id = one.entity_id and other.domain > one.domain
    group by one.domain, other.domain
)
select
    one.domain,
    other.domain as other,
    one.n_entities,
    other.n_entities as n_entities_of_other,
    coalesce(n_shared, 0) as n_shared,
    coalesce(n_shared / nullif(one.n_entities + other.n_entities - coalesce(n_shared, 0), 0), 0) as jaccard,
    coalesce(shared.n_rows / nullif(one.n_rows, 0), 0) as row_share,
    coalesce(shared.n_rows_of_other / nullif(other.n_rows, 0), 0) as row_share_of_other
from sizes as one
join sizes as other on other.domain > one.domain
left join shared on shared.domain = one.domain and shared.other = other.domain
order by one.domain, other.domain
"""

TOP_ENTITIES_SQL = """
select entity_id, count(*) as n_items
from item_entities
group by entity_id
order by n_items desc, entity_id
limit $limit
"""

LABELS_SQL = {
    "custom_entities": "select entity_id, label from custom_entities"
    " where entity_id in (select unnest($ids))",
    "entities": "select entity_id, label from entities where entity_id in (select unnest($ids))",
}


class EntityCount(BaseModel):
    """An entity and how many items hold it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entity_id: int
    label: str
    n_items: int


class SurfaceCount(BaseModel):
    """A surface, the entity it was linked to, and in how many items."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    surface: str
    entity_id: int
    label: str
    n_items: int
    mean_prior: float
    """Of P(e|m): a frequent surface of a low prior is a bad link waiting to be found."""


class DomainLinks(BaseModel):
    """The links of one domain; shares of items and of mentions, as said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: str
    n_items: int
    any_share: float
    """Items with at least one entity of whatever kind."""
    any_per_item: float
    alias_share: float
    """Items with at least one entity of the alias table."""
    alias_per_item: float
    n_mentions: int
    ambiguous_share: float | None
    """Mentions for which the table has more than one candidate; None without mentions."""
    detectors: Mapping[str, float]
    """Share of the mentions each detector found."""
    top_entities: tuple[EntityCount, ...]
    top_surfaces: tuple[SurfaceCount, ...]


class EntityOverlap(BaseModel):
    """The entities two domains have in common, of whatever kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: str
    other: str
    n_entities: int
    n_entities_of_other: int
    n_shared: int
    jaccard: float
    row_share: float
    """Of the (item, entity) rows of `domain`, those whose entity `other` has too."""
    row_share_of_other: float


class LinkCoverage(BaseModel):
    """What linking found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domains: tuple[DomainLinks, ...]
    overlaps: tuple[EntityOverlap, ...]
    top_entities: tuple[EntityCount, ...]
    """Over all domains."""


def describe_links(connection: duckdb.DuckDBPyConnection, tables: set[str]) -> LinkCoverage:
    """Describe what the items of a database were linked to.

    Args:
        connection: With items and item_entities.
        tables: What else is there: mentions, entities, custom_entities.
    """
    limit = {"limit": N_MOST_FREQUENT}
    has_mentions = "mentions" in tables
    entities = query_rows(connection, ENTITIES_SQL, limit)
    surfaces = query_rows(connection, SURFACES_SQL, limit) if has_mentions else []
    overall = query_rows(connection, TOP_ENTITIES_SQL, limit)
    labels = _labels(
        connection, tables, (row["entity_id"] for row in (*entities, *surfaces, *overall))
    )
    entities_of, surfaces_of, mentions_of = (
        _by_domain(entities),
        _by_domain(surfaces),
        _by_domain(query_rows(connection, MENTIONS_SQL) if has_mentions else []),
    )
    return LinkCoverage(
        domains=tuple(
            DomainLinks(
                **row,
                **_mention_shares(mentions_of[row["domain"]]),
                top_entities=tuple(_count(labels, one) for one in entities_of[row["domain"]]),
                top_surfaces=tuple(
                    SurfaceCount(**one, label=labels[one["entity_id"]])
                    for one in surfaces_of[row["domain"]]
                ),
            )
            for row in query_rows(connection, LINKS_SQL, {"first_custom": CUSTOM_ID_BASE})
        ),
        overlaps=tuple(EntityOverlap(**row) for row in query_rows(connection, SHARED_SQL)),
        top_entities=tuple(_count(labels, row) for row in overall),
    )


def _by_domain(rows: Iterable[dict[str, Any]]) -> defaultdict[str, list[dict[str, Any]]]:
    """Rows by their domain, which is taken out of them."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row.pop("domain")].append(row)
    return found


def _mention_shares(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Mentions of a domain: how many, how many in doubt, and who found them."""
    rows = list(rows)
    n_mentions = sum(row["n_mentions"] for row in rows)
    n_ambiguous = sum(row["n_ambiguous"] for row in rows)
    return {
        "n_mentions": n_mentions,
        "ambiguous_share": n_ambiguous / n_mentions if n_mentions else None,
        "detectors": {row["detector"]: row["n_mentions"] / n_mentions for row in rows},
    }


def _count(labels: Mapping[int, str], row: Mapping[str, Any]) -> EntityCount:
    return EntityCount(**row, label=labels[row["entity_id"]])


def _labels(
    connection: duckdb.DuckDBPyConnection, tables: set[str], ids: Iterable[int]
) -> dict[int, str]:
    """The labels of entities, as far as a table has them."""
    wanted = sorted(set(ids))
    labels = {entity_id: f"entity {entity_id}" for entity_id in wanted}
    for table, query in LABELS_SQL.items():
        if table in tables:
            found = query_rows(connection, query, {"ids": wanted})
            labels |= {row["entity_id"]: row["label"] for row in found}
    return labels
