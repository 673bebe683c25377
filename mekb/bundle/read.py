"""Open a bundle: every part checked, the model rebuilt, what a question needs at hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.sparse import csr_array

from alias_tables.lookup import AliasIndex
from entity_linking.config import LinkConfig
from entity_linking.linker import Linker
from mekb.bundle.manifest import (
    ALIASES,
    ENCODER,
    ENTITIES,
    EVIDENCE,
    INDEX,
    ITEM_ENTITIES,
    ITEMS,
    MODEL,
    NEIGHBOURS,
    RELATIONS,
    checked_manifest,
)
from mekb.bundle.sorted_rows import SortedRows
from mekb.encoder_runtime import run_encoder
from mekb.errors import BundleError
from mekb.grounds import ITEM_EVIDENCE, RELATED
from mekb.profile import EntityTable, ProfileScorer
from mekb.relations import one_hop
from mekb.scoring import NeighbourConfig, ScoringConfig
from training import checkpoint
from training.contract import VectorRecommender

SHELVES = ("brand", "category")
PRODUCT = "product"
"""Kinds of entities by which recommendations may be narrowed."""


@dataclass(frozen=True)
class ItemTable:
    """The items of one domain, in row order."""

    item_ids: npt.NDArray[np.uint32]
    names: Sequence[str]
    """External ids."""
    titles: Sequence[str]
    n_users: npt.NDArray[np.int64]
    """Users of the training rows who liked the item."""

    @cached_property
    def row_of(self) -> dict[str, int]:
        """External id -> row."""
        return {name: row for row, name in enumerate(self.names)}


class Bundle:
    """An open bundle: what it holds, checked and loaded; `mekb.query` asks it."""

    def __init__(self, folder: Path) -> None:
        """Check and load a bundle.

        Raises:
            BundleError: a file is missing, added, altered, or of another version; it is named.
        """
        self.folder = folder
        manifest = checked_manifest(folder)
        self.digest: str = manifest["digest"]
        """The SHA-256 of its manifest, which names every file's: by it two bundles are told apart."""
        self.target: str = manifest["target"]
        self.sources: tuple[str, ...] = tuple(manifest["sources"])
        self.origin: Mapping[str, Any] = manifest["origin"]
        model, _ = checkpoint.load(folder / MODEL)
        if not isinstance(model, VectorRecommender):
            raise BundleError(f"{folder}: its model '{model.name}' has no vectors to search")
        self.model = model
        self.item_vectors = model.item_vectors()
        if (folder / ENCODER).exists():
            run_encoder(model, folder / ENCODER)
        self.items = _read_items(folder, (*self.sources, self.target))
        entities = EntityTable.from_arrow(
            pq.read_table(folder / ENTITIES), n_all=manifest["n_users"]
        )
        scoring = ScoringConfig.model_validate(manifest["scoring"])
        neighbours = NeighbourConfig.model_validate(manifest["neighbours"])
        self.profiles = ProfileScorer(
            entities,
            self._item_entities(len(entities.titles)),
            scoring,
            one_hop(pq.read_table(folder / NEIGHBOURS), entities.entity_ids, neighbours)
            if neighbours.in_profiles
            else None,
        )
        self.index_facts: Mapping[str, Any] = manifest["index"]
        """Its kind and, where it is approximate, its recall."""
        self.index = faiss.read_index(str(folder / INDEX))
        self.evidence = SortedRows(folder / EVIDENCE, ITEM_EVIDENCE)
        """Where the entities of items stand in their texts, by item id."""
        self.relations = (
            SortedRows(folder / RELATIONS, RELATED) if (folder / RELATIONS).exists() else None
        )
        """What is related to an entity, by entity id; None where the store had no relations."""
        self._check_parts()

    def _check_parts(self) -> None:
        """Refuse parts that are whole but not of one another.

        Raises:
            BundleError: index, model and items differ in what or how many they hold.
        """
        target = self.items[self.target]
        if self.index.ntotal != len(target.names):
            raise BundleError(
                f"{self.folder}: {INDEX} holds {self.index.ntotal} items, {ITEMS}"
                f" {len(target.names)} of '{self.target}'"
            )
        if self.index.d != self.item_vectors.shape[1]:
            raise BundleError(
                f"{self.folder}: {INDEX} holds vectors of {self.index.d} numbers, {MODEL}/ gives"
                f" {self.item_vectors.shape[1]}"
            )
        if self.index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise BundleError(f"{self.folder}: {INDEX} does not search by inner product")
        own = self.model.item_ids
        if own is None or not np.array_equal(own, target.item_ids):
            raise BundleError(
                f"{self.folder}: {MODEL}/ was trained on other items than {ITEMS} lists"
            )

    def open_all(self) -> None:
        """Open and look up now what is otherwise opened when first needed.

        Whoever answers for long calls this first: the folder may then be replaced at any time.

        Raises:
            BundleError: a part cannot be read.
        """
        self.evidence.open()
        if self.relations is not None:
            self.relations.open()
        _ = self.linker, self.mean_item, self.shelves, self.profiles.entities.row_of
        _ = self.item_of_product
        for items in self.items.values():
            _ = items.row_of

    @cached_property
    def aliases(self) -> AliasIndex:
        """The alias dictionary, opened when first needed."""
        return AliasIndex.open(self.folder / ALIASES)

    @cached_property
    def linker(self) -> Linker:
        """Finds entities in texts by the alias dictionary alone, so that no pipeline need be installed."""
        return Linker(self.aliases, LinkConfig(detector="dictionary"))

    @cached_property
    def mean_item(self) -> npt.NDArray[np.float32]:
        """The mean of the item vectors, against which contributions are measured."""
        return np.asarray(self.item_vectors.mean(axis=0))

    @cached_property
    def shelves(self) -> dict[str, npt.NDArray[np.int64]]:
        """Category or brand, casefolded -> rows of the target items that have it, rising."""
        held = self.profiles.item_entities[self.target].tocsc()
        entities = self.profiles.entities
        rows_of: dict[str, npt.NDArray[np.int64]] = {}
        is_shelf = np.isin(entities.kinds, SHELVES) & (np.diff(held.indptr) > 0)
        for column in np.flatnonzero(is_shelf).tolist():
            rows = held.indices[held.indptr[column] : held.indptr[column + 1]].astype(np.int64)
            name = entities.titles[column].casefold()
            rows_of[name] = np.union1d(rows, rows_of.get(name, rows))
        return rows_of

    @cached_property
    def item_of_product(self) -> dict[int, int]:
        """Entity row of a product that one target item is, and no other item of any domain -> that item's row."""
        held = self.profiles.item_entities
        n_holders = sum(np.bincount(one.indices, minlength=one.shape[1]) for one in held.values())
        own = held[self.target].tocoo()
        is_product = np.array(self.profiles.entities.kinds) == PRODUCT
        chosen = is_product[own.col] & (np.asarray(n_holders)[own.col] == 1)
        return dict(zip(own.col[chosen].tolist(), own.row[chosen].tolist(), strict=True))

    def _item_entities(self, n_entities: int) -> dict[str, csr_array]:
        held = pq.read_table(self.folder / ITEM_ENTITIES)
        item_ids, columns = held["item_id"].to_numpy(), held["entity_row"].to_numpy()
        matrices = {}
        for domain, items in self.items.items():
            within = np.isin(item_ids, items.item_ids)
            rows = np.searchsorted(items.item_ids, item_ids[within])
            matrices[domain] = csr_array(
                (np.ones(len(rows), dtype=np.float32), (rows, columns[within])),
                shape=(len(items.names), n_entities),
            )
        return matrices


def _read_items(folder: Path, domains: Sequence[str]) -> dict[str, ItemTable]:
    table: pa.Table = pq.read_table(folder / ITEMS)
    items = {}
    for domain in domains:
        own = table.filter(pc.equal(table["domain"], domain))
        items[domain] = ItemTable(
            item_ids=own["item_id"].to_numpy(),
            names=own["external_id"].to_pylist(),
            titles=own["title"].to_pylist(),
            n_users=own["n_users"].to_numpy(),
        )
    return items
