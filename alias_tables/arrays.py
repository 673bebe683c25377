"""The arrays and dictionaries behind an alias index: made from the two tables, saved, mapped from disk.

In: the Arrow tables `entities` and `aliases`. Out: three tries (exact surfaces, folded surfaces, titles)
and NumPy arrays in CSR form: the candidates of key k are `entity_rows[offsets[k]:offsets[k + 1]]`, best
first. A saved index is a folder of plain files and a manifest with the size and hash of each.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import marisa_trie
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from alias_tables.errors import TableError
from alias_tables.strings import Strings
from alias_tables.surface import folded_key

FORMAT_VERSION = 2
MAX_TYPES = 32
"""Tags an index can tell apart: one bit each."""
MANIFEST = "manifest.json"

UInts = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float32]
Offsets = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Arrays:
    """Numbers of the index; rows of entities are positions in `entity_ids`."""

    entity_ids: UInts
    """Sorted."""
    title_keys: UInts
    """Key of the title trie of each entity row."""
    title_rows: UInts
    """Entity row of each key of the title trie: the smallest id of that title."""
    type_masks: UInts
    """Of each entity row: bit k is set where it has the k-th tag of the vocabulary."""
    years: npt.NDArray[np.uint16]
    """Of each entity row; 0 where unknown."""
    description_offsets: Offsets
    description_bytes: npt.NDArray[np.uint8]
    """Descriptions of the entity rows, as `strings.Strings`; empty where there is none."""
    exact_offsets: Offsets
    exact_rows: UInts
    exact_priors: Floats
    link_probs: Floats
    """Of each exact surface; NaN where it was not counted."""
    folded_offsets: Offsets
    folded_rows: UInts
    folded_priors: Floats
    folded_surfaces: UInts
    """The exact surface that stands for each folded key: the one seen most often."""
    type_names: tuple[str, ...] = ()
    """The tags of `type_masks`, sorted."""

    @classmethod
    def array_names(cls) -> tuple[str, ...]:
        """Return the names of the fields that are arrays, each a file of a saved index."""
        return tuple(entry.name for entry in fields(cls) if entry.name != "type_names")


@dataclass(frozen=True, slots=True)
class Tries:
    """String to dense number, both ways."""

    exact: marisa_trie.Trie
    folded: marisa_trie.Trie
    titles: marisa_trie.Trie


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Candidate rows to be put in CSR order: a key, an entity row and a prior each."""

    keys: Offsets
    rows: UInts
    priors: npt.NDArray[np.float64]


def _csr(pairs: _Pairs, n_keys: int) -> tuple[Offsets, UInts, Floats]:
    """Sort pairs by key, prior (highest first) and entity row; return offsets, rows and priors."""
    priors = pairs.priors.astype(np.float32)
    order = np.lexsort((pairs.rows, -priors, pairs.keys))
    counts = np.bincount(pairs.keys, minlength=n_keys)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return offsets, pairs.rows[order], priors[order]


def _keys(trie: marisa_trie.Trie, strings: Sequence[str]) -> Offsets:
    return np.fromiter((trie[text] for text in strings), np.int64, len(strings))


def _column(table: pa.Table, name: str) -> npt.NDArray[np.generic]:
    values: npt.NDArray[np.generic] = table.column(name).to_numpy()
    return values


def arrays_from_tables(entities: pa.Table, aliases: pa.Table) -> tuple[Arrays, Tries]:
    """Return the arrays and tries of two tables that keep `schema.ENTITIES` and `schema.ALIASES`.

    Raises:
        TableError: an alias names an entity that is not there.
    """
    entities = entities.sort_by("entity_id")
    ids = _column(entities, "entity_id").astype(np.uint32)
    titles: list[str] = entities.column("title").to_pylist()
    title_trie = marisa_trie.Trie(titles)
    title_keys = _keys(title_trie, titles)
    title_rows = np.zeros(len(title_trie), np.uint32)
    title_rows[title_keys[::-1]] = np.arange(len(ids), dtype=np.uint32)[
        ::-1
    ]  # the smallest id is last

    rows = _entity_rows(ids, _column(aliases, "entity_id").astype(np.uint32))
    encoded = aliases.column("surface").combine_chunks().dictionary_encode()
    surfaces: list[str] = encoded.dictionary.to_pylist()
    exact_trie = marisa_trie.Trie(surfaces)
    key_of_code = _keys(exact_trie, surfaces)
    keys = key_of_code[encoded.indices.to_numpy().astype(np.int64)]
    priors = _column(aliases, "prior").astype(np.float64)
    link_probs = np.full(len(exact_trie), np.nan, np.float32)
    link_probs[keys] = pc.fill_null(aliases.column("link_prob"), float("nan")).to_numpy()

    folded = [folded_key(text) for text in surfaces]
    folded_trie = marisa_trie.Trie(folded)
    folded_of_exact = np.zeros(len(exact_trie), np.int64)
    folded_of_exact[key_of_code] = _keys(folded_trie, folded)
    seen = _sums(keys, _observations(aliases), len(exact_trie))
    exact = _csr(_Pairs(keys, rows, priors), len(exact_trie))
    merged = _merge(_Pairs(folded_of_exact[keys], rows, priors * seen[keys]), len(ids))
    totals = _sums(folded_of_exact, seen, len(folded_trie))
    shares = _six_digits(merged.priors / totals[merged.keys])
    folded_pairs = _Pairs(merged.keys, merged.rows, shares)
    type_names, type_masks = _types(entities)
    descriptions = Strings.from_arrow(entities.column("description"))
    arrays = Arrays(
        ids,
        title_keys.astype(np.uint32),
        title_rows,
        type_masks,
        pc.fill_null(entities.column("year"), 0).to_numpy().astype(np.uint16),
        descriptions.offsets,
        descriptions.bytes_,
        *exact,
        link_probs,
        *_csr(folded_pairs, len(folded_trie)),
        _representatives(folded_of_exact, seen, len(folded_trie)),
        type_names,
    )
    return arrays, Tries(exact_trie, folded_trie, title_trie)


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
    names = [name for name in aliases.column_names if name.startswith("n_")]
    return np.sum([_column(aliases, name).astype(np.float64) for name in names], axis=0)  # type: ignore[no-any-return]  # NumPy's stubs give Any for a list of arrays


def _sums(keys: Offsets, weights: npt.NDArray[np.float64], n_keys: int) -> npt.NDArray[np.float64]:
    """Return the sum of the weights of each key."""
    return np.bincount(keys, weights=weights, minlength=n_keys).astype(np.float64)


def _six_digits(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Round to six significant digits, so that sums of float32 priors that should tie do tie."""
    scale = 10.0 ** (6 - np.ceil(np.log10(shares)))
    return np.minimum(np.round(shares * scale) / scale, 1.0)


def _merge(pairs: _Pairs, n_entities: int) -> _Pairs:
    """Sum the priors of pairs with equal key and row."""
    codes = pairs.keys * max(n_entities, 1) + pairs.rows
    unique, inverse = np.unique(codes, return_inverse=True)
    sums = _sums(inverse, pairs.priors, len(unique))
    keys, rows = np.divmod(unique, max(n_entities, 1))
    return _Pairs(keys.astype(np.int64), rows.astype(np.uint32), sums)


def _representatives(
    folded_of_exact: Offsets, seen: npt.NDArray[np.float64], n_folded: int
) -> UInts:
    """Return the exact key seen most often of each folded key (ties: the smaller key)."""
    exact = np.arange(len(folded_of_exact))
    order = np.lexsort((-exact, seen))
    chosen = np.zeros(n_folded, np.uint32)
    chosen[folded_of_exact[order]] = exact[order]
    return chosen


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_arrays(folder: Path, arrays: Arrays, tries: Tries) -> None:
    """Write an index into a new or empty folder; the manifest comes last, so a torn write shows."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise TableError(f"{folder}: not empty; choose another folder for the index")
    for name in Arrays.array_names():
        np.save(folder / f"{name}.npy", getattr(arrays, name), allow_pickle=False)
    for entry in fields(Tries):
        getattr(tries, entry.name).save(str(folder / f"{entry.name}.marisa"))
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": _digest(path)}
        for path in sorted(folder.iterdir())
    }
    manifest = {
        "format": "alias_tables.index",
        "version": FORMAT_VERSION,
        "types": arrays.type_names,
        "files": files,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def open_arrays(folder: Path, *, verify: bool) -> tuple[Arrays, Tries]:
    """Map a saved index into memory.

    Args:
        folder: what `save_arrays` wrote.
        verify: also compare the hash of each file, which reads them all; sizes are always compared.

    Raises:
        TableError: a file is missing, altered or of another version.
    """
    type_names = tuple(_checked_manifest(folder, verify=verify)["types"])
    numbers = {
        name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))
        for name in Arrays.array_names()
    }
    tries = {
        entry.name: marisa_trie.Trie().mmap(str(folder / f"{entry.name}.marisa"))
        for entry in fields(Tries)
    }
    return Arrays(**numbers, type_names=type_names), Tries(**tries)


def _checked_manifest(folder: Path, *, verify: bool) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version, files = manifest["version"], manifest["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(
            f"{folder}: no alias index, or an unfinished one ({error}); save it again"
        ) from error
    if version != FORMAT_VERSION:
        raise TableError(
            f"{folder}: index version {version}, this code reads {FORMAT_VERSION}; save it again"
        )
    needed = {f"{name}.npy" for name in Arrays.array_names()} | {
        f"{entry.name}.marisa" for entry in fields(Tries)
    }
    if set(files) != needed:
        raise TableError(
            f"{folder}: the manifest lists other files than an index has; save it again"
        )
    for name, stamp in files.items():
        path = folder / name
        size = path.stat().st_size if path.is_file() else None
        if size != stamp["bytes"]:
            raise TableError(
                f"{path}: {size} bytes, the manifest says {stamp['bytes']}; save the index again"
            )
        if verify and _digest(path) != stamp["sha256"]:
            raise TableError(
                f"{path}: altered since it was saved (its hash differs); save the index again"
            )
    return manifest
