"""What a person gives, as weights over a bundle's entities: a history, named interests, a text, or a MeKB.

In: an open bundle and what somebody never seen says of themselves. Out: one row of interest weights, scored
with the bundle's idf, and notes on what could not be used; `mekb.query` answers it.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from mekb.bundle import Bundle
from mekb.errors import UnknownError
from mekb.graph import Interest, UserGraph


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
            raise UnknownError(f"no item '{name}' in {where} of bundle {bundle.folder}")
        if len(places) > 1:
            holders = ", ".join(place[0] for place in places)
            raise UnknownError(f"item '{name}' is in {holders}: name its domain as DOMAIN:ITEM")
        rows[places[0][0]].add(places[0][1])
    return {
        domain: _indicator(sorted(columns), len(bundle.items[domain].names))
        for domain, columns in rows.items()
    }


def weights_of_interests(bundle: Bundle, names: Sequence[str]) -> tuple[csr_array, list[str]]:
    """Return the MeKB of interests given by QID, title or any known name, each counted once.

    Returns:
        Weights of shape (1, entities), and a note for each name that could not be used.

    Raises:
        UnknownError: none of the names could be used.
    """
    entities = bundle.profiles.entities
    row_of = entities.row_of
    rows: set[int] = set()
    notes: list[str] = []
    for name in names:
        ids = _entity_ids(bundle, name)
        known = next((row_of[entity_id] for entity_id in ids if entity_id in row_of), None)
        if known is not None:
            rows.add(known)
        elif ids:
            notes.append(f"'{name}' is known, but no item holds it")
        else:
            notes.append(f"'{name}' is not in the alias table")
    if not rows:
        raise UnknownError("; ".join(notes) or "no interests given")
    weights = bundle.profiles.weights_of_counts(_indicator(sorted(rows), len(row_of)))
    notes += [
        f"'{entities.titles[row]}' weighs nothing here: every user has it"
        for row in sorted(rows - set(weights.indices.tolist()))
    ]
    return weights, notes


def weights_of_text(bundle: Bundle, text: str) -> tuple[csr_array, list[str]]:
    """Return the MeKB of what a free text mentions, an entity counting once a mention.

    The text is linked with the bundle's own dictionary; no spaCy pipeline is asked.

    Returns:
        Weights of shape (1, entities), and a note on what was found but is of no item here.

    Raises:
        UnknownError: the text mentions nothing that an item holds.
    """
    row_of = bundle.profiles.entities.row_of
    (mentions,) = bundle.linker.link_texts([text])
    if not mentions:
        raise UnknownError("the text names nothing the alias table knows; write names in full")
    found = Counter(mention.entity_id for mention in mentions)
    counts = {row_of[entity]: number for entity, number in found.items() if entity in row_of}
    foreign = dict.fromkeys(m.surface for m in mentions if m.entity_id not in row_of)
    notes = [f"'{surface}' is known, but no item holds it" for surface in foreign]
    if not counts:
        raise UnknownError("; ".join(notes))
    row = _indicator(sorted(counts), len(row_of))
    row.data = np.array([counts[column] for column in sorted(counts)], dtype=np.float32)
    return bundle.profiles.weights_of_counts(row), notes


def weights_of_graph(bundle: Bundle, graph: UserGraph) -> tuple[csr_array, list[str]]:
    """Return a MeKB that was made elsewhere as weights over the bundle's entities.

    Its weights are kept as they are, since a person may have edited them, and made to sum to 1 over what is
    known here. A Wikidata entity is known by its id; a title stands for it only where one side has no id.
    Brands, categories and the like are known by their names. What was inferred from other interests is passed
    over.

    Returns:
        Weights of shape (1, entities), and a note on what is not known here.
    """
    row_of = bundle.profiles.entities.rows_by_name
    weights: dict[int, float] = {}
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
    notes = []
    if unknown:
        share = sum(interest.weight for interest in unknown)
        notes.append(
            f"{len(unknown)} of {len(own_interests)} interests, {share:.0%} of the weight, are of no item"
            f" here; '{unknown[0].title}' weighs most"
        )
    found = _indicator(sorted(weights), len(bundle.profiles.entities.titles))
    values = np.array([weights[row] for row in sorted(weights)], dtype=np.float64)
    return csr_array(
        (values / (values.sum() or 1.0), found.indices, found.indptr), found.shape
    ), notes


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


def _entity_ids(bundle: Bundle, name: str) -> list[int]:
    """Return the entities a name may mean, the likeliest first."""
    exact = bundle.aliases.entity(name)
    candidates = [candidate.entity_id for candidate in bundle.aliases.candidates(name)]
    return candidates if exact is None else [exact, *candidates]


def _indicator(columns: Sequence[int], width: int) -> csr_array:
    """Return one row of ones at the given columns."""
    return csr_array(
        (
            np.ones(len(columns), dtype=np.float32),
            (np.zeros(len(columns), dtype=np.int64), columns),
        ),
        shape=(1, width),
    )
