"""docs/serving.md runs: every curl of it is asked, and answered as it shows; every route and setting of it is there."""

import json
import re
import shlex
from pathlib import Path

import pytest

from mekb.serve import ServeSettings

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
SHOWN = re.compile(r"```console\n\$ (curl .*?)\n```\n\n```json\n(.*?)```", re.DOTALL)
OF_THE_MODEL = {"score", "contribution", "rank", "item", "title", "weight"}
"""What another training would give: beside a recommendation only its kind is compared."""


def request_of(command):
    """Return method, path and body of a curl command."""
    words = shlex.split(command.replace("\\\n", " "))
    url = next(word for word in words if word.startswith("localhost:"))
    body = words[words.index("-d") + 1] if "-d" in words else None
    return ("POST" if body else "GET"), url.partition("8765")[2], body


def differences(shown, found, *, exact, path=""):
    """Return where an answer is not what is shown of it; lists may go on, objects may have more."""
    if isinstance(shown, dict):
        return [
            line
            for key, value in shown.items()
            for line in (
                differences(value, found[key], exact=exact, path=f"{path}.{key}")
                if key in found
                else [f"{path}.{key} is not there"]
            )
        ]
    if isinstance(shown, list):
        if len(shown) > len(found):
            return [f"{path}: {len(found)} of {len(shown)}"]
        if not exact:
            found = in_order_of(shown, found)
        pairs = enumerate(zip(shown, found, strict=False))
        return [
            line
            for place, (mine, theirs) in pairs
            for line in differences(mine, theirs, exact=exact, path=f"{path}[{place}]")
        ]
    if not exact and path.rpartition(".")[2] in OF_THE_MODEL:
        return [] if isinstance(found, type(shown)) else [f"{path}: {found!r}"]
    same = found == pytest.approx(shown) if isinstance(shown, float) else found == shown
    return [] if same else [f"{path}: {found!r}, shown {shown!r}"]


def in_order_of(shown, found):
    """Return what is found with the interests that are shown first, in their order: it is the model's."""
    if not all(isinstance(one, dict) and "entity_id" in one for one in [*shown, *found]):
        return found
    wanted = [one["entity_id"] for one in shown]
    return sorted(
        found,
        key=lambda one: (
            wanted.index(one["entity_id"]) if one["entity_id"] in wanted else len(wanted)
        ),
    )


EXAMPLES = SHOWN.findall(PAGE)


@pytest.mark.parametrize(
    ("command", "shown"), [pytest.param(c, s, id=request_of(c)[1]) for c, s in EXAMPLES]
)
def test_an_example_is_answered_as_shown(client, command, shown):
    method, path, body = request_of(command)
    headers = {"Content-Type": "application/json"} if "application/json" in command else {}
    answer = client.request(method, path, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    exact = path not in {"/recommend", "/explain"}
    assert not differences(json.loads(shown), answer.json(), exact=exact)


def test_the_check_finds_what_differs():
    shown = {"a": [{"b": 1.0, "title": "x"}]}
    assert not differences(shown, {"a": [{"b": 1.0, "title": "y", "c": 2}, {}]}, exact=False)
    assert differences(shown, {"a": [{"b": 1.0, "title": "y"}]}, exact=True)
    assert differences(shown, {"a": []}, exact=False)
    assert differences(shown, {"a": [{"b": 1.1, "title": "x"}]}, exact=False)
    assert differences(shown, {}, exact=False)
    reasons = [{"entity_id": 1, "n": 3}, {"entity_id": 2, "n": 4}]
    assert not differences(reasons, reasons[::-1], exact=False)
    assert differences(reasons, reasons[::-1], exact=True)
    assert differences(reasons, [reasons[0], {"entity_id": 3, "n": 4}], exact=False)


def test_every_route_stands_in_it(client):
    routes = client.get("/openapi.json").json()["paths"]
    assert len(EXAMPLES) == 5
    for path in routes:
        assert re.search(rf"`[A-Z]* ?{re.escape(path)}[`?]", PAGE), path


def test_its_limits_are_the_defaults(client):
    defaults = ServeSettings()
    row = next(line for line in PAGE.splitlines() if line.startswith("| 503"))
    assert f"{defaults.threads} questions in work and {defaults.max_waiting} waiting" in row
    assert f"more than {defaults.max_body_bytes:,} bytes" in PAGE
    assert f"in {defaults.timeout_seconds:.0f} s" in PAGE
    problem = re.search(r'```json\n(\{"type".*?)```', PAGE, re.DOTALL)
    refused = client.post("/recommend", json={"history": ["nope"]})
    assert refused.json() == json.loads(problem[1])
