"""`mekb compare`: models, controls and ablations side by side on the same held-out users."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mekb.cli.options import ConfigOption, QuietOption, SetOption, StoreArgument, words
from mekb.errors import ConfigError

if TYPE_CHECKING:
    from mekb.comparison_tables import Compared


class TableFormat(StrEnum):
    """How the table is printed."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"
    LATEX = "latex"
    CSV = "csv"


class ProtocolName(StrEnum):
    """What a held-out positive is ranked among."""

    PAPER = "paper"
    FULL = "full"
    BOTH = "both"


ModelSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model-set",
        help="Fix a setting of a model: MODEL.KEY=VALUE; may be repeated.",
        show_default=False,
    ),
]


def compare(
    store: StoreArgument,
    target: Annotated[str, typer.Option("--target", help="The domain to recommend from.")],
    models: Annotated[
        str, typer.Option("--models", help="Names of models, by commas.")
    ] = "popularity,source_knn,item_knn,ease,embedme",
    sources: Annotated[
        str, typer.Option("--sources", help="The other domains, by commas; all others.")
    ] = "",
    protocol: Annotated[
        ProtocolName,
        typer.Option("--protocol", help="999 sampled negatives, all items, or both (all first)."),
    ] = ProtocolName.BOTH,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Fits of each model a fold.")] = 1,
    folds: Annotated[int, typer.Option("--folds", min=1, help="Splits, from split.fold on.")] = 1,
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Settings tried for each model and fold.")
    ] = 10,
    ablate: Annotated[
        str, typer.Option("--ablate", help="Ablations of embedme, by commas, or all.")
    ] = "",
    controls: Annotated[
        str, typer.Option("--controls", help="Controls of each model, by commas, or all.")
    ] = "",
    split: Annotated[
        Path | None,
        typer.Option("--split", help="A split folder to measure on.", show_default=False),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option("--work", help="Where runs are kept; beside the store.", show_default=False),
    ] = None,
    model_set: ModelSetOption = None,
    format: Annotated[
        TableFormat, typer.Option("--format", help="How the table is printed.")
    ] = TableFormat.TABLE,
    config: ConfigOption = None,
    set_: SetOption = None,
    quiet: QuietOption = False,
) -> None:
    """Compare models on held-out users: one split, one budget of trials, intervals, paired tests, a verdict.

    Example: mekb compare my.duckdb --target films --models popularity,source_knn --trials 5
    """
    from mekb import api
    from mekb.cli.output import progress
    from mekb.comparison_plan import Plan
    from mekb.config import load_settings

    plan = Plan(
        models=tuple(words(models)),
        protocol=protocol.value,
        n_seeds=seeds,
        n_folds=folds,
        n_trials=trials,
        ablations=tuple(words(ablate)),
        controls=tuple(words(controls)),
        split_folder=split,
        work=work,
        model_settings=model_settings_of(model_set or []),
    )
    with progress(quiet=quiet) as on_progress:
        found = api.compare(
            store,
            target=target,
            plan=plan,
            sources=words(sources),
            settings=load_settings(config, set_ or []),
            on_progress=on_progress,
        )
    _print(found, format)


def _print(found: "Compared", format: TableFormat) -> None:
    from mekb.cli.options import Format
    from mekb.cli.output import print_json, print_line, print_protocol, print_rows, print_text
    from mekb.comparison_tables import as_csv, as_latex, as_markdown, flat, segment_rows

    match format:
        case TableFormat.JSON:
            print_json(
                {name: value for name, value in vars(found).items() if name != "evaluations"}
            )
        case TableFormat.MARKDOWN:
            print_text(as_markdown(found))
        case TableFormat.LATEX:
            print_text(as_latex(found))
        case TableFormat.CSV:
            print_text(as_csv(found))
        case TableFormat.TABLE:
            print_rows(flat(found.rows), Format.TABLE, title="Held-out users")
            for by, rows in segment_rows(found).items():
                print_rows(rows, Format.TABLE, title=f"By {by}")
            print_protocol(found.protocol, found.notes)
            print_line(found.verdict)


def model_settings_of(assignments: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return MODEL.KEY=VALUE assignments as model -> settings; a value is read as TOML, else taken as text."""
    from mekb.config import toml_value

    found: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        model, dot, key = path.strip().partition(".")
        if not (equals and dot and model and key):
            raise ConfigError(
                f"--model-set {assignment}: write MODEL.KEY=VALUE, such as ease.ridge=100"
            )
        found.setdefault(model, {})[key] = toml_value(text.strip())
    return found
