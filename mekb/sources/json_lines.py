"""JSON lines: one object a line, read by Python so that a broken line is known by its number.

A line may also be a Python literal, as in Amazon's metadata of 2014 ("strict=False"); it is never evaluated.

Numbers keep their spelling (1e5 stays "1e5", a 30-digit id loses nothing), null becomes "", lists of
strings are joined by spaces, except categories, which stay a list.
"""

import codecs
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from mekb.sources.formats import Format, RawTable, open_file
from mekb.sources.report import RejectionLog
from mekb.sources.values import ROW, as_text, category_names, written_value

BATCH_ROWS = 65_536


def read_json_lines(path: Path, found: Format, roles: Mapping[str, str], encoding: str) -> RawTable:
    """Read the fields named in `roles` (role -> field); a line without one has "" or an empty list.

    Args:
        path: the file.
        found: its format.
        roles: which field is wanted as what.
        encoding: a codec name whose line ends are those of ASCII.

    Returns:
        The fields that at least one line has; lines that are no JSON object are in `rejected`.

    Raises:
        EOFError, OSError: if the file is cut short inside its compression.
    """
    log = RejectionLog()
    fields: dict[str, None] = {}
    types = {
        ROW: pa.int64(),
        **{role: pa.list_(pa.string()) if role == "categories" else pa.string() for role in roles},
    }
    batch: dict[str, list[object]] = {name: [] for name in types}
    tables = [pa.table({name: pa.array([], kind) for name, kind in types.items()})]

    def flush() -> None:
        tables.append(pa.table({name: pa.array(batch[name], types[name]) for name in types}))
        for values in batch.values():
            values.clear()

    with open_file(path, is_gzip=found.is_gzip) as file:
        for number, record in _records(file, encoding, log):
            fields.update(dict.fromkeys(record))
            batch[ROW].append(number)
            for role, field in roles.items():
                value = record.get(field)
                batch[role].append(
                    category_names(value) if role == "categories" else as_text(value)
                )
            if len(batch[ROW]) == BATCH_ROWS:
                flush()
    flush()
    table = pa.concat_tables(tables)
    kept = [ROW, *(role for role, field in roles.items() if field in fields)]
    description = "JSON lines" + (", gzip" if found.is_gzip else "")
    return RawTable(path, description, tuple(fields), table.select(kept), log.rejected())


def _records(
    file: BinaryIO, encoding: str, log: RejectionLog
) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield (line number, object) for each good line; log the others."""
    decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
    for number, line in enumerate(file, start=1):
        content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if not content.strip():
            continue
        try:
            record = decoder.decode(content.decode(encoding))
        except UnicodeDecodeError:
            log.add(number, f"not {encoding}", content.decode("ascii", "backslashreplace").strip())
        except (json.JSONDecodeError, RecursionError):
            text = content.decode(encoding).strip()
            literal = written_value(text) if text.startswith("{") else None
            if isinstance(literal, dict):
                yield number, literal
            else:
                log.add(number, "not JSON", text)
        else:
            if isinstance(record, dict):
                yield number, record
            else:
                log.add(number, "not a JSON object", content.decode(encoding).strip())
