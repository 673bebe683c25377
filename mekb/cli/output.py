"""What commands print: tables for people, JSON for programs, progress on stderr."""

import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from mekb.api import no_progress
from mekb.cli.options import Format

_WIDE = 240
_BORDER = 3
"""A column's rule and the blanks at its sides."""
_ENOUGH = 24
"""Where columns are split over tables, each has so much room, or all it asks for."""
_NOTE = ": "
"""Parts a stage from a note on it, which may change from step to step (`mekb.api`)."""
_PLAIN_SECONDS = 5.0
"""Where stderr is no terminal, a line of progress is written this often at most."""


def print_rows(
    rows: Sequence[Mapping[str, object]], format: Format, *, title: str | None = None
) -> None:
    """Print rows of equal keys as a table, or as a JSON array.

    Where even the longest words of the columns have no room side by side, the columns stand in several tables
    beneath one another, each beginning with the first one.
    """
    if format is Format.JSON:
        print_json(rows)
        return
    console = _console()
    if not rows:
        console.print(Text(f"{title}: nothing" if title else "nothing"))
        return
    columns = [_Column.of(name, rows) for name in rows[0]]
    for number, shown in enumerate(_side_by_side(columns, console.width)):
        console.print(_table(shown, _widths(shown, console.width), title if number == 0 else None))


def _console() -> Console:
    """Return a console as wide as its terminal; wide where there is none, since a file has no edge."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDE
    return console


@dataclasses.dataclass(frozen=True)
class _Column:
    """A column of a table: its cells, and the room its longest word and its longest cell take."""

    name: str
    cells: list[str]
    is_number: bool
    least: int
    most: int

    @classmethod
    def of(cls, name: str, rows: Sequence[Mapping[str, object]]) -> "_Column":
        cells = [_cell(row[name]) for row in rows]
        lines = [line for cell in (name, *cells) for line in cell.splitlines()]
        least = max((cell_len(word) for line in lines for word in line.split()), default=1)
        most = max(map(cell_len, lines), default=1)
        return cls(name, cells, isinstance(rows[0][name], int | float), max(least, 1), max(most, 1))


def _widths(columns: Sequence[_Column], width: int) -> list[int]:
    """Return the room of each column: what it asks for, the widest cut down as far as need be."""
    room = width - _BORDER * len(columns) - 1
    found: list[int] = []
    for cap in range(max(one.most for one in columns), 0, -1):
        found = [max(min(one.least, room), min(one.most, cap)) for one in columns]
        if sum(found) <= room:
            break
    return found


def _side_by_side(columns: Sequence[_Column], width: int) -> list[list[_Column]]:
    """Return the columns of each table: all in one, or as many as fit beside the first."""
    if sum(one.least + _BORDER for one in columns) < width:
        return [list(columns)]
    first = columns[0]
    tables = [[first]]
    for one in columns[1:]:
        asked = sum(max(c.least, min(c.most, _ENOUGH)) + _BORDER for c in [*tables[-1], one])
        if len(tables[-1]) > 1 and asked >= width:
            tables.append([first])
        tables[-1].append(one)
    return tables


def _table(columns: Sequence[_Column], widths: Sequence[int], title: str | None) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for one, width in zip(columns, widths, strict=True):
        justify: Literal["left", "right"] = "right" if one.is_number else "left"
        table.add_column(one.name, justify=justify, overflow="fold", width=width)
    for row in zip(*(one.cells for one in columns), strict=True):
        table.add_row(*map(Text, row))
    return table


def print_facts(facts: Mapping[str, object], *, title: str) -> None:
    """Print names and values, one a row."""
    print_rows(
        [{"what": name.replace("_", " "), "value": value} for name, value in facts.items()],
        Format.TABLE,
        title=title,
    )


def print_json(value: object) -> None:
    """Print a value as JSON; dataclasses and arrays of them included."""
    encoding = (
        sys.stdout.encoding or "utf-8"
    )  # a code page may lack letters, JSON's own escapes lack none
    escaped = not encoding.lower().startswith("utf")
    sys.stdout.write(json.dumps(value, default=_plain, indent=1, ensure_ascii=escaped) + "\n")


def print_line(text: str) -> None:
    """Print one line to stdout, whatever characters it holds."""
    Console(soft_wrap=True).print(Text(text))


def print_text(text: str) -> None:
    """Print text to stdout as it is."""
    sys.stdout.write(text)


def note(text: str) -> None:
    """Print one line to stderr."""
    Console(stderr=True, soft_wrap=True).print(Text(text))


def print_protocol(protocol: Sequence[str], notes: Sequence[str]) -> None:
    """Print how something was measured, and notes on it."""
    for line in protocol:
        print_line(line)
    for line in notes:
        note(line)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value)
    return str(value)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


@contextlib.contextmanager
def progress(*, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Give an `on_progress` that draws bars on a terminal and writes plain lines elsewhere."""
    if quiet:
        yield no_progress
    elif sys.stderr.isatty():
        with _bars() as show:
            yield show
    else:
        yield _plain_lines()


@contextlib.contextmanager
def _bars() -> Iterator[Callable[[str, int, int], None]]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            name = stage.partition(_NOTE)[0]
            if name not in tasks:
                tasks[name] = bars.add_task(stage, total=total or None)
            bars.update(tasks[name], description=stage, completed=done, total=total or None)

        yield show


def _plain_lines() -> Callable[[str, int, int], None]:
    last: dict[str, float] = {}

    def show(stage: str, done: int, total: int) -> None:
        now, name = time.monotonic(), stage.partition(_NOTE)[0]
        finished = total and done >= total
        if not finished and now - last.get(name, 0.0) < _PLAIN_SECONDS:
            return
        last[name] = now
        sys.stderr.write(f"{stage}: {done:,}{f' of {total:,}' if total else ''}\n")

    return show
