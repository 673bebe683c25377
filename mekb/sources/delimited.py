"""CSV, TSV and relatives: separator, header and quoting found by looking, rows read as text.

The separator is the one (of tab, comma, semicolon, bar and "::") under which the first row holds most of
the columns asked for, then under which most rows of the file's head are as long as the first, then which
gives most columns. A first row with none of the columns asked for and a number in it is data: the columns
are then called column1, column2, ... Quotes mean something in CSV; in TSV only where they embrace fields.

Files of RecBole (".inter", ".item", ...) have headers of the form `name:type`; names are matched
without the type, and a `token_seq` is a list with spaces between its names.
"""

import codecs
import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv

from mekb.errors import SourceError
from mekb.sources.formats import Format, RawTable, decode_head, open_file
from mekb.sources.report import RejectionLog
from mekb.sources.values import ROW, category_names, row_numbers, storable

SEPARATORS = {"\t": "TSV", ",": "CSV", ";": "CSV", "|": "CSV", "::": "text"}
"""What may stand between two fields, in the order of preference at a tie."""
WIDE = "::"
"""The separator of old MovieLens files: no quoting, two characters, so not for a CSV reader."""

SAMPLE_ROWS = 100
BLOCK_BYTES = 16 << 20
"""pyarrow reads by blocks, and a row must fit in one: long reviews do."""

RECBOLE_ENDINGS = (".inter", ".item", ".user", ".kg", ".link", ".net")
RECBOLE_FIELD = re.compile(r"(.+):(token|token_seq|float|float_seq)")


@dataclass(frozen=True)
class Layout:
    """How a delimited file is built."""

    separator: str
    columns: tuple[str, ...]
    """Names without RecBole's types."""
    has_header: bool
    is_quoted: bool
    sequences: frozenset[str] = frozenset()
    """Columns that are lists with spaces between the names."""

    @property
    def description(self) -> str:
        """For the report, such as "CSV, separator ','"."""
        header = "" if self.has_header else ", no header"
        return f"{SEPARATORS[self.separator]}, separator {self.separator!r}{header}"


def read_delimited(
    path: Path,
    found: Format,
    roles: Mapping[str, str],
    encoding: str,
    separator: str | None = None,
) -> RawTable:
    """Read the columns named in `roles` (role -> column) that the file has.

    Args:
        path: the file.
        found: its format.
        roles: which column is wanted as what.
        encoding: a codec name.
        separator: what stands between fields, where it is known.

    Returns:
        The columns as text; rows with too few or too many fields are in `rejected`.

    Raises:
        SourceError: if a name is there twice, or a RecBole file's header has no types.
        UnicodeDecodeError, EOFError, OSError, pa.ArrowInvalid: if the bytes cannot be read so.
    """
    head = decode_head(path, found, encoding)
    layout = sniff(path, head, frozenset(roles.values()), separator)
    counts = Counter(layout.columns)
    twice = [column for column in roles.values() if counts[column] > 1]
    if twice:
        raise SourceError(f"{path}: column {twice[0]!r} is there twice; rename one of them")
    places = {role: layout.columns.index(name) for role, name in roles.items() if counts[name]}
    log = RejectionLog()
    read = _read_wide if layout.separator == WIDE else _read_csv
    with open_file(path, is_gzip=found.is_gzip) as file:
        table = read(file, layout, places, encoding, log)
    if "categories" in places:
        spaced = roles["categories"] in layout.sequences
        names = [
            category_names(value.split(" ") if spaced else value)
            for value in table["categories"].to_pylist()
        ]
        place = table.column_names.index("categories")
        table = table.set_column(place, "categories", pa.array(names, pa.list_(pa.string())))
    description = layout.description + (", gzip" if found.is_gzip else "")
    return RawTable(path, description, layout.columns, table, log.rejected())


def sniff(path: Path, head: str, wanted: Collection[str], separator: str | None = None) -> Layout:
    """Find out separator, header and quoting from the first characters of a file.

    Raises:
        SourceError: if a RecBole file has a header without types.
    """
    best = separator or max(SEPARATORS, key=lambda each: _fit(head, each, wanted))
    rows = _sample(head, best)
    first = rows[0]
    typed = [RECBOLE_FIELD.fullmatch(name) for name in first]
    is_atomic = separator in {None, "\t"} and path.name.removesuffix(".gz").endswith(
        RECBOLE_ENDINGS
    )
    if is_atomic and not all(typed):
        wrong = first[typed.index(None)]
        raise SourceError(
            f"{path}: header field {wrong!r} has no type; RecBole files need name:type, such as"
            f" '{wrong}:token' (or rename the file to .tsv)"
        )
    is_quoted = best != WIDE and (best != "\t" or _has_quoted_fields(head, if_none=is_atomic))
    if all(typed):
        matches = [match for match in typed if match]
        sequences = frozenset(match[1] for match in matches if match[2] == "token_seq")
        names = tuple(match[1] for match in matches)
        return Layout(best, names, has_header=True, is_quoted=is_quoted, sequences=sequences)
    if not set(first) & set(wanted) and any(map(_is_number, first)):
        names = tuple(f"column{number}" for number in range(1, len(first) + 1))
        return Layout(best, names, has_header=False, is_quoted=is_quoted)
    return Layout(best, tuple(first), has_header=True, is_quoted=is_quoted)


def _sample(head: str, separator: str) -> list[list[str]]:
    """Return the first rows under a separator."""
    if separator == WIDE:
        rows = [line.split(WIDE) for line in head.split("\n") if line]
        return rows[:SAMPLE_ROWS]
    return _parsed(head, separator, is_quoted=separator != "\t" or _has_quoted_fields(head))


def _parsed(head: str, separator: str, *, is_quoted: bool) -> list[list[str]]:
    """Return the first rows under a separator of one character."""
    reader = csv.reader(
        io.StringIO(head, newline=""),
        delimiter=separator,
        quoting=csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE,
    )
    return [row for row in itertools.islice(reader, SAMPLE_ROWS) if row]


def _fit(head: str, separator: str, wanted: Collection[str]) -> tuple[int, bool, float, int]:
    """Return how well a separator explains the head, to be compared field by field."""
    rows = _sample(head, separator)
    names = {name.rpartition(":")[0] if RECBOLE_FIELD.fullmatch(name) else name for name in rows[0]}
    n_fields = len(rows[0])
    return len(names & set(wanted)), n_fields > 1, _evenness(rows), n_fields


def _evenness(rows: list[list[str]]) -> float:
    """Return the share of rows as long as the first."""
    return sum(len(row) == len(rows[0]) for row in rows) / len(rows)


def _has_quoted_fields(head: str, *, if_none: bool = False) -> bool:
    """Return whether quotes in tab-separated text embrace fields, rather than being a part of them.

    Where no field begins with one, `if_none`: RecBole itself reads its files as quoted.
    """
    plain = _parsed(head, "\t", is_quoted=False)
    if _evenness(plain) < _evenness(_parsed(head, "\t", is_quoted=True)):
        return True  # fields hold line ends or tabs inside their quotes
    starts = [field for row in plain for field in row if field.startswith('"')]
    if not starts:
        return if_none
    return all(len(field) > 1 and field.endswith('"') for field in starts)


def _is_number(text: str) -> bool:
    """Return whether `text` reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_csv(
    file: BinaryIO, layout: Layout, places: Mapping[str, int], encoding: str, log: RejectionLog
) -> pa.Table:
    """Read columns by their places with pyarrow; one thread, so that a bad row's number is known."""
    skipped: set[int] = set()

    def skip(bad: pa_csv.InvalidRow) -> str:
        # pyarrow counts rows from 1, a header too.
        number = bad.number - layout.has_header
        skipped.add(number)
        log.add(number, "wrong number of fields", bad.text)
        return "skip"

    unique = [str(place) for place in range(len(layout.columns))]
    read = pa_csv.ReadOptions(
        use_threads=False,
        block_size=BLOCK_BYTES,
        column_names=unique,
        skip_rows_after_names=int(layout.has_header),
        encoding=codecs.lookup(encoding).name,
    )
    parse = pa_csv.ParseOptions(
        delimiter=layout.separator,
        quote_char='"' if layout.is_quoted else False,
        newlines_in_values=layout.is_quoted,
        invalid_row_handler=skip,
    )
    # An empty list of columns would mean all of them, so the first is read even when none is wanted.
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(unique, pa.string()),
        include_columns=[unique[place] for place in dict.fromkeys(places.values())] or unique[:1],
        strings_can_be_null=False,
    )
    table = pa_csv.read_csv(file, read, parse, convert)
    columns = {role: table[unique[place]] for role, place in places.items()}
    return pa.table({ROW: row_numbers(table.num_rows, skipped), **columns})


def _read_wide(
    file: BinaryIO, layout: Layout, places: Mapping[str, int], encoding: str, log: RejectionLog
) -> pa.Table:
    """Read columns by their places from lines with "::" between the fields."""
    columns: dict[str, list[str]] = {role: [] for role in places}
    skipped: set[int] = set()
    number = 0
    with io.TextIOWrapper(file, encoding=encoding) as lines:
        for place, line in enumerate(lines):
            text = line.removeprefix("\ufeff").rstrip("\n")
            if not text or (place == 0 and layout.has_header):
                continue
            number += 1
            fields = text.split(WIDE)
            if len(fields) != len(layout.columns):
                skipped.add(number)
                log.add(number, "wrong number of fields", text)
                continue
            for role, field in places.items():
                columns[role].append(storable(fields[field]))
    arrays = {role: pa.array(values, pa.string()) for role, values in columns.items()}
    return pa.table({ROW: row_numbers(number - len(skipped), skipped), **arrays})
