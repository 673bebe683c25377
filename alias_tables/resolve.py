"""From titles to entities: redirects followed to their end, QIDs joined, ids given.

In: the raw tables of `harvest`, `tabular`, `page_tables` and `wikidata_items`. Out: temporary tables `title_entity` (title to entity),
`known_entities` (a row an entity) and `outcomes` (each title anything points to: its entity, or the
reason why it has none). A redirect chain of n hops takes log2(n) joins; one that never ends is a loop.
"""

import math

import duckdb

from alias_tables.entity_types import WORK_TYPES
from alias_tables.page_kinds import DISAMBIGUATION
from alias_tables.reasons import Reason
from alias_tables.schema import PAGE_ID_BASE

TITLE_ID_BASE = 2_500_000_000
"""First id of titles from further files that have neither a page nor a QID; up to `CUSTOM_ID_BASE`."""
TITLE_ID_SLOTS = 499_000_000
"""An id is the base plus a hash of the title modulo this; a taken slot gives way to the next one."""

PAGES_SQL = """
create or replace temp table pages as
select * exclude (version) from (
    select *, row_number() over (
        partition by page_id order by revision_id desc, title, redirect nulls last, section, description
    ) as version
    from raw_pages
)
where version = 1
"""
"""The newest version of each page."""

TITLES_SQL = """
create or replace temp table titles as
select title, page_id from (
    select title, page_id,
        row_number() over (partition by title order by revision_id desc, page_id) as claim
    from raw_pages
)
where claim = 1
"""
"""Each title any version had, and the page that had it last."""

HOPS_SQL = """
create or replace temp table hops as
select titles.title, coalesce(pages.redirect, pages.title) as target
from titles join pages using (page_id)
where pages.redirect is not null or pages.title <> titles.title
"""
"""Titles that are not their page's own: redirects, and titles of before a move."""

DOUBLE_HOPS_SQL = """
create or replace temp table hops as
select near.title, coalesce(far.target, near.target) as target
from hops as near left join hops as far on near.target = far.title
"""
UNFINISHED_SQL = "select count(*) from hops where target in (select title from hops)"

ITEMS_SQL = """
create or replace temp table items as
select qid, min(title) as title, min(label) as label, min(description) as description,
    list_sort(list_distinct(flatten(list(types)))) as types,
    list_sort(list_distinct(flatten(list(flags)))) as flags, min(year) as year
from raw_items group by qid
"""
"""One row a Wikidata item: of two that were merged, what both say."""

ARTICLES_SQL = """
create or replace temp table articles as
with marks as (
    select page_id, flag from raw_page_flags
    union
    select page_id, unnest(items.flags) from items join pages using (title)
),
marked as (select page_id, list(flag) as marks from marks group by page_id)
select pages.* replace (list_sort(list_distinct(flags || coalesce(marks, []))) as flags)
from pages join titles using (page_id, title) left join marked using (page_id)
where redirect is null
"""
"""Pages that are no redirects, with what page_props and Wikidata say of their kind."""

EXTRA_SQL = """
create or replace temp table extra as
select
    raw_extra.* exclude (title, label),
    coalesce(hops.target, raw_extra.title) as title,
    case when hops.target is null then raw_extra.label end as label
from raw_extra left join hops using (title)
"""

TITLE_QIDS_SQL = """
create or replace temp table title_qids as
with said as (
    select title, qid, 0 as trust from raw_qids
    union all
    select title, qid, 1 from raw_page_qids join articles using (page_id)
    union all
    select title, qid, 2 from items where title is not null
    union all
    select title, qid, 3 from extra where title is not null and qid is not null
)
select title, arg_min(qid, (trust, qid)) as qid from said group by title
"""
"""The QID of each title, by whom we trust most: the caller's table, page_props, sitelinks, further files."""

UNNAMED_QIDS_SQL = """
delete from raw_extra where title is null and qid in (
    select qid from title_qids join articles using (title) where list_contains(flags, $disambiguation)
)
"""
"""Names of Wikidata's items whose page is a disambiguation page mean nothing."""

TITLE_ENTITY_SQL = """
create or replace temp table title_entity as
with wanted as (
    select title, page_id, flags, label, description, types, year from articles
    union all
    select title, null, [], min(label), null, [], null from extra
    where title is not null
        and title not in (select title from articles)
        and title not in (select title from hops)
    group by title
),
identified as (
    select wanted.*, title_qids.qid, md5_number(title) % $title_id_slots as slot
    from wanted left join title_qids using (title)
    where not list_contains(flags, $disambiguation)
),
placed as (
    select *, row_number() over (
        partition by qid is null and page_id is null order by slot, title
    ) as place
    from identified
)
select title, page_id, flags, label, description, types, year,
    coalesce(
        qid::ubigint,
        $page_id_base + page_id,
        $title_id_base + place + max(slot::bigint - place) over (
            partition by qid is null and page_id is null order by slot, title
        )
    )::uinteger as entity_id
from placed
"""
"""Ids of bare titles probe linearly: id_i = i + max over j <= i of (slot_j - j), in order of slots."""

KNOWN_ENTITIES_SQL = """
create or replace temp table known_entities as
with listed as (
    select entity_id, extra.description, extra.types, extra.year
    from extra join title_entity using (title)
    union all
    select qid, description, types, year from extra where title is null
),
described as (
    select entity_id, min(description) as description, min(year) as year,
        list_sort(list_distinct(flatten(list(types)))) as types
    from listed group by entity_id
),
named as (
    select entity_id, title, page_id, flags, label, description, types, year from title_entity
    union all
    select distinct extra.qid, coalesce(raw_qids.title, items.title, 'Q' || extra.qid), null::uinteger,
        []::varchar[], coalesce(raw_qids.label, raw_qids.title, items.label), null, []::varchar[], null
    from extra left join raw_qids using (qid) left join items using (qid)
    where extra.title is null
),
ranked as (
    select *, row_number() over (
        partition by entity_id order by page_id nulls last, label is null and title like 'Q%', title
    ) as place
    from named
),
told as (
    select entity_id, ranked.title, ranked.label,
        list_sort(list_distinct(ranked.flags || coalesce(items.flags, []))) as flags,
        coalesce(ranked.description, described.description, items.description) as description,
        case when len(items.types) > 0 then items.types when len(described.types) > 0
            then described.types else ranked.types end as types,
        coalesce(items.year, described.year, ranked.year) as year
    from ranked left join described using (entity_id) left join items on items.qid = entity_id
    where place = 1
)
select * replace (
    case when len(types) = 0 or list_has_any(types, $work_types::varchar[]) then year end as year
) from told
"""
"""Types and year are Wikidata's, else those of the caller's files, else those of the page itself; a year is
that of a work, so what has other types alone has none."""

OUTCOMES_SQL = """
create or replace temp table outcomes as
with wanted as (
    select target as title from raw_names union select title from raw_pages
    union select title from raw_extra where title is not null
),
ended as (
    select wanted.title, coalesce(hops.target, wanted.title) as final, hops.target is not null as hopped
    from wanted left join hops using (title)
)
select
    ended.title,
    title_entity.entity_id,
    case
        when title_entity.entity_id is not null then null
        when final in (select title from hops) then $redirect_loop
        when final in (select title from articles) then $target_disambiguation
        when hopped then $redirect_target_missing
        else $target_missing
    end as reason
from ended left join title_entity on title_entity.title = final
"""

_QID_CONFLICTS_SQL = """
select extra.title, extra.qid from extra join title_qids using (title)
where extra.qid <> title_qids.qid
order by all
"""


def resolve_titles(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, int]]:
    """Make `title_entity`, `known_entities` and `outcomes`.

    Returns:
        Rows of further files whose QID is not the one their title has: the title decided.
    """
    for statement in (PAGES_SQL, TITLES_SQL, HOPS_SQL):
        connection.execute(statement)
    _follow_hops(connection)
    for statement in (ITEMS_SQL, ARTICLES_SQL, EXTRA_SQL, TITLE_QIDS_SQL):
        connection.execute(statement)
    connection.execute(UNNAMED_QIDS_SQL, {"disambiguation": DISAMBIGUATION})
    connection.execute(EXTRA_SQL)
    connection.execute(
        TITLE_ENTITY_SQL,
        {
            "disambiguation": DISAMBIGUATION,
            "page_id_base": PAGE_ID_BASE,
            "title_id_base": TITLE_ID_BASE,
            "title_id_slots": TITLE_ID_SLOTS,
        },
    )
    connection.execute(KNOWN_ENTITIES_SQL, {"work_types": sorted(WORK_TYPES)})
    reasons = (
        Reason.REDIRECT_LOOP,
        Reason.REDIRECT_TARGET_MISSING,
        Reason.TARGET_DISAMBIGUATION,
        Reason.TARGET_MISSING,
    )
    connection.execute(OUTCOMES_SQL, {str(reason): str(reason) for reason in reasons})
    return connection.execute(_QID_CONFLICTS_SQL).fetchall()


def _follow_hops(connection: duckdb.DuckDBPyConnection) -> None:
    """Double the reach of each hop until all chains have ended; those left over are loops."""
    unfinished = _count_unfinished(connection)
    for _ in range(math.ceil(math.log2(unfinished + 1)) + 1):
        if _count_unfinished(connection) == 0:
            return
        connection.execute(DOUBLE_HOPS_SQL)


def _count_unfinished(connection: duckdb.DuckDBPyConnection) -> int:
    return int(connection.execute(UNFINISHED_SQL).fetchall()[0][0])
