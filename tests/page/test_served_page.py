"""The page on a server, in a real browser: what it shows is what the API answers, before and after an edit."""

import json
from functools import partial

import httpx
import pytest

HOSTILE = "<img src=x onerror=alert(1)>"
TEXT = "🚀 Ever since Dune I read all about Mars, and about Paris."


@pytest.fixture
def ask(address):
    """Ask the API itself."""

    def asked(path, **question):
        answer = httpx.post(f"{address}/{path}", json=question, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return asked


@pytest.fixture
def open_page(address, look):
    """Open the page of the project's bundle."""

    def opened(**traits):
        return look(f"{address}/page/", wait_for="#ask:not([hidden])", **traits)

    return opened


@pytest.fixture
def seen(open_page, address):
    """The page, open; when done, nothing was said and nothing asked of anybody else."""
    watched = open_page()
    yield watched
    assert watched.said == []
    assert watched.foreign(address) == []


def settle(watched):
    """Wait until an answer stands."""
    watched.page.wait_for_selector("#view:not([hidden]):not([aria-busy])")


def choose_way(watched, label):
    watched.page.get_by_role("radio", name=label, exact=True).check()


def ask_by_text(watched, text=TEXT):
    choose_way(watched, "Their own words")
    watched.page.fill("#words", text)
    watched.page.click("text=Show the graph")
    settle(watched)


def shown_items(watched):
    return watched.page.evaluate(
        "[...document.querySelectorAll('.recommended')].map((at) => at.dataset.item)"
    )


def shown_interests(watched):
    return watched.page.evaluate(
        "[...document.querySelectorAll('#interests-table button.link')].map((at) => at.textContent)"
    )


def items_of(answer):
    return [one["item"] for one in answer["recommendations"]]


def weights_of(profile, *, without=()):
    return [
        {"entity_id": one["entity_id"], "weight": one["weight"]}
        for one in profile["interests"]
        if one["entity_id"] not in without
    ]


def history_of(project, n=4):
    """The first books of the sample world that the bundle knows, as the API and as the page name them."""
    lines = (project.folder / "items.jsonl").read_text(encoding="utf-8").splitlines()
    books = [row for row in map(json.loads, lines) if row["domain"] == "books"][:n]
    return [f"books:{row['item_id']}" for row in books], [row["title"] for row in books]


def test_a_history_is_found_by_title_and_answered_as_the_api_does(seen, ask, project):
    keys, titles = history_of(project)
    for title in titles:
        with seen.page.expect_response(lambda got: "/items?" in got.url):
            seen.page.fill("#search", title)
        seen.page.keyboard.press("Enter")
        seen.wait_until(
            "(title) => [...document.querySelectorAll('#chosen li')].some((at) => at.textContent.startsWith(title))",
            arg=title,
        )
    seen.page.click("text=Show the graph")
    settle(seen)
    profile, answer = ask("profile", history=keys), ask("recommend", history=keys)
    assert shown_interests(seen) == [one["title"] for one in profile["interests"]][:60]
    assert shown_items(seen) == items_of(answer)
    reasons = seen.page.evaluate(
        """[...document.querySelectorAll(".recommended")].map((at) => [...at.querySelectorAll(".reason")].map((why) =>
            [why.querySelector("span > *").textContent, why.querySelector(".number").textContent]))"""
    )
    assert reasons == [
        [[why["title"], f"+{why['contribution']:.2f}"] for why in one["reasons"]]
        for one in answer["recommendations"]
    ]


def test_removing_and_adding_an_interest_changes_what_is_recommended(seen, ask):
    ask_by_text(seen)
    profile, before = ask("profile", text=TEXT), ask("recommend", text=TEXT)
    assert shown_items(seen) == items_of(before)

    first = profile["interests"][0]
    seen.page.get_by_role("button", name=f"Remove {first['title']}", exact=True).click()
    seen.page.wait_for_selector(f"text=Without {first['title']}.")
    kept = weights_of(profile, without={first["entity_id"]})
    after = ask("recommend", text=TEXT, interests=kept)
    assert shown_items(seen) == items_of(after) != items_of(before)
    assert first["title"] not in shown_interests(seen)

    (jazz,) = httpx.get(
        seen.page.url.replace("page/", "entities"), params={"q": "jazz", "limit": 1}
    ).json()["entities"]
    seen.page.fill("#add", "jazz")
    seen.page.keyboard.press("Enter")
    seen.page.wait_for_selector(f"text=With {jazz['title']}.")
    total = sum(one["weight"] for one in kept)
    added = [*kept, {"entity_id": jazz["entity_id"], "weight": 0.1 * total}]
    assert shown_items(seen) == items_of(ask("recommend", text=TEXT, interests=added))
    assert "added" in seen.page.locator("tr", has_text=jazz["title"]).first.inner_text()
    moved = seen.page.evaluate(
        """[...document.querySelectorAll(".recommended")].map((at) => at.querySelector(".moved")?.firstChild.textContent ?? "")"""
    )
    was = {item: rank for rank, item in enumerate(items_of(after), start=1)}
    expected = []
    for rank, item in enumerate(shown_items(seen), start=1):
        up = was.get(item, 0) - rank
        expected.append(
            "new" if item not in was else f"{'↑' if up > 0 else '↓'} {abs(up)}" if up else ""
        )
    assert moved == expected

    seen.page.get_by_role("button", name=f"Remove {jazz['title']}", exact=True).click()
    seen.page.wait_for_selector(f"text=Without {jazz['title']}.")
    seen.page.get_by_role("button", name=f"Bring back {first['title']}", exact=True).click()
    seen.page.wait_for_selector(f"text=With {first['title']} again.")
    assert shown_items(seen) == items_of(before)


def test_removing_everything_falls_back_to_what_most_liked(seen, ask):
    ask_by_text(seen, "Paris")
    seen.page.get_by_role("button", name="Remove Paris", exact=True).click()
    seen.page.wait_for_selector("text=by popularity")
    assert shown_items(seen) == items_of(ask("recommend", text="Paris", interests=[]))
    assert "could be linked" in seen.page.locator("#graph").inner_text()


def test_words_are_marked_where_they_stand_in_the_text(seen, ask):
    ask_by_text(seen)
    mars = next(one for one in ask("profile", text=TEXT)["interests"] if one["title"] == "Mars")
    seen.page.get_by_role("rowheader", name="Mars").get_by_role("button").click()
    assert seen.page.locator("#evidence blockquote").inner_text() == TEXT
    assert seen.page.locator("#evidence mark").inner_text() == "Mars"
    (at,) = mars["evidence"]
    assert TEXT[at["start"] : at["stop"]] == "Mars"  # code points: a browser counts 🚀 as two
    assert f"{at['start']}-{at['stop']}" in seen.page.locator("#evidence .where").inner_text()


def test_interests_are_suggested_while_somebody_types(seen):
    choose_way(seen, "Interests")
    with seen.page.expect_response(lambda got: "/entities?" in got.url and "q=par" in got.url):
        seen.page.type("#search", "par")
    seen.wait_until("document.querySelectorAll('#search-found option').length > 1")
    assert "Paris" in seen.page.evaluate(
        "[...document.querySelectorAll('#search-found option')].map((at) => at.value)"
    )
    seen.page.fill("#search", "Paris")  # what choosing a suggestion does
    seen.page.wait_for_selector("#chosen li")
    seen.page.click("text=Show the graph")
    settle(seen)
    assert shown_interests(seen) == ["Paris"]


def test_examples_are_of_the_bundle_and_lead_somewhere(seen):
    seen.page.locator("button.example").first.click()
    settle(seen)
    assert len(shown_items(seen)) == 10


def test_all_of_it_by_keys_alone(seen):
    page = seen.page

    def tab_to(identity):
        for _ in range(60):
            page.keyboard.press("Tab")
            if (
                page.evaluate("document.activeElement.id || document.activeElement.value")
                == identity
            ):
                return
        pytest.fail(f"no way to {identity} by keys")

    tab_to("history")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    tab_to("words")
    page.keyboard.type(TEXT)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    settle(seen)
    n_before = len(shown_interests(seen))
    page.get_by_role("button", name="Remove Paris", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Without Paris.")
    assert len(shown_interests(seen)) == n_before - 1
    assert page.evaluate("document.activeElement.id") == "interests"


def test_what_cannot_be_answered_is_said_in_a_line(open_page, address):
    watched = open_page()
    watched.page.click("text=Show the graph")
    assert "Say first" in watched.page.locator("#status").inner_text()
    choose_way(watched, "Their own words")
    watched.page.fill("#words", "xyzzy plugh")
    watched.page.click("text=Show the graph")
    watched.page.wait_for_selector("#status.error:has-text('names nothing')")
    for path in ("profile", "recommend"):  # asked side by side: the first to fail is what is said
        watched.page.route(f"**/{path}", lambda route: route.abort())
    watched.page.click("text=Show the graph")
    watched.page.wait_for_selector("#status.error:has-text('cannot be reached')")
    assert watched.foreign(address) == []


def test_an_edit_that_cannot_be_answered_is_taken_back(open_page, ask):
    watched = open_page()
    ask_by_text(watched)
    names, items = shown_interests(watched), shown_items(watched)
    remove = watched.page.get_by_role("button", name=f"Remove {names[0]}", exact=True)
    watched.page.route("**/recommend", lambda route: route.abort())
    remove.click()
    watched.page.wait_for_selector("#status.error:has-text('cannot be reached')")
    assert (shown_interests(watched), shown_items(watched)) == (names, items)
    assert watched.page.locator("#removed li").count() == 0
    watched.page.unroute("**/recommend")
    remove.click()
    watched.page.wait_for_selector(f"text=Without {names[0]}.")
    watched.page.get_by_role("button", name=f"Bring back {names[0]}", exact=True).click()
    watched.page.wait_for_selector(f"text=With {names[0]} again.")
    assert shown_items(watched) == items == items_of(ask("recommend", text=TEXT))


def test_a_late_answer_does_not_stand_over_a_newer_one(open_page, ask):
    watched = open_page()
    ask_by_text(watched)
    held = []

    def hold(route):
        if held:
            route.continue_()
        else:
            held.append(route)

    watched.page.route("**/recommend", hold)
    names = shown_interests(watched)
    watched.page.get_by_role("button", name=f"Remove {names[0]}", exact=True).click()
    watched.page.wait_for_selector("#status.busy")
    assert watched.page.locator("#view").get_attribute("aria-busy") == "true"
    watched.page.get_by_role("button", name=f"Remove {names[1]}", exact=True).click()
    watched.page.wait_for_selector(f"text=Without {names[1]}.")
    held[0].continue_()
    watched.page.wait_for_timeout(200)
    gone = {one["entity_id"] for one in ask("profile", text=TEXT)["interests"][:2]}
    kept = weights_of(ask("profile", text=TEXT), without=gone)
    assert shown_items(watched) == items_of(ask("recommend", text=TEXT, interests=kept))
    assert shown_interests(watched) == names[2:]


def test_relations_are_asked_for_on_demand(look, address):
    """The sample world has none, so the two answers about them are made up here."""
    watched = look("about:blank", wait_for="html")
    facts = httpx.get(f"{address}/bundle").json() | {"has_relations": True}
    other = {
        "entity_id": 5,
        "qid": "Q5",
        "title": HOSTILE,
        "predicate": "P921",
        "is_object": True,
        "in_items": False,
    }
    found = {"bundle": "b", "entity_id": 1, "title": "x", "neighbours": [other], "more": False}
    watched.page.route("**/bundle", partial(fulfil, facts))
    watched.page.route("**/neighbours?*", partial(fulfil, found))
    watched.page.goto(f"{address}/page/")
    watched.page.wait_for_selector("#ask:not([hidden])")
    ask_by_text(watched)
    assert not [url for url in watched.asked if "neighbours" in url]
    watched.page.click("#relate")
    watched.page.wait_for_selector("#relations dd")
    assert watched.page.locator("#relations").inner_text().split("\n") == [
        "main subject of",
        HOSTILE,
    ]
    assert [node["label"] for node in watched.nodes(".related")] == [HOSTILE]
    assert watched.said == []


def fulfil(body, route):
    route.fulfill(json=body)


def test_hostile_answers_stay_text(open_page, address):
    watched = open_page()
    place = {
        "item": "i",
        "domain": "books",
        "item_title": HOSTILE,
        "field": "title",
        "start": 0,
        "stop": 4,
        "surface": "<img",
        "prior": 1.0,
    }
    interest = {
        "entity_id": 7,
        "qid": None,
        "title": HOSTILE,
        "kind": HOSTILE,
        "weight": 1.0,
        "rank": 1,
        "evidence": [place],
        "n_evidence": 1,
    }
    why = {
        "entity_id": 7,
        "title": HOSTILE,
        "contribution": 1.0,
        "evidence": [place],
        "n_evidence": 1,
    }
    one = {"rank": 1, "item": HOSTILE, "title": HOSTILE, "score": 1.0, "reasons": [why]}
    bodies = {
        "**/profile": {"bundle": "b", "interests": [interest], "text": "", "notes": [HOSTILE]},
        "**/recommend": {"bundle": "b", "target": HOSTILE, "recommendations": [one], "fallback": None, "notes": []},
    }  # fmt: skip
    for pattern, body in bodies.items():
        watched.page.route(pattern, partial(fulfil, body))
    ask_by_text(watched)
    for part in (
        "#evidence h3",
        "#answer h2",
        ".recommended .name",
        "#interests-table .link",
        ".notes li",
    ):
        assert HOSTILE in watched.page.locator(part).inner_text()
    assert watched.page.evaluate("document.querySelectorAll('img').length") == 0
    assert watched.said == []
    assert watched.foreign(address) == []


def test_every_file_comes_with_the_policy_and_nothing_else_can_run(open_page, address, break_in):
    for path in ("", "page.js", "page.css", "vendor/cytoscape.min.js", "icon.svg", "nothing"):
        answer = httpx.get(f"{address}/page/{path}")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        if path != "nothing":
            assert "script-src 'self'; " in policy
            assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    break_in(open_page())


def test_the_address_itself_leads_to_the_page(address, look):
    assert look(f"{address}/", wait_for="#ask:not([hidden])").page.url == f"{address}/page/"


def test_a_server_that_asks_for_a_token_gets_it_from_the_page(project, serve, look):
    token = "a token that is long enough"  # noqa: S105  made for this test
    with serve(project.bundle, token=token) as address:
        watched = look(f"{address}/page/", wait_for="#token")
        watched.page.fill("#token", "another")
        watched.page.keyboard.press("Enter")
        watched.page.wait_for_selector("#status.error")
        watched.page.fill("#token", token)
        watched.page.keyboard.press("Enter")
        watched.page.wait_for_selector("#ask:not([hidden])")
        ask_by_text(watched)
        assert shown_items(watched)
        assert httpx.get(f"{address}/items", params={"q": "a"}).status_code == 401
        assert httpx.get(f"{address}/").status_code == 307
        assert (
            watched.page.evaluate("document.cookie + localStorage.length + sessionStorage.length")
            == "00"
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_the_page_stands_on_a_desk_and_on_a_phone(open_page, shots, scheme, size):
    viewport = {"width": 1360, "height": 900} if size == "desk" else {"width": 390, "height": 844}
    watched = open_page(viewport=viewport, color_scheme=scheme, has_touch=size == "phone")
    ask_by_text(watched)
    watched.page.get_by_role("button", name="Remove Paris", exact=True).click()
    watched.page.wait_for_selector("text=Without Paris.")
    watched.page.screenshot(path=shots / f"served-{size}-{scheme}.png", full_page=True)
    assert watched.page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    assert watched.said == []


def test_items_are_found_by_the_beginning_of_their_title(project, address):
    lines = (project.folder / "items.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    found = httpx.get(f"{address}/items", params={"q": "THE", "limit": 200}).json()
    expected = {
        (row["domain"], row["item_id"]) for row in rows if row["title"].casefold().startswith("the")
    }
    assert {(one["domain"], one["item"]) for one in found["items"]} == expected
    likes = [one["n_users"] for one in found["items"]]
    assert likes == sorted(likes, reverse=True)
    short = httpx.get(f"{address}/items", params={"q": "THE", "limit": 2}).json()
    assert short["items"] == found["items"][:2]
    assert short["more"]
