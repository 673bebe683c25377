"""`mekb profiles export`, `dump` and `validate`: interest graphs as files."""

from pathlib import Path
from typing import Annotated

import typer

from mekb.cli.options import (
    ForceOption,
    Format,
    FormatOption,
    QuietOption,
    StoreArgument,
    UserArgument,
)

InferredOption = Annotated[
    bool, typer.Option("--inferred", help="Write inferred interests too, marked as such.")
]


def export(
    store: StoreArgument,
    user: UserArgument,
    file: Annotated[
        Path,
        typer.Argument(help="Where to; the ending decides: .json .csv .ttl .jsonld .nt .png .svg"),
    ],
    force: ForceOption = False,
    inferred: InferredOption = False,
) -> None:
    """Write one user's interest graph to a file.

    Example: mekb profiles export my.duckdb u00001 u00001.ttl
    """
    from mekb import api
    from mekb.cli.output import note

    graph = api.export_profile(store, user, file, force=force, inferred=inferred)
    note(f"{file}: {len(graph.interests)} interests of {user}")


def dump(
    store: StoreArgument,
    file: Annotated[Path, typer.Argument(help="Where to: .nq, or .nq.gz")],
    force: ForceOption = False,
    inferred: InferredOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write the interest graphs of all users to one file: N-Quads, a named graph for each user.

    With --inferred, what was inferred stands in a graph of its own, <IRI of the user>#inferred.

    Example: mekb profiles dump my.duckdb everyone.nq.gz
    """
    from mekb import api
    from mekb.cli.output import note, progress

    with progress(quiet=quiet) as on_progress:
        n_users = api.export_profiles(
            store, file, force=force, inferred=inferred, on_progress=on_progress
        )
    note(f"{file}: the graphs of {n_users:,} users")


def validate(
    store: Annotated[
        Path | None, typer.Argument(help="The store: one DuckDB file.", show_default=False)
    ] = None,
    users: Annotated[
        list[str] | None,
        typer.Argument(
            help="Users' ids; a sample is drawn where none is given.", show_default=False
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="An exported file instead of a store: .ttl .jsonld .nt .nq"),
    ] = None,
    sample: Annotated[int, typer.Option("--sample", min=1, help="How many users to draw.")] = 20,
    seed: Annotated[int, typer.Option("--seed", help="Of the draw.")] = 0,
    format: FormatOption = Format.TABLE,
    quiet: QuietOption = False,
) -> None:
    """Hold interest graphs to the SHACL shapes that ship with mekb; exit code 1 when one does not conform.

    Example: mekb profiles validate my.duckdb --sample 5
    """
    import dataclasses

    from mekb import api
    from mekb.cli.output import note, print_json, print_rows, progress

    with progress(quiet=quiet) as on_progress:
        found = api.validate_profiles(
            store, users or [], file=file, sample=sample, seed=seed, on_progress=on_progress
        )
    if format is Format.JSON:
        print_json({"conforms": found.conforms, **dataclasses.asdict(found)})
    elif found.violations:
        rows = [dataclasses.asdict(violation) for violation in found.violations]
        print_rows(rows, format, title="What does not conform")
    n_wrong = len({violation.user for violation in found.violations})
    note(f"{found.n_profiles - n_wrong} of {found.n_profiles} interest graphs conform")
    if not found.conforms:
        raise typer.Exit(1)
