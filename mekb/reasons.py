"""The reasons of a recommendation: which interests carried it, and what each of them rests on.

    contribution of interest e to item i = (score with e - score without e), against the mean item
    evidence of e = the places where e stands: in texts of the history's items, or in what the person said

All leave-one-out profiles of a person are encoded together (`mekb.explain`). Evidence goes down to the characters:
`text[start:stop]` of the named field of the named item is the surface, and P(e|m) says how sure its link is.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from mekb.bundle import Bundle
from mekb.explain import contributions, strongest
from mekb.given import Given
from mekb.graph import Evidence
from training.contract import UserBatch, empty_history

Encode: TypeAlias = Callable[[csr_array], npt.NDArray[np.float32]]
"""Turns rows of interest weights, shape (rows, entities), into user vectors, shape (rows, dim)."""

N_REASONS = 3
_N_REASON_ITEMS = 3
MAX_EVIDENCE = 20
"""Places kept with a reason; `n_evidence` counts them all."""


_PLACE = ("field", "start", "stop", "surface", "prior")
"""Columns of an item's evidence, in the order of `Evidence`."""


@dataclass(frozen=True)
class Reason:
    """One interest that carried a recommendation."""

    entity_id: int
    title: str
    contribution: float
    """How much higher the item scores, against the mean item, than it would without this interest."""
    items: tuple[str, ...]
    """Titles of the items of the history that the interest came from; none where it was given directly."""
    evidence: tuple[Evidence, ...] = ()
    """Where it stands in their texts or in what the person said, at most `MAX_EVIDENCE` places; an item of ""
    is the person's own word."""
    n_evidence: int = 0
    """How many places there are."""


def encode(bundle: Bundle, weights: csr_array) -> npt.NDArray[np.float32]:
    """Return user vectors, shape (rows, dim), of rows of interest weights."""
    n_rows = weights.shape[0]
    texts, title_weights = bundle.profiles.weighted_texts_of(weights)
    batch = UserBatch(
        ids=np.arange(n_rows, dtype=np.uint32),
        history=empty_history(
            n_rows, {domain: len(items.names) for domain, items in bundle.items.items()}
        ),
        profiles=texts,
        interests=bundle.profiles.interests_of(weights),
        title_weights=title_weights,
    )
    return np.ascontiguousarray(bundle.model.user_vectors(batch))


def reasons_of(
    bundle: Bundle, given: Given, rows: Sequence[int], encoding: Encode
) -> dict[int, tuple[Reason, ...]]:
    """Return the interests that carried each target item, the strongest first.

    Args:
        bundle: What was asked.
        given: Whose interests.
        rows: Rows of target items.
        encoding: Who encodes the leave-one-out profiles.
    """
    tried, shares = item_shares(bundle, given, rows, encoding)
    chosen = {row: strongest(tried, shares[:, place], N_REASONS) for place, row in enumerate(rows)}
    wanted = {entity for each in chosen.values() for entity, _ in each}
    places = evidence_behind(bundle, given, wanted)
    return {
        row: tuple(reason(bundle, given, (entity, share), places[entity]) for entity, share in each)
        for row, each in chosen.items()
    }


def item_shares(
    bundle: Bundle, given: Given, rows: Sequence[int], encoding: Encode
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the entity rows that were left out in turn, shape (m,), and what each gives to each item, (m, items)."""
    # What an interest gives to every item alike changes no ranking, so scores are taken against the mean item.
    centred = bundle.item_vectors[list(rows)] - bundle.mean_item
    return contributions(given.weights, encoding, centred)


def reason(
    bundle: Bundle, given: Given, shared: tuple[int, float], places: Sequence[Evidence]
) -> Reason:
    """Return one reason as it is told, from an entity row with its contribution."""
    entity, contribution = shared
    entities = bundle.profiles.entities
    return Reason(
        entity_id=int(entities.entity_ids[entity]),
        title=entities.titles[entity],
        contribution=contribution,
        items=_items_with(bundle, entity, given.history),
        evidence=tuple(places[:MAX_EVIDENCE]),
        n_evidence=len(places),
    )


def _items_with(bundle: Bundle, entity: int, history: Mapping[str, csr_array]) -> tuple[str, ...]:
    """Return titles of the history's items that hold an entity."""
    titles: list[str] = []
    for domain, matrix in history.items():
        rows = matrix.indices
        holds = bundle.profiles.item_entities[domain][rows][:, [entity]].toarray().ravel() > 0
        titles += [bundle.items[domain].titles[row] for row in rows[holds]]
    return tuple(titles[:_N_REASON_ITEMS])


def evidence_behind(
    bundle: Bundle, given: Given, entities: Collection[int]
) -> Mapping[int, tuple[Evidence, ...]]:
    """Return what each of some interests rests on.

    Places in the history's items come first, by domain and item; then what the person said or brought, less what
    is among them.

    Args:
        bundle: It holds the evidence of items.
        given: History and statements.
        entities: Entity rows.
    """
    row_of = bundle.profiles.entities.row_of
    wanted = set(entities)
    found: dict[int, dict[Evidence, None]] = defaultdict(dict)
    for domain, matrix in given.history.items():
        items = bundle.items[domain]
        for row in matrix.indices.tolist():
            for place in bundle.evidence.of(int(items.item_ids[row])):
                entity = row_of.get(place.pop("entity_id"))
                if entity in wanted:
                    at = (items.names[row], domain, items.titles[row])
                    found[entity][Evidence(*at, *(place[name] for name in _PLACE))] = None
    for entity in wanted:
        found[entity] |= dict.fromkeys(given.stated.get(entity, ()))
    return {entity: tuple(found[entity]) for entity in wanted}
