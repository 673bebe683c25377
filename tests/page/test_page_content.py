"""What the page is given: mentions cut out of their texts, the relations that tell most, what was recommended."""

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mekb import api
from mekb.page.content import CUT, content_of, cut_around
from mekb.page.read import read_relations, read_texts


@given(st.text(), st.data())
def test_what_stands_around_a_mention_is_the_text(text, data):
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, len(text)))
    before, after = cut_around(text, start, stop, context=5)
    expected = text[max(0, start - 5) : start], text[stop : stop + 5]
    assert before == (CUT if start > 5 else "") + expected[0]
    assert after == expected[1] + (CUT if len(text) - stop > 5 else "")


def test_mentions_are_the_surest_first_and_stand_in_their_text(content):
    mars = content.interests[0]
    assert [at.score for at in mars.passages] == [0.9, 0.25]
    first, second = mars.passages
    assert second.before + second.surface + second.after == (
        "A boy from Mars meets 🚀 a girl from Paris, who never saw Mars."
    )
    assert (second.start, second.stop) == (11, 15)
    assert first.before.endswith("who never saw ")
    assert content.items[first.item].id == "b1"
    assert content.domains == ("books", "films")


def test_a_text_that_says_something_else_is_not_shown_around_a_mention(project):
    graph = api.user_graph(project.store, "u00001")
    moved = {(at.domain, at.item): "another text" for one in graph.interests for at in one.evidence}
    for shown in content_of(graph, moved).interests:
        for at in shown.passages:
            assert at.field != "text" or (at.before, at.after) == ("", "")


def test_a_real_profile_is_shown_whole(project):
    graph = api.user_graph(project.store, "u00001")
    with api.opened(project.store) as store:
        texts = read_texts(store, "u00001")
    shown = content_of(graph, texts)
    assert len(shown.interests) == len(graph.interests)
    n_in_text = 0
    for mine, given_one in zip(shown.interests, graph.interests, strict=True):
        assert {at.surface for at in mine.passages} == {at.surface for at in given_one.evidence}
        assert mine.weight == given_one.weight
        for at in mine.passages:
            item = shown.items[at.item]
            text = {"text": texts[item.domain, item.id], "title": item.title}.get(at.field)
            if text is not None:
                assert text[at.start : at.stop] == at.surface
                assert (at.before + at.surface + at.after).strip(CUT) in text
                n_in_text += at.field == "text" and bool(at.before or at.after)
    assert n_in_text > 0


@pytest.fixture
def related(own_project):
    """A store with relations: everything is an instance of one thing, one pair is told by one more."""
    with api.opened(own_project.store) as store:
        ids = [
            row[0]
            for row in store.connection.execute(
                "select entity_id from entities where entity_id < 2000000000 order by 1 limit 5"
            ).fetchall()
        ]
    file = own_project.folder / "triples.tsv"
    rows = [f"Q{one}\tP31\tQ{ids[0]}" for one in ids] + [
        f"Q{ids[1]}\tP144\tQ{ids[2]}",
        f"Q{ids[1]}\tP9999\tQ999999999",
    ]
    file.write_text("subject\tpredicate\tobject\n" + "\n".join(rows) + "\n", encoding="utf-8")
    api.import_relations(own_project.store, file)
    return own_project.store, ids


def test_the_rarest_relations_come_first_and_only_named_ones(related):
    path, ids = related
    with api.opened(path) as store:
        found = read_relations(store, ids)
        labels = dict(store.connection.execute("select entity_id, label from entities").fetchall())
        one_each = read_relations(store, ids, most=1)
    statements = {
        number: [(at.predicate, at.other, at.is_object) for at in found if at.interest == number]
        for number in ids
    }
    assert statements[ids[1]] == [("P144", ids[2], False), ("P31", ids[0], False)]
    assert statements[ids[2]] == [("P144", ids[1], True), ("P31", ids[0], False)]
    assert statements[ids[0]] == [("P31", one, True) for one in ids[1:]]
    assert all(at.label == labels[at.other] for at in found)
    assert [at.predicate for at in one_each if at.interest == ids[1]] == ["P144"]


def test_a_store_without_relations_has_none(project):
    with api.opened(project.store) as store:
        assert read_relations(store, [1, 2, 3]) == ()


def test_recommendations_are_those_of_the_api(project):
    asked = {"user": project.newcomer, "store": project.store, "k": 3}
    expected = api.recommend(project.bundle, **asked)
    from mekb.page.content import shown_answer

    shown = asdict(shown_answer(expected, "films"))
    assert [one["item"] for one in shown["recommendations"]] == [
        one.item for one in expected.recommendations
    ]
    assert [
        [(why["title"], why["contribution"]) for why in one["reasons"]]
        for one in shown["recommendations"]
    ] == [
        [(why.title, why.contribution) for why in one.reasons] for one in expected.recommendations
    ]
    assert replace(expected).fallback == shown["fallback"]
