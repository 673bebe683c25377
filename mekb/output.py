"""Files that are there whole or not at all: written aside, then renamed; nothing replaced unasked."""

import contextlib
import secrets
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
    aside = path.with_name(f".{path.stem[:40]}-{secrets.token_hex(4)}{path.suffix}")
    try:
        aside.touch(exist_ok=False)
        yield aside
        aside.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        aside.unlink(missing_ok=True)
