"""Whatever its own OpenAPI document allows, and what it does not: no failure of ours, and a documented answer in JSON."""

import re

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks, openapi
from served_bundles import running

N_EXAMPLES = 25
"""Of each route and each mode: some 450 requests."""
ROUTES = (
    *("POST /recommend", "POST /profile", "POST /explain", "POST /link"),
    *("GET /entities", "GET /entities/{entity_id}/neighbours", "GET /items", "GET /bundle"),
    *("GET /health", "GET /ready"),
)
WITHOUT_QUESTION = ("GET /bundle", "GET /health", "GET /ready")
"""There is nothing to ask wrongly."""
CHECKED = (
    checks.not_a_server_error,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.status_code_conformance,
)
"""Not that each question that fits the schema is answered: whether a name is known stands in no schema."""


@pytest.fixture(scope="module")
def server(project, tmp_path_factory):
    with running(tmp_path_factory.mktemp("log") / "stderr", project.bundle) as started:
        yield started


@pytest.fixture(scope="module")
def operations(server):
    schema = openapi.from_url(f"{server.address}/openapi.json")
    found = [result.ok() for result in schema.get_all_operations()]
    return {operation.label: operation for operation in found}


def test_every_route_is_documented(operations):
    assert sorted(operations) == sorted(ROUTES)


@pytest.mark.parametrize(
    ("route", "mode"),
    [
        pytest.param(route, mode, id=f"{route}, {mode.value}")
        for route in ROUTES
        for mode in GenerationMode
        if mode is GenerationMode.POSITIVE or route not in WITHOUT_QUESTION
    ],
)
def test_whatever_is_asked_is_answered_as_documented(server, operations, route, mode):
    operation = operations[route]
    cases = operation.as_strategy(generation_mode=mode)
    n_asked = 0

    @settings(
        max_examples=N_EXAMPLES,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def ask(case):
        nonlocal n_asked
        answer = case.call()
        n_asked += 1
        case.validate_response(answer, checks=list(CHECKED))
        assert not re.search(r'Traceback|File "|/usr/|site-packages|\.py\b', answer.text)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == ["application/problem+json"]
            assert answer.json()["status"] == answer.status_code

    ask()
    assert n_asked > 0
    assert "Traceback" not in server.said()


@settings(max_examples=40, database=None, derandomize=True)
@given(text=st.text(max_size=200))
def test_any_text_is_linked_within_its_bounds(client, text):
    answer = client.post("/link", json={"text": text})
    assert answer.status_code == 200
    for mention in answer.json()["mentions"]:
        assert text[mention["start"] : mention["stop"]] == mention["surface"]
