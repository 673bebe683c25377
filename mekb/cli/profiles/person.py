"""`mekb profiles show`, `edit` and `forget`: what is done for one person."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mekb.cli.options import ForceOption, Format, FormatOption, StoreArgument, UserArgument

if TYPE_CHECKING:
    from mekb.edits import Edit
    from mekb.graph import Interest, UserGraph


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
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write all of it as a page to look at instead: one HTML file, which holds personal data.",
            show_default=False,
        ),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            help="With --html: show what this bundle recommends to them too, and why.",
            show_default=False,
        ),
    ] = None,
    force: ForceOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show one user's interests: how each weight comes about, and the items and mentions it is from.

    Interests that the person edited are told apart by what they are "from": added or pinned.

    Example: mekb profiles show my.duckdb u00001 --top 10
    """
    from mekb import api
    from mekb.cli.output import print_json, print_line, print_rows
    from mekb.export import content_of

    if html is not None:
        _write_page(store, user, html, bundle=bundle, inferred=inferred, force=force)
        return
    if bundle is not None:
        raise typer.BadParameter("--bundle is for the page; add --html FILE")
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


def _write_page(
    store: Path, user: str, file: Path, *, bundle: Path | None, inferred: bool, force: bool
) -> None:
    """Write the page of one user."""
    from mekb import api
    from mekb.cli.output import note

    graph = api.profile_page(store, user, file, bundle=bundle, inferred=inferred, force=force)
    note(f"{file}: {len(graph.interests)} interests of {user}; open it in a browser")


def _how_weighed(graph: "UserGraph", *, edited: bool) -> str:
    """Say how the weights of a profile come about."""
    if edited:
        return (
            "weight = tf * idf over the sum, as edited: removed ones are gone, pinned ones keep their weight,"
            " the others are scaled to the rest; 'mekb profiles edit --list' shows the edits"
        )
    total = sum(one.tf * one.idf for one in graph.interests)
    return f"weight = tf * idf / {total:.4f}, the sum over all; tf = s(k) * the kind's multiplier"


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
