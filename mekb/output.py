"""Files and folders that are there whole or not at all: written aside, then renamed; nothing replaced unasked.

What is written aside is called `.NAME-PLACE-PROCESS-TOKEN...`, so that the next to write NAME on the same machine
knows what a killed process left there, and removes it.
"""

import contextlib
import ctypes
import os
import platform
import re
import secrets
import shutil
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from mekb.errors import OutputError


@contextlib.contextmanager
def written_whole(path: Path, *, force: bool = False) -> Iterator[Path]:
    """Give a path beside `path` to write to, which takes its place when the block ends without an error.

    Args:
        path: where the file shall be.
        force: whether a file that is there already may be replaced.

    Yields:
        The path to write to; it goes away if the block fails.

    Raises:
        OutputError: if the file exists and `force` is not set, is a folder, or cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file")
    if path.exists() and not force:
        raise OutputError(f"{path}: exists; add --force to replace it")
    aside = _aside(path, path.suffix)
    try:
        remove_left_behind(path)
        aside.touch(exist_ok=False)
        yield aside
        aside.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def folder_written_whole(
    folder: Path, *, marks: Sequence[str], force: bool = False
) -> Iterator[Path]:
    """Give a folder beside `folder` to fill, which takes its place when the block ends without an error.

    Args:
        folder: where the folder shall be.
        marks: files that every folder of this kind holds; only such a folder is ever replaced.
        force: whether a folder that is there already may be replaced.

    Yields:
        The folder to fill, empty; it goes away if the block fails.

    Raises:
        OutputError: see `check_folder`; or the folder cannot be written.
    """
    check_folder(folder, marks=marks, force=force)
    folder = folder.resolve()  # where a link leads: the link itself stays
    aside, former = _aside(folder, "-new"), _aside(folder, "-old")
    try:
        aside.mkdir(parents=True)
        yield aside
        if not folder.exists():
            aside.rename(folder)
        elif not _exchange(aside, folder):
            folder.rename(former)
            aside.rename(folder)
    except OSError as error:
        if former.exists() and not folder.exists():
            former.rename(folder)
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


def check_folder(folder: Path, *, marks: Sequence[str], force: bool) -> None:
    """Raise OutputError unless `folder` may and can be written: it is free, or ours (all `marks`) with `force`.

    What a killed process left beside it is cleared away first, and what it had no time to put back is put back.
    """
    remove_left_behind(folder.resolve())
    if folder.resolve() == Path.cwd():
        raise OutputError(f"{folder}: is the folder you are in; name one below it")
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() and not all((folder / mark).is_file() for mark in marks):
        raise OutputError(f"{folder}: exists and is not ours to replace; choose another name")
    if folder.exists() and not force:
        raise OutputError(f"{folder}: exists; add --force to replace it")
    place = next(parent for parent in folder.resolve().parents if parent.exists())
    probe = _aside(place / folder.name, "-new")
    try:
        probe.mkdir()  # whatever permissions say, a file system may be read-only
        probe.rmdir()
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _aside(path: Path, ending: str) -> Path:
    """Return where a process writes what shall be `path`."""
    return path.with_name(
        f".{path.name[:40]}-{_place(path)}-{os.getpid()}-{secrets.token_hex(4)}{ending}"
    )


def _place(path: Path) -> str:
    """Return what tells this machine and this name, which may be longer than what is kept of it, from others."""
    return f"{zlib.crc32(os.fsencode(f'{platform.node()}/{path.name}')):08x}"


def remove_left_behind(path: Path) -> None:
    """Remove what processes of this machine that are no more left beside `path` when they were killed.

    What is written aside may itself be written aside first (`training.checkpoint.save`): it has one dot more.
    """
    left = re.compile(
        rf"\.{{1,2}}{re.escape(path.name[:40])}-{_place(path)}-(\d+)-[0-9a-f]{{8}}(-new|-old)?(\..*)?"
    )
    for entry in path.parent.iterdir() if path.parent.is_dir() else ():
        found = left.fullmatch(entry.name)
        if found is None or _is_running(int(found[1])):
            continue
        if entry.name.endswith("-old") and not path.exists():  # killed between two renames
            entry.rename(path)
        elif entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):  # closed to us, or gone meanwhile
                entry.unlink()


def _is_running(process: int) -> bool:
    if os.name == "nt":  # signal 0 would end it there
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change names in one step, so that at no moment the name is nobody's; say whether it could be.

    Linux: renameat2 with RENAME_EXCHANGE (2); macOS: renamex_np with RENAME_SWAP (2).
    """
    paths = os.fsencode(one), os.fsencode(other)
    try:
        system = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            return bool(system.renamex_np(*paths, 2) == 0)
        here = -100  # AT_FDCWD
        return bool(system.renameat2(here, paths[0], here, paths[1], 2) == 0)
    except (AttributeError, OSError, TypeError):  # no such call, or no such library
        return False
