"""A real browser, watched: what a page says, asks for and shows is on record.

The tests drive the system's Chromium, without a window; they are skipped where there is none. Screenshots go to
the folder that MEKB_SCREENSHOTS names, or to pytest's own.
"""

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mekb.graph import Evidence, Interest, UserGraph
from mekb.page.content import (
    PageContent,
    ShownAnswer,
    ShownReason,
    ShownRecommendation,
    ShownRelation,
    content_of,
)

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
DESK = {"width": 1360, "height": 900}
PHONE = {"width": 390, "height": 844}
HOSTILE = "<img src=x onerror=alert(1)>"
TEXTS = {
    ("books", "b1"): "A boy from Mars meets 🚀 a girl from Paris, who never saw Mars.",
    ("films", "f1"): "x" * 400 + " Paris " + "y" * 400,
    ("films", "f2"): f"{HOSTILE}</script><script>alert(2)</script> Paris <b>&amp;</b>",
}
TITLES = {("books", "b1"): "Mars & Co", ("films", "f1"): "Long", ("films", "f2"): HOSTILE}


@dataclass
class Watched:
    """A page in the browser, with what it said and asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    """Console messages, errors of scripts, and dialogs."""
    asked: list[str] = field(default_factory=list)
    """Addresses of requests."""

    def foreign(self, home: str) -> list[str]:
        """Return what was asked of anybody else."""
        return [url for url in self.asked if not url.startswith(home)]

    def nodes(self, selector: str = ".interest") -> list[dict[str, Any]]:
        """Return the graph's nodes of a class: data, place in the window, size."""
        return self.page.evaluate(
            """(selector) => mekb.page.cy.nodes(selector).map((node) => ({
                ...node.data(), box: node.boundingBox({ includeLabels: true, includeOverlays: false }),
                at: node.renderedPosition(), width: node.width(), classes: node.classes(),
            }))""",
            selector,
        )

    def wait_until(self, expression: str, arg: Any = None) -> None:
        """Wait until something holds; asked from outside, since the page's policy lets nothing be evaluated in it."""
        for _ in range(1200):
            if self.page.evaluate(expression, arg):
                return
            self.page.wait_for_timeout(50)
        pytest.fail(f"never came true: {expression}")

    def click_node(self, entity_id: int) -> None:
        """Click on an interest in the picture."""
        (node,) = [node for node in self.nodes() if node["id"] == f"i{entity_id}"]
        box = self.page.locator("#graph").bounding_box()
        self.page.mouse.click(box["x"] + node["at"]["x"], box["y"] + node["at"]["y"])


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Run the system's Chromium without a window, for the tests of one file."""
    if CHROMIUM is None:
        pytest.skip(f"no {NAMES[0]} on this machine (Debian: apt-get install chromium)")
    driver = pytest.importorskip("playwright.sync_api")
    with driver.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM)
        yield running
        running.close()


@pytest.fixture
def look(chromium: Any) -> Iterator[Any]:
    """Give a function that opens an address in a browser of its own and waits until it stands."""
    contexts = []

    def opened(url: str, *, wait_for: str = "#view:not([hidden])", **traits: Any) -> Watched:
        context = chromium.new_context(**({"viewport": DESK} | traits))
        contexts.append(context)
        context.set_default_timeout(60_000)  # a busy machine is no reason to fail
        watched = Watched(context.new_page())
        watched.page.on("console", lambda message: watched.said.append(message.text))
        watched.page.on("pageerror", lambda error: watched.said.append(str(error)))
        watched.page.on("request", lambda request: watched.asked.append(request.url))

        def dismissed(dialog: Any) -> None:
            watched.said.append(dialog.message)
            dialog.dismiss()

        watched.page.on("dialog", dismissed)
        watched.page.goto(url)
        watched.page.wait_for_selector(wait_for)
        return watched

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """The folder screenshots go to."""
    folder = Path(os.environ.get("MEKB_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[str]]]:
    """Another server, with the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Take down the path."""
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


BREAK_IN = """async (home) => {
    const blocked = new Set();
    document.addEventListener("securitypolicyviolation", (event) => blocked.add(event.effectiveDirective));
    const script = document.createElement("script");
    script.textContent = "window.entered = true";
    const image = new Image();
    image.src = `${home}/image`;
    const button = document.createElement("button");
    button.setAttribute("onclick", "window.entered = true");
    const form = document.createElement("form");
    form.action = `${home}/form`;
    const style = document.createElement("style");
    style.textContent = `body { background: url(${home}/style) }`;
    document.body.append(script, image, button, form, style);
    button.click();
    form.submit();
    await fetch(`${home}/fetch`).catch(() => {});
    for (let waits = 0; waits < 60 && blocked.size < 6; waits += 1) {
        await new Promise((done) => setTimeout(done, 50));
    }
    return { blocked: [...blocked].sort(), entered: window.entered ?? null };
}"""
"""Everything that a stranger's markup in a page would try."""


@pytest.fixture
def break_in(stranger: tuple[str, list[str]]) -> Any:
    """Give a function that tries to run and to call home from inside a page, and sees that nothing comes of it."""
    home, asked = stranger

    def tried(watched: Watched) -> None:
        found = watched.page.evaluate(BREAK_IN, home)
        kinds = (
            "script-src-elem",
            "script-src-attr",
            "img-src",
            "form-action",
            "style-src-elem",
            "connect-src",
        )
        assert found == {"blocked": sorted(kinds), "entered": None}
        assert asked == []

    return tried


@contextmanager
def serving(bundle: Path, **settings: Any) -> Iterator[str]:
    """Serve a bundle with its page on a free port, in a thread, and give the address."""
    import uvicorn

    from mekb.page.site import pages
    from mekb.serve import ServeSettings, create_app

    app = create_app(bundle, ServeSettings.model_validate(settings), pages())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(timeout=30)


@pytest.fixture(scope="module")
def address(project: Any) -> Iterator[str]:
    """Where the project's bundle is served, for the tests of one file."""
    with serving(project.bundle) as at:
        yield at


@pytest.fixture
def serve() -> Any:
    """Give the way to serve a bundle with settings of one's own."""
    return serving


def mention(
    domain: str, item: str, surface: str, *, which: int = 0, score: float = 0.9
) -> Evidence:
    """Return the mention that is the `which`-th place of a surface in an item's text."""
    text, start = TEXTS[domain, item], -1
    for _ in range(which + 1):
        start = text.index(surface, start + 1)
    stop = start + len(surface)
    return Evidence(item, domain, TITLES[domain, item], "text", start, stop, surface, score)


def interest(
    number: int, label: str, weight: float, *evidence: Evidence, **traits: Any
) -> Interest:
    """Return an interest of a made-up profile."""
    kind = traits.pop("kind", "wikidata")
    return Interest(
        number, label, label, kind, len(evidence), 7, 1.5, 2.0, weight, number, evidence, **traits
    )


@pytest.fixture
def content() -> PageContent:
    """A person with two domains, a name that is markup, an interest of the data set, an edit, and relations."""
    brand = Evidence("f1", "films", "Long", "brand", 0, 4, "Acme", 1.0)
    graph = UserGraph(
        f"ann {HOSTILE}",
        (
            interest(1, "Mars", 0.4, mention("books", "b1", "Mars", score=0.25),
                     mention("books", "b1", "Mars", which=1)),
            interest(2, "Paris", 0.3, mention("books", "b1", "Paris"), mention("films", "f1", "Paris"),
                     mention("films", "f2", "Paris")),
            interest(3, HOSTILE, 0.2, brand, kind="brand"),
            interest(4, "Jazz", 0.1, origin="added"),
        ),
        "profiles-1",
    )  # fmt: skip
    relations = [
        ShownRelation(1, "P361", 9, "Solar System"),
        ShownRelation(1, "P31", 10, HOSTILE, is_object=True),
        ShownRelation(1, "P1", 2, "Paris"),
    ]
    why = (ShownReason(1, "Mars", 0.5, ("Mars & Co",)), ShownReason(99, HOSTILE, 0.1, ()))
    found = tuple(
        ShownRecommendation(rank, f"r{rank}", f"{HOSTILE} {rank}", 1.0 / rank, why)
        for rank in range(1, 4)
    )
    answer = ShownAnswer("films", found, None, ("'Xyz' is not in the alias table",))
    return content_of(graph, TEXTS, relations=relations, answer=answer)
