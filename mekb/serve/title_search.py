"""Entities by the beginning of their title, whatever case and accents it is written in; the widely liked first."""

from bisect import bisect_left

import numpy as np

from alias_tables.surface import folded_key
from mekb.bundle import Bundle

_LAST = "\U0010ffff"


class TitleSearch:
    """The titles of a bundle's entities in the order of their folded keys; safe to share between threads."""

    def __init__(self, bundle: Bundle) -> None:
        entities = bundle.profiles.entities
        folded = [folded_key(title) for title in entities.titles]
        self._order = sorted(range(len(folded)), key=folded.__getitem__)
        self._keys = [folded[row] for row in self._order]
        self._n_users = entities.n_users
        self._bundle = bundle

    def starting_with(self, beginning: str, limit: int) -> tuple[list[int], bool]:
        """Return entity rows whose title begins so, and whether there are more.

        What is called exactly so comes first, by any name the alias dictionary knows; then by falling number of
        users, ties by title.

        Args:
            beginning: As a person types it.
            limit: How many.
        """
        key = folded_key(beginning)
        if not key:
            return [], False
        first, last = bisect_left(self._keys, key), bisect_left(self._keys, key + _LAST)
        rows = np.array(self._order[first:last], dtype=np.int64)
        by_users = rows[np.argsort(-self._n_users[rows], kind="stable")].tolist()
        found = list(dict.fromkeys([*self._called(beginning), *by_users]))
        return found[:limit], len(found) > limit

    def _called(self, name: str) -> list[int]:
        """Return the entities of a name, those entitled so first."""
        row_of = self._bundle.profiles.entities.row_of
        exact = self._bundle.aliases.entity(name)
        ids = [candidate.entity_id for candidate in self._bundle.aliases.candidates(name)]
        return [row_of[one] for one in ([] if exact is None else [exact]) + ids if one in row_of]
