"""Write a bundle: what a trained model, its training rows and an alias table come to on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_array

from alias_tables.lookup import AliasIndex
from mekb.bundle.manifest import (
    ALIASES,
    ENCODER,
    ENTITIES,
    EVIDENCE,
    INDEX,
    ITEM_ENTITIES,
    ITEMS,
    MARKS,
    MODEL,
    NEIGHBOURS,
    RELATIONS,
    write_manifest,
)
from mekb.bundle.sorted_rows import write_sorted
from mekb.config import EXACT, BundleConfig
from mekb.dataset import SplitWorld, World
from mekb.encoder_runtime import write_encoder
from mekb.grounds import NO_GROUNDS, Grounds
from mekb.index import build_index
from mekb.output import folder_written_whole
from training import checkpoint
from training.contract import VectorRecommender
from training.evaluate import user_batch


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
    grounds: Grounds = NO_GROUNDS
    """Where the items' entities stand in their texts, and what is related to them."""


def write_bundle(folder: Path, parts: BundleParts, *, force: bool = False) -> None:
    """Write a bundle aside and rename it into place; `force` replaces one that stands there.

    Raises:
        OutputError: the folder exists and is not to be replaced, or is no bundle.
    """
    data, profiles = parts.split.data, parts.split.profiles
    with folder_written_whole(folder, marks=MARKS, force=force) as aside:
        checkpoint.save(parts.model, aside / MODEL, {"target": data.target})
        _write_tables(aside, parts.world, parts.split)
        _write_grounds(aside, parts)
        vectors = np.ascontiguousarray(parts.model.item_vectors())
        index, facts = build_index(vectors, parts.config, _tried_with(parts))
        faiss.write_index(index, str(aside / INDEX))
        if parts.config.encoder_runtime == "onnx":
            write_encoder(parts.model, aside / ENCODER)
        parts.aliases.save(aside / ALIASES)
        write_manifest(
            aside,
            {
                "target": data.target,
                "sources": list(data.sources),
                "scoring": profiles.config.model_dump(mode="json"),
                "neighbours": parts.world.neighbours.model_dump(mode="json"),
                "n_users": profiles.entities.n_all,
                "index": facts,
                "origin": dict(parts.origin),
            },
        )


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
    pq.write_table(pa.concat_tables(rows), aside / ITEMS)
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
    pq.write_table(pa.concat_tables(held), aside / ITEM_ENTITIES)
    pq.write_table(split.profiles.entities.to_arrow(), aside / ENTITIES)
    if world.factors is not None:
        pq.write_table(world.factors, aside / NEIGHBOURS)


def _write_grounds(aside: Path, parts: BundleParts) -> None:
    """Write the evidence of the items that are in the bundle, and relations where there are any."""
    catalogues = parts.split.data.catalogues.values()
    item_ids = np.concatenate([catalogue.item_ids for catalogue in catalogues])
    write_sorted(parts.grounds.evidence_of(item_ids), aside / EVIDENCE)
    if parts.grounds.relations is not None:
        write_sorted(parts.grounds.relations, aside / RELATIONS)


def _column_counts(matrix: csr_array) -> npt.NDArray[np.int64]:
    return np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.int64)
