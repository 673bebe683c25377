"""Findings about items: the same product under two ids, in two domains or in one, and ids that look alike.

In: the tables of a store, `audit_twins` (with the source of each group) and `audit_sources`.
"""

import duckdb

from mekb.audit.report import N_EXAMPLES, Finding, Verdict
from mekb.sources.query import query_rows
from mekb.twins import TwinConfig

DROPPED = (
    "the source items are left out by default (split.drop_twins); report the number without it too"
)

KINDS_SQL = """
with sizes as (
    select item_id, count(*) as n_rows
    from interactions join items using (item_id)
    where domain = $target
    group by item_id
),
bases as (
    select
        count(*) filter (n_rows >= $min_buyers) as buyers,
        count(*) filter (n_rows >= $min_events) as events,
        (select count(*) from items where domain = $target) as id,
        (select count(*) from items where domain = $target and text <> '') as text
    from sizes
)
select kind, n_items as of,
       (select count(distinct item_id) from audit_twins
        where audit_twins.kind = listed.kind and domain = $target) as n_twins
from (unpivot bases on buyers, events, id, text into name kind value n_items) as listed
"""

TWIN_EXAMPLES_SQL = """
with sides as (
    select source, group_id, max(n_buyers) as n_buyers,
           min(item_id) filter (domain <> $target) as source_item,
           min(item_id) filter (domain = $target) as target_item
    from audit_twins
    where kind = $kind
    group by source, group_id
)
select one.domain || ' ' || one.external_id || ' "' || left(one.title, 60) || '" = ' || other.domain || ' '
       || other.external_id || ' "' || left(other.title, 60) || '" (' || n_buyers || ' users)' as example
from sides join items as one on one.item_id = source_item join items as other on other.item_id = target_item
order by n_buyers desc, source_item
limit $limit
"""

SAME_TITLE_SQL = r"""
with plain as (
    select item_id, domain, trim(regexp_replace(lower(title), '[^\p{L}\p{N}]+', ' ', 'g')) as title
    from items
),
shared as (
    select title from plain
    where title <> '' and domain = $target
      and title in (select title from plain semi join audit_sources using (domain))
)
select count(*) filter (title <> '') as of,
       count(*) filter (title in (select title from shared)
                        and item_id not in (select item_id from audit_twins)) as n_items
from plain where domain = $target
"""

SAME_ID_SQL = """
select count(distinct one.item_id) as n_items, (select count(*) from items where domain = $target) as of
from items as one join items as other using (external_id)
where one.domain = $target and other.domain in (select domain from audit_sources)
  and one.item_id not in (select item_id from audit_twins where kind = 'id')
"""

REPEATED_SQL = """
with events as (
    select item_id, user_id, hash(user_id) as mark
    from interactions join items using (item_id) where domain = $target
),
sets as (
    select item_id, count(*) as n_buyers, bit_xor(mark) as folded, sum(mark) as total
    from events group by item_id having count(*) >= $min_buyers
),
alike as (
    select n_buyers, folded, total from sets group by all having count(*) > 1
),
suspects as (
    select item_id from sets semi join alike using (n_buyers, folded, total)
),
keyed as (
    select item_id, list(user_id order by user_id) as key
    from events semi join suspects using (item_id) group by item_id
),
grouped as (
    select list(item_id order by item_id) as members from keyed group by key having count(*) > 1
)
select coalesce(sum(len(members)), 0)::bigint as n_items, (select count(*) from sets) as of,
       (select list(items.external_id || ' "' || left(items.title, 60) || '"' order by items.item_id)
        from items where item_id in (select unnest(members) from (select members from grouped order by members limit 2))
       ) as examples
from grouped
"""


def product_findings(
    cursor: duckdb.DuckDBPyConnection, target: str, config: TwinConfig
) -> list[Finding]:
    """Return what is known of products that stand under several ids."""
    least = {"min_buyers": config.min_buyers, "min_events": config.min_events}
    counted = {
        row["kind"]: row for row in query_rows(cursor, KINDS_SQL, {"target": target, **least})
    }
    found = []
    for kind, (name, what) in _KINDS.items():
        count, of = counted[kind]["n_twins"], counted[kind]["of"]
        values = {"target": target, "kind": kind, "limit": N_EXAMPLES}
        examples = query_rows(cursor, TWIN_EXAMPLES_SQL, values) if count else []
        found.append(
            Finding(
                name=name,
                what=what.format(**least, target=target),
                count=count,
                of=of,
                verdict=Verdict.LEAK if count else Verdict.OK,
                advice=DROPPED if count else "",
                examples=tuple(row["example"] for row in examples),
            )
        )
    return [*found, *_mere_names(cursor, target), _repeated(cursor, target, config)]


_KINDS = {
    "buyers": (
        "same users",
        "items of {target} with {min_buyers} users or more, exactly those of a source item",
    ),
    "events": (
        "same users and times",
        "items of {target} with {min_events} rows or more, whose users and times are those of a source item",
    ),
    "id": ("same id", "items of {target} whose id a source item has, where that is no chance"),
    "text": ("same title and text", "items of {target} whose title and text a source item has"),
}


def _mere_names(cursor: duckdb.DuckDBPyConnection, target: str) -> list[Finding]:
    """Return what is equal and proves nothing: titles (a film of a book), numbers as ids."""
    titles = query_rows(cursor, SAME_TITLE_SQL, {"target": target})[0]
    ids = query_rows(cursor, SAME_ID_SQL, {"target": target})[0]
    return [
        Finding(
            name="same title only",
            what=f"items of {target} with the title of a source item and other users and text: a film of a book,"
            " say",
            count=titles["n_items"],
            of=titles["of"],
            verdict=Verdict.OK,
        ),
        Finding(
            name="same id, other product",
            what=f"items of {target} whose id a source item has by chance: ids are numbered within each domain",
            count=ids["n_items"],
            of=ids["of"],
            verdict=Verdict.OK,
        ),
    ]


def _repeated(cursor: duckdb.DuckDBPyConnection, target: str, config: TwinConfig) -> Finding:
    values = {"target": target, "min_buyers": config.min_buyers}
    row = query_rows(cursor, REPEATED_SQL, values)[0]
    count = row["n_items"]
    return Finding(
        name="repeated products",
        what=f"items of {target} with exactly the users of another item of {target}, {config.min_buyers} or more",
        count=count,
        of=row["of"],
        verdict=Verdict.LOOK if count else Verdict.OK,
        advice="variants of a product tell on each other where target rows are input (warm and k-shot splits);"
        " no harm to users held out whole"
        if count
        else "",
        examples=tuple((row["examples"] or [])[:N_EXAMPLES]),
    )
