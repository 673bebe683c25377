"""Files that are there whole or not at all: written aside, then renamed; nothing replaced unasked."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
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
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem[:40]}-", suffix=path.suffix, dir=path.parent
        )
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        # A temporary file is for its owner alone; the result gets the rights any new file would have.
        umask = os.umask(0)
        os.umask(umask)
        aside.chmod(0o666 & ~umask)
        aside.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        aside.unlink(missing_ok=True)
