"""Files of items and interactions to the tables items, users and interactions, with a report.

Ids are dense and depend on the set of names alone: `item_id` counts (domain, external id) in order,
`user_id` counts external ids, so shuffled rows give the same tables.

An item that only interactions name is kept for collaborative models, with an empty title and text: its
id is no title ("007" would be linked to a film). An interaction that names no domain gets the domain of
its file (`file_domains`, `default_domain`), else of the item with its id, which must then be one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from mekb.errors import SourceError
from mekb.schema import INTERACTIONS, ITEMS, USERS
from mekb.sources.config import INTERACTION_COLUMNS, ITEM_COLUMNS, ImportConfig
from mekb.sources.formats import RawTable
from mekb.sources.notes import notes_on
from mekb.sources.read import missing_column
from mekb.sources.report import DomainCounts, ImportReport
from mekb.sources.rows import Rows, judge_interactions, judge_items
from mekb.sources.source_files import Given, read_files

ITEM_ROWS = pa.schema(
    [
        pa.field("item", pa.string()),
        pa.field("domain", pa.string()),
        pa.field("title", pa.string()),
        pa.field("text", pa.string()),
        pa.field("brand", pa.string()),
        pa.field("categories", pa.list_(pa.string())),
    ]
)
"""The rows of all items files, in order."""

INTERACTION_ROWS = pa.schema(
    [
        pa.field("user", pa.string()),
        pa.field("item", pa.string()),
        pa.field("domain", pa.string()),
        pa.field("rating", pa.float32()),
        pa.field("at", pa.timestamp("us")),
    ]
)
"""The rows of all interactions files, in order."""

NAMED_ITEMS_SQL = """
with ranked as (
    select
        *,
        row_number() over (
            partition by domain, item
            order by case when $policy = 'first' then place else -place end
        ) as choice
    from source_item_rows
)
select domain, item, title, text, brand, categories
from ranked
where choice = 1
order by domain, item
"""

ITEMS_SQL = """
with seen as (
    select distinct domain, item from source_interaction_rows
),
known as (
    select domain, item, title, text, brand, categories from source_named_items
    union all
    select domain, item, '' as title, '' as text, null as brand, [] as categories
    from seen
    anti join source_named_items using (domain, item)
)
select
    cast(row_number() over (order by domain, item) - 1 as uinteger) as item_id,
    item as external_id,
    domain,
    title,
    text,
    brand,
    categories
from known
order by item_id
"""

USERS_SQL = """
with seen as (
    select distinct "user" as external_id from source_interaction_rows
)
select cast(row_number() over (order by external_id) - 1 as uinteger) as user_id, external_id
from seen
order by user_id
"""

PREFERRED = """
                case when $policy = 'max' then rating end desc nulls last,
                case when $policy = 'first' then -epoch_us("at") else epoch_us("at") end
                    desc nulls last,
                case when $policy = 'first' then -place else place end desc"""
"""Which row of a (user, item) is kept stands first: `ImportConfig.duplicates`."""

INTERACTIONS_SQL = f"""
with ranked as (
    select
        *,
        row_number() over (
            partition by "user", domain, item
            order by {PREFERRED}
        ) as choice
    from source_interaction_rows
)
select
    user_id,
    item_id,
    ranked."at",
    ranked.rating,
    coalesce(ranked.rating >= $positive_from, true) as positive
from ranked
join source_users on source_users.external_id = ranked."user"
join source_items
    on source_items.domain = ranked.domain and source_items.external_id = ranked.item
where choice = 1
order by user_id, item_id
"""  # noqa: S608  a constant of ours

HOMES_SQL = """
select item, min(domain) as domain, count(*) > 1 as is_shared
from source_named_items
group by item
order by item
"""

DOMAINS_SQL = """
with events as (
    select domain, interactions.user_id, positive
    from source_interactions as interactions
    join source_items using (item_id)
),
counted as (
    select
        domain,
        count(distinct user_id) as n_users,
        count(*) as n_interactions,
        count(*) filter (positive) as n_positive
    from events
    group by domain
)
select
    domain,
    count(*) as n_items,
    coalesce(any_value(n_users), 0) as n_users,
    coalesce(any_value(n_interactions), 0) as n_interactions,
    coalesce(any_value(n_positive), 0) as n_positive
from source_items
left join counted using (domain)
group by domain
order by domain
"""


@dataclass(frozen=True)
class ImportedTables:
    """The three tables, each with the exact schema of `mekb.schema`, and the account of the import."""

    items: pa.Table
    users: pa.Table
    interactions: pa.Table
    report: ImportReport


def read_tables(
    connection: duckdb.DuckDBPyConnection,
    items: Sequence[Given],
    interactions: Sequence[Given],
    config: ImportConfig,
) -> ImportedTables:
    """Read a user's files into the tables items, users and interactions.

    Args:
        connection: an engine to compute with; nothing is written to its database, and its own tables
            and names are not seen.
        items: files with a row an item; may be none.
        interactions: files with a row an interaction.
        config: columns and policies.

    Returns:
        The tables, sorted by their keys, with a report.

    Raises:
        SourceError: if a file cannot be read as what it claims to be, a column is missing, an item id
            without a domain is in several domains, no row is left, or a policy says so.
    """
    if not interactions:
        raise SourceError("no file of interactions given; there is nothing to learn from")
    cursor = connection.cursor()
    try:
        return _read_tables(cursor, items, interactions, config)
    finally:
        cursor.close()


def _read_tables(
    cursor: duckdb.DuckDBPyConnection,
    item_paths: Sequence[Given],
    interaction_paths: Sequence[Given],
    config: ImportConfig,
) -> ImportedTables:
    """Read, judge and merge, on a connection of our own."""
    item_files = read_files(item_paths, ITEM_COLUMNS, ("item", "title"), config)
    interaction_files = read_files(interaction_paths, INTERACTION_COLUMNS, ("user", "item"), config)
    check_renamed(item_files, interaction_files, config)

    item_rows = [judge_items(cursor, raw, config) for raw in item_files]
    named = named_items(cursor, item_rows, config)
    cursor.register("source_named_items", named)
    homes = cursor.sql(HOMES_SQL).to_arrow_table()
    event_rows = [judge_interactions(cursor, raw, homes, config) for raw in interaction_files]

    tables = _dense_tables(cursor, event_rows, config)
    counts = {
        domain: DomainCounts(n_items=n, n_users=n_users, n_interactions=n_events, n_positive=good)
        for domain, n, n_users, n_events, good in cursor.sql(DOMAINS_SQL).fetchall()
    }
    report = ImportReport(
        files=tuple(rows.report for rows in (*item_rows, *event_rows)),
        n_users=tables["users"].num_rows,
        n_items=tables["items"].num_rows,
        n_interactions=tables["interactions"].num_rows,
        n_positive=sum(count.n_positive for count in counts.values()),
        n_items_without_metadata=tables["items"].num_rows - named.num_rows,
        n_duplicate_interactions=n_kept(event_rows) - tables["interactions"].num_rows,
        n_duplicate_items=n_kept(item_rows) - named.num_rows,
        domains=counts,
        notes=(),
    )
    _check_duplicates(report, config)
    notes = notes_on(report, item_files, interaction_files, config)
    return ImportedTables(**tables, report=report.model_copy(update={"notes": notes}))


def check_renamed(
    items: Sequence[RawTable], interactions: Sequence[RawTable], config: ImportConfig
) -> None:
    """Refuse a column whose name was set by hand and is in no file."""
    for role in dict.fromkeys((*ITEM_COLUMNS, *INTERACTION_COLUMNS)):
        files = [
            *(items if role in ITEM_COLUMNS else ()),
            *(interactions if role in INTERACTION_COLUMNS else ()),
        ]
        absent = all(role not in raw.table.column_names for raw in files)
        if files and absent and config.is_renamed(role):
            column = str(getattr(config, role))
            raise SourceError(missing_column(files[-1].path, role, column, files[-1].columns))


def _check_duplicates(report: ImportReport, config: ImportConfig) -> None:
    """Refuse repeated rows where the policy says so."""
    if config.duplicates != "error":
        return
    for what, n_rows in (
        ("(user, item)", report.n_duplicate_interactions),
        ("(domain, item)", report.n_duplicate_items),
    ):
        if n_rows:
            raise SourceError(
                f"{n_rows:,} rows repeat a {what}; drop them, or set `duplicates` to last, first or max"
            )


def named_items(
    cursor: duckdb.DuckDBPyConnection, rows: Sequence[Rows], config: ImportConfig
) -> pa.Table:
    """Return one row a (domain, item) of the items files."""
    cursor.register("source_item_rows", placed(rows, ITEM_ROWS))
    params = {"policy": config.duplicates}
    return cursor.sql(NAMED_ITEMS_SQL, params=params).to_arrow_table()


def _dense_tables(
    cursor: duckdb.DuckDBPyConnection, rows: Sequence[Rows], config: ImportConfig
) -> dict[str, pa.Table]:
    """Number items and users, merge repeated interactions, and leave the results registered."""
    cursor.register("source_interaction_rows", placed(rows, INTERACTION_ROWS))
    params = {"policy": config.duplicates, "positive_from": config.positive_from}
    tables: dict[str, pa.Table] = {}
    for name, schema, query, values in (
        ("items", ITEMS, ITEMS_SQL, {}),
        ("users", USERS, USERS_SQL, {}),
        ("interactions", INTERACTIONS, INTERACTIONS_SQL, params),
    ):
        table = cursor.sql(query, params=values).to_arrow_table()
        columns = [table[field.name].cast(field.type) for field in schema]
        tables[name] = pa.Table.from_arrays(columns, schema=schema)
        cursor.register(f"source_{name}", tables[name])
    return tables


def placed(rows: Sequence[Rows], schema: pa.Schema) -> pa.Table:
    """Return the rows of all files as one table, with their place in the whole."""
    tables = [part.table.select(schema.names).cast(schema) for part in rows]
    table = pa.concat_tables(tables) if tables else schema.empty_table()
    return table.append_column("place", pa.array(range(table.num_rows), pa.int64()))


def n_kept(rows: Sequence[Rows]) -> int:
    """Return how many rows were good."""
    return sum(part.report.n_kept for part in rows)
