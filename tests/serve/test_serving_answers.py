"""What is answered over HTTP is what the library answers, and evidence leads to the very characters."""
# ruff: noqa: D102  (a test's name is its docstring)

import json

import pytest

from mekb import api
from mekb.interests import liked_items
from mekb.store import Store


@pytest.fixture(scope="module")
def histories(project):
    """Liked items of some users of the store, as lines."""
    with Store.open(project.store) as store:
        names = [*store.read("users")["external_id"].to_pylist()[:6], project.newcomer]
        found = {name: liked_items(store, name) for name in names}
    return {name: [f"{d}:{item}" for d, item in pairs] for name, pairs in found.items()}


@pytest.fixture(scope="module")
def texts(project):
    """(domain, item) -> its row as it was imported."""
    lines = (project.folder / "items.jsonl").read_text(encoding="utf-8").splitlines()
    return {(row["domain"], row["item_id"]): row for row in map(json.loads, lines)}


def asked(client, path, **question):
    answer = client.post(path, json=question)
    assert answer.status_code == 200, answer.text
    return answer.json()


def check_places(places, texts, given=""):
    """Hold each place of evidence to the text as it was imported, or as it was sent."""
    for at in places:
        if at["item"] is None:
            written = given if at["field"] == "written" else at["surface"]
            assert written[at["start"] : at["stop"]] == at["surface"]
            continue
        row = texts[at["domain"], at["item"]]
        fields = row["categories"] if at["field"] == "categories" else [row[at["field"]]]
        assert at["surface"] in [field[at["start"] : at["stop"]] for field in fields]
        assert at["item_title"] == row["title"]
        assert 0 < at["prior"] <= 1


class TestRecommend:
    """Items."""

    def test_a_history_is_answered_as_by_the_library(self, client, bundle, histories):
        for history in histories.values():
            found = asked(client, "/recommend", history=history, k=4)
            expected = api.recommend(bundle, history=history, k=4)
            shown, told = found["recommendations"], expected.recommendations
            assert [one["item"] for one in shown] == [one.item for one in told]
            assert [one["score"] for one in shown] == pytest.approx([one.score for one in told])
            for mine, theirs in zip(shown, told, strict=True):
                assert [r["entity_id"] for r in mine["reasons"]] == [
                    r.entity_id for r in theirs.reasons
                ]
                assert [r["n_evidence"] for r in mine["reasons"]] == [
                    r.n_evidence for r in theirs.reasons
                ]
            assert found["bundle"] == bundle.digest

    def test_reasons_lead_to_the_characters(self, client, histories, texts):
        n_places = 0
        for history in histories.values():
            for one in asked(client, "/recommend", history=history, k=5)["recommendations"]:
                for reason in one["reasons"]:
                    assert reason["evidence"]
                    check_places(reason["evidence"], texts)
                    n_places += len(reason["evidence"])
        assert n_places > 50

    def test_interests_and_texts_are_answered_as_by_the_library(self, client, bundle):
        for given in ({"interests": ["Jazz", "Q55400"]}, {"text": "Miles Davis, and Dune"}):
            found = asked(client, "/recommend", **given, explain=False)
            expected = api.recommend(bundle, **given, explain=False)
            items = [one["item"] for one in found["recommendations"]]
            assert items == [one.item for one in expected.recommendations]
            assert all(not one["reasons"] for one in found["recommendations"])

    def test_an_unchanged_profile_sent_back_changes_nothing(self, client, histories):
        for history in histories.values():
            profile = asked(client, "/profile", history=history)
            weights = [
                {"entity_id": one["entity_id"], "weight": one["weight"]}
                for one in profile["interests"]
            ]
            plain = asked(client, "/recommend", history=history)
            again = asked(client, "/recommend", history=history, interests=weights)
            for mine, theirs in zip(
                again["recommendations"], plain["recommendations"], strict=True
            ):
                assert mine["item"] == theirs["item"]
                assert mine["score"] == pytest.approx(theirs["score"], abs=1e-5)
                assert [r["evidence"] for r in mine["reasons"]] == [
                    r["evidence"] for r in theirs["reasons"]
                ]

    def test_a_removed_interest_carries_nothing_and_an_added_one_does(self, client, histories):
        history = max(histories.values(), key=len)
        plain = asked(client, "/recommend", history=history, k=20)
        gone = plain["recommendations"][0]["reasons"][0]["entity_id"]
        profile = asked(client, "/profile", history=history)["interests"]
        assert gone in {one["entity_id"] for one in profile}
        kept = [
            {"entity_id": one["entity_id"], "weight": one["weight"]}
            for one in profile
            if one["entity_id"] != gone
        ]
        without = asked(client, "/recommend", history=history, interests=kept, k=20)
        reasons = {r["entity_id"] for one in without["recommendations"] for r in one["reasons"]}
        assert gone not in reasons
        scores = [
            [one["score"] for one in answer["recommendations"]] for answer in (plain, without)
        ]
        assert scores[0] != scores[1]
        added = [*kept, {"name": "Jazz", "weight": 5.0}]
        with_jazz = asked(client, "/explain", history=history, interests=added, item="f082")
        (jazz,) = [one for one in with_jazz["reasons"] if one["title"] == "Jazz"]
        assert jazz["n_evidence"]

    def test_seen_blocked_and_categories_count(self, client, histories):
        history = max(histories.values(), key=len)
        seen = {line.partition(":")[2] for line in history if line.startswith("films:")}
        items = [
            one["item"]
            for one in asked(client, "/recommend", history=history, k=1000, explain=False)[
                "recommendations"
            ]
        ]
        assert not seen & set(items)
        blocked = asked(
            client, "/recommend", history=history, blocked=items[:2], k=3, explain=False
        )
        assert [one["item"] for one in blocked["recommendations"]] == items[2:5]

    def test_nobody_known_is_shown_what_is_popular(self, client, bundle):
        for given in ({"history": []}, {"interests": []}):
            found = asked(client, "/recommend", **given, k=3)
            assert found["fallback"] == "popularity"
            counts = bundle.items["films"].n_users
            first = found["recommendations"][0]
            assert first["score"] == counts.max()

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({}, "give a history, interests, or a text"),
            ({"history": ["b001"], "text": "jazz"}, "not both"),
            ({"history": ["b001"], "interests": ["Jazz"]}, "give every interest a weight"),
            ({"interests": ["Jazz", {"name": "Dune", "weight": 1.0}]}, "or none of them"),
            ({"interests": [{"entity_id": 4_294_967_295}]}, "is of no item here"),
            ({"interests": [{"weight": 1.0}]}, "give an entity_id or a name"),
            ({"interests": ["Jazz"], "k": "5"}, "'k'"),
            ({"interests": ["Jazz"], "k": 0}, "'k'"),
            ({"interests": ["Jazz"], "kk": 5}, "there is no 'kk'"),
            ({"history": ["nope"]}, "no item 'nope'"),
            ({"interests": ["Jazz"], "categories": ["nope"]}, "no category or brand 'nope'"),
        ],
    )
    def test_what_cannot_be_used_is_told_in_a_line(self, client, given, says):
        answer = client.post("/recommend", json=given)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert says in answer.json()["detail"]


class TestProfile:
    """Interests with their evidence."""

    def test_it_is_the_graph_of_the_store(self, client, project):
        """A user's own graph in the store, made by SQL over all their items, has the same evidence."""
        for user in ("u00001", project.newcomer):
            graph = api.user_graph(project.store, user)
            with Store.open(project.store) as store:
                history = [f"{d}:{item}" for d, item in liked_items(store, user)]
            found = asked(client, "/profile", history=history, max_evidence=1000)["interests"]
            expected = {
                one.entity_id: {
                    (at.domain, at.item, at.field, at.start, at.stop, at.surface)
                    for at in one.evidence
                }
                for one in graph.interests
            }
            assert len(found) > 10
            for one in found:
                places = {
                    tuple(at[k] for k in ("domain", "item", "field", "start", "stop", "surface"))
                    for at in one["evidence"]
                }
                assert places == expected[one["entity_id"]]
                assert one["n_evidence"] == len(places)
            assert sum(one["weight"] for one in found) == pytest.approx(1.0)
            weights = [one["weight"] for one in found]
            assert weights == sorted(weights, reverse=True)

    def test_a_text_is_its_own_evidence(self, client, texts):
        text = "I 💙 jazz: Miles Davis, jazz again, and Hayao Miyazaki."
        found = asked(client, "/profile", text=text)["interests"]
        by_title = {one["title"]: one for one in found}
        assert by_title["Jazz"]["n_evidence"] == 2
        for one in found:
            check_places(one["evidence"], texts, text)

    def test_evidence_is_kept_short_where_asked_for(self, client, histories):
        history = max(histories.values(), key=len)
        short = asked(client, "/profile", history=history, max_evidence=1)["interests"]
        whole = asked(client, "/profile", history=history, max_evidence=1000)["interests"]
        assert [one["n_evidence"] for one in short] == [len(one["evidence"]) for one in whole]
        assert all(len(one["evidence"]) == 1 for one in short)
        assert any(one["n_evidence"] > 1 for one in short)


class TestExplain:
    """Any item."""

    def test_rank_and_score_are_those_of_the_whole_list(self, client, histories):
        history = max(histories.values(), key=len)
        everything = asked(client, "/recommend", history=history, k=1000, seen=True, explain=False)[
            "recommendations"
        ]
        for place in (0, 7, len(everything) - 1):
            one = everything[place]
            found = asked(client, "/explain", history=history, item=one["item"])
            assert found["rank"] == one["rank"]
            assert found["score"] == pytest.approx(one["score"], rel=1e-6, abs=1e-5)
            assert found["n_items"] == len(everything)
            sizes = [abs(reason["contribution"]) for reason in found["reasons"]]
            assert sizes == sorted(sizes, reverse=True)

    def test_its_strongest_reasons_are_those_of_the_recommendation(self, client, histories):
        history = max(histories.values(), key=len)
        for one in asked(client, "/recommend", history=history, k=3)["recommendations"]:
            found = asked(client, "/explain", history=history, item=one["item"])
            best = sorted(found["reasons"], key=lambda reason: -reason["contribution"])
            gains = [reason["contribution"] for reason in best[: len(one["reasons"])]]
            assert gains == pytest.approx(
                [reason["contribution"] for reason in one["reasons"]], abs=1e-4
            )

    def test_a_seen_item_is_said_to_be(self, client):
        found = asked(client, "/explain", history=["films:f001", "b001"], item="f001")
        assert found["seen"] is True
        assert asked(client, "/explain", history=["b001"], item="f001")["seen"] is False

    def test_an_unknown_item_is_refused_with_one_like_it(self, client):
        answer = client.post("/explain", json={"interests": ["Jazz"], "item": "f0011"})
        assert answer.status_code == 422
        assert "no item 'f0011' in 'films'; did you mean f" in answer.json()["detail"]

    def test_the_library_says_the_same(self, client, bundle):
        found = asked(client, "/explain", text="Miles Davis and Dune", item="f082")
        told = api.explain(bundle, "f082", text="Miles Davis and Dune")
        assert (found["rank"], found["title"]) == (told.rank, told.title)
        assert [one["entity_id"] for one in found["reasons"]] == [
            one.entity_id for one in told.reasons
        ]


class TestEntities:
    """Finding what may be added."""

    @pytest.mark.parametrize("beginning", ["mi", "MI", "the ", "Ja", "dune"])
    def test_titles_that_begin_so_by_falling_number_of_users(self, client, bundle, beginning):
        table = bundle.profiles.entities
        found = client.get("/entities", params={"q": beginning, "limit": 200}).json()
        named = {
            int(entity)
            for entity, title in zip(table.entity_ids, table.titles, strict=True)
            if title.lower().startswith(beginning.lower().strip())
        }
        ids = [one["entity_id"] for one in found["entities"]]
        assert named <= set(ids)
        called = {one.entity_id for one in bundle.aliases.candidates(beginning)}
        assert set(ids) - named <= called
        rest = [one["n_users"] for one in found["entities"] if one["entity_id"] not in called]
        assert rest == sorted(rest, reverse=True)
        short = client.get("/entities", params={"q": beginning, "limit": 1}).json()
        assert [one["entity_id"] for one in short["entities"]] == ids[:1]
        assert short["more"] == (len(ids) > 1)

    def test_another_name_leads_to_it_too(self, client):
        found = client.get("/entities", params={"q": "bach"}).json()["entities"]
        assert found[0]["title"] == "Johann Sebastian Bach"

    def test_nothing_is_found_where_nothing_is(self, client):
        assert client.get("/entities", params={"q": "zzzz"}).json()["entities"] == []
        assert client.get("/entities", params={"q": "..."}).json()["entities"] == []

    def test_links_say_what_items_hold(self, client, bundle):
        text = "Anything by Miles Davis, or about Dune."
        found = asked(client, "/link", text=text)["mentions"]
        (expected,) = bundle.linker.link_texts([text])
        assert [(m["start"], m["stop"], m["entity_id"]) for m in found] == [
            (m.start, m.stop, m.entity_id) for m in expected
        ]
        held = set(bundle.profiles.entities.entity_ids.tolist())
        assert all(m["in_items"] == (m["entity_id"] in held) for m in found)
        assert asked(client, "/link", text="")["mentions"] == []


def test_what_is_served_is_said(client, bundle):
    facts = client.get("/bundle").json()
    assert facts["bundle"] == bundle.digest
    assert facts["n_items"] == {name: len(table.names) for name, table in bundle.items.items()}
    assert facts["has_relations"] is False
    found = client.get("/entities/8341/neighbours")
    assert (found.status_code, found.json()["title"]) == (404, "Not Found")
    assert client.get("/health").json() == {"status": "alive"}
    assert client.get("/ready").json() == {"status": "ready"}
