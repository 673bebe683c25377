"""What the page needs of a store beside a person's graph: the texts of what they liked, and relations."""

from collections.abc import Sequence

from mekb.interests import user_id_of
from mekb.page.content import ItemKey, ShownRelation
from mekb.store import Store

RELATIONS_EACH = 8
"""Relations shown of one interest, the most telling first."""

MEANINGS = {
    "P17": "country",
    "P31": "instance of",
    "P50": "author",
    "P57": "director",
    "P86": "composer",
    "P106": "occupation",
    "P131": "located in",
    "P136": "genre",
    "P144": "based on",
    "P161": "cast member",
    "P170": "creator",
    "P175": "performer",
    "P179": "part of the series",
    "P276": "location",
    "P279": "subclass of",
    "P361": "part of",
    "P495": "country of origin",
    "P527": "has part",
    "P674": "character",
    "P840": "set in",
    "P921": "main subject",
}
"""Wikidata's properties in words; one that is not here is called by its id."""

TEXTS_SQL = """
select domain, external_id, text from interactions join items using (item_id)
where user_id = $user_id and positive
"""

RELATIONS_SQL = """
with named as (
    select entity_id, coalesce(nullif(label, ''), title) as label from entities
    union all
    select entity_id, coalesce(nullif(label, ''), title) from custom_entities
),
own as (
    select subject, predicate, object, named.label
    from relations join named on object = named.entity_id
    where list_contains($ids, subject) and subject <> object
),
degrees as (
    select predicate, object, count(*) as degree
    from relations semi join own using (predicate, object) group by predicate, object
)
select subject, predicate, object, label from own join degrees using (predicate, object)
qualify row_number() over (partition by subject order by degree, predicate, object) <= $most
order by subject, degree, predicate, object
"""
"""Of each entity the relations that fewest others have: "based on" before "instance of: film"."""


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
    """Return relations of entities to named entities, at most `most` each; none where the store has none."""
    if not store.has("relations"):
        return ()
    rows = store.query(RELATIONS_SQL, {"ids": list(entity_ids), "most": most}).to_pylist()
    return tuple(
        ShownRelation(meaning=MEANINGS.get(row["predicate"], row["predicate"]), **row)
        for row in rows
    )
