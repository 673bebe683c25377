"""Documentation that cannot rot: its commands parse, its links lead somewhere, its names are there.

What is read: README.md, CHANGELOG.md and every Markdown file below docs/. Commands stand in ```console blocks on lines that
begin with "$ mekb"; a backslash at the end of a line joins the next. That they do what is shown is tests/docs/test_pages_run.py's.
"""

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from mekb.cli.app import app

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [
    path
    for path in (README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
    if path.is_file()
]
WRITTEN_CHARS = 500
"""A README shorter than this is a placeholder: what must stand in it is not asked for yet."""
UsageError = typer.BadParameter.__base__ or Exception
"""Click's, wherever this version of Typer has it from."""
SHELL_ENDS = {"|", ">", ">>", "2>", "&&", "||", ";", "<"}


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced code blocks of a language."""
    fence = re.compile(
        rf"^(?P<fence>`{{3,}}){language}\b[^\n]*\n(?P<body>.*?)^(?P=fence)\s*$",
        re.MULTILINE | re.DOTALL,
    )
    return [match["body"] for match in fence.finditer(text)]


def commands_in(text: str) -> list[str]:
    """Return the `mekb ...` commands of the console blocks, continuation lines joined."""
    lines = "\n".join(blocks(text, "console")).replace("\\\n", " ").splitlines()
    prompt = re.compile(r"\$ (?:[A-Z_]+=\S+ )*(?P<command>mekb\b.*)")
    return [match["command"] for match in map(prompt.fullmatch, lines) if match]


def words_of(command: str) -> list[str]:
    """Return the words after `mekb`, up to whatever the shell would do with the output."""
    words = shlex.split(command, comments=True)[1:]
    ends = [place for place, word in enumerate(words) if word in SHELL_ENDS]
    return words[: ends[0]] if ends else words


def all_commands(group: Any = None, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return every command that is no group, by its words."""
    group = group or typer.main.get_command(app)
    found: dict[tuple[str, ...], Any] = {}
    for name, command in group.commands.items():
        is_group = hasattr(command, "commands")
        found |= all_commands(command, (*path, name)) if is_group else {(*path, name): command}
    return found


def commands_by_default(group: Any = None) -> dict[tuple[str, ...], Any]:
    """Return the groups that are also short for one of their commands: `mekb link STORE`."""
    groups = (group or typer.main.get_command(app)).commands
    return {
        (name,): command.commands[command.default_command]
        for name, command in groups.items()
        if hasattr(command, "default_command")
    }


COMMANDS = all_commands()
UNDERSTOOD = COMMANDS | commands_by_default()


def parse(words: list[str]) -> str:
    """Parse the words as the command line would, run nothing, and return the command's name.

    Raises:
        UsageError: no such command or option, or an argument is missing.
    """
    while words[:1] == ["--debug"]:
        words = words[1:]
    if words in (["--help"], ["--version"], []):
        return "mekb"
    found = next((name for n in (2, 1) if (name := tuple(words[:n])) in UNDERSTOOD), None)
    if found is None:
        raise UsageError(f"no command '{' '.join(words[:2])}'")
    rest = words[len(found) :]
    if "--help" not in rest:
        UNDERSTOOD[found].make_context(" ".join(found), rest)
    return " ".join(found)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


GIVEN = [(path, command) for path in PAGES for command in commands_in(read(path))]


@pytest.mark.parametrize(
    ("path", "command"),
    [pytest.param(path, command, id=f"{path.name}: {command[:60]}") for path, command in GIVEN],
)
def test_a_documented_command_parses(path, command):
    try:
        parse(words_of(command))
    except UsageError as error:
        pytest.fail(f"{path.name}: {command}: {error}")


@pytest.mark.parametrize(
    "wrong",
    [
        "mekb recomend bundle",
        "mekb data imports my.duckdb",
        "mekb runs my.duckdb --formats json",
        "mekb runs",
        "mekb runs my.duckdb another.duckdb",
        "mekb recommend bundle -k many",
        "mekb runs my.duckdb --format yaml",
        "mekb train my.duckdb model",
    ],
)
def test_the_check_finds_what_is_wrong(wrong):
    with pytest.raises(UsageError):
        parse(words_of(wrong))


def test_the_check_reads_blocks_as_people_write_them():
    text = """
```console
$ mekb data import my.duckdb --items items.jsonl \\
    --interactions "a b.csv"   # one's own data
$ OMP_NUM_THREADS=1 mekb runs my.duckdb --format json | head
mekb: this is output
$ ls
```

```python
$ mekb nonsense
```
"""
    found = commands_in(text)
    assert [words_of(command) for command in found] == [
        *(["data", "import", "my.duckdb", "--items", "items.jsonl", "--interactions", "a b.csv"],),
        ["runs", "my.duckdb", "--format", "json"],
    ]
    assert [parse(words_of(command)) for command in found] == ["data import", "runs"]


def test_every_command_is_documented():
    if len(read(README)) < WRITTEN_CHARS:
        pytest.skip("README.md is a placeholder")
    text = "\n".join(map(read, PAGES))
    names = {" ".join(words) for words in COMMANDS}
    assert {name for name in names if f"mekb {name}" in text} == names


def slug(heading: str) -> str:
    """Return the anchor GitHub gives a heading.

    >>> slug("What it's *for*: `mekb`")
    'what-its-for-mekb'
    """
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def prose(text: str) -> str:
    """Return a page without its code."""
    return re.sub(
        r"`[^`\n]*`", "", re.sub(r"^(`{3,}).*?^\1\s*$", "", text, flags=re.MULTILINE | re.DOTALL)
    )


def anchors(path: Path) -> set[str]:
    without_code = re.sub(r"^(`{3,}).*?^\1\s*$", "", read(path), flags=re.MULTILINE | re.DOTALL)
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)}


LINKS = [
    (path, link)
    for path in PAGES
    for link in re.findall(
        r"\]\(\s*<?([^)\s>]+)|(?:src|href)=\"([^\"]+)\"|^\[[^\]]+\]:\s*(\S+)",
        prose(read(path)),
        re.MULTILINE,
    )
    for link in filter(None, link)
    if not re.match(r"[a-z]+:", link)
]


@pytest.mark.parametrize(
    ("path", "link"), [pytest.param(path, link, id=f"{path.name}: {link}") for path, link in LINKS]
)
def test_an_internal_link_leads_somewhere(path, link):
    file, _, anchor = link.partition("#")
    target = (path.parent / file).resolve() if file else path
    assert target.exists(), f"{path.name} links to {link}, which is not there"
    assert target.is_relative_to(ROOT)
    if anchor and target.suffix == ".md":
        assert anchor in anchors(target), f"{path.name} links to {link}; no heading gives #{anchor}"


PYTHON = [
    (path, block)
    for path in PAGES
    for language in ("python", "pycon")
    for block in blocks(read(path), language)
]


@pytest.mark.parametrize(
    ("path", "block"),
    [pytest.param(path, block, id=f"{path.name}: {n}") for n, (path, block) in enumerate(PYTHON)],
)
def test_python_of_the_docs_compiles_and_names_what_is_there(path, block):
    """Doctest prompts are taken off; names and keywords of `mekb.verb(...)` must be the verb's own."""
    import inspect

    import mekb

    lines = block.splitlines()
    if any(line.startswith(">>> ") for line in lines):
        block = "\n".join(line[4:] for line in lines if line.startswith((">>> ", "... ")))
    for node in ast.walk(ast.parse(block, filename=path.name)):
        match node:
            case ast.Attribute(value=ast.Name(id="mekb"), attr=name):
                assert hasattr(mekb, name), f"{path.name}: mekb.{name} is not there"
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="mekb"), attr=name), keywords=keywords
            ):
                known = inspect.signature(getattr(mekb, name)).parameters
                given = {keyword.arg for keyword in keywords} - {None}
                assert given <= set(known), f"{path.name}: mekb.{name} takes {', '.join(known)}"


def test_the_packages_own_docstring_is_true():
    """The first thing `help(mekb)` shows is a program: its verbs and their keywords are there."""
    import inspect
    import textwrap

    import mekb

    program = textwrap.dedent("\n".join(
        line for line in (mekb.__doc__ or "").splitlines() if line.startswith("    ")
    ))  # fmt: skip
    calls = [node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Call)]
    assert len(calls) >= 6
    for call in calls:
        assert isinstance(call.func, ast.Attribute)
        known = inspect.signature(getattr(mekb, call.func.attr))
        known.bind(*call.args, **{word.arg: word.value for word in call.keywords if word.arg})
