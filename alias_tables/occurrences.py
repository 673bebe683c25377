"""The second reading of a dump: in how many documents does a surface occur, and in how many is it a link?

    link_prob(s) = documents in which s is a link / documents in which s occurs

Documents, not occurrences, because an article links only the first. A surface occurs where it stands
between token boundaries of the plain text, whatever longer surface it is a part of; a link counts as an
occurrence even where templates hide it from the plain text.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import marisa_trie
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from alias_tables.config import AliasConfig
from alias_tables.dumps import DumpReader, Page
from alias_tables.harvest import PageIds, skip_reason, text_redirect
from alias_tables.plain_text import plain_text
from alias_tables.site import Site
from alias_tables.surface import exact_key, tokens
from alias_tables.titles import normal_form
from alias_tables.wikitext import LinkReader

LINK_PROBS = pa.schema([("surface", pa.string()), ("link_prob", pa.float32())])


class SurfaceFinder:
    """Finds which surfaces of a dictionary occur in a text, between token boundaries."""

    def __init__(self, surfaces: Iterable[str]) -> None:
        self.trie = marisa_trie.Trie(surfaces)
        self._longest = max((len(surface) for surface in self.trie), default=0)

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


class OccurrenceCounter:
    """Counts documents by surface over all parts of a dump, read in the order of the first reading."""

    def __init__(self, surfaces: Iterable[str], site: Site, config: AliasConfig) -> None:
        self._finder = SurfaceFinder(surfaces)
        self._links = LinkReader(site, config)
        self._config = config
        self._site = site
        self._seen = PageIds()
        n_surfaces = len(self._finder.trie)
        self._linked: npt.NDArray[np.uint32] = np.zeros(n_surfaces, np.uint32)
        self._present: npt.NDArray[np.uint32] = np.zeros(n_surfaces, np.uint32)

    def read(self, path: Path) -> Iterator[int]:
        """Read one part; yield the bytes of the file read so far, now and then."""
        config = self._config
        limit, skip = config.max_page_chars, config.skip_damaged_pages
        with DumpReader(path, max_page_chars=limit, skip_damaged_pages=skip) as reader:
            for page in reader.pages():
                if self._is_article(page):
                    self.count(page.text)
                yield reader.position
            yield reader.size

    def _is_article(self, page: Page) -> bool:
        """Say whether the first reading took the links of this page."""
        if page.namespace is None:
            page.namespace = -1 if self._links.targets.is_elsewhere(page.title) else 0
        if skip_reason(page, self._seen) is not None or normal_form(page.title, self._site) is None:
            return False
        return page.redirect is None and text_redirect(page.text) is None

    def count(self, text: str) -> None:
        """Count one document."""
        trie = self._finder.trie
        linked = {trie.get(link.surface) for link in self._links.scan(text).links} - {None}
        present = self._finder.found_in(plain_text(text, self._links.targets.is_elsewhere))
        for counts, numbers in ((self._linked, linked), (self._present, present | linked)):
            counts[np.fromiter(numbers, np.intp, len(numbers))] += 1

    def link_probs(self) -> Iterator[pa.Table]:
        """Yield tables of (surface, link_prob); surfaces that never occur are left out."""
        numbers = np.flatnonzero(self._present)
        shares = (self._linked[numbers] / self._present[numbers]).astype(np.float32)
        for start in range(0, len(numbers), 100_000):
            part = slice(start, start + 100_000)
            surfaces: Sequence[str] = [
                self._finder.trie.restore_key(n) for n in numbers[part].tolist()
            ]
            yield pa.table([surfaces, shares[part]], schema=LINK_PROBS)
