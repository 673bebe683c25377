"""The files of a folder or a zip archive that a format wants, as paths that can be read.

Members of an archive are copied into a temporary folder under their bare names, so that "../" and links in
them lead nowhere; only wanted members are unpacked, and one that is larger than its own packing allows
(a bomb) or grows past the size it states is refused.
"""

import contextlib
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from mekb.errors import SourceError

MAX_RATIO = 200
"""Text of ratings packs 3 to 30 times; the densest there can be, zeros, about 1,000 times."""
FREE_BYTES = 64 << 20
"""Below this a member is unpacked whatever its ratio."""

Wanted = Callable[[str], bool]
"""Tells by a file's name, without folders, whether a format reads it."""


@contextlib.contextmanager
def wanted_files(path: Path, wanted: Wanted) -> Iterator[list[Path]]:
    """Give the files of a format: of a folder and those below it, of a zip archive, or the one file.

    Args:
        path: A folder, a zip archive, or a file, which is taken whatever its name.
        wanted: By name.

    Raises:
        SourceError: nothing is there, or the archive is damaged, encrypted or a bomb.
    """
    if path.is_dir():
        yield sorted(each for each in path.rglob("*") if each.is_file() and wanted(each.name))
    elif path.is_file() and zipfile.is_zipfile(path):
        with tempfile.TemporaryDirectory(prefix="mekb-") as folder:
            yield _unpacked(path, wanted, Path(folder) / path.name)
    elif path.is_file():
        yield [path]
    else:
        raise SourceError(f"{path}: no such file or folder")


def _unpacked(path: Path, wanted: Wanted, folder: Path) -> list[Path]:
    """Copy the wanted members of an archive to a folder of its name."""
    folder.mkdir()
    copies: list[Path] = []
    try:
        with zipfile.ZipFile(path) as archive:
            for member in sorted(archive.infolist(), key=lambda each: each.filename):
                name = PurePosixPath(member.filename.replace("\\", "/")).name
                if member.is_dir() or not wanted(name):
                    continue
                _check(path, member)
                copy = folder / str(len(copies)) / name
                copy.parent.mkdir()
                with archive.open(member) as packed, copy.open("wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
                copies.append(copy)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise SourceError(f"{path}: the archive cannot be unpacked: {error}") from error
    return copies


def _check(path: Path, member: zipfile.ZipInfo) -> None:
    """Refuse a member that is no plain file or claims to be much larger than its packing."""
    if stat.S_ISLNK(member.external_attr >> 16):
        raise SourceError(f"{path}: member {member.filename!r} is a link; unpack it yourself")
    if member.file_size > max(FREE_BYTES, MAX_RATIO * member.compress_size):
        raise SourceError(
            f"{path}: member {member.filename!r} would grow from {member.compress_size:,} to"
            f" {member.file_size:,} bytes; unpack it yourself if you trust it"
        )
