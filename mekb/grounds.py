"""What an interest rests on, of every item: where its entities stand in its texts, and what is related to them.

In: a store. Out: two tables sorted by their first column, which a bundle carries so that a recommendation can be
taken apart down to the characters without the store.

    item_id -> entity, field, start, stop, surface, P(e|m)        text[start:stop] is the surface
    entity  -> predicate, other entity, in which direction        only entities with a name
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mekb.store import Store

ITEM_EVIDENCE = pa.schema(
    [
        pa.field("item_id", pa.uint32()),
        pa.field("entity_id", pa.uint32()),
        pa.field("field", pa.dictionary(pa.int8(), pa.string())),
        pa.field("start", pa.uint32()),
        pa.field("stop", pa.uint32()),
        pa.field("surface", pa.dictionary(pa.int32(), pa.string())),
        pa.field("prior", pa.float32()),
    ]
)
"""Sorted by item_id, entity_id, field, start. `field` is "title" or "text" for a mention, "brand", "categories" or
"title" (of a product) for what the item itself names; offsets are code points of that field (of the one category)."""

RELATED = pa.schema(
    [
        pa.field("entity_id", pa.uint32()),
        pa.field("predicate", pa.dictionary(pa.int32(), pa.string())),
        pa.field("other_id", pa.uint32()),
        pa.field("is_object", pa.bool_()),
    ]
)
"""Sorted by entity_id, predicate, other_id. Where `is_object`, the statement is (other, predicate, entity)."""

ITEM_EVIDENCE_SQL = """
with attributes as (
    select item_id, 'brand' as kind, 'brand' as field, brand as value from items
    union all
    select item_id, 'category', 'categories', unnest(categories) from items
    union all
    select item_id, 'product', 'title', title from items
),
named as (
    select distinct attributes.item_id, custom_entities.entity_id, attributes.field,
           length(value) - length(ltrim(value)) as start,
           length(value) - length(ltrim(value)) + length(trim(value)) as stop,
           trim(value) as surface, 1.0 as prior
    from attributes join custom_entities
        on attributes.kind = custom_entities.kind and trim(value) = custom_entities.title
)
select item_id, entity_id, field, start, stop, surface, prior
from (
    select item_id, entity_id, field, start, stop, surface, prior from mentions
    union all
    select * from named
    {keywords}
)
semi join item_entities using (item_id, entity_id)
order by item_id, entity_id, field, start, stop
"""
KEYWORDS = (
    "union all select item_id, entity_id, field, start, stop, surface, 1.0 from keyword_mentions"
)

RELATED_SQL = """
with named as (
    select entity_id from entities union all select entity_id from custom_entities
),
held as (select distinct entity_id from item_entities),
stated as (
    select subject as entity_id, predicate, object as other_id, false as is_object from relations
    union all
    select object, predicate, subject, true from relations
)
select stated.entity_id, predicate, other_id, is_object
from stated
semi join held on stated.entity_id = held.entity_id
semi join named on stated.other_id = named.entity_id
where stated.entity_id <> other_id
order by stated.entity_id, predicate, other_id, is_object
"""


@dataclass(frozen=True)
class Grounds:
    """The evidence of items, and the relations of their entities."""

    evidence: pa.Table
    """Rows of `ITEM_EVIDENCE`."""
    relations: pa.Table | None = None
    """Rows of `RELATED`; None where there are none."""

    def evidence_of(self, item_ids: npt.NDArray[np.uint32]) -> pa.Table:
        """Return the rows of the given items, in their order."""
        own = np.isin(self.evidence["item_id"].to_numpy(), item_ids)
        return self.evidence.filter(pa.array(own)).combine_chunks()


NO_GROUNDS = Grounds(ITEM_EVIDENCE.empty_table())


def read_grounds(store: Store) -> Grounds:
    """Return what the interests of a linked store rest on."""
    keywords = KEYWORDS if store.has("keyword_mentions") else ""
    evidence = store.query(ITEM_EVIDENCE_SQL.format(keywords=keywords))
    relations = _as(store.query(RELATED_SQL), RELATED) if store.has("relations") else None
    return Grounds(
        _as(evidence, ITEM_EVIDENCE),
        relations if relations is not None and relations.num_rows else None,
    )


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with its texts as dictionaries, each text once, and its numbers as the schema has them."""
    columns = [
        table[field.name].combine_chunks().dictionary_encode().cast(field.type)
        if pa.types.is_dictionary(field.type)
        else table[field.name].cast(field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)
