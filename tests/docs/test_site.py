"""The documentation as a site: every page is in it, generated parts are whole, nothing is fetched, no warning."""

import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NAV_PAGE = re.compile(r"^\s+- (?:.+: )?([\w-]+\.md)$", re.MULTILINE)


def in_nav() -> list[str]:
    return NAV_PAGE.findall((ROOT / "mkdocs.yml").read_text("utf-8").split("\nnav:\n")[1])


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    """Return the hook that writes what pages say of the code."""
    spec = importlib.util.spec_from_file_location("generated", DOCS / "hooks" / "generated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def test_the_navigation_holds_each_page_once():
    assert sorted(in_nav()) == sorted(path.name for path in DOCS.glob("*.md"))


def test_the_tables_page_holds_every_table(generated):
    from mekb.schema import CATALOGUE

    named = re.findall(r"^<!-- generated: table (\w+) -->", page("tables.md"), re.MULTILINE)
    assert sorted(named) == sorted(CATALOGUE)
    text = generated.on_page_markdown(page("tables.md"))
    assert "generated:" not in text
    for name, schema in CATALOGUE.items():
        section = text.split(f"### `{name}`\n")[1].split("\n### ")[0]
        columns = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
        assert columns == schema.names
        key = re.findall(r"^\| `(\w+)` \(key\)", section, re.MULTILINE)
        assert set(key) == set(re.findall(r"`(\w+)`", re.findall(r"^Key: (.+?)\. ", section, re.MULTILINE)[0]))  # fmt: skip
        assert section.count("```sql") == len(re.findall(r"^- `\w+`$", section, re.MULTILINE))


def test_a_check_is_printed_as_it_is_run(generated):
    """The text of a check on the page, joined again, is the query of the schema."""
    import json

    from mekb.schema import CATALOGUE

    text = generated.table_text("mentions")
    shown = re.findall(r"```sql\n(.+?)```", text, re.DOTALL)
    checks = json.loads(CATALOGUE["mentions"].metadata[b"checks"])
    assert [" ".join(query.split()) for query in shown] == [
        " ".join(query.split()) for query in checks.values()
    ]


def test_the_models_page_holds_every_model(generated):
    from training.registry import MODELS

    named = re.findall(r"^<!-- generated: model (\w+) -->", page("every-model.md"), re.MULTILINE)
    assert sorted(named) == sorted(MODELS)
    for name in ("popularity", "source_knn"):
        text = generated.model_text(name)
        assert text.startswith(f"### `{name}`")
        assert "    score(u, i) = " in text
    assert "Needs: `history`." in generated.model_text("source_knn")


def test_the_settings_page_holds_every_section(generated):
    from mekb.config import Settings

    named = re.findall(r"^<!-- generated: settings (\S+) -->", page("settings.md"), re.MULTILINE)
    assert sorted(named) == sorted([*Settings.model_fields, "train.model"])
    rows = generated.settings_text("scoring").splitlines()
    assert "| `scoring.k_star` | `5.0` |" in "\n".join(rows)
    assert len(rows) - 2 == len(type(Settings().scoring).model_fields)
    assert "| `train.model.encoder` |" in generated.settings_text("train.model")


def test_the_commands_page_holds_every_command_and_option(generated):
    from mekb.cli.app import app

    def commands(group: Any, words: str = "mekb") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, command in group.commands.items():
            is_group = hasattr(command, "commands")
            found |= (
                commands(command, f"{words} {name}") if is_group else {f"{words} {name}": command}
            )
        return found

    sections = generated.commands_text().split("\n## ")
    by_name = {
        section.removeprefix("## ").split("\n")[0].strip("`"): section for section in sections
    }
    known = commands(typer.main.get_command(app))
    assert sorted(by_name) == sorted(known)
    for name, command in known.items():
        switches = [switch for parameter in command.params for switch in parameter.opts]
        shown = by_name[name]
        assert all(f"`{each}`" in shown for each in switches if each.startswith("--")), name
        assert f"$ {name}" in shown


def test_the_python_page_holds_every_verb(generated):
    from mekb import api

    directives = re.findall(r"^::: mekb\.api\.\w+\.(\w+)$", generated.verbs_text(), re.MULTILINE)
    assert sorted(directives) == sorted(api.__all__)


def test_an_unknown_marker_stops_the_build(generated):
    with pytest.raises(KeyError):
        generated.on_page_markdown("<!-- generated: table nonsense -->\n")
    assert generated.on_page_markdown("as it was") == "as it was"


class Resources(HTMLParser):
    """What a browser would fetch for a page, and the anchors in it."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag would fetch."""
        given = dict(attrs)
        source = given.get("href") if tag == "link" else given.get("src")
        if source and not (tag == "link" and given.get("rel") in {"next", "prev", "canonical"}):
            self.fetched.append(source)
        if given.get("id"):
            self.ids.add(str(given["id"]))


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_fetches_nothing(tmp_path):
    """Strict: a warning, such as a link that leads nowhere or a heading that is not there, is an error."""
    pytest.importorskip("mkdocs", reason="mkdocs-material is not installed (group docs)")
    site = tmp_path / "site"
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    pages = {path.stem: Resources() for path in site.glob("*.html")}
    for name, resources in pages.items():
        text = (site / f"{name}.html").read_text("utf-8")
        resources.feed(text)
        assert "generated:" not in text
        for source in resources.fetched:
            assert not re.match(r"(?:[a-z]+:)?//", source), f"{name}.html fetches {source}"
            file = source.split("?")[0].split("#")[0].lstrip("/")  # 404.html begins at the root
            assert (site / file).exists(), f"{name}: {source}"
        for sheet in re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL):
            assert "http" not in sheet
    assert {Path(name).stem for name in in_nav()} <= set(pages)
    assert {"mentions", "user_entity", "relations"} <= pages["tables"].ids
    assert {"mekb-train", "mekb-data-import"} <= pages["commands"].ids
    assert any(name.endswith("user_graph") for name in pages["python"].ids)
    assert not (site / "hooks").exists()


def test_the_citation_names_the_paper_of_every_model():
    """Each model stands in the notes of a reference, and its paper's title is that reference's."""
    import yaml

    from training.registry import MODELS, model_class

    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors", "abstract", "license"} <= set(cited)
    titles = {
        name: reference["title"]
        for reference in cited["references"]
        for name in re.split(r"[,;] ", reference["notes"])
    }
    for name in MODELS:
        title = titles.get(name, cited["references"][0]["title"] if name == "embedme" else None)
        assert title is not None, f"CITATION.cff has no reference for {name}"
        assert title.lower() in model_class(name).paper.lower(), name
