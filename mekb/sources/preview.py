"""A dry run: what would be read from the head of each file, before hours are spent on the whole.

The head of a file is copied aside and read by the same readers as the import, so that what is shown (format,
columns, which of them means what, the first rows) is what would happen, errors included.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from mekb.errors import SourceError
from mekb.sources.config import INTERACTION_COLUMNS, ITEM_COLUMNS, ImportConfig
from mekb.sources.formats import Kind, RawTable, detect, open_file
from mekb.sources.report import Rejected
from mekb.sources.source_files import Given, SourceFile, as_source_file, read_files
from mekb.sources.values import ROW

HEAD_LINES = 200
MAX_LINE = 1 << 24


class FilePreview(BaseModel):
    """The head of one file as the import would take it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    kind: str
    """"items" or "interactions"."""
    format: str
    domain: str | None
    """Of rows that name none."""
    columns: tuple[str, ...]
    """All columns the file has."""
    mapping: dict[str, str]
    """Role -> column, of the roles that were found."""
    missing: tuple[str, ...]
    """Roles that no column was found for."""
    rows: tuple[dict[str, str], ...]
    """The first rows, by role."""
    rejected: tuple[Rejected, ...]
    """Rows of the head that cannot be read."""


def preview(
    items: Sequence[Given],
    interactions: Sequence[Given],
    config: ImportConfig,
    *,
    n_rows: int = 5,
) -> tuple[FilePreview, ...]:
    """Read the heads of files as an import would.

    Args:
        items: Files with a row an item.
        interactions: Files with a row a user and item.
        config: Columns and policies.
        n_rows: How many rows to show of each.

    Raises:
        SourceError: a file cannot be read, or lacks a required column.
    """
    kinds = [
        *(("items", file) for file in items),
        *(("interactions", file) for file in interactions),
    ]
    return tuple(_preview(kind, as_source_file(file), config, n_rows) for kind, file in kinds)


def _preview(kind: str, file: SourceFile, config: ImportConfig, n_rows: int) -> FilePreview:
    roles, required = (
        (ITEM_COLUMNS, ("item", "title"))
        if kind == "items"
        else (INTERACTION_COLUMNS, ("user", "item"))
    )
    with tempfile.TemporaryDirectory(prefix="mekb-") as folder:
        head = _head(file.path, Path(folder))
        try:
            raw = read_files([replace(file, path=head)], roles, required, config)[0]
        except SourceError as error:
            raise SourceError(str(error).replace(str(head), str(file.path))) from error
    names = {role: str(getattr(config, role)) for role in roles}
    columns = {
        **(file.columns or names),
        **{r: n for r, n in names.items() if config.is_renamed(r)},
    }
    return FilePreview(
        file=str(file.path),
        kind=kind,
        format=raw.format,
        domain=file.domain or config.domain_of(file.path.name),
        columns=raw.columns,
        mapping={role: name for role, name in columns.items() if name in raw.columns},
        missing=tuple(role for role in roles if role not in raw.table.column_names),
        rows=_rows(raw, n_rows),
        rejected=raw.rejected,
    )


def _rows(raw: RawTable, n_rows: int) -> tuple[dict[str, str], ...]:
    """Return the first rows as text by role, long values cut."""
    table = raw.table.drop_columns([ROW]).slice(0, n_rows)
    return tuple({role: _shown(value) for role, value in row.items()} for row in table.to_pylist())


def _shown(value: object, limit: int = 80) -> str:
    text = "|".join(value) if isinstance(value, list) else str(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def _head(path: Path, folder: Path) -> Path:
    """Copy the first rows of a file to a folder, unpacked, under its own name."""
    found = detect(path)
    copy = folder / path.name.removesuffix(".gz")
    with open_file(path, is_gzip=found.is_gzip) as file:
        if found.kind is Kind.PARQUET and not found.is_gzip:
            parquet = pq.ParquetFile(file)
            rows = next(parquet.iter_batches(batch_size=HEAD_LINES), None)
            with pq.ParquetWriter(copy, parquet.schema_arrow) as writer:
                if rows is not None:
                    writer.write_batch(rows)
            return copy
        if found.kind is Kind.PARQUET:
            copy.write_bytes(file.read())
            return copy
        lines = (file.readline(MAX_LINE) for _ in range(HEAD_LINES))
        copy.write_bytes(b"".join(lines))
    return copy
