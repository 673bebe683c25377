"""A model as a folder: safetensors and JSON, hashed, written aside and renamed.

    config.json        the model's registry name and its configuration
    model.safetensors  its arrays, but for those that stand in files of their own (`Recommender.array_files`)
    ...                what it needs beside them (`Recommender.assets`: a tokenizer), what other libraries read
                       it by (`Recommender.views`), and what the caller lays beside it
    manifest.json      format version, sha256 of every file above, and the caller's metadata
    README.md          for people: never read by a program, so not in the manifest, and free to be edited

In: a fitted model. Out: the same scores after loading, elsewhere and later, or one line that says why not.
Nothing in a folder is executed: no pickle, no class path. Hidden files are passed over: a hub and version
control leave theirs in every folder.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from training.contract import Recommender
from training.errors import CheckpointError, ConfigError
from training.registry import create

FORMAT = 2
"""Raised when a folder written by this version can no longer be read by an older one."""
CONFIG, WEIGHTS, MANIFEST, CARD = "config.json", "model.safetensors", "manifest.json", "README.md"
MANIFEST_KEYS = {"format", "files", "assets", "metadata", "digest"}
CONFIG_KEYS = {"model", "config"}


def save(
    model: Recommender,
    folder: Path,
    metadata: Mapping[str, Any] | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> None:
    """Write `model` to the new folder `folder`.

    Args:
        model: Fitted or restored.
        folder: Must not exist yet, or be empty.
        metadata: Anything JSON can hold: seed, versions, fingerprints of the data.
        beside: Files to lay beside the model's own, path in the folder -> content.

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
    assets = model.assets()
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _write_json(aside / CONFIG, {"model": model.name, "config": model.saved_config()})
        for name, content in {**assets, **model.views(), **(beside or {})}.items():
            _write(aside / name, content)
        for file, part in _by_file(arrays, model.array_files).items():
            (aside / file).parent.mkdir(exist_ok=True)
            save_file(part, aside / file, metadata={"format": "pt"})  # transformers asks for it
            (aside / file).chmod(0o644)  # safetensors writes it for the owner alone
        files = {name: _sha256(aside / name) for name in _files(aside)}
        manifest = {
            "format": FORMAT,
            "files": files,
            "assets": sorted(assets),
            "metadata": dict(metadata or {}),
        }
        _write_json(aside / MANIFEST, {**manifest, "digest": _digest(manifest)})
        aside.chmod(0o755)
        os.rename(aside, folder)  # noqa: PTH104  (replaces an empty folder in one step; Path.rename is the same call)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _by_file(
    arrays: Mapping[str, np.ndarray], places: Mapping[str, str]
) -> dict[str, dict[str, np.ndarray]]:
    """Return file -> name in the file -> array; `places` is the model's `array_files`."""
    parts: dict[str, dict[str, np.ndarray]] = {WEIGHTS: {}}
    for name, value in arrays.items():
        prefix = next((prefix for prefix in places if name.startswith(prefix)), "")
        file = places.get(prefix, WEIGHTS)
        parts.setdefault(file, {})[name.removeprefix(prefix)] = value
    return parts


def _read_arrays(folder: Path, places: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return what `_by_file` took apart.

    Raises:
        CheckpointError: a file is missing, or no safetensors file.
    """
    arrays: dict[str, np.ndarray] = {}
    for prefix, file in {"": WEIGHTS, **places}.items():
        try:
            arrays |= {prefix + name: value for name, value in load_file(folder / file).items()}
        except FileNotFoundError as error:
            raise CheckpointError(f"{folder} is incomplete: {file} missing") from error
        except SafetensorError as error:
            raise CheckpointError(f"{folder / file} is no safetensors file: {error}") from error
    return arrays


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
    _check_files(folder, manifest["files"], manifest["assets"])
    settings = _read_json(folder / CONFIG, CONFIG_KEYS)
    if not isinstance(settings["config"], dict) or not isinstance(settings["model"], str):
        raise CheckpointError(f"{folder / CONFIG} must name a model and hold its settings by name")
    try:
        model = create(settings["model"], settings["config"])
        arrays = _read_arrays(folder, model.array_files)
        assets = {name: (folder / name).read_bytes() for name in manifest["assets"]}
        model.restore(arrays, assets)
    except ConfigError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from error
    except KeyError as error:
        raise CheckpointError(f"{folder / WEIGHTS} lacks array {error}") from error
    metadata: dict[str, Any] = manifest["metadata"]
    return model, metadata


def _digest(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest's content, written in one canonical way."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _check_files(folder: Path, expected: Mapping[str, str], assets: Sequence[str]) -> None:
    """Compare the folder with its manifest, before anything is read."""
    if unlisted := sorted({CONFIG, WEIGHTS, *assets} - set(expected)):
        raise CheckpointError(f"{folder / MANIFEST} does not list {', '.join(unlisted)}")
    found = set(_files(folder)) - {MANIFEST, CARD}
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
    """Return the files of a folder, hidden ones left out."""
    places = [path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir()]
    return sorted(
        str(PurePosixPath(place))
        for place in places
        if not any(part.startswith(".") for part in place.parts)
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


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
