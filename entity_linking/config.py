"""What the linker may be told: detector, pipeline, labels, thresholds, limits. Frozen; unknown keys refused."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    field_validator,
)

from alias_tables.schema import ENTITY_TYPES

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


_TYPES_OF_NAMES = {
    ("book", "books", "novels", "ebooks", "audiobooks", "kindle", "literature"): (
        "book",
        "comic",
        "play",
    ),
    ("film", "films", "movie", "movies", "dvd", "cinema", "movies_and_tv", "movies & tv"): (
        "film",
        "television",
    ),
    ("tv", "tv_series", "shows", "series", "television"): ("television",),
    # a recording of an opera or a musical bears its name, and many albums bear that of who is heard
    ("album", "albums", "cd", "cds", "music", "cds_and_vinyl", "digital_music"): (
        "album",
        "music_group",
        "person",
        "play",
        "song",
    ),
    ("song", "songs", "tracks"): ("song",),
    ("artist", "artists", "bands"): ("music_group", "person"),
    ("game", "games", "video_games", "videogames", "boardgames", "board_games"): ("game",),
    ("comic", "comics", "manga"): ("comic",),
    ("anime",): ("film", "television"),
    ("podcast", "podcasts"): ("podcast", "radio"),
    ("play", "plays", "theatre", "theater", "musicals", "opera"): ("play",),
    ("magazine", "magazines", "news", "newspapers"): ("periodical",),
    ("place", "places", "poi", "restaurants", "travel"): ("place", "organisation"),
}
DOMAIN_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    name: types for names, types in _TYPES_OF_NAMES.items() for name in names
}
"""What the usual names of domains stand for. An unknown name says nothing about types."""


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

    name_parts: bool = True
    """Whether a person's single name found by the NER is looked up as the full name it repeats ("Kubrick" after
    "Stanley Kubrick" in the same text) and as nothing else; end-to-end F1 of `benchmarks/text_linking.py` gains
    a point by it. False is the paper's way: each mention by itself."""

    ner_batch_size: PositiveInt = 256
    """Texts per batch of `nlp.pipe`."""

    min_prior: Probability = 0.01
    """P(e|m) below which a mention means nobody we know (NIL) for `at1`, and for `typed` where it has no evidence;
    0.01 is wikipedia2vec's `min_prior_prob`. 0 is the paper's AT@1, which always takes the first. In
    `benchmarks/title_linking.py --fit` every value up to 0.3 gives the same."""

    min_link_prob: Probability = 0.2
    """Link probability below which a dictionary match in running text is no mention; 0.2 is
    wikipedia2vec's `min_link_prob`. A whole title is looked up whatever its link probability."""

    min_words_uncounted: NonNegativeInt = 2
    """A surface whose link probability was never counted needs this many words (a CJK sign counts as
    one) and no lower-case first letter to be a mention in running text."""

    stop_phrases: tuple[str, ...] = STOP_PHRASES
    """Phrases that are never a dictionary mention in running text, whatever their probability. What the NER finds
    is not held to them: of 12,209 names it proposed in five sets of annotated texts and in 13,507 titles, 3 were such
    phrases."""

    chooser: Literal["at1", "typed", "context"] = "at1"
    """Who takes one of the candidates: `at1` the highest P(e|m) and nothing else (paper 002, section 3.1.2,
    eq. 3), `typed` also weighs types and the year in a title, `context` what is said around the mention."""

    min_typed_score: Probability = 0.2
    """Score below which `typed` takes nobody. In `benchmarks/title_linking.py --fit` 0.2 has the best F1 over
    book and film titles: .860 with precision .952, against .855 and .937 without a threshold."""

    min_context_score: Probability = 0.01
    """Score below which `context` takes nobody: as for `at1`, for the encoder says who is meant, not whether anyone
    is. In `benchmarks/title_linking.py --fit` every value up to 0.3 gives the same."""

    encoder: str = "minilm"
    """The sentence encoder of `context`: the packaged one, or the folder of another."""

    max_compared: PositiveInt = 8
    """Candidates that `context` compares with the text, the likeliest first; others keep their prior."""

    max_vectors: PositiveInt = 50_000
    """Entities whose vectors `context` remembers: 1.5 kB each with the packaged encoder."""

    domain_types: Mapping[str, tuple[str, ...]] = DOMAIN_TYPES
    """Which `alias_tables.schema.ENTITY_TYPES` the items of a domain are, for `typed`. What is given here is added to
    the defaults and goes before them; an empty tuple means that the domain says nothing about types."""

    keep_candidates: PositiveInt = 5
    """Candidates kept with a mention, so that its choice can be taken apart."""

    max_text_length: int = Field(default=20_000, ge=1, le=1_000_000)
    """Code points read of a text; the rest is cut and counted. spaCy refuses more than a million."""

    @field_validator("domain_types", mode="after")
    @classmethod
    def _with_defaults(cls, given: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
        """Refuse types that do not exist, and add the defaults."""
        unknown = sorted({name for names in given.values() for name in names} - {*ENTITY_TYPES})
        if unknown:
            raise ValueError(
                f"no such type: {', '.join(unknown)}; types are {', '.join(ENTITY_TYPES)}"
            )
        return {**DOMAIN_TYPES, **{name.strip().casefold(): given[name] for name in given}}


def reaches(probability: float, threshold: float) -> bool:
    """Return whether a probability, perhaps read from a float32 column, is at least a threshold.

    >>> 0.009999999776482582 >= 0.01, reaches(0.009999999776482582, 0.01)  # float32 of 0.01
    (False, True)
    """
    return probability >= threshold * (1.0 - FLOAT32_EPSILON)
