"""Findings about rows and ids: time order, repeated rows, ids that differ in case or spaces, shared users."""

import duckdb

from mekb.audit.report import N_EXAMPLES, Finding, Verdict
from mekb.sources.query import query_rows

FEW_USERS = 100
"""Fewer test users leave a ranking metric's interval wider than most differences."""
FEW_MOMENTS = 0.01
"""A smaller share of target rows at the very moment of a source row is people who write twice a second."""

USERS_SQL = """
with seen as (
    select user_id,
           bool_or(domain = $target) as in_target,
           bool_or(domain in (select domain from audit_sources)) as in_source
    from interactions join items using (item_id)
    group by user_id
)
select count(*) filter (in_target and in_source) as n_users, count(*) filter (in_target) as of from seen
"""

LATER_SQL = """
with events as (
    select user_id, domain = $target as is_target, interactions."at"
    from interactions join items using (item_id)
    where domain = $target or domain in (select domain from audit_sources)
),
first_target as (
    select user_id, min("at") as "at" from events where is_target group by user_id
)
select count(events."at") as of,
       count(*) filter (events."at" > first_target."at") as n_rows,
       count(distinct user_id) filter (events."at" > first_target."at") as n_users,
       count(*) as n_all
from events join first_target using (user_id)
where not is_target
"""

MOMENTS_SQL = """
with events as (
    select user_id, domain = $target as is_target, interactions."at"
    from interactions join items using (item_id)
    where (domain = $target or domain in (select domain from audit_sources)) and interactions."at" is not null
),
resolved as (
    select coalesce(bool_or("at" <> date_trunc('day', "at")), false) as is_fine from events
),
source_moments as (
    select distinct user_id, "at" from events where not is_target
)
select count(*) as of, count(source_moments.user_id) as n_rows, any_value(resolved.is_fine) as is_fine
from events left join source_moments using (user_id, "at"), resolved
where is_target
"""

DUPLICATES_SQL = """
select count(*) as of,
       count(*) - count(distinct (user_id, item_id)) as n_rows
from interactions join items using (item_id)
where domain = $target or domain in (select domain from audit_sources)
"""

NEAR_IDS_SQL = r"""
with named as (
    select 'item' as kind, domain || ' ' as place, external_id from items
    where domain = $target or domain in (select domain from audit_sources)
    union all
    select 'user' as kind, '' as place, external_id from users
),
folded as (
    select kind, place, lower(regexp_replace(external_id, '\s+', '', 'g')) as plain, external_id
    from named
),
alike as (
    select kind, place, list(external_id order by external_id) as ids
    from folded group by kind, place, plain having count(distinct external_id) > 1
)
select listed.kind, coalesce(sum(len(ids)), 0)::bigint as n_ids,
       (select count(*) from named where named.kind = listed.kind) as of,
       coalesce((select list(place || array_to_string(ids, ' / ')) from (
           select * from alike where alike.kind = listed.kind order by place, ids limit $limit)), []) as examples
from (values ('item'), ('user')) as listed(kind) left join alike using (kind)
group by listed.kind order by listed.kind
"""


def row_findings(cursor: duckdb.DuckDBPyConnection, target: str) -> list[Finding]:
    """Return what is known of users, times, repeated rows and look-alike ids."""
    return [
        _shared_users(cursor, target),
        _later(cursor, target),
        _moments(cursor, target),
        _duplicates(cursor, target),
        *_near_ids(cursor, target),
    ]


def _shared_users(cursor: duckdb.DuckDBPyConnection, target: str) -> Finding:
    row = query_rows(cursor, USERS_SQL, {"target": target})[0]
    count = row["n_users"]
    few = "nobody can test it across domains" if not count else "intervals will be wide"
    return Finding(
        name="shared users",
        what=f"users of {target} who are in a source too",
        count=count,
        of=row["of"],
        verdict=Verdict.OK if count >= FEW_USERS else Verdict.LOOK,
        advice=""
        if count >= FEW_USERS
        else f"{few}; are ids of users written alike in both domains?",
    )


def _later(cursor: duckdb.DuckDBPyConnection, target: str) -> Finding:
    row = query_rows(cursor, LATER_SQL, {"target": target})[0]
    count = row["n_rows"]
    known = "" if row["of"] or not row["n_all"] else "; no times are known, so none can be told"
    return Finding(
        name="source after target",
        what=f"source rows that are younger than their user's first row in {target}"
        f" ({row['n_users']:,} users){known}",
        count=count,
        of=row["of"],
        verdict=Verdict.LOOK if count else Verdict.OK,
        advice="the future speaks to the past; measure with split.source_before_target = true beside it"
        if count
        else "",
    )


def _moments(cursor: duckdb.DuckDBPyConnection, target: str) -> Finding:
    row = query_rows(cursor, MOMENTS_SQL, {"target": target})[0]
    fine = bool(row["is_fine"])
    count, of = (row["n_rows"], row["of"]) if fine else (0, 0)
    many = of and count > FEW_MOMENTS * of
    coarse = "" if fine else "; times are days or unknown, so it says nothing"
    return Finding(
        name="same moment",
        what=f"rows of {target} at the very moment of a source row of the same user{coarse}",
        count=count,
        of=of,
        verdict=Verdict.LOOK if many else Verdict.OK,
        advice="one review listed twice? See 'same users and times' for the products"
        if many
        else "",
    )


def _duplicates(cursor: duckdb.DuckDBPyConnection, target: str) -> Finding:
    row = query_rows(cursor, DUPLICATES_SQL, {"target": target})[0]
    return Finding(
        name="repeated rows",
        what="rows that repeat a user and item (an import merges them, by source.duplicates, and counts them)",
        count=row["n_rows"],
        of=row["of"],
        verdict=Verdict.LOOK if row["n_rows"] else Verdict.OK,
        advice="import the data again" if row["n_rows"] else "",
    )


def _near_ids(cursor: duckdb.DuckDBPyConnection, target: str) -> list[Finding]:
    rows = query_rows(cursor, NEAR_IDS_SQL, {"target": target, "limit": N_EXAMPLES})
    return [
        Finding(
            name=f"look-alike {row['kind']} ids",
            what=f"ids of {row['kind']}s that differ from another in case or spaces only",
            count=row["n_ids"],
            of=row["of"],
            verdict=Verdict.LOOK if row["n_ids"] else Verdict.OK,
            advice="one thing under two ids, in training and in test? Make them equal before the import"
            if row["n_ids"]
            else "",
            examples=tuple(row["examples"]),
        )
        for row in rows
    ]
