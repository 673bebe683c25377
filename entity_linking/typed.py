"""Weighs the candidates of a mention by what they are: type against domain, year against year.

    score(e) ~ P(e|m) f(e)        (`disambiguate.posterior`)

`f` is the product of two likelihood ratios, one for types and one for years: how much more often the right
candidate looks like this than a wrong one does. Without evidence f = 1, and the order is AT@1's. The wanted types are those of the item's domain
for a whole title, and those of the NER label for a name in running text; the wanted year is the title's. A
mention for which none of these is known is AT@1's, threshold included.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from alias_tables.lookup import AliasIndex, Candidate
from entity_linking.config import LinkConfig, reaches
from entity_linking.disambiguate import Choice, Query, Reason, first_best, most_likely, posterior
from entity_linking.facts import Facts, facts_of

TypeFit = Literal["fits", "unknown", "other"]
YearFit = Literal["same", "near", "unknown", "other"]

DOMAIN_FACTORS: Final[Mapping[TypeFit, float]] = {"fits": 2.9, "unknown": 1.0, "other": 0.008}
"""Likelihood ratios of a type that fits the domain of a title, and of another. From `benchmarks/title_linking.py
--fit`: of 187 book and film titles with several candidates of known type the right one always fits, of 229
wrong candidates 78 do (one added to each count)."""

LABEL_FACTORS: Final[Mapping[TypeFit, float]] = {"fits": 2.1, "unknown": 1.0, "other": 0.28}
"""Those of a type that fits the label of an NER. From `benchmarks/label_evidence.py` with a small English
pipeline: 83 % of 1,273 labels fit the right entity, 39 % that of another mention."""

YEAR_FACTORS: Final[Mapping[YearFit, float]] = {
    "same": 290.0,
    "near": 1.3,
    "unknown": 1.0,
    "other": 0.006,
}
"""Those of the year in a title. From the same run as `DOMAIN_FACTORS`: of 2,495 film titles with several
candidates of known year 2,454 have a right one of just that year, 28 of the next or last, 13 of another; of 3,512
wrong candidates 11, 30 and 3,471."""

_WORKS = ("album", "book", "comic", "film", "game", "play", "podcast", "radio", "song")
_ANY_MEDIUM = frozenset({"franchise", "work"})
"""A world told in several media stands against no domain."""
LABEL_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "EVENT": ("event",),
    "FAC": ("place",),
    "GPE": ("place",),
    "LOC": ("place",),
    "ORG": ("music_group", "organisation", "periodical", "radio", "television"),
    "PERSON": ("character", "music_group", "person"),
    "PRODUCT": ("game", "product", "work"),
    "WORK_OF_ART": (*_WORKS, "franchise", "periodical", "television", "work"),
}
"""OntoNotes labels -> `ENTITY_TYPES`; LAW and NORP name what the tags do not tell apart."""


class Typed:
    """The candidate with the highest score, or NIL where that is below `min_score`."""

    def __init__(self, index: AliasIndex, config: LinkConfig) -> None:
        self._index = index
        self._min_prior = config.min_prior
        self._min_score = config.min_typed_score
        self._domain_types = {name: frozenset(types) for name, types in config.domain_types.items()}
        self._label_types = {label: frozenset(types) for label, types in LABEL_TYPES.items()}

    def choose_many(
        self, queries: Sequence[Query], candidates: Sequence[Sequence[Candidate]]
    ) -> list[Choice]:
        """Return the choice for each mention."""
        return [
            self._choose(query, found) for query, found in zip(queries, candidates, strict=True)
        ]

    def _choose(self, query: Query, candidates: Sequence[Candidate]) -> Choice:
        wanted = self.wanted_types(query)
        year = query.year if query.whole_title else None
        if not wanted and year is None:
            return most_likely(candidates, self._min_prior)
        facts = [self.facts(one) for one in candidates]
        factors = DOMAIN_FACTORS if query.whole_title else LABEL_FACTORS
        types = [factors[type_fit(wanted, one.types)] for one in facts]
        years = [YEAR_FACTORS[year_fit(year, one.years)] for one in facts]
        priors = [one.prior for one in candidates]
        both = [by_type * by_year for by_type, by_year in zip(types, years, strict=True)]
        scores = posterior(priors, both)
        row = first_best(scores)
        if not reaches(scores[row], self._min_score):
            return Choice(None, "nil", scores)
        return Choice(row, _reason(row, priors, types, years), scores)

    def wanted_types(self, query: Query) -> frozenset[str]:
        """Return the types that the domain or the NER label asks for; empty if neither says."""
        if query.whole_title and query.domain is not None:
            return self._domain_types.get(query.domain.strip().casefold(), frozenset())
        if query.label is not None:
            return self._label_types.get(query.label, frozenset())
        return frozenset()

    def facts(self, candidate: Candidate) -> Facts:
        """Return what is known of a candidate: by the table, else by its title, else by its description."""
        return facts_of(candidate, self._index.description(candidate.entity_id))


def type_fit(wanted: frozenset[str], types: frozenset[str]) -> TypeFit:
    """Return whether a candidate of these types is one of the wanted ones."""
    if not wanted.isdisjoint(types):
        return "fits"
    return "other" if wanted and types and _ANY_MEDIUM.isdisjoint(types) else "unknown"


def year_fit(wanted: int | None, years: Sequence[int]) -> YearFit:
    """Return how near the years of a candidate come to the wanted one; a premiere may be a year apart."""
    if wanted is None or not years:
        return "unknown"
    distance = min(abs(wanted - year) for year in years)
    return "same" if distance == 0 else "near" if distance == 1 else "other"


def _reason(
    row: int, priors: Sequence[float], types: Sequence[float], years: Sequence[float]
) -> Reason:
    """What made this candidate the first: the prior itself, or the evidence that it needed."""
    if len(priors) == 1:
        return "only_candidate"
    if row == first_best(priors):
        return "highest_prior"
    by_type = row == first_best([p * f for p, f in zip(priors, types, strict=True)])
    by_year = row == first_best([p * f for p, f in zip(priors, years, strict=True)])
    if by_type == by_year:
        return "type_and_year"
    return "type" if by_type else "year"
