"""An index on disk: a folder of plain arrays and a manifest, mapped back without reading it.

`manifest.json` comes last, so a torn write shows. It names the size and hash of each file, the few words
and numbers of the index, and a stamp: any text that says what the index was made from, so that one made
from other tables is refused.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from alias_tables.arrays import Arrays, Labels
from alias_tables.errors import TableError

FORMAT_VERSION = 3
MANIFEST = "manifest.json"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_arrays(folder: Path, arrays: Arrays, labels: Labels, stamp: str) -> None:
    """Write an index into a new or empty folder.

    Raises:
        TableError: the folder holds something already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise TableError(f"{folder}: not empty; choose another folder for the index")
    files = {}
    for name in Arrays.names():
        path = folder / f"{name}.npy"
        np.save(path, getattr(arrays, name), allow_pickle=False)
        files[path.name] = {"bytes": path.stat().st_size, "sha256": _digest(path)}
    manifest = {
        "format": "alias_tables.index",
        "version": FORMAT_VERSION,
        "stamp": stamp,
        **asdict(labels),
        "files": files,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def open_arrays(
    folder: Path, *, verify: bool, expect_stamp: str | None
) -> tuple[Arrays, Labels, str]:
    """Map a saved index into memory; return its arrays, labels and stamp.

    Args:
        folder: what `save_arrays` wrote.
        verify: also compare the hash of each file, which reads them all; sizes are always compared.
        expect_stamp: the stamp it must carry; None: any.

    Raises:
        TableError: a file is missing, altered or of another version, or the stamp is another.
    """
    manifest = _checked_manifest(folder, verify=verify)
    stamp = str(manifest.get("stamp", ""))
    if expect_stamp is not None and stamp != expect_stamp:
        raise TableError(
            f"{folder}: made from {stamp or 'tables without a stamp'!r}, expected {expect_stamp!r};"
            " save it again from the present tables"
        )
    try:
        numbers = {
            name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))
            for name in Arrays.names()
        }
        labels = Labels(tuple(manifest["types"]), int(manifest["seed"]), int(manifest["longest"]))
    except (
        KeyError,
        TypeError,
        ValueError,
        SyntaxError,
    ) as error:  # of one size with what was written
        line = " ".join(str(error).split())
        raise TableError(f"{folder}: altered since it was saved ({line}); save it again") from error
    return Arrays(**numbers), labels, stamp


def _checked_manifest(folder: Path, *, verify: bool) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version, files = manifest["version"], dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(
            f"{folder}: no alias index, or an unfinished one ({error}); save it again"
        ) from error
    if version != FORMAT_VERSION:
        raise TableError(
            f"{folder}: index version {version}, this code reads {FORMAT_VERSION}; save it again"
        )
    if set(files) != {f"{name}.npy" for name in Arrays.names()}:
        raise TableError(
            f"{folder}: the manifest lists other files than an index has; save it again"
        )
    for name, stamp in files.items():
        path = folder / name
        size = path.stat().st_size if path.is_file() else None
        if not isinstance(stamp, dict) or size != stamp.get("bytes"):
            raise TableError(
                f"{path}: {size} bytes, the manifest says {stamp}; save the index again"
            )
        if verify and _digest(path) != stamp.get("sha256"):
            raise TableError(
                f"{path}: altered since it was saved (its hash differs); save the index again"
            )
    return manifest
