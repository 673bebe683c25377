"""Answers from a finished alias table: candidates of a surface, link probability, matches in text.

    P(e | surface) by exact key, else by folded key; best first, ties by the smaller entity id

A folded key stands for all spellings that fold to it: P(e | key) is the mean of P(e | spelling), each
spelling weighted by how often it was seen. Unknown surfaces have no candidates and no probability.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from alias_tables.arrays import Arrays, Tries, arrays_from_tables, open_arrays, save_arrays
from alias_tables.strings import Strings
from alias_tables.surface import (
    FoldedText,
    exact_key,
    fold_text,
    folded_key,
    skip_ignored,
    tokens,
)
from alias_tables.titles import clean_title, raise_first_letter

NO_ENTITY = 0
"""Entity id that no entity has: what `top_many` gives for an unknown surface."""


class Candidate(NamedTuple):
    """One entity a surface may mean."""

    entity_id: int
    title: str
    prior: float
    exact: bool
    """Found under the exact key; False: under the folded one."""
    types: tuple[str, ...] = ()
    """Tags of the entity (`schema.ENTITY_TYPES`), sorted."""
    year: int | None = None
    """Year of first publication or release; None where unknown."""


class Match(NamedTuple):
    """A known surface in running text: `text[start:stop]`, in code points of the original."""

    start: int
    stop: int
    surface: str
    """The surface of the table; where only the folded key fits, its most frequent spelling."""
    link_prob: float | None
    prior: float
    """Of the best candidate."""
    exact: bool


class AliasIndex:
    """An alias table in memory, or mapped from a folder; safe to share between threads."""

    def __init__(self, arrays: Arrays, tries: Tries) -> None:
        self._arrays = arrays
        self._tries = tries
        self._descriptions = Strings(arrays.description_offsets, arrays.description_bytes)
        self._longest = max((len(key) for key in tries.folded), default=0)

    @classmethod
    def from_tables(cls, entities: pa.Table, aliases: pa.Table) -> "AliasIndex":
        """Return the index of two Arrow tables that keep `schema.ENTITIES` and `schema.ALIASES`.

        Raises:
            TableError: the aliases name an entity that is not in `entities`.
        """
        return cls(*arrays_from_tables(entities, aliases))

    @classmethod
    def open(cls, folder: Path, *, verify: bool = False) -> "AliasIndex":
        """Map a saved index; `verify` also checks the hash of each file.

        Raises:
            TableError: the folder holds no complete, unaltered index of this version.
        """
        return cls(*open_arrays(folder, verify=verify))

    def save(self, folder: Path) -> None:
        """Write the index into a new or empty folder.

        Raises:
            TableError: the folder holds something already.
        """
        save_arrays(folder, self._arrays, self._tries)

    def __len__(self) -> int:
        """Return the number of surfaces."""
        return len(self._tries.exact)

    @property
    def n_entities(self) -> int:
        """Number of entities."""
        return len(self._arrays.entity_ids)

    def candidates(self, surface: str, limit: int | None = None) -> list[Candidate]:
        """Return what a surface may mean, best first; an unknown surface gives an empty list."""
        arrays = self._arrays
        key = self._tries.exact.get(exact_key(surface))
        exact = key is not None
        if exact:
            offsets, rows, priors = arrays.exact_offsets, arrays.exact_rows, arrays.exact_priors
        else:
            key = self._tries.folded.get(folded_key(surface))
            offsets, rows, priors = arrays.folded_offsets, arrays.folded_rows, arrays.folded_priors
        if key is None:
            return []
        start, stop = int(offsets[key]), int(offsets[key + 1])
        if limit is not None:
            stop = min(stop, start + limit)
        return [
            Candidate(
                int(arrays.entity_ids[row]),
                self._row_title(row),
                prior,
                exact,
                self._row_types(row),
                self._row_year(row),
            )
            for row, prior in zip(
                rows[start:stop].tolist(), priors[start:stop].tolist(), strict=True
            )
        ]

    def top_many(
        self, surfaces: Sequence[str]
    ) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
        """Return the best entity of each surface and its prior; `NO_ENTITY` and NaN where unknown.

        The same answer as `candidates(surface, 1)` for each, for many surfaces at once.
        """
        arrays, exact, folded = self._arrays, self._tries.exact.get, self._tries.folded.get
        exact_keys = np.fromiter(
            (exact(exact_key(s), -1) for s in surfaces), np.int64, len(surfaces)
        )
        missing = np.flatnonzero(exact_keys < 0).tolist()
        folded_keys = np.full(len(surfaces), -1, np.int64)
        folded_keys[missing] = [folded(folded_key(surfaces[i]), -1) for i in missing]
        ids = np.full(len(surfaces), NO_ENTITY, np.uint32)
        best = np.full(len(surfaces), np.nan, np.float32)
        for keys, offsets, rows, priors in (
            (exact_keys, arrays.exact_offsets, arrays.exact_rows, arrays.exact_priors),
            (folded_keys, arrays.folded_offsets, arrays.folded_rows, arrays.folded_priors),
        ):
            known = np.flatnonzero(keys >= 0)
            first = offsets[keys[known]]
            ids[known], best[known] = arrays.entity_ids[rows[first]], priors[first]
        return ids, best

    def link_prob(self, surface: str) -> float | None:
        """Return the link probability of a surface; None if it is unknown or was never counted."""
        key = self._tries.exact.get(exact_key(surface))
        if key is None:
            folded = self._tries.folded.get(folded_key(surface))
            key = None if folded is None else int(self._arrays.folded_surfaces[folded])
        return None if key is None else self._key_link_prob(key)

    def matches(self, text: str) -> list[Match]:
        """Return the longest known surface from each token start, in order; matches may overlap.

        Both ends lie on token boundaries (`surface.tokens`). The caller chooses among overlapping
        matches, and by `link_prob` whether "the" or "her" is a name at all.
        """
        folded = fold_text(text)
        spans = tokens(text)
        stops = {stop for _, stop in spans}
        spans = [span for span in spans if skip_ignored(text, span[0]) == span[0]]
        positions = _folded_starts(folded, [start for start, _ in spans])
        prefixes, longest = self._tries.folded.iter_prefixes_with_ids, self._longest
        found: list[Match] = []
        for (start, _), position in zip(spans, positions, strict=True):
            best: tuple[int, int] | None = None
            for key, number in prefixes(folded.text[position : position + longest]):
                if key:
                    stop = folded.original_span(position, position + len(key))[1]
                    stop = skip_ignored(text, stop)
                    best = (stop, number) if stop in stops else best
            if best is not None:
                found.append(self._match(text, start, *best))
        return found

    def _match(self, text: str, start: int, stop: int, folded: int) -> Match:
        arrays = self._arrays
        key = self._tries.exact.get(exact_key(text[start:stop]))
        exact = key is not None
        if key is None:
            key = int(arrays.folded_surfaces[folded])
            prior = float(arrays.folded_priors[arrays.folded_offsets[folded]])
        else:
            prior = float(arrays.exact_priors[arrays.exact_offsets[key]])
        surface = self._tries.exact.restore_key(key)
        return Match(start, stop, surface, self._key_link_prob(key), prior, exact)

    def _key_link_prob(self, key: int) -> float | None:
        value = float(self._arrays.link_probs[key])
        return None if np.isnan(value) else value

    def title(self, entity_id: int) -> str | None:
        """Return the title of an entity; None if it is not in the table."""
        row = self._row(entity_id)
        return None if row is None else self._row_title(row)

    def types(self, entity_id: int) -> tuple[str, ...]:
        """Return the tags of an entity, sorted; none if it has none or is not in the table."""
        row = self._row(entity_id)
        return () if row is None else self._row_types(row)

    def year(self, entity_id: int) -> int | None:
        """Return the year of an entity; None if it is unknown or the entity is not in the table."""
        row = self._row(entity_id)
        return None if row is None else self._row_year(row)

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
            key = self._tries.titles.get(spelling)
            if key is not None:
                return int(self._arrays.entity_ids[self._arrays.title_rows[key]])
        number = title[1:]
        if title[:1] in {"Q", "q"} and number.isascii() and number.isdigit():
            return None if self._row(int(number)) is None else int(number)
        return None

    def _row(self, entity_id: int) -> int | None:
        ids = self._arrays.entity_ids
        row = int(np.searchsorted(ids, entity_id))
        return row if row < len(ids) and int(ids[row]) == entity_id else None

    def _row_types(self, row: int) -> tuple[str, ...]:
        mask = int(self._arrays.type_masks[row])
        return tuple(name for bit, name in enumerate(self._arrays.type_names) if mask >> bit & 1)

    def _row_year(self, row: int) -> int | None:
        return int(self._arrays.years[row]) or None

    def _row_title(self, row: int) -> str:
        title: str = self._tries.titles.restore_key(int(self._arrays.title_keys[row]))
        return title


def _folded_starts(folded: FoldedText, starts: list[int]) -> list[int]:
    """Return where each original token start lies in the folded text."""
    if folded.starts is None:
        return starts
    positions: list[int] = np.searchsorted(folded.starts, np.asarray(starts, int)).tolist()
    return positions
