"""`mekb recommend` and `mekb explain`: the library's answers, as a table, as JSON and a line of JSON each."""

import json

import pytest

from mekb import api


@pytest.fixture(scope="module")
def bundle(project):
    return api.open_bundle(project.bundle)


def test_a_line_of_json_for_each_item(mekb, project, bundle):
    ran = mekb("recommend", project.bundle, "--interests", "jazz", "-k", "4", "--format", "jsonl")
    assert ran.code == 0, ran.err
    lines = [json.loads(line) for line in ran.out.splitlines()]
    expected = api.recommend(bundle, interests=["jazz"], k=4).recommendations
    assert [line["item"] for line in lines] == [one.item for one in expected]
    for line in lines:
        for reason in line["reasons"]:
            (place,) = reason["evidence"]
            assert (place["field"], place["surface"]) == ("interest", "jazz")
            assert (place["start"], place["stop"], reason["n_evidence"]) == (0, 4, 1)


def test_an_item_is_explained_as_by_the_library(mekb, project, bundle):
    text = "Miles Davis, and Dune"
    ran = mekb("explain", project.bundle, "f082", "--text", text, "--format", "json")
    assert ran.code == 0, ran.err
    shown, told = json.loads(ran.out), api.explain(bundle, "f082", text=text)
    assert (shown["rank"], shown["n_items"]) == (told.rank, told.n_items)
    assert [one["title"] for one in shown["reasons"]] == [one.title for one in told.reasons]
    for one in shown["reasons"]:
        for place in one["evidence"]:
            assert text[place["start"] : place["stop"]] == place["surface"]
    lines = mekb("explain", project.bundle, "f082", "--text", text, "--format", "jsonl").out
    assert [json.loads(line) for line in lines.splitlines()] == shown["reasons"]


def test_a_user_of_the_store_has_places_in_their_items(mekb, project, bundle):
    ran = mekb(
        *("explain", project.bundle, "f001", "--user", project.newcomer, "--store", project.store),
        *("--format", "json"),
    )
    assert ran.code == 0, ran.err
    places = [at for one in json.loads(ran.out)["reasons"] for at in one["evidence"]]
    assert len(places) > 5
    for at in places:
        items = bundle.items[at["domain"]]
        assert items.titles[items.row_of[at["item"]]] == at["title"]


def test_the_table_says_rank_contribution_and_place(mekb, project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    ran = mekb("explain", project.bundle, "f082", "--interests", "Jazz")
    assert ran.code == 0, ran.err
    assert "Whiplash (2014) (f082): rank " in ran.out
    assert '"Jazz" 0-4 of the interest, P 1.00' in ran.out


def test_what_is_not_there_is_named(mekb, project):
    ran = mekb("explain", project.bundle, "nope", "--interests", "Jazz")
    assert (ran.code, ran.err) == (1, "mekb: no item 'nope' in 'films'\n")
    ran = mekb("explain", project.bundle, "f001")
    assert ran.code == 1
    assert "give one of" in ran.err
