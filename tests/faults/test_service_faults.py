"""Faults 62, 63 and 66 to 71: what a service must bear; the server's own tests are in tests/serve, the page's in tests/page."""

import asyncio
import json
import re
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from mekb.page.site import pages
from mekb.serve import ServeSettings, create_app

PASSAGE = {"interests": ["jazz"], "k": 3}


def served(bundle, **settings):
    app = create_app(bundle, ServeSettings.model_validate(settings), pages())
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client(project):
    with served(project.bundle, max_body_bytes=100_000, timeout_seconds=5) as opened:
        yield opened


def problem(response, status, said=""):
    """Assert one line of problem+json, without a traceback or a path of this machine."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    content = response.json()
    assert content["status"] == status
    assert said in content["detail"]
    assert "\n" not in content["detail"]
    assert not re.search(r"Traceback|File \"|/tmp/|\.py\b", response.text)


@pytest.mark.parametrize("k", [0, -1, 10**9, "3", None])
def test_fault_62_an_impossible_number_of_items_is_422(client, k):
    problem(client.post("/recommend", json={**PASSAGE, "k": k}), 422, "'k'")


def test_fault_63_who_is_unknown_is_told_apart_from_who_likes_nothing(client):
    """The service knows no users: it is told of a person in each question, so nothing of them is kept."""
    problem(
        client.post("/recommend", json={"history": ["films:no-such"]}), 422, "no item 'no-such'"
    )
    problem(client.post("/recommend", json={"user": "u00001"}), 422, "there is no 'user'")
    assert client.post("/recommend", json={"history": []}).json()["fallback"] == "popularity"


def test_fault_66_too_much_is_refused_before_it_is_read(client):
    problem(client.post("/recommend", content=b"[" * 10**8, headers={"content-type": "application/json"}), 413)  # fmt: skip
    problem(client.post("/recommend", json={"history": ["b001"] * 10_001}), 422, "history")
    deep = b'{"interests":' + b"[" * 40_000 + b"]" * 40_000 + b"}"
    response = client.post("/recommend", content=deep, headers={"content-type": "application/json"})
    assert response.status_code in {400, 422}


def test_fault_66_a_body_that_does_not_come_ends_in_408(project):
    app = create_app(project.bundle, ServeSettings(timeout_seconds=0.3))
    sent = []
    first = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive():
        if first:
            return first.pop()
        await asyncio.sleep(30)
        raise AssertionError("nobody waits so long")

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/recommend",
        "raw_path": b"/recommend",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
    }
    begun = time.monotonic()
    asyncio.run(app(scope, receive, send))
    assert time.monotonic() - begun < 10
    assert sent[0]["status"] == 408


TRAVERSALS = [
    *(
        "/static/../../etc/passwd",
        "/page/../../../../etc/passwd",
        "/page/..%2f..%2f..%2fetc/passwd",
    ),
    *("/page/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/page/..%5c..%5cetc/passwd", "/page//etc/passwd"),
    *("/page/%00", "/../manifest.json", "/page/....//....//etc/passwd", "/page/../content.py"),
]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_fault_67_a_path_leads_nowhere_but_into_its_folder(client, path):
    response = client.get(f"http://localhost{path}")
    assert response.status_code in {404, 405}, response.text[:200]
    assert "root:" not in response.text
    assert "import" not in response.text


HOSTILE = [
    "<script>alert(1)</script>",
    '"onload="alert(1)',
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "javascript:alert(1)",
    "<img src=x onerror=alert(1)>",
]


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of its data."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        """Keep it."""
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("label", HOSTILE)
def test_fault_68_a_label_is_text_wherever_it_is_shown(client, label):
    """In a real browser: tests/page/test_page_in_browser.py. Here, what the file and the answer are made of."""
    from mekb.graph import Evidence, Interest, UserGraph
    from mekb.page.content import content_of
    from mekb.page.document import page_of

    def elements(name):
        numbers = {"n_items": 1, "n_users": 2, "tf": 1.0, "idf": 1.0, "weight": 1.0, "rank": 1}
        evidence = Evidence(name, name, name, "title", 0, len(name), name, 0.5)
        interest = Interest(42, name, name, "wikidata", **numbers, evidence=(evidence,), iri=name)
        parser = Elements()
        parser.feed(page_of(content_of(UserGraph(name, (interest,)), {(name, name): name})))
        return parser.found

    assert elements(label) == elements("harmless")
    response = client.post("/link", json={"text": label})
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    policy = client.get("/page/").headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


def test_fault_69_a_page_of_the_web_can_neither_ask_nor_read(client, project, mekb):
    """A form or a simple request cannot send JSON; a rebound name is not ours; no answer is shared with an origin."""
    simple = {"content-type": "text/plain", "origin": "https://evil.example"}
    problem(client.post("/recommend", content=json.dumps(PASSAGE), headers=simple), 415)
    rebound = {"host": "evil.example"}
    problem(client.post("/recommend", json=PASSAGE, headers=rebound), 421)
    answer = client.post("/recommend", json=PASSAGE, headers={"origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    asked = client.options("/recommend", headers={"origin": "https://evil.example", "access-control-request-method": "POST"})  # fmt: skip
    assert asked.status_code == 405
    ran = mekb("serve", project.bundle, "--host", "0.0.0.0")  # noqa: S104  (it must be refused)
    assert ran.code == 2
    assert "others can reach that; give a token" in ran.err


def test_fault_69_with_a_token_nothing_is_answered_without_it(project):
    with served(project.bundle, token="a-token-of-more-than-16") as client:  # noqa: S106
        problem(client.post("/recommend", json=PASSAGE), 401)
        wrong = {"authorization": "Bearer a-token-of-more-than-17"}
        problem(client.post("/recommend", json=PASSAGE, headers=wrong), 401)
        right = {"authorization": "Bearer a-token-of-more-than-16"}
        assert client.post("/recommend", json=PASSAGE, headers=right).status_code == 200


@pytest.mark.slow
def test_fault_70_fifty_at_once_while_the_bundle_is_replaced(own_project, mekb):
    """Every answer is that of the one bundle or of the other, and none fails; the index is another in each."""
    folder = own_project.folder / "served"
    shutil.copytree(own_project.bundle, folder)
    questions = [{"interests": [name], "k": 5} for name in ("jazz", "Q42", "Stephen King", "science fiction")]  # fmt: skip
    with served(folder, max_waiting=1_000) as client:
        old = [client.post("/recommend", json=one).json() for one in questions]
        answers, stop = [], threading.Event()

        def ask(number):
            while not stop.is_set():
                place = number % len(questions)
                answers.append((place, client.post("/recommend", json=questions[place])))

        with ThreadPoolExecutor(50) as threads:
            for number in range(50):
                threads.submit(ask, number)
            words = ("train", own_project.store, own_project.model, "--target", "films", "--force")
            trained = mekb(*words, "--quiet", *own_project.quick, "--set", "train.seed=7")
            bundled = mekb("bundle", own_project.store, own_project.model, folder, "--force")
            client.app.state.host.take()
            time.sleep(0.3)
            stop.set()
        new = [client.post("/recommend", json=one).json() for one in questions]
    assert (trained.code, bundled.code) == (0, 0)
    assert [one["bundle"] for one in old] != [one["bundle"] for one in new]
    assert len(answers) >= 50
    for place, answer in answers:
        assert answer.status_code == 200, answer.text
        expected = next(each[place] for each in (old, new) if each[0]["bundle"] == answer.json()["bundle"])  # fmt: skip
        assert [one["item"] for one in answer.json()["recommendations"]] == [
            one["item"] for one in expected["recommendations"]
        ]


def test_fault_71_a_failure_inside_is_one_line_without_the_inside(client, monkeypatch, caplog):
    """The log has the traceback with the time; the answer has neither, and no path."""
    from mekb.serve import answers

    def broken(*_, **__):
        raise RuntimeError("in /tmp/secret/path.py")

    monkeypatch.setattr(answers, "weights_of_names", broken, raising=False)
    monkeypatch.setattr(answers, "given_by", broken)
    problem(client.post("/recommend", json=PASSAGE), 500, "something failed here")
    assert "in /tmp/secret/path.py" in caplog.text
