"""Answers from a finished alias table: candidates of a surface, link probability, matches in text.

    P(e | surface) by exact key, else by folded key; best first, ties by the smaller entity id

A folded key stands for all spellings that fold to it: P(e | key) is the mean of P(e | spelling), each
spelling weighted by how often it was seen (one that no channel counted weighs as one seen once). Unknown
surfaces have no candidates and no probability. Whatever is asked of many surfaces or texts at once is
answered by arrays (`top_many`, `matches_many`), many times faster than one by one.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from alias_tables.answers import NO_ENTITY, Candidate, Match, Matches
from alias_tables.arrays import Arrays, Labels, arrays_from_tables
from alias_tables.hashing import slice_hash
from alias_tables.mapped import open_arrays, save_arrays
from alias_tables.matching import find_all, number_of, numbers_of
from alias_tables.strings import Strings
from alias_tables.surface import exact_key, folded_key
from alias_tables.titles import clean_title, raise_first_letter

__all__ = ["NO_ENTITY", "AliasIndex", "Candidate", "Match", "Matches"]


class AliasIndex:
    """An alias table in memory, or mapped from a folder; safe to share between threads."""

    def __init__(self, arrays: Arrays, labels: Labels, stamp: str = "") -> None:
        self.stamp = stamp
        """What a saved index says it was made from; empty in memory."""
        self._arrays = arrays
        self._labels = labels
        self._dictionary = arrays.dictionary(labels)
        self._hash = slice_hash(labels.seed, 0)
        self._titles = Strings(arrays.title_offsets, arrays.title_bytes)
        self._title_table = arrays.titles()
        self._surfaces = Strings(arrays.surface_offsets, arrays.surface_bytes)
        self._descriptions = Strings(arrays.description_offsets, arrays.description_bytes)
        self._tags: dict[int, tuple[str, ...]] = {}

    @classmethod
    def from_tables(cls, entities: pa.Table, aliases: pa.Table) -> "AliasIndex":
        """Return the index of two Arrow tables that keep `schema.ENTITIES` and `schema.ALIASES`.

        Raises:
            TableError: the aliases name an entity that is not in `entities`.
        """
        return cls(*arrays_from_tables(entities, aliases))

    @classmethod
    def open(
        cls, folder: Path, *, verify: bool = False, expect_stamp: str | None = None
    ) -> "AliasIndex":
        """Map a saved index; nothing is read until it is asked for.

        Args:
            folder: What `save` wrote.
            verify: Also check the hash of each file, which reads them all.
            expect_stamp: Refuse an index that was saved with another stamp.

        Raises:
            TableError: the folder holds no complete, unaltered index of this version and stamp.
        """
        return cls(*open_arrays(folder, verify=verify, expect_stamp=expect_stamp))

    def save(self, folder: Path, stamp: str = "") -> None:
        """Write the index into a new or empty folder.

        Args:
            folder: Where it goes.
            stamp: Any text that says what it was made from; `open` compares it.

        Raises:
            TableError: the folder holds something already.
        """
        save_arrays(folder, self._arrays, self._labels, stamp)

    def __len__(self) -> int:
        """Return the number of surfaces."""
        return len(self._surfaces)

    @property
    def n_entities(self) -> int:
        """Number of entities."""
        return len(self._arrays.entity_ids)

    def candidates(self, surface: str, limit: int | None = None) -> list[Candidate]:
        """Return what a surface may mean, best first; an unknown surface gives an empty list."""
        arrays = self._arrays
        key = self._exact_number(exact_key(surface))
        exact = key >= 0
        if exact:
            offsets, rows, priors = arrays.exact_offsets, arrays.exact_rows, arrays.exact_priors
        else:
            key = self._folded_number(folded_key(surface))
            offsets, rows, priors = arrays.folded_offsets, arrays.folded_rows, arrays.folded_priors
        if key < 0:
            return []
        start, stop = offsets[key : key + 2].tolist()
        if limit is not None:
            stop = min(stop, start + limit)
        return self._candidates_of(rows[start:stop], priors[start:stop], exact=exact)

    def candidates_many(
        self, surfaces: Sequence[str], limit: int | None = None
    ) -> list[list[Candidate]]:
        """Return `candidates(surface, limit)` of each surface, for many at once."""
        arrays = self._arrays
        exact, folded = self._numbers(surfaces)
        lists: list[list[Candidate]] = [[] for _ in surfaces]
        for numbers, offsets, rows, priors, is_exact in (
            (exact, arrays.exact_offsets, arrays.exact_rows, arrays.exact_priors, True),
            (folded, arrays.folded_offsets, arrays.folded_rows, arrays.folded_priors, False),
        ):
            known = np.flatnonzero(numbers >= 0)
            starts = offsets[numbers[known]]
            counts = offsets[numbers[known] + 1] - starts
            if limit is not None:
                counts = np.minimum(counts, limit)
            ends = np.cumsum(counts)
            flat = np.repeat(starts - ends + counts, counts) + np.arange(
                ends[-1] if len(ends) else 0
            )
            found = self._candidates_of(rows[flat], priors[flat], exact=is_exact)
            first = 0
            for number, last in zip(known.tolist(), ends.tolist(), strict=True):
                lists[number] = found[first:last]
                first = last
        return lists

    def _candidates_of(
        self, rows: npt.NDArray[np.uint32], priors: npt.NDArray[np.float32], *, exact: bool
    ) -> list[Candidate]:
        """The candidates of some entity rows."""
        arrays = self._arrays
        return [
            Candidate(entity, self._titles[row], prior, exact, self._row_types(mask), year or None)
            for entity, row, prior, mask, year in zip(
                arrays.entity_ids[rows].tolist(),
                rows.tolist(),
                priors.tolist(),
                arrays.type_masks[rows].tolist(),
                arrays.years[rows].tolist(),
                strict=True,
            )
        ]

    def top_many(
        self, surfaces: Sequence[str]
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
        """Return the best entity of each surface and its prior; `NO_ENTITY` and NaN where unknown.

        The same answer as `candidates(surface, 1)` for each, for many surfaces at once.
        """
        arrays = self._arrays
        exact, folded = self._numbers(surfaces)
        ids = np.full(len(surfaces), NO_ENTITY, np.uint32)
        best = np.full(len(surfaces), np.nan, np.float32)
        for keys, offsets, rows, priors in (
            (exact, arrays.exact_offsets, arrays.exact_rows, arrays.exact_priors),
            (folded, arrays.folded_offsets, arrays.folded_rows, arrays.folded_priors),
        ):
            known = np.flatnonzero(keys >= 0)
            first = offsets[keys[known]]
            ids[known], best[known] = arrays.entity_ids[rows[first]], priors[first]
        return ids, best

    def _numbers(
        self, surfaces: Sequence[str]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The exact key of each surface, and for those without one the folded key; -1 for none."""
        tables, seed = self._dictionary, self._labels.seed
        exact = numbers_of(tables.exact, seed, list(map(exact_key, surfaces)))
        missing = np.flatnonzero(exact < 0)
        folded = np.full(len(surfaces), -1, np.int64)
        keys = [folded_key(surfaces[row]) for row in missing.tolist()]
        folded[missing] = self.folded_numbers(keys)
        return exact, folded

    def link_prob(self, surface: str) -> float | None:
        """Return the link probability of a surface; None if it is unknown or was never counted."""
        key = self._exact_number(exact_key(surface))
        if key < 0:
            folded = self._folded_number(folded_key(surface))
            if folded < 0:
                return None
            key = int(self._arrays.folded_surfaces[folded])
        value = float(self._arrays.link_probs[key])
        return None if np.isnan(value) else value

    def matches(self, text: str) -> list[Match]:
        """Return the longest known surface from each token start, in order; matches may overlap.

        Both ends lie on token boundaries (`surface.tokens`). The caller chooses among overlapping
        matches, and by `link_prob` whether "the" or "her" is a name at all.
        """
        return [match for _, match in self.matches_many([text]).rows()]

    def matches_many(self, texts: Sequence[str]) -> Matches:
        """Return the matches of many texts, each as `matches` finds them."""
        arrays = self._arrays
        found = find_all(self._dictionary, texts)
        exact = found.exact >= 0
        surfaces = np.where(exact, found.exact, arrays.folded_surfaces[found.folded])
        rows = np.flatnonzero(exact)
        priors = arrays.folded_priors[arrays.folded_offsets[found.folded]]
        priors[rows] = arrays.exact_priors[arrays.exact_offsets[found.exact[rows]]]
        return Matches(
            texts=found.texts,
            starts=found.starts,
            stops=found.stops,
            surfaces=surfaces,
            folded=found.folded,
            link_probs=arrays.link_probs[surfaces],
            priors=priors,
            exact=exact,
            names=self._surfaces,
        )

    def folded_numbers(self, keys: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the number of each folded key, -1 where no surface folds to it."""
        return numbers_of(self._dictionary.folded, self._labels.seed, keys)

    def _exact_number(self, key: str) -> int:
        """The number of an exact key, -1 if it is unknown; the string itself is compared."""
        number = self._dictionary.exact.rank(self._hash.string(key))
        return number if number >= 0 and self._surfaces[number] == key else -1

    def _folded_number(self, key: str) -> int:
        return number_of(self._dictionary.folded, self._labels.seed, key)

    def title(self, entity_id: int) -> str | None:
        """Return the title of an entity; None if it is not in the table."""
        row = self._row(entity_id)
        return None if row is None else self._titles[row]

    def types(self, entity_id: int) -> tuple[str, ...]:
        """Return the tags of an entity, sorted; none if it has none or is not in the table."""
        row = self._row(entity_id)
        return () if row is None else self._row_types(int(self._arrays.type_masks[row]))

    def year(self, entity_id: int) -> int | None:
        """Return the year of an entity; None if it is unknown or the entity is not in the table."""
        row = self._row(entity_id)
        return None if row is None else int(self._arrays.years[row]) or None

    def description(self, entity_id: int) -> str | None:
        """Return the description of an entity; None if it has none or is not in the table."""
        row = self._row(entity_id)
        return None if row is None else self._descriptions[row] or None

    def entity(self, name: str) -> int | None:
        """Return the entity of a title or of a QID ("Q42"); None if it is not in the table.

        A title is taken as MediaWiki takes it: underscores are spaces, the first letter may be small.
        """
        title = clean_title(name)
        for spelling in (title, raise_first_letter(title)):
            rank = self._title_table.rank(self._hash.string(spelling))
            row = int(self._arrays.title_rows[rank]) if rank >= 0 else -1
            if row >= 0 and self._titles[row] == spelling:
                return int(self._arrays.entity_ids[row])
        number = title[1:]
        if title[:1] in {"Q", "q"} and number.isascii() and number.isdigit():
            return None if self._row(int(number)) is None else int(number)
        return None

    def _row(self, entity_id: int) -> int | None:
        ids = self._arrays.entity_ids
        row = int(np.searchsorted(ids, entity_id))
        return row if row < len(ids) and int(ids[row]) == entity_id else None

    def _row_types(self, mask: int) -> tuple[str, ...]:
        """The tags of a bit mask; each mask is spelled out once."""
        tags = self._tags.get(mask)
        if tags is None:
            names = enumerate(self._labels.types)
            tags = self._tags[mask] = tuple(name for bit, name in names if mask >> bit & 1)
        return tags
