"""From the candidates of a mention to one entity, or to none (NIL).

The rule of paper 002 (section 3.1.2) is AT@1: of the candidates that the alias table holds for a surface
m, take the entity e with the highest prior P(e|m) = freq(m, e) / freq(m) (eq. 3). `MostLikely` is that rule
with a threshold below which nobody is meant.

AT@1 is near perfect for names with one bearer and fails where the popular sense is not meant, as in a
film named after something else. A title on a shelf often carries a hint: `TitleHints` weighs candidates of
a *whole title* by what stands in the final bracket of their own titles ("Heat (1995 film)"), so that the
year set aside from "Heat (1995)" finds the film.

A chooser is any object with `choose` (`Chooser`): one that knows entity types or reads the context takes the
same `Query` and replaces these two in `Linker`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from alias_tables.lookup import Candidate
from entity_linking.config import reaches

YEAR_WEIGHT: Final = 100.0
"""Factor on P(e|m) when the candidate's bracket holds the year of the title, and its inverse when another
year stands there. Ours: on 1,665 MovieLens titles, against a table of page titles alone, every weight from
3 to 1,000 lifts the share of right whole titles from .775 to .808; a real table has steeper priors, and a
year is right or wrong unless these differ a hundredfold."""

KIND_WEIGHT: Final = 10.0
"""Factor on P(e|m) when the bracket holds a wanted word ("film"). Ours, from the same run: any weight from 3
on lifts 5,842 book titles with "novel" and "book" from .708 to .755 (.757 is the ceiling) and costs films
.002. Weaker than a year, because a title without a bracket ("The Godfather") is often itself the film."""

_FINAL_BRACKET = re.compile(r"\S\s*\(([^()]{1,80})\)$")
_WORD = re.compile(r"\w+")
_YEAR = re.compile(r"(?:18|19|20)[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Query:
    """One mention to disambiguate.

    Attributes:
        key: The cleaned string that was looked up.
        text: The cleaned text it stands in, for choosers that read the context.
        label: The label the NER gave it, None from other detectors.
        whole_title: Whether the mention is the title of an item as a whole.
        year: The year set aside from that title.
    """

    key: str
    text: str
    label: str | None = None
    whole_title: bool = False
    year: int | None = None


class Chooser(Protocol):
    """What takes one of the candidates, or none."""

    def choose(self, query: Query, candidates: Sequence[Candidate]) -> Candidate | None:
        """Return the candidate meant by `query`, None for NIL.

        Args:
            query: The mention.
            candidates: Its candidates, most likely first; may be empty.
        """
        ...


class MostLikely:
    """AT@1: the candidate with the highest P(e|m), or NIL where that is below `min_prior`.

    Ties go to the smaller entity id, for in that order the index hands out candidates.
    """

    def __init__(self, min_prior: float = 0.0) -> None:
        self._min_prior = min_prior

    def choose(self, query: Query, candidates: Sequence[Candidate]) -> Candidate | None:  # noqa: ARG002  the Chooser contract
        """Return the first candidate if it is likely enough."""
        if candidates and reaches(candidates[0].prior, self._min_prior):
            return candidates[0]
        return None


class TitleHints:
    """Weighs the candidates of a whole title by year and kind; other mentions are AT@1's.

    The candidate with the highest `prior * weight` is taken, the first of equals. A candidate that a hint
    speaks for needs no `min_prior`: the hint is the evidence.
    """

    def __init__(self, min_prior: float = 0.0, kinds: Sequence[str] = ()) -> None:
        self._most_likely = MostLikely(min_prior)
        self._kinds = frozenset(kind.lower() for kind in kinds)

    def choose(self, query: Query, candidates: Sequence[Candidate]) -> Candidate | None:
        """Return the candidate that prior and hints together make most likely."""
        if not query.whole_title or (query.year is None and not self._kinds):
            return self._most_likely.choose(query, candidates)
        weights = [self.weight(query.year, candidate.title) for candidate in candidates]
        order = sorted(
            range(len(candidates)),
            key=lambda row: (-candidates[row].prior * weights[row], row),
        )
        if not order:
            return None
        best = order[0]
        if weights[best] > 1.0:
            return candidates[best]
        return self._most_likely.choose(query, [candidates[best]])

    def weight(self, year: int | None, title: str) -> float:
        """Return the factor that year and kinds put on a candidate of this title.

        >>> TitleHints(kinds=["film"]).weight(1995, "Heat (1995 film)")
        1000.0
        """
        bracket = _FINAL_BRACKET.search(title)
        words = frozenset(_WORD.findall(bracket[1].lower())) if bracket is not None else frozenset()
        weight = KIND_WEIGHT if words & self._kinds else 1.0
        if year is not None and any(_YEAR.fullmatch(word) for word in words):
            weight *= YEAR_WEIGHT if str(year) in words else 1.0 / YEAR_WEIGHT
        return weight
