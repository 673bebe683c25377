"""The third job: recommend to a user never seen, from the interests that `mekb.given` made of what they gave.

A row of interest weights (their MeKB, scored with the bundle's idf) becomes a text, a vector, and the nearest
items of the target domain, each with the interests that carried it. What was seen or is blocked, and all outside
the categories asked for, is left out before the nearest are taken, so that k items come as long as there are k.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from mekb.bundle import Bundle
from mekb.errors import UnknownError
from mekb.explain import contributions, strongest
from training.contract import UserBatch, empty_history
from training.recommend import NO_ITEM, top_k

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


@dataclass(frozen=True)
class Wanted:
    """What may be recommended; by default whatever the user has not seen."""

    blocked: frozenset[str] = frozenset()
    """External ids of items never to be shown."""
    categories: frozenset[str] = frozenset()
    """An item must be in one of these, or of a brand so called, whatever the case; none means all items."""
    seen: bool = False
    """Whether items of the history may be shown again."""


ANYTHING_NEW = Wanted()


def answer(
    bundle: Bundle,
    weights: csr_array,
    *,
    history: Mapping[str, csr_array] | None = None,
    k: int = 10,
    explain: bool = True,
    wanted: Wanted = ANYTHING_NEW,
) -> Answer:
    """Recommend items of the target domain to one user.

    Args:
        bundle: What to ask.
        weights: Shape (1, entities): the user's MeKB; empty falls back to popularity, and says so.
        history: What the user knows already: not recommended, and the ground of the reasons.
        k: How many items; more than there are gives all.
        explain: Work out the reasons too.
        wanted: What may be recommended.

    Raises:
        UnknownError: a blocked item or a category is not in the bundle.
    """
    known = history or {}
    left_out = _left_out(bundle, known, wanted)
    interests = _titled(bundle, weights)
    if not interests:
        return Answer(_popular(bundle, k, left_out), (), fallback="popularity")
    picked = _nearest(bundle, encode(bundle, weights), k, left_out)
    reasons = _reasons(bundle, weights, [row for row, _ in picked], known) if explain else {}
    recommendations = tuple(
        _recommendation(bundle, rank, row, score, reasons.get(row, ()))
        for rank, (row, score) in enumerate(picked, start=1)
    )
    return Answer(recommendations, interests)


def _left_out(
    bundle: Bundle, history: Mapping[str, csr_array], wanted: Wanted
) -> npt.NDArray[np.int64]:
    """Return the rows of target items that may not be shown, rising."""
    items = bundle.items[bundle.target]
    if unknown := sorted(wanted.blocked - items.row_of.keys()):
        raise UnknownError(f"no item '{unknown[0]}' in '{bundle.target}' to block")
    is_out = np.zeros(len(items.names), dtype=bool)
    if wanted.categories:
        is_out[:] = True
        is_out[_rows_in(bundle, wanted.categories)] = False
    is_out[[items.row_of[name] for name in wanted.blocked]] = True
    if not wanted.seen and bundle.target in history:
        is_out[history[bundle.target].indices] = True
    return np.flatnonzero(is_out)


def _rows_in(bundle: Bundle, names: frozenset[str]) -> npt.NDArray[np.int64]:
    """Return the rows of target items in any of the named categories or brands."""
    rows_of = bundle.shelves
    if unknown := sorted(name for name in names if name.casefold() not in rows_of):
        near = get_close_matches(unknown[0].casefold(), rows_of, 3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UnknownError(f"no category or brand '{unknown[0]}' in '{bundle.target}'{hint}")
    return np.unique(np.concatenate([rows_of[name.casefold()] for name in names]))


def _nearest(
    bundle: Bundle,
    vector: npt.NDArray[np.float32],
    k: int,
    left_out: npt.NDArray[np.int64],
) -> list[tuple[int, float]]:
    """Return (item row, score) of the best k items that are not left out.

    The index gives as many more as are left out; where that is much, all items are scored instead.
    """
    n_asked = min(k + len(left_out), bundle.index.ntotal)
    if n_asked <= max(bundle.index.ntotal // 10, k):
        scores, found = bundle.index.search(vector, n_asked)
        is_kept = (found[0] >= 0) & ~np.isin(found[0], left_out)
        rows, kept = found[0][is_kept][:k], scores[0][is_kept][:k]
    else:
        every = vector @ bundle.item_vectors.T
        every[0, left_out] = np.nan
        best, values = top_k(every, k)
        rows, kept = best[0][best[0] != NO_ITEM], values[0][best[0] != NO_ITEM]
    return list(zip(rows.tolist(), kept.tolist(), strict=True))


def _titled(bundle: Bundle, weights: csr_array) -> tuple[tuple[str, float], ...]:
    titles = bundle.profiles.entities.titles
    order = np.lexsort((weights.indices, -weights.data))
    return tuple((titles[weights.indices[i]], float(weights.data[i])) for i in order)


def encode(bundle: Bundle, weights: csr_array) -> npt.NDArray[np.float32]:
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


def _popular(bundle: Bundle, k: int, left_out: npt.NDArray[np.int64]) -> tuple[Recommendation, ...]:
    counts = bundle.items[bundle.target].n_users
    order = np.argsort(-counts, kind="stable")
    kept = order[~np.isin(order, left_out)][:k].tolist()
    return tuple(
        _recommendation(bundle, rank, row, float(counts[row]), ())
        for rank, row in enumerate(kept, start=1)
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
    centred = bundle.item_vectors[list(rows)] - bundle.mean_item
    tried, given = contributions(weights, lambda variants: encode(bundle, variants), centred)
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
