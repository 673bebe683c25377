"""The two tables this package writes, each with its key, sort order and named checks.

The metadata of a schema travels with a Parquet file, so that a file carries its own contract:
`key` and `sort` are JSON lists of columns, `checks` is a JSON object from a check's name to a query
that returns the offending rows (none, in a good table).
"""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa

# Entity ids are the number of the QID. Two ranges above it hold what Wikidata has no number for.
PAGE_ID_BASE = 2_000_000_000
"""First id of pages without a known QID: `PAGE_ID_BASE + page id`. Wikidata stands near 140 million."""
CUSTOM_ID_BASE = 3_000_000_000
"""First id of custom entities: brands, categories, products, keywords (paper 002, appendix A)."""

KINDS = ("wikidata", "brand", "category", "product", "keyword")
"""The kinds of entity a MeKB may hold (paper 002, appendix A)."""

ENTITY_TYPES = (
    "album",  # also EP, single, soundtrack, live and compilation album
    "award",
    "book",  # novel, short story, essay, poem, book series
    "character",  # of fiction, myth or legend
    "comic",  # also manga, graphic novel, comic strip
    "concept",  # what is no single thing: genre, language, species, field of study
    "event",  # war, election, festival, sports season
    "film",  # also short, television and documentary film, film series
    "franchise",  # a world told in several media
    "game",  # of any kind, video games first
    "music_group",  # band, orchestra, choir, duo
    "organisation",  # company, record label, publisher, club, party
    "periodical",  # newspaper, magazine, journal
    "person",
    "place",  # also building and landmark
    "play",  # also musical, opera, ballet
    "podcast",
    "product",  # car, device, software, food brand
    "radio",  # programme or station
    "song",  # also single track and classical composition
    "television",  # series, season, episode, programme
    "work",  # any other work of art
)
"""What an entity is, as far as recommendation asks: tags that separate the domains (films, books, music,
games, podcasts) from one another and from all else. An entity may carry several, and often has none."""


def table_schema(
    columns: Sequence[pa.Field],
    *,
    key: Sequence[str],
    sort: Sequence[str],
    checks: Mapping[str, str],
) -> pa.Schema:
    """Return a schema whose metadata names its key, its sort order and its checks."""
    contract = {"key": list(key), "sort": list(sort), "checks": dict(checks)}
    return pa.schema(
        columns, metadata={name: json.dumps(value) for name, value in contract.items()}
    )


ENTITIES = table_schema(
    [
        pa.field("entity_id", pa.uint32(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("description", pa.string()),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("flags", pa.list_(pa.string()), nullable=False),
        pa.field("types", pa.list_(pa.string()), nullable=False),
        pa.field("year", pa.uint16()),
        pa.field("n_inlinks", pa.uint32(), nullable=False),
    ],
    key=["entity_id"],
    sort=["entity_id"],
    checks={
        "title_not_empty": "select * from entities where title = ''",
        "kind_known": "select * from entities"
        " where kind not in ('wikidata', 'brand', 'category', 'product', 'keyword')",
        "types_known": f"select * from entities where not list_has_all({list(ENTITY_TYPES)}, types)",  # noqa: S608 (a constant of ours)
        "types_sorted": "select * from entities where types <> list_sort(list_distinct(types))",
        "year_plausible": "select * from entities where year not between 1 and 2200",
    },
)
"""One row an entity: `title` is unambiguous (a Wikipedia title, "Heat (1995 film)"), `label` is for people.

`types` are sorted tags of `ENTITY_TYPES`, `year` is that of first publication or release (null: unknown)."""

GRAPH_ENTITIES = table_schema(
    [
        pa.field("entity_id", pa.uint32(), nullable=False),
        pa.field("iri", pa.string()),
        pa.field("weight", pa.float64()),
    ],
    key=["entity_id"],
    sort=["entity_id"],
    checks={"weight_not_negative": "select * from graph_entities where not (weight >= 0)"},
)
"""Entities of one's own knowledge graph: what it calls them, and their weight in place of 1 (null: 1)."""

CHANNELS = ("anchor", "title", "title_stripped", "redirect", "disambig", "wikidata_alias")
"""Where a surface was seen: link text, page title, title without its bracket, redirect, and so on."""

ALIASES = table_schema(
    [
        pa.field("surface", pa.string(), nullable=False),
        pa.field("entity_id", pa.uint32(), nullable=False),
        *(pa.field(f"n_{channel}", pa.uint32(), nullable=False) for channel in CHANNELS),
        pa.field("prior", pa.float32(), nullable=False),
        pa.field("link_prob", pa.float32()),
        pa.field("kept_mass", pa.float32()),
        pa.field("cut", pa.list_(pa.uint32())),
    ],
    key=["surface", "entity_id"],
    sort=["surface", "entity_id"],
    checks={
        "surface_not_empty": "select * from aliases where surface = ''",
        "prior_in_unit_interval": "select * from aliases where not (prior > 0 and prior <= 1)",
        "priors_sum_to_at_most_one": "select surface, sum(prior) as total from aliases"
        " group by surface having sum(prior) > 1 + 1e-5",
        "link_prob_in_unit_interval": "select * from aliases where not (link_prob >= 0 and link_prob <= 1)",
        "kept_mass_is_the_sum": "select surface from aliases where kept_mass is not null group by surface"
        " having abs(sum(prior) - max(kept_mass)) > 1e-5 or max(kept_mass) <> min(kept_mass)",
        "cut_is_a_count_a_channel": "select * from aliases where len(cut) <> 6",
        "seen_at_least_once": "select * from aliases where greatest(n_anchor, n_title,"
        " n_title_stripped, n_redirect, n_disambig, n_wikidata_alias) = 0",
        "entity_known": "select * from aliases anti join entities using (entity_id)",
    },
)
"""One row a (surface, entity): counts per channel, P(e|m) and the surface's document-level link probability.

`prior` is freq(m, e) / freq(m) (paper 002, eq. 3); `link_prob` is the share of documents holding the
surface in which it is a link at least once, null where it was not counted. Priors are computed before pairs
are left out: `kept_mass` is what they sum to, and `cut` the counts of the surface's other pairs in the order
of `CHANNELS` (null: none), so that `reweigh.reweigh` finds freq(m) again under any weights. Both repeat on
each row of a surface; null `kept_mass`: a table made elsewhere, which does not say.
"""
