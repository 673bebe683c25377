"""Who may ask, how much, and how long: each bound at its edge, and one line whatever is wrong."""
# ruff: noqa: D102  (a test's name is its docstring)

import json
import logging
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from served_bundles import TOKEN, client_of
from starlette.responses import PlainTextResponse

from mekb.errors import ConfigError, SourceError
from mekb.serve import ServeSettings, answers, create_app, messages
from mekb.serve.run import check_reach, read_token, settings_of

JAZZ = {"interests": ["Jazz"], "k": 1, "explain": False}


def check_problem(answer, status):
    """Hold an answer to one line of problem+json that gives nothing of the inside away."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail"}
    assert problem["status"] == status
    assert "\n" not in problem["detail"]
    assert len(problem["detail"]) <= 400
    assert not re.search(r"Traceback|File \"|/\w+/\w+|\.py", problem["detail"])
    return problem["detail"]


@pytest.fixture(scope="module")
def guarded(project):
    """A server that asks for a token."""
    with client_of(project.bundle, token=TOKEN) as opened:
        yield opened


class TestToken:
    """Who."""

    @pytest.mark.parametrize(
        "header",
        [
            None,
            "",
            "Bearer",
            "Bearer ",
            f"Bearer {TOKEN[:-1]}",
            f"Bearer {TOKEN}x",
            f"Basic {TOKEN}",
            TOKEN,
            "Bearer \u00e9".encode(),
        ],
    )
    @pytest.mark.parametrize("path", ["/bundle", "/entities?q=ja", "/openapi.json", "/nope"])
    def test_without_it_nothing_is_told(self, guarded, header, path):
        headers = {} if header is None else {"Authorization": header}
        answer = guarded.get(path, headers=headers)
        check_problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"

    def test_with_it_everything_is(self, guarded):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert guarded.get("/bundle", headers=headers).status_code == 200
        assert guarded.post("/recommend", json=JAZZ, headers=headers).status_code == 200

    def test_probes_need_none(self, guarded):
        assert guarded.get("/health").status_code == 200
        assert guarded.get("/ready").status_code == 200

    def test_pages_need_none_and_nothing_else_is_opened_by_them(self, project):
        page = PlainTextResponse("a page")
        app = create_app(project.bundle, ServeSettings(token=TOKEN), {"/page": page})
        with TestClient(app, base_url="http://localhost") as opened:
            assert opened.get("/page/").text == "a page"
            assert opened.get("/page/../bundle").status_code == 401
            assert opened.get("/pagebundle").status_code == 401
            assert opened.get("/bundle").status_code == 401

    @pytest.mark.parametrize(
        ("host", "token", "is_fine"),
        [
            ("127.0.0.1", None, True),
            ("127.8.8.8", None, True),
            ("::1", None, True),
            ("localhost", None, True),
            ("0.0.0.0", None, False),  # noqa: S104
            ("::", None, False),
            ("192.168.1.7", None, False),
            ("example.org", None, False),
            ("localhost.example.org", None, False),
            ("0.0.0.0", TOKEN, True),  # noqa: S104
        ],
    )
    def test_others_are_reached_with_a_token_only(self, host, token, is_fine):
        settings = ServeSettings(host=host, token=token)
        if is_fine:
            check_reach(settings)
        else:
            with pytest.raises(ConfigError, match=r"give a token with --token-file or MEKB_TOKEN"):
                check_reach(settings)

    def test_a_token_is_read_from_a_file_or_the_environment(self, tmp_path, monkeypatch):
        file = tmp_path / "token"
        file.write_text(f"{TOKEN}\n", encoding="utf-8")
        monkeypatch.setenv("MEKB_TOKEN", "another-token-of-the-environment")
        assert read_token(file).get_secret_value() == TOKEN
        assert read_token(None).get_secret_value() == "another-token-of-the-environment"
        monkeypatch.delenv("MEKB_TOKEN")
        assert read_token(None) is None
        file.write_text("short", encoding="utf-8")
        with pytest.raises(ConfigError, match="16 characters at least"):
            read_token(file)
        file.write_text("", encoding="utf-8")
        with pytest.raises(ConfigError, match="16 characters at least"):
            read_token(file)
        with pytest.raises(SourceError, match="cannot be read as a token"):
            read_token(tmp_path / "absent")

    def test_a_token_is_in_no_text_of_the_settings(self):
        assert TOKEN not in repr(ServeSettings(token=TOKEN))
        with pytest.raises(ConfigError, match=r"serve\.threads: "):
            settings_of(token=ServeSettings(token=TOKEN).token, threads=0)


class TestHostName:
    """A page of the web that has its own name lead here is refused."""

    @pytest.mark.parametrize("name", ["localhost", "127.0.0.1:8765", "[::1]:8765", "LOCALHOST:1"])
    def test_names_of_this_machine(self, client, name):
        assert client.get("/bundle", headers={"Host": name}).status_code == 200

    @pytest.mark.parametrize("name", ["evil.example", "localhost.evil.example", "", "10.0.0.1"])
    def test_other_names(self, client, name):
        check_problem(client.get("/bundle", headers={"Host": name}), 421)

    def test_with_a_token_any_name_will_do(self, project):
        with client_of(project.bundle, token=TOKEN) as opened:
            headers = {"Host": "recommender.example", "Authorization": f"Bearer {TOKEN}"}
            assert opened.get("/bundle", headers=headers).status_code == 200


class TestBody:
    """What is sent."""

    def test_the_longest_that_is_read(self, project):
        with client_of(project.bundle, max_body_bytes=2_000) as opened:
            for extra, status in ((0, 200), (1, 413)):
                text = json.dumps({"text": "jazz"})
                body = text + " " * (2_000 - len(text) + extra)
                answer = opened.post(
                    "/link", content=body, headers={"Content-Type": "application/json"}
                )
                assert answer.status_code == status
            check_problem(answer, 413)

    def test_a_body_of_no_stated_length_is_counted(self, project):
        def pieces():
            for _ in range(100):
                yield b" " * 100

        with client_of(project.bundle, max_body_bytes=2_000) as opened:
            headers = {"Content-Type": "application/json"}
            check_problem(opened.post("/link", content=pieces(), headers=headers), 413)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 422),
            (b"{", 400),
            (b"\xff\xfe", 400),
            (b"[]", 422),
            (b"null", 422),
            (b'{"text": 5}', 422),
            (b'{"text": "jazz", "text2": 1}', 422),
            (b'{"text": "\\ud800"}', 422),
            (b'{"\\ud800": 1}', 422),
            (b"[" * 100_000, 400),
            (b'{"text": ' * 5_000 + b"1" + b"}" * 5_000, 400),
            (b'{"text": NaN}', 422),
        ],
    )
    def test_what_is_no_question(self, client, body, status):
        headers = {"Content-Type": "application/json"}
        check_problem(client.post("/link", content=body, headers=headers), status)

    @pytest.mark.parametrize("weight", ["NaN", "Infinity", "-1", "0", "1e400", '"1"', "true"])
    def test_a_weight_is_a_number_above_nothing(self, client, weight):
        body = '{"interests": [{"name": "Jazz", "weight": ' + weight + "}]}"
        headers = {"Content-Type": "application/json"}
        check_problem(client.post("/recommend", content=body, headers=headers), 422)

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
    def test_a_form_of_the_web_is_refused(self, client, kind):
        headers = {} if kind is None else {"Content-Type": kind}
        check_problem(client.post("/link", content=b'{"text": "x"}', headers=headers), 415)

    def test_json_with_a_charset_is_json(self, client):
        headers = {"Content-Type": "Application/JSON; charset=utf-8"}
        answer = client.post("/link", content=b'{"text": "jazz"}', headers=headers)
        assert answer.status_code == 200

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [("GET", "/nope", 404), ("GET", "/recommend", 405), ("DELETE", "/bundle", 405)],
    )
    def test_what_is_not_there(self, client, method, path, status):
        check_problem(client.request(method, path), status)


class TestOverload:
    """How many, how long."""

    def test_one_more_than_there_is_room_for_is_sent_away(self, project, monkeypatch):
        inside, go = threading.Semaphore(0), threading.Event()

        def slow(*_, **__):
            inside.release()
            go.wait(30)
            return messages.Links(bundle="", mentions=[])

        monkeypatch.setattr(answers, "link", slow)
        with client_of(project.bundle, threads=2, max_waiting=1) as opened:
            with ThreadPoolExecutor(3) as pool:
                asked = [pool.submit(opened.post, "/link", json={"text": "x"}) for _ in range(3)]
                inside.acquire()
                inside.acquire()
                until = time.monotonic() + 20
                while opened.app.state.desk.n_taken < 3 and time.monotonic() < until:
                    time.sleep(0.01)
                refused = opened.post("/link", json={"text": "x"})
                check_problem(refused, 503)
                assert int(refused.headers["retry-after"]) >= 1
                assert opened.get("/health").status_code == 200
                go.set()
                assert [future.result().status_code for future in asked] == [200] * 3
            assert opened.post("/link", json={"text": "x"}).status_code == 200

    def test_what_takes_too_long_is_given_up_and_keeps_its_place(self, project, monkeypatch):
        go = threading.Event()

        def slow(*_, **__):
            go.wait(30)
            return messages.Links(bundle="", mentions=[])

        monkeypatch.setattr(answers, "link", slow)
        with client_of(project.bundle, threads=1, max_waiting=0, timeout_seconds=0.2) as opened:
            check_problem(opened.post("/link", json={"text": "x"}), 504)
            check_problem(opened.post("/link", json={"text": "x"}), 503)
            go.set()
            until = time.monotonic() + 20
            while opened.app.state.desk.n_taken and time.monotonic() < until:
                time.sleep(0.01)
            assert opened.post("/link", json={"text": "x"}).status_code == 200

    def test_our_own_fault_is_told_in_a_line_and_noted(self, project, monkeypatch, caplog):
        def broken(*_, **__):
            raise ZeroDivisionError("a secret of the inside at /etc/passwd")

        monkeypatch.setattr(answers, "link", broken)
        with client_of(project.bundle) as opened, caplog.at_level(logging.ERROR, "mekb.serve"):
            detail = check_problem(opened.post("/link", json={"text": "x"}), 500)
        assert "secret" not in detail
        assert "ZeroDivisionError" in caplog.text
        error_id = detail.rpartition(" ")[2]
        assert re.fullmatch("[0-9a-f]{8}", error_id)
        assert f"a request failed: error {error_id}" in caplog.text


class TestAnswersAreData:
    """No browser takes an answer for a page."""

    def test_headers(self, client):
        for answer in (client.get("/bundle"), client.get("/nope"), client.post("/link", json={})):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "server" not in answer.headers

    def test_a_page_keeps_its_own_policy(self, project):
        page = PlainTextResponse("a page", headers={"Content-Security-Policy": "script-src 'self'"})
        with TestClient(
            create_app(project.bundle, pages={"/page": page}), base_url="http://localhost"
        ) as opened:
            policy = opened.get("/page/").headers.get_list("content-security-policy")
        assert policy == ["script-src 'self'"]


class TestLog:
    """A line each, and nothing personal."""

    def test_it_says_what_happened_and_nothing_of_what_was_asked(self, client, caplog):
        with caplog.at_level(logging.INFO, "mekb.serve.access"):
            client.post("/recommend", json={"history": ["books:b001"], "k": 1})
            client.post("/profile", json={"text": "My secret love of Miles Davis"})
            client.get("/entities", params={"q": "Miles"})
            client.get("/entities/93341/neighbours")
            client.get("/a-secret-path")
            client.post("/link", json={"my_secret_field": "x"})
        lines = [json.loads(record.getMessage()) for record in caplog.records]
        assert [(line["route"], line["status"]) for line in lines] == [
            ("/recommend", 200),
            ("/profile", 200),
            ("/entities", 200),
            ("/entities/{entity_id}/neighbours", 404),
            (None, 404),
            ("/link", 422),
        ]
        for line in lines:
            assert set(line) == {"at", "method", "route", "status", "milliseconds", "bytes"}
            assert line["bytes"] > 0
        for word in ("b001", "secret", "Miles", "93341", "testclient"):
            assert word not in caplog.text.replace("test_serving", "")
