"""Texts in, linked mentions out: from Arrow batches of `TEXTS` to Arrow batches of `MENTIONS`.

For each text: cut to the limit, clean, let the detectors propose spans, and let a span stand where nothing
stands yet and a chooser finds an entity for it. Spans without an entity leave the place to the next
detector, so a name the NER found and the table does not know hides no dictionary match inside it.

`link_batches` is a generator over batches that keeps the order of rows and holds one batch at a time: DuckDB
(`relation.to_arrow_reader()`) and Spark (`mapInArrow`) run the same function.
"""

import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from alias_tables.lookup import AliasIndex
from entity_linking.config import LinkConfig
from entity_linking.disambiguate import Chooser, Query, TitleHints
from entity_linking.errors import LinkingError, PipelineError
from entity_linking.schema import MENTIONS, TEXTS
from entity_linking.spans import (
    Detector,
    Proposal,
    Recogniser,
    dictionary_proposals,
    ner_proposals,
    title_proposals,
)
from entity_linking.text import CleanText, clean_text, cut_text
from entity_linking.titles import parse_title

TITLE: Final = "title"
"""The value of `field` whose texts are read as titles."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mention:
    """A linked span: `text[start:stop] == surface`, in code points of the original text.

    Attributes:
        start: Where it begins.
        stop: Where it ends, exclusive.
        surface: The original slice.
        entity_id: The entity taken.
        title: The title of that entity.
        score: Its prior P(e|m).
        n_candidates: How many entities the table held for the mention.
        detector: Who found the span.
    """

    start: int
    stop: int
    surface: str
    entity_id: int
    title: str
    score: float
    n_candidates: int
    detector: Detector


@dataclass(frozen=True, slots=True)
class LinkReport:
    """What a linker has done so far.

    Attributes:
        n_texts: Texts read.
        n_mentions: Mentions linked in them.
        n_cut: Texts longer than `max_text_length`, read up to there.
        n_empty: Texts that were missing or held nothing to read.
    """

    n_texts: int = 0
    n_mentions: int = 0
    n_cut: int = 0
    n_empty: int = 0


class _Standing:
    """The mentions of one text while it is being linked: in order, without overlap."""

    def __init__(self, original: str, clean: CleanText, year: int | None = None) -> None:
        self.original = original
        self.clean = clean
        self.year = year
        self.mentions: list[Mention] = []
        self._starts: list[int] = []

    def is_free(self, proposal: Proposal) -> bool:
        """Whether nothing stands where the proposal would."""
        place = bisect_left(self._starts, proposal.stop)
        return place == 0 or self.mentions[place - 1].stop <= proposal.start

    def add(self, mention: Mention) -> None:
        """Put a mention in its place."""
        place = bisect_left(self._starts, mention.start)
        self._starts.insert(place, mention.start)
        self.mentions.insert(place, mention)

    def is_full(self) -> bool:
        """Whether one mention covers all there is to read."""
        if len(self.mentions) != 1 or not self.clean.text.strip():
            return False
        start = len(self.clean.text) - len(self.clean.text.lstrip())
        first, last = self.clean.origin(start, len(self.clean.text.rstrip()))
        return self.mentions[0].start <= first and last <= self.mentions[0].stop


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
            chooser: What takes one of the candidates; AT@1 with title hints if None.

        Raises:
            PipelineError: The detector needs a pipeline that is not there or does not fit.
        """
        self.config = config
        self._index = index
        self._chooser = chooser or TitleHints(config.min_prior, config.title_kinds)
        self._recogniser = _recogniser(config)
        self._counts: Counter[str] = Counter()

    @property
    def report(self) -> LinkReport:
        """What this linker has done since it was made."""
        return LinkReport(**self._counts)

    def link_texts(
        self, texts: Sequence[str | float | None], fields: Sequence[str] | None = None
    ) -> list[list[Mention]]:
        """Return the mentions of each text, in order of their start.

        Args:
            texts: What to link. None and NaN, which data frames hold for "no text", have no mentions.
            fields: For each text "title" or "text"; all "text" if None. Titles are parsed as shops write
                them and looked up as a whole first.

        Raises:
            LinkingError: `fields` is not as long as `texts`.
        """
        if fields is None:
            fields = ["text"] * len(texts)
        elif len(fields) != len(texts):
            raise LinkingError(
                f"{len(texts)} texts came with {len(fields)} fields: give one for each text"
            )
        standing = [self._begin(text, field) for text, field in zip(texts, fields, strict=True)]
        self._run_ner(
            [place for place in standing if place.clean.text.strip() and not place.is_full()]
        )
        if self.config.detector != "ner":
            for place in standing:
                if place.clean.text.strip() and not place.is_full():
                    self._settle(place, dictionary_proposals(self._index, place.clean, self.config))
        self._count(texts, standing)
        return [place.mentions for place in standing]

    def link_batches(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield, for each batch of `TEXTS`, the batch of its `MENTIONS`; rows keep their order.

        Args:
            batches: Columns item_id, field and text; other columns are ignored, null texts are empty.

        Raises:
            LinkingError: A batch lacks a column or holds another type.
        """
        for batch in batches:
            item_ids, fields, texts = (_column(batch, name) for name in TEXTS.names)
            linked = self.link_texts(texts.to_pylist(), fields.to_pylist())
            rows = [row for row, mentions in enumerate(linked) for _ in mentions]
            flat = [mention for mentions in linked for mention in mentions]
            taken = pa.array(rows, pa.int64())
            columns = [item_ids.take(taken), fields.take(taken)]
            columns += [
                pa.array([getattr(mention, column.name) for mention in flat], column.type)
                for column in list(MENTIONS)[2:]
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=MENTIONS)

    def _begin(self, text: str | float | None, field: str) -> _Standing:
        """A text cut and cleaned; a title with the mention of its whole, if it has one."""
        original = text if isinstance(text, str) else ""
        read = cut_text(original, self.config.max_text_length)
        if field != TITLE:
            return _Standing(original, clean_text(read))
        parts = parse_title(read)
        place = _Standing(original, parts.body, parts.year)
        if self.config.detector != "ner":
            self._settle(place, title_proposals(parts))
        return place

    def _run_ner(self, standing: Sequence[_Standing]) -> None:
        """Link what the NER finds, all texts in one stream of batches."""
        if self._recogniser is None or not standing:
            return
        found = self._recogniser.find([place.clean.text for place in standing])
        for place, entities in zip(standing, found, strict=True):
            self._settle(place, ner_proposals(place.clean, entities))

    def _settle(self, place: _Standing, proposals: Iterable[Proposal]) -> None:
        """Let each proposal stand that is free and has an entity."""
        for proposal in proposals:
            if not place.is_free(proposal):
                continue
            candidates = self._index.candidates(proposal.key)
            whole = proposal.detector == "title"
            query = Query(proposal.key, place.clean.text, proposal.label, whole, place.year)
            chosen = self._chooser.choose(query, candidates)
            if chosen is not None:
                place.add(
                    Mention(
                        start=proposal.start,
                        stop=proposal.stop,
                        surface=place.original[proposal.start : proposal.stop],
                        entity_id=chosen.entity_id,
                        title=chosen.title,
                        score=chosen.prior,
                        n_candidates=len(candidates),
                        detector=proposal.detector,
                    )
                )

    def _count(self, texts: Sequence[str | float | None], standing: Sequence[_Standing]) -> None:
        """Add one call to the report, and say so if texts were cut."""
        limit = self.config.max_text_length
        n_cut = sum(len(place.original) > limit for place in standing)
        self._counts["n_texts"] += len(texts)
        self._counts["n_mentions"] += sum(len(place.mentions) for place in standing)
        self._counts["n_cut"] += n_cut
        self._counts["n_empty"] += sum(not place.clean.text.strip() for place in standing)
        if n_cut:
            _LOGGER.warning("%d of %d texts were cut to %d characters", n_cut, len(texts), limit)


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


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column of `TEXTS` in its declared type.

    Raises:
        LinkingError: The column is missing or of a type that cannot be read as declared.
    """
    if name not in batch.schema.names:
        raise LinkingError(
            f"a batch of texts has the columns {', '.join(batch.schema.names)}; expected {', '.join(TEXTS.names)}"
        )
    expected = TEXTS.field(name).type
    try:
        return batch.column(name).cast(expected)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise LinkingError(
            f"column {name!r} is {batch.column(name).type}, expected {expected}: {error}"
        ) from error
