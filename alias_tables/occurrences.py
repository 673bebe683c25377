"""The second reading of a dump: in how many documents does a surface occur, and in how many is it a link?

    link_prob(s) = documents in which s is a link / documents in which s occurs

Documents, not occurrences, because an article links only the first. A surface occurs where it stands
between token boundaries of the plain text, whatever longer surface it is a part of; a link counts as an
occurrence even where templates hide it from the plain text.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import marisa_trie
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from alias_tables.plain_text import plain_text
from alias_tables.slice_pages import SlicePages, SliceTask, text_redirect
from alias_tables.surface import exact_key, tokens
from alias_tables.wikitext import LinkReader
from alias_tables.work_folder import SliceFiles

LINK_PROBS = pa.schema([("surface", pa.string()), ("link_prob", pa.float32())])
COUNTS = "counts.npy"
"""Kind of file of a slice: rows (surface's number, documents linked, documents present)."""
ROWS_A_BATCH = 100_000


@dataclass(frozen=True, slots=True)
class CountTask:
    """A slice to count."""

    of: SliceTask
    trie: Path
    longest: int
    """Characters of the longest surface."""


class SurfaceFinder:
    """Finds which surfaces of a dictionary occur in a text, between token boundaries."""

    def __init__(self, trie: marisa_trie.Trie, longest: int) -> None:
        self.trie = trie
        self._longest = longest

    def found_in(self, text: str) -> set[int]:
        """Return the ids (of the trie) of all surfaces in a text, overlapping ones too."""
        text = exact_key(text)
        spans = tokens(text)
        stops = {stop for _, stop in spans}
        found: set[int] = set()
        prefixes, longest = self.trie.iter_prefixes_with_ids, self._longest
        for start, _ in spans:
            for surface, number in prefixes(text[start : start + longest]):
                if number not in found and start + len(surface) in stops:
                    found.add(number)
        return found


def count_slice(task: CountTask) -> None:
    """Count the documents of one slice and write its file.

    Raises:
        DumpError: the slice is damaged.
        StoppedError: the run is over.
    """
    trie = marisa_trie.Trie().mmap(str(task.trie))
    finder = SurfaceFinder(trie, task.longest)
    counts: npt.NDArray[np.uint32] = np.zeros((len(trie), 2), np.uint32)
    with SlicePages(task.of) as pages:
        for page, _, reason in pages:
            redirect = page.redirect is not None or text_redirect(page.text) is not None
            if reason is None and not redirect:
                _count(page.text, finder, pages.links, counts)
    numbers = np.flatnonzero(counts[:, 1])
    rows = np.column_stack([numbers.astype(np.uint32), counts[numbers]])
    with task.of.files.aside(COUNTS).open("wb") as file:
        np.save(file, rows, allow_pickle=False)
    task.of.files.finish((COUNTS,), {})


def _count(
    text: str, finder: SurfaceFinder, links: LinkReader, counts: npt.NDArray[np.uint32]
) -> None:
    """Count one document."""
    names = links.names(text)
    surfaces = {surface for surface, _ in (*names.pairs, *names.set_aside)}
    linked = {finder.trie.get(surface) for surface in surfaces} - {None}
    present = linked | finder.found_in(plain_text(text, links.targets.is_elsewhere))
    for column, numbers in enumerate((linked, present)):
        counts[np.fromiter(numbers, np.intp, len(numbers)), column] += 1


def link_probs(trie: marisa_trie.Trie, files: Iterable[SliceFiles]) -> Iterator[pa.Table]:
    """Sum the counts of all slices; yield tables of `LINK_PROBS`, without surfaces that never occur."""
    counts: npt.NDArray[np.uint32] = np.zeros((len(trie), 2), np.uint32)
    for slice_files in files:
        rows = np.load(slice_files.path(COUNTS), allow_pickle=False)
        counts[rows[:, 0]] += rows[:, 1:]
    numbers = np.flatnonzero(counts[:, 1])
    shares = (counts[numbers, 0] / counts[numbers, 1]).astype(np.float32)
    for start in range(0, len(numbers), ROWS_A_BATCH):
        part = slice(start, start + ROWS_A_BATCH)
        surfaces: Sequence[str] = [trie.restore_key(n) for n in numbers[part].tolist()]
        yield pa.table([surfaces, shares[part]], schema=LINK_PROBS)
