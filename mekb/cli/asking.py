"""`mekb recommend` and `mekb explain`: what a person is asked by, and the answer with its reasons."""

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mekb.cli.options import BundleArgument, Format, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mekb.graph import Evidence
    from mekb.query import Explanation
    from mekb.reasons import Reason

_SHOWN_PLACES = 2


class AnswerFormat(StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


UserOption = Annotated[
    str | None, typer.Option("--user", help="A user of --store, or of a --profile of many.")
]
StoreOption = Annotated[Path | None, typer.Option("--store", help="The store that knows the user.")]
HistoryOption = Annotated[
    Path | None,
    typer.Option(
        "--history", help="A file of liked items, one ITEM or DOMAIN:ITEM a line; - for stdin."
    ),
]
InterestsOption = Annotated[
    str | None, typer.Option("--interests", help="QIDs, titles or names, by commas.")
]
TextOption = Annotated[
    str | None, typer.Option("--text", help="Words of their own; what they mention counts.")
]
ProfileOption = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        help="An exported interest graph, of any service: .json .jsonld .nq .nt .ttl",
        show_default=False,
    ),
]
AnswerFormatOption = Annotated[
    AnswerFormat,
    typer.Option("--format", help="Print a table, JSON, or a line of JSON each."),
]


def recommend(
    bundle: BundleArgument,
    user: UserOption = None,
    store: StoreOption = None,
    history: HistoryOption = None,
    interests: InterestsOption = None,
    text: TextOption = None,
    profile: ProfileOption = None,
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
    format: AnswerFormatOption = AnswerFormat.TABLE,
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
    if found.fallback and format is AnswerFormat.JSONL:
        note(f"no interests to go by: this is {found.fallback}")
    match format:
        case AnswerFormat.JSON:
            print_json(found)
        case AnswerFormat.JSONL:
            _print_lines(found.recommendations)
        case AnswerFormat.TABLE:
            rows = [
                {
                    "rank": one.rank,
                    "item": one.item,
                    "title": one.title,
                    "score": one.score,
                    "because of": "; ".join(_because(reason) for reason in one.reasons),
                }
                for one in found.recommendations
            ]
            print_rows(rows, Format.TABLE, title="Recommendations")
            if found.fallback:
                print_line(f"no interests to go by: this is {found.fallback}")


def explain(
    bundle: BundleArgument,
    item: Annotated[str, typer.Argument(help="An item of the target domain, by its id.")],
    user: UserOption = None,
    store: StoreOption = None,
    history: HistoryOption = None,
    interests: InterestsOption = None,
    text: TextOption = None,
    profile: ProfileOption = None,
    format: AnswerFormatOption = AnswerFormat.TABLE,
) -> None:
    """Say what each interest of a user gives to one item, recommended or not, and where the interest stands.

    Example: mekb explain bundle f001 --interests "jazz, Hayao Miyazaki"
    """
    from mekb import api
    from mekb.cli.output import note, print_json

    found = api.explain(
        bundle,
        item,
        user=user,
        store=store,
        history=_lines(history) if history else [],
        interests=words(interests) if interests else [],
        text=text,
        profile=profile,
    )
    for line in found.notes:
        note(line)
    match format:
        case AnswerFormat.JSON:
            print_json(found)
        case AnswerFormat.JSONL:
            _print_lines(found.reasons)
        case AnswerFormat.TABLE:
            _print_explanation(found)


def _print_explanation(found: "Explanation") -> None:
    from mekb.cli.output import print_line, print_rows

    seen = ", seen already" if found.seen else ""
    print_line(
        f"{found.title} ({found.item}): rank {found.rank} of {found.n_items}, score {found.score:.4f}{seen}"
    )
    rows = [
        {
            "interest": reason.title,
            "contribution": reason.contribution,
            "stands in": _places(reason.evidence, reason.n_evidence),
        }
        for reason in found.reasons
    ]
    print_rows(rows, Format.TABLE, title="Interests, by what they give or take")
    if found.fallback:
        print_line(f"no interests to go by: the score is that of {found.fallback}")


def _because(reason: "Reason") -> str:
    return f"{reason.title} ({', '.join(reason.items)})" if reason.items else reason.title


def _places(places: "Sequence[Evidence]", n_places: int) -> str:
    """Return the first places as text: what stands where, and how sure its link is."""
    shown = [
        f'"{at.surface}" {at.start}-{at.stop} of {f"the {at.field} of {at.title}" if at.item else f"the {at.field}"}'
        f", P {at.score:.2f}"
        for at in places[:_SHOWN_PLACES]
    ]
    more = n_places - len(shown)
    return "; ".join([*shown, *([f"and {more} more"] if more > 0 else [])])


def _print_lines(rows: "Sequence[Any]") -> None:
    """Print dataclasses, a line of JSON each."""
    from mekb.cli.output import print_text

    for row in rows:
        print_text(json.dumps(asdict(row), ensure_ascii=False) + "\n")


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
