"""Linked spans of one text, and the place where they settle: in order, without overlap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from alias_tables.lookup import NO_ENTITY, Candidate
from entity_linking.disambiguate import NIL, Choice, Reason
from entity_linking.spans import Detector, Proposal
from entity_linking.text import CleanText
from entity_linking.titles import TitleParts

_NOBODY = Candidate(NO_ENTITY, "", 0.0, exact=False)


class RankedEntity(NamedTuple):
    """One candidate of a mention, with what the chooser compared."""

    entity_id: int
    prior: float
    score: float


@dataclass(frozen=True, slots=True)
class Mention:
    """A linked span: `text[start:stop] == surface`, in code points of the original text.

    Attributes:
        start: Where it begins.
        stop: Where it ends, exclusive.
        surface: The original slice.
        entity_id: The entity taken; `NO_ENTITY` for a NIL mention, which is given on request only.
        title: The title of that entity, empty for NIL.
        prior: Its P(e|m), 0 for NIL.
        score: What the chooser compared, in (0, 1]: the prior for AT@1, the prior weighed by the evidence
            for others; 0 for NIL.
        reason: Why this entity was taken.
        n_candidates: How many entities the table held for the mention.
        candidates: The best of them by score, the chosen one first.
        detector: Who found the span.
    """

    start: int
    stop: int
    surface: str
    entity_id: int
    title: str
    prior: float
    score: float
    reason: Reason
    n_candidates: int
    candidates: tuple[RankedEntity, ...]
    detector: Detector


Rejected: TypeAlias = tuple[Proposal, Sequence[Candidate], Choice | None]
"""A span for which no entity was taken, its candidates, and the choice where there was any candidate."""


class Place:
    """One text while it is being linked."""

    def __init__(
        self,
        original: str,
        n_read: int,
        clean: CleanText,
        parts: TitleParts | None = None,
        about: tuple[str | None, str | None] = (None, None),
    ) -> None:
        """Take a text.

        Args:
            original: As it came.
            n_read: Code points of it that are read.
            clean: What is read of it.
            parts: The title taken apart, None if it is no title.
            about: The domain of the item and what else is written about it.
        """
        self.original = original
        self.clean = clean
        self.parts = parts
        self.year = None if parts is None else parts.year
        self.domain, self.context = about
        self.mentions: list[Mention] = []
        self.rejected: list[Rejected] = []
        self._taken = bytearray(n_read)

    def is_free(self, proposal: Proposal) -> bool:
        """Whether nothing stands where the proposal would."""
        return self._taken.find(1, proposal.start, proposal.stop) < 0

    def occupied(self) -> bytearray:
        """A copy of the map of what is taken, one byte a code point."""
        return bytearray(self._taken)

    def is_open(self) -> bool:
        """Whether there is something to read that no mention covers."""
        text = self.clean.text
        if not self.mentions or not text:
            return bool(text) and not text.isspace()
        first, last = self.clean.origin(len(text) - len(text.lstrip()), len(text.rstrip()))
        return self._taken.find(0, first, last) >= 0

    def add(self, mention: Mention) -> None:
        """Let a mention stand."""
        self._taken[mention.start : mention.stop] = b"\1" * (mention.stop - mention.start)
        self.mentions.append(mention)

    def unlinked(self) -> list[Rejected]:
        """Return the spans of NIL: rejected, where nothing stands, one for each place.

        Of overlapping ones, those with candidates go first, then the title without its year and marks, then
        the order of proposals.
        """
        if not self.rejected:
            return []
        core = None if self.parts is None else self.parts.core
        order = sorted(self.rejected, key=lambda one: (one[2] is None, one[0].key != core))
        taken = self.occupied()
        kept = []
        for one in order:
            start, stop = one[0].start, one[0].stop
            if taken.find(1, start, stop) < 0:
                taken[start:stop] = b"\1" * (stop - start)
                kept.append(one)
        return kept


def linked(
    original: str,
    proposal: Proposal,
    candidates: Sequence[Candidate],
    choice: Choice | None,
    keep: int,
) -> Mention:
    """Return the mention that a choice makes of a proposal, NIL if it chose nobody.

    Args:
        original: The text.
        proposal: The span.
        candidates: Its candidates, by falling prior.
        choice: The choice; None where there was nothing to choose from.
        keep: Candidates kept at most.
    """
    row, reason, scores = NIL if choice is None else choice
    if scores is None:
        ranking = [RankedEntity(one.entity_id, one.prior, one.prior) for one in candidates[:keep]]
    else:
        order = sorted(range(len(candidates)), key=lambda i: (i != row, -scores[i], i))[:keep]
        ranking = [
            RankedEntity(candidates[i].entity_id, candidates[i].prior, scores[i]) for i in order
        ]
    chosen = _NOBODY if row is None else candidates[row]
    return Mention(
        start=proposal.start,
        stop=proposal.stop,
        surface=original[proposal.start : proposal.stop],
        entity_id=chosen.entity_id,
        title=chosen.title,
        prior=chosen.prior,
        score=chosen.prior if scores is None or row is None else scores[row],
        reason=reason,
        n_candidates=len(candidates),
        candidates=tuple(ranking),
        detector=proposal.detector,
    )
