"""Files and folders that are there whole or not at all: written aside, then renamed; nothing replaced unasked."""

import contextlib
import secrets
import shutil
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
    aside = path.with_name(f".{path.stem[:40]}-{secrets.token_hex(4)}{path.suffix}")
    try:
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
    token = secrets.token_hex(4)
    aside, former = (
        folder.with_name(f".{folder.name[:40]}-{token}-{side}") for side in ("new", "old")
    )
    try:
        aside.mkdir(parents=True)
        yield aside
        if folder.exists():
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
    """Raise OutputError unless `folder` may be written: it is free, or ours (it holds all `marks`) with `force`."""
    if folder.resolve() == Path.cwd():
        raise OutputError(f"{folder}: is the folder you are in; name one below it")
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() and not all((folder / mark).is_file() for mark in marks):
        raise OutputError(f"{folder}: exists and is not ours to replace; choose another name")
    if folder.exists() and not force:
        raise OutputError(f"{folder}: exists; add --force to replace it")
