"""Verdicts counted: an array of documents, groups and counts, the groups by how known the entity is.

- by the links that Wikipedia has to the entity (`entities.n_inlinks`): unseen 0, tail 1-10, torso 11-1000, head
  above, the bins of Bootleg (Orr et al., CIDR 2021, section 1);
- by P(e|m), how likely the surface means the entity: where it is low, AT@1 must fail;
- by the domain of the text.

A gold mention falls into the groups of its entity, a link into those of the entity it names.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from alias_tables.lookup import NO_ENTITY
from entity_linking.figures import COLUMN, COUNTS, DEPTHS
from entity_linking.judgements import UNKNOWN_ENTITY, Label, Link, Rule, judge

FREQUENCIES: Final = ((0, "unseen (0)"), (10, "tail (1-10)"), (1000, "torso (11-1000)"))
"""Upper bounds of the groups by links to the entity; above the last is the head."""
HEAD: Final = "head (>1000)"
NOT_HELD: Final = "not in the table"
PRIORS: Final = ((0.9, "0.9 to 1"), (0.5, "0.5 to 0.9"), (0.1, "0.1 to 0.5"), (0.0, "below 0.1"))
"""Lower bounds of the groups by P(e|m), above 0."""
NO_CANDIDATE: Final = "no candidate"
NIL_GROUP: Final = "NIL"


class Asked(NamedTuple):
    """What the table and the chooser say of one gold mention, its span given."""

    label: Label
    rank: int | None
    """The place of the gold entity among the candidates, from 0."""
    prior: float
    """Its P(e|m), 0 where it is no candidate."""
    chosen: bool


class Tally:
    """Counts of each document, of all its mentions and of each group.

    Attributes:
        dimensions: The names of the groups, by what they group by: "frequency", "prior", "domain".
        counts: Shape (documents, 1 + groups, `COUNTS`); 0 is all mentions, the groups follow in order.
    """

    def __init__(
        self,
        n_documents: int,
        domains: Iterable[str],
        n_inlinks: Callable[[int], int] | None,
    ) -> None:
        """Make room.

        Args:
            n_documents: How many there will be.
            domains: Those of the documents.
            n_inlinks: Gives the links to an entity; no groups of frequency without.
        """
        self._n_inlinks = n_inlinks
        frequencies = [HEAD, *(name for _, name in reversed(FREQUENCIES)), NOT_HELD, NIL_GROUP]
        self.dimensions = {
            "frequency": [] if n_inlinks is None else frequencies,
            "prior": [*(name for _, name in PRIORS), NO_CANDIDATE, NIL_GROUP],
            "domain": sorted(set(domains)),
        }
        pairs = [(kind, name) for kind, names in self.dimensions.items() for name in names]
        self._place = {pair: place for place, pair in enumerate(pairs, start=1)}
        self.counts = np.zeros((n_documents, 1 + len(pairs), len(COUNTS)), np.int64)

    def add(
        self,
        document: int,
        domain: str | None,
        asked: Sequence[Asked],
        links: Sequence[tuple[Link, float]],
        rule: Rule,
    ) -> None:
        """Judge one document and count.

        Args:
            document: Its row.
            domain: Its domain, None if unknown.
            asked: Its gold mentions.
            links: What the linker made of it, each with the prior of the entity taken.
            rule: When a link stands at a gold mention.
        """
        for entity, prior, names in _events(asked, links, rule):
            groups = [0, *self._groups(entity, prior, domain)]
            for name in names:
                self.counts[document, groups, COLUMN[name]] += 1

    def _groups(self, entity: int, prior: float, domain: str | None) -> list[int]:
        """The groups that something about an entity falls into."""
        n_inlinks = 0
        if self._n_inlinks is not None and entity not in {NO_ENTITY, UNKNOWN_ENTITY}:
            n_inlinks = self._n_inlinks(entity)
        names = {
            "frequency": frequency_group(entity, n_inlinks),
            "prior": prior_group(entity, prior),
            "domain": domain,
        }
        pairs = [(kind, name) for kind, name in names.items() if name is not None]
        return [self._place[pair] for pair in pairs if pair in self._place]


def frequency_group(entity: int, n_inlinks: int) -> str:
    """Return the group of an entity with so many links to it.

    >>> [frequency_group(42, n) for n in (0, 10, 11, 1001)]
    ['unseen (0)', 'tail (1-10)', 'torso (11-1000)', 'head (>1000)']
    """
    if entity == NO_ENTITY:
        return NIL_GROUP
    if entity == UNKNOWN_ENTITY:
        return NOT_HELD
    return next((name for most, name in FREQUENCIES if n_inlinks <= most), HEAD)


def prior_group(entity: int, prior: float) -> str:
    """Return the group of P(e|m); 0 is no candidate.

    >>> [prior_group(42, p) for p in (0.0, 0.05, 0.1, 0.5, 1.0)]
    ['no candidate', 'below 0.1', '0.1 to 0.5', '0.5 to 0.9', '0.9 to 1']
    """
    if entity == NO_ENTITY:
        return NIL_GROUP
    if prior <= 0:
        return NO_CANDIDATE
    return next(name for least, name in PRIORS if prior >= least)


def _events(
    asked: Sequence[Asked], links: Sequence[tuple[Link, float]], rule: Rule
) -> Iterator[tuple[int, float, list[str]]]:
    """What is to be counted: the entity and prior it is about, and the names of the counts."""
    labels = [one.label for one in asked]
    verdicts = judge(labels, [link for link, _ in links], rule)
    for unit in verdicts.units:
        one = asked[unit.label]
        yield one.label.entity, one.prior, _names("units", found=unit.found, right=unit.right)
    for place, span_right, right in verdicts.links:
        names = [] if right is None else _names("links", right=right)
        names += [] if span_right is None else _names("spans", right=span_right)
        yield links[place][0].entity, links[place][1], names
    for one in asked:
        if one.label.standing == "required":
            names = _names("labels", chosen=one.chosen)
            if one.rank is not None:
                names += [f"labels_in_{k}" for k in DEPTHS if one.rank < k]
            yield one.label.entity, one.prior, names
    for place, marked in verdicts.nil_labels:
        yield labels[place].entity, asked[place].prior, _names("nil_labels", marked=marked)
    for _, right in verdicts.nil_marks:
        yield NO_ENTITY, 0.0, _names("nil_marks", right=right)


def _names(whole: str, **parts: bool) -> list[str]:
    """A count and those of its parts that hold."""
    return [whole, *(f"{whole}_{part}" for part, holds in parts.items() if holds)]
