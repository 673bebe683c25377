"""Models side by side: runs put together, who is ahead, and whether that could be luck.

In: evaluations of several models on the same test users, several runs (seeds, folds) each. Out: one value a user
and measure, the mean over the runs that tested the user, so that users, not runs, are the sample; means with
95 % bootstrap intervals over users; paired differences with the p values of sign-flip tests, corrected by Holm's
rule for the number of models compared; and one sentence that says who won, and whether the interval of the
difference holds 0.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from training.contract import FitContext, Need, Recommender
from training.dataset import Dataset, HeldOut
from training.errors import REFUSALS, CannotJudgeError, DatasetError
from training.evaluate import Evaluation, Measure, Protocol, compare, evaluate, evaluate_scores
from training.schema import METRICS
from training.significance import Difference, Interval, holm


@dataclass(frozen=True)
class Cost:
    """Seconds that something took; CPU seconds are of all threads and of child processes that ended."""

    wall: float
    cpu: float


class Clock:
    """Measures from its creation on."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), _cpu_seconds()

    def cost(self) -> Cost:
        """Return what was spent since."""
        return Cost(time.perf_counter() - self._wall, _cpu_seconds() - self._cpu)


def _cpu_seconds() -> float:
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


@dataclass(frozen=True)
class Outcome:
    """One model, fitted once and measured on the test users of one split."""

    evaluation: Evaluation
    fit: Cost
    scoring: Cost
    facts: Mapping[str, Any]
    """Epochs, the one kept, notes; `refused` says why, where the model could not judge anybody."""


def fit_and_measure(
    model: Recommender,
    data: Dataset,
    test: HeldOut,
    protocols: Sequence[Protocol],
    context: FitContext,
) -> Outcome:
    """Fit a model and measure it; one that refuses the data or diverges counts as chance, with the reason kept.

    Raises:
        DatasetError: the split leaks, or has no positive.
    """
    clock = Clock()
    try:
        _refuse_without_profiles(model, data, test)
        report = model.fit(data, context)
        fit, clock = clock.cost(), Clock()
        found = evaluate(model, data, test, protocols)
    except REFUSALS as error:
        found = as_chance(model.name, data, test, protocols)
        return Outcome(found, Cost(0.0, 0.0), Cost(0.0, 0.0), {"refused": str(error)})
    return Outcome(
        found,
        fit,
        clock.cost(),
        {
            "epochs": len(report.losses),
            "chosen epoch": report.chosen_epoch,
            "validation": [dict(one) for one in report.validation],
            "notes": list(report.notes),
        },
    )


def _refuse_without_profiles(model: Recommender, data: Dataset, test: HeldOut) -> None:
    """Refuse, before anything is learned, what could judge nobody for want of a profile."""
    if Need.PROFILE not in model.needs or data.profiles is None:
        return
    history = {domain: rows[test.user_rows] for domain, rows in data.interactions.items()}
    if not any(data.profiles.texts(history)):
        raise CannotJudgeError(
            f"{model.name} needs a profile: none of the {len(test.user_rows)} test users has profile text"
        )


def as_chance(name: str, data: Dataset, test: HeldOut, protocols: Sequence[Protocol]) -> Evaluation:
    """Return the evaluation of a model that judges nobody: everybody counts as chance, no user as covered."""
    n_items = len(data.target_items)

    def nothing(part: slice) -> Float32[np.ndarray, "part items"]:
        return np.full((part.stop - part.start, n_items), np.nan, dtype=np.float32)

    return evaluate_scores(name, nothing, data, test, protocols)


def mean_over_runs(name: str, runs: Sequence[Evaluation]) -> Evaluation:
    """Return one value a user and measure: the mean over the runs that tested the user.

    Coverage adds up over the runs; ranks are dropped.

    Raises:
        DatasetError: there are no runs, or they measured different things.
    """
    if not runs:
        raise DatasetError(f"{name}: no runs to put together")
    if any(run.measures != runs[0].measures for run in runs):
        raise DatasetError(f"{name}: its runs measured different things")
    keys = ["protocol", "user_id", "metric", "k"]
    rows = (
        pa.concat_tables([run.rows for run in runs]).group_by(keys).aggregate([("value", "mean")])
    )
    named = pa.table(
        {
            **{key: rows[key] for key in keys},
            "model": pa.array([name] * rows.num_rows),
            "value": np.clip(rows["value_mean"].to_numpy(), 0.0, 1.0),
        }
    ).select(METRICS.names)
    order = [(column, "ascending") for column in METRICS.names if column != "value"]
    return Evaluation(
        name,
        named.cast(METRICS).sort_by(order),
        sum(run.n_users for run in runs),
        sum(run.n_covered for run in runs),
    )


@dataclass(frozen=True)
class Against:
    """What one model is ahead of another, over the same users; below 0, it is behind."""

    first: str
    second: str
    measure: Measure
    difference: Difference
    p_holm: float
    """The p value, corrected for all models that `first` is compared with."""

    @property
    def holds_zero(self) -> bool:
        """Whether the interval of the difference holds 0."""
        interval = self.difference.interval
        return interval.low <= 0.0 <= interval.high


def against_all(
    first: str, pooled: Mapping[str, Evaluation], measure: Measure, seed: int = 0
) -> list[Against]:
    """Return what `first` is ahead of each other model, with p values corrected together."""
    others = [name for name in pooled if name != first]
    found = [compare(pooled[first], pooled[name], measure, seed) for name in others]
    corrected = holm([one.p_value for one in found])
    return [
        Against(first, name, measure, one, p_holm)
        for name, one, p_holm in zip(others, found, corrected, strict=True)
    ]


def means(pooled: Mapping[str, Evaluation], measure: Measure) -> dict[str, float]:
    """Return each model's mean over users."""
    return {name: float(one.values(measure).mean()) for name, one in pooled.items()}


def verdict(pooled: Mapping[str, Evaluation], measure: Measure, ours: str) -> str:
    """Return one sentence: who won, by how much, whether that could be luck, and where `ours` stands.

    Args:
        pooled: Model -> its values.
        measure: What decides.
        ours: The model the comparison is about; its losing is said too.
    """
    what = f"{measure.metric.upper()}@{measure.k} ({measure.protocol})"
    value = means(pooled, measure)
    order = sorted(value, key=lambda name: -value[name])
    winner = order[0]
    if len(order) == 1:
        return f"{winner} ran alone: {what} {value[winner]:.4f}"
    next_best = {one.second: one for one in against_all(winner, pooled, measure)}[order[1]]
    said = f"{winner} won in {what}: {_gap(next_best)} over {order[1]}"
    if winner != ours and ours in pooled:
        behind = {one.second: one for one in against_all(winner, pooled, measure)}[ours]
        said += f"; {ours} lost, place {order.index(ours) + 1} of {len(order)}: {_gap(behind)} ahead of it"
    return said


def _gap(one: Against) -> str:
    gap: Interval = one.difference.interval
    holds = "holds 0: no sure difference" if one.holds_zero else "does not hold 0"
    return (
        f"{gap.mean:+.4f}, 95 % interval [{gap.low:+.4f}, {gap.high:+.4f}] {holds}"
        f" (p {one.p_holm:.4f} after Holm)"
    )
