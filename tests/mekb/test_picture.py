"""The picture of a MeKB: it shows what it should, labels keep apart, and the same graph gives the same bytes."""

import itertools
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest
from matplotlib.patches import Circle, Wedge

from mekb.errors import OutputError
from mekb.graph import Evidence, Interest, UserGraph
from mekb.layout import ITEMS_A_SIDE, interest_spots, item_spots, network
from mekb.picture import COLOURS, LARGEST_RADIUS, _figure, draw, draw_user_graph

PNG = b"\x89PNG\r\n\x1a\n"


def make_interest(n, items, weight, kind="wikidata", label=None):
    evidence = tuple(
        Evidence(
            item, domain, f"{item} of {domain}, a long title that goes on", "title", 0, 4, "x", 1.0
        )
        for domain, item in items
    )
    entity_id = n if kind == "wikidata" else 3_000_000_000 + n
    name = label or f"Interest number {n}"
    return Interest(entity_id, name, name, kind, len(items), 1, 1.0, 1.0, weight, n, evidence)


def make_graph(n_interests=25, items_each=3, user="anna"):
    domains = ("books", "films", "music")
    total = n_interests * (n_interests + 1) / 2
    interests = [
        make_interest(
            n + 1,
            [(domains[(n + k) % 3], f"i{(n * 2 + k * 5) % 40}") for k in range(items_each)],
            (n_interests - n) / total,
            kind="wikidata" if n % 4 else "category",
        )
        for n in range(n_interests)
    ]
    return UserGraph(user, tuple(interests), "r")


def texts_of(svg):
    root = ET.fromstring(svg)  # noqa: S314  (our own output)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("form", ["png", "svg"])
def test_same_graph_same_bytes(form):
    first = draw(make_graph(), form)
    assert draw(make_graph(), form) == first
    assert first.startswith(PNG if form == "png" else b"<?xml")


def test_labels_and_titles_are_there_as_text():
    texts = texts_of(draw(make_graph(6, 2), "svg"))
    assert "Interests of anna" in texts
    assert "6 of 6 interests, 12 of the 12 liked items that name them" in texts
    assert {f"Interest number {n}" for n in range(1, 7)} <= set(texts)
    assert sum("·" in text for text in texts) == 2  # categories say so
    assert {"books", "films", "music"} <= set(texts)


def test_only_the_heaviest_are_drawn():
    texts = texts_of(draw(make_graph(30), "svg", top=4))
    assert {text for text in texts if text.startswith("Interest number")} == {
        f"Interest number {n}" for n in range(1, 5)
    }
    assert any(text.startswith("4 of 30 interests") for text in texts)


@pytest.mark.parametrize("n_interests", [1, 2, 5, 13, 25, 40])
def test_no_two_texts_overlap(n_interests):
    figure = _figure(make_graph(n_interests, 4), top=40)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    whole = figure.bbox
    for box in boxes:
        assert whole.x0 <= box.x0
        assert box.x1 <= whole.x1
    for one, other in itertools.combinations(boxes, 2):
        # Two lines of one interest may touch; a tenth of a millimetre is no overlap.
        assert (
            min(one.x1, other.x1) - max(one.x0, other.x0) < 1
            or min(one.y1, other.y1) - max(one.y0, other.y0) < 3
        )


def test_area_is_weight_and_slices_are_domains():
    graph = UserGraph(
        "u",
        (
            make_interest(
                1, [("books", "a"), ("films", "b"), ("films", "c"), ("films", "d")], 0.64
            ),
            make_interest(2, [("books", "a")], 0.16),
        ),
    )
    wedges = [patch for patch in _figure(graph, 25).axes[0].patches if isinstance(patch, Wedge)]
    mine = {round(w.r, 6) for w in wedges if w.r in {LARGEST_RADIUS, LARGEST_RADIUS / 2}}
    assert mine == {
        LARGEST_RADIUS,
        LARGEST_RADIUS / 2,
    }  # a quarter of the weight: a quarter of the area
    slices = {
        mpl.colors.to_hex(w.get_facecolor()).upper(): w.theta2 - w.theta1
        for w in wedges
        if w.r == LARGEST_RADIUS
    }
    assert slices == {COLOURS[0]: pytest.approx(90), COLOURS[1]: pytest.approx(270)}


def test_every_interest_keeps_an_item_and_sides_do_not_overflow():
    interests = [
        make_interest(n, [("books", f"b{n}"), ("books", f"c{n}"), ("films", f"f{n}")], 1 / n)
        for n in range(1, 26)
    ]
    graph = UserGraph("u", tuple(interests))
    net = network(graph, 25)
    assert all(net.degree(interest.entity_id) >= 1 for interest in interests)
    spots = interest_spots(interests, net)
    places = item_spots(spots, net)
    assert len(places) == 2 * ITEMS_A_SIDE
    for side in (1, -1):
        assert sum(spot.side == side for spot in places.values()) == ITEMS_A_SIDE
    assert len({(spot.x, spot.y) for spot in (*spots.values(), *places.values())}) == 25 + 36


def test_interests_with_items_in_common_are_neighbours():
    """Four interests in two pairs, given interleaved: each side gets a pair."""
    pairs = [[("d", "a"), ("d", "b")], [("d", "x"), ("d", "y")]]
    interests = [make_interest(n + 1, pairs[n % 2], 0.25) for n in range(4)]
    net = network(UserGraph("u", tuple(interests)), 25)
    spots = interest_spots(interests, net)
    assert spots[1].side == spots[3].side != spots[2].side == spots[4].side


def test_hostile_and_foreign_labels():
    label = "$x_1$ <script>&\x00\n'\"] ]> " + "指环王" + "a" * 300
    graph = UserGraph(label, (make_interest(1, [("<b>", "$")], 1.0, label=label),))
    texts = texts_of(draw(graph, "svg"))
    assert any(text.startswith("$x_1$ <script>&") and text.endswith("…") for text in texts)
    assert draw(graph, "png").startswith(PNG)


def test_empty_graph_says_so():
    assert "nothing this user liked could be linked to an entity" in texts_of(
        draw(UserGraph("u", ()), "svg")
    )


def test_an_interest_without_evidence_is_drawn():
    assert draw(UserGraph("u", (make_interest(1, [], 1.0),)), "png").startswith(PNG)


def test_many_domains_and_long_names():
    interests = [
        make_interest(n, [(f"domain number {n} with a long name", "i")], 0.1) for n in range(1, 11)
    ]
    figure = _figure(UserGraph("u", tuple(interests)), 25)
    figure.canvas.draw()
    legend = figure.axes[0].get_legend().get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= figure.bbox.x1


def test_settings_and_state_are_left_alone(tmp_path):
    before = dict(mpl.rcParams)
    path = tmp_path / "u.png"
    draw_user_graph(make_graph(3), path)
    assert dict(mpl.rcParams) == before
    with pytest.raises(OutputError, match="exists"):
        draw_user_graph(make_graph(3), path)
    draw_user_graph(make_graph(4), path, force=True)


@pytest.mark.parametrize(
    ("name", "top", "message"), [("u.gif", 25, "png or svg, not 'gif'"), ("u.png", 0, "top is 0")]
)
def test_what_cannot_be_drawn(tmp_path, name, top, message):
    with pytest.raises(OutputError, match=message):
        draw_user_graph(make_graph(3), tmp_path / name, top=top)


def test_circles_stay_on_the_page():
    figure = _figure(make_graph(), 25)
    axes = figure.axes[0]
    for patch in axes.patches:
        if isinstance(patch, Circle):
            assert axes.get_xlim()[0] < patch.center[0] < axes.get_xlim()[1]
            assert axes.get_ylim()[0] < patch.center[1] < axes.get_ylim()[1]
