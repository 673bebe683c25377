"""How fast is a dump read, and how fast with its links? MB of XML per CPU second, side by side in one run.

    python benchmarks/dump_parsing.py PART.xml.bz2 [--rounds 5]

The part is decompressed first, and read from memory in blocks by each contestant, on one core:

- ours, pages alone: `DumpReader`, which gives title, ids, redirect and text of each page
- ours, with links: `LinkReader.names` too, which gives (surface, target) as MediaWiki resolves them
- expat alone: the XML parser, its text collected, without any meaning given to the elements
- lxml, and lxml + regex: `iterparse` and one `findall` of `[[target|label]]`, the usual script; what it finds
  is counted beside ours, for it has links in comments, files, categories and other wikis
- mwparserfromhell: its links of a sample of the pages, text already in memory

The best of all rounds counts, each with a memory of its own: what one round has learned is forgotten in
the next, so links that repeat across rounds are no gift.
"""

import argparse
import bz2
import gzip
import io
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from alias_tables.config import AliasConfig
from alias_tables.dumps import DumpReader, Page
from alias_tables.sources import CHUNK_BYTES, Source
from alias_tables.wikitext import LinkReader

_LINK = re.compile(r"\[\[([^\[\]|]+)(?:\|([^\[\]]*))?\]\]")
SAMPLE_CHARS = 1_000_000


class Memory(Source):
    """Decompressed bytes of a part, in place of its file."""

    def __init__(self, content: bytes) -> None:
        self.path = Path("memory.xml")
        self.replaced = 0
        self._content = content

    def __exit__(self, *_: object) -> None:
        """Hold nothing open."""

    @property
    def position(self) -> int:
        """All is in memory."""
        return len(self._content)

    def chunks(self) -> Iterator[bytes]:
        """Yield blocks of the size in which files are read; that they are UTF-8 is checked here too."""
        for start in range(0, len(self._content), CHUNK_BYTES):
            chunk = self._content[start : start + CHUNK_BYTES]
            chunk.decode(errors="replace")
            yield chunk


def unpacked(path: Path) -> bytes:
    """Return the XML of a part."""
    content = path.read_bytes()
    if content.startswith(b"BZh"):
        return bz2.decompress(content)
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def pages_of(content: bytes) -> list[Page]:
    """Read all pages."""
    return list(DumpReader(Memory(content), max_page_chars=4_000_000).pages())


def ours_alone(content: bytes) -> int:
    """Read the pages; return their number."""
    reader = DumpReader(Memory(content), max_page_chars=4_000_000)
    return sum(1 for _ in reader.pages())


def ours_with_links(content: bytes) -> int:
    """Read the pages and their links; return how many links there are."""
    reader = DumpReader(Memory(content), max_page_chars=4_000_000)
    links: LinkReader | None = None
    n_links = 0
    for page in reader.pages():
        links = links or LinkReader(reader.site, AliasConfig())
        if page.redirect is None:
            n_links += links.names(page.text).n_links
    return n_links


def expat_alone(content: bytes) -> int:
    """Parse the XML; return the characters of its texts."""
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text, parser.buffer_size = True, 1 << 16
    n_characters = 0
    pieces: list[str] = []

    def end(_name: str) -> None:
        nonlocal n_characters
        n_characters += len("".join(pieces))
        pieces.clear()

    parser.CharacterDataHandler = pieces.append
    parser.EndElementHandler = end
    for start in range(0, len(content), CHUNK_BYTES):
        parser.Parse(content[start : start + CHUNK_BYTES], False)  # noqa: FBT003 (expat's positional isfinal)
    parser.Parse(b"", True)  # noqa: FBT003 (expat's positional isfinal)
    return n_characters


def by_lxml(content: bytes, *, with_links: bool) -> int:
    """Parse the pages by lxml; return how many, or how many links a regular expression finds."""
    from lxml import etree  # noqa: PLC0415 (a contestant; nothing else needs it)

    found = 0
    for _, element in etree.iterparse(io.BytesIO(content), tag="{*}page", huge_tree=True):
        text = element.findtext("{*}revision/{*}text") or ""
        found += len(_LINK.findall(text)) if with_links else 1
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]
    return found


def sample(pages: list[Page]) -> list[str]:
    """Return texts of articles spread over the part, a million characters or so."""
    texts = [page.text for page in pages if page.redirect is None and page.text]
    step = max(sum(map(len, texts)) // SAMPLE_CHARS, 1)
    return texts[::step]


def by_mwparserfromhell(texts: list[str]) -> int:
    """Return how many links mwparserfromhell finds."""
    import mwparserfromhell  # noqa: PLC0415 (a contestant; nothing else needs it)

    parse = mwparserfromhell.parse
    return sum(len(parse(text, skip_style_tags=True).filter_wikilinks()) for text in texts)


@dataclass
class Contestant:
    """One way of reading, and the best it did."""

    name: str
    run: Callable[[], int]
    n_bytes: int
    unit: str
    seconds: float = float("inf")
    result: int = 0
    missing: str | None = None

    def play(self) -> None:
        """Run once, and keep the time if it is the best."""
        start = time.process_time()
        try:
            self.result = self.run()
        except ModuleNotFoundError as error:
            self.missing = error.name
        else:
            self.seconds = min(self.seconds, time.process_time() - start)

    @property
    def speed(self) -> float:
        """MB of XML a CPU second."""
        return self.n_bytes / 1e6 / self.seconds


def main() -> None:
    """Time all, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("part", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    content = unpacked(options.part)
    pages = pages_of(content)
    texts = sample(pages)
    sample_bytes = sum(len(text.encode()) for text in texts)
    whole = len(content)
    ours = Contestant("ours, with links", lambda: ours_with_links(content), whole, "links")
    usual = Contestant("lxml + regex", lambda: by_lxml(content, with_links=True), whole, "matches")
    contestants = [
        ours,
        Contestant("ours, pages alone", lambda: ours_alone(content), whole, "pages"),
        Contestant("expat alone", lambda: expat_alone(content), whole, "characters"),
        usual,
        Contestant("lxml alone", lambda: by_lxml(content, with_links=False), whole, "pages"),
    ]
    for _ in range(options.rounds):  # in turns, so that a busy moment of the machine hits all alike
        for contestant in contestants:
            contestant.play()
    slow = Contestant(
        "mwparserfromhell, sample", lambda: by_mwparserfromhell(texts), sample_bytes, "links"
    )
    slow.play()
    print(f"{options.part.name}: {whole / 1e6:.1f} MB of XML, {len(pages):,} pages")
    for contestant in [*contestants, slow]:
        if contestant.missing:
            print(f"{contestant.name:<26} not run: `pip install {contestant.missing}` first")
        else:
            print(
                f"{contestant.name:<26}{contestant.speed:8.1f} MB/s"
                f"   {contestant.result:>10,} {contestant.unit}"
            )
    if not usual.missing:
        print(f"ours with links : lxml + regex = {ours.speed / usual.speed:.2f}")


if __name__ == "__main__":
    main()
