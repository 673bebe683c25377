"""docs/page.md does what it says: its commands run on the sample world and print what it shows."""

import re
import shlex
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "page.md").read_text(encoding="utf-8")
SHOWN = re.compile(r"^\$ mekb (?P<words>profiles show .+)\n(?P<output>.+)$", re.MULTILINE)


def test_its_commands_and_its_program_run(mekb, own_project, monkeypatch):
    monkeypatch.chdir(own_project.folder)
    steps = SHOWN.findall(PAGE)
    assert len(steps) == 2
    for words, output in steps:
        ran = mekb(*shlex.split(words))
        assert ran.code == 0, ran.err
        assert ran.err.strip() == output
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(program, "page.md", "exec"), {})  # noqa: S102  our own page
    assert Path("again.html").read_bytes() == Path("with-films.html").read_bytes()


def test_what_it_says_of_the_assets_is_so():
    vendor = Path(__file__).parents[2] / "mekb" / "page" / "assets" / "vendor"
    version = re.search(r"Cytoscape\.js\]\([^)]*\) ([\d.]+) \(MIT\)", PAGE)
    assert version
    assert version[1] in (vendor / "README.md").read_text(encoding="utf-8")
    assert f'="{version[1]}"' in (vendor / "cytoscape.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "word", ["Remove", "Bring back", "Add an interest", "What is it related to?"]
)
def test_what_it_calls_by_name_is_called_so(word):
    assets = Path(__file__).parents[2] / "mekb" / "page" / "assets"
    assert any(word in file.read_text(encoding="utf-8") for file in assets.glob("*.[jh]*"))
