"""What the tests of faults are run with: the command line as a process, small dumps, and a folder's content."""

import bz2
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="en">\n'
    "<siteinfo><dbname>enwiki</dbname><case>first-letter</case><namespaces>"
    '<namespace key="0" case="first-letter"></namespace></namespaces></siteinfo>\n'
)
END = "</mediawiki>\n"
REPOSITORY = Path(__file__).parents[2]


def page_xml(number: int, title: str, text: str) -> str:
    """Return the element of one page."""
    return (
        f"<page>\n<title>{escape(title)}</title><ns>0</ns><id>{number}</id>\n<revision><id>{number}</id>"
        f"<model>wikitext</model><text>{escape(text)}</text></revision>\n</page>\n"
    )


@pytest.fixture(scope="session")
def make_dump() -> Callable[..., Path]:
    """Return a function that writes a dump: title -> wikitext, packed as the name says."""

    def write(path: Path, pages: Mapping[str, str], *, raw: bytes = b"") -> Path:
        """Write the pages, with `raw` in front of the end tag, as one bz2 stream a page or plain."""
        parts = [page_xml(n, *page) for n, page in enumerate(pages.items(), start=1)]
        pieces = [part.encode() for part in (HEAD, *parts)] + [raw + END.encode()]
        if path.suffix == ".bz2":
            pieces = [bz2.compress(piece) for piece in pieces]
        path.write_bytes(b"".join(pieces))
        return path

    return write


@pytest.fixture(scope="session")
def small_wiki() -> dict[str, str]:
    """Return pages that link to one another."""
    return {
        "Dune (novel)": "A novel by [[Frank Herbert]], filmed as ''[[Dune (film)|Dune]]''.",
        "Dune (film)": "A film after the [[Dune (novel)|novel Dune]].",
        "Frank Herbert": "The author of [[Dune (novel)|Dune]].",
        "Herbert": "#REDIRECT [[Frank Herbert]]",
    }


def command(words: Sequence[str | Path], env: Mapping[str, str] | None = None) -> subprocess.Popen:
    """Start `mekb WORD ...` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "mekb", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(env or {})},
        cwd=REPOSITORY,
    )


@pytest.fixture
def start() -> Callable[..., subprocess.Popen]:
    """Return `command`; what still runs at the end of the test is killed."""
    started = []

    def begin(*words: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen:
        started.append(command(words, env))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def listing() -> Callable[[Path], dict[str, tuple[int, int]]]:
    """Return a function: every path below a folder with its size and time of change."""

    def of(folder: Path) -> dict[str, tuple[int, int]]:
        return {
            path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in sorted(folder.rglob("*"))
        }

    return of
