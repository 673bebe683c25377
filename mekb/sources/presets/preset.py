"""What a preset is: which files are of a format, and how each is read."""

import codecs
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mekb.sources.formats import decode_head, detect, open_file
from mekb.sources.source_files import SourceFile


@dataclass(frozen=True)
class Found:
    """The files of one domain, each with how it is read."""

    items: Sequence[SourceFile] = ()
    interactions: Sequence[SourceFile] = ()


@dataclass(frozen=True)
class Preset:
    """A published format."""

    name: str
    summary: str
    """What it reads, in a line."""
    wanted: Callable[[str], bool]
    """Whether a file is of this format, by its name without folders."""
    find: Callable[[Sequence[Path]], Found]
    """How each file is read.

    Raises:
        SourceError: a file is not of the format, or the files are of several data sets.
    """
    policies: Mapping[str, object]
    """Settings of `ImportConfig` that go with the format, where the user set no other."""


def head_rows(path: Path, separator: str, limit: int = 100) -> list[list[str]]:
    """Return the fields of a text file's first rows, split without regard to quotes.

    Raises:
        SourceError: the file is empty, or no text.
    """
    text = decode_head(path, detect(path), "latin-1")
    return [line.split(separator) for line in text.split("\n")[:limit] if line]


def encoding_of(path: Path) -> str:
    """Return "utf-8" if the whole file is that, else "latin-1", as old MovieLens files are.

    Latin-1 has a letter for every byte, so it is never refused; but "é" of it is no UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open_file(path, is_gzip=detect(path).is_gzip) as file:
        try:
            while block := file.read(1 << 20):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8"
