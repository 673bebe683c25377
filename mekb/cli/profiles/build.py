"""`mekb profiles build`, `import`, `update` and `infer`: what scores people's interests."""

from pathlib import Path
from typing import Annotated

import typer

from mekb.cli.options import (
    ConfigOption,
    ConfOption,
    Engine,
    EngineOption,
    ForceOption,
    InputOption,
    MasterOption,
    MemoryOption,
    OutputOption,
    QuietOption,
    SetOption,
    SpillOption,
    StoreArgument,
    ThreadsOption,
    machine_settings,
    spark_settings,
)


def build(
    store: Annotated[
        Path | None, typer.Argument(help="The store: one DuckDB file.", show_default=False)
    ] = None,
    memory_limit: MemoryOption = None,
    threads: ThreadsOption = None,
    spill_folder: SpillOption = None,
    engine: EngineOption = Engine.DUCKDB,
    input: InputOption = None,
    output: OutputOption = None,
    master: MasterOption = "local[*]",
    conf: ConfOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score every user's interests: log-smoothed frequency times interest-IDF.

    Example: mekb profiles build my.duckdb --set scoring.k_star=5
    """
    from mekb import api
    from mekb.cli.output import note, progress
    from mekb.config import load_settings
    from mekb.scoring import seam

    machine = machine_settings(memory_limit, threads, spill_folder)
    settings = load_settings(config, [*(set_ or []), *machine])
    if engine is Engine.SPARK:
        if store is not None or machine or not (input and output):
            raise typer.BadParameter(
                "--engine spark takes --input and --output, and no store or limits of this machine"
            )
        found = api.build_profiles_on_spark(
            input,
            output,
            master=master,
            conf=spark_settings(conf),
            settings=settings,
            force=force,
        )
        note(f"{output}: {', '.join(found.tables)} of {found.n_users:,} users")
    else:
        if store is None or input or output or conf:
            raise typer.BadParameter(
                "give a store; --input, --output and --conf are of --engine spark"
            )
        with progress(quiet=quiet) as on_progress:
            done = api.build_profiles(
                store, settings=settings, force=force, on_progress=on_progress
            )
        note(str(done))
    k_star = settings.scoring.k_star
    below, at = seam(k_star)
    note(f"s(k) at k* = {k_star:g}: {below:.6f} from below, {at:.6f} from k* on")


def import_(
    store: StoreArgument,
    folder: Annotated[
        Path, typer.Argument(help="What 'mekb profiles build --engine spark' wrote.")
    ],
    force: ForceOption = False,
) -> None:
    """Take profiles scored on Spark into the store whose tables they were made from.

    Example: mekb profiles import my.duckdb profiles
    """
    from mekb import api
    from mekb.cli.output import note

    note(str(api.import_profiles(store, folder, force=force)))


def update(
    store: StoreArgument,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Score everybody, with idf counted anew.")
    ] = False,
    memory_limit: MemoryOption = None,
    threads: ThreadsOption = None,
    spill_folder: SpillOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    quiet: QuietOption = False,
) -> None:
    """Score only the users whose items changed, and say how far idf has moved since it was counted.

    Example: mekb profiles update my.duckdb
    """
    from mekb import api
    from mekb.cli.output import note, progress
    from mekb.config import load_settings

    machine = machine_settings(memory_limit, threads, spill_folder)
    settings = load_settings(config, [*(set_ or []), *machine])
    with progress(quiet=quiet) as on_progress:
        done = api.update_profiles(
            store, settings=settings, refresh=refresh, on_progress=on_progress
        )
    note(str(done.stage))
    if done.n_users:
        note(f"users scored: {done.n_users:,}")
    if done.drift is not None:
        for line in str(done.drift).splitlines():
            note(line)


def infer(
    store: StoreArgument,
    config: ConfigOption = None,
    set_: SetOption = None,
    force: ForceOption = False,
) -> None:
    """Spread interests one hop along relations, apart from what the items gave, and marked as inferred.

    Needs relations ('mekb data relations'); 'profiles show --inferred' shows what came of it.

    Example: mekb profiles infer my.duckdb --set neighbours.gamma=0.3
    """
    from mekb import api
    from mekb.cli.output import note
    from mekb.config import load_settings

    settings = load_settings(config, set_ or [])
    note(str(api.infer_interests(store, settings=settings, force=force)))
