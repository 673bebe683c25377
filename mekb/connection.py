"""Opening a DuckDB file: what it may use of the machine, and what is said when it cannot be opened."""

import contextlib
import os
import re
import time
from pathlib import Path

import duckdb
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from mekb.errors import StoreError

_IN_USE = re.compile("could not set lock|used by another process", re.IGNORECASE)
"""What DuckDB says on POSIX systems and on Windows; a path may hold the word "lock" too."""
_LOCK_RETRIES = 5
_LOCK_WAIT_SECONDS = 0.2
_MEMORY = re.compile(r"^(\d+(?:\.\d+)?)\s*([KMGT]i?B|%)$")
ENGINE_SHARE = 0.85
"""Of the memory asked for: the rest is Python's, and what the engine holds outside the limit it keeps."""


class StoreSettings(BaseModel):
    """What the store's engine may use of the machine; no result depends on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_limit: str | None = Field(default=None, pattern=_MEMORY.pattern)
    """What the process may use, such as "4GB" or "50%"; None is 80 % of the machine's. What does not fit is
    spilled to disk."""
    threads: PositiveInt | None = None
    """None takes every core."""
    spill_folder: Path | None = None
    """Where to spill to; None is a folder beside the store, gone when the store is closed."""


def connect(path: Path, settings: StoreSettings) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file, waiting a second at most for another process to let go of it.

    Raises:
        StoreError: the file is in use or no database, or nothing can be spilled to the folder asked for.
    """
    config = _engine_options(settings)
    for attempt in range(_LOCK_RETRIES):
        try:
            connection = duckdb.connect(str(path), config=config)
        except duckdb.IOException as error:
            message = str(error)
            if not _IN_USE.search(message):
                raise _unopened(path, error) from error
            if attempt == _LOCK_RETRIES - 1:
                holder = re.search(r"PID (\d+)", message)
                who = f"by process {holder[1]}" if holder else "by another process"
                raise StoreError(
                    f"{path}: in use {who}; wait for it to end, then try again"
                ) from error
            time.sleep(_LOCK_WAIT_SECONDS)
        except duckdb.Error as error:
            raise _unopened(path, error) from error
        else:
            with contextlib.suppress(duckdb.InvalidInputException):
                # In a notebook without ipywidgets the bar can be neither drawn nor switched off.
                connection.execute("set enable_progress_bar = false")
            return connection
    raise AssertionError("unreachable: the last attempt raises")


def _unopened(path: Path, error: duckdb.Error) -> StoreError:
    """Return what to say of a file that is no database, or whose log of changes cannot be replayed."""
    if "replaying WAL" in str(error):
        return StoreError(
            f"{path}: its log {path}.wal, left by a run that was cut off, is damaged; move the log away to open"
            f" the store as it was before that run ({first_line(error)})"
        )
    return StoreError(f"{path}: cannot be opened as a store: {first_line(error)}")


def _engine_options(settings: StoreSettings) -> dict[str, str | bool | int | float | list[str]]:
    options: dict[str, str | bool | int | float | list[str]] = {}
    if settings.threads is not None:
        options["threads"] = settings.threads
    if settings.memory_limit is not None:
        found = _MEMORY.match(settings.memory_limit)
        assert found, "the settings were validated"
        options["memory_limit"] = f"{float(found[1]) * ENGINE_SHARE:g}{found[2]}"
    folder = settings.spill_folder
    if folder is not None:
        place = folder if folder.exists() else folder.parent
        if not place.is_dir() or not os.access(place, os.W_OK):
            raise StoreError(
                f"{folder}: nothing can be spilled there: {place} is no folder to write to"
            )
        options["temp_directory"] = str(folder)
    return options


def first_line(error: Exception) -> str:
    """Return an error's first line."""
    return str(error).split("\n", maxsplit=1)[0]
