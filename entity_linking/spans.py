"""Where mentions may stand: three detectors, each proposing spans of one text, best first.

- `title_proposals`: the whole title, under each of its readings (titles only).
- `ner_proposals`: what a spaCy pipeline calls a name (paper 002, section 3.1.2, English).
- `dictionary_proposals`: the longest phrases of the text that the alias table knows (ibid., Chinese), where
  the link probability says that people write them to name something.

A proposal holds offsets into the **original** text and the cleaned string to look up. Proposals may
overlap; the linker lets them stand in the order given here (the dictionary's: longest first, then leftmost)
as long as nothing stands there yet. spaCy is imported only when a pipeline is loaded.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from alias_tables.lookup import AliasIndex, Match
from alias_tables.surface import tokens
from entity_linking.config import FLOAT32_EPSILON, LinkConfig
from entity_linking.errors import PipelineError
from entity_linking.text import CleanText
from entity_linking.titles import TitleParts

Detector = Literal["title", "ner", "dictionary"]

_UPSTREAM = frozenset({"tok2vec", "transformer", "curated_transformer"})
_PERSON = "PERSON"
_NO_FINAL_S = frozenset({_PERSON, "NORP", "GPE", "LOC"})
_MAX_NAME_WORDS = 4
_ARTICLE = re.compile(r"(?:the|a|an)\s+(?=\S)", re.IGNORECASE)
_POSSESSIVE = re.compile(r"['\u2019]s$", re.IGNORECASE)
_JOINS = "'\u2019-."


@dataclass(frozen=True, slots=True)
class Proposal:
    """A span that may be a mention.

    Attributes:
        start: Where it begins in the original text, in code points.
        stop: Where it ends there, exclusive.
        key: What to look up for it.
        detector: Who proposes it.
        label: The label of the NER, None from other detectors.
    """

    start: int
    stop: int
    key: str
    detector: Detector
    label: str | None = None


def title_proposals(parts: TitleParts) -> list[Proposal]:
    """Return the whole title under each of its readings, most literal first."""
    return [
        Proposal(reading.start, reading.stop, reading.key, "title") for reading in parts.readings
    ]


def ner_proposals(
    clean: CleanText, entities: Iterable[tuple[int, int, str]], *, name_parts: bool = True
) -> list[Proposal]:
    """Return the entities of a text as proposals, in its order; each also without article and final 's.

    A lower-case article is no part of a name, nor is the 's of a person, people or place: these are tried
    without it first. What else ends in 's may be called so ("McDonald's").

    Args:
        clean: The text the pipeline read.
        entities: Start and stop in `clean.text`, and label; they do not overlap.
        name_parts: Look a person's single name up as the full name it repeats ("Kubrick" after "Stanley
            Kubrick"), and as nothing else.
    """
    text, full_names = clean.text, dict[str, str]()
    proposals = []
    for first, last, label in sorted(entities):
        spans = list(_trimmings(text, first, last, label))
        if not spans:
            continue
        if name_parts and label == _PERSON:
            start, stop = min(spans, key=lambda span: span[1] - span[0])
            full = _full_name(text[start:stop], full_names)
            if full is not None:
                proposals.append(Proposal(*clean.origin(start, stop), full, "ner", label))
                continue
        proposals += [
            Proposal(*clean.origin(start, stop), text[start:stop], "ner", label)
            for start, stop in spans
        ]
    return proposals


def _full_name(name: str, known: dict[str, str]) -> str | None:
    """The last full name that a single name is the first or last word of; remembers full names.

    Names within a document are told apart so by Cucerzan (EMNLP 2007), too: the longer form explains the shorter.
    """
    words = name.split()
    if len(words) == 1:
        return known.get(name)
    if len(words) <= _MAX_NAME_WORDS:
        known[words[0]] = known[words[-1]] = name
    return None


def _trimmings(text: str, start: int, stop: int, label: str) -> Iterator[tuple[int, int]]:
    """A name as found and without what a sentence hangs on it, the likelier first: "the Shining's"."""
    name = text[start:stop]
    start, stop = start + len(name) - len(name.lstrip()), start + len(name.rstrip())
    if start >= stop:
        return
    possessive = _POSSESSIVE.search(text, start, stop)
    bare = stop if possessive is None else possessive.start()
    article = _ARTICLE.match(text, start, bare)
    after = start if article is None else article.end()
    starts = (after, start) if text[start].islower() else (start, after)
    stops = (bare, stop) if label in _NO_FINAL_S else (stop, bare)
    yield from dict.fromkeys((first, last) for first in starts for last in stops if first < last)


def dictionary_proposals(index: AliasIndex, clean: CleanText, config: LinkConfig) -> list[Proposal]:
    """Return what the alias table knows of a text and the thresholds let pass."""
    return dictionary_proposals_many(index, [clean], config)[0]


def dictionary_proposals_many(
    index: AliasIndex, cleans: Sequence[CleanText], config: LinkConfig
) -> list[list[Proposal]]:
    """Return, for each text, what the alias table knows of it and the thresholds let pass.

    Thresholds are compared for all matches of all texts at once; only what passes them is looked at.
    """
    found = index.matches_many([clean.text for clean in cleans])
    counted = ~np.isnan(found.link_probs)
    passing = _all_reach(found.priors, config.min_prior)
    passing &= ~counted | _all_reach(found.link_probs, config.min_link_prob)
    passing &= ~np.isin(found.folded, index.folded_numbers(config.stop_phrases))
    proposals: list[list[Proposal]] = [[] for _ in cleans]
    for number, match in found.rows(np.flatnonzero(passing)):
        clean = cleans[number]
        key = clean.text[match.start : match.stop]
        if _is_name(match, key, config.min_words_uncounted):
            span = clean.origin(match.start, match.stop)
            proposals[number].append(Proposal(*span, key, "dictionary"))
    return [_longest_first(spans) if len(spans) > 1 else spans for spans in proposals]


def _all_reach(probabilities: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.bool_]:
    """Return which probabilities reach a threshold (`reaches`); NaN does not."""
    reached: npt.NDArray[np.bool_] = probabilities >= np.float64(
        threshold * (1.0 - FLOAT32_EPSILON)
    )  # a NumPy scalar, so that float32 is widened and the threshold is not rounded
    return reached


def _is_name(match: Match, key: str, min_words_uncounted: int) -> bool:
    """Whether a phrase that passed the thresholds is written as a name is."""
    if not _is_same_name(match.surface, key):
        return False
    if match.link_prob is not None:
        return True
    is_lower = key[:1].islower() or key.islower()  # "10 years" begins with no letter
    return not is_lower and _n_words(key) >= min_words_uncounted


def _is_same_name(surface: str, key: str) -> bool:
    """Whether a phrase of running text is the surface it folds to: "in" is not "IN", "'" is no "`".

    The link probability of an acronym was counted on the acronym, and says nothing about the word.
    """
    if surface == key:
        return True
    return any(map(str.isalnum, key)) and (key.isupper() or not surface.isupper())


def _n_words(surface: str) -> int:
    """Words of a surface; "O'Brien" is one, and so is each sign of a script without spaces."""
    return sum(
        surface[start].isalnum() and surface[max(0, start - 1)] not in _JOINS
        for start, _ in tokens(surface)
    )


def _longest_first(proposals: Iterable[Proposal]) -> list[Proposal]:
    """Longest key first, then leftmost."""
    return sorted(proposals, key=lambda span: (-len(span.key), span.start))


class Recogniser:
    """The entity recogniser of a spaCy pipeline, with everything it does not need switched off."""

    def __init__(self, pipeline: str, labels: Sequence[str], batch_size: int) -> None:
        """Load a pipeline.

        Args:
            pipeline: Name of an installed pipeline, or its folder.
            labels: The entity labels to keep.
            batch_size: Texts per batch.

        Raises:
            PipelineError: The pipeline is missing, finds no entities, or knows none of the labels.
        """
        self._nlp = _load(pipeline)
        self._labels = frozenset(labels)
        self._batch_size = batch_size
        recognisers = [name for name in self._nlp.pipe_names if _sets_entities(self._nlp, name)]
        if not recognisers:
            found = ", ".join(self._nlp.pipe_names) or "nothing"
            raise PipelineError(
                f"spaCy pipeline {pipeline!r} has no entity recogniser, only: {found}"
            )
        known = {label for name in recognisers for label in _labels(self._nlp, name)}
        if known and known.isdisjoint(self._labels):
            raise PipelineError(
                f"spaCy pipeline {pipeline!r} knows the labels {', '.join(sorted(known))}"
                f" and none of ner_labels: {', '.join(sorted(self._labels))}"
            )
        needed = {name for name in self._nlp.pipe_names if _factory(self._nlp, name) in _UPSTREAM}
        needed.update(recognisers)
        self._disabled = [name for name in self._nlp.pipe_names if name not in needed]

    def find(self, texts: Sequence[str]) -> list[list[tuple[int, int, str]]]:
        """Return start, stop and label of the entities of each text, in code points of that text."""
        docs = self._nlp.pipe(texts, batch_size=self._batch_size, disable=self._disabled)
        return [
            [
                (span.start_char, span.end_char, span.label_)
                for span in doc.ents
                if span.label_ in self._labels
            ]
            for doc in docs
        ]


def _load(pipeline: str) -> Any:  # noqa: ANN401  spaCy is untyped here (pyproject: follow_imports = "skip")
    """A loaded spaCy pipeline."""
    import spacy  # noqa: PLC0415  seconds of import that only a user of pipelines pays

    try:
        return spacy.load(pipeline)
    except OSError as error:
        is_folder = Path(pipeline).exists() or Path(pipeline).name != pipeline
        remedy = (
            "expected a folder with config.cfg and meta.json, as written by nlp.to_disk"
            if is_folder
            else f"install it with: python -m spacy download {pipeline}"
        )
        raise PipelineError(f"spaCy pipeline {pipeline!r} cannot be loaded; {remedy}") from error
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise PipelineError(
            f"spaCy pipeline {pipeline!r} does not fit this spaCy: {reason}"
        ) from error


def _sets_entities(nlp: Any, name: str) -> bool:  # noqa: ANN401  spaCy is untyped here
    """Whether a component writes `doc.ents`."""
    return "doc.ents" in nlp.get_pipe_meta(name).assigns


def _factory(nlp: Any, name: str) -> str:  # noqa: ANN401  spaCy is untyped here
    """What a component was made by."""
    return str(nlp.get_pipe_meta(name).factory)


def _labels(nlp: Any, name: str) -> tuple[str, ...]:  # noqa: ANN401  spaCy is untyped here
    """The labels a component declares; empty if it declares none."""
    return tuple(getattr(nlp.get_pipe(name), "labels", ()))
