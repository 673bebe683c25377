"""`mekb link` and `mekb profiles`: from item text to people's interests, and a look at one person's."""

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
)

app = typer.Typer(no_args_is_help=True, help="Build, show and export people's interest graphs.")

UserArgument = Annotated[str, typer.Argument(help="The user's id, as imported.")]


def link(
    store: StoreArgument,
    text: Annotated[
        str | None, typer.Option("--text", help="Link this text and print it; nothing is stored.")
    ] = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Link the items of a store to entities, or one text given on the command line.

    Example: mekb link my.duckdb --text "Kubrick's film of Stephen King's The Shining"
    """
    import dataclasses

    from mekb import api
    from mekb.cli.output import note, print_facts, print_json, print_rows, progress
    from mekb.config import load_settings

    settings = load_settings(config, set_ or [])
    if text is not None:
        mentions = api.link_text(store, text, settings=settings)
        print_rows([dataclasses.asdict(mention) for mention in mentions], format, title="Mentions")
        return
    with progress(quiet=quiet) as on_progress:
        done = api.link(store, settings=settings, force=force, on_progress=on_progress)
    note(str(done.stage))
    if format is Format.JSON:
        print_json(done)
    elif done.report is not None:
        print_facts(dataclasses.asdict(done.report), title="Linked")


@app.command("build")
def build(
    store: StoreArgument,
    config: ConfigOption = None,
    set_: SetOption = None,
    force: ForceOption = False,
) -> None:
    """Score every user's interests: log-smoothed frequency times interest-IDF.

    Example: mekb profiles build my.duckdb --set scoring.k_star=5
    """
    from mekb import api
    from mekb.cli.output import note
    from mekb.config import load_settings
    from mekb.scoring import seam

    settings = load_settings(config, set_ or [])
    note(str(api.build_profiles(store, settings=settings, force=force)))
    k_star = settings.scoring.k_star
    below, at = seam(k_star)
    note(f"s(k) at k* = {k_star:g}: {below:.6f} from below, {at:.6f} from k* on")


@app.command("show")
def show(
    store: StoreArgument,
    user: UserArgument,
    top: Annotated[int, typer.Option("--top", min=1, help="Show so many interests at most.")] = 20,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show one user's interests, each with its weight and what it came from.

    Example: mekb profiles show my.duckdb u00001 --top 10
    """
    from mekb import api
    from mekb.cli.output import print_json, print_line, print_rows

    graph = api.user_graph(store, user)
    if format is Format.JSON:
        print_json(graph)
        return
    rows = [
        {
            "rank": interest.rank,
            "interest": interest.title,
            "kind": interest.kind,
            "items": interest.n_items,
            "tf": interest.tf,
            "idf": interest.idf,
            "weight": interest.weight,
            "from": "; ".join(dict.fromkeys(evidence.title for evidence in interest.evidence)),
        }
        for interest in graph.interests[:top]
    ]
    print_rows(rows, format, title=f"Interests of {user}")
    if len(graph.interests) > top:
        print_line(f"and {len(graph.interests) - top} more (--top)")
    if not graph.interests:
        print_line(
            "nothing this user liked could be linked: recommendations fall back to popularity"
        )


@app.command("export")
def export(
    store: StoreArgument,
    user: UserArgument,
    file: Annotated[
        Path,
        typer.Argument(help="Where to; the ending decides: .json .csv .ttl .jsonld .nt .png .svg"),
    ],
    force: ForceOption = False,
) -> None:
    """Write one user's interest graph to a file.

    Example: mekb profiles export my.duckdb u00001 u00001.ttl
    """
    from mekb import api
    from mekb.cli.output import note

    graph = api.export_profile(store, user, file, force=force)
    note(f"{file}: {len(graph.interests)} interests of {user}")
