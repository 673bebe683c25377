"""What a person gives, as weights over a bundle's entities: a history, named interests, a text, or a MeKB.

In: an open bundle and what somebody never seen says of themselves. Out: one row of interest weights, scored
with the bundle's idf, what each interest rests on, and notes on what could not be used; `mekb.query` answers it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_array

from mekb.bundle import Bundle
from mekb.errors import UnknownError
from mekb.graph import Evidence, Interest, UserGraph

NAMED = "interest"
"""The field of an interest that was named: its surface is the name as it was given."""
WRITTEN = "written"
"""The field of a mention in a text of the person's own."""


@dataclass(frozen=True)
class Given:
    """What a person gave, as a bundle understands it."""

    weights: csr_array
    """Shape (1, entities): their MeKB; the weights sum to 1, or there are none."""
    history: Mapping[str, csr_array] = field(default_factory=dict)
    """Domain -> (1, items): what they know already, and the ground of reasons."""
    notes: tuple[str, ...] = ()
    """On what could not be used, a line each."""
    stated: Mapping[int, tuple[Evidence, ...]] = field(default_factory=dict)
    """Entity row -> where it stands in what they said or brought, apart from their history."""


@dataclass(frozen=True)
class Weighted:
    """An interest as a person wants it to count."""

    name: str | int
    """A QID, a title or any known name; or the id of an entity."""
    weight: float
    """Above 0, beside those of the others."""


def given_history(bundle: Bundle, items: Sequence[tuple[str | None, str]]) -> Given:
    """Return what a history comes to: see `history_of`."""
    history = history_of(bundle, items)
    return Given(bundle.profiles.weights(history), history)


def history_of(bundle: Bundle, items: Sequence[tuple[str | None, str]]) -> dict[str, csr_array]:
    """Return the history of one user, domain -> (1, items), from (domain or None, external id) pairs.

    Raises:
        UnknownError: an item is not in the bundle, or several domains hold its id and none was named.
    """
    rows: dict[str, set[int]] = {domain: set() for domain in bundle.items}
    for domain, name in items:
        places = [
            (candidate, table.row_of[name])
            for candidate, table in bundle.items.items()
            if domain in {None, candidate} and name in table.row_of
        ]
        if not places:
            where = f"'{domain}'" if domain else " or ".join(f"'{known}'" for known in bundle.items)
            raise UnknownError(f"no item '{name}' in {where} of the bundle")
        if len(places) > 1:
            holders = ", ".join(place[0] for place in places)
            raise UnknownError(f"item '{name}' is in {holders}: name its domain as DOMAIN:ITEM")
        rows[places[0][0]].add(places[0][1])
    return {
        domain: _indicator(sorted(columns), len(bundle.items[domain].names))
        for domain, columns in rows.items()
    }


def domain_and_item(bundle: Bundle, text: str) -> tuple[str | None, str]:
    """Return the domain, if one is named, and the external id of "ITEM" or "DOMAIN:ITEM"."""
    domain, colon, item = text.partition(":")
    return (domain, item) if colon and domain in bundle.items else (None, text)


def given_interests(bundle: Bundle, names: Sequence[str | int]) -> Given:
    """Return what interests given by QID, title, any known name or entity id come to, each counted once.

    Raises:
        UnknownError: none of the names could be used.
    """
    entities = bundle.profiles.entities
    stated, notes = _named(bundle, names)
    if not stated:
        raise UnknownError("; ".join(notes) or "no interests given")
    weights = bundle.profiles.weights_of_counts(_indicator(sorted(stated), len(entities.titles)))
    notes += [
        f"'{entities.titles[row]}' weighs nothing here: every user has it"
        for row in sorted(stated.keys() - set(weights.indices.tolist()))
    ]
    return Given(weights, notes=tuple(notes), stated=stated)


def given_weighted(bundle: Bundle, interests: Sequence[Weighted]) -> Given:
    """Return interests with the weights a person wants them to have, made to sum to 1.

    An interest that is given twice has the sum of its weights.

    Raises:
        UnknownError: none of the interests could be used.
    """
    weights: dict[int, float] = defaultdict(float)
    stated: dict[int, tuple[Evidence, ...]] = {}
    notes: list[str] = []
    for interest in interests:
        found, unknown = _named(bundle, [interest.name])
        notes += unknown
        stated |= found
        for row in found:
            weights[row] += interest.weight
    if not weights:
        raise UnknownError("; ".join(notes) or "no interests given")
    n_entities = len(bundle.profiles.entities.titles)
    return Given(_summing_to_1(weights, n_entities), notes=tuple(notes), stated=stated)


def given_text(bundle: Bundle, text: str) -> Given:
    """Return what a free text mentions, an entity counting once a mention.

    The text is linked with the bundle's own dictionary; no spaCy pipeline is asked. What was found but is of no
    item here is noted.

    Raises:
        UnknownError: the text mentions nothing that an item holds.
    """
    row_of = bundle.profiles.entities.row_of
    (mentions,) = bundle.linker.link_texts([text])
    if not mentions:
        raise UnknownError("the text names nothing the alias table knows; write names in full")
    foreign = dict.fromkeys(m.surface for m in mentions if m.entity_id not in row_of)
    notes = [f"'{surface}' is known, but no item holds it" for surface in foreign]
    stated: dict[int, tuple[Evidence, ...]] = {}
    for m in mentions:
        if m.entity_id in row_of:
            place = Evidence("", "", "", WRITTEN, m.start, m.stop, m.surface, m.prior)
            row = row_of[m.entity_id]
            stated[row] = (*stated.get(row, ()), place)
    if not stated:
        raise UnknownError("; ".join(notes))
    counts = _indicator(sorted(stated), len(row_of))
    counts.data = np.array([len(stated[column]) for column in sorted(stated)], dtype=np.float32)
    weights = bundle.profiles.weights_of_counts(counts)
    return Given(weights, notes=tuple(notes), stated=stated)


def given_graph(bundle: Bundle, graph: UserGraph) -> Given:
    """Return a MeKB that was made elsewhere as weights over the bundle's entities.

    Its weights are kept as they are, since a person may have edited them, and made to sum to 1 over what is
    known here. A Wikidata entity is known by its id; a title stands for it only where one side has no id.
    Brands, categories and the like are known by their names. What was inferred from other interests is passed
    over. The items behind it that are items of this bundle too are the history.
    """
    row_of = bundle.profiles.entities.rows_by_name
    weights: dict[int, float] = {}
    stated: dict[int, tuple[Evidence, ...]] = {}
    unknown: list[Interest] = []
    own_interests = [interest for interest in graph.interests if interest.origin != "inferred"]
    for interest in own_interests:
        if interest.qid is not None:
            names = [interest.qid, ("page", interest.title)]
        elif interest.kind == "wikidata":
            names = [("page", interest.title), ("numbered page", interest.title)]
        else:
            names = [("own", interest.title)]
        row = next((row_of[name] for name in names if name in row_of), None)
        if row is None:
            unknown.append(interest)
        elif interest.weight > 0:
            weights[row] = weights.get(row, 0.0) + interest.weight
            stated[row] = (*stated.get(row, ()), *interest.evidence)
    notes = []
    if unknown:
        share = sum(interest.weight for interest in unknown)
        notes.append(
            f"{len(unknown)} of {len(own_interests)} interests, {share:.0%} of the weight, are of no item"
            f" here; '{unknown[0].title}' weighs most"
        )
    return Given(
        _summing_to_1(weights, len(bundle.profiles.entities.titles)),
        items_of_graph(bundle, graph),
        tuple(notes),
        stated,
    )


def grounded(given: Given, ground: Given) -> Given:
    """Return the interests of one, known and evidenced by the other: an edited profile over its history."""
    known = set(ground.weights.indices.tolist())
    stated = {
        row: ground.stated.get(row, ()) if row in known else own
        for row, own in given.stated.items()
    }
    return replace(
        given, history=ground.history, notes=(*ground.notes, *given.notes), stated=stated
    )


def items_of_graph(bundle: Bundle, graph: UserGraph) -> dict[str, csr_array]:
    """Return the items behind a MeKB that are items of this bundle too, domain -> (1, items).

    Two services may give one id to two items, so the title must be the same as well.
    """
    places = [
        (at.domain, at.item)
        for interest in graph.interests
        for at in interest.evidence
        if at.domain in bundle.items
        and (row := bundle.items[at.domain].row_of.get(at.item)) is not None
        and bundle.items[at.domain].titles[row] == at.title
    ]
    return history_of(bundle, places)


def _named(
    bundle: Bundle, names: Sequence[str | int]
) -> tuple[dict[int, tuple[Evidence, ...]], list[str]]:
    """Return entity row -> the name it was given by, and a note for each name that could not be used."""
    row_of = bundle.profiles.entities.row_of
    stated: dict[int, tuple[Evidence, ...]] = {}
    notes: list[str] = []
    for name in names:
        if isinstance(name, int):
            if name in row_of:
                title = bundle.profiles.entities.titles[row_of[name]]
                stated.setdefault(row_of[name], (_said(title, 1.0),))
            else:
                notes.append(f"entity {name} is of no item here")
            continue
        priors = _priors(bundle, name)
        known = next((entity_id for entity_id in priors if entity_id in row_of), None)
        if known is not None:
            stated.setdefault(row_of[known], (_said(name, priors[known]),))
        elif priors:
            notes.append(f"'{name}' is known, but no item holds it")
        else:
            notes.append(f"'{name}' is not in the alias table")
    return stated, notes


def _said(name: str, prior: float) -> Evidence:
    return Evidence("", "", "", NAMED, 0, len(name), name, prior)


def _priors(bundle: Bundle, name: str) -> dict[int, float]:
    """Return the entities a name may mean, the likeliest first, with P(e|m): 1 where it is a title or a QID."""
    exact = bundle.aliases.entity(name)
    priors = {} if exact is None else {exact: 1.0}
    for candidate in bundle.aliases.candidates(name):
        priors.setdefault(candidate.entity_id, candidate.prior)
    return priors


def _summing_to_1(weights: Mapping[int, float], width: int) -> csr_array:
    found = _indicator(sorted(weights), width)
    values = np.array([weights[row] for row in sorted(weights)], dtype=np.float64)
    return csr_array((values / (values.sum() or 1.0), found.indices, found.indptr), found.shape)


def _indicator(columns: Sequence[int], width: int) -> csr_array:
    """Return one row of ones at the given columns."""
    return csr_array(
        (
            np.ones(len(columns), dtype=np.float32),
            (np.zeros(len(columns), dtype=np.int64), columns),
        ),
        shape=(1, width),
    )
