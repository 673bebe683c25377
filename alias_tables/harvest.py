"""The first reading of a slice: its pages, links and names into raw tables.

In: a slice of a dump. Out: files of `raw_tables` (a row for each version of an article or redirect; a row for
each surface, target title and channel, counted; a row for each thing left out) and a JSON of counts, in flat
memory. Nothing is resolved here, so slices may be read in any order; a page found again counts once.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from alias_tables.dumps import Page
from alias_tables.entity_types import Guess, category_names, guess_type
from alias_tables.page_kinds import DISAMBIGUATION, page_flags
from alias_tables.plain_text import first_sentence
from alias_tables.reasons import Reason
from alias_tables.report import RejectLog
from alias_tables.row_files import RAW_PAGES, REJECTS, NameFile, RowFile, reject_sink
from alias_tables.slice_pages import ReadPage, SlicePages, SliceTask, text_redirect
from alias_tables.surface import exact_key
from alias_tables.titles import strip_bracket
from alias_tables.wikitext import LinkReader, list_links

PAGES, NAMES, LEFT_OUT = "pages.parquet", "names.parquet", "rejects.parquet"
"""Kinds of files of a slice."""
CATEGORY_NAMESPACE = 14
COUNTED = ("n_pages", "n_links", "n_links_in_templates")
"""Numbers of a slice in its JSON, beside `invalid_utf8` and `damaged`."""


@dataclass(frozen=True, slots=True)
class HarvestTask:
    """A slice to harvest."""

    of: SliceTask
    list_rejects: bool
    """Also write all that is left out, not counts and examples alone."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of files that the slice will have."""
        return (PAGES, NAMES, LEFT_OUT) if self.list_rejects else (PAGES, NAMES)


@dataclass(slots=True)
class _Results:
    """Where the rows of a slice go, and what is counted of it."""

    pages: RowFile
    names: NameFile
    skipped: RejectLog
    rejected: RejectLog
    n_pages: int = 0
    n_links: int = 0
    n_links_in_templates: int = 0


def harvest_slice(task: HarvestTask) -> None:
    """Read one slice and write its files.

    Raises:
        DumpError: the slice is damaged.
        StoppedError: the run is over.
    """
    files, listed = task.of.files, task.of.config.max_rejects_listed
    with contextlib.ExitStack() as stack:
        pages = stack.enter_context(SlicePages(task.of))
        results = _Results(
            stack.enter_context(RowFile(files.aside(PAGES), RAW_PAGES)),
            stack.enter_context(NameFile(files.aside(NAMES))),
            RejectLog(listed),
            RejectLog(listed),
        )
        if task.list_rejects:
            rejects = stack.enter_context(RowFile(files.aside(LEFT_OUT), REJECTS))
            results.skipped.sink = reject_sink(rejects, "page")
            results.rejected.sink = reject_sink(rejects, "link")
        harvester = _Harvester(pages.links, task.of, results)
        for page in pages:
            harvester.read(page)
    counts = {name: getattr(results, name) for name in COUNTED}
    counts |= {"invalid_utf8": pages.invalid_utf8, "damaged": pages.damaged}
    logs = {"pages": results.skipped.as_json(), "links": results.rejected.as_json()}
    files.finish(task.kinds, {**counts, **logs})


class _Harvester:
    """Turns pages into rows."""

    def __init__(self, reader: LinkReader, task: SliceTask, results: _Results) -> None:
        self._reader = reader
        self._config = task.config
        self._results = results
        self._language = task.site.language
        names = task.site.namespaces()
        self._category_words = sorted(name for name in names if names[name] == CATEGORY_NAMESPACE)

    def read(self, read: ReadPage) -> None:
        """Add what one page holds."""
        page, title, reason = read
        results = self._results
        results.n_pages += 1
        if reason is not None:
            results.skipped.add(reason, page.page_id, page.title)
        if title is None or reason not in {None, Reason.DUPLICATE_PAGE}:
            return
        redirect, section = self._redirect(page)
        article = redirect is None
        flags = page_flags(title, page.text) if article else []
        described = self._describe(page.text) if article and self._config.describe else None
        guess = self._guess(title, page.text, described) if article else Guess()
        results.pages.add(
            (
                *(page.page_id, max(page.revision_id, 0), title, strip_bracket(title)),
                *(redirect, section, flags, described, guess.types, guess.year),
            )
        )
        if article and reason is None:  # another version gives its title, not its links again
            self._read_links(page, title, flags)

    def _read_links(self, page: Page, title: str, flags: Sequence[str]) -> None:
        results, names = self._results, self._reader.names(page.text)
        results.n_links += names.n_links
        results.n_links_in_templates += names.n_in_templates
        for reason, start in names.rejected:
            results.rejected.add(reason, page.page_id, title, f"character {start}")
        results.names.names.update([(surface, at, "anchor") for surface, at in names.pairs])
        if self._config.disambiguation_lists and DISAMBIGUATION in flags:
            surface = exact_key(strip_bracket(title) or title)
            listed = list_links(page.text, self._reader.scan(page.text).links)
            results.names.names.update([(surface, link.target, "disambig") for link in listed])
        results.names.flush_if_full()

    def _guess(self, title: str, text: str, sentence: str | None) -> Guess:
        categories = category_names(text, self._category_words)
        return guess_type(title, categories, sentence, self._language)

    def _describe(self, text: str) -> str | None:
        elsewhere = self._reader.targets.is_elsewhere
        return first_sentence(text, elsewhere, self._config.max_description_chars)

    def _redirect(self, page: Page) -> tuple[str | None, str]:
        raw = page.redirect if page.redirect is not None else text_redirect(page.text)
        if raw is None:
            return None, ""
        target = self._reader.targets.read(raw)
        if isinstance(target, Reason):
            return "", ""  # leads to no article: an empty title is never found
        written = text_redirect(page.text)  # the section stands in the text alone
        section = target.section or (written or "").partition("#")[2]
        return target.title, section
