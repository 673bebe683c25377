"""The options by which published data sets are named, and what a dry run prints."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mekb.cli.options import Format
from mekb.errors import ConfigError

if TYPE_CHECKING:
    from mekb.sources.preview import FilePreview

PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="A published format: amazon2023, amazon2018, amazon2014, movielens, recbole, douban.",
        show_default=False,
    ),
]
DataOption = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        help="DOMAIN=PATH with --preset: a folder, zip archive or file; may be repeated.",
        show_default=False,
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option("--dry-run", help="Show how the files would be read, and write nothing."),
]


def by_domain(
    preset: str | None, data: Sequence[str], items: Sequence[Path], interactions: Sequence[Path]
) -> dict[str, list[Path]]:
    """Return DOMAIN=PATH assignments as domain -> paths.

    Raises:
        ConfigError: --preset and --data do not come together, or come with other files; no DOMAIN=.
    """
    if bool(preset) != bool(data):
        raise ConfigError(
            "--preset and --data go together: --preset movielens --data films=ml-1m.zip"
        )
    if preset and (items or interactions):
        raise ConfigError("--preset finds the files itself; leave out --items and --interactions")
    found: dict[str, list[Path]] = {}
    for assignment in data:
        domain, equals, path = assignment.partition("=")
        if not equals or not domain.strip() or not path.strip():
            raise ConfigError(f"--data {assignment}: write DOMAIN=PATH, such as films=ml-1m.zip")
        found.setdefault(domain.strip(), []).append(Path(path.strip()))
    return found


def print_previews(previews: "Sequence[FilePreview]", format: Format) -> None:
    """Print what a dry run found: the mapping of each file and its first rows."""
    from mekb.cli.output import note, print_json, print_line, print_rows

    if format is Format.JSON:
        print_json([each.model_dump(mode="json") for each in previews])
        return
    for each in previews:
        domain = each.domain or "named by its rows, or by the item"
        print_line(f"{each.file}: {each.kind}, {each.format}; domain: {domain}")
        print_line(f"  columns: {', '.join(each.columns)}")
        mapping = ", ".join(f"{role} = {column}" for role, column in each.mapping.items())
        print_line(f"  read as: {mapping}")
        if each.missing:
            print_line(f"  not found: {', '.join(each.missing)}")
        print_rows(each.rows, format, title="First rows")
        for rejected in each.rejected:
            note(f"{each.file}: {rejected.n_rows} rows: {rejected.reason}: {rejected.examples[0]}")
    note("dry run: nothing was written")
