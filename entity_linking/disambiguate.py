"""From the candidates of a mention to one entity, or to none (NIL): the contract, and AT@1.

The rule of paper 002 (section 3.1.2) is AT@1: of the candidates that the alias table holds for a surface
m, take the entity e with the highest prior P(e|m) = freq(m, e) / freq(m) (eq. 3). `MostLikely` is that rule
with a threshold below which nobody is meant. AT@1 is near perfect for names with one bearer and fails where
the popular sense is not meant, as in a film named after something else: `typed` and `context` weigh more.

A chooser is any object with `choose_many` (`Chooser`). It sees many mentions at once, so that one that reads
the context can encode them together; what it says of a mention must not depend on the others.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol

from alias_tables.lookup import Candidate
from entity_linking.config import reaches

Reason = Literal[
    "only_candidate", "highest_prior", "type", "year", "type_and_year", "context", "nil"
]
"""Why an entity was taken: nobody else bears the name, the highest prior, or the evidence that outweighed it."""


class Query(NamedTuple):
    """One mention to disambiguate."""

    key: str
    """The cleaned string that was looked up."""
    text: str
    """The original text it stands in, at `text[start:stop]`."""
    start: int = 0
    stop: int = 0
    label: str | None = None
    """The label the NER gave it, None from other detectors."""
    whole_title: bool = False
    """Whether the mention is the title of an item as a whole."""
    year: int | None = None
    """The year set aside from the title it stands in."""
    domain: str | None = None
    """The domain of the item ("films"), None if unknown."""
    context: str | None = None
    """What else is written about the item: its text for a title, its title for a text."""


class Choice(NamedTuple):
    """What a chooser says of one mention."""

    row: int | None
    """The place of the chosen one among the candidates, None for NIL."""
    reason: Reason
    scores: Sequence[float] | None = None
    """What was compared, in (0, 1], one for each candidate; None: their priors."""


class Chooser(Protocol):
    """What takes one of the candidates of each mention, or none."""

    def choose_many(
        self, queries: Sequence[Query], candidates: Sequence[Sequence[Candidate]]
    ) -> list[Choice]:
        """Return the choice for each query.

        Args:
            queries: The mentions.
            candidates: For each mention its candidates, most likely first; never empty.
        """
        ...


NIL_ODDS: Final = 0.06
"""How often the right entity of a name is not among its candidates, over how often it is: 0.056 of the book and
film titles of `benchmarks/title_linking.py --fit`."""

NIL = Choice(None, "nil")
ONLY = Choice(0, "only_candidate")
FIRST = Choice(0, "highest_prior")


def posterior(priors: Sequence[float], factors: Sequence[float]) -> list[float]:
    """Return how likely each candidate is after evidence, between 0 and 1.

    Each factor is a likelihood ratio: how much more often the right candidate looks like this one than a
    wrong one does. Against the candidates stand those the table no longer holds (the missing mass of the
    priors) and nobody at all (`NIL_ODDS`), for whom no evidence speaks:

        p_i f_i / (sum_j p_j f_j + (1 - sum_j p_j) + NIL_ODDS)

    >>> posterior([0.6, 0.4], [1.0, 1.0])
    [0.5660377358490566, 0.37735849056603776]
    """
    odds = [prior * factor for prior, factor in zip(priors, factors, strict=True)]
    total = sum(odds) + max(0.0, 1.0 - sum(priors)) + NIL_ODDS
    return [one / total for one in odds]


def first_best(scores: Sequence[float]) -> int:
    """Return the row of the highest score, the first of equals."""
    return max(range(len(scores)), key=scores.__getitem__)


def most_likely(candidates: Sequence[Candidate], min_prior: float) -> Choice:
    """Return the first candidate, the likeliest, or NIL where its prior is below `min_prior`."""
    if not reaches(candidates[0].prior, min_prior):
        return NIL
    return FIRST if len(candidates) > 1 else ONLY


class MostLikely:
    """AT@1: the candidate with the highest P(e|m), or NIL where that is below `min_prior`.

    Ties go to the smaller entity id, for in that order the index hands out candidates.
    """

    def __init__(self, min_prior: float = 0.0) -> None:
        self._min_prior = min_prior

    def choose_many(
        self,
        queries: Sequence[Query],  # noqa: ARG002  the Chooser contract
        candidates: Sequence[Sequence[Candidate]],
    ) -> list[Choice]:
        """Return the first candidate of each mention if it is likely enough."""
        return [most_likely(found, self._min_prior) for found in candidates]
