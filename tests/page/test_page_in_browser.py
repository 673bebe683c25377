"""The self-contained file in a real browser: it draws, answers to mouse and keys, and lets nothing in or out."""

import itertools
import math

import pytest

from mekb import api
from mekb.graph import UserGraph
from mekb.page.content import content_of
from mekb.page.document import write_page


@pytest.fixture
def written(content, tmp_path):
    path = tmp_path / "ann.html"
    write_page(content, path)
    return path


@pytest.fixture
def seen(written, look):
    """The made-up person's page, open; when done, nothing was said and nothing else asked for."""
    watched = look(written.as_uri())
    yield watched
    assert watched.said == []
    assert watched.foreign(written.as_uri()) == []


def text_of(watched, selector):
    return watched.page.locator(selector).inner_text()


def test_a_disc_has_the_area_of_its_weight(seen, content):
    nodes = {node["id"]: node for node in seen.nodes()}
    assert len(nodes) == len(content.interests)
    widths = [nodes[f"i{one.id}"]["width"] for one in content.interests]
    for one, width in zip(content.interests, widths, strict=True):
        assert (width / widths[0]) ** 2 == pytest.approx(one.weight / content.interests[0].weight)
    assert len(seen.nodes(".middle")) == 1
    # The canvas is really painted: pixels of the first two domains' colours, and of nothing domain-less.
    painted = seen.page.evaluate(
        """() => [...document.querySelectorAll("#graph canvas")].flatMap((canvas) => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const found = new Set();
            for (let at = 0; at < data.length; at += 4) {
                if (data[at + 3] === 255) found.add([data[at], data[at + 1], data[at + 2]].join());
            }
            return [...found];
        })"""
    )
    assert {"0,114,178", "230,159,0"} <= set(painted)


def test_a_click_on_a_disc_shows_what_it_is_from(seen, content):
    seen.click_node(2)
    seen.wait_until("document.querySelector('#evidence h3').textContent === 'Paris'")
    paris = content.interests[1]
    shown = seen.page.evaluate(
        """() => [...document.querySelectorAll("#evidence .passage")].map((passage) => ({
            quote: passage.querySelector("blockquote").textContent,
            marked: passage.querySelector("mark").textContent,
            place: passage.querySelector(".where").textContent,
            sure: passage.querySelector(".sure .number").textContent,
        }))"""
    )
    assert shown == [
        {
            "quote": at.before + at.surface + at.after,
            "marked": "Paris",
            "place": f"{at.field}, characters {at.start}-{at.stop}",
            "sure": f"{at.score:.2f}",
        }
        for at in paris.passages
    ]
    row = seen.page.locator("tr.chosen")
    assert row.locator("button").inner_text() == "Paris"
    assert row.locator("button").get_attribute("aria-pressed") == "true"


def test_everything_can_be_reached_and_done_by_keys(seen):
    page = seen.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.locator("#interests-table button").nth(1).focus()
    page.keyboard.press("Enter")
    assert text_of(seen, "#evidence h3") == "Paris"
    assert text_of(seen, "#said") == "Paris, 30.0 %, 3 mentions"
    page.locator("#graph").focus()
    page.keyboard.press("ArrowLeft")
    assert text_of(seen, "#evidence h3") == "Mars"
    page.keyboard.press("r")
    assert text_of(seen, "#relations dt >> nth=0") == "part of"
    before = page.evaluate("mekb.page.cy.zoom()")
    page.keyboard.press("+")
    assert page.evaluate("mekb.page.cy.zoom()") > before
    stops = set()
    page.evaluate("document.activeElement.blur()")
    for _ in range(40):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            """() => { const at = document.activeElement, { outlineStyle, outlineWidth } = getComputedStyle(at);
            return { name: at.id || at.textContent.trim(), seen: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
                     body: at === document.body }; }"""
        )
        if stop["body"]:
            continue  # once round
        assert stop["seen"], f"focus on {stop['name']} cannot be seen"
        stops.add(stop["name"])
    assert {"graph", "zoom-in", "fit", "relate", "Mars", "Paris", "Jazz"} <= stops


def test_every_control_has_a_name_and_every_part_a_heading(seen):
    nameless = seen.page.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea, a, [tabindex]")].filter((at) =>
            !(at.getAttribute("aria-label") || at.getAttribute("aria-labelledby") || at.textContent.trim() ||
              at.labels?.length)).map((at) => at.outerHTML)"""
    )
    assert nameless == []
    broken = seen.page.evaluate(
        """() => [...document.querySelectorAll("[aria-labelledby], [aria-describedby]")].flatMap((at) =>
            ["aria-labelledby", "aria-describedby"].map((name) => at.getAttribute(name)).filter(Boolean))
            .filter((id) => !document.getElementById(id))"""
    )
    assert broken == []
    assert seen.page.evaluate("document.documentElement.lang") == "en"


def test_relations_are_drawn_when_asked_for(seen):
    assert seen.nodes(".related") == []
    seen.page.click("#relate")
    assert {node["label"] for node in seen.nodes(".related")} == {
        "Solar System",
        "<img src=x onerror=alert(1)>",
    }
    edges = seen.page.evaluate(
        "mekb.page.cy.edges('.relation').map((edge) => [edge.source().id(), edge.data('meaning'), edge.target().id()])"
    )
    assert sorted(edges) == [
        ["i1", "P1", "i2"],
        ["i1", "has instance", "r10"],
        ["i1", "part of", "r9"],
    ]
    seen.click_node(2)
    assert seen.nodes(".related") == []
    assert seen.page.locator("#relate").count() == 0  # nothing is known of it


def test_a_name_never_becomes_markup(seen, content):
    page = seen.page
    assert page.locator("h1").inner_text() == f"Interests of {content.person}"
    page.click("#relate")
    page.locator("#interests-table button").nth(1).click()
    assert page.locator("#evidence mark").count() == 3
    page.locator("#interests-table button").nth(2).click()
    assert text_of(seen, "#evidence h3") == content.interests[2].label
    assert (
        page.locator(".recommended .name").first.inner_text() == f"{content.interests[2].label} 1"
    )
    assert page.evaluate("document.querySelectorAll('img, b, iframe').length") == 0
    assert page.evaluate("document.querySelectorAll('body script:not([type])').length") == 8


def test_nothing_that_gets_in_can_run_or_call_home(written, look, break_in):
    break_in(look(written.as_uri()))


def test_reasons_lead_to_their_interests(seen, content):
    shown = seen.page.locator(".recommended")
    assert shown.count() == 3
    reason = shown.first.locator(".reason")
    assert reason.first.inner_text().split("\n") == ["Mars from Mars & Co", "+0.50"]
    seen.page.locator("#interests-table button").nth(1).click()
    reason.first.locator("button").click()
    assert text_of(seen, "#evidence h3") == "Mars"
    assert reason.nth(1).locator("button").count() == 0  # of no interest that is shown
    assert text_of(seen, "#answer .notes") == content.answer.notes[0]


def test_a_person_without_interests_is_told_so(tmp_path, look):
    path = tmp_path / "nobody.html"
    write_page(content_of(UserGraph("nobody", ()), {}), path)
    watched = look(path.as_uri())
    assert "could be linked" in text_of(watched, "#graph")
    assert watched.page.locator("#answer").is_hidden()
    assert watched.said == []


def test_nothing_moves_for_who_wants_nothing_to_move(written, look):
    watched = look(written.as_uri(), reduced_motion="reduce")
    watched.page.click("#relate")
    assert watched.page.evaluate("mekb.page.cy.animated()") is False
    assert watched.page.evaluate("document.getAnimations().length") == 0


def test_the_picture_follows_the_scheme(written, look):
    watched = look(written.as_uri(), color_scheme="light")
    ink = "mekb.page.cy.nodes('.interest').first().style('color')"
    light = watched.page.evaluate(ink)
    watched.page.emulate_media(color_scheme="dark")
    watched.wait_until(f"(light) => {ink} !== light", arg=light)


@pytest.fixture(scope="module")
def real_page(project, tmp_path_factory):
    """The page of the sample world's user of most interests, with recommendations."""
    folder = tmp_path_factory.mktemp("page")
    most = api.read_table(project.store, "user_entity").to_pandas()["user_id"].mode().iloc[0]
    users = api.read_table(project.store, "users").to_pandas().set_index("user_id")
    user = str(users.loc[most, "external_id"])
    path = folder / "u.html"
    with api.opened(project.store) as store:
        graph = api.user_graph(store, user)
        from mekb.page.content import shown_answer
        from mekb.page.read import read_texts

        answer = shown_answer(api.recommend(project.bundle, user=user, store=store, k=5), "films")
        write_page(content_of(graph, read_texts(store, user), answer=answer), path)
    return path, graph


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_a_real_profile_stands_on_a_desk_and_on_a_phone(real_page, look, shots, scheme, size):
    """The screenshots are for people to look at; labels keep apart, and nothing sticks out."""
    path, graph = real_page
    viewport = {"width": 1360, "height": 900} if size == "desk" else {"width": 390, "height": 844}
    watched = look(path.as_uri(), viewport=viewport, color_scheme=scheme, has_touch=size == "phone")
    watched.page.screenshot(path=shots / f"page-{size}-{scheme}.png", full_page=True)
    assert watched.page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    nodes = watched.nodes()
    assert len(nodes) >= min(10, len(graph.interests))
    assert [node["id"] for node in nodes] == [
        f"i{one.entity_id}" for one in graph.interests[: len(nodes)]
    ]
    for one, other in itertools.combinations([node["box"] for node in nodes], 2):
        wide = min(one["x2"], other["x2"]) - max(one["x1"], other["x1"])
        high = min(one["y2"], other["y2"]) - max(one["y1"], other["y1"])
        assert min(wide, high) < 7, "labels overlap"
    box = watched.page.locator("#graph").bounding_box()
    for node in nodes:
        assert math.isfinite(node["at"]["x"])
        assert 0 <= node["at"]["x"] <= box["width"]
        assert 0 <= node["at"]["y"] <= box["height"]
    assert watched.said == []
    assert watched.foreign(path.as_uri()) == []
