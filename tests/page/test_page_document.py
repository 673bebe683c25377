"""The page as one file: only its own scripts may run, data stay data, and what is vendored is what it says."""

import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from mekb import api
from mekb.errors import OutputError
from mekb.page.document import ASSETS, asset, page_of, write_page
from mekb.picture import COLOURS, OTHER_COLOUR


class Elements(HTMLParser):
    """Scripts, styles and everything with an address, as a browser would find them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inside: list[tuple[str, dict[str, str | None], str]] = []
        self.addresses: list[str] = []
        self.policy = ""
        self.handlers: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        """Take down what an element may run or lead to."""
        traits = dict(attrs)
        if tag in {"script", "style"}:
            self.inside.append((tag, traits, ""))
        self.addresses += [str(traits[name]) for name in ("src", "href") if traits.get(name)]
        self.handlers += [name for name in traits if name.startswith("on") or name == "style"]
        if traits.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(traits["content"])

    def handle_data(self, data):
        """Take down what stands in a script or a style."""
        if self.cdata_elem:
            tag, traits, so_far = self.inside[-1]
            self.inside[-1] = (tag, traits, so_far + data)


@pytest.fixture
def elements(content):
    return Elements(page_of(content))


def test_the_policy_names_each_script_and_style_by_its_hash_and_nothing_else(elements):
    runs = {"script": set(), "style": set()}
    for tag, traits, text in elements.inside:
        if traits.get("type") != "application/json":
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            runs[tag].add(f"'sha256-{digest}'")
    rules = {rule.split()[0]: set(rule.split()[1:]) for rule in elements.policy.split("; ")}
    assert rules == {
        "default-src": {"'none'"},
        "script-src": runs["script"],
        "style-src": runs["style"],
        "base-uri": {"'none'"},
        "form-action": {"'none'"},
    }
    assert len(runs["script"]) == 8
    assert elements.handlers == []


def test_the_file_leads_nowhere(elements):
    assert elements.addresses == ["#interests"]


def test_data_are_what_was_given_and_cannot_end_their_element(content, elements):
    (data,) = [text for _, traits, text in elements.inside if traits.get("id") == "content"]
    assert not set("<>&") & set(data)
    assert data.isascii()
    expected = json.loads(json.dumps(dataclasses.asdict(content)))
    assert json.loads(data) == expected


def test_the_same_content_gives_the_same_file_and_nothing_is_replaced_unasked(content, tmp_path):
    path = tmp_path / "ann.html"
    write_page(content, path)
    assert path.read_text(encoding="utf-8") == page_of(content)
    with pytest.raises(OutputError, match="exists"):
        write_page(content, path)
    write_page(dataclasses.replace(content, person="half \ud800"), path, force=True)
    assert "<title>Interests of half ?</title>" in path.read_text(encoding="utf-8")


OURS = sorted(entry.name for entry in ASSETS.iterdir() if entry.name.endswith((".js", ".css")))


@pytest.mark.parametrize("name", [*OURS, "vendor/cytoscape.min.js"])
def test_an_asset_can_stand_inside_a_page(name):
    """A browser reads other line ends as line feeds, and would find another hash."""
    text = asset(name)
    assert not re.search(r"</(script|style)|<!--", text, re.IGNORECASE)
    assert "\r" not in text
    writes = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\("
    assert name not in OURS or not re.search(writes, text)


def test_what_is_vendored_is_what_its_note_says():
    content = (ASSETS / "vendor" / "cytoscape.min.js").read_bytes()
    note = asset("vendor/README.md")
    assert f"sha256:{hashlib.sha256(content).hexdigest()}" in note
    assert "Cytoscape Consortium" in asset("vendor/cytoscape.LICENSE")


def test_colours_are_those_of_the_pictures():
    light = asset("page.css").split("@media (prefers-color-scheme: dark)")[0]
    for place, colour in enumerate(COLOURS):
        assert f"--domain-{place}: {colour.lower()};" in light
    assert f"--domain-other: {OTHER_COLOUR.lower()};" in light


def channel(value: int) -> float:
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    red, green, blue = (channel(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(scheme):
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    light, dark = asset("page.css").split("@media (prefers-color-scheme: dark)")
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light))
    if scheme == "dark":
        found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", dark.split("\n}\n")[0]))
    pairs = [
        (text, ground)
        for text in ("ink", "quiet", "accent", "warn")
        for ground in ("paper", "card", "soft")
    ]
    for text, ground in [*pairs, ("on-accent", "accent"), ("ink", "mark")]:
        bright, dim = sorted((luminance(found[text]), luminance(found[ground])), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, (text, ground)


def test_the_file_is_remembered_and_forgotten_with_the_person(own_project, tmp_path):
    page = tmp_path / "u.html"
    api.profile_page(own_project.store, "u00001", page)
    assert page in api.forget_user(own_project.store, "u00001").deleted
    assert not page.exists()


def test_the_command_writes_what_the_verb_writes(mekb, project, own_project, tmp_path):
    by_verb, by_command = tmp_path / "verb.html", tmp_path / "command.html"
    api.profile_page(own_project.store, own_project.newcomer, by_verb, bundle=own_project.bundle)
    words = ("profiles", "show", own_project.store, own_project.newcomer, "--html", by_command)
    ran = mekb(*words, "--bundle", own_project.bundle)
    assert ran.code == 0, ran.err
    assert "open it in a browser" in ran.err
    assert by_command.read_bytes() == by_verb.read_bytes()
    assert mekb(*words).code == 1
    assert mekb(*words, "--force").code == 0
    assert by_command.read_bytes() != by_verb.read_bytes()  # no bundle, no recommendations
    alone = mekb("profiles", "show", project.store, project.newcomer, "--bundle", project.bundle)
    assert alone.code == 2
    assert "--html" in alone.err
