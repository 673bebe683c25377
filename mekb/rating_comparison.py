"""Models that predict single ratings or clicks, side by side on their own metrics.

In: a store, a route, names of models. Out: `RatingsCompared`: a row a model with MAE, RMSE, NDCG@5, P@5, R@5, ACC and AUC of
the test users' ratings (DIAGAE, DDTCDR), or ACC, AUC and logloss of their likes beside items never liked (SITN), each
with its interval over users; first the row that knows means alone. Settings are chosen on validation users with
the same number of trials each: the least RMSE, or the least logloss.

What is held out is the settings' split: by default all of some users' target rows. A split that takes single rows
(warm, time, paper) takes ratings of any height here, not likes alone: low ones would else all be known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np

from mekb.config import Settings
from mekb.dataset import SplitWorld, split_world
from mekb.errors import UnknownError
from mekb.models import OnProgress, Route, device_of, sources_of, told
from mekb.neighbours import with_neighbours
from mekb.store import Store
from mekb.worlds import world_of
from training.comparison import Clock, Cost
from training.contract import FitContext, Progress, RatingRecommender
from training.dataset import Dataset, HeldOut
from training.errors import REFUSALS, DatasetError
from training.rating_evaluation import (
    JudgedPairs,
    RatingEvaluation,
    clicked_pairs,
    evaluate_ratings,
    rated_pairs,
)
from training.rating_opponents import ClickShares, Means
from training.registry import create, model_class, names
from training.significance import holm, paired_difference
from training.split_config import SplitConfig, SplitKind
from training.tuning import settings_to_try

N_NEGATIVES = 1
"""Items beside each click, never liked."""
LEAST_SQL = """
select min(interactions.rating) as least
from interactions join items using (item_id)
where items.domain = $domain and not isnan(interactions.rating)
"""


class Labels(StrEnum):
    """What is predicted."""

    RATINGS = "ratings"
    CLICKS = "clicks"


DECIDING = {Labels.RATINGS: ("rmse", "mae"), Labels.CLICKS: ("logloss", "logloss")}
"""What settings are chosen by, and of which users' values the test of a difference is; less is better."""


@dataclass(frozen=True)
class RatingPlan:
    """What is compared."""

    models: tuple[str, ...]
    labels: Labels = Labels.RATINGS
    n_trials: int = 1
    model_settings: Mapping[str, Mapping[str, Any]] | None = None
    """Model -> settings that are fixed, not searched."""


@dataclass(frozen=True)
class RatingsCompared:
    """Models on the same pairs."""

    rows: list[dict[str, Any]]
    """One a model: each measure's mean, low, high; pairs judged, trials, seconds, settings, gap to the means."""
    protocol: list[str]
    notes: list[str]
    evaluations: Mapping[str, RatingEvaluation]


def predicting(labels: Labels) -> list[str]:
    """Return the names of the models that predict such labels.

    >>> predicting(Labels.RATINGS)
    ['ddtcdr', 'diagae']
    """
    found = [name for name in names() if hasattr(model_class(name), "predict")]
    return [name for name in found if labels is Labels.CLICKS or _has_feedback(name)]


def _has_feedback(name: str) -> bool:
    return "feedback" in model_class(name).config_type.model_fields


def compare_ratings(
    store: Store, route: Route, settings: Settings, plan: RatingPlan, on_progress: OnProgress
) -> RatingsCompared:
    """Tune, fit and measure models on the test users' ratings or clicks.

    Raises:
        UnknownError: a domain is not known, or a model predicts no such labels.
        DatasetError: there are no such labels to predict.
    """
    offered = predicting(plan.labels)
    for name in plan.models:
        if name not in offered:
            raise UnknownError(
                f"{name} predicts no {plan.labels.value}; those that do: {', '.join(offered)}"
            )
    made = _split(store, route, settings, plan.labels)
    judge = _Judge(made, settings, plan, on_progress)
    test = made.test
    pairs = judge.pairs(test)
    opponent = _opponent(made.data, plan.labels)
    evaluations = {opponent.name: evaluate_ratings(opponent, made.data, test, pairs)}
    rows, notes = [judge.row(evaluations[opponent.name], Cost(0.0, 0.0), [])], []
    for name in dict.fromkeys(plan.models):
        clock = Clock()
        try:
            model, trials = judge.fitted(name)
            evaluations[name] = evaluate_ratings(model, made.data, test, pairs)
        except REFUSALS as error:
            notes.append(f"{name} is left out: {error}")
            continue
        rows.append(judge.row(evaluations[name], clock.cost(), trials))
    _add_gaps(rows, evaluations, DECIDING[plan.labels][1])
    return RatingsCompared(rows, judge.protocol(pairs), notes, evaluations)


def _split(store: Store, route: Route, settings: Settings, labels: Labels) -> SplitWorld:
    sources, config = sources_of(store, route), settings.split
    if labels is Labels.RATINGS and config.kind not in {SplitKind.COLD, SplitKind.SHOTS}:
        least = store.query(LEAST_SQL, {"domain": route.target})["least"][0].as_py()
        if least is None:
            raise DatasetError(f"no interaction of {route.target!r} has a rating")
        config = SplitConfig.model_validate({**config.model_dump(), "positive_from": least})
    world = world_of(store, sources, route.target, config, linked=store.has("item_entities"))
    if store.has("item_entities"):
        world = with_neighbours(world, store, settings.neighbours)
    return split_world(world, route.target, config, settings.scoring)


def _opponent(data: Dataset, labels: Labels) -> RatingRecommender:
    return Means(data) if labels is Labels.RATINGS else ClickShares(data, N_NEGATIVES)


@dataclass(frozen=True)
class _Judge:
    """What stays the same from model to model."""

    made: SplitWorld
    settings: Settings
    plan: RatingPlan
    on_progress: OnProgress

    def pairs(self, held_out: HeldOut) -> JudgedPairs:
        """Return what is predicted of some held-out users."""
        if self.plan.labels is Labels.CLICKS:
            return clicked_pairs(self.made.data, held_out, n_negatives=N_NEGATIVES)
        return rated_pairs(self.made.data, held_out, self.settings.source.positive_from)

    def fitted(self, name: str) -> tuple[RatingRecommender, list[dict[str, Any]]]:
        """Return a model with the settings that do best on validation users, and the trials."""
        fixed = dict((self.plan.model_settings or {}).get(name, {}))
        if _has_feedback(name):
            fixed["feedback"] = self.plan.labels.value
        seed = self.settings.train.seed
        tried = settings_to_try(name, self.plan.n_trials, seed=seed, fixed=fixed)
        trials: list[dict[str, Any]] = []
        best: RatingRecommender | None = None
        for number, settings in enumerate(tried):
            model = self._fit(name, settings)
            if len(tried) == 1:
                return model, []
            value = self._value(model)
            if best is None or value < min(one["value"] for one in trials):
                best = model
            trials.append({"settings": settings, "value": value})
            self.on_progress(f"tune {name}", number + 1, len(tried))
        assert best is not None, "there is at least one setting to try"
        return best, trials

    def _fit(self, name: str, settings: Mapping[str, Any]) -> RatingRecommender:
        def show(progress: Progress) -> None:
            self.on_progress(told(progress, name), progress.done, progress.total)

        train = self.settings.train
        device = device_of(train.device)
        context = FitContext(train.seed, device, train.precision, on_progress=show)
        model = create(name, settings)
        model.fit(self.made.data, context)
        assert isinstance(model, RatingRecommender), "it was asked for by `predicting`"
        return model

    def _value(self, model: RatingRecommender) -> float:
        valid = self.made.data.valid
        if valid is None or not len(valid.user_rows):
            raise DatasetError(f"{model.name} has settings to choose, but nobody to choose on")
        found = evaluate_ratings(model, self.made.data, valid, self.pairs(valid)).summary()
        return found[DECIDING[self.plan.labels][0]]

    def row(
        self, found: RatingEvaluation, cost: Cost, trials: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Return a row of the table."""
        best = min(trials, key=lambda one: one["value"], default=None)
        intervals = {
            label: vars(found.interval(label.partition("@")[0])) for label in found.summary()
        }
        return {
            "model": found.model,
            **{
                label.upper() if label != "logloss" else label: one
                for label, one in intervals.items()
            },
            "gap": None,
            "judged": f"{found.n_covered} of {len(found.predicted)}",
            "trials": len(trials),
            "fit s": round(cost.wall, 2),
            "fit CPU s": round(cost.cpu, 2),
            "settings": dict(best["settings"]) if best is not None else {},
        }

    def protocol(self, pairs: JudgedPairs) -> list[str]:
        """Return what was predicted for whom, in words."""
        data, split = self.made.data, self.settings.split
        what, by = DECIDING[self.plan.labels]
        kind = (
            "ratings"
            if not pairs.are_clicks
            else f"likes, each beside {N_NEGATIVES} item never liked"
        )
        whom = (
            f"{' + '.join(data.sources)} -> {data.target}; {split.kind.value} split, fold {split.fold}, seed"
            f" {split.seed}; {len(pairs.actual)} {kind}, of {len(np.unique(pairs.user_rows))} test users;"
            f" relevant from {pairs.threshold:g} on"
        )
        values = (
            f"settings by {self.plan.n_trials} random trials a model at most, judged by {what} on validation"
            " users; 95 % bootstrap intervals over users; a pair that could not be judged counts with"
            f" {pairs.fallback:.3g}; gap: the first row's mean {by} of a user minus the row's (above 0 is"
            " better), with p of a paired sign-flip test after Holm"
        )
        return [whom, values]


def _add_gaps(
    rows: Sequence[dict[str, Any]], evaluations: Mapping[str, RatingEvaluation], metric: str
) -> None:
    """Add to each row but the first what it is ahead of the first, user by user."""
    first = evaluations[rows[0]["model"]].per_user(metric)
    gap = partial(paired_difference, first)
    found = {row["model"]: gap(evaluations[row["model"]].per_user(metric)) for row in rows[1:]}
    corrected = holm([one.p_value for one in found.values()])
    for row, p_holm in zip(rows[1:], corrected, strict=True):
        interval = found[row["model"]].interval
        row["gap"] = {
            "difference": interval.mean,
            "low": interval.low,
            "high": interval.high,
            "p": found[row["model"]].p_value,
            "p_holm": p_holm,
        }
