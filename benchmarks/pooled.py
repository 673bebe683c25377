"""Folds put together: every user is tested once, so the users of all folds are one sample.

In: one `Evaluation` a model and fold. Out: a row a model with means, 95 % intervals over users, and what
another model gains over it: the ratio of the means with a paired bootstrap interval, and the p values of
paired sign-flip tests, corrected by Holm (1979) for the number of models compared.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from mekb.models import PROTOCOLS
from training.errors import DatasetError
from training.evaluate import Evaluation, Measure, compare
from training.significance import holm, ratio_of_means

SAMPLED, FULL = PROTOCOLS
DECIDING = Measure(SAMPLED.name, "ndcg", SAMPLED.k)
MEASURES = {
    f"HR@{SAMPLED.k}": Measure(SAMPLED.name, "hr", SAMPLED.k),
    f"NDCG@{SAMPLED.k}": DECIDING,
    f"NDCG@{FULL.k} all": Measure(FULL.name, "ndcg", FULL.k),
}
"""Heading -> what is shown: the paper's measures among sampled negatives, and the full ranking."""

COMPARED = (f"NDCG@{SAMPLED.k}", f"NDCG@{FULL.k} all")


def pool(folds: Sequence[Evaluation]) -> Evaluation:
    """Return the evaluation of one model on the users of all its folds.

    Raises:
        DatasetError: a user was tested in two folds.
    """
    first = folds[0]
    users = [fold.user_ids(first.measures[0]) for fold in folds]
    joined = np.concatenate(users)
    if len(np.unique(joined)) < len(joined):
        raise DatasetError(f"{first.model}: the folds share test users")
    columns = [(name, "ascending") for name in first.rows.column_names if name != "value"]
    return Evaluation(
        model=first.model,
        rows=pa.concat_tables([fold.rows for fold in folds]).sort_by(columns),
        n_users=sum(fold.n_users for fold in folds),
        n_covered=sum(fold.n_covered for fold in folds),
    )


def rows_of_direction(
    direction: str, pooled: Mapping[str, Evaluation], judged: str
) -> list[dict[str, Any]]:
    """Return one row a model; the model `judged`, where it is one of them, is compared with the others."""
    rows: list[dict[str, Any]] = []
    for name, evaluation in pooled.items():
        row: dict[str, Any] = {"direction": direction, "model": name}
        for heading, measure in MEASURES.items():
            found = evaluation.interval(measure)
            row[heading] = {"mean": found.mean, "low": found.low, "high": found.high}
        rows.append(row | {"users": evaluation.n_users, "judged": evaluation.n_covered})
    if judged not in pooled:
        return rows
    others = [row for row in rows if row["model"] != judged]
    for heading in COMPARED:
        measure = MEASURES[heading]
        own = pooled[judged].values(measure)
        tests = [compare(pooled[judged], pooled[row["model"]], measure) for row in others]
        corrected = holm([test.p_value for test in tests])
        for row, test, p_holm in zip(others, tests, corrected, strict=True):
            ratio = ratio_of_means(own, pooled[row["model"]].values(measure))
            row[f"{judged} / model, {heading}"] = {
                "ratio": ratio.mean,
                "low": ratio.low,
                "high": ratio.high,
                "difference": test.interval.mean,
                "p": test.p_value,
                "p_holm": p_holm,
            }
    return rows


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table of text: a measure as "mean [low, high]", a ratio with its corrected p."""
    shown = [{name: _cell(value) for name, value in row.items()} for row in rows]
    columns = list(dict.fromkeys(name for row in shown for name in row))
    widths = {name: max(len(name), *(len(row.get(name, "")) for row in shown)) for name in columns}
    header = {name: name for name in columns}
    lines = [
        "  ".join(row.get(name, "").ljust(widths[name]) for name in columns).rstrip()
        for row in (header, *shown)
    ]
    lines.insert(1, "  ".join("-" * widths[name] for name in columns))
    return "\n".join(lines)


def _cell(value: object) -> str:
    match value:
        case {"ratio": ratio, "low": low, "high": high, "p_holm": p_value}:
            return f"{ratio:.2f} [{low:.2f}, {high:.2f}] p {p_value:.4f}"
        case {"mean": mean, "low": low, "high": high}:
            return f"{mean:.4f} [{low:.4f}, {high:.4f}]"
        case _:
            return str(value)
