"""A store as the verbs take it: open, or by its path; and the fingerprints of the files they read."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mekb.config import Settings
from mekb.errors import SourceError
from mekb.fingerprint import file_fingerprint
from mekb.sources.source_files import Given, as_source_file
from mekb.store import Store

StoreLike = Store | str | Path
OnProgress = Callable[[str, int, int], None]


def no_progress(stage: str, done: int, total: int) -> None:
    """Show nothing."""


@contextlib.contextmanager
def opened(
    store: StoreLike, *, create: bool = False, settings: Settings | None = None
) -> Iterator[Store]:
    """Give an open store: the one given, or the one at a path, closed again at the end.

    Args:
        store: The store.
        create: Make the file when there is none.
        settings: `settings.store` says what its engine may use; an open store keeps what it was opened with.
    """
    if isinstance(store, Store):
        yield store
        return
    with Store.open(store, create=create, settings=settings.store if settings else None) as own:
        yield own


@contextlib.contextmanager
def opened_for_import(store: StoreLike, settings: Settings) -> Iterator[Store]:
    """Open a store, making it if absent; one made here goes away again when the import fails."""
    fresh = not isinstance(store, Store) and not Path(store).exists()
    try:
        with opened(store, create=True, settings=settings) as target:
            yield target
    except BaseException:
        if fresh and not isinstance(store, Store):
            Path(store).unlink(missing_ok=True)
        raise


def file_inputs(files: Mapping[str, Sequence[Given]]) -> dict[str, str]:
    """Return the fingerprints of files; the number keeps two files of one name apart."""
    return {
        f"{name}/{number}/{file.name}": _fingerprint(file.path)
        for name, given in files.items()
        for number, file in enumerate(map(as_source_file, given))
    }


def _fingerprint(path: Path) -> str:
    """Return the fingerprint of a file; SourceError when it cannot be read."""
    if not path.is_file():
        raise SourceError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}")
    try:
        return file_fingerprint(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
