"""From a question and a bundle to an answer: pure functions, no HTTP, no threads of their own."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from alias_tables.schema import PAGE_ID_BASE
from mekb.bundle import Bundle
from mekb.errors import UnknownError
from mekb.given import (
    Given,
    Weighted,
    domain_and_item,
    given_history,
    given_interests,
    given_text,
    given_weighted,
    grounded,
)
from mekb.graph import Evidence
from mekb.query import Wanted, answer, explain_item
from mekb.reasons import Reason, evidence_behind
from mekb.serve import messages
from mekb.serve.hosting import Served


def given_by(bundle: Bundle, who: messages.Who) -> Given:
    """Return what a question says of a person, as the bundle understands it.

    Raises:
        UnknownError: nothing to go by was given or too much, or something that is not known.
    """
    if who.history is not None and who.text is not None:
        raise UnknownError("give a history or a text, not both")
    ground = None
    if who.history is not None:
        ground = given_history(bundle, [domain_and_item(bundle, item) for item in who.history])
    elif who.text is not None:
        ground = given_text(bundle, who.text)
    if who.interests is None:
        if ground is None:
            raise UnknownError("give a history, interests, or a text")
        return ground
    given = _given_interests(bundle, who.interests, alone=ground is None)
    return given if ground is None else grounded(given, ground)


def _given_interests(
    bundle: Bundle, interests: Sequence[messages.GivenInterest | str], *, alone: bool
) -> Given:
    if not interests:
        return Given(csr_array((1, len(bundle.profiles.entities.titles))))
    known = [_named(one) for one in interests]
    stated = [(name, weight) for name, weight in known if weight is not None]
    if len(stated) == len(known):
        return given_weighted(bundle, [Weighted(name, weight) for name, weight in stated])
    if stated:
        raise UnknownError("give every interest a weight, or none of them")
    if not alone:
        raise UnknownError("give every interest a weight, to be laid over a history or a text")
    return given_interests(bundle, [name for name, _ in known])


def _named(interest: messages.GivenInterest | str) -> tuple[str | int, float | None]:
    """Return an interest's name or entity id, and the weight it shall have."""
    if isinstance(interest, str):
        return interest, None
    name = interest.entity_id if interest.name is None else interest.name
    assert name is not None, "one of the two is required"
    return name, interest.weight


def profile(served: Served, asked: messages.ProfileQuestion) -> messages.Profile:
    """Return the interests of a person, each with its evidence."""
    bundle = served.bundle
    given = given_by(bundle, asked)
    weights, entities = given.weights, bundle.profiles.entities
    order = np.lexsort((weights.indices, -weights.data))
    rows = weights.indices[order].tolist()
    places = evidence_behind(bundle, given, rows)
    return messages.Profile(
        bundle=bundle.digest,
        interests=[
            messages.Interest(
                entity_id=int(entities.entity_ids[row]),
                qid=qid_of(bundle, row),
                title=entities.titles[row],
                kind=entities.kinds[row],
                weight=weight,
                rank=rank,
                evidence=_evidence(places[row][: asked.max_evidence]),
                n_evidence=len(places[row]),
            )
            for rank, (row, weight) in enumerate(
                zip(rows, weights.data[order].tolist(), strict=True), start=1
            )
        ],
        text=bundle.profiles.texts_of(weights)[0],
        notes=list(given.notes),
    )


def recommend(served: Served, asked: messages.RecommendQuestion) -> messages.Recommendations:
    """Return what a person is recommended."""
    bundle = served.bundle
    found = answer(
        bundle,
        given_by(bundle, asked),
        k=asked.k,
        explain=asked.explain,
        wanted=Wanted(frozenset(asked.blocked), frozenset(asked.categories), asked.seen),
        encoding=served.batcher.encode,
    )
    return messages.Recommendations(
        bundle=bundle.digest,
        target=bundle.target,
        recommendations=[
            messages.Recommendation(
                rank=one.rank,
                item=one.item,
                title=one.title,
                score=one.score,
                reasons=_reasons(one.reasons),
            )
            for one in found.recommendations
        ],
        fallback=found.fallback,
        notes=list(found.notes),
    )


def explain(served: Served, asked: messages.ExplainQuestion) -> messages.Explanation:
    """Return what each interest of a person gives to one item."""
    bundle = served.bundle
    given = given_by(bundle, asked)
    found = explain_item(bundle, given, asked.item, encoding=served.batcher.encode)
    return messages.Explanation(
        bundle=bundle.digest,
        item=found.item,
        title=found.title,
        score=found.score,
        rank=found.rank,
        n_items=found.n_items,
        seen=found.seen,
        reasons=_reasons(found.reasons),
        fallback=found.fallback,
        notes=list(found.notes),
    )


def link(served: Served, asked: messages.LinkQuestion) -> messages.Links:
    """Return what a text mentions."""
    bundle = served.bundle
    (mentions,) = bundle.linker.link_texts([asked.text])
    row_of = bundle.profiles.entities.row_of
    return messages.Links(
        bundle=bundle.digest,
        mentions=[
            messages.Mention(
                start=one.start,
                stop=one.stop,
                surface=one.surface,
                entity_id=one.entity_id,
                qid=f"Q{one.entity_id}" if one.entity_id < PAGE_ID_BASE else None,
                title=one.title,
                prior=one.prior,
                in_items=one.entity_id in row_of,
            )
            for one in mentions
        ],
    )


def entities(served: Served, beginning: str, limit: int) -> messages.Entities:
    """Return the entities that items hold whose title begins so."""
    bundle = served.bundle
    rows, more = served.titles.starting_with(beginning, limit)
    table = bundle.profiles.entities
    return messages.Entities(
        bundle=bundle.digest,
        entities=[
            messages.Entity(
                entity_id=int(table.entity_ids[row]),
                qid=qid_of(bundle, row),
                title=table.titles[row],
                kind=table.kinds[row],
                n_users=int(table.n_users[row]),
            )
            for row in rows
        ],
        more=more,
    )


def items(served: Served, beginning: str, limit: int) -> messages.Items:
    """Return the items whose title begins so."""
    bundle = served.bundle
    places, more = served.items.starting_with(beginning, limit)
    return messages.Items(
        bundle=bundle.digest,
        items=[
            messages.Item(
                item=bundle.items[domain].names[row],
                domain=domain,
                title=bundle.items[domain].titles[row],
                n_users=int(bundle.items[domain].n_users[row]),
            )
            for domain, row in places
        ],
        more=more,
    )


def facts(served: Served) -> messages.BundleFacts:
    """Return what is served."""
    bundle = served.bundle
    written_at = bundle.origin.get("written_at")
    return messages.BundleFacts(
        bundle=bundle.digest,
        target=bundle.target,
        sources=list(bundle.sources),
        n_items={domain: len(items.names) for domain, items in bundle.items.items()},
        n_entities=len(bundle.profiles.entities.titles),
        n_users=bundle.profiles.entities.n_all,
        index=str(bundle.index_facts["kind"]),
        written_at=None if written_at is None else str(written_at),
        has_relations=bundle.relations is not None,
    )


def qid_of(bundle: Bundle, row: int) -> str | None:
    """Return the Wikidata id of an entity row, or None."""
    entity_id = int(bundle.profiles.entities.entity_ids[row])
    is_item = bundle.profiles.entities.kinds[row] == "wikidata" and entity_id < PAGE_ID_BASE
    return f"Q{entity_id}" if is_item else None


def _reasons(found: Sequence[Reason]) -> list[messages.Reason]:
    return [
        messages.Reason(
            entity_id=one.entity_id,
            title=one.title,
            contribution=one.contribution,
            evidence=_evidence(one.evidence),
            n_evidence=one.n_evidence,
        )
        for one in found
    ]


def _evidence(places: Sequence[Evidence]) -> list[messages.Evidence]:
    return [
        messages.Evidence(
            item=at.item or None,
            domain=at.domain or None,
            item_title=at.title or None,
            field=at.field,
            start=at.start,
            stop=at.stop,
            surface=at.surface,
            prior=at.score,
        )
        for at in places
    ]


def neighbours(served: Served, entity_id: int, limit: int) -> messages.Neighbours:
    """Return what stands one relation away from an entity, that items hold first, then by the relation.

    Raises:
        UnknownError: no item holds the entity, or the bundle has no relations.
    """
    bundle = served.bundle
    row_of = bundle.profiles.entities.row_of
    if entity_id not in row_of:
        raise UnknownError(f"entity {entity_id} is of no item here")
    if bundle.relations is None:
        raise UnknownError("the bundle has no relations; give its store some before it is made")
    rows = sorted(bundle.relations.of(entity_id), key=lambda row: row["other_id"] not in row_of)
    return messages.Neighbours(
        bundle=bundle.digest,
        entity_id=entity_id,
        title=_name(bundle, entity_id),
        neighbours=[
            messages.Neighbour(
                entity_id=row["other_id"],
                qid=f"Q{row['other_id']}" if row["other_id"] < PAGE_ID_BASE else None,
                title=_name(bundle, row["other_id"]),
                predicate=row["predicate"],
                is_object=row["is_object"],
                in_items=row["other_id"] in row_of,
            )
            for row in rows[:limit]
        ],
        more=len(rows) > limit,
    )


def _name(bundle: Bundle, entity_id: int) -> str:
    row = bundle.profiles.entities.row_of.get(entity_id)
    if row is not None:
        return bundle.profiles.entities.titles[row]
    return bundle.aliases.title(entity_id) or f"Q{entity_id}"
