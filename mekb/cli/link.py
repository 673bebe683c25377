"""`mekb link`: items to entities, and how right that is.

`mekb link STORE` is short for `mekb link items STORE`: a first word that is no command is the store.
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typing_extensions import override

from mekb.cli.options import (
    ConfigOption,
    ConfOption,
    Engine,
    EngineOption,
    ForceOption,
    Format,
    FormatOption,
    InputOption,
    MasterOption,
    OutputOption,
    QuietOption,
    SetOption,
    StoreArgument,
    spark_settings,
)

if TYPE_CHECKING:
    from entity_linking.evaluate import Evaluation, Group
    from entity_linking.figures import Figure
    from entity_linking.mentions import Mention

DEFAULT_COMMAND = "items"


class ItemsByDefault(TyperGroup):
    """A group that takes arguments which name no command for those of `items`."""

    default_command = DEFAULT_COMMAND

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the default command in front of arguments that name none."""
        if args and args[0] not in {*self.commands, *self.get_help_option_names(ctx)}:
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=ItemsByDefault,
    no_args_is_help=True,
    help="Link items or a text to entities ('mekb link STORE' is 'mekb link items STORE'), and measure it.",
)


class RuleName(StrEnum):
    """When a link stands at a gold mention."""

    STRONG = "strong"
    WEAK = "weak"


@app.command("items")
def items(
    store: Annotated[
        Path | None, typer.Argument(help="The store: one DuckDB file.", show_default=False)
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="Link this text and print it; nothing is stored.")
    ] = None,
    engine: EngineOption = Engine.DUCKDB,
    input: InputOption = None,
    output: OutputOption = None,
    dictionary: Annotated[
        Path | None,
        typer.Option(
            "--dictionary",
            help="Spark: the folder STORE.aliases beside a store, which all workers see.",
        ),
    ] = None,
    ship: Annotated[
        bool, typer.Option("--ship", help="Spark: copy the dictionary to the workers.")
    ] = False,
    master: MasterOption = "local[*]",
    conf: ConfOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Link the items of a store to entities, or one text given on the command line.

    The word "items" may be left out. On Spark: items exported with 'mekb data export STORE FOLDER --table items'
    in, mentions out.

    Example: mekb link items my.duckdb --text "Kubrick's film of Stephen King's The Shining"
    """
    import dataclasses

    from mekb import api
    from mekb.cli.output import note, print_facts, print_json, print_rows, progress
    from mekb.config import load_settings

    settings = load_settings(config, set_ or [])
    if engine is Engine.SPARK:
        if store is not None or text is not None or not (input and output and dictionary):
            raise typer.BadParameter(
                "--engine spark takes --input, --output and --dictionary, and no store or text"
            )
        api.link_on_spark(
            input,
            output,
            dictionary,
            ship=ship,
            master=master,
            conf=spark_settings(conf),
            settings=settings,
            force=force,
        )
        note(f"{output}: mentions; 'mekb link import STORE {output}' takes them into the store")
        return
    if store is None or input or output or dictionary or ship or conf:
        raise typer.BadParameter(
            "give a store; --input, --output, --dictionary, --ship and --conf are of --engine spark"
        )
    if text is not None:
        mentions = api.link_text(store, text, settings=settings)
        shown = dataclasses.asdict if format is Format.JSON else _in_short
        print_rows([shown(mention) for mention in mentions], format, title="Mentions")
        return
    with progress(quiet=quiet) as on_progress:
        done = api.link(store, settings=settings, force=force, on_progress=on_progress)
    note(str(done.stage))
    if format is Format.JSON:
        print_json(done)
    elif done.report is not None:
        print_facts(dataclasses.asdict(done.report), title="Linked")


def _in_short(mention: "Mention") -> dict[str, object]:
    """Return what a table has room for: where, what, how sure, and what else it might be."""
    others = [one for one in mention.candidates if one.entity_id != mention.entity_id]
    return {
        "place": f"{mention.start}-{mention.stop}",
        "surface": mention.surface,
        "id": _identifier(mention.entity_id),
        "title": mention.title,
        "P(e|m)": mention.prior,
        "score": mention.score,
        "reason": mention.reason,
        "others": [f"{_identifier(one.entity_id)} {one.prior:.2f}" for one in others],
    }


def _identifier(entity_id: int) -> str:
    """Return the QID, or the number of what Wikidata does not know."""
    from alias_tables.schema import PAGE_ID_BASE

    return f"Q{entity_id}" if entity_id < PAGE_ID_BASE else str(entity_id)


@app.command("import")
def import_(
    store: StoreArgument,
    folder: Annotated[Path, typer.Argument(help="What 'mekb link --engine spark' wrote.")],
    config: ConfigOption = None,
    set_: SetOption = None,
    force: ForceOption = False,
) -> None:
    """Take mentions linked on Spark into the store whose items they are of, and do the rest of linking.

    Example: mekb link import my.duckdb linked
    """
    from mekb import api
    from mekb.cli.output import note
    from mekb.config import load_settings

    settings = load_settings(config, set_ or [])
    note(str(api.import_mentions(store, folder, settings=settings, force=force)))


@app.command("evaluate")
def evaluate(
    store: Annotated[
        Path,
        typer.Argument(
            help="A store with an alias table, or the folder of a saved alias index.",
            metavar="STORE_OR_INDEX",
            show_default=False,
        ),
    ],
    gold: Annotated[
        Path,
        typer.Option(
            "--gold",
            help="Annotated texts (.jsonl: text, mentions with start, end, surface, and qid, title or nil)"
            " or titles (.tsv: title, gold title or QID or NIL, perhaps domain); perhaps .gz.",
            show_default=False,
        ),
    ],
    rule: Annotated[
        RuleName,
        typer.Option(
            "--rule",
            help="strong: a link has the gold offsets; weak: it overlaps the gold mention.",
        ),
    ] = RuleName.STRONG,
    coreference: Annotated[
        bool,
        typer.Option("--coreference", help="Ask for pronouns and 'the company' as for names."),
    ] = False,
    config: ConfigOption = None,
    set_: SetOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Measure the linker against gold: spans, candidates, choices, end to end, NIL, by frequency.

    Every figure comes with its counts and a bootstrap interval over documents; the scoring rule is printed.

    Example: mekb link evaluate my.duckdb --gold titles.tsv
    """
    from entity_linking.evaluate import EvaluationConfig
    from mekb import api
    from mekb.cli.output import print_facts, print_json, print_line
    from mekb.config import load_settings

    found = api.evaluate_linking(
        store,
        gold,
        settings=load_settings(config, set_ or []),
        scoring=EvaluationConfig(rule=rule.value),
        coreference=coreference,
    )
    if format is Format.JSON:
        print_json(_as_json(found))
        return
    print_facts(found.counts, title=f"Gold: {gold.name}")
    _print_figures(found)
    for line in found.rule:
        print_line(f"- {line}")


def _print_figures(found: "Evaluation") -> None:
    """Print the figures of all, then a table for each way of grouping."""
    from mekb.cli.output import print_rows

    rows = [_row(figure) for figure in (*found.figures, *found.macro)]
    print_rows(rows, Format.TABLE, title="Linking")
    groups = {
        "By links to the entity": found.by_frequency,
        "By P(entity | surface)": found.by_prior,
        "By domain": found.by_domain,
    }
    for title, named in groups.items():
        if named:
            print_rows(_group_rows(named), Format.TABLE, title=title)


def _row(figure: "Figure") -> dict[str, object]:
    counts = "" if figure.whole is None else f"{figure.whole:,} documents"
    if figure.part is not None:
        counts = f"{figure.part:,} of {figure.whole:,}"
    return {
        "what": figure.name,
        "value": figure.value,
        "from": figure.low,
        "to": figure.high,
        "counts": counts,
    }


def _group_rows(groups: "Sequence[Group]") -> list[dict[str, object]]:
    """A row a figure, a column a group; NIL has no entity to group by."""
    rows: list[dict[str, object]] = []
    for figures in zip(*(group.figures for group in groups), strict=True):
        cells = {group.name: _cell(figure) for group, figure in zip(groups, figures, strict=True)}
        name = figures[0].name
        if any(cells.values()) and not name.startswith("NIL"):
            rows.append({"what": name, **cells})
    return rows


def _cell(figure: "Figure") -> str:
    """A figure with its counts; those of F1 stand in the two rows above it."""
    if figure.value is None:
        return ""
    return f"{figure.value:.3f}" + ("" if figure.part is None else f" {figure.part}/{figure.whole}")


def _as_json(found: "Evaluation") -> dict[str, object]:
    """The whole result, figures and groups as objects."""
    import dataclasses

    def plain(figures: "tuple[Figure, ...]") -> list[dict[str, object]]:
        return [figure._asdict() for figure in figures]

    groups = {"frequency": found.by_frequency, "prior": found.by_prior, "domain": found.by_domain}
    return {
        "rule": found.rule,
        "counts": found.counts,
        "figures": plain((*found.figures, *found.macro)),
        **{
            f"by_{kind}": {group.name: plain(group.figures) for group in named}
            for kind, named in groups.items()
        },
        "linked": dataclasses.asdict(found.linked),
    }
