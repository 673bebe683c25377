"""`mekb profiles`: people's interests, and a look at one person's."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mekb.cli.options import (
    ConfigOption,
    ForceOption,
    Format,
    FormatOption,
    MemoryOption,
    QuietOption,
    SetOption,
    SpillOption,
    StoreArgument,
    ThreadsOption,
    machine_settings,
)

if TYPE_CHECKING:
    from mekb.edits import Edit
    from mekb.graph import Interest, UserGraph

app = typer.Typer(
    no_args_is_help=True, help="Build, show, export and validate people's interest graphs."
)

UserArgument = Annotated[str, typer.Argument(help="The user's id, as imported.")]


class Engine(StrEnum):
    """Where the SQL of the score is run."""

    DUCKDB = "duckdb"
    SPARK = "spark"


@app.command("build")
def build(
    store: Annotated[
        Path | None, typer.Argument(help="The store: one DuckDB file.", show_default=False)
    ] = None,
    memory_limit: MemoryOption = None,
    threads: ThreadsOption = None,
    spill_folder: SpillOption = None,
    engine: Annotated[
        Engine,
        typer.Option("--engine", help="Score in the store, or on Spark: Parquet to Parquet."),
    ] = Engine.DUCKDB,
    input: Annotated[
        str | None,
        typer.Option("--input", help="Spark: what 'mekb data export' wrote; path or URI."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", help="Spark: where to write; path or URI.")
    ] = None,
    master: Annotated[
        str, typer.Option("--master", help="Spark: local[2], spark://host:7077, yarn, ...")
    ] = "local[*]",
    conf: Annotated[
        list[str] | None,
        typer.Option("--conf", help="Spark: a setting NAME=VALUE; may be repeated."),
    ] = None,
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
        settings_of_spark = dict(_name_and_value(setting) for setting in conf or [])
        found = api.build_profiles_on_spark(
            input, output, master=master, conf=settings_of_spark, settings=settings, force=force
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


def _name_and_value(setting: str) -> tuple[str, str]:
    name, equals, value = setting.partition("=")
    if not (name and equals):
        raise typer.BadParameter(f"--conf {setting}: write NAME=VALUE")
    return name, value


@app.command("import")
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


@app.command("update")
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


@app.command("show")
def show(
    store: StoreArgument,
    user: UserArgument,
    top: Annotated[int, typer.Option("--top", min=1, help="Show so many interests at most.")] = 20,
    mentions: Annotated[
        int, typer.Option("--mentions", min=0, help="Show so many mentions an interest at most.")
    ] = 3,
    all: Annotated[bool, typer.Option("--all", help="Show removed interests too.")] = False,
    inferred: Annotated[
        bool, typer.Option("--inferred", help="Show what 'mekb profiles infer' made of them too.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show one user's interests: how each weight comes about, and the items and mentions it is from.

    Interests that the person edited are told apart by what they are "from": added or pinned.

    Example: mekb profiles show my.duckdb u00001 --top 10
    """
    from mekb import api
    from mekb.cli.output import print_json, print_line, print_rows
    from mekb.export import content_of

    graph = api.user_graph(store, user, inferred=inferred)
    if format is Format.JSON:
        print_json(content_of(graph))
        return
    if not graph.interests:
        print_line(
            "nothing this user liked could be linked: recommendations fall back to popularity"
        )
        return
    shown = graph.interests[:top]
    print_rows([_weight_row(one) for one in shown], format, title=f"Interests of {user}")
    edits = api.profile_edits(store, user)
    print_line(_how_weighed(graph, edited=bool(edits)))
    if len(graph.interests) > top:
        print_line(f"and {len(graph.interests) - top} more (--top)")
    rows = [row for one in shown for row in _mention_rows(one, mentions)]
    if rows:
        print_line("")
        print_rows(rows, format, title="What they are from")
    removed = [edit for edit in edits if edit.action == "remove"]
    if all and removed:
        print_line("")
        print_rows([_edit_row(edit) for edit in removed], format, title="Removed")


def _how_weighed(graph: "UserGraph", *, edited: bool) -> str:
    """Say how the weights of a profile come about."""
    if edited:
        return (
            "weight = tf * idf over the sum, as edited: removed ones are gone, pinned ones keep their weight,"
            " the others are scaled to the rest; 'mekb profiles edit --list' shows the edits"
        )
    total = sum(one.tf * one.idf for one in graph.interests)
    return f"weight = tf * idf / {total:.4f}, the sum over all; tf = s(k) * the kind's multiplier"


@app.command("edit")
def edit(
    store: StoreArgument,
    user: UserArgument,
    remove: Annotated[
        list[str] | None,
        typer.Option(
            "--remove", metavar="NAME", help="Take an interest out, whatever the data say."
        ),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(
            "--add",
            metavar="NAME[=WEIGHT]",
            help="Put an interest in beside the others: 0.1, or WEIGHT, before all are made to sum to 1.",
        ),
    ] = None,
    pin: Annotated[
        list[str] | None,
        typer.Option(
            "--pin",
            metavar="NAME[=WEIGHT]",
            help="Keep an interest at WEIGHT of the whole, or at what it has now, whatever the data say.",
        ),
    ] = None,
    undo: Annotated[
        list[str] | None,
        typer.Option("--undo", metavar="NAME", help="Take back the edit of an interest."),
    ] = None,
    undo_all: Annotated[bool, typer.Option("--undo-all", help="Take back all edits.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Show the edits.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Remove, add or pin a user's interests: a layer above the data that survives every build and import.

    NAME is a QID, a title, "brand:Sony", or any name with one meaning; all options may be repeated.
    Weights sum to 1 after each edit: what is removed or added scales the others, what is pinned does not
    move. Edits shape what is shown, exported and answered; models are trained on the data alone.

    Example: mekb profiles edit my.duckdb u00001 --remove Q2001 --add Q8341=0.2 --pin Mars=0.1
    """
    from mekb import api
    from mekb.cli.output import note, print_json, print_rows
    from mekb.errors import UnknownError

    changed = bool(remove or add or pin or undo or undo_all)
    if not changed and not list_:
        raise UnknownError(
            "nothing to do: give --remove, --add, --pin, --undo, --undo-all or --list"
        )
    if changed:
        graph = api.edit_profile(
            store,
            user,
            remove=remove or (),
            add=add or (),
            pin=pin or (),
            undo=undo or (),
            undo_all=undo_all,
        )
        note(
            f"{user}: {len(graph.interests)} interests, {sum(o.edited for o in graph.interests)} edited"
        )
    if list_ or format is Format.JSON:
        edits = api.profile_edits(store, user)
        if format is Format.JSON:
            print_json(edits)
        else:
            print_rows([_edit_row(edit) for edit in edits], format, title=f"Edits of {user}")


def _edit_row(edit: "Edit") -> dict[str, object]:
    """Return an edit as a row."""
    return {
        "edit": edit.action,
        "interest": edit.title,
        "kind": edit.kind,
        "weight": edit.weight,
        "at": f"{edit.at:%Y-%m-%d %H:%M}",
    }


def _weight_row(interest: "Interest") -> dict[str, object]:
    """Return an interest as a row: the parts of its weight."""
    return {
        "rank": interest.rank,
        "interest": interest.title,
        "id": interest.qid,
        "kind": interest.kind,
        "k": interest.n_items,
        "users": interest.n_users,
        "tf": interest.tf,
        "idf": interest.idf,
        "weight": interest.weight,
        "from": interest.origin,
    }


def _mention_rows(interest: "Interest", most: int) -> list[dict[str, object]]:
    """Return the first pieces of an interest's evidence as rows, the surest first, and how many are left out."""
    surest = sorted(interest.evidence, key=lambda at: -at.score)
    rows: list[dict[str, object]] = [
        {
            "rank": interest.rank,
            "interest": interest.title,
            "surface": at.surface,
            "P(e|m)": at.score,
            "place": f"{at.field} {at.start}-{at.stop}",
            "item": f"{at.domain}:{at.item}",
            "title": at.title,
        }
        for at in surest[:most]
    ]
    if rows and len(surest) > most:
        rows.append(
            dict.fromkeys(rows[0]) | {"title": f"and {len(surest) - most} more (--mentions)"}
        )
    return rows


@app.command("infer")
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


@app.command("forget")
def forget(
    store: StoreArgument,
    user: UserArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Remove a person from every table, from the file itself, and from exports made for them; prove it.

    The store is written anew without them, then takes the old one's place in one step. Interrupted at any
    moment, it holds them wholly or not at all, and the command can be given again.

    Example: mekb profiles forget my.duckdb u00001 --yes
    """
    import dataclasses

    from mekb import api
    from mekb.cli.output import note, print_json, print_rows

    if not yes:
        typer.confirm(
            f"Remove everything about '{user}' from {store}? It cannot be undone", abort=True
        )
    done = api.forget_user(store, user)
    if format is Format.JSON:
        print_json(dataclasses.asdict(done))
        return
    rows = [
        {"table": table, "rows before": n_rows, "rows after": done.after[table]}
        for table, n_rows in done.before.items()
    ]
    print_rows(rows, format, title=f"What was of {user}")
    for place, n_rows in done.found.items():
        note(
            f"{place}: {n_rows} rows hold the text '{user}' as a value: a name that is alike, or a file's"
        )
    note(
        f"the id in the file's bytes: {done.bytes_before} times before, {done.bytes_after} after"
        f" ({done.alike} other ids contain it)"
    )
    for path in done.deleted:
        note(f"deleted {path}")
    for line in done.left:
        note(line)


@app.command("export")
def export(
    store: StoreArgument,
    user: UserArgument,
    file: Annotated[
        Path,
        typer.Argument(help="Where to; the ending decides: .json .csv .ttl .jsonld .nt .png .svg"),
    ],
    force: ForceOption = False,
    inferred: Annotated[
        bool, typer.Option("--inferred", help="Write inferred interests too, marked as such.")
    ] = False,
) -> None:
    """Write one user's interest graph to a file.

    Example: mekb profiles export my.duckdb u00001 u00001.ttl
    """
    from mekb import api
    from mekb.cli.output import note

    graph = api.export_profile(store, user, file, force=force, inferred=inferred)
    note(f"{file}: {len(graph.interests)} interests of {user}")


@app.command("dump")
def dump(
    store: StoreArgument,
    file: Annotated[Path, typer.Argument(help="Where to: .nq, or .nq.gz")],
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write the interest graphs of all users to one file: N-Quads, a named graph for each user.

    Example: mekb profiles dump my.duckdb everyone.nq.gz
    """
    from mekb import api
    from mekb.cli.output import note, progress

    with progress(quiet=quiet) as on_progress:
        n_users = api.export_profiles(store, file, force=force, on_progress=on_progress)
    note(f"{file}: the graphs of {n_users:,} users")


@app.command("validate")
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
