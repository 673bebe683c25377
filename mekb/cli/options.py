"""The arguments and options that commands share, each declared once."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    JSON = "json"


StoreArgument = Annotated[
    Path, typer.Argument(help="The store: one DuckDB file.", show_default=False)
]
UserArgument = Annotated[str, typer.Argument(help="The user's id, as imported.")]
BundleArgument = Annotated[Path, typer.Argument(help="A bundle folder.", show_default=False)]
FormatOption = Annotated[Format, typer.Option("--format", help="Print a table or JSON.")]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="A TOML file of settings.", show_default=False)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Override one setting: SECTION.KEY=VALUE; may be repeated.",
        show_default=False,
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option("--force", help="Run though nothing changed; replace what stands in the way."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


class Engine(StrEnum):
    """Where the work is done."""

    DUCKDB = "duckdb"
    SPARK = "spark"


EngineOption = Annotated[
    Engine, typer.Option("--engine", help="Work in the store, or on Spark: Parquet to Parquet.")
]
InputOption = Annotated[
    str | None,
    typer.Option("--input", help="Spark: what 'mekb data export' wrote; path or URI."),
]
OutputOption = Annotated[
    str | None, typer.Option("--output", help="Spark: where to write; path or URI.")
]
MasterOption = Annotated[
    str, typer.Option("--master", help="Spark: local[2], spark://host:7077, yarn, ...")
]
ConfOption = Annotated[
    list[str] | None,
    typer.Option("--conf", help="Spark: a setting NAME=VALUE; may be repeated."),
]

MemoryOption = Annotated[
    str | None,
    typer.Option(
        "--memory-limit", help='Memory to use, such as "4GB"; the rest is spilled to disk.'
    ),
]
ThreadsOption = Annotated[int | None, typer.Option("--threads", min=1, help="Cores to use.")]
SpillOption = Annotated[
    Path | None,
    typer.Option("--spill-folder", help="Where to spill to; beside the store if not given."),
]


def machine_settings(
    memory_limit: str | None, threads: int | None, spill_folder: Path | None
) -> list[str]:
    """Return what was asked of the machine as assignments of settings, such as --set takes."""
    asked = {
        "memory_limit": json.dumps(memory_limit) if memory_limit else None,
        "threads": threads,
        "spill_folder": json.dumps(str(spill_folder)) if spill_folder else None,
    }
    return [f"store.{name}={value}" for name, value in asked.items() if value is not None]


def spark_settings(conf: list[str] | None) -> dict[str, str]:
    """Return what --conf said of Spark, by name.

    Raises:
        BadParameter: a setting is not of the form NAME=VALUE.
    """
    settings = {}
    for setting in conf or []:
        name, equals, value = setting.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"--conf {setting}: write NAME=VALUE")
        settings[name] = value
    return settings


def words(text: str) -> list[str]:
    """Return the parts of a comma-separated list, trimmed, empty ones left out."""
    return [part.strip() for part in text.split(",") if part.strip()]
