"""Which pages of a slice are articles and redirects to read, and why the others are not.

In: a slice of a dump, and the ids of pages that an earlier slice holds. Out: its pages in file order, each
with its title and the reason why it is left out. Both readings of a dump see the same pages by it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from alias_tables.config import AliasConfig
from alias_tables.dumps import DumpReader, Page
from alias_tables.languages import REDIRECT_WORDS
from alias_tables.reasons import Reason
from alias_tables.site import Site
from alias_tables.slices import Slice
from alias_tables.sources import Source
from alias_tables.titles import normal_form
from alias_tables.wikitext import LinkReader
from alias_tables.work_folder import SliceFiles
from alias_tables.workers import Board

MAX_PAGE_ID = 499_999_999
"""Page ids above it would leave their range of entity ids (`schema.PAGE_ID_BASE`); none comes near."""

_REDIRECT_TEXT = re.compile(
    r"\s*[#\uff03]\s*([^\s\[:]{2,40}(?: [^\s\[:]{2,20})?)\s*:?\s*\[\[([^\[\]|\n]{1,600})"
)


@dataclass(frozen=True, slots=True)
class SliceTask:
    """One slice to read, and where its results go."""

    piece: Slice
    files: SliceFiles
    site: Site
    config: AliasConfig
    board: Path
    slot: int
    """Which number of the board is this task's."""
    excluded: Path | None = None
    """Page ids (.npy) that stand in an earlier slice too."""


class PageIds:
    """A set of page ids as a bitmap: ten megabytes for the whole of Wikipedia."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, page_id: int) -> bool:
        """Add an id; say whether it was new."""
        byte, bit = divmod(page_id, 8)
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        mask = 1 << bit
        new = not self._bits[byte] & mask
        self._bits[byte] |= mask
        return new


def text_redirect(text: str) -> str | None:
    """Return the raw target of `#REDIRECT [[target]]` at the start of a page, in any language we know.

    >>> text_redirect("#WEITERLEITUNG [[Berlin]]"), text_redirect("Write #redirect [[X]] first")
    ('Berlin', None)
    """
    match = _REDIRECT_TEXT.match(text[:1000])
    return match[2] if match and match[1].casefold() in REDIRECT_WORDS else None


def skip_reason(page: Page, title: str | None, seen: PageIds) -> Reason | None:
    """Return why a page is no article or redirect to read; None if it is one."""
    if page.namespace != 0:
        return Reason.NOT_ARTICLE
    flaw = Reason.INVALID_TITLE if title is None else _flaw(page)
    if flaw is not None:
        return flaw
    return None if seen.add(page.page_id) else Reason.DUPLICATE_PAGE


def _flaw(page: Page) -> Reason | None:
    if not 0 < page.page_id <= MAX_PAGE_ID:
        return Reason.NO_PAGE_ID
    if page.too_long:
        return Reason.PAGE_TOO_LONG
    if page.model != "wikitext":
        return Reason.NOT_WIKITEXT
    if page.redirect is None and (page.deleted or not page.text.strip()):
        return Reason.EMPTY_PAGE
    return None


class ReadPage(NamedTuple):
    """A page, its title in normal form (None: it has none), and why it is left out (None: it is not)."""

    page: Page
    title: str | None
    reason: Reason | None


class SlicePages:
    """The pages of a slice; use as a context manager, and iterate once."""

    def __init__(self, task: SliceTask) -> None:
        piece, config = task.piece, task.config
        self._task = task
        self._board = Board(task.board)
        self._reader = DumpReader(
            Source(piece.part, piece.start, piece.stop),
            max_page_chars=config.max_page_chars,
            skip_damaged_pages=config.skip_damaged_pages,
            site=task.site,
        )
        self.links = LinkReader(task.site, config)
        """The reader of links, whose memory of targets the slice shares."""

    def __enter__(self) -> "SlicePages":  # noqa: PYI034 (beartype refuses `Self`)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._reader.__exit__(kind, error, traceback)

    @property
    def invalid_utf8(self) -> int:
        """Byte sequences that were no UTF-8."""
        return self._reader.replaced

    @property
    def damaged(self) -> int:
        """Places where the XML was malformed and reading resumed at the next page."""
        return self._reader.damaged

    def __iter__(self) -> Iterator[ReadPage]:
        """Read the slice; the board is told how far it is.

        Raises:
            DumpError: the slice is damaged.
            StoppedError: the run is over.
        """
        task, seen = self._task, PageIds()
        if task.excluded is not None:
            for page_id in np.load(task.excluded).tolist():
                seen.add(page_id)
        start, n_bytes = task.piece.start, task.piece.n_bytes
        is_elsewhere = self.links.targets.is_elsewhere
        for page in self._reader.pages():
            self._board.tell(task.slot, min(self._reader.position - start, n_bytes))
            if page.namespace is None:  # exports before 0.6 tell it by the title's prefix alone
                page.namespace = -1 if is_elsewhere(page.title) else 0
            title = normal_form(page.title, task.site)
            yield ReadPage(page, title, skip_reason(page, title, seen))
        self._board.tell(task.slot, n_bytes)
