"""The alias dictionary beside its store: made once, then mapped by every process that asks.

    my.duckdb               the store
    my.duckdb.aliases/      the dictionary of its tables `entities` and `aliases` (`alias_tables.mapped`)

It is no hidden cache: `mekb aliases build` writes it and says so, its manifest carries the fingerprints of the
two tables as a stamp, and one with another stamp is never used but made again, aside, and renamed. The
folder may be deleted at any time. Where it cannot be written the dictionary is made in memory.
"""

import logging
from pathlib import Path

from alias_tables.errors import AliasTableError
from alias_tables.lookup import AliasIndex
from alias_tables.mapped import MANIFEST
from mekb.errors import OutputError
from mekb.output import folder_written_whole, remove_left_behind
from mekb.store import Store

TABLES = ("entities", "aliases")
"""What the dictionary is made of."""

_LOGGER = logging.getLogger(__name__)


def aliases_folder(store: Path) -> Path:
    """Return the folder of a store's dictionary.

    >>> aliases_folder(Path("data/my.duckdb")).as_posix()
    'data/my.duckdb.aliases'
    """
    return store.with_name(f"{store.name}.aliases")


def tables_stamp(store: Store) -> str:
    """Return what tells one content of the two tables from another."""
    return ",".join(f"{table}={store.fingerprint(table)}" for table in TABLES)


def fingerprints_of(stamp: str) -> dict[str, str]:
    """Return the fingerprints of the tables that a stamp tells of; none where it is another's.

    >>> fingerprints_of("entities=3-a-b,aliases=5-c-d")
    {'entities': '3-a-b', 'aliases': '5-c-d'}
    """
    parts = [part.partition("=") for part in stamp.split(",")]
    return {table: fingerprint for table, equals, fingerprint in parts if equals}


def saved_index(store: Store) -> AliasIndex:
    """Return the dictionary of a store that holds both tables: mapped if it stands there, else made.

    Two processes that make it at once do not disturb each other: each writes aside, and the one that comes
    second opens what the first has put there.
    """
    folder, stamp = aliases_folder(store.path), tables_stamp(store)
    index = _opened(folder, stamp)
    if index is not None:
        remove_left_behind(folder)
        return index
    index = AliasIndex.from_tables(*(store.read(table) for table in TABLES))
    try:
        with folder_written_whole(folder, marks=(MANIFEST,), force=True) as aside:
            index.save(aside, stamp)
    except OutputError as error:
        mapped = _opened(folder, stamp)
        if mapped is None:
            _LOGGER.warning(
                "the alias dictionary stays in memory, for this process alone: %s", error
            )
    else:
        _LOGGER.info("wrote the alias dictionary to %s", folder)
        mapped = _opened(folder, stamp)
    return index if mapped is None else mapped


def _opened(folder: Path, stamp: str) -> AliasIndex | None:
    """The dictionary in a folder, None if it is not there, not whole, or of other tables."""
    if not folder.exists():
        return None
    try:
        return AliasIndex.open(folder, expect_stamp=stamp)
    except (AliasTableError, OSError) as error:
        _LOGGER.info("the alias dictionary is made again: %s", error)
        return None
