"""The arguments and options that commands share, each declared once."""

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


def words(text: str) -> list[str]:
    """Return the parts of a comma-separated list, trimmed, empty ones left out."""
    return [part.strip() for part in text.split(",") if part.strip()]
