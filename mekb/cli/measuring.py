"""`mekb compare-ratings`, `compare-domains` and `split`: other ways to hold models against one another."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mekb.cli.compare import ModelSetOption, model_settings_of
from mekb.cli.options import (
    ConfigOption,
    ForceOption,
    Format,
    FormatOption,
    QuietOption,
    SetOption,
    StoreArgument,
    words,
)


class LabelName(StrEnum):
    """What is predicted."""

    RATINGS = "ratings"
    CLICKS = "clicks"


TargetOption = Annotated[str, typer.Option("--target", help="The domain to recommend from.")]
SourcesOption = Annotated[
    str, typer.Option("--sources", help="The other domains, by commas; all others.")
]


def compare_ratings(
    store: StoreArgument,
    target: TargetOption,
    models: Annotated[str, typer.Option("--models", help="Names of models, by commas.")] = "diagae",
    sources: SourcesOption = "",
    labels: Annotated[
        LabelName,
        typer.Option("--labels", help="Ratings, or likes beside items never liked (clicks)."),
    ] = LabelName.RATINGS,
    trials: Annotated[
        int, typer.Option("--trials", min=1, help="Settings tried for each model.")
    ] = 1,
    model_set: ModelSetOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Compare models that predict single ratings or clicks: MAE, RMSE, NDCG@5, AUC, logloss and more, with intervals.

    Example: mekb compare-ratings my.duckdb --target films --models diagae --set split.kind=warm
    """
    from mekb import api
    from mekb.cli.output import print_json, print_protocol, print_rows, progress
    from mekb.comparison_tables import flat
    from mekb.config import load_settings
    from mekb.rating_comparison import Labels, RatingPlan

    fixed = model_settings_of(model_set or [])
    plan = RatingPlan(tuple(words(models)), Labels(labels.value), trials, fixed)
    with progress(quiet=quiet) as on_progress:
        found = api.compare_ratings(
            store,
            target=target,
            plan=plan,
            sources=words(sources),
            settings=load_settings(config, set_ or []),
            on_progress=on_progress,
        )
    if format is Format.JSON:
        print_json({"rows": found.rows, "protocol": found.protocol, "notes": found.notes})
        return
    print_rows(flat(found.rows, every=True), format, title=f"Predicted {labels.value}")
    print_protocol(found.protocol, found.notes)


def compare_domains(
    store: StoreArgument,
    models: Annotated[
        str, typer.Option("--models", help="Names of models, by commas.")
    ] = "ease,cat_art",
    domains: Annotated[
        str, typer.Option("--domains", help="Two or more domains, by commas; all.")
    ] = "",
    model_set: ModelSetOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Measure models in every domain at once beside models of one domain, and mark negative transfer.

    Example: mekb compare-domains my.duckdb --models ease
    """
    from mekb import api
    from mekb.cli.output import print_json, print_protocol, print_rows, progress
    from mekb.config import load_settings

    with progress(quiet=quiet) as on_progress:
        found = api.compare_domains(
            store,
            words(models),
            domains=words(domains),
            settings=load_settings(config, set_ or []),
            model_settings=model_settings_of(model_set or []),
            on_progress=on_progress,
        )
    if format is Format.JSON:
        costs = {name: vars(cost) for name, cost in found.costs.items()}
        print_json(
            {"rows": found.rows, "costs": costs, "protocol": found.protocol, "notes": found.notes}
        )
        return
    print_rows(found.table(), format, title="Every domain as the target")
    print_protocol(found.protocol, found.notes)


def split(
    store: StoreArgument,
    folder: Annotated[Path, typer.Argument(help="The folder the split is written to.")],
    target: TargetOption,
    sources: SourcesOption = "",
    negatives: Annotated[
        int, typer.Option("--negatives", min=0, help="Negatives listed for each test positive.")
    ] = 999,
    config: ConfigOption = None,
    set_: SetOption = None,
    force: ForceOption = False,
) -> None:
    """Write a split as plain files with checksums, for models of other programs and `mekb compare --split`.

    Example: mekb split my.duckdb split --target films --sources books
    """
    from mekb import api
    from mekb.cli.output import note
    from mekb.config import load_settings

    digest = api.write_split(
        store,
        folder,
        target=target,
        sources=words(sources),
        settings=load_settings(config, set_ or []),
        n_negatives=negatives,
        force=force,
    )
    note(f"{folder}: written, digest {digest[:16]}")
