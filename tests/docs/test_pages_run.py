"""The pages run: README and the pages that say how something is done, on the sample world, as a reader would do it.

A page is a list of steps. A block ```lang title="NAME"``` is a file; ```console holds commands, each with the output shown
below it; ```python is a program; ```pycon a session with its answers. Each page goes on in a copy of the folder that the
page before it left. What a command is shown to print, it must print, "..." standing for anything; of what depends on a
trained model, the columns of the tables must be right. Models are as small as can be, and know next to nothing.
"""

import bz2
import contextlib
import doctest
import io
import re
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GOES_ON_FROM = {
    "build-profiles.md": None,
    "mekb.md": "build-profiles.md",
    "tables.md": "build-profiles.md",
    "fine-tune.md": "build-profiles.md",
    "recommend.md": "fine-tune.md",
    "start.md": "recommend.md",
    "README.md": "build-profiles.md",
    "your-own.md": None,
    "settings.md": None,
}
"""Page -> the page in whose folder it goes on; None begins with the files of the sample world alone."""
OF_A_MODEL = {"train", "evaluate", "compare", "recommend", "explain"}
"""Commands whose numbers and names are those of a real model on the page, and of a tiny one here."""
UNENDING = {"serve"}
"""Commands that go on until they are stopped; `tests/serve` runs them."""
SMALL = {"max_tokens": 16, "embedding_size": 8, "epochs": 1, "head_epochs": 1, "batch_size": 256}
FENCE = re.compile(
    r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?[^\n]*\n(?P<body>.*?)^```\s*$",
    re.MULTILINE | re.DOTALL,
)
PROMPT = "$ mekb "


@dataclass(frozen=True)
class File:
    """A file the page shows whole."""

    name: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command, and the lines shown below it."""

    words: tuple[str, ...]
    shown: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """A Python block; what it prints is not shown."""

    code: str
    line: int


@dataclass(frozen=True)
class Session:
    """A Python session, prompts and answers."""

    text: str
    line: int


Step = File | Command | Program | Session


def steps_of(page: str) -> Iterator[Step]:
    """Yield the steps of a page."""
    for fence in FENCE.finditer(page):
        line = page.count("\n", 0, fence.start()) + 1
        match fence["language"], fence["title"]:
            case _, str(name):
                yield File(name, fence["body"])
            case "console", None:
                yield from _commands(fence["body"])
            case "python", None:
                yield Program(fence["body"], line)
            case "pycon", None:
                yield Session(fence["body"], line)


def _commands(block: str) -> Iterator[Command]:
    """Yield the `mekb` commands of a block; a backslash at the end of a line joins the next."""
    words: tuple[str, ...] | None = None
    shown: list[str] = []
    for line in (*block.replace("\\\n", " ").splitlines(), "$ "):
        if not line.startswith("$ "):
            shown.append(line)
            continue
        if words is not None:
            yield Command(words, tuple(shown))
        is_ours = line.startswith(PROMPT)
        words = tuple(shlex.split(line.removeprefix(PROMPT), comments=True)) if is_ours else None
        shown = []


def headings(lines: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the column names of the tables among some lines.

    >>> headings(["┏━━━┳━━━┓", "┃ a ┃ b c ┃", "┡━━━╇━━━┩"])
    [('a', 'b c')]
    """
    return [
        tuple(cell.strip() for cell in line.strip("┃ \n").split("┃"))
        for line in lines
        if line.startswith("┃")
    ]


def plain(line: str) -> str:
    """Return a line with its spaces and rules shortened, so that the width of a table does not matter.

    >>> plain("│    1 │ Paris     │   ")
    '│ 1 │ Paris │'
    """
    return re.sub(r"([━─])+", r"\1", " ".join(line.split()))


def is_there(shown: str, lines: list[str]) -> bool:
    """Return whether a line that is shown was put out; "..." stands for anything.

    >>> is_there("import: done in ... s", ["import: done in 0.3 s"])
    True
    """
    pattern = ".*".join(map(re.escape, plain(shown).split("...")))
    return any(re.fullmatch(pattern, plain(line)) for line in lines)


class Walk:
    """Does what the pages say, each page once, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place_of(self, page: str) -> Path:
        """Return the folder of a page that was done, or is to be."""
        return self.folder / Path(page).stem

    def do(self, page: str, mekb: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
        """Do a page, and before it what it goes on from."""
        place = self.place_of(page)
        if place.exists():
            return
        before = GOES_ON_FROM[page]
        if before is None:
            write_beginnings(place)
        else:
            self.do(before, mekb, monkeypatch)
            shutil.copytree(self.place_of(before), place)
        if page == "start.md":
            as_the_demo_leaves_it(place)
        if page == "README.md":
            (place / "liked.txt").write_text("books:b094\n", encoding="utf-8")
        monkeypatch.chdir(place)
        names: dict[str, Any] = {"__name__": page}
        for step in steps_of(text_of(page)):
            match step:
                case File(name, text):
                    (place / name).write_text(text, encoding="utf-8")
                case Command(words) if words[0] not in UNENDING:
                    check_command(page, step, mekb)
                case Program(code, line):
                    make_way(page, place)
                    with contextlib.redirect_stdout(io.StringIO()):
                        exec(compile(code, f"{page}:{line}", "exec"), names)  # noqa: S102  our own pages
                case Session(text, line):
                    check_session(page, text, line, names)


def text_of(page: str) -> str:
    return (ROOT / page if page == "README.md" else ROOT / "docs" / page).read_text("utf-8")


def write_beginnings(place: Path) -> None:
    """Write the sample world, and the small Chinese dump of this folder."""
    from mekb.sample import write_sample_world

    write_sample_world(place)
    here = Path(__file__).parent
    shutil.copy(here / "zhwiki-qids.tsv", place)
    dump = (here / "zhwiki-pages-articles.xml").read_bytes()
    (place / "zhwiki-pages-articles.xml.bz2").write_bytes(bz2.compress(dump))


def as_the_demo_leaves_it(place: Path) -> None:
    """Put store and bundle where `mekb demo` puts them."""
    demo = place / "demo"
    demo.mkdir()
    shutil.copy(place / "my.duckdb", demo / "demo.duckdb")
    shutil.copytree(place / "bundle", demo / "bundle")


def make_way(page: str, place: Path) -> None:
    """Let the second door of README make anew what the first one made: a model, then a bundle."""
    if page == "README.md":
        for folder in (place / "model", place / "bundle"):
            aside = folder.with_name(f"{folder.name}-made")
            if folder.exists() and not aside.exists():
                folder.rename(aside)


def check_command(page: str, step: Command, mekb: Callable[..., Any]) -> None:
    """Run a command and compare what is shown with what came."""
    ran = mekb(*step.words)
    said = f"{page}: mekb {shlex.join(step.words)}"
    assert ran.code == 0, f"{said}: {ran.err}"
    lines = [*ran.out.splitlines(), *ran.err.splitlines()]
    if page == "README.md" or step.words[0] in OF_A_MODEL:
        missing: list[Any] = [
            columns for columns in headings(step.shown) if columns not in headings(lines)
        ]
    else:
        missing = [shown for shown in step.shown if not is_there(shown, lines)]
    assert not missing, f"{said} does not print {missing}, but:\n{ran.out}{ran.err}"


def check_session(page: str, text: str, line: int, names: dict[str, Any]) -> None:
    """Hold a Python session to its answers."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    session = doctest.DocTestParser().get_doctest(text, {}, f"{page}:{line}", page, line)
    session.globs = names
    failures = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=flags)
    runner.run(session, out=failures.write, clear_globs=False)
    assert runner.failures == 0, failures.getvalue()


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """Return the one walk of these tests."""
    return Walk(tmp_path_factory.mktemp("walk"))


@pytest.fixture
def small_models(monkeypatch: pytest.MonkeyPatch, small_bert: Path) -> None:
    """Make every preset a tiny model on a random encoder."""
    from training import encoder_files
    from training.baselines import frozen_text
    from training.embedme import bert, config

    for module in (encoder_files, bert, frozen_text):
        monkeypatch.setattr(module, "find_encoder", lambda _: small_bert)
    for name, preset in config.PRESETS.items():
        monkeypatch.setitem(config.PRESETS, name, preset | SMALL)


@pytest.mark.slow
@pytest.mark.usefixtures("small_models")
@pytest.mark.parametrize("page", GOES_ON_FROM)
def test_a_page_does_what_it_shows(page, walk, mekb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    walk.do(page, mekb, monkeypatch)


def test_pages_that_show_steps_are_walked():
    """A page with files or sessions in it is one of those above."""
    pages = sorted((ROOT / "docs").glob("*.md"))
    assert {
        page.name
        for page in pages
        if any(isinstance(step, File | Session) for step in steps_of(text_of(page.name)))
    } <= set(GOES_ON_FROM)
    assert sum(1 for page in GOES_ON_FROM for _ in steps_of(text_of(page))) > 60


def test_what_is_not_printed_is_found():
    lines = ["│    1 │ Paris     │", "import: done in 0.3 s (run import-1)"]
    assert is_there("│ 1 │ Paris │", lines)
    assert is_there("import: done in ... s (run import-...)", lines)
    assert not is_there("│ 1 │ London │", lines)
    assert headings(["┃ a ┃ b ┃", "│ 1 │ 2 │"]) == [("a", "b")]
    with pytest.raises(AssertionError, match="Expected:"):
        check_session("page", ">>> 1 + 1\n3\n", 1, {})
