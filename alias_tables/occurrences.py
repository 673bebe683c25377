"""The second reading of a dump: in how many documents does a surface occur, and in how many is it a link?

    link_prob(s) = documents in which s is a link / documents in which s occurs

Documents, not occurrences, because an article links only the first. A surface occurs where it stands
between token boundaries of the plain text, whatever longer surface it is a part of; a link counts as an
occurrence even where templates hide it from the plain text.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from alias_tables.plain_text import plain_text
from alias_tables.slice_pages import SlicePages, SliceTask, text_redirect
from alias_tables.surface_table import SurfaceTable
from alias_tables.wikitext import LinkReader
from alias_tables.work_folder import SliceFiles

LINK_PROBS = pa.schema([("surface", pa.string()), ("link_prob", pa.float32())])
COUNTS = "counts.npy"
"""Kind of file of a slice: rows (surface's number, documents linked, documents present)."""


@dataclass(frozen=True, slots=True)
class CountTask:
    """A slice to count."""

    of: SliceTask
    table: Path
    """Folder of the `SurfaceTable`."""


def count_slice(task: CountTask) -> None:
    """Count the documents of one slice and write its file.

    Raises:
        DumpError: the slice is damaged.
        StoppedError: the run is over.
    """
    table = SurfaceTable(task.table)
    counts: npt.NDArray[np.uint32] = np.zeros((len(table), 2), np.uint32)
    with SlicePages(task.of) as pages:
        for page, _, reason in pages:
            redirect = page.redirect is not None or text_redirect(page.text) is not None
            if reason is None and not redirect:
                _count(page.text, table, pages.links, counts)
    numbers = np.flatnonzero(counts[:, 1])
    rows = np.column_stack([numbers.astype(np.uint32), counts[numbers]])
    with task.of.files.aside(COUNTS).open("wb") as file:
        np.save(file, rows, allow_pickle=False)
    task.of.files.finish((COUNTS,), {})


def _count(
    text: str, table: SurfaceTable, links: LinkReader, counts: npt.NDArray[np.uint32]
) -> None:
    """Count one document."""
    names = links.names(text)
    surfaces = {surface for surface, _ in (*names.pairs, *names.set_aside)}
    linked = table.numbers_of(list(surfaces))
    linked = linked[linked >= 0]
    found = table.found_in(plain_text(text, links.targets.is_elsewhere))
    counts[linked, 0] += 1
    counts[np.union1d(found, linked), 1] += 1


def link_probs(
    table: SurfaceTable, batches: Iterable[Sequence[str]], files: Iterable[SliceFiles]
) -> Iterator[pa.Table]:
    """Sum the counts of all slices; yield tables of `LINK_PROBS`, without surfaces that never occur.

    Args:
        table: the surfaces by number.
        batches: the surfaces.
        files: the counts of the slices.
    """
    counts: npt.NDArray[np.uint32] = np.zeros((len(table), 2), np.uint32)
    for slice_files in files:
        rows = np.load(slice_files.path(COUNTS), allow_pickle=False)
        counts[rows[:, 0]] += rows[:, 1:]
    for batch in batches:
        linked, present = counts[table.numbers_of(batch)].T
        rows = np.flatnonzero(present)
        shares = (linked[rows] / present[rows]).astype(np.float32)
        yield pa.table([[batch[row] for row in rows.tolist()], shares], schema=LINK_PROBS)
