"""What the profiles of a store are made of: how many items have an entity, and which entities are frequent.

In: a store with profiles. Out: facts a domain, the most frequent entities, and the length of the profile
texts in entities and in tokens of the encoder that reads them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from alias_tables.schema import PAGE_ID_BASE
from mekb.store import Store
from training.encoder_files import MINILM, find_encoder

DOMAINS_SQL = """
with held as (
    select item_id, count(*) filter (where kind = 'wikidata') as n_wikipedia,
           count(*) filter (where entity_id < $first_without_qid) as n_wikidata, count(*) as n_all
    from item_entities join (
        select entity_id, kind from entities union all select entity_id, kind from custom_entities
    ) using (entity_id)
    group by item_id
),
named as (
    select distinct item_id from mentions where field = 'title'
)
select items.domain, count(*) as items,
       avg(cast(coalesce(n_wikipedia, 0) > 0 as integer)) as with_entity,
       avg(cast(coalesce(n_wikidata, 0) > 0 as integer)) as with_qid,
       avg(cast(named.item_id is not null as integer)) as title_linked,
       avg(coalesce(n_wikipedia, 0)) as entities_an_item,
       avg(coalesce(n_all, 0)) as with_brand_category_product
from items left join held using (item_id) left join named using (item_id)
group by items.domain order by items.domain
"""

FREQUENT_SQL = """
select entities.title, any_value(mentions.surface) as a_surface,
       count(distinct mentions.item_id) as items
from mentions join entities using (entity_id)
group by entities.title order by items desc, entities.title limit $n
"""

OWN_PAGE_SQL = """
select items.domain, avg(cast(own.item_id is not null as integer)) as own_page
from items left join (
    select distinct items.item_id
    from items join mentions using (item_id) join entities using (entity_id)
    join own_titles on items.domain = own_titles.domain
        and items.external_id = own_titles.item and entities.title = own_titles.title
    where mentions.field = 'title'
) as own using (item_id)
group by items.domain order by items.domain
"""
"""Share of items whose title was linked to the page the data set says is theirs."""

PROFILES_SQL = "select text, n_entities, n_cut from profiles"

N_FREQUENT = 15
MAX_TOKENS = 256
"""What the encoder reads of a profile at most (paper 002, section 3.2.2)."""


def coverage(store: Store, own_titles: pa.Table) -> dict[str, Any]:
    """Return the facts.

    Args:
        store: With items, mentions, item entities and profiles.
        own_titles: Columns `domain`, `item` and `title`: the page that an item is known to be about.
    """
    domains = store.query(DOMAINS_SQL, {"first_without_qid": PAGE_ID_BASE}).to_pylist()
    own_pages = _own_pages(store, own_titles)
    return {
        "domains": [row | {"own_page": own_pages[row["domain"]]} for row in domains],
        "frequent entities": store.query(FREQUENT_SQL, {"n": N_FREQUENT}).to_pylist(),
        "profiles": _profile_lengths(store),
    }


def _own_pages(store: Store, own_titles: pa.Table) -> dict[str, float]:
    store.connection.register("own_titles", own_titles)
    try:
        rows = store.query(OWN_PAGE_SQL).to_pylist()
    finally:
        store.connection.unregister("own_titles")
    return {row["domain"]: row["own_page"] for row in rows}


def _profile_lengths(store: Store) -> dict[str, float]:
    profiles = store.query(PROFILES_SQL)
    tokenizer = Tokenizer.from_file(str(find_encoder(MINILM) / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    lengths = [len(found.ids) for found in tokenizer.encode_batch(profiles["text"].to_pylist())]
    n_entities = profiles["n_entities"].to_numpy()
    return {
        "users": profiles.num_rows,
        "entities, mean": float(n_entities.mean()),
        "entities, median": float(np.median(n_entities)),
        "tokens, mean": float(np.mean(lengths)),
        "tokens, median": float(np.median(lengths)),
        f"longer than {MAX_TOKENS} tokens": float(np.mean(np.array(lengths) > MAX_TOKENS)),
    }


def as_text(facts: Mapping[str, Any]) -> str:
    """Return the facts for people, a line each."""
    lines = [
        f"{row['domain']}: {row['items']:,} items; with an entity {row['with_entity']:.1%}"
        f" (with a QID {row['with_qid']:.1%}), {row['entities_an_item']:.2f} entities an item,"
        f" {row['with_brand_category_product']:.2f} with brand, categories and product; title"
        f" linked {row['title_linked']:.1%}, to its own page {row['own_page']:.1%}"
        for row in facts["domains"]
    ]
    lengths = ", ".join(f"{name} {value:,.2f}" for name, value in facts["profiles"].items())
    lines.append(f"profiles: {lengths}")
    frequent = ", ".join(f"{row['title']} ({row['items']})" for row in facts["frequent entities"])
    lines.append(f"most frequent entities, with their numbers of items: {frequent}")
    return "\n".join(lines)
