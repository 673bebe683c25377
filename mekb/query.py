"""The third job: recommend to a user never seen, from the interests that `mekb.given` made of what they gave.

A row of interest weights (their MeKB, scored with the bundle's idf) becomes a text, a vector, and the nearest
items of the target domain, each with the interests that carried it. What was seen (an item of the history, or one that is
itself among the interests) or is blocked, and all outside the categories asked for, is left out before the nearest are
taken, so that k items come as long as there are k.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from mekb.bundle import Bundle
from mekb.errors import UnknownError
from mekb.given import Given
from mekb.reasons import (
    Encode,
    Reason,
    encode,
    evidence_behind,
    item_shares,
    reason,
    reasons_of,
)
from training.recommend import NO_ITEM, top_k


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
class Explanation:
    """Why one item scores for one user as it does."""

    item: str
    """External id."""
    title: str
    seen: bool
    """Whether it is in the history or itself an interest, and so not recommended unless asked for."""
    n_items: int
    """Items of the target domain."""
    score: float
    rank: int
    """Among all items of the target domain, seen ones too; items of one score share the best of their ranks."""
    reasons: tuple[Reason, ...] = ()
    """What each interest gives or takes, by size, the heaviest `mekb.explain.MAX_INTERESTS` of them tried."""
    interests: tuple[tuple[str, float], ...] = ()
    """(title, weight) by falling weight."""
    fallback: str | None = None
    """"popularity" when there was no interest to go by: the score is then the number of training users."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What may be recommended; by default whatever the user has not seen."""

    blocked: frozenset[str] = frozenset()
    """External ids of items never to be shown."""
    categories: frozenset[str] = frozenset()
    """An item must be in one of these, or of a brand so called, whatever the case; none means all items."""
    seen: bool = False
    """Whether items of the history, and those that are interests themselves, may be shown again."""


ANYTHING_NEW = Wanted()
_MOST_COMPARED = 20_000
"""Item ids among which one like an unknown one is looked for."""


def answer(
    bundle: Bundle,
    given: Given,
    *,
    k: int = 10,
    explain: bool = True,
    wanted: Wanted = ANYTHING_NEW,
    encoding: Encode | None = None,
) -> Answer:
    """Recommend items of the target domain to one user.

    Args:
        bundle: What to ask.
        given: The user's MeKB, and what they know already; no interest falls back to popularity, and says so.
        k: How many items; more than there are gives all.
        explain: Work out the reasons too.
        wanted: What may be recommended.
        encoding: Who encodes profiles, where that is not done at once and alone (`mekb.serve`).

    Raises:
        UnknownError: a blocked item or a category is not in the bundle.
    """
    left_out = _left_out(bundle, given, wanted)
    interests = titled(bundle, given.weights)
    if not interests:
        return Answer(_popular(bundle, k, left_out), (), fallback="popularity", notes=given.notes)
    encoded = encoding or partial(encode, bundle)
    picked = _nearest(bundle, encoded(given.weights), k, left_out)
    reasons = reasons_of(bundle, given, [row for row, _ in picked], encoded) if explain else {}
    recommendations = tuple(
        _recommendation(bundle, rank, row, score, reasons.get(row, ()))
        for rank, (row, score) in enumerate(picked, start=1)
    )
    return Answer(recommendations, interests, notes=given.notes)


def explain_item(
    bundle: Bundle, given: Given, item: str, *, encoding: Encode | None = None
) -> Explanation:
    """Say what each interest gives to one item of the target domain, whether it is recommended or not.

    Args:
        bundle: What to ask.
        given: The user's MeKB, and what they know already.
        item: External id.
        encoding: As of `answer`.

    Raises:
        UnknownError: the target has no such item.
    """
    items = bundle.items[bundle.target]
    row = items.row_of.get(item)
    if row is None:
        raise UnknownError(f"no item '{item}' in '{bundle.target}'{_similar(item, items.names)}")
    about = (item, items.titles[row], row in _seen(bundle, given), len(items.names))
    if not given.weights.nnz:
        counts = items.n_users
        rank = int(np.count_nonzero(counts > counts[row])) + 1
        return Explanation(
            *about, float(counts[row]), rank, fallback="popularity", notes=given.notes
        )
    encoded = encoding or partial(encode, bundle)
    scores = (encoded(given.weights) @ bundle.item_vectors.T)[0]
    tried, shares = item_shares(bundle, given, [row], encoded)
    order = np.argsort(-np.abs(shares[:, 0]), kind="stable")
    places = evidence_behind(bundle, given, tried.tolist())
    return Explanation(
        *about,
        score=float(scores[row]),
        rank=int(np.count_nonzero(scores > scores[row])) + 1,
        reasons=tuple(
            reason(bundle, given, (int(tried[i]), float(shares[i, 0])), places[int(tried[i])])
            for i in order
        ),
        interests=titled(bundle, given.weights),
        notes=given.notes,
    )


def _similar(item: str, names: Sequence[str]) -> str:
    near = get_close_matches(item, names[:_MOST_COMPARED], 3)
    return f"; did you mean {', '.join(near)}?" if near else ""


def _seen(bundle: Bundle, given: Given) -> set[int]:
    """Return the rows of the target items that the user knows already."""
    item_of = bundle.item_of_product
    named = {item_of[entity] for entity in given.weights.indices.tolist() if entity in item_of}
    if bundle.target in given.history:
        named |= set(given.history[bundle.target].indices.tolist())
    return named


def _left_out(bundle: Bundle, given: Given, wanted: Wanted) -> npt.NDArray[np.int64]:
    """Return the rows of target items that may not be shown, rising."""
    items = bundle.items[bundle.target]
    if unknown := sorted(wanted.blocked - items.row_of.keys()):
        raise UnknownError(f"no item '{unknown[0]}' in '{bundle.target}' to block")
    is_out = np.zeros(len(items.names), dtype=bool)
    if wanted.categories:
        is_out[:] = True
        is_out[_rows_in(bundle, wanted.categories)] = False
    is_out[[items.row_of[name] for name in wanted.blocked]] = True
    if not wanted.seen:
        is_out[list(_seen(bundle, given))] = True
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


def titled(bundle: Bundle, weights: csr_array) -> tuple[tuple[str, float], ...]:
    """Return (title, weight) of one user's interests by falling weight, ties by entity row."""
    titles = bundle.profiles.entities.titles
    order = np.lexsort((weights.indices, -weights.data))
    return tuple((titles[weights.indices[i]], float(weights.data[i])) for i in order)


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
