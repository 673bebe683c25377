"""The folder that holds the finished slices of a build, so that a build cut off goes on where it stood.

    manifest.json               what the work is of: files, options of the reading, parser version
    hash-<part>.json            a part's SHA-256
    <stage>/<slice>.<kind>      results of a slice; its .json comes last, and names the others with their sizes

All are written aside and renamed: what has its name is whole, whenever the process was killed.
"""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from alias_tables.errors import WorkFolderError
from alias_tables.slices import Slice

MANIFEST = "manifest.json"
FORMAT = "alias_tables.work 1"

_ASIDE = ".part"


def write_json(path: Path, content: object) -> None:
    """Write a small file whole."""
    aside = path.with_name(f"{path.name}.{os.getpid()}{_ASIDE}")
    aside.write_text(json.dumps(content, indent=1), encoding="utf-8")
    aside.replace(path)


class SliceFiles:
    """The files of one slice in one stage: written aside, then named, the JSON of counts last."""

    def __init__(self, stem: Path) -> None:
        self.stem = stem

    def path(self, kind: str) -> Path:
        """Return the path of a finished file, such as kind `pages.parquet`."""
        return self.stem.with_name(f"{self.stem.name}.{kind}")

    def aside(self, kind: str) -> Path:
        """Return where a file is written before it is whole."""
        return self.stem.with_name(f"{self.stem.name}.{kind}.{os.getpid()}{_ASIDE}")

    def finish(self, kinds: tuple[str, ...], counts: Mapping[str, object]) -> None:
        """Name the files, which now are whole, and write the counts."""
        for kind in kinds:
            self.aside(kind).replace(self.path(kind))
        sizes = {kind: self.path(kind).stat().st_size for kind in kinds}
        write_json(self.path("json"), {"files": sizes, **counts})

    def counts(self) -> dict[str, Any]:
        """Return what `finish` was given."""
        found: dict[str, Any] = json.loads(self.path("json").read_text(encoding="utf-8"))
        return found

    def is_finished(self, *kinds: str) -> bool:
        """Say whether all these files are there, and whole."""
        try:
            sizes = self.counts()["files"]
            return isinstance(sizes, dict) and all(
                self.path(kind).stat().st_size == sizes[kind] for kind in kinds
            )
        except (OSError, ValueError, KeyError):
            return False


class WorkFolder:
    """An open work folder."""

    def __init__(self, path: Path, *, resumed: bool = False) -> None:
        self.path = path
        self.resumed = resumed
        """It held work of this build before."""

    def clear(self) -> None:
        """Forget all results."""
        for folder in self.path.iterdir():
            if folder.is_dir():
                shutil.rmtree(folder)

    def slice_files(self, stage: str, piece: Slice, variant: str = "") -> SliceFiles:
        """Return the files of a slice; `variant` tells results of one slice apart."""
        folder = self.path / stage
        folder.mkdir(exist_ok=True)
        stop = "end" if piece.stop is None else f"{piece.stop:014d}"
        suffix = f"-{variant}" if variant else ""
        return SliceFiles(folder / f"{piece.number:04d}-{piece.start:014d}-{stop}{suffix}")


@contextlib.contextmanager
def opened_work_folder(
    path: Path | None, identity: Mapping[str, object], *, resume: bool
) -> Iterator[WorkFolder]:
    """Give a work folder: a temporary one, or the one at a path, which stays.

    Args:
        path: Where; None for a temporary folder that goes away again.
        identity: What the work is of, as JSON; work of another identity is not gone on with.
        resume: Go on with the work that is there, if any.

    Raises:
        WorkFolderError: the folder holds something else, or work that is not to be gone on with.
    """
    if path is None:
        if resume:
            raise WorkFolderError(
                "nothing to resume from; name the work folder of the build cut off"
            )
        with tempfile.TemporaryDirectory(prefix="alias_tables-") as folder:
            yield WorkFolder(Path(folder))
        return
    resumed = _check_or_mark(path, identity, resume=resume)
    for torn in list(path.rglob(f"*{_ASIDE}")):
        if torn.is_dir():
            shutil.rmtree(torn)
        else:
            torn.unlink()
    yield WorkFolder(path, resumed=resumed)


def _check_or_mark(path: Path, identity: Mapping[str, object], *, resume: bool) -> bool:
    """Say whether the folder holds work of this build; mark it if it is empty."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        found = any(not entry.name.endswith(_ASIDE) for entry in path.iterdir())
    except OSError as error:
        raise WorkFolderError(f"{path}: no folder to work in ({error.strerror})") from error
    manifest = json.loads(json.dumps({"format": FORMAT, **identity}))
    if not found:
        write_json(path / MANIFEST, manifest)
        return False
    try:
        held = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WorkFolderError(f"{path}: not empty, and no work folder; choose another") from error
    if held != manifest:
        names = sorted(name for name in {*held, *manifest} if held.get(name) != manifest.get(name))
        raise WorkFolderError(
            f"{path}: work of another build ({', '.join(names)} differ); choose another folder"
        )
    if not resume:
        raise WorkFolderError(f"{path}: holds the work of this build; resume it, or choose another")
    return True
