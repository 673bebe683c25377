"""Fingerprints: short texts that change when a table, a file or the code changes, and at no other time."""

import hashlib
from functools import cache
from importlib import import_module
from pathlib import Path

_BLOCK = 1 << 20


def file_fingerprint(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, or of every file below a folder by name."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if not file.is_file():
            continue
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


@cache
def code_fingerprint(packages: tuple[str, ...]) -> str:
    """Return the SHA-256 of all Python sources of the named packages, in order of their paths."""
    digest = hashlib.sha256()
    for package in packages:
        for root in import_module(package).__path__:
            for file in sorted(Path(root).rglob("*.py")):
                digest.update(file.relative_to(root).as_posix().encode() + b"\0")
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def rows_fingerprint(n_rows: int, xor: int | None, total: int | None) -> str:
    """Return the fingerprint of a table from its rows' hashes: order does not matter, content does.

    Args:
        n_rows: The number of rows.
        xor: `bit_xor(hash(row))`, None for no rows.
        total: `sum(hash(row))`, None for no rows.
    """
    return f"{n_rows}-{xor or 0:016x}-{total or 0:x}"
