"""Published data sets into a store and out of it, and a look at files before they are read."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mekb.api.data import Imported, add_data, import_data
from mekb.api.stores import StoreLike, opened
from mekb.config import Settings
from mekb.errors import SourceError, UnknownError

if TYPE_CHECKING:
    from mekb.growth import Added
    from mekb.sources import TableLike
    from mekb.sources.presets import DatasetFiles
    from mekb.sources.preview import FilePreview

Data = Mapping[str, str | Path | Sequence[str | Path]]
"""Domain -> folder, zip archive, file, or several of them."""


@contextlib.contextmanager
def _read_as(
    preset: str, data: Data, settings: Settings | None
) -> "Iterator[tuple[DatasetFiles, Settings]]":
    """Give the files of a format and the settings that go with it."""
    from mekb.sources.presets import PRESETS, dataset, with_policies

    if preset not in PRESETS:
        raise UnknownError(f"no preset '{preset}'; there are {', '.join(PRESETS)}")
    if not data:
        raise SourceError(f"no data given; {preset} reads {PRESETS[preset].summary}")
    chosen = settings or Settings()
    source = with_policies(chosen.source, PRESETS[preset])
    paths = {
        domain: [Path(given)] if isinstance(given, str | Path) else list(map(Path, given))
        for domain, given in data.items()
    }
    with dataset(PRESETS[preset], paths) as found:
        yield found, chosen.model_copy(update={"source": source})


def import_dataset(
    store: StoreLike,
    preset: str,
    data: Data,
    *,
    settings: Settings | None = None,
    force: bool = False,
) -> Imported:
    """Read a published data set into a store (made if absent), one domain or several at once.

    Users of one id are one person in all domains; items of one id in two domains stay two.

    Args:
        store: The store.
        preset: amazon2023, amazon2018, amazon2014, movielens, recbole or douban.
        data: Domain -> folder, zip archive, file, or several of them.
        settings: `settings.source`; what is set there goes before the preset.
        force: Read again even when nothing changed.

    Raises:
        UnknownError: no such preset.
        SourceError: nothing of the format is there, or a file is not as the format has it.
    """
    with _read_as(preset, data, settings) as (found, chosen):
        return import_data(
            store,
            items=found.items,
            interactions=found.interactions,
            settings=chosen,
            force=force,
        )


def add_dataset(
    store: StoreLike, preset: str, data: Data, *, settings: Settings | None = None
) -> "Added":
    """Add a published data set to what a store holds: a domain in another format, or newer rows.

    Args:
        store: A store with imported data.
        preset: As for `import_dataset`.
        data: Likewise.
        settings: Likewise.

    Raises:
        UnknownError: no such preset, or nothing is imported yet.
        ConfigError: `source.positive_from` is not that of the import.
        SourceError: nothing of the format is there, or a file is not as the format has it.
    """
    with _read_as(preset, data, settings) as (found, chosen):
        return add_data(store, items=found.items, interactions=found.interactions, settings=chosen)


def preview_data(
    *,
    items: "Sequence[TableLike]" = (),
    interactions: "Sequence[TableLike]" = (),
    preset: str | None = None,
    data: Data | None = None,
    settings: Settings | None = None,
) -> "tuple[FilePreview, ...]":
    """Return what an import would read from the heads of files; nothing is written.

    Args:
        items: Files or tables with a row an item; or else
        interactions: Likewise, a row a user and item.
        preset: A format, and
        data: where it is, as for `import_dataset`.
        settings: `settings.source`.

    Raises:
        UnknownError: no such preset.
        SourceError: a file cannot be read, or lacks a required column.
    """
    from mekb.sources import as_files
    from mekb.sources.preview import preview

    if preset is not None:
        with _read_as(preset, data or {}, settings) as (found, chosen):
            return preview(found.items, found.interactions, chosen.source)
    with as_files(items) as item_files, as_files(interactions) as event_files:
        return preview(item_files, event_files, (settings or Settings()).source)


def export_recbole(store: StoreLike, folder: str | Path, *, force: bool = False) -> dict[str, int]:
    """Write a store as RecBole's atomic files, a data set a domain; return the rows of each file.

    Args:
        store: With imported data; linked items also give `.kg` and `.link`.
        folder: Where to: `FOLDER/books/books.inter` and so on, RecBole's `data_path`.
        force: Replace a folder that was exported before.

    Raises:
        UnknownError: nothing is imported yet.
        OutputError: the folder exists, or cannot be written.
    """
    from mekb.recbole import write_atomic_files

    with opened(store) as source:
        return write_atomic_files(source, Path(folder), force=force)
