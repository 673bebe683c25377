"""The readable text of a page: good enough to count surfaces that are not linked, and for a first sentence.

Templates, references, comments, literal elements, files and categories go; a link leaves its label; tables
and lists leave their cells. Linear in the length of the page. This is no renderer: text that templates
would produce is missing.
"""

import re
from collections.abc import Callable

from alias_tables.surface import exact_key
from alias_tables.titles import decode_entities
from alias_tables.wikitext import COMMENT, LITERAL, LITERAL_TAGS, mask, strip_quotes

MAX_DEPTH = 50
"""Brackets nested deeper stay as text, so that no piece is joined more often than this."""

_HIDDEN_TAGS = LITERAL_TAGS + "|gallery|ref|imagemap"
_TOKEN = re.compile(r"\[\[|\]\]|\{\{|\}\}")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,1000}>")
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:|mailto:|//)[^\s\[\]]{1,2000}([^\[\]\n]{0,1000})\]")
_LINE_MARKUP = re.compile(
    r"^(?:[ \t]*\{\|.*|[ \t]*\|[-}+].*|[ \t]*[|!](?:[^|\n\[\]]{0,200}\|(?!\|))?|[*#:;]+|={2,6})|={2,6}[ \t]*$"
    r"|\|\||!!",
    re.MULTILINE,
)
_MAGIC_WORD = re.compile(r"__[A-Z]{3,20}__")
_EMPTY_BRACKETS = re.compile(r" ?[(\uff08][\s,;:/\u2013\u2014]*[)\uff09]")
_BRACKET_START = re.compile(r"([(\uff08])[\s,;:/]+")
_SENTENCE_END = re.compile(r"(?<=[^\s.][a-z0-9)\"'\u2019\]%])[.!?](?=\s|$)|[\u3002\uff01\uff1f]|\n")
_LEAD_END = re.compile(r"^==", re.MULTILINE)


def plain_text(text: str, is_elsewhere: Callable[[str], bool]) -> str:
    """Return the readable text of wikitext.

    Args:
        text: wikitext of one page.
        is_elsewhere: says of a raw link target whether it is a file, a category or on another wiki;
            such links leave nothing (`LinkTargets.is_elsewhere`).
    """
    masked = mask(text, _HIDDEN_TAGS).replace(COMMENT, "").replace(LITERAL, " ")
    bare = _without_brackets(masked, is_elsewhere)
    bare = _EXTERNAL.sub(r"\1", bare)
    bare = _LINE_MARKUP.sub(" ", _TAG.sub(" ", bare))
    bare = _MAGIC_WORD.sub("", decode_entities(strip_quotes(bare)))
    lines = (line.strip() for line in bare.split("\n"))
    return "\n".join(line for line in lines if line)


def _without_brackets(text: str, is_elsewhere: Callable[[str], bool]) -> str:
    """Drop templates and reduce links to their labels; brackets without a partner stay."""
    pieces: list[str] = []
    opened: list[tuple[str, int]] = []
    position = 0
    for match in _TOKEN.finditer(text):
        pieces.append(text[position : match.start()])
        position = match.end()
        bracket = match[0]
        if bracket in {"[[", "{{"}:
            if len(opened) < MAX_DEPTH:
                opened.append((bracket, len(pieces)))
            pieces.append(bracket)
            continue
        partner = "[[" if bracket == "]]" else "{{"
        level = next((i for i in range(len(opened) - 1, -1, -1) if opened[i][0] == partner), None)
        if level is None:
            pieces.append(bracket)
            continue
        begin = opened[level][1]
        del opened[level:]
        inner = "".join(pieces[begin + 1 :]) if partner == "[[" else ""
        del pieces[begin:]
        pieces.append(_shown(inner, is_elsewhere))
    pieces.append(text[position:])
    return "".join(pieces)


def _shown(inner: str, is_elsewhere: Callable[[str], bool]) -> str:
    target, bar, label = inner.partition("|")
    if not inner or is_elsewhere(target[:1000]):
        return ""
    return label if bar else target.removeprefix(":")


def first_sentence(text: str, is_elsewhere: Callable[[str], bool], max_chars: int) -> str | None:
    """Return the first sentence of a page's lead as plain text, cut at a word if it is long.

    A lead of templates only, or none at all, gives None.
    """
    heading = _LEAD_END.search(text)
    lead = _without_tables(text[: heading.start()] if heading else text)
    lead = plain_text(lead, is_elsewhere)
    lead = _BRACKET_START.sub(r"\1", _EMPTY_BRACKETS.sub("", lead))
    end = _SENTENCE_END.search(lead)
    sentence = exact_key(lead[: end.end()] if end else lead)
    if len(sentence) > max_chars:
        sentence = sentence[: max_chars - 1].rsplit(" ", 1)[0].rstrip(" ,;:") + "\u2026"
    return sentence or None


def _without_tables(text: str) -> str:
    """Drop the lines of tables; an unclosed one stays."""
    if "{|" not in text:
        return text
    lines: list[str] = []
    depth = 0
    for line in text.split("\n"):
        start = line.lstrip(" \t:")
        depth += start.startswith("{|")
        if depth == 0:
            lines.append(line)
        depth -= depth > 0 and start.startswith("|}")
    return text if depth else "\n".join(lines)
