"""The third job: recommend to a user never seen, from a history, from named interests, or from both.

Whatever a person gives becomes one row of interest weights (their MeKB, scored with the bundle's idf), that
becomes a text, a vector, and the nearest items of the target domain, each with the interests that carried it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from alias_tables.schema import CUSTOM_ID_BASE, PAGE_ID_BASE
from mekb.bundle import Bundle
from mekb.errors import UnknownError
from mekb.explain import contributions, strongest
from mekb.graph import Interest, UserGraph
from training.contract import UserBatch, empty_history

_N_REASONS = 3
_N_REASON_ITEMS = 3


@dataclass(frozen=True)
class Reason:
    """One interest that carried a recommendation."""

    entity_id: int
    title: str
    contribution: float
    """How much higher the item scores, against the mean item, than it would without this interest; > 0."""
    items: tuple[str, ...]
    """Titles of the items of the history that the interest came from; none where it was given directly."""


@dataclass(frozen=True)
class Recommendation:
    """One recommended item of the target domain."""

    rank: int
    item: str
    """External id."""
    title: str
    score: float
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What is recommended to one user, and on what ground."""

    recommendations: tuple[Recommendation, ...]
    interests: tuple[tuple[str, float], ...]
    """(title, weight) by falling weight."""
    fallback: str | None = None
    """"popularity" when there was no interest to go by."""
    notes: tuple[str, ...] = ()


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
    row_of = {int(entity_id): row for row, entity_id in enumerate(entities.entity_ids)}
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


def weights_of_graph(bundle: Bundle, graph: UserGraph) -> tuple[csr_array, list[str]]:
    """Return a MeKB that was made elsewhere as weights over the bundle's entities.

    Its weights are kept as they are, since a person may have edited them, and made to sum to 1 over what is
    known here. A Wikidata entity is known by its id; a title stands for it only where one side has no id.
    Brands, categories and the like are known by their names. What was inferred from other interests is passed
    over.

    Returns:
        Weights of shape (1, entities), and a note on what is not known here.
    """
    row_of = _rows_by_name(bundle)
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


def _rows_by_name(bundle: Bundle) -> dict[str | tuple[str, str], int]:
    """Return the row of each entity by its QID, and by its title among entities of its sort; the first of a title."""
    entities = bundle.profiles.entities
    row_of: dict[str | tuple[str, str], int] = {}
    pairs = zip(entities.entity_ids.tolist(), entities.titles, strict=True)
    for row, (entity_id, title) in enumerate(pairs):
        if entity_id >= CUSTOM_ID_BASE:
            row_of.setdefault(("own", title), row)
        elif entity_id >= PAGE_ID_BASE:
            row_of.setdefault(("page", title), row)
        else:
            row_of[f"Q{entity_id}"] = row
            row_of.setdefault(("numbered page", title), row)
    return row_of


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


def answer(
    bundle: Bundle,
    weights: csr_array,
    *,
    history: Mapping[str, csr_array] | None = None,
    k: int = 10,
    explain: bool = True,
    notes: Sequence[str] = (),
) -> Answer:
    """Recommend items of the target domain to one user.

    Args:
        bundle: What to ask.
        weights: Shape (1, entities): the user's MeKB; empty falls back to popularity, and says so.
        history: What the user knows already: never recommended, and the ground of the reasons.
        k: How many items; more than there are gives all.
        explain: Work out the reasons too.
        notes: Passed on to the answer.
    """
    known = history or {}
    seen = set(known[bundle.target].indices.tolist()) if bundle.target in known else set()
    interests = _titled(bundle, weights)
    if not interests:
        return Answer(_popular(bundle, k, seen), (), fallback="popularity", notes=tuple(notes))
    vector = _encode(bundle, weights)
    scores, found = bundle.index.search(vector, min(k + len(seen), bundle.index.ntotal))
    picked = [
        (int(row), float(score))
        for row, score in zip(found[0], scores[0], strict=True)
        if row >= 0 and row not in seen
    ][:k]
    reasons = _reasons(bundle, weights, [row for row, _ in picked], known) if explain else {}
    recommendations = tuple(
        _recommendation(bundle, rank, row, score, reasons.get(row, ()))
        for rank, (row, score) in enumerate(picked, start=1)
    )
    return Answer(recommendations, interests, notes=tuple(notes))


def _indicator(columns: Sequence[int], width: int) -> csr_array:
    """Return one row of ones at the given columns."""
    return csr_array(
        (
            np.ones(len(columns), dtype=np.float32),
            (np.zeros(len(columns), dtype=np.int64), columns),
        ),
        shape=(1, width),
    )


def _entity_ids(bundle: Bundle, name: str) -> list[int]:
    """Return the entities a name may mean, the likeliest first."""
    exact = bundle.aliases.entity(name)
    candidates = [candidate.entity_id for candidate in bundle.aliases.candidates(name)]
    return candidates if exact is None else [exact, *candidates]


def _titled(bundle: Bundle, weights: csr_array) -> tuple[tuple[str, float], ...]:
    titles = bundle.profiles.entities.titles
    order = np.lexsort((weights.indices, -weights.data))
    return tuple((titles[weights.indices[i]], float(weights.data[i])) for i in order)


def _encode(bundle: Bundle, weights: csr_array) -> npt.NDArray[np.float32]:
    """Return user vectors, shape (rows, dim), of rows of interest weights."""
    n_rows = weights.shape[0]
    batch = UserBatch(
        ids=np.arange(n_rows, dtype=np.uint32),
        history=empty_history(
            n_rows, {domain: len(items.names) for domain, items in bundle.items.items()}
        ),
        profiles=bundle.profiles.texts_of(weights),
        interests=bundle.profiles.interests_of(weights),
    )
    return np.ascontiguousarray(bundle.model.user_vectors(batch))


def _popular(bundle: Bundle, k: int, seen: set[int]) -> tuple[Recommendation, ...]:
    counts = bundle.items[bundle.target].n_users
    order = [int(row) for row in np.argsort(-counts, kind="stable") if int(row) not in seen][:k]
    return tuple(
        _recommendation(bundle, rank, row, float(counts[row]), ())
        for rank, row in enumerate(order, start=1)
    )


def _recommendation(
    bundle: Bundle, rank: int, row: int, score: float, reasons: tuple[Reason, ...]
) -> Recommendation:
    items = bundle.items[bundle.target]
    return Recommendation(rank, items.names[row], items.titles[row], score, reasons)


def _reasons(
    bundle: Bundle, weights: csr_array, rows: Sequence[int], history: Mapping[str, csr_array]
) -> dict[int, tuple[Reason, ...]]:
    """Return the reasons of each recommended row."""
    entities = bundle.profiles.entities
    # What an interest gives to every item alike changes no ranking, so scores are taken against the mean item.
    centred = bundle.item_vectors[list(rows)] - bundle.item_vectors.mean(axis=0)
    tried, given = contributions(weights, lambda variants: _encode(bundle, variants), centred)
    return {
        row: tuple(
            Reason(
                entity_id=int(entities.entity_ids[entity]),
                title=entities.titles[entity],
                contribution=contribution,
                items=_items_with(bundle, entity, history),
            )
            for entity, contribution in strongest(tried, given[:, position], _N_REASONS)
        )
        for position, row in enumerate(rows)
    }


def _items_with(bundle: Bundle, entity: int, history: Mapping[str, csr_array]) -> tuple[str, ...]:
    """Return titles of the history's items that hold an entity."""
    titles: list[str] = []
    for domain, matrix in history.items():
        rows = matrix.indices
        holds = bundle.profiles.item_entities[domain][rows][:, [entity]].toarray().ravel() > 0
        titles += [bundle.items[domain].titles[row] for row in rows[holds]]
    return tuple(titles[:_N_REASON_ITEMS])
