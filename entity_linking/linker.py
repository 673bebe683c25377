"""Texts in, linked mentions out: from Arrow batches of `TEXTS` to Arrow batches of `MENTIONS`.

For each text: cut to the limit, clean, let the detectors propose spans, and let a span stand where nothing
stands yet and the chooser finds an entity for it. Spans without an entity leave the place to the next
detector, so a name the NER found and the table does not know hides no dictionary match inside it.

The chooser sees the spans of all texts of a batch together. A span waits while an earlier one of its text
that it overlaps is undecided, so the outcome is that of asking for one span after the other.

`link_batches` is a generator over batches that keeps the order of rows and holds one batch at a time: DuckDB
(`relation.to_arrow_reader()`) and Spark (`mapInArrow`) run the same function.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import pyarrow as pa

from alias_tables.lookup import AliasIndex, Candidate
from entity_linking.choosers import make_chooser
from entity_linking.columns import mention_column, text_column
from entity_linking.config import LinkConfig
from entity_linking.disambiguate import Chooser, Query
from entity_linking.errors import LinkingError, PipelineError
from entity_linking.mentions import Mention, Place, RankedEntity, linked
from entity_linking.schema import MENTIONS, TEXTS
from entity_linking.spans import (
    Proposal,
    Recogniser,
    dictionary_proposals_many,
    ner_proposals,
    title_proposals,
)
from entity_linking.text import clean_text, cut_text
from entity_linking.titles import parse_title

__all__ = ["LinkReport", "Linker", "Mention", "RankedEntity", "TextRow"]

TITLE: Final = "title"
"""The value of `field` whose texts are read as titles."""

_LOGGER = logging.getLogger(__name__)


class TextRow(NamedTuple):
    """One text and what is known of it: a row of `TEXTS` without its id."""

    text: str | float | None
    """None and NaN, which data frames hold for "no text", have no mentions."""
    field: str = "text"
    """ "title" or "text": titles are parsed as shops write them and looked up as a whole first."""
    domain: str | None = None
    """The domain of the item ("films"), None if unknown."""
    context: str | None = None
    """What else is written about the item."""


@dataclass(frozen=True, slots=True)
class LinkReport:
    """What a linker has done so far.

    Attributes:
        n_texts: Texts read.
        n_mentions: Mentions linked in them.
        n_cut: Texts longer than `max_text_length`, read up to there.
        n_empty: Texts that were missing or held nothing to read.
        n_nil_unknown: Spans left without an entity because the table has no candidate for them.
        n_nil_rejected: Spans left without an entity because no candidate reached the chooser's threshold.
    """

    n_texts: int = 0
    n_mentions: int = 0
    n_cut: int = 0
    n_empty: int = 0
    n_nil_unknown: int = 0
    n_nil_rejected: int = 0


_Asked: TypeAlias = tuple[Place, Proposal, list[Candidate]]
"""One span that waits for the chooser."""


class Linker:
    """Finds the entities of texts with an alias index.

    Attributes:
        config: The settings.
    """

    def __init__(
        self, index: AliasIndex, config: LinkConfig, chooser: Chooser | None = None
    ) -> None:
        """Prepare to link; loads the spaCy pipeline where one is used.

        Args:
            index: The alias table, ready for lookup.
            config: The settings.
            chooser: What takes one of the candidates; the one that `config.chooser` names if None.

        Raises:
            PipelineError: The detector needs a pipeline that is not there or does not fit.
        """
        self.config = config
        self._index = index
        self._chooser = chooser or make_chooser(index, config)
        self._recogniser = _recogniser(config)
        self._counts: Counter[str] = Counter()

    @property
    def report(self) -> LinkReport:
        """What this linker has done since it was made."""
        return LinkReport(**self._counts)

    def link_texts(
        self,
        texts: Sequence[str | float | None],
        fields: Sequence[str] | None = None,
        *,
        keep_nil: bool = False,
    ) -> list[list[Mention]]:
        """Return the mentions of each text, in order of their start.

        Args:
            texts: What to link.
            fields: For each text "title" or "text"; all "text" if None.
            keep_nil: Also give the spans that were found and left without an entity (`Mention.entity_id`
                is then `NO_ENTITY`, its reason "nil"), one where nothing else stands.

        Raises:
            LinkingError: `fields` is not as long as `texts`.
        """
        if fields is None:
            fields = ["text"] * len(texts)
        elif len(fields) != len(texts):
            raise LinkingError(
                f"{len(texts)} texts came with {len(fields)} fields: give one for each text"
            )
        rows = [TextRow(text, field) for text, field in zip(texts, fields, strict=True)]
        return self.link_rows(rows, keep_nil=keep_nil)

    def link_rows(self, rows: Sequence[TextRow], *, keep_nil: bool = False) -> list[list[Mention]]:
        """Return the mentions of each text as `link_texts` does, with what is known of the items."""
        places = [self._begin(row) for row in rows]
        detector = self.config.detector
        if detector != "ner":
            titles = [place for place in places if place.parts is not None]
            self._settle([(place, title_proposals(place.parts)) for place in titles if place.parts])
        if self._recogniser is not None:
            self._run_ner(self._recogniser, [place for place in places if place.is_open()])
        if detector != "ner":
            unsettled = [place for place in places if place.is_open()]
            cleans = [place.clean for place in unsettled]
            found = dictionary_proposals_many(self._index, cleans, self.config)
            self._settle(list(zip(unsettled, found, strict=True)))
        self._finish(places, keep_nil=keep_nil)
        return [place.mentions for place in places]

    def link_batches(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield, for each batch of `TEXTS`, the batch of its `MENTIONS`; rows keep their order.

        Args:
            batches: Columns item_id, field and text, and perhaps domain and context; other columns are
                ignored, null texts are empty.

        Raises:
            LinkingError: A batch lacks a column or holds another type.
        """
        for batch in batches:
            columns = {name: text_column(batch, name) for name in TEXTS.names}
            cells = [columns[name].to_pylist() for name in TextRow._fields]
            found = self.link_rows(list(map(TextRow._make, zip(*cells, strict=True))))
            taken = pa.array(
                [row for row, mentions in enumerate(found) for _ in mentions], pa.int64()
            )
            flat = [mention for mentions in found for mention in mentions]
            arrays = [columns["item_id"].take(taken), columns["field"].take(taken)]
            arrays += [mention_column(flat, column) for column in list(MENTIONS)[2:]]
            yield pa.RecordBatch.from_arrays(arrays, schema=MENTIONS)

    def _begin(self, row: TextRow) -> Place:
        """A text cut and cleaned, a title taken apart."""
        original = row.text if isinstance(row.text, str) else ""
        read = cut_text(original, self.config.max_text_length)
        parts = parse_title(read) if row.field == TITLE else None
        clean = clean_text(read) if parts is None else parts.body
        return Place(original, len(read), clean, parts, (row.domain, row.context))

    def _run_ner(self, recogniser: Recogniser, places: Sequence[Place]) -> None:
        """Link what the NER finds, all texts in one stream of batches."""
        found = recogniser.find([place.clean.text for place in places])
        self._settle(
            [
                (place, ner_proposals(place.clean, entities, name_parts=self.config.name_parts))
                for place, entities in zip(places, found, strict=True)
            ]
        )

    def _settle(self, waiting: list[tuple[Place, list[Proposal]]]) -> None:
        """Let each proposal stand that is free and has an entity, in the order of its text."""
        keys = list({proposal.key: None for _, proposals in waiting for proposal in proposals})
        known = dict(zip(keys, self._index.candidates_many(keys), strict=True))
        while waiting:
            asked: list[_Asked] = []
            later: list[tuple[Place, list[Proposal]]] = []
            for place, proposals in waiting:
                left = _ask(place, proposals, asked, known)
                if left:
                    later.append((place, left))
            self._decide(asked)
            waiting = later

    def _decide(self, asked: Sequence[_Asked]) -> None:
        """Ask the chooser for all, and let stand what it gives an entity to."""
        if not asked:
            return
        queries = [
            Query(
                proposal.key,
                place.original,
                proposal.start,
                proposal.stop,
                proposal.label,
                proposal.detector == "title",
                place.year,
                place.domain,
                place.context,
            )
            for place, proposal, _ in asked
        ]
        choices = self._chooser.choose_many(queries, [candidates for *_, candidates in asked])
        keep = self.config.keep_candidates
        for (place, proposal, candidates), choice in zip(asked, choices, strict=True):
            if choice.row is None:
                place.rejected.append((proposal, candidates, choice))
            else:
                place.add(linked(place.original, proposal, candidates, choice, keep))

    def _finish(self, places: Sequence[Place], *, keep_nil: bool) -> None:
        """Sort the mentions, add what is NIL if asked, and add one call to the report."""
        counts, limit = self._counts, self.config.max_text_length
        n_cut = n_empty = n_mentions = 0
        for place in places:
            n_cut += len(place.original) > limit
            n_empty += not place.clean.text.strip()
            n_mentions += len(place.mentions)
            for proposal, candidates, choice in place.unlinked():
                counts["n_nil_unknown" if choice is None else "n_nil_rejected"] += 1
                if keep_nil:
                    keep = self.config.keep_candidates
                    place.mentions.append(
                        linked(place.original, proposal, candidates, choice, keep)
                    )
            if len(place.mentions) > 1:
                place.mentions.sort(key=lambda mention: mention.start)
        counts.update(n_texts=len(places), n_cut=n_cut, n_empty=n_empty, n_mentions=n_mentions)
        if n_cut:
            _LOGGER.warning("%d of %d texts were cut to %d characters", n_cut, len(places), limit)


def _ask(
    place: Place,
    proposals: list[Proposal],
    asked: list[_Asked],
    known: Mapping[str, list[Candidate]],
) -> list[Proposal]:
    """Put the proposals that can be decided now into `asked`; return those that must wait."""
    undecided: bytearray | None = None
    left: list[Proposal] = []
    last = len(proposals) - 1
    for number, proposal in enumerate(proposals):
        if place.mentions and not place.is_free(proposal):
            continue
        start, stop = proposal.start, proposal.stop
        if undecided is not None and undecided.find(1, start, stop) >= 0:
            left.append(proposal)
        else:
            candidates = known[proposal.key]
            if not candidates:
                place.rejected.append((proposal, candidates, None))
                continue
            asked.append((place, proposal, candidates))
        if number < last:
            undecided = place.occupied() if undecided is None else undecided
            undecided[start:stop] = b"\1" * (stop - start)
    return left


def _recogniser(config: LinkConfig) -> Recogniser | None:
    """The NER that the settings ask for, None where the dictionary works alone."""
    if config.detector == "dictionary":
        return None
    if config.pipeline is not None:
        return Recogniser(config.pipeline, config.ner_labels, config.ner_batch_size)
    if config.detector == "ner":
        raise PipelineError(
            "detector 'ner' needs a spaCy pipeline: set pipeline to a name or folder,"
            " for example 'en_core_web_sm' after: python -m spacy download en_core_web_sm"
        )
    _LOGGER.info("no spaCy pipeline is set: detector 'both' works with the alias dictionary alone")
    return None
