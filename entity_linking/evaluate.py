"""A linker measured against gold: spans, candidates, choices, links end to end, NIL, by how known the entity is.

In: an alias index, the settings of a linker, gold texts or titles (`gold.read_gold`). Out: an `Evaluation`,
every figure with its counts and a bootstrap interval over documents, and the scoring rule in words. What is
right is said by `judgements.judge`, how it is divided by `figures`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from alias_tables.lookup import NO_ENTITY, AliasIndex, Candidate
from entity_linking.choosers import make_chooser
from entity_linking.config import LinkConfig
from entity_linking.disambiguate import Chooser, Query
from entity_linking.figures import (
    END_TO_END,
    TEXT_MEASURES,
    TITLE_MEASURES,
    Figure,
    Resampling,
    macro_figures,
    micro_figures,
)
from entity_linking.gold import Gold, GoldMention, GoldText
from entity_linking.judgements import UNKNOWN_ENTITY, Label, Link, Rule
from entity_linking.linker import Linker, LinkReport, TextRow
from entity_linking.mentions import Mention
from entity_linking.tally import Asked, Tally
from entity_linking.text import clean_text
from entity_linking.titles import parse_title

TEXT_RULE: Final = """\
Rule {rule}: a link stands at a gold mention if {stands}; it is right if the entity id is the same too.
A gold mention inside another is another reading of the same place: the outer one counts once, right by itself or by all that lies directly inside it; candidates are asked for each.
Gold NIL: a link there is wrong. Values (quantities, dates) and coreference (pronouns, "the company"): not asked for, and links there do not count. Optional mentions: a right link does not count, a wrong one is wrong. Demonyms and adjectives count as gold has them.
Marks of NIL (a name found and not linked) count where gold has a mention; elsewhere they are neither right nor wrong.
Of a text annotated in part, links outside that part do not count."""
TITLE_RULE: Final = """\
A title is right if it is linked as a whole (what is set aside from it apart) to the gold entity id; mentions inside a title do not count.
The candidates of a title are those of each of its readings; the rank of the gold entity is the best among them.
End to end: precision over the titles linked as a whole, gold NIL included; recall over those with a gold entity. A title not linked as a whole is marked NIL."""
_STANDS: Final = {
    "strong": "both its offsets are the same, in code points of the text as it stands",
    "weak": "they have a code point in common",
}
GOLD_COUNTS: Final = (
    *("texts", "gold mentions", "required", "required, not in the table"),
    *("optional", "ignored", "nil"),
)
_BATCH_TEXTS = 500


class EvaluationConfig(BaseModel):
    """How links are scored and intervals drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Rule = "strong"
    """A link stands at a gold mention if both offsets are equal (strong) or if they overlap (weak)."""
    n_draws: PositiveInt = 1000
    """Draws of the bootstrap."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    seed: int = Field(default=0, ge=0)


class Group(NamedTuple):
    """The figures of some of the mentions."""

    name: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Evaluation:
    """What a linker got right.

    Attributes:
        rule: The scoring rule, a sentence each.
        counts: `GOLD_COUNTS`: texts, gold mentions, what they ask (`gold.Standing`), and how many of the
            required ones have an entity that the table does not hold.
        figures: All mentions together.
        macro: Means over documents of end-to-end precision, recall and F1.
        by_frequency: Groups by the links to the entity; empty where these are not known.
        by_prior: Groups by P(e|m).
        by_domain: Groups by the domain of the text; empty where gold names none.
        linked: What the linker did.
    """

    rule: tuple[str, ...]
    counts: Mapping[str, int]
    figures: tuple[Figure, ...]
    macro: tuple[Figure, ...]
    by_frequency: tuple[Group, ...]
    by_prior: tuple[Group, ...]
    by_domain: tuple[Group, ...]
    linked: LinkReport

    def figure(self, name: str) -> Figure:
        """Return a figure of all mentions, or a mean over documents, by its name.

        Raises:
            KeyError: there is none of that name.
        """
        return {figure.name: figure for figure in (*self.figures, *self.macro)}[name]


def evaluate(
    index: AliasIndex,
    gold: Gold,
    config: LinkConfig | None = None,
    *,
    scoring: EvaluationConfig | None = None,
    n_inlinks: Callable[[int], int] | None = None,
    chooser: Chooser | None = None,
) -> Evaluation:
    """Link the texts of a gold file and return how much of it is right.

    Args:
        index: The alias table.
        gold: What `read_gold` gives.
        config: The settings of the linker.
        scoring: The rule and the intervals.
        n_inlinks: Gives the links to an entity of the table, for the groups of frequency.
        chooser: What takes one of the candidates, in the place of the one `config` names.

    Raises:
        PipelineError: The spaCy pipeline asked for is not there or does not fit.
    """
    chosen, scoring = config or LinkConfig(), scoring or EvaluationConfig()
    chooser = chooser or make_chooser(index, chosen)
    linker = Linker(index, chosen, chooser)
    domains = [text.domain for text in gold.texts if text.domain is not None]
    tally = Tally(len(gold.texts), domains, n_inlinks)
    counts = dict.fromkeys(GOLD_COUNTS, 0) | {"texts": len(gold.texts)}
    for start in range(0, len(gold.texts), _BATCH_TEXTS):
        texts = gold.texts[start : start + _BATCH_TEXTS]
        rows = [TextRow(text.text, gold.field, text.domain) for text in texts]
        found = linker.link_rows(rows, keep_nil=True)
        asked = _ask(index, chooser, gold.field, texts)
        for place, text in enumerate(texts):
            for one in asked[place]:
                counts["gold mentions"] += 1
                counts[one.label.standing] += 1
                counts["required, not in the table"] += _is_missing(one.label)
            links = list(_links(gold.field, text, found[place]))
            tally.add(start + place, text.domain, asked[place], links, scoring.rule)
    return _evaluation(gold, tally, counts, scoring, linker.report)


def _is_missing(label: Label) -> bool:
    """Whether a linker is asked for an entity that the table does not hold."""
    return label.standing == "required" and label.entity == UNKNOWN_ENTITY


def _evaluation(
    gold: Gold,
    tally: Tally,
    counts: Mapping[str, int],
    scoring: EvaluationConfig,
    linked: LinkReport,
) -> Evaluation:
    """The figures of all that was counted."""
    measures = TITLE_MEASURES if gold.field == "title" else TEXT_MEASURES
    resampling = Resampling(scoring.n_draws, scoring.confidence, scoring.seed)
    everything, *rows = micro_figures(tally.counts, measures, resampling)
    figures = iter(rows)
    groups = {
        kind: [Group(name, tuple(next(figures))) for name in names]
        for kind, names in tally.dimensions.items()
    }
    by_frequency, by_prior, by_domain = (
        tuple(group for group in groups[kind] if any(figure.whole for figure in group.figures))
        for kind in ("frequency", "prior", "domain")
    )
    return Evaluation(
        rule=scoring_rule(gold.field, scoring),
        counts=counts,
        figures=tuple(everything),
        macro=tuple(macro_figures(tally.counts[:, 0], END_TO_END, resampling)),
        by_frequency=by_frequency,
        by_prior=by_prior,
        by_domain=by_domain,
        linked=linked,
    )


def scoring_rule(field: str, scoring: EvaluationConfig) -> tuple[str, ...]:
    """Return what counts as right, a sentence each."""
    lines = TITLE_RULE if field == "title" else TEXT_RULE
    return (
        *lines.format(rule=scoring.rule, stands=_STANDS[scoring.rule]).splitlines(),
        "A gold entity that the table does not hold counts as missed in recall@k, accuracy and end to end; for NIL it is one.",
        f"Intervals: {scoring.confidence:.0%} percentile bootstrap over documents, {scoring.n_draws:,} draws, seed {scoring.seed}.",
    )


def _links(field: str, text: GoldText, mentions: Sequence[Mention]) -> Iterator[tuple[Link, float]]:
    """The links of a text with their priors; of a title only that of the whole, or its NIL."""
    if field == "text":
        first, last = text.evaluated or (0, len(text.text))
        for mention in mentions:
            if first <= mention.start and mention.stop <= last:
                yield Link(mention.start, mention.stop, mention.entity_id), mention.prior
        return
    whole = [mention for mention in mentions if mention.detector == "title"]
    linked = next((mention for mention in whole if mention.entity_id != NO_ENTITY), None)
    entity, prior = (NO_ENTITY, 0.0) if linked is None else (linked.entity_id, linked.prior)
    yield Link(0, len(text.text), entity), prior


def _ask(
    index: AliasIndex, chooser: Chooser, field: str, texts: Sequence[GoldText]
) -> list[list[Asked]]:
    """What the table and the chooser say of the gold mentions, their spans given."""
    flat = [(text, mention) for text in texts for mention in text.mentions]
    queries = [_queries(field, text, mention) for text, mention in flat]
    candidates = [[index.candidates(query.key) for query in asked] for asked in queries]
    chosen: dict[int, int] = {}
    rows = [row for row, found in enumerate(candidates) if field == "text" and found[0]]
    choices = chooser.choose_many(
        [queries[row][0] for row in rows], [candidates[row][0] for row in rows]
    )
    for row, choice in zip(rows, choices, strict=True):
        if choice.row is not None:
            chosen[row] = candidates[row][0][choice.row].entity_id
    asked = iter(
        [
            _asked(index, mention, candidates[row], chosen.get(row))
            for row, (_, mention) in enumerate(flat)
        ]
    )
    return [[next(asked) for _ in text.mentions] for text in texts]


def _queries(field: str, text: GoldText, mention: GoldMention) -> list[Query]:
    """What is looked up for a mention: its surface, or each reading of a title."""
    if field == "text":
        key = clean_text(mention.surface).text
        return [Query(key, text.text, mention.start, mention.stop, domain=text.domain)]
    parts = parse_title(text.text)
    return [
        Query(
            reading.key,
            text.text,
            reading.start,
            reading.stop,
            whole_title=True,
            year=parts.year,
            domain=text.domain,
        )
        for reading in parts.readings
    ]


def _asked(
    index: AliasIndex,
    mention: GoldMention,
    candidates: Sequence[Sequence[Candidate]],
    chosen: int | None,
) -> Asked:
    """The label of a mention, and where its entity stands among the candidates."""
    entity = _entity(index, mention)
    places = [
        (rank, one.prior)
        for found in candidates
        for rank, one in enumerate(found)
        if one.entity_id == entity
    ]
    rank, prior = min(places, default=(None, 0.0))
    label = Label(mention.start, mention.stop, entity, mention.standing)
    return Asked(label, rank, prior, chosen is not None and chosen == entity)


def _entity(index: AliasIndex, mention: GoldMention) -> int:
    """The entity id of a gold mention: by its QID if the table holds it, else by its title."""
    if mention.qid is None and mention.title is None:
        return NO_ENTITY
    names = [None if mention.qid is None else f"Q{mention.qid}", mention.title]
    found = (index.entity(name) for name in names if name is not None)
    return next((entity for entity in found if entity is not None), UNKNOWN_ENTITY)
