"""What an article is about, and of which year, without Wikidata: from its title, categories and first words.

    bracket of the title   "Heat (1995 film)"                       film, 1995
    categories             "1995 films", "Films set in Los Angeles" film, 1995
    first sentence         "Heat is a 1995 American crime film ..." film, 1995

In this order of trust: the first that names a type decides the types, the first that gives a year the year.
Rules look for the head of a phrase and give nothing where they are not sure. English is read in all three
ways, the languages of `type_nouns.NOUNS` by bracket and first sentence.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from alias_tables.titles import strip_bracket
from alias_tables.type_nouns import ENGLISH_PLURALS, NOUNS

CATEGORY_TAIL_CHARS = 8_000
"""Categories stand at the end of a page; they are looked for in this much of it."""
WORK_TYPES = frozenset(
    [
        *("album", "book", "comic", "film", "franchise", "game", "periodical", "play", "podcast"),
        *("radio", "song", "television", "work"),
    ]
)
"""Types of things that are published: what a year is asked of."""

_CJK = frozenset({"ja", "zh"})
_COMPOUNDING = _CJK | {"de"}
_MAX_NOUN_WORDS = 4
_YEAR = re.compile(r"(?<![\d-])(1[5-9]\d\d|20\d\d)(?![\d-]|s\b)")
_CATEGORY = r"\[\[[ _]*:{0}(?:%s)[ _]*:([^\[\]|\n]{1,200})"
_HEAD_END = re.compile(
    r" (?:about|adapted|after|and its|as|at|based|by|composed|created|developed|directed|established|featuring|for"
    r"|formed|from|in|introduced|involving|made|of|on|originally|performed|portrayed|produced|published|recorded"
    r"|released|scored|set|shot|starring|that|to|using|who|which|with|without|written)\b.*"
)
_DEBUTS = re.compile(
    r"^(?:(\d{4}) )?(?:.* )?(television|comics|podcast|radio|web)(?: series| program)? (?:series )?debuts$"
)
_DEBUT_TYPES = {
    "television": "television",
    "comics": "comic",
    "podcast": "podcast",
    "radio": "radio",
    "web": "television",
}
_PERSON_CATEGORY = re.compile(
    r"living people|possibly living people|\d{1,4}(?:s| bc)? (?:births|deaths)|year of birth (?:missing|unknown).*"
)
_COPULA = {
    "en": re.compile(r"\b(?:is|was|are|were) (?:an?|the|one of the)\s+"),
    "de": re.compile(r"\b(?:ist|war|sind|waren) (?:eine?r?|der|die|das)\s+"),
    "fr": re.compile(r"\b(?:est|était|sont|étaient) (?:une?|le|la|les|des)\s+|\best l[\u2019']"),
    "es": re.compile(r"\b(?:es|fue|son|fueron|era) (?:una?|el|la|los|las)\s+"),
    "it": re.compile(r"\b(?:è|era|sono|furono|fu) (?:una?|il|lo|la|i|gli|le)\s+|\bè un[\u2019']"),
    "zh": re.compile(r"是"),
    "ja": re.compile(r"は、?"),
}
_PHRASE_END = re.compile(
    r"[;.:(\u2013\u2014]| (?:about|adapted|as|at|based|broadcast|by|composed|consisting|created|developed"
    r"|directed|for|formed|founded|from|in|known|located|made|on|of|originally|performed|produced|published|recorded"
    r"|released|set|starring|that|to|where|which|who|with|written)\b"
)
_SOFT_END = re.compile(r",| and\b| (?=\w+ing\b)|$")
"""Where a phrase may end: "film featuring ..." does, "recording artist" and "silent, short film" do not."""
_KIND_OF = re.compile(r"^(?:\S+ ){0,3}(?:species|genus|family|subspecies) of ")
_RELEASED = re.compile(
    r"\b(?:published|released|premiered|aired|serialized) (?:\w+ )?(?:in|on) "
    r"(?:[A-Z][a-z]+ (?:\d{1,2}, )?|\d{1,2} [A-Z][a-z]+ )?(\d{4})\b"
)
_PHRASE_CHARS = 160


class Guess(NamedTuple):
    """What a text says of an entity; empty and None where it says nothing."""

    types: tuple[str, ...] = ()
    year: int | None = None


def year_in(text: str) -> int | None:
    """Return the only year a phrase names; none if it names several, or a decade.

    >>> year_in("1995 American film"), year_in("1990s films"), year_in("1995-97 series")
    (1995, None, None)
    """
    years = set(_YEAR.findall(text))
    return int(years.pop()) if len(years) == 1 else None


@cache
def _end_pattern(language: str) -> re.Pattern[str]:
    """Match a known noun at the end of a phrase without word breaks: a German compound, Chinese, Japanese."""
    nouns = sorted(NOUNS[language], key=lambda noun: (-len(noun), noun))
    return re.compile(rf"({'|'.join(map(re.escape, nouns))})$", re.IGNORECASE)


@cache
def _first_pattern(language: str) -> re.Pattern[str]:
    """Match a known noun at the start of a phrase: "film de 1995"."""
    nouns = sorted(NOUNS[language], key=lambda noun: (-len(noun), noun))
    return re.compile(rf"({'|'.join(map(re.escape, nouns))})(?!\w)", re.IGNORECASE)


@cache
def _types_by_folded(language: str) -> Mapping[str, str]:
    return {noun.casefold(): entity_type for noun, entity_type in NOUNS[language].items()}


def _type_at_end(phrase: str, language: str) -> str | None:
    """Return the type of the longest known noun a phrase ends with."""
    types = _types_by_folded(language)
    if language in _COMPOUNDING:
        match = _end_pattern(language).search(phrase)
        return types[match[1].casefold()] if match else None
    words = phrase.casefold().split(" ")[-_MAX_NOUN_WORDS:]
    ends = (" ".join(words[first:]) for first in range(len(words)))
    return next((types[end] for end in ends if end in types), None)


def _type_at_start(phrase: str, language: str, position: int = 0) -> str | None:
    """Return the type of the longest known noun that begins at a position."""
    match = _first_pattern(language).match(phrase, position)
    return _types_by_folded(language)[match[1].casefold()] if match else None


def _type_of_phrase(phrase: str, language: str) -> str | None:
    """Return the type of the noun a phrase ends with, or in other languages than English begins with."""
    found = _type_at_end(phrase, language)
    return found or (None if language == "en" else _type_at_start(phrase, language))


def from_bracket(title: str, language: str = "en") -> Guess:
    """Return what the final bracket of a title says.

    >>> from_bracket("Heat (1995 film)"), from_bracket("Bad (U2 song)"), from_bracket("(500) Days of Summer")
    (Guess(types=('film',), year=1995), Guess(types=('song',), year=None), Guess(types=(), year=None))
    >>> from_bracket("Heat (film, 1995)", "fr"), from_bracket("兄弟 (1987年电影)", "zh")
    (Guess(types=('film',), year=1995), Guess(types=('film',), year=1987))
    """
    bare = strip_bracket(title)
    if bare is None:
        return Guess()
    inner = title[len(bare) :].strip(" ()\uff08\uff09")
    year = year_in(inner)
    if language not in NOUNS:
        return Guess((), year)
    phrase = re.sub(r"[\s,]*\b\d{4}$", "", inner).strip()
    found = _type_of_phrase(phrase, language)
    return Guess((found,) if found else (), year if not found or found in WORK_TYPES else None)


def category_names(text: str, words: Iterable[str] = ("Category",)) -> list[str]:
    """Return the names of the categories a page is put into.

    Args:
        text: wikitext of the page.
        words: names of the category namespace on this wiki.

    >>> category_names("Text. [[Category:1995 films| ]] [[Category:American_films]] [[:Category:No]]")
    ['1995 films', 'American films']
    """
    tail = text[-CATEGORY_TAIL_CHARS:]
    found = _category_pattern(tuple(words)).findall(tail)
    return [name.replace("_", " ").strip() for name in found]


@cache
def _category_pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(_CATEGORY % "|".join(map(re.escape, words)), re.IGNORECASE)


def from_categories(categories: Iterable[str]) -> Guess:
    """Return what English categories say: each votes by its head noun, and birth or death means a person.

    The type most voted for wins; another one counts beside it from two votes and half as many on.

    >>> from_categories(["1995 films", "Films based on novels", "Novels adapted into films"])
    Guess(types=('film',), year=1995)
    """
    votes: Counter[str] = Counter()
    years: dict[str, list[int]] = {}
    for name in categories:
        if _PERSON_CATEGORY.fullmatch(name.lower()):
            return Guess(("person",))
        found, year = _vote(name)
        if found:
            votes[found] += 1
            if year is not None:
                years.setdefault(found, []).append(year)
    if not votes:
        return Guess()
    most = max(votes.values())
    types = sorted(name for name, n in votes.items() if n == most or n >= max(2, most / 2))
    dated = [year for name in types if name in WORK_TYPES for year in years.get(name, [])]
    return Guess(tuple(types), min(dated, default=None))


def _vote(name: str) -> tuple[str | None, int | None]:
    """Return type and year of one category."""
    debut = _DEBUTS.match(name)
    if debut:
        return _DEBUT_TYPES[debut[2]], int(debut[1]) if debut[1] else None
    head = _HEAD_END.sub("", name)
    words = head.split(" ")
    for first in range(max(len(words) - _MAX_NOUN_WORDS, 0), len(words)):
        phrase = " ".join(words[first:])
        found = ENGLISH_PLURALS.get(phrase) or ENGLISH_PLURALS.get(phrase[:1].lower() + phrase[1:])
        if found:
            return found, year_in(words[0])
    return None, None


def from_sentence(sentence: str, language: str = "en") -> Guess:
    """Return what a first sentence says after "is a".

    >>> from_sentence("Heat is a 1995 American crime film written and directed by Michael Mann.")
    Guess(types=('film',), year=1995)
    >>> from_sentence("Jane Austen was an English novelist known for six novels.")
    Guess(types=('person',), year=None)
    """
    copula = _COPULA.get(language)
    begun = copula.search(sentence) if copula else None
    if begun is None:
        return Guess()
    return from_description(sentence[begun.end() :], language)


def from_description(description: str, language: str = "en") -> Guess:
    """Return what a phrase without a verb says, such as a description of Wikidata.

    >>> from_description("1995 film by Michael Mann"), from_description("ratio of a circle's sides")
    (Guess(types=('film',), year=1995), Guess(types=(), year=None))
    """
    phrase = description[:_PHRASE_CHARS]
    if language in _CJK:
        return _from_cjk(phrase, language)
    if language == "en":
        return _from_english(phrase)
    return _from_nouns_first(phrase, language) if language in NOUNS else Guess()


def _from_english(rest: str) -> Guess:
    """Take the noun before the first preposition or participle."""
    if _KIND_OF.match(rest):
        return Guess(("concept",))
    phrase = _PHRASE_END.split(rest, maxsplit=1)[0].strip()
    ends = (phrase[: end.start()].strip("\"' ") for end in _SOFT_END.finditer(phrase))
    found = next((named for end in ends if (named := _type_of_phrase(end, "en"))), None)
    if found is None or found not in WORK_TYPES:
        return Guess((found,) if found else ())
    released = _RELEASED.search(rest)
    return Guess((found,), year_in(phrase) or (int(released[1]) if released else None))


def _from_nouns_first(rest: str, language: str) -> Guess:
    """Take the first known noun among the next words; the year is the phrase's only one."""
    for word in re.finditer(r"[^\s,;.]+", rest[:80]):
        found = _type_at_start(rest, language, word.start()) or _type_at_end(word[0], language)
        if found:
            return Guess((found,), year_in(rest) if found in WORK_TYPES else None)
    return Guess()


def _from_cjk(rest: str, language: str) -> Guess:
    """Take the noun at the end of the first clause."""
    clause = re.split(r"[\u3002\uff0c\u3001,.]", rest, maxsplit=1)[0].removesuffix("である")
    found = _type_of_phrase(clause, language)
    if found is None:
        return Guess()
    return Guess((found,), year_in(clause) if found in WORK_TYPES else None)


def guess_type(
    title: str, categories: Iterable[str] = (), sentence: str | None = None, language: str = "en"
) -> Guess:
    """Return types and year of an article from all that is known of it, the most trusted first.

    A year counts only beside the type it belongs to: what is said of another type is passed over.

    >>> guess_type("Heat (film)", ["1995 films"], "Heat is a crime film released in 1996.")
    Guess(types=('film',), year=1995)
    """
    guesses = [from_bracket(title, language)]
    if language == "en":
        guesses.append(from_categories(categories))
    if sentence:
        guesses.append(from_sentence(sentence, language))
    types = next((guess.types for guess in guesses if guess.types), ())
    years = (
        guess.year
        for guess in guesses
        if guess.year is not None and (not guess.types or set(guess.types) & set(types))
    )
    work = not types or not WORK_TYPES.isdisjoint(types)
    return Guess(types, next(years, None) if work else None)
