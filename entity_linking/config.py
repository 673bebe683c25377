"""What the linker may be told: detector, pipeline, labels, thresholds, limits. Frozen; unknown keys refused."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

Probability = Annotated[float, Field(ge=0.0, le=1.0)]

FLOAT32_EPSILON: Final = 2.0**-23
"""Relative distance of neighbouring float32 numbers, the type of prior and link_prob in the tables."""

NER_LABELS = (
    "EVENT",
    "FAC",
    "GPE",
    "LAW",
    "LOC",
    "NORP",
    "ORG",
    "PERSON",
    "PRODUCT",
    "WORK_OF_ART",
)
"""The OntoNotes labels that name things; the other eight (DATE, CARDINAL, MONEY, ...) are values."""

STOP_PHRASES = (
    "a",
    "an",
    "and",
    "audio cd",
    "blu ray",
    "blu-ray",
    "book",
    "box set",
    "cd",
    "collection",
    "dvd",
    "edition",
    "film",
    "hardcover",
    "movie",
    "new",
    "novel",
    "of",
    "paperback",
    "season",
    "series",
    "special edition",
    "the",
    "the movie",
    "vhs",
    "vol",
    "volume",
    "widescreen",
)
"""Words of shelves and wrappers, which name no entity in running text (spelled folded)."""


class LinkConfig(BaseModel):
    """The settings of a `Linker`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    detector: Literal["ner", "dictionary", "both"] = "both"
    """Who finds spans: a spaCy pipeline (the paper's way for English), the alias dictionary (its way for
    Chinese), or both, with the whole title first (paper 002, section 3.1.2)."""

    pipeline: str | None = None
    """Name or folder of a spaCy pipeline. Without one, "both" works with the dictionary alone."""

    ner_labels: tuple[str, ...] = NER_LABELS
    """Entity labels of the pipeline that count as mentions."""

    ner_batch_size: PositiveInt = 256
    """Texts per batch of `nlp.pipe`."""

    min_prior: Probability = 0.01
    """P(e|m) below which a mention means nobody we know (NIL); 0.01 is wikipedia2vec's `min_prior_prob`.
    0 is the paper's AT@1, which always takes the first."""

    min_link_prob: Probability = 0.2
    """Link probability below which a dictionary match in running text is no mention; 0.2 is
    wikipedia2vec's `min_link_prob`. A whole title is looked up whatever its link probability."""

    min_words_uncounted: NonNegativeInt = 2
    """A surface whose link probability was never counted needs this many words (a CJK sign counts as
    one) and no lower-case first letter to be a mention in running text."""

    stop_phrases: tuple[str, ...] = STOP_PHRASES
    """Phrases that are never a dictionary mention in running text, whatever their probability."""

    chooser: Literal["at1", "typed", "context"] = "at1"
    """Who takes one of the candidates."""

    keep_candidates: PositiveInt = 5
    """Candidates kept with a mention, so that its choice can be taken apart."""

    max_text_length: int = Field(default=20_000, ge=1, le=1_000_000)
    """Code points read of a text; the rest is cut and counted. spaCy refuses more than a million."""


def reaches(probability: float, threshold: float) -> bool:
    """Return whether a probability, perhaps read from a float32 column, is at least a threshold.

    >>> 0.009999999776482582 >= 0.01, reaches(0.009999999776482582, 0.01)  # float32 of 0.01
    (False, True)
    """
    return probability >= threshold * (1.0 - FLOAT32_EPSILON)
