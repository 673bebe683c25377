"""`mekb train`, `evaluate`, `card` and `bundle`."""

from pathlib import Path
from typing import Annotated

import typer

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

ModelArgument = Annotated[Path, typer.Argument(help="A model folder, as `mekb train` writes it.")]


def train(
    store: StoreArgument,
    folder: ModelArgument,
    target: Annotated[str, typer.Option("--target", help="The domain to recommend from.")],
    sources: Annotated[
        str,
        typer.Option(
            "--sources", help="The domains profiles are made from, by commas; all others."
        ),
    ] = "",
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="Settings to start from: paper, default or demo."),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    force: ForceOption = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training that was interrupted.")
    ] = False,
    quiet: QuietOption = False,
) -> None:
    """Fine-tune EmbedMe: a text encoder that maps interest profiles to items of the target domain.

    Example: mekb train my.duckdb model --target films --sources books --set train.model.epochs=3
    """
    from mekb import api
    from mekb.cli.output import note, progress
    from mekb.config import load_settings
    from training.snapshot import INTERRUPTED

    chosen = [f"train.preset={preset}"] if preset is not None else []
    settings = load_settings(config, [*chosen, *(set_ or [])])
    with progress(quiet=quiet) as on_progress:
        trained = api.train(
            store,
            folder,
            target=target,
            sources=words(sources),
            settings=settings,
            force=force,
            resume=resume,
            on_progress=on_progress,
        )
    for line in trained.report.notes:
        if INTERRUPTED in line:
            note(line)
    note(trained.summary())


def evaluate(
    store: StoreArgument,
    models: Annotated[list[Path], typer.Argument(help="Model folders of one split.")],
    baselines: Annotated[
        str, typer.Option("--baselines", help="Models to compare with, by commas.")
    ] = "popularity,source_knn,frozen_text",
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Measure models on users whose target history was held out whole: HR and NDCG with intervals.

    Example: mekb evaluate my.duckdb model --baselines popularity
    """
    from mekb import api
    from mekb.cli.output import note, print_json, print_line, print_rows, progress

    with progress(quiet=quiet) as on_progress:
        found = api.evaluate(store, models, baselines=words(baselines), on_progress=on_progress)
    if format is Format.JSON:
        print_json({"protocol": found.protocol, "rows": found.rows, "notes": found.notes})
        return
    print_rows(found.rows, format, title="Cold-start users")
    for line in found.protocol:
        print_line(line)
    for line in found.notes:
        note(line)


def card(store: StoreArgument, model: ModelArgument) -> None:
    """Measure a model on validation and test users and write its model card, README.md, anew.

    Example: mekb card my.duckdb model
    """
    from mekb import api
    from mekb.cli.output import note

    api.write_card(store, model)
    note(f"{model / 'README.md'}: written")


def bundle(
    store: StoreArgument,
    model: ModelArgument,
    folder: Annotated[Path, typer.Argument(help="The bundle folder to write.")],
    encoder_runtime: Annotated[
        str | None,
        typer.Option("--encoder-runtime", help="Who runs the language model: torch, or onnx."),
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    force: ForceOption = False,
) -> None:
    """Write the immutable folder that answers for new users without the store.

    Example: mekb bundle my.duckdb model bundle
    """
    from mekb import api
    from mekb.cli.output import note
    from mekb.config import load_settings

    chosen = [] if encoder_runtime is None else [f"bundle.encoder_runtime={encoder_runtime}"]
    settings = load_settings(config, [*chosen, *(set_ or [])])
    made = api.make_bundle(store, model, folder, settings=settings, force=force)
    note(f"{folder}: recommends {len(made.items[made.target].names)} {made.target}")
    if "recall@10" in made.index_facts:
        note(f"index {made.index_facts['kind']}: recall@10 {made.index_facts['recall@10']:.3f}")
