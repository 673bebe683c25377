"""Dictionaries of a domain's own words: keywords and hashtags as entities (paper 002, appendix A).

    files of keywords ──import──> keywords (ids of their own) ──matched in item texts──> keyword_mentions, item_entities

A keyword is found where it, or one of its aliases, stands between word boundaries, by the matcher of the alias
dictionary: longest first, from left to right, capitals aside. It stands beside what is linked to the knowledge
graph, and may overlap it: "space opera" is a keyword though "opera" is an entity. Its weight is its own where the
file gives one, else `weights.keyword`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from alias_tables.lookup import AliasIndex
from alias_tables.schema import ALIASES, CHANNELS, ENTITIES
from alias_tables.surface import exact_key
from alias_tables.table_files import TableKind, table_rows
from mekb.errors import SourceError
from mekb.runs import Stage, StageResult, run_stage
from mekb.schema import KEYWORD_ID_BASE, KEYWORD_MENTIONS, KEYWORDS
from mekb.store import Rows, Store

_COLUMNS = ("keyword", "label", "weight", "aliases")
_FILE = TableKind(_COLUMNS, ("keyword",), ("keyword",))
_BATCH_ROWS = 2_000

TEXTS_SQL = """
select item_id, 'text' as field, text from items where text <> ''
union all
select item_id, 'title' as field, title as text from items where title <> ''
order by item_id, field
"""


@dataclass
class _Keyword:
    """What files say of one keyword."""

    label: str = ""
    weight: float | None = None
    surfaces: set[str] = field(default_factory=set)


def import_keywords(
    store: Store, files: Sequence[Path], inputs: Mapping[str, str], *, force: bool = False
) -> StageResult:
    """Read keyword dictionaries into the table `keywords`, replacing what it held; the next linking finds them.

    A keyword that was there before keeps its id, so that profiles and edits stay what they were.

    Args:
        store: The store.
        files: TSV or CSV (.gz too) or Parquet: `keyword`, and optionally `label` (what people are shown),
            `weight` (in place of `weights.keyword`; 0 leaves it out) and `aliases` (separated by "|").
        inputs: Fingerprints of the files, by name.
        force: Read them though nothing changed.

    Raises:
        SourceError: a weight is no number of at least 0, a keyword has two, or there is no keyword.
        AliasTableError: a file cannot be read, or lacks the column.
    """
    stage = Stage(name="keywords", config={}, inputs=inputs, outputs=("keywords",))

    def work() -> Mapping[str, Rows]:
        found: dict[str, _Keyword] = {}
        for file in files:
            for row in table_rows(file, _FILE):
                _take(file, row, found)
        if not found:
            raise SourceError(f"{', '.join(map(str, files))}: no keyword in it")
        known = _known_ids(store)
        fresh = iter(range(max(known.values(), default=KEYWORD_ID_BASE - 1) + 1, 2**32))
        rows = [
            {
                "entity_id": known[name] if name in known else next(fresh),
                "keyword": name,
                "label": one.label or name,
                "weight": one.weight,
                "surfaces": sorted(one.surfaces),
            }
            for name, one in sorted(found.items())
        ]
        return {"keywords": pa.Table.from_pylist(rows, KEYWORDS)}

    return run_stage(store, stage, work, force=force)


def _known_ids(store: Store) -> dict[str, int]:
    """Return the ids of keywords that the store ever linked or listed."""
    known: dict[str, int] = {}
    if store.has("custom_entities"):
        query = "select title, entity_id from custom_entities where kind = 'keyword'"
        known |= dict(store.connection.execute(query).fetchall())
    if store.has("keywords"):
        known |= dict(
            store.connection.execute("select keyword, entity_id from keywords").fetchall()
        )
    return known


def _take(file: Path, row: Mapping[str, str], found: dict[str, _Keyword]) -> None:
    """Add a row of a file to what is known of its keyword."""
    name = exact_key(row.get("keyword", ""))
    if not name:
        return
    one = found.setdefault(name, _Keyword())
    one.label = one.label or row.get("label", "").strip()
    one.surfaces |= {name, *filter(None, map(exact_key, row.get("aliases", "").split("|")))}
    written = row.get("weight", "").strip()
    if not written:
        return
    try:
        weight = float(written)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise SourceError(
            f"{file}: keyword '{name}' has the weight '{written}', no number of at least 0"
        )
    if one.weight not in {None, weight}:
        raise SourceError(
            f"{file}: keyword '{name}' has two weights, {one.weight:g} and {weight:g}"
        )
    one.weight = weight


def find_keywords(store: Store) -> pa.Table:
    """Return every keyword in every item's title and text, as rows of `keyword_mentions`."""
    keywords = store.read("keywords").to_pylist()
    index = AliasIndex.from_tables(*_dictionary(keywords))
    texts = store.query(TEXTS_SQL)
    rows = [
        row
        for batch in texts.to_batches(max_chunksize=_BATCH_ROWS)
        for row in _found(index, batch.to_pylist())
    ]
    return pa.Table.from_pylist(rows, KEYWORD_MENTIONS)


def _found(index: AliasIndex, texts: Sequence[Mapping[str, object]]) -> Iterator[dict[str, object]]:
    """Yield the mentions in some texts: leftmost, longest."""
    free = [0] * len(texts)
    for number, match in index.matches_many([str(row["text"]) for row in texts]).rows():
        if match.start < free[number]:
            continue
        free[number] = match.stop
        row = texts[number]
        surface = str(row["text"])[match.start : match.stop]
        for candidate in index.candidates(surface):
            yield {
                "item_id": row["item_id"],
                "field": row["field"],
                "start": match.start,
                "stop": match.stop,
                "surface": surface,
                "entity_id": candidate.entity_id,
            }


def _dictionary(keywords: Sequence[Mapping[str, object]]) -> tuple[pa.Table, pa.Table]:
    """Return keywords as the two tables of an alias dictionary; a surface that several have means each of them."""
    holders: dict[str, list[int]] = {}
    for row in sorted(keywords, key=lambda row: int(str(row["entity_id"]))):
        for surface in row["surfaces"] if isinstance(row["surfaces"], list) else ():
            holders.setdefault(surface, []).append(int(str(row["entity_id"])))
    names = [
        {
            "surface": surface,
            "entity_id": entity_id,
            **dict.fromkeys((f"n_{channel}" for channel in CHANNELS), 1),
            "prior": 1 / len(ids),
        }
        for surface, ids in sorted(holders.items())
        for entity_id in ids
    ]
    return entities_of(keywords), pa.Table.from_pylist(names, ALIASES)


def entities_of(keywords: Sequence[Mapping[str, object]]) -> pa.Table:
    """Return keywords as rows of `entities`."""
    rows = [
        {
            "entity_id": row["entity_id"],
            "title": row["keyword"],
            "label": row["label"],
            "kind": "keyword",
            "flags": [],
            "types": [],
            "n_inlinks": 0,
        }
        for row in sorted(keywords, key=lambda row: int(str(row["entity_id"])))
    ]
    return pa.Table.from_pylist(rows, ENTITIES)
