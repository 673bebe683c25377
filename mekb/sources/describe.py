"""What a store's data holds, before anything is trained on it: counts, overlaps, coverage, verdicts.

The overlap ratio of two domains is OR(X, Y) = |Ux and Uy| / |Ux| (paper 002, appendix A), with Ux the
users with an interaction in X. Links are described (`mekb.sources.links`) where the table `item_entities` exists.
"""

from collections.abc import Sequence
from typing import Any

import duckdb
from pydantic import BaseModel, ConfigDict

from mekb.errors import SourceError
from mekb.sources.links import EntityCount, LinkCoverage, describe_links
from mekb.sources.query import query_rows

FEW_SHARED_USERS = 100
"""Fewer test users than this leave a ranking metric's interval wider than most differences."""
LOW_LINK_SHARE = 0.5
LOW_TEXT_SHARE = 0.5
HIGH_SURFACE_SHARE = 0.05
"""One name in more than one of twenty items is more often a word of the shop than a name."""
MANY_ITEMS = 20
FEW_PER_USER = 5
"""The least number of positives of a user in the paper's data (002, appendix A)."""

DOMAINS_SQL = """
with events as (
    select domain, user_id, positive from interactions join items using (item_id)
),
per_user as (
    select domain, user_id, count(*) as n_events, count(*) filter (positive) as n_positive
    from events
    group by domain, user_id
),
users_of as (
    select
        domain,
        count(*) as n_users,
        sum(n_events) as n_interactions,
        sum(n_positive) as n_positive,
        avg(n_events) as mean_per_user,
        median(n_events) as median_per_user
    from per_user
    group by domain
),
items_of as (
    select
        domain,
        count(*) as n_items,
        avg(cast(title <> '' as integer)) as titled_share,
        avg(cast(text <> '' as integer)) as text_share
    from items
    group by domain
)
select
    domain,
    cast(coalesce(n_users, 0) as bigint) as n_users,
    n_items,
    cast(coalesce(n_interactions, 0) as bigint) as n_interactions,
    cast(coalesce(n_positive, 0) as bigint) as n_positive,
    coalesce(mean_per_user, 0) as mean_per_user,
    coalesce(median_per_user, 0) as median_per_user,
    titled_share,
    text_share
from items_of
left join users_of using (domain)
order by domain
"""

OVERLAPS_SQL = """
with seen as (
    select distinct domain, user_id from interactions join items using (item_id)
),
sizes as (
    select domain, count(user_id) as n_users
    from (select distinct domain from items)
    left join seen using (domain)
    group by domain
),
pairs as (
    select one.domain, other.domain as other, count(*) as n_shared
    from seen as one
    join seen as other on other.user_id = one.user_id and other.domain > one.domain
    group by one.domain, other.domain
)
select
    one.domain,
    other.domain as other,
    coalesce(n_shared, 0) as n_shared,
    case when one.n_users > 0 then coalesce(n_shared, 0) / one.n_users else 0 end as share,
    case when other.n_users > 0 then coalesce(n_shared, 0) / other.n_users else 0 end as share_of_other
from sizes as one
join sizes as other on other.domain > one.domain
left join pairs on pairs.domain = one.domain and pairs.other = other.domain
order by one.domain, other.domain
"""

TABLES_SQL = """
select table_name from information_schema.tables
where table_catalog in (current_database(), 'temp') and table_schema = current_schema()
"""


class DomainSummary(BaseModel):
    """One domain in numbers; shares are of its items."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: str
    n_users: int
    n_items: int
    n_interactions: int
    n_positive: int
    mean_per_user: float
    """Interactions of a user who has any here."""
    median_per_user: float
    titled_share: float
    text_share: float
    linked_share: float | None = None
    """Items with at least one entity of whatever kind; None before linking."""
    entities_per_item: float | None = None


class DomainOverlap(BaseModel):
    """The users two domains have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domain: str
    other: str
    n_shared: int
    share: float
    """Of the users of `domain`."""
    share_of_other: float


class Description(BaseModel):
    """The data in numbers, and what follows from them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_users: int
    n_items: int
    n_interactions: int
    domains: tuple[DomainSummary, ...]
    overlaps: tuple[DomainOverlap, ...]
    n_mentions: int | None = None
    """None before linking."""
    top_entities: tuple[EntityCount, ...] = ()
    links: LinkCoverage | None = None
    """What the items were linked to; None before linking."""
    warnings: tuple[str, ...] = ()
    """One sentence each: what was seen, and what it means for training."""


def describe(connection: duckdb.DuckDBPyConnection) -> Description:
    """Describe the tables items, users and interactions of a database, and its entities where linked.

    Raises:
        SourceError: if one of the three tables is not there.
    """
    tables = {name for (name,) in connection.execute(TABLES_SQL).fetchall()}
    missing = [name for name in ("items", "users", "interactions") if name not in tables]
    if missing:
        raise SourceError(f"no table {', '.join(missing)}; import data before describing it")
    links = describe_links(connection, tables) if "item_entities" in tables else None
    linked: dict[str, dict[str, Any]] = {
        domain.domain: {
            "linked_share": domain.any_share,
            "entities_per_item": domain.any_per_item,
        }
        for domain in (links.domains if links else ())
    }
    domains = tuple(
        DomainSummary(**row, **linked.get(row["domain"], {}))
        for row in query_rows(connection, DOMAINS_SQL)
    )
    overlaps = tuple(DomainOverlap(**row) for row in query_rows(connection, OVERLAPS_SQL))
    return Description(
        n_users=_count(connection, "select count(*) from users"),
        n_items=_count(connection, "select count(*) from items"),
        n_interactions=_count(connection, "select count(*) from interactions"),
        domains=domains,
        overlaps=overlaps,
        n_mentions=_count(connection, "select count(*) from mentions")
        if "mentions" in tables
        else None,
        top_entities=links.top_entities if links else (),
        links=links,
        warnings=(
            *_domain_warnings(domains),
            *_overlap_warnings(domains, overlaps),
            *(_link_warnings(links) if links else ()),
        ),
    )


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """Return the one number of a result."""
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _domain_warnings(domains: Sequence[DomainSummary]) -> list[str]:
    """Judge each domain by itself."""
    found = []
    for domain in domains:
        name = domain.domain
        if not domain.n_interactions:
            found.append(f"{name}: no interactions; it can be neither source nor target")
        elif not domain.n_positive:
            found.append(f"{name}: no positive interaction; nothing to learn: check positive_from")
        elif domain.n_positive < FEW_PER_USER * domain.n_users:
            found.append(
                f"{name}: {domain.n_positive / domain.n_users:.1f} positives a user; the paper's data"
                f" has at least {FEW_PER_USER}: expect thin profiles"
            )
        if domain.titled_share < 1:
            found.append(
                f"{name}: {1 - domain.titled_share:.0%} of the items have no title to link"
            )
        if domain.text_share < LOW_TEXT_SHARE:
            found.append(
                f"{name}: only {domain.text_share:.0%} of the items have text beside the title;"
                " most entities will come from titles"
            )
    return found


def _overlap_warnings(
    domains: Sequence[DomainSummary], overlaps: Sequence[DomainOverlap]
) -> list[str]:
    """Judge what the domains have in common."""
    if len(domains) == 1:
        only = domains[0].domain
        return [f"one domain, {only}: profiles work, but there is no other domain to transfer from"]
    found = []
    for pair in overlaps:
        both = f"{pair.domain} and {pair.other}"
        if not pair.n_shared:
            found.append(
                f"no overlapping users between {both}: EmbedMe can train on the target alone and serve"
                " the other's users zero-shot, but nothing here can test it across domains"
            )
        elif pair.n_shared < FEW_SHARED_USERS:
            found.append(
                f"only {pair.n_shared:,} users in both {both}: cross-domain metrics will have wide"
                " intervals; read differences with care"
            )
    return found


def _link_warnings(links: LinkCoverage) -> list[str]:
    """Judge what linking found, by the entities of the alias table."""
    found = [
        f"{domain.domain}: only {domain.alias_share:.0%} of the items have an entity of the alias table;"
        " the others add nothing to a profile but what they name themselves: a larger alias table, brands or"
        " categories would help"
        for domain in links.domains
        if domain.alias_share < LOW_LINK_SHARE
    ]
    found += [
        f"{domain.domain}: '{top.surface}' makes {top.n_items / domain.n_items:.0%} of the items name"
        f" {top.label}; look at some of them, and at link.stop_phrases if it is wrong"
        for domain in links.domains
        for top in domain.top_surfaces
        if top.n_items >= MANY_ITEMS and top.n_items > HIGH_SURFACE_SHARE * domain.n_items
    ]
    found += [
        f"{pair.domain} and {pair.other} have no entity in common: profiles of one say nothing of the other"
        for pair in links.overlaps
        if not pair.n_shared
    ]
    return found
