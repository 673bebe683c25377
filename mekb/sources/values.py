"""Values of any file format as plain text: ids untouched, nulls as "", lists as lists."""

import ast
import html
import json
import warnings

import pyarrow as pa
import pyarrow.compute as pc

LITERAL_LIMIT = 1_000_000
"""Longest text tried as a Python literal: the parser takes about a hundred times the space."""

ROW = "row"
"""Column that holds a row's number in its file, from 1."""


def as_text(value: object) -> str:
    """Return a JSON value as text: null and objects as "", a list as its parts joined by spaces.

    >>> as_text(None), as_text("007"), as_text(True), as_text(["A", ["B", None]])
    ('', '007', 'true', 'A B')
    """
    match value:
        case str():
            return storable(value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list():
            return " ".join(part for part in map(as_text, value) if part)
        case _:
            return ""


def storable(text: str) -> str:
    r"""Return `text` with lone surrogates, which UTF-8 has no bytes for, as U+FFFD.

    >>> storable("a\ud800b")
    'a\ufffdb'
    """
    if text.isascii():
        return text
    return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)


def category_names(value: object) -> list[str]:
    """Return the names in a list, a written-out list, or a string with "|" or ";" between the names.

    Names are stripped and their HTML entities decoded; empty and repeated ones go, order stays.

    >>> category_names("Books|Sci &amp; Fi|Books"), category_names("Crime; Noir")
    (['Books', 'Sci & Fi'], ['Crime', 'Noir'])
    >>> category_names([["Books", "Crime"], ["Books"]]), category_names("['Books', 'Crime']")
    (['Books', 'Crime'], ['Books', 'Crime'])
    """
    names = (html.unescape(name).strip() for name in _flat(value))
    return list(dict.fromkeys(name for name in names if name))


def _flat(value: object) -> list[str]:
    """Return the strings of nested lists, or the parts of one string."""
    if isinstance(value, list):
        return [
            name
            for part in value
            for name in (_flat(part) if isinstance(part, list) else [as_text(part)])
        ]
    text = as_text(value)
    if text.startswith("[") and text.endswith("]"):
        parsed = written_value(text)
        if isinstance(parsed, list):
            return _flat(parsed)
    if "|" in text:
        return text.split("|")
    return html.unescape(text).split(";")


def written_value(text: str) -> object:
    """Return the value written in JSON or as a Python literal, or None if it is neither or too long.

    >>> written_value("{'asin': '007', 'price': 3.5}"), written_value("__import__('os')")
    ({'asin': '007', 'price': 3.5}, None)
    """
    if len(text) > LITERAL_LIMIT:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
                value: object = parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return value
    return None


def row_numbers(n_rows: int, skipped: set[int]) -> pa.Array:
    """Return the numbers from 1 of the rows that were read, leaving out the skipped ones.

    >>> row_numbers(3, {2}).to_pylist()
    [1, 3, 4]
    """
    if not skipped:
        return pa.array(range(1, n_rows + 1), pa.int64())
    numbers = (number for number in range(1, n_rows + len(skipped) + 1) if number not in skipped)
    return pa.array(numbers, pa.int64())


def text_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a typed Arrow column as text: whole floats as integers, times as ISO 8601 in UTC.

    A NaN among whole floats is how pandas writes a missing integer, and becomes null.

    Raises:
        pa.ArrowInvalid: if the type has no text form (structs, maps).
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_floating(kind):
        return _float_text(column)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return column.cast(pa.timestamp("us"), safe=False).cast(pa.string())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.chunked_array(
            [pa.array([as_text(value) for value in column.to_pylist()], pa.string())]
        )
    if pa.types.is_nested(kind):
        raise pa.ArrowInvalid(f"type {kind} has no text form")
    return column.cast(pa.string())


def _float_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return floats as text, "7" rather than "7.0" where all are whole."""
    whole = pc.all(pc.or_(pc.equal(pc.floor(column), column), pc.is_nan(column))).as_py()
    exact = pc.all(pc.or_(pc.less(pc.abs(column), 2.0**53), pc.is_nan(column))).as_py()
    if whole and exact:
        missing = pa.scalar(None, column.type)
        return pc.if_else(pc.is_nan(column), missing, column).cast(pa.int64()).cast(pa.string())
    return column.cast(pa.string())
