"""What kind of page an article is: disambiguation, list, date, name or set index, as flags.

Rules are the conventions of the larger Wikipedias: a template or magic word in the text, or the shape
of the title. A flag never removes a page by itself; `AliasConfig` decides.
"""

# ruff: noqa: RUF001 (letters of other scripts are the content)

import re

DISAMBIGUATION = "disambiguation"
LIST = "list"
DATE = "date"
NAME = "name"
SET_INDEX = "set_index"

_TEMPLATES = {
    DISAMBIGUATION: (
        r"disambig(?:uation)?(?: page)?(?:[ -]cleanup)?|dab|dp|hndis|geodis|numberdis|letter[ -]?number"
        r" combination disambiguation|human name disambiguation|place name disambiguation|mathdab"
        r"|begriffskl[äa]rung|bks|homonymie|paronymie|desambiguaci[óo]n|desambiguação|disambigua"
        r"|doorverwijspagina|dp-intro|gren(?:sida|förgrening)|ujednoznacznienie|неоднозначность"
        r"|неоднозначність|многозначност|rozcestník|egyért(?:-redir)?|täpsustuslehekülg|täsmennyssivu"
        r"|anlam ayrımı|توضيح|ابهام‌زدایی|פירושונים|消歧[义義](?:页|頁)?|disambig-cleanup|aimai|曖昧さ回避"
        r"|동음이의|định hướng|nuzeimu škiršona|nozīmju atdalīšana|flertydig|flertydighet"
    ),
    SET_INDEX: r"set index(?: article)?|sia|shipindex|mountainindex|roadindex|sportindex",
    NAME: r"surname|given name|hndis-surname|family name|nickname|prénom|patronyme|familienname|vorname",
}
_TEMPLATE_FLAGS = re.compile(
    r"\{\{\s*(?:"
    + "|".join(f"(?P<{flag}>{names})" for flag, names in _TEMPLATES.items())
    + r")\s*(?=[|}\n])",
    re.IGNORECASE,
)
_TITLE_BRACKET = re.compile(
    r"\((?P<disambiguation>disambiguation|begriffsklärung|homonymie|desambiguación|desambiguação"
    r"|disambigua|doorverwijspagina|消歧义|消歧義|曖昧さ回避|значения|olika betydelser)\)$"
    r"|\((?P<name>surname|given name|name|familienname|vorname)\)$",
    re.IGNORECASE,
)
_LIST_TITLE = re.compile(
    r"(?:lists? of |index of |outline of |timeline of |liste? (?:der|des|von|de|du|d')\s?|lista de |"
    r"lijst van |список |列表$)|.*列表$",
    re.IGNORECASE,
)
_MONTHS = (
    "january|february|march|april|may|june|july|august|september|october|november|december"
    "|januar|februar|märz|mai|juni|juli|oktober|dezember"
    "|janvier|février|mars|avril|juin|juillet|août|septembre|octobre|novembre|décembre"
)
_DATE_TITLE = re.compile(
    rf"(?:(?:{_MONTHS}) \d{{1,2}}|\d{{1,2}}(?:er|\.)? (?:{_MONTHS})"  # day of the year
    rf"|(?:{_MONTHS}) \d{{4}}"
    r"|(?:ad )?\d{1,4}(?: (?:bce?|ad|ce))?|\d{1,4}(?:年|\. gads)?"  # year
    r"|\d{1,4}s(?: bce?)?|\d{1,2}(?:st|nd|rd|th) (?:century|millennium)(?: bce?)?"
    r"|\d{1,2}月\d{1,2}日|\d{4} in .+|\d{1,2}(?:\. jahrhundert|世紀|世纪))",
    re.IGNORECASE,
)
_MAGIC_WORD = "__DISAMBIG__"


def page_flags(title: str, text: str) -> list[str]:
    """Return the flags of an article, sorted.

    >>> page_flags("Jaguar", "'''Jaguar''' may mean: {{disambiguation}}")
    ['disambiguation']
    >>> page_flags("List of films", "")
    ['list']
    """
    flags = {match.lastgroup for match in _TEMPLATE_FLAGS.finditer(text)}
    bracket = _TITLE_BRACKET.search(title)
    if bracket:
        flags.add(bracket.lastgroup)
    if _MAGIC_WORD in text:
        flags.add(DISAMBIGUATION)
    if _LIST_TITLE.match(title):
        flags.add(LIST)
    if _DATE_TITLE.fullmatch(title):
        flags.add(DATE)
    return sorted(flag for flag in flags if flag)
