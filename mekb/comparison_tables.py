"""A comparison for readers: one table as Markdown, LaTeX or CSV, and the lines that belong beside its numbers.

In: a `Compared`. Out: text. Every number stands beside its interval, coverage and cost; what a sampled measure is
worth is said with it.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.evaluate import Evaluation, Measure
from training.protocols import BIAS

SHOWN = (("hr", 10), ("ndcg", 10), ("recall", 20))
"""Metrics of a table for readers; JSON and CSV hold all."""
HIDDEN = ("settings", "what", "score CPU s")
LATEX_SIGNS = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    sign: f"\\{sign}" for sign in "&%$#_{}"
}


@dataclass(frozen=True)
class Compared:
    """Models on the same users."""

    rows: list[dict[str, Any]]
    """One a model: for each measure mean, low, high; users, coverage, costs, settings, gap to the first row."""
    segments: list[dict[str, Any]]
    """One a model, bin and measure."""
    protocol: list[str]
    """What was measured on whom, in words."""
    notes: list[str]
    verdict: str
    """The last line: who won, and whether that could be luck."""
    runs: list[dict[str, Any]]
    """One a model, fold and seed: folder, settings, trials, costs."""
    evaluations: Mapping[str, Evaluation]
    """Model -> one value a user and measure, the mean over its runs."""


def heading(measure: Measure) -> str:
    """Return the name of a column.

    >>> heading(Measure("full", "ndcg", 10))
    'NDCG@10 full'
    """
    return f"{measure.metric.upper()}@{measure.k} {measure.protocol}"


def is_shown(measure: Measure) -> bool:
    """Return whether a table for readers has the measure."""
    return (measure.metric, measure.k) in SHOWN


def flat(rows: Sequence[Mapping[str, Any]], *, every: bool = False) -> list[dict[str, Any]]:
    """Return rows of text and numbers for a table: a measure as "mean [low, high]", those of `SHOWN` or every one."""
    return [
        {name: _cell(value) for name, value in row.items() if _fits(name, every=every)}
        for row in rows
    ]


def _fits(name: str, *, every: bool) -> bool:
    metric, at, rest = name.partition("@")
    if not at or every:
        return name not in HIDDEN
    return (metric.lower(), int(rest.partition(" ")[0])) in SHOWN


def _cell(value: object) -> object:
    match value:
        case {"difference": mean, "low": low, "high": high, "p_holm": p_value}:
            return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}] p {p_value:.4f}"
        case {"mean": mean, "low": low, "high": high}:
            return f"{mean:.4f} [{_bare(low)}, {_bare(high)}]"
        case None:
            return ""
        case _:
            return value


def _bare(value: float) -> str:
    """Return a bound between 0 and 1 without the 0 before its point."""
    return f"{value:.4f}".removeprefix("0") if value < 1 else f"{value:.3f}"


def as_markdown(compared: Compared) -> str:
    """Return the table in Markdown, the best of each measure in bold, with the lines beneath it."""
    best = _best(compared.rows)
    rows = flat(compared.rows)
    names = list(rows[0])
    lines = [
        "| " + " | ".join(names) + " |",
        "|" + "|".join(" --- " if name == "model" else " ---: " for name in names) + "|",
    ]
    for number, row in enumerate(rows):
        cells = [
            f"**{row[name]}**" if number in best.get(name, ()) else str(row[name]) for name in names
        ]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    beneath = [*compared.protocol, *compared.notes, compared.verdict]
    return "\n".join([*lines, "", *(f"- {line}" for line in beneath)]) + "\n"


def as_latex(compared: Compared) -> str:
    """Return the table for LaTeX with the package booktabs, the best of each measure in bold."""
    best = _best(compared.rows)
    rows = flat(compared.rows)
    names = list(rows[0])
    lines = [
        rf"\begin{{tabular}}{{l{'r' * (len(names) - 1)}}}",
        r"\toprule",
        " & ".join(_latex(name) for name in names) + r" \\",
        r"\midrule",
    ]
    for number, row in enumerate(rows):
        cells = [
            rf"\textbf{{{_latex(row[name])}}}"
            if number in best.get(name, ())
            else _latex(row[name])
            for name in names
        ]
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    beneath = [*compared.protocol, *compared.notes, compared.verdict]
    return "\n".join([*(f"% {line}" for line in beneath), *lines]) + "\n"


def as_csv(compared: Compared) -> str:
    """Return all numbers, one row a model: a measure's mean, low and high in columns of their own."""
    rows = [_spread(row) for row in compared.rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _spread(row: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in row.items():
        if name == "settings":
            out[name] = json.dumps(value)
        elif isinstance(value, dict):
            out |= {f"{name} {part}": one for part, one in value.items()}
        else:
            out[name] = value
    return out


def _best(rows: Sequence[Mapping[str, Any]]) -> dict[str, set[int]]:
    """Return for each measure the rows whose mean is highest."""
    best: dict[str, set[int]] = {}
    for name in rows[0]:
        if "@" not in name or "mean" not in rows[0][name]:
            continue
        means = [row[name]["mean"] for row in rows]
        best[name] = {number for number, mean in enumerate(means) if mean == max(means)}
    return best


def _latex(value: object) -> str:
    return "".join(LATEX_SIGNS.get(sign, sign) for sign in str(value))


def segment_rows(compared: Compared) -> dict[str, list[dict[str, Any]]]:
    """Return tables of bins: what bins are made by -> a row a model and bin, where there are bins to tell apart."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for by in dict.fromkeys(row["by"] for row in compared.segments):
        own = [row for row in compared.segments if row["by"] == by]
        if len({row["bin"] for row in own}) == 1:
            continue
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for row in own:
            start = {"model": row["model"], "bin": row["bin"], "users": row["users"]}
            found = rows.setdefault((row["model"], row["bin"]), start)
            found[row["measure"]] = _cell(row)
        tables[by] = list(rows.values())
    return tables


def bias_of(evaluations: Mapping[str, Evaluation]) -> list[str]:
    """Return the warning about sampled negatives, where any were used."""
    measures = next(iter(evaluations.values())).measures
    return [BIAS] if any(one.protocol.startswith("sampled") for one in measures) else []
