"""The tables this package writes, and the catalogue of all tables of a store.

Tables of the lower floors are declared where they are written and only listed here.
"""

import pyarrow as pa

from alias_tables.schema import ALIASES, ENTITIES, GRAPH_ENTITIES, table_schema
from entity_linking.schema import ITEM_ENTITIES, MENTIONS

ITEMS = table_schema(
    [
        pa.field("item_id", pa.uint32(), nullable=False),
        pa.field("external_id", pa.string(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("brand", pa.string()),
        pa.field("categories", pa.list_(pa.string()), nullable=False),
    ],
    key=["item_id"],
    sort=["item_id"],
    checks={
        "external_id_unique_in_domain": "select domain, external_id from items"
        " group by domain, external_id having count(*) > 1",
    },
)

USERS = table_schema(
    [
        pa.field("user_id", pa.uint32(), nullable=False),
        pa.field("external_id", pa.string(), nullable=False),
    ],
    key=["user_id"],
    sort=["user_id"],
    checks={
        "external_id_unique": "select external_id from users group by external_id having count(*) > 1",
    },
)

INTERACTIONS = table_schema(
    [
        pa.field("user_id", pa.uint32(), nullable=False),
        pa.field("item_id", pa.uint32(), nullable=False),
        pa.field("at", pa.timestamp("us")),
        pa.field("rating", pa.float32()),
        pa.field("positive", pa.bool_(), nullable=False),
    ],
    key=["user_id", "item_id"],
    sort=["user_id", "item_id"],
    checks={
        "user_known": "select * from interactions anti join users using (user_id)",
        "item_known": "select * from interactions anti join items using (item_id)",
        "rating_finite": "select * from interactions where rating is not null and not isfinite(rating)",
    },
)
"""One row a (user, item): duplicates of an import are merged by its policy, and counted."""

CUSTOM_ENTITIES = table_schema(
    list(ENTITIES),
    key=["entity_id"],
    sort=["entity_id"],
    checks={"title_not_empty": "select * from custom_entities where title = ''"},
)
"""Entities the data set itself names (brands, categories, products, keywords), beside those of the alias table.

A name keeps its id from one linking to the next."""

KEYWORD_ID_BASE = 4_000_000_000
"""First id of keywords, above all other custom entities."""

KEYWORDS = table_schema(
    [
        pa.field("entity_id", pa.uint32(), nullable=False),
        pa.field("keyword", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("weight", pa.float64()),
        pa.field("surfaces", pa.list_(pa.string()), nullable=False),
    ],
    key=["entity_id"],
    sort=["entity_id"],
    checks={
        "keyword_unique": "select keyword from keywords group by keyword having count(*) > 1",
        "weight_not_negative": "select * from keywords where not (weight >= 0)",
    },
)
"""The dictionary of a domain's own words (`mekb.keywords`); null weight: that of the kind."""

KEYWORD_MENTIONS = table_schema(
    [
        pa.field("item_id", pa.uint32(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("start", pa.uint32(), nullable=False),
        pa.field("stop", pa.uint32(), nullable=False),
        pa.field("surface", pa.string(), nullable=False),
        pa.field("entity_id", pa.uint32(), nullable=False),
    ],
    key=["item_id", "field", "start", "entity_id"],
    sort=["item_id", "field", "start", "entity_id"],
    checks={
        "offsets_in_order": "select * from keyword_mentions where not (start < stop)",
        "item_known": "select * from keyword_mentions anti join items using (item_id)",
        "surface_is_text_at_offsets": "select * from (select keyword_mentions.*, case field when 'title'"
        " then items.title else items.text end as source from keyword_mentions join items using (item_id))"
        " where source[start + 1:stop] is distinct from surface",
    },
)
"""Where keywords stand in items; beside `mentions`, which they may overlap."""

USER_ENTITY = table_schema(
    [
        pa.field("user_id", pa.uint32(), nullable=False),
        pa.field("entity_id", pa.uint32(), nullable=False),
        pa.field("n_items", pa.uint32(), nullable=False),
        pa.field("tf", pa.float64(), nullable=False),
        pa.field("idf", pa.float64(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
        pa.field("rank", pa.uint32(), nullable=False),
        pa.field("first_at", pa.timestamp("us")),
        pa.field("last_at", pa.timestamp("us")),
    ],
    key=["user_id", "entity_id"],
    sort=["user_id", "entity_id"],
    checks={
        "weight_positive": "select * from user_entity where not (weight > 0 and weight <= 1 + 1e-9)",
        "weights_sum_to_one": "select user_id, sum(weight) as total from user_entity"
        " group by user_id having abs(sum(weight) - 1) > 1e-6",
        "user_known": "select * from user_entity anti join users using (user_id)",
    },
)
"""The MeKB: one row an interest. `tf` is s(k) times the kind's multiplier; `weight` is tf * idf over the
user's sum (paper 002, eqs. 4-7)."""

NEGATIVE_INTERESTS = table_schema(
    list(USER_ENTITY),
    key=["user_id", "entity_id"],
    sort=["user_id", "entity_id"],
    checks={
        "weight_negative": "select * from negative_interests"
        " where not (weight < 0 and weight >= -1 - 1e-9)",
        "weights_sum_to_minus_one": "select user_id, sum(weight) as total from negative_interests"
        " group by user_id having abs(sum(weight) + 1) > 1e-6",
        "user_known": "select * from negative_interests anti join users using (user_id)",
    },
)
"""What low ratings say, kept apart from `user_entity` and only where `scoring.negative_up_to` is set."""

IDF_BASIS = table_schema(
    [
        pa.field("negative", pa.bool_(), nullable=False),
        pa.field("entity_id", pa.uint32(), nullable=False),
        pa.field("n_users", pa.uint32(), nullable=False),
        pa.field("n_all", pa.uint32(), nullable=False),
    ],
    key=["negative", "entity_id"],
    sort=["negative", "entity_id"],
    checks={
        "counts_in_order": "select * from idf_basis where not (n_users between 1 and n_all)",
    },
)
"""n_e and N of the last scoring of everybody: what users scored later are weighed with, until the next.

`negative` rows are those of `negative_interests`."""

IDF_MOVES = table_schema(
    [
        pa.field("entity_id", pa.uint32(), nullable=False),
        pa.field("change", pa.int64(), nullable=False),
    ],
    key=["entity_id"],
    sort=["entity_id"],
    checks={"is_a_change": "select * from idf_moves where change = 0"},
)
"""By how much n_e has changed since `idf_basis`, of the entities whose idf was not 0: what users were scored since have
more or fewer rows of. So that the drift of a day is not counted over everybody's interests."""

TOUCHED_USERS = table_schema(
    [pa.field("user_id", pa.uint32(), nullable=False)],
    key=["user_id"],
    sort=["user_id"],
    checks={"user_known": "select * from touched_users anti join users using (user_id)"},
)
"""Users whose interactions changed since they were scored; emptied by every scoring."""

PROFILES = table_schema(
    [
        pa.field("user_id", pa.uint32(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("n_entities", pa.uint32(), nullable=False),
        pa.field("n_cut", pa.uint32(), nullable=False),
    ],
    key=["user_id"],
    sort=["user_id"],
    checks={"text_not_empty": "select * from profiles where text = ''"},
)

EDIT_ACTIONS = ("add", "pin", "remove")

PROFILE_EDITS = table_schema(
    [
        pa.field("external_id", pa.string(), nullable=False),
        pa.field("entity_id", pa.uint32(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("weight", pa.float64()),
        pa.field("at", pa.timestamp("us"), nullable=False),
    ],
    key=["external_id", "entity_id"],
    sort=["external_id", "entity_id"],
    checks={
        "action_known": f"select * from profile_edits where action not in {EDIT_ACTIONS}",  # noqa: S608  a constant of ours
        "weight_where_it_counts": "select * from profile_edits where (action = 'remove') <> (weight is null)",
        "weight_in_unit_interval": "select * from profile_edits where not (weight > 0 and weight < 1)",
        "pins_leave_room": "select external_id, sum(weight) as total from profile_edits"
        " where action = 'pin' group by external_id having sum(weight) >= 1",
    },
)
"""What people changed in their own profiles (`mekb.effective`). Users go by their external id, since ids of an
import made anew may be others; no stage replaces this table."""

RELATIONS = table_schema(
    [
        pa.field("subject", pa.uint32(), nullable=False),
        pa.field("predicate", pa.string(), nullable=False),
        pa.field("object", pa.uint32(), nullable=False),
    ],
    key=["subject", "predicate", "object"],
    sort=["subject", "predicate", "object"],
    checks={"predicate_not_empty": "select * from relations where predicate = ''"},
)
"""Statements of the knowledge graph between entities, the known and others: "Q462 P31 Q24856"."""

INFERRED_INTERESTS = table_schema(
    [
        pa.field("user_id", pa.uint32(), nullable=False),
        pa.field("entity_id", pa.uint32(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
        pa.field("rank", pa.uint32(), nullable=False),
        pa.field("sources", pa.list_(pa.uint32()), nullable=False),
    ],
    key=["user_id", "entity_id"],
    sort=["user_id", "entity_id"],
    checks={
        "weight_in_unit_interval": "select * from inferred_interests where not (weight > 0 and weight <= 1)",
        "from_something": "select * from inferred_interests where len(sources) = 0",
        "user_known": "select * from inferred_interests anti join users using (user_id)",
    },
)
"""Interests one hop further (`mekb.neighbours`), apart from `user_entity`; `sources` are the interests they are
from, the strongest first."""

EXPORTS = table_schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("external_id", pa.string()),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("at", pa.timestamp("us"), nullable=False),
    ],
    key=["path"],
    sort=["path"],
    checks={},
)
"""Files that were exported, and whose profile they hold; null: everybody's. Known so that `forget` finds them."""

RUNS = table_schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("config", pa.string(), nullable=False),
        pa.field("inputs", pa.string(), nullable=False),
        pa.field("outputs", pa.string(), nullable=False),
        pa.field("code", pa.string(), nullable=False),
        pa.field("seed", pa.int64()),
        pa.field("started_at", pa.timestamp("us"), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
        pa.field("host", pa.string(), nullable=False),
    ],
    key=["run_id"],
    sort=["started_at"],
    checks={},
)
"""One row a finished stage; `config`, `inputs` and `outputs` are JSON objects."""

CATALOGUE = {
    "entities": ENTITIES,
    "aliases": ALIASES,
    "graph_entities": GRAPH_ENTITIES,
    "items": ITEMS,
    "users": USERS,
    "interactions": INTERACTIONS,
    "mentions": MENTIONS,
    "item_entities": ITEM_ENTITIES,
    "custom_entities": CUSTOM_ENTITIES,
    "keywords": KEYWORDS,
    "keyword_mentions": KEYWORD_MENTIONS,
    "user_entity": USER_ENTITY,
    "negative_interests": NEGATIVE_INTERESTS,
    "profiles": PROFILES,
    "idf_basis": IDF_BASIS,
    "idf_moves": IDF_MOVES,
    "touched_users": TOUCHED_USERS,
    "relations": RELATIONS,
    "inferred_interests": INFERRED_INTERESTS,
    "profile_edits": PROFILE_EDITS,
    "exports": EXPORTS,
    "runs": RUNS,
}
"""Every table a store may hold, in the order of the pipeline."""

BY_USER = frozenset({"interactions", "user_entity", "negative_interests", "profiles"})
"""Tables whose key begins with the user and whose checks look at no more than one user's rows at a time: they
may be changed, and proved, user by user."""
