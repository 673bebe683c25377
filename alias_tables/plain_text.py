"""The readable text of a page: good enough to count surfaces that are not linked, and for a first sentence.

Templates, references, comments, literal elements, files and categories go; a link leaves its label; tables
and lists leave their cells. Linear in the length of the page. This is no renderer: text that templates
would produce is missing.
"""

import re
from collections.abc import Callable

from alias_tables.brackets import template_spans
from alias_tables.markup import LITERAL_TAGS, strip_quotes, without_hidden
from alias_tables.surface import exact_key
from alias_tables.titles import decode_entities

MAX_DEPTH = 50
"""Links nested deeper stay as text, so that no piece is joined more often than this."""

_HIDDEN_TAGS = LITERAL_TAGS + "|gallery|ref|imagemap"
_LINK = re.compile(r"\[\[(?:([^\[\]]*+)\]\])?")
"""A link that no bracket stands in, and what it holds; or the `[[` of another."""
_NAMESPACE_SIGNS = re.compile("[:%&]")
"""One of these is in every target that leads elsewhere: a colon, as it is or encoded."""
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,1000}>")
_EXTERNAL = re.compile(r"\[(?:https?:|ftp:|mailto:|//)[^\s\[\]]{1,2000}([^\[\]\n]{0,1000})\]")
_LINE_MARKUP = re.compile(
    r"^(?:[ \t]*\{\|.*|[ \t]*\|[-}+].*|[ \t]*[|!](?:[^|\n\[\]]{0,200}\|(?!\|))?|[*#:;]+|={2,6})|={2,6}[ \t]*$"
    r"|\|\||!!"
)
_LIST_SIGNS = ("*", "#", ":", ";")
_TABLE_SIGNS = ("|", "!", "{")
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
    bare = _without_templates(without_hidden(text, _HIDDEN_TAGS))
    bare = _EXTERNAL.sub(r"\1", _without_links(bare, is_elsewhere))
    lines = [_cell(line) for line in _TAG.sub(" ", bare).split("\n")]
    bare = _MAGIC_WORD.sub("", decode_entities(strip_quotes("\n".join(lines))))
    return "\n".join(filter(None, map(str.strip, bare.split("\n"))))


def _cell(line: str) -> str:
    """Return a line without marks of tables, lists and headings."""
    if "||" not in line and "!!" not in line and "==" not in line:
        if line.startswith(_LIST_SIGNS):
            return line.lstrip("*#:;")
        if not line.lstrip(" \t").startswith(_TABLE_SIGNS):
            return line
    return _LINE_MARKUP.sub(" ", line)


def _without_templates(text: str) -> str:
    pieces: list[str] = []
    position = 0
    for start, stop in template_spans(text):
        pieces.append(text[position:start])
        position = stop
    return "".join(pieces) + text[position:] if pieces else text


def _without_links(text: str, is_elsewhere: Callable[[str], bool]) -> str:
    """Reduce links to their labels; brackets without a partner stay."""
    parts = _LINK.split(text)
    pieces = [parts[0]]
    opened: list[int] = []
    for inner, gap in zip(parts[1::2], parts[2::2], strict=True):
        if inner is not None:
            pieces.append(_shown(inner, is_elsewhere))
        else:
            if len(opened) < MAX_DEPTH:
                opened.append(len(pieces))
            pieces.append("[[")
        if opened and "]]" in gap:
            _close(pieces, opened, gap, is_elsewhere)
        else:
            pieces.append(gap)
    return "".join(pieces)


def _close(
    pieces: list[str], opened: list[int], gap: str, is_elsewhere: Callable[[str], bool]
) -> None:
    """Add text whose `]]` end the links that begin at some of the pieces."""
    first, *others = gap.split("]]")
    pieces.append(first)
    for other in others:
        if opened:
            begin = opened.pop()
            pieces[begin:] = [_shown("".join(pieces[begin + 1 :]), is_elsewhere)]
        else:
            pieces.append("]]")
        pieces.append(other)


def _shown(inner: str, is_elsewhere: Callable[[str], bool]) -> str:
    target, bar, label = inner.partition("|")
    if _NAMESPACE_SIGNS.search(target) and is_elsewhere(target[:1000]):
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
