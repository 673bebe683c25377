"""One file of any format to text columns by role, with the errors a user can act on."""

import difflib
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa

from mekb.errors import SourceError
from mekb.sources.delimited import read_delimited
from mekb.sources.formats import Format, Kind, RawTable, detect, not_in_encoding
from mekb.sources.json_lines import read_json_lines
from mekb.sources.parquet import read_parquet

SHOWN_COLUMNS = 20


def read_file(
    path: Path,
    roles: Mapping[str, str],
    required: Collection[str],
    encoding: str,
    separator: str | None = None,
) -> RawTable:
    """Read those of the columns in `roles` (role -> column) that a file has.

    Args:
        path: a CSV, TSV, JSON lines or Parquet file, plain or gzip, told by content.
        roles: which column is wanted as what.
        required: roles that must be there.
        encoding: of text files, a codec name.
        separator: of delimited files, where it is known.

    Returns:
        The columns as text, by role.

    Raises:
        SourceError: if the file cannot be read, holds no row, or lacks a required column.
    """
    found = _detect(path)
    try:
        raw = _read(path, found, roles, encoding, separator)
    except UnicodeDecodeError as error:
        raise SourceError(not_in_encoding(path, encoding, error)) from error
    except (EOFError, zlib.error) as error:
        raise SourceError(
            f"{path}: the compressed file is damaged or cut short: {error}"
        ) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(
            f"{path}: cannot be read as {found.kind}: {_first_line(error)}"
        ) from error
    if not raw.n_read:
        raise SourceError(f"{path}: a header and no rows; columns: {_listed(raw.columns)}")
    if not raw.table.num_rows:
        first = raw.rejected[0]
        raise SourceError(f"{path}: no row can be read; {first.reason}: {first.examples[0]}")
    for role in required:
        if role not in raw.table.column_names:
            raise SourceError(missing_column(path, role, roles[role], raw.columns))
    return raw


def missing_column(path: Path, role: str, column: str, columns: Collection[str]) -> str:
    """Return the message for a column that is not there: what was found, and the nearest name."""
    near = nearest(column, columns)
    advice = f"; did you mean {near!r}? Set {role} = {near!r}" if near else f"; set `{role}`"
    return f"{path}: no column {column!r} for `{role}`{advice}. Columns: {_listed(columns)}"


def nearest(name: str, columns: Collection[str]) -> str | None:
    """Return the column most like `name`, or None.

    >>> nearest("user_id", ["movieId", "userId", "rating"])
    'userId'
    """
    plain = {column.casefold().replace("_", ""): column for column in columns}
    close = difflib.get_close_matches(name.casefold().replace("_", ""), list(plain), n=1)
    return plain[close[0]] if close else None


def _detect(path: Path) -> Format:
    """Tell the format, with unreadable files as errors of ours."""
    try:
        return detect(path)
    except (EOFError, zlib.error) as error:
        raise SourceError(
            f"{path}: the compressed file is damaged or cut short: {error}"
        ) from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be opened: {_first_line(error)}") from error


def _read(
    path: Path, found: Format, roles: Mapping[str, str], encoding: str, separator: str | None
) -> RawTable:
    """Hand the file to the reader of its kind."""
    match found.kind:
        case Kind.PARQUET:
            return read_parquet(path, found, roles)
        case Kind.JSON_LINES:
            return read_json_lines(path, found, roles, encoding)
        case Kind.DELIMITED:
            return read_delimited(path, found, roles, encoding, separator)


def _listed(columns: Collection[str]) -> str:
    """Return the first columns for a message."""
    shown = ", ".join(repr(column) for column in list(columns)[:SHOWN_COLUMNS])
    return shown + (", ..." if len(columns) > SHOWN_COLUMNS else "")


def _first_line(error: Exception) -> str:
    """Return an error's first line."""
    return str(error).split("\n", maxsplit=1)[0]
