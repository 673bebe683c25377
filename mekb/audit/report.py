"""The findings of an audit, for people and for programs."""

from collections.abc import Sequence
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

N_EXAMPLES = 5


class Verdict(StrEnum):
    """What a finding means for numbers measured on this data."""

    OK = "ok"
    LOOK = "look"
    """May be meant so; know it before you report a number."""
    LEAK = "leak"
    """A model can read test rows off its input."""


class Finding(BaseModel):
    """One thing looked for: how often it was found, of how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    what: str
    """What was counted, in words."""
    count: int
    of: int
    """Of how many; 0 where it could not be looked for."""
    verdict: Verdict
    chance: float | None = None
    """The share there would be if nothing but chance was at work, where that was measured."""
    advice: str = ""
    """What to do; "" where nothing is."""
    examples: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """`count / of`, 0 for nothing of nothing."""
        return self.count / self.of if self.of else 0.0


class Audit(BaseModel):
    """All findings of a target domain and its sources."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    sources: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def has_leak(self) -> bool:
        """Whether a finding is a leak."""
        return any(finding.verdict is Verdict.LEAK for finding in self.findings)

    def named(self, name: str) -> Finding:
        """Return the finding of a name.

        Raises:
            KeyError: there is none.
        """
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(name)

    def noticed(self) -> list[Finding]:
        """Return the findings that are not ok."""
        return [finding for finding in self.findings if finding.verdict is not Verdict.OK]

    def rows(self) -> list[dict[str, object]]:
        """Return a row a finding, for a table."""
        return [
            {
                "finding": finding.name,
                "verdict": str(finding.verdict),
                "count": finding.count,
                "of": finding.of,
                "share": f"{finding.share:.2%}",
                "by chance": "" if finding.chance is None else f"{finding.chance:.2%}",
            }
            for finding in self.findings
        ]


def as_markdown(audits: Sequence[Audit]) -> str:
    """Return audits as Markdown: a table a target, then what to do about what was found."""
    lines: list[str] = []
    for audit in audits:
        lines += [f"## {' + '.join(audit.sources)} -> {audit.target}", ""]
        columns = [*audit.rows()[0], "what"]
        lines += [f"| {' | '.join(columns)} |", "|---|---|--:|--:|--:|--:|---|"]
        for row, finding in zip(audit.rows(), audit.findings, strict=True):
            cells = (_cell(value) for value in (*row.values(), finding.what))
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
        for finding in audit.noticed():
            lines.append(f"* **{finding.name}** ({finding.verdict}): {_cell(finding.advice)}")
            lines += [f"  * {_cell(example)}" for example in finding.examples]
        lines.append("")
    return "\n".join(lines)


def _cell(value: object) -> str:
    """Return a value as Markdown takes it inside a table."""
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
