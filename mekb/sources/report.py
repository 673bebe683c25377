"""What an import read, kept and refused: numbers a user can check against their own files."""

from collections import Counter
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

N_EXAMPLES = 5
"""How many rejected rows are listed for each reason."""


class Rejected(BaseModel):
    """The rows of one file refused for one reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str
    n_rows: int
    examples: tuple[str, ...]
    """The first few, as "row 7: 'abc'": data rows from 1; for JSON lines, lines from 1."""


class FileReport(BaseModel):
    """One file's account: `n_read == n_kept + sum of the rejected`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    format: str
    """As found: "CSV, separator ','", "JSON lines, gzip", ..."""
    n_read: int
    n_kept: int
    rejected: tuple[Rejected, ...] = ()
    time_unit: str | None = None
    """How times were read: a `mekb.sources.times.TimeUnit`; None where there are none."""


class DomainCounts(BaseModel):
    """What a domain holds after the import."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_items: int
    n_users: int
    n_interactions: int
    n_positive: int


class ImportReport(BaseModel):
    """The whole import, for people (`notes`) and for programs (everything else)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: tuple[FileReport, ...]
    n_users: int
    n_items: int
    n_interactions: int
    n_positive: int
    n_items_without_metadata: int
    """Items known from interactions only: kept for collaborative models, with an empty title and text."""
    n_duplicate_interactions: int
    """Rows merged into another row of the same (user, item)."""
    n_duplicate_items: int
    """Rows of items files merged into another row of the same (domain, item)."""
    domains: Mapping[str, DomainCounts]
    notes: tuple[str, ...]
    """What a careful reader should know: guesses made, columns not found, low join rates."""

    @property
    def n_read(self) -> int:
        """Rows in all files."""
        return sum(file.n_read for file in self.files)

    @property
    def n_rejected(self) -> int:
        """Rows refused in all files."""
        return sum(entry.n_rows for file in self.files for entry in file.rejected)


def shorten(value: str, limit: int = 60) -> str:
    """Return `value` quoted for a one-line message, cut at `limit` characters.

    >>> shorten("x" * 100, limit=3)
    "'xxx...'"
    """
    return repr(value if len(value) <= limit else f"{value[:limit]}...")


class RejectionLog:
    """Counts rejected rows by reason and keeps the first few of each; filled in the order of rows."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, row: int, reason: str, value: str) -> None:
        """Count one row; `value` is what was wrong with it."""
        self._counts[reason] += 1
        examples = self._examples.setdefault(reason, [])
        if len(examples) < N_EXAMPLES:
            examples.append(f"row {row}: {shorten(value)}")

    def rejected(self) -> tuple[Rejected, ...]:
        """Return the account, by reason."""
        return tuple(
            Rejected(reason=reason, n_rows=n_rows, examples=tuple(self._examples[reason]))
            for reason, n_rows in sorted(self._counts.items())
        )
