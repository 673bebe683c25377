"""What of a text's links is right: gold labels and links in, verdicts out. Pure; no table, no linker.

A link stands *at* a label by the rule: `strong`, the same start and stop; `weak`, one code point in common.

Gold labels may nest: "Christian III, Duke of Zweibrücken" is a person, and inside it stand a person and a
place. What lies inside another is another reading of it, so only the outermost required labels are *units*,
and a unit is right if a link at it names an entity of one of the labels of its span, or else if each label
that lies directly inside it is right in the same way. Flat gold makes this the usual count.

Links are judged one by one, by the labels they stand at: right with the entity of a required label; not
counted with that of an optional one, or where all labels are to be ignored; wrong otherwise, gold NIL included.
Without an entity (`NO_ENTITY`) a link is a mark of NIL, judged apart.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from alias_tables.lookup import NO_ENTITY
from entity_linking.gold import Standing

Rule = Literal["strong", "weak"]

UNKNOWN_ENTITY: Final = -1
"""An entity that the alias table does not hold: no link can name it, and marking it NIL is right."""


class Label(NamedTuple):
    """A gold mention, its entity looked up."""

    start: int
    stop: int
    entity: int
    """`NO_ENTITY` for NIL, `UNKNOWN_ENTITY` for one the table does not hold."""
    standing: Standing


class Link(NamedTuple):
    """A span and the entity a linker gave it, `NO_ENTITY` where it found a name and linked nobody."""

    start: int
    stop: int
    entity: int


class Unit(NamedTuple):
    """A gold mention that counts once."""

    label: int
    """Its place among the labels."""
    found: bool
    """A link to whatever entity stands at it, or at each that lies directly inside it."""
    right: bool


class LinkVerdict(NamedTuple):
    """A link judged; None: it does not count."""

    link: int
    """Its place among the links."""
    span_right: bool | None
    right: bool | None


class NilVerdict(NamedTuple):
    """A gold NIL and whether it was marked, or a mark at a gold mention and whether that is NIL."""

    place: int
    right: bool


class Verdicts(NamedTuple):
    """All that is said of one text."""

    units: list[Unit]
    links: list[LinkVerdict]
    nil_labels: list[NilVerdict]
    nil_marks: list[NilVerdict]


def judge(labels: Sequence[Label], links: Sequence[Link], rule: Rule = "strong") -> Verdicts:
    """Return the verdicts on the links of one text; the order of labels and links changes nothing else.

    >>> gold = [Label(0, 4, 7, "required"), Label(10, 14, 8, "required")]
    >>> verdicts = judge(gold, [Link(0, 4, 7), Link(10, 12, 8)])
    >>> [unit.right for unit in verdicts.units], [link.right for link in verdicts.links]
    ([True, False], [True, False])
    """
    at = _labels_at(labels, links, rule)
    linked = [n for n, link in enumerate(links) if link.entity != NO_ENTITY]
    marks = [n for n, link in enumerate(links) if link.entity == NO_ENTITY]
    is_nil = [_is_nil(label) for label in labels]
    marked = {place for mark in marks for place in at[mark]}
    return Verdicts(
        _units(labels, links, {n: at[n] for n in linked}),
        [_link_verdict(n, links[n], [labels[place] for place in at[n]]) for n in linked],
        [NilVerdict(n, n in marked) for n in range(len(labels)) if is_nil[n]],
        [
            NilVerdict(n, any(is_nil[place] for place in at[n]))
            for n in marks
            if any(is_nil[place] or labels[place].standing == "required" for place in at[n])
        ],
    )


def _is_nil(label: Label) -> bool:
    """Whether there is no entity of the table to link."""
    return label.standing == "nil" or (
        label.standing == "required" and label.entity == UNKNOWN_ENTITY
    )


def _labels_at(labels: Sequence[Label], links: Sequence[Link], rule: Rule) -> list[list[int]]:
    """For each link the places of the labels it stands at."""
    spans: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    characters: defaultdict[int, list[int]] = defaultdict(list)
    for n, label in enumerate(labels):
        if rule == "strong":
            spans[label.start, label.stop].append(n)
        else:
            for character in range(label.start, label.stop):
                characters[character].append(n)
    if rule == "strong":
        return [spans.get((link.start, link.stop), []) for link in links]
    return [
        sorted({place for at in range(link.start, link.stop) for place in characters.get(at, ())})
        for link in links
    ]


def _units(labels: Sequence[Label], links: Sequence[Link], at: dict[int, list[int]]) -> list[Unit]:
    """The outermost required labels, judged from the inside out."""
    spans: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for n, label in enumerate(labels):
        if label.standing == "required":
            spans[label.start, label.stop].append(n)
    order = sorted(spans, key=lambda span: (span[0], -span[1]))
    parents = _parents(order)
    met: defaultdict[int, set[int]] = defaultdict(set)
    for n, places in at.items():
        for place in places:
            met[place].add(links[n].entity)
    found, right = [False] * len(order), [False] * len(order)
    inside: list[list[int]] = [[] for _ in order]
    for row in reversed(range(len(order))):
        own = spans[order[row]]
        found[row] = any(met[place] for place in own) or (
            bool(inside[row]) and all(found[child] for child in inside[row])
        )
        right[row] = any(labels[place].entity in met[place] for place in own) or (
            bool(inside[row]) and all(right[child] for child in inside[row])
        )
        parent = parents[row]
        if parent is not None:
            inside[parent].append(row)
    return [
        Unit(spans[span][0], found[row], right[row])
        for row, span in enumerate(order)
        if parents[row] is None
    ]


def _parents(spans: Sequence[tuple[int, int]]) -> list[int | None]:
    """For each of the spans, sorted outermost first, the innermost earlier one it lies in."""
    parents: list[int | None] = []
    open_rows: list[int] = []
    for row, (_, stop) in enumerate(spans):
        while open_rows and spans[open_rows[-1]][1] < stop:
            open_rows.pop()
        parents.append(open_rows[-1] if open_rows else None)
        open_rows.append(row)
    return parents


def _link_verdict(place: int, link: Link, labels: Sequence[Label]) -> LinkVerdict:
    """One link, by the labels it stands at."""
    standings = {label.standing for label in labels}
    named = {label.standing for label in labels if label.entity == link.entity}
    if "required" in standings:
        span_right: bool | None = True
    elif standings and standings <= {"optional", "ignored"}:
        span_right = None
    else:
        span_right = False
    if "required" in named:
        return LinkVerdict(place, span_right=True, right=True)
    if "optional" in named or standings == {"ignored"}:
        return LinkVerdict(place, span_right=None, right=None)
    return LinkVerdict(place, span_right=span_right, right=False)
