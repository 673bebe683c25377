"""Files of new rows against the tables a store holds: what to add, what to change, and whom it touches.

Users and items the store knows keep their ids; the others get the next ones, in the order of their names. A
row of a (user, item) or (domain, item) that is there already is merged by the policy of the import
(`ImportConfig.duplicates`), the stored row standing before those of the files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from mekb.errors import SourceError
from mekb.schema import INTERACTIONS, ITEMS, USERS
from mekb.sources.config import INTERACTION_COLUMNS, ITEM_COLUMNS, ImportConfig
from mekb.sources.report import FileReport
from mekb.sources.rows import judge_interactions, judge_items
from mekb.sources.source_files import Given, read_files
from mekb.sources.tables import (
    INTERACTION_ROWS,
    PREFERRED,
    check_renamed,
    named_items,
    placed,
)

HOMES_SQL = """
with homes as (
    select domain, item from source_named_items
    union
    select domain, external_id as item from items
)
select item, min(domain) as domain, count(*) > 1 as is_shared
from homes group by item order by item
"""

ADDED_ITEMS_SQL = """
with given as (
    select domain, item, title, text, brand, categories, true as is_described from source_named_items
    union all
    select distinct domain, item, '' as title, '' as text, null as brand, [] as categories, false
    from source_interaction_rows
    anti join source_named_items using (domain, item)
),
matched as (
    select given.*, items.item_id,
           coalesce(items.title <> '' or items.text <> '' or items.brand is not null
                    or len(items.categories) > 0, false) as was_described,
           (given.title, given.text, given.brand, given.categories)
               is distinct from (items.title, items.text, items.brand, items.categories) as differs
    from given
    left join items on items.domain = given.domain and items.external_id = given.item
)
select cast(coalesce(
           item_id, $next_id + row_number() over (partition by item_id is null order by domain, item) - 1
       ) as uinteger) as item_id,
       item as external_id, domain, title, text, brand, categories,
       item_id is null as is_new, is_described and was_described as is_repeated
from matched
where item_id is null or (is_described and differs and not (was_described and $policy = 'first'))
order by 1
"""

ADDED_USERS_SQL = """
with seen as (
    select distinct "user" as external_id from source_interaction_rows
)
select cast($next_id + row_number() over (order by external_id) - 1 as uinteger) as user_id, external_id
from seen anti join users using (external_id)
order by user_id
"""

ADDED_INTERACTIONS_SQL = f"""
with known_users as (
    select user_id, external_id from users union all select user_id, external_id from source_users
),
known_items as (
    select item_id, domain, external_id from items
    union all
    select item_id, domain, external_id from source_items where is_new
),
incoming as (
    select known_users.user_id, known_items.item_id, given."at", given.rating,
           coalesce(given.rating >= $positive_from, true) as positive, given.place
    from source_interaction_rows as given
    join known_users on known_users.external_id = given."user"
    join known_items on known_items.domain = given.domain and known_items.external_id = given.item
),
standing as (
    select interactions.*, -1 as place from interactions semi join incoming using (user_id, item_id)
),
ranked as (
    select *, row_number() over (partition by user_id, item_id order by {PREFERRED}) as choice
    from (select * from incoming union all by name select * from standing)
),
kept as (
    select * from ranked where choice = 1 and place >= 0
)
select kept.user_id, kept.item_id, kept."at", kept.rating, kept.positive,
       standing.user_id is null as is_new
from kept left join standing on kept.user_id = standing.user_id and kept.item_id = standing.item_id
where standing.user_id is null
    or (kept."at", kept.rating, kept.positive)
        is distinct from (standing."at", standing.rating, standing.positive)
order by kept.user_id, kept.item_id
"""  # noqa: S608  a constant of ours

REPEATED_SQL = """
with named as (
    select "user", domain, item, count(*) as n_rows from source_interaction_rows group by all
),
standing as (
    select users.external_id as "user", items.domain, items.external_id as item
    from interactions join users using (user_id) join items using (item_id)
    where users.external_id in (select "user" from named)
)
select coalesce(sum(named.n_rows - 1), 0) + count(standing.item)
from named left join standing using ("user", domain, item)
"""


class AdditionReport(BaseModel):
    """The account of an addition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: tuple[FileReport, ...]
    n_new_users: int
    n_new_items: int
    n_changed_items: int
    """Items whose title, text, brand or categories are others now."""
    n_new_interactions: int
    n_changed_interactions: int
    n_merged_interactions: int
    """Rows that changed nothing: repeated, or not preferred to what the store holds."""
    n_touched_users: int
    """Users with a new or changed interaction."""


@dataclass(frozen=True)
class Additions:
    """Rows to put into the three tables, beside the others and in place of those with the same keys."""

    tables: Mapping[str, pa.Table]
    touched: pa.Table
    """Column `user_id`: users with a new or changed interaction."""
    report: AdditionReport


def read_additions(
    connection: duckdb.DuckDBPyConnection,
    items: Sequence[Given],
    interactions: Sequence[Given],
    config: ImportConfig,
) -> Additions:
    """Read files of new items and interactions against the tables of a store; nothing is written.

    Args:
        connection: to a database with the tables items, users and interactions.
        items: files with a row an item; may be none.
        interactions: files with a row an interaction; may be none.
        config: columns and policies.

    Raises:
        SourceError: if a file cannot be read as what it claims to be, a column is missing, an item id
            without a domain is in several domains, or a policy says so.
    """
    cursor = connection.cursor()
    try:
        return _read_additions(cursor, items, interactions, config)
    finally:
        cursor.close()


def _read_additions(
    cursor: duckdb.DuckDBPyConnection,
    item_paths: Sequence[Given],
    interaction_paths: Sequence[Given],
    config: ImportConfig,
) -> Additions:
    item_files = read_files(item_paths, ITEM_COLUMNS, ("item", "title"), config)
    event_files = read_files(interaction_paths, INTERACTION_COLUMNS, ("user", "item"), config)
    check_renamed(item_files, event_files, config)
    item_rows = [judge_items(cursor, raw, config) for raw in item_files]
    cursor.register("source_named_items", named_items(cursor, item_rows, config))
    homes = cursor.sql(HOMES_SQL).to_arrow_table()
    event_rows = [judge_interactions(cursor, raw, homes, config) for raw in event_files]
    events = placed(event_rows, INTERACTION_ROWS)
    cursor.register("source_interaction_rows", events)
    _check_repeated(cursor, config)

    policy = {"policy": config.duplicates}
    new_items = _added(
        cursor, "items", ADDED_ITEMS_SQL, {"next_id": _next_id(cursor, "items"), **policy}
    )
    new_users = _added(cursor, "users", ADDED_USERS_SQL, {"next_id": _next_id(cursor, "users")})
    changes = _added(
        cursor,
        "interactions",
        ADDED_INTERACTIONS_SQL,
        {"positive_from": config.positive_from, **policy},
    )
    touched = changes.select(["user_id"]).group_by("user_id").aggregate([]).sort_by("user_id")
    n_new_items, n_new_events = (_n_true(table["is_new"]) for table in (new_items, changes))
    report = AdditionReport(
        files=tuple(rows.report for rows in (*item_rows, *event_rows)),
        n_new_users=new_users.num_rows,
        n_new_items=n_new_items,
        n_changed_items=new_items.num_rows - n_new_items,
        n_new_interactions=n_new_events,
        n_changed_interactions=changes.num_rows - n_new_events,
        n_merged_interactions=events.num_rows - changes.num_rows,
        n_touched_users=touched.num_rows,
    )
    tables = {
        "items": new_items.select(ITEMS.names).cast(ITEMS),
        "users": new_users.select(USERS.names).cast(USERS),
        "interactions": changes.select(INTERACTIONS.names).cast(INTERACTIONS),
    }
    return Additions(tables, touched, report)


def _check_repeated(cursor: duckdb.DuckDBPyConnection, config: ImportConfig) -> None:
    """Refuse rows the store holds already, or holds twice now, where the policy says so."""
    if config.duplicates != "error":
        return
    found = cursor.execute(REPEATED_SQL).fetchall()[0][0]
    if found:
        raise SourceError(
            f"{found:,} rows repeat a (user, item); drop them, or set `duplicates` to last, first or max"
        )


_NEXT_IDS = {
    "items": "select coalesce(max(item_id) + 1, 0) from items",
    "users": "select coalesce(max(user_id) + 1, 0) from users",
}


def _next_id(cursor: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(cursor.execute(_NEXT_IDS[table]).fetchall()[0][0])


def _added(
    cursor: duckdb.DuckDBPyConnection, table: str, query: str, parameters: Mapping[str, object]
) -> pa.Table:
    """Return the rows for a table, and leave them registered for the queries that follow."""
    rows = cursor.sql(query, params=dict(parameters)).to_arrow_table()
    cursor.register(f"source_{table}", rows)
    return rows


def _n_true(column: pa.ChunkedArray) -> int:
    return sum(column.to_pylist())
