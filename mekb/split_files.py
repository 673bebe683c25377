"""A split as a folder of plain files, so that a foreign model reads the very same rows.

    split.json         target, domains, kind, settings and seed, what was left out, number of negatives
    items.parquet      domain, item: the catalogues, in order; the candidates are the target's
    train.parquet      domain, user, item: every training row
    valid.parquet      user, item: target positives that choose epoch and settings
    test.parquet       user, item, negatives: target positives measured on, each with its sampled negatives
    apart.parquet      part, user, item: target items that are no candidates of a user of that part
    manifest.json      SHA-256 of each file, and of the manifest itself

Users and items are named by their external ids. In: a `Split` of a world. Out: the folder; and from such a
folder, whoever wrote it, the same split on a world that knows those ids.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_array

from mekb.dataset import World, times_of
from mekb.errors import StoreError, UnknownError
from mekb.fingerprint import file_fingerprint
from mekb.output import folder_written_whole
from mekb.store import Store
from mekb.worlds import only_items, world_of
from training.dataset import HeldOut, binary, rows_of
from training.protocols import NO_NEGATIVE, Listed, Sampled, Users
from training.split_config import SplitConfig
from training.splits import Split, make_split

FORMAT = 1
SPLIT, MANIFEST = "split.json", "manifest.json"
TABLES = ("items", "train", "valid", "test", "apart")
MARKS = (SPLIT, MANIFEST)


@dataclass(frozen=True)
class StoredSplit:
    """A split read from a folder and put on a world."""

    world: World
    """With the catalogues of the split alone."""
    split: Split
    target: str
    config: SplitConfig | None
    """None where another program wrote the folder."""
    negatives: Listed | None
    """Of the test positives."""
    digest: str
    """Of all files."""


@dataclass(frozen=True)
class SplitParts:
    """A split with all that its files say."""

    world: World
    """What the split was made of."""
    split: Split
    target: str
    config: SplitConfig
    """Its settings, for the record."""
    protocol: Sampled | None = None
    """Draws the negatives of the test positives; None lists none."""


def write_split(folder: Path, parts: SplitParts, *, force: bool = False) -> str:
    """Write a split to a folder, whole or not at all, and return its digest.

    Raises:
        OutputError: the folder exists and `force` is not set, or it cannot be written.
    """
    world, split, target, protocol = parts.world, parts.split, parts.target, parts.protocol
    users, items = (
        np.array(world.user_names, dtype=object),
        np.array(world.item_names[target], dtype=object),
    )
    negatives = None if protocol is None else _drawn(world, split, target, protocol)
    tables = {
        "items": _items(world),
        "train": _train(world, split),
        "valid": _positives(split.valid, users, items),
        "test": _with_negatives(_positives(split.test, users, items), negatives, items),
        "apart": pa.concat_tables(
            [
                _apart(name, part, users, items)
                for name, part in (("valid", split.valid), ("test", split.test))
            ]
        ),
    }
    facts = {
        "format": FORMAT,
        "target": target,
        "domains": list(world.catalogues),
        "config": parts.config.model_dump(mode="json"),
        "facts": dict(split.facts),
        "rows": {name: table.num_rows for name, table in tables.items()},
        "negatives": None
        if protocol is None
        else {"n": protocol.n_negatives, "seed": protocol.seed},
    }
    with folder_written_whole(folder, marks=MARKS, force=force) as aside:
        for name, table in tables.items():
            pq.write_table(table, aside / f"{name}.parquet")
        _write_json(aside / SPLIT, facts)
        files = {path.name: file_fingerprint(path) for path in sorted(aside.iterdir())}
        digest = _digest(files)
        _write_json(aside / MANIFEST, {"format": FORMAT, "files": files, "digest": digest})
    return digest


def store_split(
    store: Store,
    folder: Path,
    route: tuple[Sequence[str], str],
    config: SplitConfig,
    *,
    n_negatives: int,
    force: bool,
) -> str:
    """Make a split of a store and write it; `route` is the sources and the target.

    Raises:
        OutputError: the folder exists and `force` is not set.
    """
    sources, target = route
    world = world_of(store, sources, target, config)
    times = times_of(world) if config.needs_times else None
    split = make_split(world.interactions, target, config, times)
    parts = SplitParts(world, split, target, config, Sampled(n_negatives=n_negatives))
    return write_split(folder, parts, force=force)


def read_split(folder: Path, world: World) -> StoredSplit:
    """Read a split and put it on a world.

    Raises:
        UnknownError: the folder is no split, or names users or items the world does not have.
        StoreError: a file was altered.
    """
    digest = _checked(folder)
    facts = _read_json(folder / SPLIT)
    target = str(facts["target"])
    tables = {name: pq.read_table(folder / f"{name}.parquet") for name in TABLES}
    narrow = _narrowed(folder, world, tables["items"], target)
    users = _Rows(folder, narrow.user_names, "users")
    items = {
        domain: _Rows(folder, names, f"items of {domain}")
        for domain, names in narrow.item_names.items()
    }
    shapes = {domain: matrix.shape for domain, matrix in narrow.interactions.items()}
    domain_column = tables["train"]["domain"].to_numpy(zero_copy_only=False)
    train = {
        domain: _matrix(
            tables["train"].filter(pa.array(domain_column == domain)),
            users,
            items[domain],
            shapes[domain],
        )
        for domain in narrow.catalogues
    }
    held_out = {}
    for part in ("valid", "test"):
        positives = _matrix(tables[part], users, items[target], shapes[target])
        of_part = tables["apart"]["part"].to_numpy(zero_copy_only=False) == part
        apart = _matrix(
            tables["apart"].filter(pa.array(of_part)), users, items[target], shapes[target]
        )
        rows = np.flatnonzero(np.diff(positives.indptr)).astype(np.int64)
        held_out[part] = HeldOut(rows, positives[rows], apart[rows] if apart.nnz else None)
    config = facts.get("config")
    return StoredSplit(
        narrow,
        Split(train, held_out["valid"], held_out["test"], facts.get("facts", {})),
        target,
        SplitConfig.model_validate(config) if config else None,
        _listed(tables["test"], users, items[target]),
        digest,
    )


class _Rows:
    """Row numbers of external ids."""

    def __init__(self, folder: Path, names: Sequence[str], what: str) -> None:
        self._row = {name: row for row, name in enumerate(names)}
        self._folder, self._what = folder, what

    def of(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        rows = [self._row.get(name, -1) for name in names]
        if -1 in rows:
            missing = names[rows.index(-1)]
            raise UnknownError(
                f"{self._folder}: the store has no {missing!r} among its {self._what}"
                f" ({rows.count(-1)} unknown)"
            )
        return np.array(rows, dtype=np.int64)


def _narrowed(folder: Path, world: World, items: pa.Table, target: str) -> World:
    """Return the world with the catalogues that the split names, in its order."""
    domains = list(dict.fromkeys(items["domain"].to_pylist()))
    unknown = [domain for domain in domains if domain not in world.catalogues]
    if unknown or target not in domains:
        raise UnknownError(
            f"{folder}: its domains are {', '.join(domains)}, of them {target} is recommended from;"
            f" the store was asked for {', '.join(world.catalogues)}"
        )
    column = items["domain"].to_numpy(zero_copy_only=False)
    rows = {
        domain: _Rows(folder, world.item_names[domain], f"items of {domain}").of(
            items["item"].filter(pa.array(column == domain)).to_pylist()
        )
        for domain in domains
    }
    return only_items(world, rows)


def _matrix(table: pa.Table, users: _Rows, items: _Rows, shape: tuple[int, int]) -> csr_array:
    rows, columns = users.of(table["user"].to_pylist()), items.of(table["item"].to_pylist())
    matrix = csr_array((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)
    return binary(matrix)


def _items(world: World) -> pa.Table:
    return pa.table(
        {
            "domain": [domain for domain, names in world.item_names.items() for _ in names],
            "item": [name for names in world.item_names.values() for name in names],
        }
    )


def _train(world: World, split: Split) -> pa.Table:
    users = np.array(world.user_names, dtype=object)
    parts = []
    for domain, matrix in split.train.items():
        rows = binary(matrix)
        items = np.array(world.item_names[domain], dtype=object)
        parts.append(_pairs(rows, users, items).add_column(0, "domain", [[domain] * rows.nnz]))
    return pa.concat_tables(parts)


def _pairs(matrix: csr_array, users: npt.NDArray[Any], items: npt.NDArray[Any]) -> pa.Table:
    return pa.table(
        {
            "user": pa.array(users[rows_of(matrix)], pa.string()),
            "item": pa.array(items[matrix.indices], pa.string()),
        }
    )


def _positives(part: HeldOut, users: npt.NDArray[Any], items: npt.NDArray[Any]) -> pa.Table:
    return _pairs(binary(part.positives), users[part.user_rows], items)


def _apart(name: str, part: HeldOut, users: npt.NDArray[Any], items: npt.NDArray[Any]) -> pa.Table:
    if part.excluded is None:
        return pa.table({name: pa.array([], pa.string()) for name in ("part", "user", "item")})
    pairs = _pairs(binary(part.excluded), users[part.user_rows], items)
    return pairs.add_column(0, "part", pa.array([name] * pairs.num_rows, pa.string()))


def _drawn(
    world: World, split: Split, target: str, protocol: Sampled
) -> list[npt.NDArray[np.int64]]:
    """Return the negatives of each test positive, as the evaluation would draw them."""
    test = split.test
    seen = binary(split.train[target][test.user_rows])
    if test.excluded is not None:
        seen = binary(csr_array(seen + binary(test.excluded)))
    users = Users(world.user_ids[test.user_rows], binary(test.positives), seen)
    n_items = test.positives.shape[1]
    return [
        row
        for user in range(len(test.user_rows))
        for row in protocol.negatives_of(users, user, n_items)
    ]


def _with_negatives(
    table: pa.Table, negatives: list[npt.NDArray[np.int64]] | None, items: npt.NDArray[Any]
) -> pa.Table:
    kind = pa.list_(pa.string())
    if negatives is None:
        return table.append_column("negatives", pa.nulls(table.num_rows, kind))
    return table.append_column(
        "negatives", pa.array([items[rows].tolist() for rows in negatives], kind)
    )


def _listed(test: pa.Table, users: _Rows, items: _Rows) -> Listed | None:
    """Return the negatives in order of user row and item row."""
    if "negatives" not in test.column_names or test["negatives"].null_count:
        return None
    lists = test["negatives"].combine_chunks()
    lengths = np.diff(lists.offsets.to_numpy())
    flat = items.of(lists.values.to_pylist())
    rows = np.full((test.num_rows, lengths.max(initial=1)), NO_NEGATIVE, dtype=np.int32)
    rows[np.arange(rows.shape[1]) < lengths[:, None]] = flat
    order = np.lexsort((items.of(test["item"].to_pylist()), users.of(test["user"].to_pylist())))
    return Listed(rows[order])


def _checked(folder: Path) -> str:
    """Return the digest of a folder whose files are those of its manifest."""
    manifest = _read_json(folder / MANIFEST)
    files = manifest.get("files", {})
    if manifest.get("format") != FORMAT or manifest.get("digest") != _digest(files):
        raise StoreError(f"{folder / MANIFEST}: was altered, or is of another version")
    needed = {SPLIT, *(f"{name}.parquet" for name in TABLES)}
    if not needed <= set(files):
        raise StoreError(f"{folder}: its manifest lacks {', '.join(sorted(needed - set(files)))}")
    for name, digest in files.items():
        if not (folder / name).is_file() or file_fingerprint(folder / name) != digest:
            raise StoreError(f"{folder / name}: is missing or was altered")
    return str(manifest["digest"])


def _digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnknownError(
            f"{path.parent}: is no split as this version writes them ({error})"
        ) from error
    return value
