"""What is known of a candidate: its types and years, by the table, else by its names.

The alias table holds both where Wikidata or the dump told them. A table of title lists does not: there the
final bracket of the title ("Heat (1995 film)") speaks, and last the first words of the description, be it a
sentence ("Heat is a 1995 film ...") or Wikidata's phrase ("1995 film by Michael Mann").
"""

from typing import NamedTuple

from alias_tables.entity_types import Guess, from_bracket, from_sentence
from alias_tables.lookup import Candidate

_AS_SENTENCE = "It is a "


class Facts(NamedTuple):
    """What is known of an entity; empty where nothing is."""

    types: frozenset[str] = frozenset()
    """Of `alias_tables.schema.ENTITY_TYPES`."""
    years: tuple[int, ...] = ()
    """Of publication or release, as different sources tell it."""


def facts_of(candidate: Candidate, description: str | None) -> Facts:
    """Return what is known of a candidate.

    >>> facts_of(Candidate(1, "Heat (1995 film)", 0.5, exact=True), None)
    Facts(types=frozenset({'film'}), years=(1995,))
    >>> facts_of(Candidate(1, "Heat", 0.5, exact=True), "1995 film by Michael Mann")
    Facts(types=frozenset({'film'}), years=(1995,))
    """
    bracket = from_bracket(candidate.title) if candidate.title.endswith(")") else Guess()
    types = candidate.types or bracket.types
    years = tuple({year for year in (candidate.year, bracket.year) if year is not None})
    if description and not (types and years):
        said = from_sentence(description)
        if not said.types:
            said = from_sentence(_AS_SENTENCE + description)
        if not types or set(said.types) & set(types):
            types, years = types or said.types, years or _one(said.year)
    return Facts(frozenset(types), years)


def _one(year: int | None) -> tuple[int, ...]:
    return () if year is None else (year,)
