"""The arrays behind an alias index, made from its two tables.

In: the Arrow tables `entities` and `aliases`. Out: NumPy arrays alone, which `mapped` writes to disk and maps
again. Strings are numbered by the rank of their hash; the candidates of key k are
`exact_rows[exact_offsets[k]:exact_offsets[k + 1]]`, best first, and likewise for folded keys.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from alias_tables.candidate_rows import Pairs, csr, folded_pairs, representatives, sums
from alias_tables.errors import TableError
from alias_tables.hashing import HashTable
from alias_tables.keys import (
    MAX_SEEDS,
    CollisionError,
    FoldedKeys,
    Ranked,
    exact_hashes,
    folded_keys,
    matching_filter,
    ranked,
)
from alias_tables.matching import Dictionary
from alias_tables.strings import Strings

MAX_TYPES = 32
"""Tags an index can tell apart: one bit each."""

UInts = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Labels:
    """The few words and numbers of an index, kept in its manifest."""

    types: tuple[str, ...] = ()
    """The tags of `type_masks`, sorted."""
    seed: int = 0
    """Which member of the family of hashes."""
    longest: int = 0
    """Characters of the longest folded key."""


@dataclass(frozen=True, slots=True)
class Arrays:
    """Numbers of the index; rows of entities are positions in `entity_ids`."""

    entity_ids: UInts
    """Sorted."""
    title_offsets: Offsets
    title_bytes: Bytes
    """Titles of the entity rows, as `strings.Strings`."""
    title_hashes: Hashes
    title_buckets: UInts
    title_checks: UInts
    title_rows: UInts
    """Entity row of each title: of several, the one with the smallest id."""
    type_masks: UInts
    """Of each entity row: bit k is set where it has the k-th tag of `Labels.types`."""
    years: npt.NDArray[np.uint16]
    """Of each entity row; 0 where unknown."""
    description_offsets: Offsets
    description_bytes: Bytes
    """Descriptions of the entity rows; empty where there is none."""
    surface_offsets: Offsets
    surface_bytes: Bytes
    """Surfaces by exact key."""
    exact_hashes: Hashes
    exact_buckets: UInts
    exact_checks: UInts
    exact_offsets: Offsets
    exact_rows: UInts
    exact_priors: Floats
    link_probs: Floats
    """Of each exact surface; NaN where it was not counted."""
    folded_hashes: Hashes
    folded_buckets: UInts
    folded_checks: UInts
    folded_offsets: Offsets
    folded_rows: UInts
    folded_priors: Floats
    folded_surfaces: UInts
    """The exact surface that stands for each folded key: the one seen most often."""
    match_filter: Bytes
    """What `matching` asks before it looks a slice up."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the arrays, each a file of a saved index."""
        return tuple(entry.name for entry in fields(cls))

    def dictionary(self, labels: Labels) -> Dictionary:
        """Return what the matcher needs."""
        return Dictionary(
            HashTable(self.exact_hashes, self.exact_buckets, self.exact_checks),
            HashTable(self.folded_hashes, self.folded_buckets, self.folded_checks),
            self.match_filter,
            labels.seed,
            labels.longest,
        )

    def titles(self) -> HashTable:
        """Return the table of titles; `title_rows` leads from its ranks to entity rows."""
        return HashTable(self.title_hashes, self.title_buckets, self.title_checks)


@dataclass(frozen=True, slots=True)
class _Keys:
    """All keys under one seed: titles of entity rows, surfaces, and what these fold to."""

    seed: int
    titles: Ranked
    exact: Ranked
    folded: Ranked
    parts: FoldedKeys


def _column(table: pa.Table, name: str) -> npt.NDArray[np.generic]:
    values: npt.NDArray[np.generic] = table.column(name).to_numpy()
    return values


def arrays_from_tables(entities: pa.Table, aliases: pa.Table) -> tuple[Arrays, Labels]:
    """Return the arrays of two tables that keep `schema.ENTITIES` and `schema.ALIASES`.

    Raises:
        TableError: an alias names an entity that is not there, or there are more types than bits.
    """
    if entities.num_rows > 1:
        entities = entities.sort_by("entity_id")
    ids = _column(entities, "entity_id").astype(np.uint32)
    rows = _entity_rows(ids, _column(aliases, "entity_id").astype(np.uint32))
    titles = Strings.from_arrow(entities.column("title"))
    descriptions = Strings.from_arrow(entities.column("description"))
    encoded = aliases.column("surface").dictionary_encode().unify_dictionaries().combine_chunks()
    spellings, codes = encoded.dictionary, encoded.indices.to_numpy()
    keys = _keys(titles, Strings.from_arrow(spellings))
    n_exact = len(keys.exact.table)
    surfaces = _in_rank_order(spellings, keys.exact)
    pair_keys = keys.exact.ranks[codes]
    link_probs = np.full(n_exact, np.nan, np.float32)
    link_probs[pair_keys] = pc.fill_null(aliases.column("link_prob"), float("nan")).to_numpy()
    priors = _column(aliases, "prior").astype(np.float64)
    seen = sums(pair_keys, _observations(aliases), n_exact)
    folded_of_exact = np.empty(n_exact, np.int64)
    folded_of_exact[keys.exact.ranks] = keys.folded.ranks
    first_seen = np.empty(n_exact, np.int64)
    first_seen[keys.exact.ranks] = np.arange(n_exact)
    pooled = folded_pairs(Pairs(pair_keys, rows, priors), folded_of_exact, seen, len(ids))
    type_names, type_masks = _types(entities)
    arrays = Arrays(
        ids,
        titles.offsets,
        titles.content,
        *_table_arrays(keys.titles.table),
        _first_rows(keys.titles),
        type_masks,
        pc.fill_null(entities.column("year"), 0).to_numpy().astype(np.uint16),
        descriptions.offsets,
        descriptions.content,
        surfaces.offsets,
        surfaces.content,
        *_table_arrays(keys.exact.table),
        *csr(Pairs(pair_keys, rows, priors), n_exact),
        link_probs,
        *_table_arrays(keys.folded.table),
        *csr(pooled, len(keys.folded.table)),
        representatives(folded_of_exact, seen, first_seen, len(keys.folded.table)),
        matching_filter(keys.folded.table, keys.parts.prefixes),
    )
    return arrays, Labels(type_names, keys.seed, keys.parts.longest)


def _table_arrays(table: HashTable) -> tuple[Hashes, UInts, UInts]:
    return table.hashes, table.buckets, table.checks


def _in_rank_order(strings: pa.Array, keys: Ranked) -> Strings:
    order = np.empty(len(keys.ranks), np.int64)
    order[keys.ranks] = np.arange(len(keys.ranks))
    return Strings.from_arrow(pc.take(strings.cast(pa.large_string()), pa.array(order)))


def _keys(titles: Strings, surfaces: Strings) -> _Keys:
    """Return the keys under the first seed without a collision: nearly always 0."""
    for seed in range(MAX_SEEDS):
        try:
            exact = ranked(*exact_hashes(surfaces, seed))
            if len(exact.table) < len(surfaces):  # surfaces differ: pair and check collided
                continue
            parts = folded_keys(surfaces, seed)
            folded = ranked(parts.hashes, parts.checks)
            return _Keys(seed, ranked(*exact_hashes(titles, seed)), exact, folded, parts)
        except CollisionError:
            continue
    raise AssertionError(f"unreachable: {MAX_SEEDS} members of the family collide")


def _first_rows(titles: Ranked) -> UInts:
    """Return the first entity row of each title."""
    rows = np.zeros(len(titles.table), np.uint32)
    rows[titles.ranks[::-1]] = np.arange(len(titles.ranks), dtype=np.uint32)[
        ::-1
    ]  # the first is last
    return rows


def _types(entities: pa.Table) -> tuple[tuple[str, ...], UInts]:
    """Return the tags in use, sorted, and the bit mask of each row.

    Raises:
        TableError: more tags than bits.
    """
    lists = entities.column("types").combine_chunks()
    tags = lists.flatten()
    names: list[str] = sorted(pc.unique(tags).to_pylist())
    if len(names) > MAX_TYPES:
        raise TableError(
            f"entities carry {len(names)} different types, an index holds {MAX_TYPES}: keep fewer"
        )
    masks = np.zeros(entities.num_rows, np.uint32)
    if names:
        bits = pc.index_in(tags, pa.array(names)).to_numpy(zero_copy_only=False).astype(np.uint32)
        np.bitwise_or.at(masks, pc.list_parent_indices(lists).to_numpy(), np.uint32(1) << bits)
    return tuple(names), masks


def _entity_rows(ids: UInts, wanted: UInts) -> UInts:
    rows = np.searchsorted(ids, wanted)
    unknown = (
        wanted[(rows >= len(ids)) | (ids[np.minimum(rows, len(ids) - 1)] != wanted)]
        if len(ids)
        else wanted
    )
    if len(unknown):
        raise TableError(
            f"aliases name {len(np.unique(unknown))} entities that are not in entities, such as"
            f" {unknown[0]}; load both tables of one build"
        )
    return rows.astype(np.uint32)


def _observations(aliases: pa.Table) -> npt.NDArray[np.float64]:
    """Return how often each pair was seen, in all channels: the weight of a spelling among others."""
    total = np.zeros(aliases.num_rows)
    for name in aliases.column_names:
        if name.startswith("n_"):
            total += _column(aliases, name)
    return total
