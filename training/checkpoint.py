"""A model as a folder: safetensors and JSON, hashed, written aside and renamed.

    config.json        the model's registry name and its configuration
    model.safetensors  its arrays
    assets/            what it needs beside them (a tokenizer)
    manifest.json      format version, sha256 of every file above, and the caller's metadata

In: a fitted model. Out: the same scores after loading, elsewhere and later, or one line that says why not.
Nothing in a folder is executed: no pickle, no class path.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from training.contract import Recommender
from training.errors import CheckpointError, ConfigError
from training.registry import create

FORMAT = 1
"""Raised when a folder written by this version can no longer be read by an older one."""
CONFIG, WEIGHTS, MANIFEST, ASSETS = "config.json", "model.safetensors", "manifest.json", "assets"
MANIFEST_KEYS = {"format", "files", "metadata", "digest"}
CONFIG_KEYS = {"model", "config"}


def save(model: Recommender, folder: Path, metadata: Mapping[str, Any] | None = None) -> None:
    """Write `model` to the new folder `folder`.

    Args:
        model: Fitted or restored.
        folder: Must not exist yet, or be empty.
        metadata: Anything JSON can hold: seed, versions, fingerprints of the data.

    Raises:
        CheckpointError: the folder is taken, or an array holds NaN or infinity.
    """
    if folder.exists() and any(folder.iterdir()):
        raise CheckpointError(f"{folder} exists and is not empty; choose another folder")
    arrays = {name: np.ascontiguousarray(value) for name, value in model.state().items()}
    for name, value in arrays.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise CheckpointError(
                f"array {name!r} of {model.name} holds NaN or infinity: not saved"
            )
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        settings = {"model": model.name, "config": model.config.model_dump(mode="json")}
        _write_json(aside / CONFIG, settings)
        save_file(arrays, aside / WEIGHTS)
        for name, content in model.assets().items():
            path = aside / ASSETS / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        files = {name: _sha256(aside / name) for name in _files(aside)}
        manifest = {"format": FORMAT, "files": files, "metadata": dict(metadata or {})}
        _write_json(aside / MANIFEST, {**manifest, "digest": _digest(manifest)})
        aside.chmod(0o755)
        os.rename(aside, folder)  # noqa: PTH104  (replaces an empty folder in one step; Path.rename is the same call)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def load(folder: Path) -> tuple[Recommender, dict[str, Any]]:
    """Return the model of `folder` and the metadata it was saved with.

    Raises:
        CheckpointError: a file is missing, altered, not listed or of another format version.
    """
    manifest = _read_json(folder / MANIFEST, MANIFEST_KEYS)
    if manifest["format"] != FORMAT:
        raise CheckpointError(
            f"{folder} has format {manifest['format']}, this version reads {FORMAT}"
        )
    digest = manifest.pop("digest")
    if digest != _digest(manifest):
        raise CheckpointError(
            f"{folder / MANIFEST} was altered: its digest is not that of its content"
        )
    _check_files(folder, manifest["files"])
    settings = _read_json(folder / CONFIG, CONFIG_KEYS)
    try:
        model = create(settings["model"], settings["config"])
        arrays = load_file(folder / WEIGHTS)
        assets = {path.name: path.read_bytes() for path in sorted((folder / ASSETS).glob("*"))}
        model.restore(arrays, assets)
    except ConfigError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from error
    except SafetensorError as error:
        raise CheckpointError(f"{folder / WEIGHTS} is no safetensors file: {error}") from error
    except KeyError as error:
        raise CheckpointError(f"{folder / WEIGHTS} lacks array {error}") from error
    metadata: dict[str, Any] = manifest["metadata"]
    return model, metadata


def _digest(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest's content, written in one canonical way."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _check_files(folder: Path, expected: Mapping[str, str]) -> None:
    """Compare the folder with its manifest, before anything is read."""
    if not {CONFIG, WEIGHTS} <= set(expected):
        raise CheckpointError(f"{folder / MANIFEST} does not list {CONFIG} and {WEIGHTS}")
    found = set(_files(folder)) - {MANIFEST}
    if missing := sorted(set(expected) - found):
        raise CheckpointError(f"{folder} is incomplete: {', '.join(missing)} missing")
    if foreign := sorted(found - set(expected)):
        raise CheckpointError(
            f"{folder} holds files its manifest does not list: {', '.join(foreign)}"
        )
    for name in sorted(found):
        if _sha256(folder / name) != expected[name]:
            raise CheckpointError(f"{folder / name} was altered: its sha256 is not the manifest's")


def _files(folder: Path) -> list[str]:
    return sorted(
        str(PurePosixPath(path.relative_to(folder)))
        for path in folder.rglob("*")
        if not path.is_dir()
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _read_json(path: Path, keys: set[str]) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path.parent} is no model folder: {path.name} is missing"
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict) or set(value) != keys:
        found = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise CheckpointError(f"{path} must have exactly the keys {sorted(keys)}, has {found}")
    return value
