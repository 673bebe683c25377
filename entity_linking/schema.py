"""The two tables this package writes: mentions found in item text, and the entities of each item."""

import pyarrow as pa

from alias_tables.schema import table_schema

TEXTS = pa.schema(
    [
        pa.field("item_id", pa.uint32(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("domain", pa.string()),
        pa.field("context", pa.string()),
    ]
)
"""What the linker reads: one text of one item; `field` is "title" or "text".

`domain` (that of the item) and `context` (what else is written about it: its text for a title, its title
for a text) may be null, and their columns may be absent.
"""

RANKING = pa.list_(
    pa.struct([("entity_id", pa.uint32()), ("prior", pa.float32()), ("score", pa.float32())])
)
"""The candidates of a mention, best first."""

REASONS = ("context", "highest_prior", "nil", "only_candidate", "type", "type_and_year", "year")
"""Why an entity was taken (`disambiguate.Reason`); "nil" stands in no table, for it marks what was not linked."""

MENTIONS = table_schema(
    [
        pa.field("item_id", pa.uint32(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("start", pa.uint32(), nullable=False),
        pa.field("stop", pa.uint32(), nullable=False),
        pa.field("surface", pa.string(), nullable=False),
        pa.field("entity_id", pa.uint32(), nullable=False),
        pa.field("prior", pa.float32(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("n_candidates", pa.uint32(), nullable=False),
        pa.field("candidates", RANKING, nullable=False),
        pa.field("detector", pa.string(), nullable=False),
    ],
    key=["item_id", "field", "start"],
    sort=["item_id", "field", "start"],
    checks={
        "offsets_in_order": "select * from mentions where not (start < stop)",
        "prior_in_unit_interval": "select * from mentions where not (prior > 0 and prior <= 1)",
        "score_in_unit_interval": "select * from mentions where not (score > 0 and score <= 1)",
        "reason_known": f"select * from mentions where reason not in {REASONS}",  # noqa: S608  a constant of ours
        "chosen_stands_first": "select * from mentions"
        " where candidates[1].entity_id is distinct from entity_id or len(candidates) > n_candidates",
        "no_overlap": "select * from (select *, lead(start) over"
        " (partition by item_id, field order by start) as next_start from mentions)"
        " where next_start < stop",
        "item_known": "select * from mentions anti join items using (item_id)",
        "surface_is_text_at_offsets": "select * from (select mentions.*, case field when 'title'"
        " then items.title else items.text end as source from mentions join items using (item_id))"
        " where source[start + 1:stop] is distinct from surface",
    },
)
"""One row a linked mention: `text[start:stop] == surface` in code points of the original text.

`prior` is P(e|m) of the chosen entity, `score` what the chooser compared (the prior itself for AT@1) and
`reason` why it was taken; `n_candidates` is how many there were, `candidates` the best of them by score, the
chosen one first. `detector` is who found the span: "title" (the whole title), "ner" or "dictionary".
"""

ITEM_ENTITIES = table_schema(
    [
        pa.field("item_id", pa.uint32(), nullable=False),
        pa.field("entity_id", pa.uint32(), nullable=False),
        pa.field("n_mentions", pa.uint32(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("weight", pa.float32(), nullable=False),
    ],
    key=["item_id", "entity_id"],
    sort=["item_id", "entity_id"],
    checks={
        "score_in_unit_interval": "select * from item_entities where not (score > 0 and score <= 1)",
        "weight_positive": "select * from item_entities where not (weight > 0)",
        "item_known": "select * from item_entities anti join items using (item_id)",
    },
)
"""One row an (item, entity), however often it is mentioned there: the scorer counts items, not mentions.

`score` is the best prior among the mentions (1 for a custom entity, which the item itself names);
`weight` is the multiplier of the entity's kind (paper 002, appendix A: 1.0, 0.5, 0.3, 0.1).
"""
