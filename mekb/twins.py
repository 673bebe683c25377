"""The same product under two ids: items of two domains that are one thing, and so leak one into the other.

Shops list a product in several categories. Whoever bought it then has it in both domains, and a model that
sees the source row knows the target row: in public pairs of Amazon categories up to 14 % of the test rows.
In: the tables items and interactions. Out: groups of items, each with items of both domains, by four kinds of
evidence:

    buyers  exactly the same users, at least `min_buyers` of them (Jaccard 1)
    events  exactly the same (user, time) rows, at least `min_events`, where times are finer than a day
    id      the same external id, where it cannot be chance: both have the same title, or the ids are of a
            kind that is given once (ASIN, ISBN, UUID) and no title contradicts
    text    the same title and the same text, but for case, punctuation and spaces

Sets of users are compared by (size, xor and sum of hashes), then by their very members: the work grows with the
rows, never with pairs of items.
"""

from collections.abc import Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TWINS", "TwinConfig", "source_twins", "twins"]

TWINS = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("group_id", pa.uint32(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),
        pa.field("item_id", pa.uint32(), nullable=False),
        pa.field("n_buyers", pa.uint32(), nullable=False),
    ]
)
"""One row an item of a group; groups are numbered from 1 within a kind."""


class TwinConfig(BaseModel):
    """How much evidence makes two items one product."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_buyers: int = Field(default=4, ge=1)
    """Fewest users of two items with the same ones. With users dealt anew at random, no pair of the Amazon
    categories has 4 in common; with 2 and 3, chance has a part."""
    min_events: int = Field(default=2, ge=1)
    """Fewest (user, time) rows of two items with the same ones."""
    min_text: int = Field(default=20, ge=1)
    """Letters and digits a text must have to tell anything; "Paperback" does not."""


BUYERS_SQL = """
with events as (
    select items.domain, interactions.item_id, interactions.user_id, hash(user_id) as mark
    from interactions join items using (item_id)
    where items.domain in ($source, $target)
),
sets as (
    select domain, item_id, count(*) as n_buyers, bit_xor(mark) as folded, sum(mark) as total
    from events
    group by domain, item_id
    having count(*) >= $min_buyers
),
alike as (
    select n_buyers, folded, total from sets
    group by n_buyers, folded, total
    having count(distinct domain) = 2
),
suspects as (
    select item_id from sets semi join alike using (n_buyers, folded, total)
)
select domain, item_id, count(*) as n_buyers, list(user_id order by user_id) as key
from events semi join suspects using (item_id)
group by domain, item_id
"""

EVENTS_SQL = """
with events as (
    select items.domain, interactions.item_id, user_id, interactions."at",
           hash(user_id, interactions."at") as mark
    from interactions join items using (item_id)
    where items.domain in ($source, $target)
),
resolved as (
    select coalesce(bool_or("at" <> date_trunc('day', "at")), false) as is_fine from events
),
sets as (
    select domain, item_id, count(*) as n_buyers, bit_xor(mark) as folded, sum(mark) as total
    from events
    where (select is_fine from resolved)
    group by domain, item_id
    having count(*) >= $min_events and count("at") = count(*)
),
alike as (
    select n_buyers, folded, total from sets
    group by n_buyers, folded, total
    having count(distinct domain) = 2
),
suspects as (
    select item_id from sets semi join alike using (n_buyers, folded, total)
)
select domain, item_id, count(*) as n_buyers,
       list({'user': user_id, 'at': "at"} order by user_id, "at") as key
from events semi join suspects using (item_id)
group by domain, item_id
"""

ID_SQL = r"""
with plain as (
    select domain, item_id, external_id,
           trim(regexp_replace(lower(title), '[^\p{L}\p{N}]+', ' ', 'g')) as title
    from items
    where domain in ($source, $target)
),
alike as (
    select external_id
    from plain
    group by external_id
    having count(distinct domain) = 2
       and case when bool_and(title <> '') then count(distinct title) = 1
                else regexp_full_match(
                    external_id, '(?i)[0-9]{9}[0-9X]|B[A-Z0-9]{9}|97[89][0-9]{10}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
                )
           end
),
sizes as (
    select item_id, count(*) as n_buyers from interactions group by item_id
)
select plain.domain, plain.item_id, coalesce(n_buyers, 0) as n_buyers, external_id as key
from plain semi join alike using (external_id) left join sizes using (item_id)
"""

TEXT_SQL = r"""
with plain as (
    select domain, item_id,
           trim(regexp_replace(lower(title), '[^\p{L}\p{N}]+', ' ', 'g')) as title,
           trim(regexp_replace(lower(text), '[^\p{L}\p{N}]+', ' ', 'g')) as text
    from items
    where domain in ($source, $target) and title <> '' and length(text) >= $min_text
),
sizes as (
    select item_id, count(*) as n_buyers from interactions group by item_id
)
select domain, item_id, coalesce(n_buyers, 0) as n_buyers, {'title': title, 'text': text} as key
from plain left join sizes using (item_id)
where title <> '' and length(text) >= $min_text and lower(title) <> text
"""

GROUPS_SQL = """
with groups as (
    select key, count(*) filter (domain = $source) as n_source, min(item_id) as first_item
    from twin_keys
    group by key
    having n_source > 0 and count(*) > n_source
),
numbered as (
    select key, row_number() over (order by first_item) as group_id from groups
)
select cast(group_id as uinteger) as group_id, domain, item_id,
       cast(twin_keys.n_buyers as uinteger) as n_buyers
from twin_keys join numbered using (key)
order by group_id, domain, item_id
"""


def twins(
    connection: duckdb.DuckDBPyConnection,
    source: str,
    target: str,
    config: TwinConfig | None = None,
) -> pa.Table:
    """Return the groups of items that two domains have in common, with `TWINS` as its schema.

    Args:
        connection: To a database with the tables items and interactions; nothing is written to it.
        source: One domain.
        target: The other.
        config: How much evidence is asked for.
    """
    chosen = config or TwinConfig()
    domains = {"source": source, "target": target}
    queries = {
        "buyers": (BUYERS_SQL, {"min_buyers": chosen.min_buyers}),
        "events": (EVENTS_SQL, {"min_events": chosen.min_events}),
        "id": (ID_SQL, {}),
        "text": (TEXT_SQL, {"min_text": chosen.min_text}),
    }
    cursor = connection.cursor()
    try:
        parts = []
        for kind, (query, values) in queries.items():
            keys = cursor.sql(query, params=domains | values).to_arrow_table()
            cursor.register("twin_keys", keys)
            groups = cursor.sql(GROUPS_SQL, params={"source": source}).to_arrow_table()
            cursor.unregister("twin_keys")
            kinds = pa.repeat(pa.scalar(kind, pa.string()), groups.num_rows)
            parts.append(groups.add_column(0, "kind", kinds).cast(TWINS))
        return pa.concat_tables(parts)
    finally:
        cursor.close()


def source_twins(
    connection: duckdb.DuckDBPyConnection,
    sources: Sequence[str],
    target: str,
    config: TwinConfig | None = None,
) -> dict[str, pa.Array]:
    """Return the ids of the items of each source domain that are items of the target, sorted.

    Args:
        connection: To a database with the tables items and interactions.
        sources: The domains whose items would be left out.
        target: The domain recommended in.
        config: How much evidence is asked for.
    """
    found = {}
    for source in sources:
        groups = twins(connection, source, target, config)
        ids = groups["item_id"].filter(pc.equal(groups["domain"], source))
        found[source] = pc.unique(ids.combine_chunks()).sort()
    return found
