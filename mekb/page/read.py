"""What the page needs of a store beside a person's graph: the texts of what they liked, and relations."""

from collections.abc import Sequence

from mekb.interests import user_id_of
from mekb.page.content import ItemKey, ShownRelation
from mekb.store import Store

RELATIONS_EACH = 8
"""Relations shown of one interest, the most telling first."""

TEXTS_SQL = """
select domain, external_id, text from interactions join items using (item_id)
where user_id = $user_id and positive
"""

RELATIONS_SQL = """
with asked as (select unnest($ids) as interest),
named as (
    select entity_id, coalesce(nullif(label, ''), title) as label from entities
    union all
    select entity_id, coalesce(nullif(label, ''), title) from custom_entities
),
both_ways as (
    select subject as interest, predicate, object as other, false as is_object
    from relations semi join asked on subject = asked.interest
    union all
    select object, predicate, subject, true from relations semi join asked on object = asked.interest
),
own as (
    select both_ways.*, label from both_ways join named on other = named.entity_id where interest <> other
),
counted as (
    select own.*, (
        select count(*) from relations
        where relations.predicate = own.predicate and relations.object = if(is_object, interest, other)
    ) as degree
    from own
)
select * exclude (degree) from counted
qualify row_number() over (partition by interest order by degree, predicate, is_object, other) <= $most
order by interest, degree, predicate, is_object, other
"""
"""Of each entity the statements that fewest others share: "based on" before "instance of: film"."""


def read_texts(store: Store, user: str) -> dict[ItemKey, str]:
    """Return the text of every item a user liked, by (domain, external id).

    Raises:
        UnknownError: no such user.
    """
    rows = store.query(TEXTS_SQL, {"user_id": user_id_of(store, user)}).to_pylist()
    return {(row["domain"], row["external_id"]): row["text"] for row in rows}


def read_relations(
    store: Store, entity_ids: Sequence[int], *, most: int = RELATIONS_EACH
) -> tuple[ShownRelation, ...]:
    """Return relations between entities and others that have a name, at most `most` each, the most telling first.

    There are none where the store has none.
    """
    if not entity_ids or not store.has("relations"):
        return ()
    rows = store.query(RELATIONS_SQL, {"ids": list(entity_ids), "most": most}).to_pylist()
    return tuple(ShownRelation(**row) for row in rows)
