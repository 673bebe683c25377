"""Verdicts against a slow second writing of the rule, and against cases decided on paper."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alias_tables.lookup import NO_ENTITY
from entity_linking.judgements import UNKNOWN_ENTITY, Label, Link, judge

REQUIRED, OPTIONAL, IGNORED, NIL = "required", "optional", "ignored", "nil"


def counts(labels, links, rule="strong"):
    """(units, right units, counted links, right links)."""
    verdicts = judge(labels, links, rule)
    counted = [link.right for link in verdicts.links if link.right is not None]
    return len(verdicts.units), sum(u.right for u in verdicts.units), len(counted), sum(counted)


@pytest.mark.parametrize(
    ("labels", "links", "expected"),
    [
        ([(0, 4, 7, REQUIRED)], [(0, 4, 7)], (1, 1, 1, 1)),
        ([(0, 4, 7, REQUIRED)], [(0, 4, 8)], (1, 0, 1, 0)),
        ([(0, 4, 7, REQUIRED)], [(0, 3, 7)], (1, 0, 1, 0)),
        ([(0, 4, 7, REQUIRED)], [], (1, 0, 0, 0)),
        ([(0, 4, 7, REQUIRED)], [(0, 4, 7), (9, 12, 7)], (1, 1, 2, 1)),
        ([(0, 4, 7, OPTIONAL)], [(0, 4, 7)], (0, 0, 0, 0)),
        ([(0, 4, 7, OPTIONAL)], [(0, 4, 8)], (0, 0, 1, 0)),
        ([(0, 4, 7, IGNORED)], [(0, 4, 8)], (0, 0, 0, 0)),
        ([(0, 4, NO_ENTITY, NIL)], [(0, 4, 8)], (0, 0, 1, 0)),
        ([(0, 4, NO_ENTITY, NIL)], [(0, 4, NO_ENTITY)], (0, 0, 0, 0)),
        ([(0, 4, UNKNOWN_ENTITY, REQUIRED)], [(0, 4, 8)], (1, 0, 1, 0)),
        # two readings of one span: either is right
        ([(0, 4, 7, REQUIRED), (0, 4, 8, REQUIRED)], [(0, 4, 8)], (1, 1, 1, 1)),
        ([(0, 4, 7, REQUIRED), (0, 4, 8, IGNORED)], [(0, 4, 8)], (1, 0, 1, 0)),
        # "Christian III, Duke of Zweibrücken": the whole, or both inside it
        ([(0, 9, 1, REQUIRED), (0, 3, 1, REQUIRED), (5, 9, 2, REQUIRED)], [(0, 9, 1)], (1, 1, 1, 1)),
        ([(0, 9, 1, REQUIRED), (0, 3, 1, REQUIRED), (5, 9, 2, REQUIRED)], [(0, 3, 1), (5, 9, 2)], (1, 1, 2, 2)),
        ([(0, 9, 1, REQUIRED), (0, 3, 1, REQUIRED), (5, 9, 2, REQUIRED)], [(0, 3, 1)], (1, 0, 1, 1)),
        ([(0, 9, 1, REQUIRED), (0, 3, 1, REQUIRED), (5, 9, 2, OPTIONAL)], [(0, 3, 1)], (1, 1, 1, 1)),
        # three deep: the middle one by what is inside it
        ([(0, 9, 1, REQUIRED), (0, 6, 2, REQUIRED), (0, 3, 3, REQUIRED)], [(0, 3, 3)], (1, 1, 1, 1)),
        # inside a NIL or a value a name still counts
        ([(0, 9, NO_ENTITY, NIL), (0, 3, 3, REQUIRED)], [(0, 3, 3)], (1, 1, 1, 1)),
        # crossing ones are two
        ([(0, 5, 1, REQUIRED), (3, 8, 2, REQUIRED)], [(0, 5, 1), (3, 8, 9)], (2, 1, 2, 1)),
    ],
)  # fmt: skip
def test_cases_decided_on_paper(labels, links, expected):
    assert counts([Label(*label) for label in labels], [Link(*link) for link in links]) == expected


def test_weak_asks_for_one_character_in_common():
    labels = [Label(0, 4, 7, REQUIRED), Label(6, 9, 8, REQUIRED)]
    assert counts(labels, [Link(3, 7, 8)], "weak") == (2, 1, 1, 1)
    assert counts(labels, [Link(4, 6, 7)], "weak") == (2, 0, 1, 0)
    assert counts(labels, [Link(3, 7, 8)]) == (2, 0, 1, 0)


def test_spans_are_judged_without_the_entity():
    verdicts = judge(
        [Label(0, 4, 7, REQUIRED), Label(5, 8, 1, OPTIONAL), Label(9, 12, NO_ENTITY, NIL)],
        [Link(0, 4, 8), Link(5, 8, 2), Link(9, 12, 3), Link(20, 21, 3)],
    )
    assert [link.span_right for link in verdicts.links] == [True, None, False, False]
    assert [(unit.found, unit.right) for unit in verdicts.units] == [(True, False)]


def test_nil_is_what_the_table_cannot_name():
    labels = [
        Label(0, 1, NO_ENTITY, NIL),
        Label(2, 3, UNKNOWN_ENTITY, REQUIRED),
        Label(4, 5, 7, REQUIRED),
        Label(6, 7, NO_ENTITY, NIL),
        Label(8, 9, UNKNOWN_ENTITY, OPTIONAL),
    ]
    marks = [Link(start, start + 1, NO_ENTITY) for start in (0, 2, 4, 8, 10)]
    verdicts = judge(labels, marks)
    assert verdicts.nil_labels == [(0, True), (1, True), (3, False)]
    assert verdicts.nil_marks == [(0, True), (1, True), (2, False)], (
        "places without gold do not count"
    )


@dataclass
class Node:
    """A required span of the slow writing."""

    span: tuple[int, int]
    entities: set[int]
    inside: list["Node"] = field(default_factory=list)


def stands_at(link, span, rule):
    if rule == "strong":
        return (link.start, link.stop) == span
    return max(link.start, span[0]) < min(link.stop, span[1])


def holds(outer, inner):
    return outer != inner and outer[0] <= inner[0] and inner[1] <= outer[1]


def outermost(labels):
    """Required spans as trees, containment tried pair by pair."""
    required = [label for label in labels if label.standing == REQUIRED]
    nodes = {(x.start, x.stop): Node((x.start, x.stop), set()) for x in required}
    for label in required:
        nodes[label.start, label.stop].entities.add(label.entity)
    roots = []
    for span, node in nodes.items():
        holders = [other for other in nodes if holds(other, span)]
        direct = [one for one in holders if not any(holds(one, other) for other in holders)]
        if direct:  # of crossing holders the one that starts last
            nodes[max(direct)].inside.append(node)
        else:
            roots.append(node)
    return roots


def slow_counts(labels, links, rule):
    """The rule once more: trees of spans, and links tried one by one."""
    named = [link for link in links if link.entity != NO_ENTITY]

    def right(node):
        at = {link.entity for link in named if stands_at(link, node.span, rule)}
        return bool(at & node.entities) or (bool(node.inside) and all(map(right, node.inside)))

    counted = []
    for link in named:
        here = [x for x in labels if stands_at(link, (x.start, x.stop), rule)]
        meant = {x.standing for x in here if x.entity == link.entity}
        if REQUIRED in meant:
            counted.append(True)
        elif OPTIONAL not in meant and (not here or any(x.standing != IGNORED for x in here)):
            counted.append(False)
    roots = outermost(labels)
    return len(roots), sum(map(right, roots)), len(counted), sum(counted)


def spans_of(limit):
    return st.tuples(st.integers(0, limit), st.integers(1, 4)).map(lambda one: (one[0], sum(one)))


@st.composite
def gold(draw):
    labels = []
    for start, stop in draw(st.lists(spans_of(8), max_size=6)):
        standing = draw(st.sampled_from([REQUIRED, REQUIRED, OPTIONAL, IGNORED, NIL]))
        entity = NO_ENTITY if standing == NIL else draw(st.sampled_from([1, 2, UNKNOWN_ENTITY]))
        labels.append(Label(start, stop, entity, standing))
    return labels


links_of = st.lists(
    st.tuples(spans_of(8), st.integers(0, 3)).map(lambda one: Link(*one[0], one[1])), max_size=5
)


@given(gold(), links_of, st.sampled_from(["strong", "weak"]))
def test_verdicts_are_those_of_the_slow_writing(labels, links, rule):
    assert counts(labels, links, rule) == slow_counts(labels, links, rule)


@given(gold(), links_of, st.sampled_from(["strong", "weak"]), st.randoms(use_true_random=False))
def test_order_changes_nothing(labels, links, rule, random):
    shuffled_labels, shuffled_links = (
        random.sample(labels, len(labels)),
        random.sample(links, len(links)),
    )
    assert counts(shuffled_labels, shuffled_links, rule) == counts(labels, links, rule)


@given(gold())
def test_gold_given_back_is_right_everywhere(labels):
    asked = [label for label in labels if label.standing == REQUIRED and label.entity > 0]
    asked = list({(x.start, x.stop): x for x in asked}.values())
    n_units, n_right, n_links, n_links_right = counts(asked, [Link(*label[:3]) for label in asked])
    assert (n_right, n_links_right) == (n_units, n_links)
    assert n_links == len(asked)


@given(gold(), links_of)
def test_whoever_is_right_by_the_strong_rule_is_right_by_the_weak(labels, links):
    strong, weak = judge(labels, links), judge(labels, links, "weak")
    for one, other in zip(strong.units, weak.units, strict=True):
        assert other.right >= one.right
        assert other.found >= one.found


def test_deep_nesting_and_long_documents_cost_no_recursion():
    labels = [Label(i, 4000 - i, 1 + i, REQUIRED) for i in range(1500)]
    assert counts(labels, [Link(1499, 2501, 1500)]) == (1, 1, 1, 1)
