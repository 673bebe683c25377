"""What commands print: tables for people, JSON for programs, progress on stderr."""

import contextlib
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime

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

_PLAIN_SECONDS = 5.0
"""Where stderr is no terminal, a line of progress is written this often at most."""


def print_rows(
    rows: Sequence[Mapping[str, object]], format: Format, *, title: str | None = None
) -> None:
    """Print rows of equal keys as a table, or as a JSON array."""
    if format is Format.JSON:
        print_json(rows)
        return
    console = Console()
    if not rows:
        console.print(Text(f"{title}: nothing" if title else "nothing"))
        return
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for name, value in rows[0].items():
        table.add_column(name, justify="right" if isinstance(value, int | float) else "left")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    console.print(table)


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
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield show


def _plain_lines() -> Callable[[str, int, int], None]:
    last: dict[str, float] = {}

    def show(stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        finished = total and done >= total
        if not finished and now - last.get(stage, 0.0) < _PLAIN_SECONDS:
            return
        last[stage] = now
        sys.stderr.write(f"{stage}: {done:,}{f' of {total:,}' if total else ''}\n")

    return show
