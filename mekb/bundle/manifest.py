"""What a bundle says of itself, and whether it is so: format, versions, and the SHA-256 of every file.

In: a folder. Out: its manifest, checked: a file that is missing, added or altered is named, and so is a manifest
that is not the one that was written.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mekb.errors import BundleError
from mekb.fingerprint import file_fingerprint

FORMAT_VERSION = 4
MANIFEST = "manifest.json"
INDEX = "index.faiss"
ITEMS = "items.parquet"
ITEM_ENTITIES = "item_entities.parquet"
ENTITIES = "entities.parquet"
NEIGHBOURS = "neighbours.parquet"
EVIDENCE = "evidence.arrow"
RELATIONS = "relations.arrow"
ENCODER = "encoder.onnx"
MODEL = "model"
ALIASES = "aliases"
KEYS = {
    *("format_version", "digest", "files", "origin"),
    *("target", "sources", "scoring", "neighbours", "n_users", "index"),
}
"""Of the manifest."""
MARKS = (MANIFEST, INDEX)
"""By these files a folder is known as a bundle, which a new one may replace."""


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the manifest of a folder whose other files are all there.

    Args:
        folder: What is described.
        facts: The values of `KEYS`, less those that are worked out here.
    """
    manifest = {**facts, "format_version": FORMAT_VERSION, "files": hashes(folder)}
    manifest["digest"] = digest_of(manifest)
    text = json.dumps(manifest, indent=1, sort_keys=True)
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def digest_of(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what a manifest says, its own digest left out."""
    content = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a bundle but its manifest, by name."""
    return {
        file.relative_to(folder).as_posix(): file_fingerprint(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file != folder / MANIFEST
    }


def checked_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder that is what its manifest says.

    Raises:
        BundleError: a file is missing, added, altered, or of another version; it is named.
    """
    manifest = _manifest(folder)
    if manifest["format_version"] != FORMAT_VERSION:
        raise BundleError(
            f"{folder}: {MANIFEST} names bundle format {manifest['format_version']},"
            f" this mekb reads {FORMAT_VERSION}; make the bundle again with 'mekb bundle'"
        )
    if manifest.get("digest") != digest_of(manifest):
        raise BundleError(
            f"{folder}: {MANIFEST} is not the file that was written (its hash differs);"
            " make the bundle again with 'mekb bundle'"
        )
    if manifest.keys() != KEYS:
        odd = ", ".join(sorted(manifest.keys() ^ KEYS))
        raise BundleError(
            f"{folder}: {MANIFEST} lacks, or has too much: {odd}; make the bundle again with 'mekb bundle'"
        )
    found = hashes(folder)
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
