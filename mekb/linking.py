"""The linking stage: item texts to mentions, and mentions with the items' own attributes to item entities.

Brands, categories and products are entities the data set names itself (paper 002, appendix A): linking them
is reading a column. They stand in `custom_entities`, beside the alias table's `entities`; so do keywords, which
are matched in the texts (`mekb.keywords`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from alias_tables.lookup import AliasIndex
from alias_tables.schema import CUSTOM_ID_BASE
from entity_linking.config import LinkConfig
from entity_linking.linker import Linker, LinkReport
from entity_linking.schema import ITEM_ENTITIES, MENTIONS, TEXTS
from mekb.keywords import entities_of, find_keywords
from mekb.runs import Stage, StageResult, run_stage, settings_of, table_inputs
from mekb.saved_aliases import saved_index
from mekb.schema import CATALOGUE, KEYWORD_ID_BASE
from mekb.scoring import EntityWeights
from mekb.store import Rows, Store

_BATCH_ROWS = 2_000
_STAGE_PACKAGES = ("alias_tables", "entity_linking")

TEXTS_SQL = """
select item_id, 'text' as field, text, domain, case when $context then title end as context
from items where text <> ''
union all
select item_id, 'title' as field, title as text, domain, case when $context then text end as context
from items where title <> ''
order by item_id, field
"""
"""What the linker reads; the item's other text goes with each only to a chooser that reads it."""

INLINKS_SQL = "select entity_id, n_inlinks from entities order by entity_id"

CUSTOM_ENTITIES_SQL = """
with named as (
    select distinct 'brand' as kind, trim(brand) as name from items where $brand > 0
    union
    select distinct 'category' as kind, trim(category) as name
    from (select unnest(categories) as category from items) where $category > 0
    union
    select distinct 'product' as kind, trim(title) as name from items where $product > 0
)
select cast(coalesce(known_entities.entity_id, $first_id + row_number() over (
           partition by known_entities.entity_id is null order by named.kind, name
       ) - 1) as uinteger) as entity_id,
       name as title, name as label, cast(null as varchar) as description, named.kind,
       cast([] as varchar[]) as flags, cast([] as varchar[]) as types, cast(null as usmallint) as year,
       cast(0 as uinteger) as n_inlinks
from named left join known_entities on named.kind = known_entities.kind and named.name = known_entities.title
where name is not null and name <> ''
"""
"""One entity for each name an item carries; the same name twice is the same entity (appendix A).

A name the store knew keeps its id, and new ones come behind: profiles and edits stay what they were.
"""

KNOWN_ENTITIES_SQL = """
select kind, title, entity_id from custom_entities where kind <> 'keyword'
"""
EDITED_IDS_SQL = "select entity_id from profile_edits where entity_id between $first and $last"
KEYWORD_ITEMS_SQL = """
select item_id, entity_id, cast(count(*) as uinteger) as n_mentions, cast(1 as float) as score,
       cast(coalesce(max(keywords.weight), $keyword) as float) as weight
from found_keywords join keywords using (entity_id)
where coalesce(keywords.weight, $keyword) > 0
group by item_id, entity_id
"""
"""Rows of `item_entities` from the keywords found in items."""

ITEM_ENTITIES_SQL = """
with linked as (
    select item_id, entity_id, count(*) as n_mentions, max(prior) as score,
           $wikidata * coalesce(max(own_graph.weight), 1) as weight
    from linked_mentions left join own_graph using (entity_id) group by item_id, entity_id
),
attributes as (
    select item_id, 'brand' as kind, trim(brand) as name from items
    union all
    select item_id, 'category' as kind, trim(category) as name
    from (select item_id, unnest(categories) as category from items)
    union all
    select item_id, 'product' as kind, trim(title) as name from items
),
named as (
    select distinct attributes.item_id, own.entity_id, own.kind
    from attributes join own_entities as own on attributes.kind = own.kind and attributes.name = own.title
),
custom as (
    select item_id, entity_id, 1 as n_mentions, 1.0 as score,
           case kind when 'brand' then $brand when 'category' then $category else $product end as weight
    from named
)
select item_id, entity_id, n_mentions, score, weight from linked where weight > 0
union all
select item_id, entity_id, n_mentions, score, weight from custom
"""
"""Rows of `item_entities` from the mentions and the items' own attributes, with the kinds' multipliers."""


@dataclass(frozen=True)
class LinkingResult:
    """What the stage did; `report` is None when it was skipped."""

    stage: StageResult
    report: LinkReport | None


def alias_index(store: Store) -> AliasIndex:
    """Return the dictionary of the store's alias table, mapped from the folder beside the store.

    `mekb aliases build` writes that folder; it is made again here where it is missing or of other tables
    (`mekb.saved_aliases`).

    Raises:
        UnknownError: the store has no alias table.
    """
    store.require(
        "entities", "aliases", hint=f"build it with 'mekb aliases build {store.path} --dump FILE'"
    )
    return saved_index(store)


def inlink_counts(store: Store) -> Callable[[int], int]:
    """Return what gives the links to an entity of the store's alias table; 0 for one it does not hold."""
    counts = store.query(INLINKS_SQL)
    ids, numbers = counts["entity_id"].to_numpy(), counts["n_inlinks"].to_numpy()

    def n_inlinks(entity_id: int) -> int:
        row = int(ids.searchsorted(entity_id))
        return int(numbers[row]) if row < len(ids) and ids[row] == entity_id else 0

    return n_inlinks


def link_items(
    store: Store,
    config: LinkConfig,
    weights: EntityWeights,
    *,
    force: bool = False,
    on_progress: Callable[[str, int, int], None],
) -> LinkingResult:
    """Link every item of a store; writes `mentions`, `custom_entities` and `item_entities` together."""
    store.require("items", hint=f"import your data with 'mekb data import {store.path} ...'")
    store.require(
        "entities",
        "aliases",
        hint=f"build the alias table with 'mekb aliases build {store.path} --dump FILE'",
    )
    stage = link_stage(store, config, weights)
    reports: list[LinkReport] = []

    def work() -> Mapping[str, Rows]:
        linker = Linker(alias_index(store), config)
        mentions = pa.Table.from_batches(
            linker.link_batches(_text_batches(store, config, on_progress)), schema=MENTIONS
        )
        reports.append(linker.report)
        return with_custom_entities(store, mentions, weights)

    result = run_stage(store, stage, work, force=force)
    return LinkingResult(result, reports[0] if reports else None)


def link_stage(store: Store, config: LinkConfig, weights: EntityWeights) -> Stage:
    """Return what mentions are made from, and what they are written to."""
    return Stage(
        name="link",
        config=settings_of(config, weights),
        inputs=table_inputs(store, "items", "entities", "aliases", "graph_entities", "keywords"),
        outputs=(
            *("mentions", "custom_entities", "item_entities"),
            *(["keyword_mentions"] if store.has("keywords") else []),
        ),
        packages=(*_STAGE_PACKAGES, "mekb"),
    )


def _text_batches(
    store: Store, config: LinkConfig, on_progress: Callable[[str, int, int], None]
) -> Iterator[pa.RecordBatch]:
    texts = store.query(TEXTS_SQL, {"context": config.chooser == "context"}).cast(TEXTS)
    done = 0
    on_progress("link", 0, texts.num_rows)
    for batch in texts.to_batches(max_chunksize=_BATCH_ROWS):
        yield batch
        done += batch.num_rows
        on_progress("link", done, texts.num_rows)


def with_custom_entities(
    store: Store, mentions: pa.Table, weights: EntityWeights
) -> dict[str, Rows]:
    """Return the tables of the stage: the mentions, and what they, the items' own attributes and keywords give."""
    connection = store.connection
    kinds = {"brand": weights.brand, "category": weights.category, "product": weights.product}
    known = (
        store.query(KNOWN_ENTITIES_SQL)
        if store.has("custom_entities")
        else CATALOGUE["custom_entities"].empty_table().select(["kind", "title", "entity_id"])
    )
    first_id = 1 + max([CUSTOM_ID_BASE - 1, *known["entity_id"].to_pylist(), *_edited_ids(store)])
    connection.register("known_entities", known)
    try:
        custom = store.query(CUSTOM_ENTITIES_SQL, {**kinds, "first_id": first_id})
    finally:
        connection.unregister("known_entities")
    connection.register("linked_mentions", mentions)
    connection.register("own_entities", custom)
    connection.register("own_graph", _own_graph(store))
    try:
        item_entities = store.query(ITEM_ENTITIES_SQL, {**kinds, "wikidata": weights.wikidata})
    finally:
        connection.unregister("linked_mentions")
        connection.unregister("own_entities")
        connection.unregister("own_graph")
    made: dict[str, Rows] = {
        "mentions": mentions,
        "custom_entities": custom,
        "item_entities": item_entities,
    }
    return made | _with_keywords(store, custom, item_entities, weights)


def _own_graph(store: Store) -> pa.Table:
    """Return the entities of the user's own graph that have a weight of their own."""
    table = "graph_entities"
    return store.read(table) if store.has(table) else CATALOGUE[table].empty_table()


def _edited_ids(store: Store) -> list[int]:
    """Return the ids of custom entities that edits are of: never given to another name."""
    if not store.has("profile_edits"):
        return []
    ids = {"first": CUSTOM_ID_BASE, "last": KEYWORD_ID_BASE - 1}
    return [row[0] for row in store.connection.execute(EDITED_IDS_SQL, ids).fetchall()]


def _with_keywords(
    store: Store, custom: pa.Table, item_entities: pa.Table, weights: EntityWeights
) -> dict[str, Rows]:
    """Return the tables that keywords change; none where the store has no keywords."""
    if not store.has("keywords"):
        return {}
    found = find_keywords(store)
    store.connection.register("found_keywords", found)
    try:
        held = store.query(KEYWORD_ITEMS_SQL, {"keyword": weights.keyword})
    finally:
        store.connection.unregister("found_keywords")
    entities = entities_of(store.read("keywords").to_pylist())
    return {
        "keyword_mentions": found,
        "custom_entities": pa.concat_tables([custom.cast(entities.schema), entities]),
        "item_entities": pa.concat_tables(
            [
                table.cast(ITEM_ENTITIES).select(ITEM_ENTITIES.names)
                for table in (item_entities, held)
            ]
        ),
    }
