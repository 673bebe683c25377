"""What an entity is and when it came out, as far as its names tell: types and year.

A Wikipedia title says it in its final bracket ("Heat (1995 film)"), a description in its first words ("1995
American crime film by Michael Mann"): English puts the word for the thing last in both, before the first
preposition. Types are tags of `alias_tables.schema.ENTITY_TYPES`.
"""

import re
from typing import Final, NamedTuple

_WORDS_OF_TYPES: Final = {
    "album": "album albums ep soundtrack mixtape lp",
    "book": "book books novel novels novella anthology memoir autobiography poem trilogy story stories",
    "character": "character superhero",
    "comic": "comic comics manga manhwa webcomic",
    "concept": "language genre species disambiguation philosophy religion mythology number unit",
    "event": "war battle election tournament festival disaster earthquake",
    "film": "film films movie movies documentary serial",
    "franchise": "franchise",
    "game": "game games videogame",
    "music_group": "band duo orchestra choir ensemble",
    "organisation": "company organization organisation corporation club party university school publisher label team",
    "periodical": "magazine newspaper journal",
    "person": "actor actress author writer novelist singer musician rapper politician footballer director artist poet"
    " journalist player composer painter philosopher wrestler boxer cricketer screenwriter producer comedian",
    "place": "city town village river county state country island mountain district municipality lake region"
    " building",
    "play": "play musical opera ballet",
    "podcast": "podcast",
    "product": "software automobile car aircraft ship missile brand",
    "radio": "radio",
    "song": "song songs single",
    "television": "television tv sitcom miniseries telenovela anime",
}
_TYPES: Final = {word: tag for tag, words in _WORDS_OF_TYPES.items() for word in words.split()}
_FINAL_BRACKET = re.compile(r"\S\s*\(([^()]{1,80})\)$")
_WORD = re.compile(r"\w+")
_YEAR = re.compile(r"(?:18|19|20)[0-9]{2}")
_HEAD = re.compile(
    r"\b(?:by|of|in|on|at|from|for|with|about|based|directed|written|starring|published|released|set"
    r"|that|which|who|whose|and|to)\b|[,;.(]"
)
_HEAD_LENGTH: Final = 120


class Facts(NamedTuple):
    """What is known of an entity; empty and None where nothing is."""

    types: frozenset[str] = frozenset()
    year: int | None = None


UNKNOWN: Final = Facts()


def facts_of_title(title: str) -> Facts:
    """Return what the final bracket of a title says.

    >>> facts_of_title("Heat (1995 film)")
    Facts(types=frozenset({'film'}), year=1995)
    """
    if not title.endswith(")"):
        return UNKNOWN
    bracket = _FINAL_BRACKET.search(title)
    return UNKNOWN if bracket is None else _read(bracket[1])


def facts_of_description(description: str) -> Facts:
    """Return what the first words of a description say; a year counts only in front of a thing.

    >>> facts_of_description("1995 American crime film by Michael Mann")
    Facts(types=frozenset({'film'}), year=1995)
    """
    start = description[:_HEAD_LENGTH]
    end = _HEAD.search(start)
    facts = _read(start if end is None else start[: end.start()])
    return facts if facts.types else UNKNOWN


def _read(phrase: str) -> Facts:
    """The type of the last word that names one, and the first year."""
    words = _WORD.findall(phrase.lower())
    tags = [_TYPES[word] for word in words if word in _TYPES]
    years = [int(word) for word in words if _YEAR.fullmatch(word)]
    return Facts(frozenset(tags[-1:]), years[0] if years else None)
