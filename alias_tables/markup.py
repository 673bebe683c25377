"""Comments, literal elements, quotes and tags of wikitext: what hides text, and what a label shows.

In: wikitext. Out: text of the same length with the hidden parts blanked out, or the text a reader sees.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from alias_tables.reasons import Reason
from alias_tables.surface import exact_key
from alias_tables.titles import decode_entities

COMMENT = "\x00"
"""Stands for each character of a comment: it joins what is beside it, `[[Fo<!-- -->o]]`."""
LITERAL = "\x01"
"""Stands for each character of a literal element (`<nowiki>`, `<math>`): it separates."""
LITERAL_TAGS = (
    "nowiki|pre|math|chem|ce|syntaxhighlight|source|score|timeline|graph|hiero|mapframe|maplink"
    "|templatedata|templatestyles|includeonly"
)

_ASCII_CASE = re.IGNORECASE | re.ASCII
_MESSY_LABEL = re.compile(r"[<&{\x00\x01]|''")
_QUOTES = re.compile("''+")
_REF = re.compile(r"<ref\b[^<>]*/>|<ref\b[^<>]*>.*?(?:</ref\s*>|$)", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"<(?:br|p|hr)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")


@lru_cache(maxsize=8)
def _literal_opening(tags: str) -> re.Pattern[str]:
    initials = "".join(sorted({name[0] for name in tags.split("|")}))
    return re.compile(  # the look ahead passes over the many other tags quickly
        rf"<(?=(?-i:[!{initials}{initials.upper()}]))(?:!--|({tags})(?=[\s/>])([^<>]{{0,1000}})>)",
        _ASCII_CASE,
    )


@lru_cache(maxsize=64)
def _closing(name: str) -> re.Pattern[str]:
    return re.compile(rf"</{name}\s*>", _ASCII_CASE)


def mask(text: str, literal_tags: str = LITERAL_TAGS) -> str:
    """Return text of the same length in which comments and literal elements are blanked out.

    An unclosed comment runs to the end of the page; an unclosed element is plain text.

    >>> mask("a<!--b-->c").replace(COMMENT, ".")
    'a........c'
    """
    pieces: list[str] = []
    position = 0
    for start, stop, mark in _hidden(text, literal_tags):
        pieces += (text[position:start], mark * (stop - start))
        position = stop
    return "".join(pieces) + text[position:] if pieces else text


def without_hidden(text: str, literal_tags: str) -> str:
    """Return text without comments, and with a space for each literal element.

    >>> without_hidden("a<!--b-->c<math>d</math>e", LITERAL_TAGS)
    'ac e'
    """
    pieces: list[str] = []
    position = 0
    for start, stop, mark in _hidden(text, literal_tags):
        pieces.append(text[position:start])
        if mark == LITERAL:
            pieces.append(" ")
        position = stop
    return "".join(pieces) + text[position:] if pieces else text


def _hidden(text: str, literal_tags: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, stop and kind of the comments and literal elements, in order."""
    search = _literal_opening(literal_tags).search
    unclosed: set[str] = set()
    position = 0
    while match := search(text, position):
        start, position = match.span()
        name = match[1]
        if name is None:
            close = text.find("-->", position)
            position = len(text) if close < 0 else close + len("-->")
            yield start, position, COMMENT
            continue
        end = _end_of_element(text, name.lower(), match, unclosed)
        if end > position or match[2].endswith("/"):
            yield start, end, LITERAL
        position = end


def _end_of_element(text: str, name: str, match: re.Match[str], unclosed: set[str]) -> int:
    """Return where the element ends; the end of its opening tag if it is empty or never closed."""
    if match[2].endswith("/") or name in unclosed:
        return match.end()
    close = _closing(name).search(text, match.end())
    if close is None:
        unclosed.add(name)  # as in MediaWiki: never look again, or many openings cost a scan each
        return match.end()
    return close.end()


def clean_label(label: str) -> str | Reason:
    """Return the text a label shows: quotes, references and tags out, entities decoded.

    >>> clean_label("''SW''<ref>x</ref>&nbsp;4")
    'SW 4'
    """
    if _MESSY_LABEL.search(label):
        if "{{" in label:
            return Reason.TEMPLATE_IN_LABEL  # what it shows is known to MediaWiki alone
        label = label.replace(COMMENT, "").replace(LITERAL, "")
        label = _TAG.sub("", _BREAK.sub(" ", _REF.sub("", label)))
        label = decode_entities(strip_quotes(label))
    return exact_key(label) or Reason.EMPTY_LABEL


def strip_quotes(text: str) -> str:
    """Remove the marks of bold and italics; a fourth quote, or those beyond five, are apostrophes."""
    if "''" not in text:
        return text
    return _QUOTES.sub(lambda match: "'" * max(len(match[0]) - 5, int(len(match[0]) == 4)), text)  # noqa: PLR2004 (MediaWiki's doQuotes)
