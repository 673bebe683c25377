"""Entities and items by the beginning of their title, whatever case and accents it has; the widely liked first."""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from alias_tables.surface import folded_key
from mekb.bundle import Bundle

_LAST = "\U0010ffff"


class Beginnings:
    """Titles in the order of their folded keys; safe to share between threads."""

    def __init__(self, titles: Sequence[str], n_users: npt.NDArray[np.int64]) -> None:
        folded = [folded_key(title) for title in titles]
        self._order = sorted(range(len(folded)), key=folded.__getitem__)
        self._keys = [folded[row] for row in self._order]
        self._n_users = n_users

    def rows(self, beginning: str) -> list[int]:
        """Return the rows of titles that begin so, by falling number of users, ties by title."""
        key = folded_key(beginning)
        if not key:
            return []
        first, last = bisect_left(self._keys, key), bisect_left(self._keys, key + _LAST)
        rows = np.array(self._order[first:last], dtype=np.int64)
        found: list[int] = rows[np.argsort(-self._n_users[rows], kind="stable")].tolist()
        return found


class ItemSearch:
    """The items of a bundle's domains by their title."""

    def __init__(self, bundle: Bundle) -> None:
        self._places = [
            (domain, row)
            for domain, items in bundle.items.items()
            for row in range(len(items.names))
        ]
        tables = bundle.items.values()
        self._beginnings = Beginnings(
            [title for items in tables for title in items.titles],
            np.concatenate([items.n_users for items in tables]),
        )

    def starting_with(self, beginning: str, limit: int) -> tuple[list[tuple[str, int]], bool]:
        """Return (domain, row) of items whose title begins so, and whether there are more."""
        found = self._beginnings.rows(beginning)
        return [self._places[row] for row in found[:limit]], len(found) > limit


class TitleSearch:
    """The entities of a bundle by their title."""

    def __init__(self, bundle: Bundle) -> None:
        entities = bundle.profiles.entities
        self._beginnings = Beginnings(entities.titles, entities.n_users)
        self._bundle = bundle

    def starting_with(self, beginning: str, limit: int) -> tuple[list[int], bool]:
        """Return entity rows whose title begins so, and whether there are more.

        What is called exactly so comes first, by any name the alias dictionary knows; then by falling number of
        users, ties by title.

        Args:
            beginning: As a person types it.
            limit: How many.
        """
        if not folded_key(beginning):
            return [], False
        found = list(dict.fromkeys([*self._called(beginning), *self._beginnings.rows(beginning)]))
        return found[:limit], len(found) > limit

    def _called(self, name: str) -> list[int]:
        """Return the entities of a name, those entitled so first."""
        row_of = self._bundle.profiles.entities.row_of
        exact = self._bundle.aliases.entity(name)
        ids = [candidate.entity_id for candidate in self._bundle.aliases.candidates(name)]
        return [row_of[one] for one in ([] if exact is None else [exact]) + ids if one in row_of]
