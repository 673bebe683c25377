"""The first reading of a dump: pages, links and names into raw tables.

In: the parts of a dump. Out: temporary tables `raw_pages` (a row for each version of an article or redirect)
and `raw_names` (a row for each surface, target title and channel, counted), in flat memory. Nothing is
resolved here, so parts may come in any order; a page found again in another part counts once.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from alias_tables.config import AliasConfig
from alias_tables.dumps import DumpReader, Page
from alias_tables.errors import DumpError
from alias_tables.languages import REDIRECT_WORDS
from alias_tables.page_kinds import DISAMBIGUATION, page_flags
from alias_tables.plain_text import first_sentence
from alias_tables.raw_tables import RawTables
from alias_tables.reasons import Reason
from alias_tables.report import RejectLog
from alias_tables.site import Site
from alias_tables.sources import FileStamp
from alias_tables.surface import exact_key
from alias_tables.titles import normal_form, strip_bracket
from alias_tables.wikitext import LinkReader, LinkScan, list_links

MAX_PAGE_ID = 499_999_999
"""Page ids above it would leave their range of entity ids (`schema.PAGE_ID_BASE`); none comes near."""


_REDIRECT_TEXT = re.compile(
    r"\s*[#\uff03]\s*([^\s\[:]{2,40}(?: [^\s\[:]{2,20})?)\s*:?\s*\[\[([^\[\]|\n]{1,600})"
)


@dataclass(slots=True)
class Harvest:
    """What the first reading saw beside its tables."""

    pages: RejectLog
    links: RejectLog
    stamps: list[FileStamp] = field(default_factory=list)
    site: Site = field(default_factory=Site)
    n_pages: int = 0
    n_links: int = 0
    n_links_in_templates: int = 0
    invalid_utf8: int = 0
    damaged: int = 0


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


def ordered_parts(dumps: Sequence[Path]) -> list[Path]:
    """Return the parts in an order of their own, later dates of equal names first.

    The links of a page that stands in several dumps are those of the first part read, so that order must
    not depend on the caller's.
    """
    return sorted(dumps, key=lambda path: (path.name, path.resolve().as_posix()), reverse=True)


def text_redirect(text: str) -> str | None:
    """Return the raw target of `#REDIRECT [[target]]` at the start of a page, in any language we know.

    >>> text_redirect("#WEITERLEITUNG [[Berlin]]"), text_redirect("Write #redirect [[X]] first")
    ('Berlin', None)
    """
    match = _REDIRECT_TEXT.match(text[:1000])
    return match[2] if match and match[1].casefold() in REDIRECT_WORDS else None


def skip_reason(page: Page, seen: PageIds) -> Reason | None:
    """Return why a page is no article or redirect to read; None if it is one."""
    if page.namespace != 0:
        return Reason.NOT_ARTICLE
    if not 0 < page.page_id <= MAX_PAGE_ID:
        return Reason.NO_PAGE_ID
    if page.too_long:
        return Reason.PAGE_TOO_LONG
    if page.model != "wikitext":
        return Reason.NOT_WIKITEXT
    if page.redirect is None and (page.deleted or not page.text.strip()):
        return Reason.EMPTY_PAGE
    return None if seen.add(page.page_id) else Reason.DUPLICATE_PAGE


class _PageHarvester:
    """Turns one page into rows."""

    def __init__(self, reader: LinkReader, site: Site, config: AliasConfig) -> None:
        self._reader = reader
        self._site = site
        self._config = config

    def row(self, page: Page, title: str) -> dict[str, object]:
        """Return the page's row of `raw_pages`."""
        redirect, section = self._redirect(page)
        article = redirect is None
        described = article and self._config.describe
        return {
            "page_id": page.page_id,
            "revision_id": max(page.revision_id, 0),
            "title": title,
            "label": strip_bracket(title),
            "redirect": redirect,
            "section": section,
            "flags": page_flags(title, page.text) if article else [],
            "description": self._describe(page.text) if described else None,
        }

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

    def names(
        self, title: str, scan: LinkScan, text: str, flags: object
    ) -> Iterator[tuple[str, str, str]]:
        """Yield (surface, target, channel) of an article's links and lists."""
        for link in scan.links:
            if self._config.links_in_templates or not link.in_template:
                yield link.surface, link.target, "anchor"
        if (
            self._config.disambiguation_lists
            and isinstance(flags, list)
            and DISAMBIGUATION in flags
        ):
            surface = strip_bracket(title) or title
            for link in list_links(text, scan.links):
                yield exact_key(surface), link.target, "disambig"


class Harvester:
    """Reads the parts of one dump into the raw tables."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, config: AliasConfig) -> None:
        self._config = config
        self._tables = RawTables(connection)
        self._seen = PageIds()
        listed = config.max_rejects_listed
        self.result = Harvest(RejectLog(listed), RejectLog(listed))

    def read(self, path: Path) -> Iterator[int]:
        """Read one part; yield the bytes of the file read so far, now and then.

        Raises:
            DumpError: the part is damaged, no dump, or of another wiki than the parts before.
        """
        config, result = self._config, self.result
        limit, skip = config.max_page_chars, config.skip_damaged_pages
        with DumpReader(path, max_page_chars=limit, skip_damaged_pages=skip) as reader:
            pages: _PageHarvester | None = None
            links: LinkReader | None = None
            for page in reader.pages():
                if pages is None or links is None:
                    self._same_wiki(path, reader.site)
                    links = LinkReader(result.site, config)
                    pages = _PageHarvester(links, result.site, config)
                result.n_pages += 1
                self._read_page(page, pages, links)
                self._tables.flush_if_full()
                yield reader.position
            result.stamps.append(reader.stamp())
            result.invalid_utf8 += reader.replaced
            result.damaged += reader.damaged
            yield reader.size

    def finish(self) -> Harvest:
        """Write what is still held back, and return the counts.

        Raises:
            DumpError: no page or no link was found.
        """
        self._tables.flush()
        result = self.result
        names = ", ".join(stamp.name for stamp in result.stamps)
        n_skipped = sum(result.pages.counts.values())
        if result.n_pages == n_skipped:
            raise DumpError(
                f"{names}: no article in {result.n_pages} pages; a pages-articles dump is expected"
            )
        if result.n_links == 0:
            raise DumpError(
                f"{names}: 0 links in {result.n_pages - n_skipped} articles:"
                " wrong dump or unsupported schema"
            )
        return result

    def _same_wiki(self, path: Path, site: Site) -> None:
        language = self._config.language or site.language
        site = Site(site.dbname, language, site.first_letter, site.local_namespaces)
        known = self.result.site
        if self.result.n_pages and known.dbname != site.dbname:
            raise DumpError(
                f"{path}: a part of {site.dbname or 'an unnamed wiki'}, the others are of"
                f" {known.dbname or 'an unnamed wiki'}; build one table a wiki"
            )
        if not self.result.n_pages:
            self.result.site = site

    def _read_page(self, page: Page, pages: _PageHarvester, links: LinkReader) -> None:
        result = self.result
        if page.namespace is None:  # exports before 0.6 tell it by the title's prefix alone
            page.namespace = -1 if links.targets.is_elsewhere(page.title) else 0
        title = normal_form(page.title, result.site)
        invalid = title is None and page.namespace == 0
        reason = Reason.INVALID_TITLE if invalid else skip_reason(page, self._seen)
        if reason is not None:
            result.pages.add(reason, page.page_id, page.title)
        if title is None or reason not in {None, Reason.DUPLICATE_PAGE}:
            return
        row = pages.row(page, title)
        self._tables.add_page(row)
        if row["redirect"] is not None or reason is not None:
            return  # another version of a page gives its title, not its links again
        scan = links.scan(page.text)
        result.n_links += len(scan.links)
        result.n_links_in_templates += sum(link.in_template for link in scan.links)
        for rejected in scan.rejected:
            result.links.add(rejected.reason, page.page_id, title, f"character {rejected.start}")
        for name in pages.names(title, scan, page.text, row["flags"]):
            self._tables.add_name(*name)
