"""The bundle: an immutable folder that answers for users never seen, without the store.

    manifest.json           format, versions, target and sources, SHA-256 of every other file and of itself
    model/                  the trained encoder (training.checkpoint)
    items.parquet           every item of source and target: ids, domain, title, training count
    item_entities.parquet   which item holds which entity
    entities.parquet        titles, multipliers and user counts (idf) as counted on training rows
    neighbours.parquet      how much of an interest passes to each neighbour; only where models read that
    index.faiss             index of inner products over the target's item vectors, exact unless asked otherwise
    encoder.onnx            the language model for ONNX Runtime; only where it was asked for
    aliases/                the alias dictionary, for interests given by name

Written aside and renamed, so that a folder of the final name is whole; every hash is checked when opened.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from mekb.config import EXACT, BundleConfig
from mekb.dataset import SplitWorld, World
from mekb.encoder_runtime import run_encoder, write_encoder
from mekb.errors import BundleError
from mekb.fingerprint import file_fingerprint
from mekb.index import build_index
from mekb.output import folder_written_whole
from mekb.profile import EntityTable, ProfileScorer
from mekb.relations import one_hop
from mekb.scoring import NeighbourConfig, ScoringConfig
from training import checkpoint
from training.contract import VectorRecommender
from training.evaluate import user_batch

FORMAT_VERSION = 3
MANIFEST = "manifest.json"
INDEX = "index.faiss"
NEIGHBOURS = "neighbours.parquet"
ENCODER = "encoder.onnx"
KEYS = {
    *("format_version", "digest", "files", "origin"),
    *("target", "sources", "scoring", "neighbours", "n_users", "index"),
}
"""Of the manifest."""
SHELVES = ("brand", "category")
"""Kinds of entities by which recommendations may be narrowed."""
MARKS = (MANIFEST, INDEX)
"""By these files a folder is known as a bundle, which a new one may replace."""


@dataclass(frozen=True)
class BundleParts:
    """What a bundle is made from."""

    model: VectorRecommender
    """A trained model."""
    world: World
    """All items of the store."""
    split: SplitWorld
    """The training rows the model learned from, with its profile scorer."""
    aliases: AliasIndex
    """The dictionary that resolves interests given by name."""
    origin: Mapping[str, Any]
    """What to remember of where it came from (settings, fingerprints); JSON-able."""
    config: BundleConfig = field(default_factory=BundleConfig)
    """Which index."""


def write_bundle(folder: Path, parts: BundleParts, *, force: bool = False) -> None:
    """Write a bundle aside and rename it into place; `force` replaces one that stands there.

    Raises:
        OutputError: the folder exists and is not to be replaced, or is no bundle.
    """
    data, profiles = parts.split.data, parts.split.profiles
    with folder_written_whole(folder, marks=MARKS, force=force) as aside:
        checkpoint.save(parts.model, aside / "model", {"target": data.target})
        _write_tables(aside, parts.world, parts.split)
        vectors = np.ascontiguousarray(parts.model.item_vectors())
        index, facts = build_index(vectors, parts.config, _tried_with(parts))
        faiss.write_index(index, str(aside / INDEX))
        if parts.config.encoder_runtime == "onnx":
            write_encoder(parts.model, aside / ENCODER)
        parts.aliases.save(aside / "aliases")
        manifest = {
            "format_version": FORMAT_VERSION,
            "target": data.target,
            "sources": list(data.sources),
            "scoring": profiles.config.model_dump(mode="json"),
            "neighbours": parts.world.neighbours.model_dump(mode="json"),
            "n_users": profiles.entities.n_all,
            "index": facts,
            "origin": dict(parts.origin),
            "files": _hashes(aside),
        }
        manifest["digest"] = _digest(manifest)
        text = json.dumps(manifest, indent=1, sort_keys=True)
        (aside / MANIFEST).write_text(text, encoding="utf-8")


def _tried_with(parts: BundleParts) -> npt.NDArray[np.float32]:
    """Return vectors of training users on whom an approximate index is tried; none for the exact one."""
    data = parts.split.data
    rows = np.flatnonzero(sum(np.diff(matrix.indptr) for matrix in data.interactions.values()))
    n_wanted = 0 if parts.config.index == EXACT else min(parts.config.n_queries, len(rows))
    drawn = np.random.default_rng(0).choice(rows, n_wanted, replace=False)
    vectors = parts.model.user_vectors(user_batch(data, np.sort(drawn)))
    return np.ascontiguousarray(vectors[np.isfinite(vectors).all(axis=1)])


def _write_tables(aside: Path, world: World, split: SplitWorld) -> None:
    data = split.data
    rows = [
        pa.table(
            {
                "item_id": pa.array(catalogue.item_ids, pa.uint32()),
                "external_id": pa.array(world.item_names[domain], pa.string()),
                "domain": pa.array([domain] * len(catalogue), pa.string()),
                "title": pa.array(list(catalogue.titles), pa.string()),
                "n_users": pa.array(_column_counts(data.interactions[domain]), pa.int64()),
            }
        )
        for domain, catalogue in data.catalogues.items()
    ]
    pq.write_table(pa.concat_tables(rows), aside / "items.parquet")
    pairs = {domain: matrix.tocoo() for domain, matrix in split.profiles.item_entities.items()}
    held = [
        pa.table(
            {
                "item_id": pa.array(data.catalogues[domain].item_ids[pair.coords[0]], pa.uint32()),
                "entity_row": pa.array(pair.coords[1].astype(np.uint32), pa.uint32()),
            }
        )
        for domain, pair in pairs.items()
    ]
    pq.write_table(pa.concat_tables(held), aside / "item_entities.parquet")
    pq.write_table(split.profiles.entities.to_arrow(), aside / "entities.parquet")
    if world.factors is not None:
        pq.write_table(world.factors, aside / NEIGHBOURS)


def _column_counts(matrix: csr_array) -> npt.NDArray[np.int64]:
    return np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.int64)


def _digest(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what a manifest says, its own digest left out."""
    content = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _hashes(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): file_fingerprint(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file != folder / MANIFEST
    }


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
        manifest = _checked_manifest(folder)
        self.target: str = manifest["target"]
        self.sources: tuple[str, ...] = tuple(manifest["sources"])
        self.origin: Mapping[str, Any] = manifest["origin"]
        model, _ = checkpoint.load(folder / "model")
        if not isinstance(model, VectorRecommender):
            raise BundleError(f"{folder}: its model '{model.name}' has no vectors to search")
        self.model = model
        self.item_vectors = model.item_vectors()
        if (folder / ENCODER).exists():
            run_encoder(model, folder / ENCODER)
        self.items = _read_items(folder, (*self.sources, self.target))
        entities = EntityTable.from_arrow(
            pq.read_table(folder / "entities.parquet"), n_all=manifest["n_users"]
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
        self._check_parts()

    def _check_parts(self) -> None:
        """Refuse parts that are whole but not of one another.

        Raises:
            BundleError: index, model and items differ in what or how many they hold.
        """
        target = self.items[self.target]
        if self.index.ntotal != len(target.names):
            raise BundleError(
                f"{self.folder}: {INDEX} holds {self.index.ntotal} items, items.parquet"
                f" {len(target.names)} of '{self.target}'"
            )
        if self.index.d != self.item_vectors.shape[1]:
            raise BundleError(
                f"{self.folder}: {INDEX} holds vectors of {self.index.d} numbers, model/ gives"
                f" {self.item_vectors.shape[1]}"
            )
        if self.index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise BundleError(f"{self.folder}: {INDEX} does not search by inner product")
        own = self.model.item_ids
        if own is None or not np.array_equal(own, target.item_ids):
            raise BundleError(
                f"{self.folder}: model/ was trained on other items than items.parquet lists"
            )

    @cached_property
    def aliases(self) -> AliasIndex:
        """The alias dictionary, opened when first needed."""
        return AliasIndex.open(self.folder / "aliases")

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

    def _item_entities(self, n_entities: int) -> dict[str, csr_array]:
        held = pq.read_table(self.folder / "item_entities.parquet")
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
    table = pq.read_table(folder / "items.parquet")
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


def _checked_manifest(folder: Path) -> dict[str, Any]:
    manifest = _manifest(folder)
    if manifest["format_version"] != FORMAT_VERSION:
        raise BundleError(
            f"{folder}: {MANIFEST} names bundle format {manifest['format_version']},"
            f" this mekb reads {FORMAT_VERSION}; make the bundle again with 'mekb bundle'"
        )
    if manifest.get("digest") != _digest(manifest):
        raise BundleError(
            f"{folder}: {MANIFEST} is not the file that was written (its hash differs);"
            " make the bundle again with 'mekb bundle'"
        )
    if manifest.keys() != KEYS:
        odd = ", ".join(sorted(manifest.keys() ^ KEYS))
        raise BundleError(
            f"{folder}: {MANIFEST} lacks, or has too much: {odd}; make the bundle again with 'mekb bundle'"
        )
    found = _hashes(folder)
    for name in sorted(manifest["files"].keys() | found.keys()):
        if name not in found:
            raise BundleError(f"{folder}: {name} is missing")
        if name not in manifest["files"]:
            raise BundleError(f"{folder}: {name} does not belong to it")
        if manifest["files"][name] != found[name]:
            raise BundleError(
                f"{folder}: {name} is not the file that was written (its hash differs);"
                " make the bundle again with 'mekb bundle'"
            )
    return manifest


def _manifest(folder: Path) -> dict[str, Any]:
    """Return what a bundle's manifest says, whatever its version."""
    no_bundle = f"{folder}: no bundle (its {MANIFEST} cannot be read); make one with 'mekb bundle'"
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(no_bundle) from error
    if not isinstance(manifest, dict) or "format_version" not in manifest:
        raise BundleError(no_bundle)
    return manifest
