"""What a build read, kept and left out, and the stamp that tells its result from another's."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from alias_tables.reasons import Reason
from alias_tables.sources import FileStamp

PARSER_VERSION = "2"
"""Raised whenever the same dump would give other rows."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where a table came from: files, wiki, the parser's version and all options."""

    files: tuple[FileStamp, ...]
    dbname: str
    language: str
    first_letter: bool
    parser_version: str
    options: str
    """The `AliasConfig` as JSON."""

    def fingerprint(self) -> str:
        """Return a hexadecimal number that any two different stamps do not share."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Reject:
    """One thing left out. `page_id` is 0 where there is no page; `detail` is a place, a target or a row."""

    reason: Reason
    page_id: int
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class BuildReport:
    """Counts of one build; every page read is either kept or in `skipped_pages`."""

    stamp: Stamp
    pages_read: int
    articles: int
    redirects: int
    skipped_pages: Mapping[Reason, int]
    links: int
    links_in_templates: int
    rejected_links: Mapping[Reason, int]
    rejected_rows: Mapping[Reason, int]
    """Rows of further files, and redirects that lead nowhere."""
    dropped_pairs: Mapping[Reason, int]
    invalid_utf8: int
    damaged_places: int
    surfaces: int
    entities: int
    pairs: int
    rejects: tuple[Reject, ...]
    """Examples of each reason, at most `AliasConfig.max_rejects_listed` each."""

    @property
    def pages_kept(self) -> int:
        """Articles and redirects."""
        return self.articles + self.redirects


@dataclass(slots=True)
class RejectLog:
    """Counts everything left out, keeps the first examples of each reason, and passes all on."""

    listed: int
    """Examples kept for each reason."""
    sink: Callable[[Reject, int], None] | None = None
    """Called with each reject and how many of it there are."""
    counts: Counter[Reason] = field(default_factory=Counter)
    examples: list[Reject] = field(default_factory=list)

    def add(
        self, reason: Reason, page_id: int = 0, title: str = "", detail: str = "", n: int = 1
    ) -> None:
        """Count `n` of a reason; the example is kept while there is room."""
        room = self.counts[reason] < self.listed
        self.counts[reason] += n
        if room or self.sink:
            reject = Reject(reason, page_id, title[:300], detail[:200])
            if room:
                self.examples.append(reject)
            if self.sink:
                self.sink(reject, n)

    def as_json(self) -> dict[str, object]:
        """Return counts and examples for `merge`."""
        return {
            "counts": dict(self.counts),
            "examples": [
                [item.reason, item.page_id, item.title, item.detail] for item in self.examples
            ],
        }

    def merge(self, counts: Mapping[str, int], examples: Iterable[Sequence[Any]]) -> None:
        """Add what another log counted and kept, as if it had been added here, after what is there."""
        kept = Counter(item.reason for item in self.examples)
        for word, page_id, title, detail in examples:
            reason = Reason(word)
            if kept[reason] < self.listed:
                kept[reason] += 1
                self.examples.append(Reject(reason, page_id, title, detail))
        for word, n in counts.items():
            self.counts[Reason(word)] += n
