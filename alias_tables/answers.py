"""What an alias index answers: candidates of a surface, and matches in text as rows or as arrays."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alias_tables.strings import Strings

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


@dataclass(frozen=True, slots=True)
class Matches:
    """The matches in many texts, ordered by text and start: one array a column.

    `rows` makes `Match` objects of some of them; a caller that drops most by their numbers first saves that.
    """

    texts: npt.NDArray[np.int64]
    """Number of the text."""
    starts: npt.NDArray[np.int64]
    """In code points of the original text."""
    stops: npt.NDArray[np.int64]
    surfaces: npt.NDArray[np.int64]
    """Number of the surface of the table."""
    folded: npt.NDArray[np.int64]
    """Number of the folded key (`AliasIndex.folded_numbers`)."""
    link_probs: npt.NDArray[np.float32]
    """NaN where it was not counted."""
    priors: npt.NDArray[np.float32]
    exact: npt.NDArray[np.bool_]
    names: Strings
    """The surfaces, by number."""

    def __len__(self) -> int:
        return len(self.texts)

    def rows(
        self, which: npt.NDArray[np.intp] | slice = slice(None)
    ) -> Iterator[tuple[int, Match]]:
        """Yield the number of the text and the match, for all or some of them."""
        names = self.names
        for text, start, stop, number, link_prob, prior, exact in zip(
            self.texts[which].tolist(),
            self.starts[which].tolist(),
            self.stops[which].tolist(),
            self.surfaces[which].tolist(),
            self.link_probs[which].tolist(),
            self.priors[which].tolist(),
            self.exact[which].tolist(),
            strict=True,
        ):
            counted = None if link_prob != link_prob else link_prob  # noqa: PLR0124  NaN alone differs from itself
            yield text, Match(start, stop, names[number], counted, prior, exact)
