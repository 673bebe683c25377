"""A file together with how it is read: what a plain path leaves to the settings, a preset knows.

    path + columns + domain + shape ──read_files──> RawTable

Where `ImportConfig` names one column for all files, a `SourceFile` names its own. `shape` turns the columns
of a format into those of the import (genre flags into categories, "Matrix, The (1999)" into a title).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from mekb.sources.config import ImportConfig
from mekb.sources.formats import RawTable
from mekb.sources.read import read_file

Shape: TypeAlias = Callable[[pa.Table], pa.Table]


@dataclass(frozen=True)
class SourceFile:
    """A file of one domain whose columns are known."""

    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    """Role -> column. Roles beside those of the import are read for `shape` alone."""
    required: tuple[str, ...] | None = None
    """Roles that must be there, where they are fewer than usual."""
    domain: str | None = None
    """Of the rows that name none."""
    encoding: str | None = None
    separator: str | None = None
    """Between fields, where looking could go wrong."""
    shape: Shape | None = None
    """Makes the columns of the import from those read."""

    @property
    def name(self) -> str:
        """The file's name, after its domain where it has one: two domains may have files of one name."""
        return f"{self.domain}/{self.path.name}" if self.domain else self.path.name


Given: TypeAlias = Path | SourceFile
"""A file whose columns the settings name, or one that knows them itself."""


def as_source_file(given: Given) -> SourceFile:
    """Return a path as a file that leaves everything to the settings."""
    return given if isinstance(given, SourceFile) else SourceFile(given)


def read_files(
    files: Sequence[Given], roles: Sequence[str], required: Sequence[str], config: ImportConfig
) -> list[RawTable]:
    """Read each file's columns as text.

    Args:
        files: What to read.
        roles: The columns of the import, for files of this kind.
        required: Those that must be there.
        config: Names the columns that a file does not name itself; a column set by hand goes first.

    Raises:
        SourceError: a file cannot be read, holds no row, or lacks a required column.
    """
    return [_read(as_source_file(given), roles, required, config) for given in files]


def _read(
    file: SourceFile, roles: Sequence[str], required: Sequence[str], config: ImportConfig
) -> RawTable:
    settings = {role: str(getattr(config, role)) for role in roles}
    renamed = {role: column for role, column in settings.items() if config.is_renamed(role)}
    columns = {**(file.columns or settings), **renamed}
    raw = read_file(
        file.path,
        columns,
        required if file.required is None else file.required,
        file.encoding or config.encoding,
        file.separator,
    )
    table = file.shape(raw.table) if file.shape else raw.table
    return replace(raw, table=table, domain=file.domain, is_preset=bool(file.columns))
