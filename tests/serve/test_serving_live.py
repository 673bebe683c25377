"""`mekb serve` as people run it: a process, a socket, signals, and bundles that come and go under load."""

import itertools
import json
import signal
import socket
import threading
import time

import httpx
import pytest
from served_bundles import TOKEN, put_in_place, relabelled, running

from mekb import api

QUESTION = {"history": ["books:b001", "b003"], "k": 3}
N_CLIENTS = 6
N_SWAPS = 5


@pytest.fixture(scope="module")
def server(project, tmp_path_factory):
    with running(tmp_path_factory.mktemp("log") / "stderr", project.bundle) as started:
        yield started


def own_address():
    """Return an address of this machine that is not loopback, or None where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a name for documentation: nothing is sent
        except OSError:
            return None
        return str(probe.getsockname()[0])


def test_it_answers_what_the_library_answers(server, bundle):
    with server.client() as client:
        found = client.post("/recommend", json=QUESTION).json()
        expected = api.recommend(bundle, history=QUESTION["history"], k=3)
        assert [one["item"] for one in found["recommendations"]] == [
            one.item for one in expected.recommendations
        ]
        assert client.get("/ready").json() == {"status": "ready"}


def test_others_cannot_reach_it(server):
    address = own_address()
    if address is None or address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    port = int(server.address.rpartition(":")[2])
    with socket.socket() as knocking:
        knocking.settimeout(5)
        assert knocking.connect_ex((address, port)) != 0


def test_clients_at_once_are_all_answered_as_alone(server, bundle):
    """Every answer beside that of the library: same items, scores to rounding."""
    questions = [
        {"history": [f"books:b{n:03d}", f"books:b{n + 9:03d}"], "k": 4, "explain": n % 3 == 0}
        for n in range(1, 25)
    ]
    found = {}

    def ask(part):
        with server.client() as client:
            for number in part:
                answer = client.post("/recommend", json=questions[number])
                found[number] = (answer.status_code, answer.json())

    clients = [
        threading.Thread(target=ask, args=(range(n, 24, N_CLIENTS),)) for n in range(N_CLIENTS)
    ]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    assert len(found) == 24
    for number, (status, answer) in found.items():
        assert status == 200
        question = questions[number]
        alone = api.recommend(bundle, history=question["history"], k=4, explain=question["explain"])
        scores = [one["score"] for one in answer["recommendations"]]
        assert scores == pytest.approx([one.score for one in alone.recommendations], abs=1e-4)
        if min(a - b for a, b in itertools.pairwise(scores)) > 1e-3:
            items = [one["item"] for one in answer["recommendations"]]
            assert items == [one.item for one in alone.recommendations]


def test_half_a_request_holds_nobody_up(server):
    port = int(server.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"POST /link HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n")
        with server.client() as client:
            assert client.get("/health").status_code == 200


def test_no_bytes_of_a_broken_request_are_answered_with_a_traceback(server):
    port = int(server.address.rpartition(":")[2])
    for request in (b"\x00\xff\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"G" * 100_000):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            raw.sendall(request)
            raw.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda raw=raw: raw.recv(65_536), b""))
        assert b"Traceback" not in answer
        assert not answer or answer.startswith(b"HTTP/1.1 4")
    assert "Traceback" not in server.said()


def test_the_log_is_json_without_a_word_of_what_was_asked(server):
    with server.client() as client:
        client.post("/profile", json={"text": "Miles Davis, my darkest secret"})
    wait_for(server, '"/profile"', 1)
    lines = [json.loads(line) for line in server.said().splitlines() if line.startswith("{")]
    assert "/profile" in {line["route"] for line in lines}
    assert "secret" not in server.said()
    assert "b001" not in server.said()


class Asking:
    """Clients that ask without a pause, and keep what they were answered."""

    def __init__(self, server):
        self.answers, self.failures = [], []
        self._server, self._stop = server, threading.Event()
        self._clients = [threading.Thread(target=self._ask) for _ in range(N_CLIENTS)]

    def __enter__(self):
        for one in self._clients:
            one.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for one in self._clients:
            one.join()

    def _ask(self):
        with self._server.client() as client:
            while not self._stop.is_set():
                try:
                    answer = client.post("/recommend", json=QUESTION)
                    self.answers.append((answer.status_code, answer.json()))
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))


def wait_for(server, text, n_times):
    until = time.monotonic() + 120
    while server.said().count(text) < n_times:
        assert time.monotonic() < until, server.said()
        time.sleep(0.05)


def titles_of(answer):
    titles = [one["title"] for one in answer["recommendations"]]
    reasons = [reason for one in answer["recommendations"] for reason in one["reasons"]]
    titles += [reason["title"] for reason in reasons]
    return titles + [at["item_title"] for reason in reasons for at in reason["evidence"]]


def test_bundles_change_places_under_load_and_no_answer_is_dropped_or_mixed(project, tmp_path):
    place = tmp_path / "bundle"
    digests = {relabelled(project.bundle, tmp_path / one, f"{one} "): one for one in "AB"}
    put_in_place(tmp_path / "A", place)
    with running(tmp_path / "log", place, "--watch", "0.3") as started:
        with Asking(started) as asking:
            for number in range(N_SWAPS):
                put_in_place(tmp_path / "BA"[number % 2], place)
                if number % 2:
                    started.process.send_signal(signal.SIGHUP)
                wait_for(started, "a new bundle is served", number + 1)
        assert started.end() == 0
    assert not asking.failures
    assert {status for status, _ in asking.answers} == {200}
    letters = [digests[answer["bundle"]] for _, answer in asking.answers]
    assert set(letters) == {"A", "B"}
    for letter, (_, answer) in zip(letters, asking.answers, strict=True):
        assert {title[:2] for title in titles_of(answer)} == {f"{letter} "}
    assert len(letters) > 20


def test_it_ends_when_those_inside_are_answered(project, tmp_path):
    found = []
    with running(tmp_path / "log", project.bundle) as started:

        def ask():
            with started.client() as client:
                question = {"history": [f"b{n:03d}" for n in range(1, 100)], "k": 100}
                found.append(client.post("/recommend", json=question))

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(0.3)
        assert started.end(signal.SIGTERM) == 0
        asking.join()
        with pytest.raises(httpx.ConnectError), started.client() as client:
            client.get("/health")
    assert found[0].status_code == 200
    assert "Traceback" not in started.said()


def test_what_cannot_be_served_is_told_in_a_line(mekb, project, tmp_path, monkeypatch):
    monkeypatch.delenv("MEKB_TOKEN", raising=False)
    ran = mekb("serve", tmp_path / "absent")
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "no bundle" in ran.err
    ran = mekb("serve", project.bundle, "--host", "0.0.0.0")  # noqa: S104  it is refused
    assert ran.code == 2
    assert "give a token" in ran.err
    (tmp_path / "token").write_text("short")
    ran = mekb("serve", project.bundle, "--token-file", tmp_path / "token")
    assert (ran.code, "16 characters" in ran.err) == (2, True)
    ran = mekb("serve", project.bundle, "--timeout", "0")
    assert (ran.code, "serve.timeout_seconds" in ran.err) == (2, True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = mekb("serve", project.bundle, "--port", str(taken.getsockname()[1]))
    assert ran.code == 1
    assert "cannot be listened to" in ran.err


def test_a_token_of_the_environment_counts_and_is_nowhere_told(project, tmp_path):
    with running(tmp_path / "log", project.bundle, MEKB_TOKEN=TOKEN) as started:
        with started.client() as client:
            assert client.get("/bundle").status_code == 401
        with started.client(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            assert client.get("/bundle").status_code == 200
        assert started.end(signal.SIGINT) == 0
        assert TOKEN not in started.said()
