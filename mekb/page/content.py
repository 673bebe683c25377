"""What the page shows of one person, as plain data: interests with their evidence, relations, recommendations.

    UserGraph + texts of the liked items + relations + an Answer  ──content_of──>  PageContent  ──asdict──>  JSON

The page's scripts read this shape whether it stands in a file (`mekb.page.document`) or came from a server.
A mention is cut out of its text here, where offsets count code points as they do in the store; a browser
counts UTF-16 units and would cut elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mekb.graph import Evidence, Interest, Origin, UserGraph

if TYPE_CHECKING:
    from mekb.query import Answer

CONTEXT = 140
"""Characters of text shown on either side of a mention."""
CUT = "…"

ItemKey = tuple[str, str]
"""(domain, external id)."""


@dataclass(frozen=True)
class Passage:
    """A mention in its place: `before`, `surface` and `after` are consecutive in the text."""

    item: int
    """Place of the item in `PageContent.items`."""
    field: str
    start: int
    stop: int
    before: str
    surface: str
    after: str
    score: float
    """P(e|m)."""


@dataclass(frozen=True)
class ShownItem:
    """An item somebody liked."""

    domain: str
    id: str
    title: str


@dataclass(frozen=True)
class ShownInterest:
    """An interest (`mekb.graph.Interest`) with its mentions in their texts, the surest first."""

    id: int
    qid: str | None
    iri: str | None
    label: str
    title: str
    kind: str
    origin: Origin
    weight: float
    rank: int
    n_items: int
    n_users: int
    tf: float
    idf: float
    sources: tuple[int, ...]
    passages: tuple[Passage, ...]


@dataclass(frozen=True)
class ShownRelation:
    """A statement of the knowledge graph between an interest and another entity."""

    interest: int
    predicate: str
    other: int
    label: str
    """Of the other entity."""
    is_object: bool = False
    """The statement is (other, predicate, interest) and not the reverse."""


@dataclass(frozen=True)
class ShownReason:
    """An interest that carried a recommendation, as `mekb.query` has it."""

    entity_id: int
    title: str
    contribution: float
    items: tuple[str, ...]


@dataclass(frozen=True)
class ShownRecommendation:
    """A recommended item with its reasons."""

    rank: int
    item: str
    title: str
    score: float
    reasons: tuple[ShownReason, ...]


@dataclass(frozen=True)
class ShownAnswer:
    """What is recommended, of which domain, and what could not be used."""

    target: str
    recommendations: tuple[ShownRecommendation, ...]
    fallback: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class PageContent:
    """Everything the page shows of one person."""

    person: str
    run_id: str | None
    domains: tuple[str, ...]
    """Of the items, in order of name: the order of the colours, as in `mekb.picture`."""
    interests: tuple[ShownInterest, ...]
    items: tuple[ShownItem, ...]
    relations: tuple[ShownRelation, ...] = ()
    answer: ShownAnswer | None = None


def content_of(
    graph: UserGraph,
    texts: Mapping[ItemKey, str],
    *,
    relations: Sequence[ShownRelation] = (),
    answer: ShownAnswer | None = None,
) -> PageContent:
    """Return what the page shows.

    Args:
        graph: The MeKB.
        texts: Of the items behind it, by (domain, external id); a mention whose text is not there, or says
            something else at its offsets, is shown without what stands around it.
        relations: From the interests to other entities.
        answer: What is recommended, where anything is.
    """
    titles = {
        (at.domain, at.item): at.title for interest in graph.interests for at in interest.evidence
    }
    place = {key: number for number, key in enumerate(titles)}
    return PageContent(
        person=graph.user,
        run_id=graph.run_id,
        domains=tuple(sorted({domain for domain, _ in titles})),
        interests=tuple(_shown(interest, place, texts) for interest in graph.interests),
        items=tuple(ShownItem(domain, name, title) for (domain, name), title in titles.items()),
        relations=tuple(relations),
        answer=answer,
    )


def shown_answer(answer: "Answer", target: str) -> ShownAnswer:
    """Return what a bundle answered, as the page shows it."""
    recommendations = tuple(
        ShownRecommendation(
            one.rank,
            one.item,
            one.title,
            one.score,
            tuple(
                ShownReason(why.entity_id, why.title, why.contribution, why.items)
                for why in one.reasons
            ),
        )
        for one in answer.recommendations
    )
    return ShownAnswer(target, recommendations, answer.fallback, answer.notes)


def _shown(
    interest: Interest, place: Mapping[ItemKey, int], texts: Mapping[ItemKey, str]
) -> ShownInterest:
    """Return an interest as the page shows it."""
    surest = sorted(interest.evidence, key=lambda at: -at.score)
    return ShownInterest(
        id=interest.entity_id,
        qid=interest.qid,
        iri=interest.iri,
        label=interest.label or interest.title,
        title=interest.title,
        kind=interest.kind,
        origin=interest.origin,
        weight=interest.weight,
        rank=interest.rank,
        n_items=interest.n_items,
        n_users=interest.n_users,
        tf=interest.tf,
        idf=interest.idf,
        sources=interest.sources,
        passages=tuple(
            _passage(at, place[at.domain, at.item], _text_of(at, texts)) for at in surest
        ),
    )


def _text_of(at: Evidence, texts: Mapping[ItemKey, str]) -> str:
    """Return the text a mention's offsets are of, or the mention alone where that text is not at hand."""
    text = {"title": at.title, "text": texts.get((at.domain, at.item), "")}.get(at.field, "")
    return text if text[at.start : at.stop] == at.surface else ""


def _passage(at: Evidence, item: int, text: str) -> Passage:
    """Return a mention with what stands around it."""
    before, after = cut_around(text, at.start, at.stop)
    return Passage(item, at.field, at.start, at.stop, before, at.surface, after, at.score)


def cut_around(text: str, start: int, stop: int, context: int = CONTEXT) -> tuple[str, str]:
    """Return up to `context` characters before and after text[start:stop], marked where they were cut.

    >>> cut_around("a long way from the Moon and back", 20, 24, context=8)
    ('…rom the ', ' and bac…')
    """
    before, after = text[max(0, start - context) : start], text[stop : stop + context]
    return (
        CUT + before if start > context else before,
        after + CUT if stop + context < len(text) else after,
    )
