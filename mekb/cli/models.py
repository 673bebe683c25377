"""`mekb train`, `evaluate`, `bundle` and `recommend`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mekb.cli.options import (
    BundleArgument,
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


def recommend(
    bundle: BundleArgument,
    user: Annotated[
        str | None, typer.Option("--user", help="A user of --store, or of a --profile of many.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="The store that knows the user.")
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(
            "--history", help="A file of liked items, one ITEM or DOMAIN:ITEM a line; - for stdin."
        ),
    ] = None,
    interests: Annotated[
        str | None, typer.Option("--interests", help="QIDs, titles or names, by commas.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="Words of their own; what they mention counts.")
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            "--profile",
            help="An exported interest graph, of any service: .json .jsonld .nq .nt .ttl",
            show_default=False,
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many items.")] = 10,
    explain: Annotated[bool, typer.Option(help="Say which interests carried each item.")] = True,
    block: Annotated[
        Path | None,
        typer.Option("--block", help="A file of items never to show, one a line; - for stdin."),
    ] = None,
    category: Annotated[
        str | None,
        typer.Option("--category", help="Only items of these categories or brands, by commas."),
    ] = None,
    seen: Annotated[bool, typer.Option("--seen", help="Show what was seen again.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Recommend to a user who may be wholly new: by id, history, interests, words, or a profile they bring.

    Example: mekb recommend bundle --interests "Q42, Hayao Miyazaki, jazz"
    """
    from mekb import api
    from mekb.cli.output import note, print_json, print_line, print_rows
    from mekb.query import Wanted

    found = api.recommend(
        bundle,
        user=user,
        store=store,
        history=_lines(history) if history else [],
        interests=words(interests) if interests else [],
        text=text,
        profile=profile,
        k=k,
        explain=explain,
        wanted=Wanted(
            blocked=frozenset(_lines(block) if block else ()),
            categories=frozenset(words(category) if category else ()),
            seen=seen,
        ),
    )
    for line in found.notes:
        note(line)
    if format is Format.JSON:
        print_json(found)
        return
    rows = [
        {
            "rank": recommendation.rank,
            "item": recommendation.item,
            "title": recommendation.title,
            "score": recommendation.score,
            "because of": "; ".join(
                f"{reason.title} ({', '.join(reason.items)})" if reason.items else reason.title
                for reason in recommendation.reasons
            ),
        }
        for recommendation in found.recommendations
    ]
    print_rows(rows, format, title="Recommendations")
    if found.fallback:
        print_line(f"no interests to go by: this is {found.fallback}")


def _lines(file: Path) -> list[str]:
    from mekb.errors import SourceError

    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{file}: cannot be read as a list of items: {error}") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise SourceError(f"{file}: holds no item; write one ITEM or DOMAIN:ITEM a line")
    return lines
