"""Fingerprints: short texts that change when a table, a file or the code changes, and at no other time."""

import ast
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from typing_extensions import override

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


def closure_fingerprint(modules: Iterable[str]) -> str:
    """Return the SHA-256 of the sources of modules and of all that they import from their own packages.

    Imports inside functions count; what is found by name at run time (a registry) does not, so that a model's
    fingerprint does not change with other models.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    found: dict[str, bytes] = {}
    waiting = sorted(modules)
    packages = {name.partition(".")[0] for name in waiting} | OWN_PACKAGES
    while waiting:
        name = waiting.pop()
        spec = None if name in found else find_spec(name)
        if spec is None or spec.origin is None:
            continue
        found[name] = Path(spec.origin).read_bytes()
        waiting += [
            one for one in _imported(found[name], name) if one.partition(".")[0] in packages
        ]
    digest = hashlib.sha256()
    for name, source in sorted(found.items()):
        digest.update(name.encode() + b"\0" + source)
    return digest.hexdigest()[:16]


OWN_PACKAGES = frozenset({"alias_tables", "entity_linking", "mekb", "training"})


def _imported(source: bytes, module: str) -> set[str]:
    """Return the modules a source imports; `from a import b` may mean a module a.b, or a name of a."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source, module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(
                name
                for name in (f"{node.module}.{alias.name}" for alias in node.names)
                if _is_module(name)
            )
    return names


@cache
def _is_module(name: str) -> bool:
    if name.partition(".")[0] not in OWN_PACKAGES:
        return False
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the parent is a module, no package: `name` is a class or function
        return False


@dataclass(frozen=True)
class RowsDigest:
    """What stands for a set of rows: order does not matter, content does, and digests add up.

    A table from which some rows were taken and to which others were added has the digest
    `whole.without(taken).joined_by(added)`, so that a small change costs a small reading.
    """

    n_rows: int
    xor: int
    """`bit_xor(hash(row))`."""
    total: int
    """`sum(hash(row))`."""

    @override
    def __str__(self) -> str:
        return f"{self.n_rows}-{self.xor:016x}-{self.total:x}"

    @classmethod
    def parse(cls, text: str) -> "RowsDigest":
        """Read back what `str` gave.

        >>> str(RowsDigest.parse(str(RowsDigest(2, 3, 300))))
        '2-0000000000000003-12c'
        """
        n_rows, xor, total = text.split("-")
        return cls(int(n_rows), int(xor, 16), int(total, 16))

    def joined_by(self, added: "RowsDigest") -> "RowsDigest":
        """Return the digest of these rows and others."""
        return RowsDigest(
            self.n_rows + added.n_rows, self.xor ^ added.xor, self.total + added.total
        )

    def without(self, taken: "RowsDigest") -> "RowsDigest":
        """Return the digest of these rows less some of them."""
        return RowsDigest(
            self.n_rows - taken.n_rows, self.xor ^ taken.xor, self.total - taken.total
        )
