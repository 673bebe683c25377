"""`mekb compare`: run the plan, put the runs together, and say who is ahead.

In: a store, a route, a plan. Out: `Compared`, with one row a model, bins by activity and popularity, what was
measured on whom, and the verdict. The first row is the model the comparison is about: EmbedMe where it is one of
the models, else the first one named.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mekb.comparison_plan import EMBEDME, Entry, Plan
from mekb.comparison_runs import OnProgress, Run, Runner
from mekb.comparison_tables import Compared, bias_of, heading
from mekb.config import Settings
from mekb.models import Route
from mekb.store import Store
from training.comparison import Against, against_all, mean_over_runs, verdict
from training.evaluate import Evaluation, Measure
from training.segments import GAINS, Segment, by_activity, by_popularity
from training.split_config import SplitKind

SEGMENT_K = 10
"""K of the bins (paper 002, Table 5)."""


def compare(
    store: Store, route: Route, settings: Settings, plan: Plan, on_progress: OnProgress
) -> Compared:
    """Run a plan and put its runs side by side.

    Raises:
        UnknownError: a domain, model, ablation or control is not known.
        DatasetError: the split leaves nobody to test on.
    """
    runner = Runner(store, route, settings, plan, on_progress)
    runs = runner.runs()
    by_name = {entry.name: [run for run in runs if run.entry == entry] for entry in runner.entries}
    pooled = {
        name: mean_over_runs(name, [run.outcome.evaluation for run in own])
        for name, own in by_name.items()
    }
    ours = EMBEDME if EMBEDME in pooled else runner.entries[0].name
    pooled = {ours: pooled[ours]} | pooled
    by_name = {name: by_name[name] for name in pooled}
    deciding = _deciding(runner.deciding.name, pooled[ours].measures)
    gaps = _gaps(pooled, runner.entries, deciding, ours)
    rows = [_row(name, pooled[name], by_name[name], gaps.get(name)) for name in pooled]
    return Compared(
        rows=rows,
        segments=_segments(by_name, pooled[ours].measures),
        protocol=_protocol(runner, runs, deciding, ours) + bias_of(pooled),
        notes=[*runner.left_out, *_notes(by_name)],
        verdict=verdict(_plain(pooled, runner.entries), deciding, ours),
        runs=[_facts(run) for run in runs],
        evaluations=pooled,
    )


def _deciding(protocol: str, measures: Sequence[Measure]) -> Measure:
    """Return what decides, by the name it was measured under: a split lists no more negatives than there are items."""
    kind = protocol.partition("-")[0]
    return next(
        one
        for one in measures
        if (one.protocol.partition("-")[0], one.metric, one.k) == (kind, "ndcg", SEGMENT_K)
    )


def _plain(pooled: Mapping[str, Evaluation], entries: Sequence[Entry]) -> dict[str, Evaluation]:
    """Return the models without controls and ablations: these explain, they do not compete."""
    names = {entry.name for entry in entries if not entry.is_changed}
    return {name: one for name, one in pooled.items() if name in names}


def _gaps(
    pooled: Mapping[str, Evaluation], entries: Sequence[Entry], measure: Measure, ours: str
) -> dict[str, Against]:
    """Return what our model is ahead of each other model, and each model ahead of its own changed rows."""
    gaps = {one.second: one for one in against_all(ours, _plain(pooled, entries), measure)}
    for model in dict.fromkeys(entry.model for entry in entries):
        changed = [entry.name for entry in entries if entry.model == model and entry.is_changed]
        family = {name: pooled[name] for name in (model, *changed)}
        gaps |= {one.second: one for one in against_all(model, family, measure)}
    return gaps


def _row(name: str, pooled: Evaluation, runs: Sequence[Run], gap: Against | None) -> dict[str, Any]:
    row: dict[str, Any] = {"model": name, "what": runs[0].entry.what}
    for measure in pooled.measures:
        row[heading(measure)] = vars(pooled.interval(measure))
    fits, scorings = [run.outcome.fit for run in runs], [run.outcome.scoring for run in runs]
    n = len(runs)
    return row | {
        "gap": None if gap is None else _gap(gap),
        "users": len(pooled.user_ids(pooled.measures[0])),
        "judged": f"{pooled.n_covered} of {pooled.n_users}",
        "trials": sum(len(run.trials) for run in runs if run.seed == 0),
        "fit s": round(sum(one.wall for one in fits) / n, 2),
        "fit CPU s": round(sum(one.cpu for one in fits) / n, 2),
        "score s": round(sum(one.wall for one in scorings) / n, 2),
        "score CPU s": round(sum(one.cpu for one in scorings) / n, 2),
        "settings": [dict(run.settings) for run in runs if run.seed == 0],
    }


def _gap(one: Against) -> dict[str, float]:
    interval = one.difference.interval
    return {
        "difference": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "p": one.difference.p_value,
        "p_holm": one.p_holm,
    }


def _segments(
    by_name: Mapping[str, Sequence[Run]], measures: Sequence[Measure]
) -> list[dict[str, Any]]:
    shown = [one for one in measures if one.metric in GAINS and one.k == SEGMENT_K]
    rows = []
    for name, runs in by_name.items():
        own = [(run.outcome.evaluation, run.trained) for run in runs]
        for measure in shown:
            for kind, found in (
                ("target rows in training", by_activity(own, measure)),
                ("users of the item in training", by_popularity(own, measure)),
            ):
                rows += [_segment(name, kind, one) for one in found]
    return rows


def _segment(name: str, kind: str, one: Segment) -> dict[str, Any]:
    return {
        "model": name,
        "by": kind,
        "bin": one.bin,
        "measure": heading(one.measure),
        **vars(one.interval),
        "users": one.n_users,
        "rows": one.n_positives,
    }


def _protocol(runner: Runner, runs: Sequence[Run], deciding: Measure, ours: str) -> list[str]:
    plan, route = runner.plan, runner.route
    config = runner.settings.split
    where = (
        f"split of {plan.split_folder}"
        if plan.split_folder
        else f"{config.kind.value} split, {plan.n_folds} of {config.n_folds} folds, seed {config.seed}"
    )
    first = runs[0].outcome.evaluation
    users = [run.outcome.evaluation.user_ids(deciding) for run in runs]
    n_users = len(np.unique(np.concatenate(users)))
    protocols = first.ranks["protocol"].to_numpy(zero_copy_only=False)
    n_rows = int(np.count_nonzero(protocols == deciding.protocol))
    whom = (
        f"{' + '.join(route.sources)} -> {route.target}; {where}; {n_users} test users"
        f" ({n_rows} held-out rows in the first fold); {plan.n_seeds} seeds; profiles and idf from"
        " training rows only"
    )
    budget = (
        f"settings by {plan.n_trials} random trials a model and fold at most, judged by NDCG@10 of"
        f" {deciding.protocol} on validation users; controls and ablations take those of their model"
    )
    values = (
        "values: mean over users (of their runs) with 95 % bootstrap intervals over users; a user nobody"
        " could judge counts as chance; ties at their expectation;"
        f" gap: {ours} minus the row, or the unchanged model minus a changed row, in {heading(deciding)},"
        " with p of paired sign-flip tests after Holm"
    )
    lines = [whom, budget, values]
    if plan.protocol == "paper" and not plan.split_folder and config.kind is not SplitKind.PAPER:
        lines.append(
            "the paper's measure on another split than the paper's: that is --set split.kind=paper --folds 5"
        )
    return lines


def _notes(by_name: Mapping[str, Sequence[Run]]) -> list[str]:
    notes = []
    for name, runs in by_name.items():
        refused = {run.outcome.facts["refused"] for run in runs if "refused" in run.outcome.facts}
        notes += [f"{name} counts as chance: {reason}" for reason in sorted(refused)]
        if not refused and not any(run.outcome.evaluation.n_covered for run in runs):
            notes.append(f"{name} could judge none of the test users: its row is chance")
        trials = [] if runs[0].entry.is_changed else [run.trials for run in runs if run.seed == 0]
        failed = [one["refused"] for own in trials for one in own if "refused" in one]
        if failed:
            n_trials = sum(len(own) for own in trials)
            notes.append(f"{name}: {len(failed)} of {n_trials} trials failed, such as: {failed[0]}")
    n_kept = sum(not run.is_new for runs in by_name.values() for run in runs)
    if n_kept:
        notes.append(f"{n_kept} runs were there already and were taken up")
    return notes


def _facts(run: Run) -> dict[str, Any]:
    return {
        "model": run.entry.name,
        "fold": run.fold,
        "seed": run.seed,
        "folder": str(run.folder),
        "settings": dict(run.settings),
        "trials": [dict(one) for one in run.trials],
        "fit": vars(run.outcome.fit),
        "scoring": vars(run.outcome.scoring),
        "means": run.outcome.evaluation.summary(),
        **run.outcome.facts,
    }
