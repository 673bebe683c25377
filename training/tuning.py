"""Settings chosen on validation users: the same rule, and the same number of trials, for every model compared.

In: a model's name, a number of trials, a data set with validation users. Out: the settings with the best mean
NDCG@10 on the validation users. Test users are never looked at. Settings are drawn at random from a declared
space (`SPACES`; Bergstra and Bengio, Random Search for Hyper-Parameter Optimization, JMLR 2012), after the
model's own defaults; a space with no more points than there are trials is tried whole.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from training.contract import FitContext, Progress, Recommender
from training.dataset import Dataset
from training.errors import REFUSALS, CannotJudgeError, DatasetError
from training.evaluate import Measure, Protocol, Sampled, evaluate
from training.registry import create

DECIDING = Sampled(k=10)
"""What decides unless told otherwise: the paper's measure (Yuan et al., MeKB-Rec, KaRS 2023, section 4.2)."""
N_TRIALS = 20


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[object, ...]

    def draw(self, rng: np.random.Generator) -> object:
        """Return a value, each as likely as the others."""
        return self.values[int(rng.integers(len(self.values)))]


@dataclass(frozen=True)
class LogUniform:
    """A number whose logarithm is uniform."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """Return a number of three significant digits."""
        value = math.exp(rng.uniform(math.log(self.low), math.log(self.high)))
        return float(f"{value:.3g}")


Space = Mapping[str, Choice | LogUniform]
"""Setting -> what it may be."""

NEIGHBOURS: Space = {
    "n_neighbours": Choice((25, 50, 100, 200, 400, 800)),
    "shrinkage": Choice((0.0, 5.0, 20.0)),
}
FACTORS: Space = {
    "embedding_size": Choice((32, 64, 128)),
    "learning_rate": LogUniform(5e-4, 5e-2),
    "l2": LogUniform(1e-5, 1e-1),
    "n_negatives": Choice((1, 4)),
}
MAPPING: Space = {
    "epochs": Choice((20, 50, 100)),
    "mapping_learning_rate": LogUniform(3e-4, 3e-2),
}
SPACES: Mapping[str, Space] = {
    "source_knn": NEIGHBOURS,
    "item_knn": NEIGHBOURS,
    "ease": {"ridge": LogUniform(10.0, 30_000.0)},
    "ease_target": {"ridge": LogUniform(10.0, 30_000.0)},
    "bpr_mf": FACTORS,
    "cmf": {**FACTORS, "source_weight": Choice((0.1, 0.3, 0.5, 0.7))},
    "lightgcn": {**FACTORS, "n_negatives": Choice((1,)), "n_layers": Choice((1, 2, 3))},
    "emcdr": {**FACTORS, **MAPPING, "mapping_hidden": Choice((0, 64, 128))},
    "sscdr": {
        **MAPPING,
        "embedding_size": Choice((32, 64, 128)),
        "learning_rate": LogUniform(5e-4, 5e-2),
        "margin": Choice((0.2, 0.5, 1.0, 2.0)),
        "unsupervised_weight": Choice((0.0, 0.2, 0.5, 1.0)),
        "n_hops": Choice((0, 1, 2)),
    },
    "dcdcsr": {**FACTORS, **MAPPING, "n_similar": Choice((5, 10, 50, 100))},
    "conet": {
        "embedding_size": Choice((16, 32, 64)),
        "learning_rate": LogUniform(5e-4, 2e-2),
        "l1": Choice((0.0, 1e-5, 1e-4, 1e-3)),
        "n_negatives": Choice((1, 4)),
    },
    "youtube_dnn": {
        "embedding_size": Choice((32, 64, 128)),
        "learning_rate": LogUniform(3e-4, 1e-2),
        "weight_decay": LogUniform(1e-4, 1.0),
        "hidden": Choice(((), (128,), (256, 128))),
        "newcomer_share": Choice((0.0, 0.5, 0.9)),
    },
    "diagae": {
        "embedding_size": Choice((32, 64, 128)),
        "learning_rate": LogUniform(1e-3, 2e-2),
        "inter_weight": Choice((0.0, 0.2, 0.8, 8.0)),
        "intra_weight": Choice((0.0, 0.1, 0.6, 6.0)),
        "n_negatives": Choice((1, 4)),
    },
    "ddtcdr": {
        "embedding_size": Choice((8, 32, 64)),
        "learning_rate": LogUniform(1e-3, 3e-2),
        "autoencoder_epochs": Choice((30, 100)),
        "transfer_rate": Choice((0.0, 0.03, 0.1, 0.2)),
        "n_negatives": Choice((1, 4)),
    },
    "cat_art": {
        **FACTORS,
        "autoencoder_learning_rate": LogUniform(3e-4, 1e-2),
        "transfer_learning_rate": LogUniform(3e-4, 1e-2),
        "newcomer_share": Choice((0.0, 0.5, 0.9)),
        "tune_items": Choice((False, True)),
    },
    "sitn": {
        "embedding_size": Choice((32, 64, 128)),
        "learning_rate": LogUniform(3e-4, 1e-2),
        "temperature": Choice((0.05, 0.1, 0.2)),
        "contrast_epochs": Choice((5, 10, 20)),
        "n_clusters": Choice(((32,), (32, 64, 128, 256))),
        "n_negatives": Choice((1, 4)),
        "empty_target_share": Choice((0.2, 0.5, 0.9)),
    },
    "embedme": {
        "learning_rate": LogUniform(5e-6, 1e-4),
        "mlp_dropout": Choice((0.1, 0.3, 0.5)),
        "n_target_tastes": Choice((64, 128, 256)),
        "taste_l2": LogUniform(2e-3, 3e-2),
        "taste_unliked": LogUniform(5.0, 50.0),
        "taste_ridge": LogUniform(3.0, 30.0),
    },
}
"""Settings searched for each model: those its paper or its public code tries, around its defaults. `popularity` has
no settings, and `frozen_text` learns nothing: they alone are not here."""


@dataclass(frozen=True)
class Trial:
    """One of the settings tried."""

    settings: Mapping[str, object]
    value: float | None
    """Mean NDCG@10 on the validation users; None where it failed, and where there was nothing to choose."""
    refused: str = ""
    """Why it failed."""


@dataclass(frozen=True)
class Tuned:
    """The model that did best on validation, and what was tried."""

    model: Recommender
    settings: Mapping[str, object]
    trials: tuple[Trial, ...]
    """In the order tried."""


def settings_to_try(
    name: str, n_trials: int, *, seed: int = 0, fixed: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return what a search tries for a model, in order; the same for the same arguments.

    Args:
        name: A name of the registry.
        n_trials: The budget.
        seed: Of the draws.
        fixed: Settings that are not searched, in every trial.

    >>> settings_to_try("popularity", 20)
    [{}]
    >>> len(settings_to_try("source_knn", 20)), len(settings_to_try("ease", 20))
    (18, 20)
    """
    rng = np.random.default_rng([seed, *name.encode()])
    return settings_from(SPACES.get(name, {}), n_trials, rng, fixed)


def settings_from(
    space: Space,
    n_trials: int,
    rng: np.random.Generator,
    fixed: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return the settings of a search over a space, the defaults first; see `settings_to_try`."""
    given = dict(fixed or {})
    space = {key: one for key, one in space.items() if key not in given}
    if not space or n_trials <= 1:
        return [given]
    choices = [one.values for one in space.values() if isinstance(one, Choice)]
    if len(choices) == len(space) and math.prod(map(len, choices)) <= n_trials:
        return [given | dict(zip(space, point, strict=True)) for point in product(*choices)]
    tried = [given]
    while len(tried) < n_trials:
        drawn = given | {key: one.draw(rng) for key, one in space.items()}
        if drawn not in tried:
            tried.append(drawn)
    return tried


def fit_best(
    name: str,
    data: Dataset,
    context: FitContext,
    tried: Sequence[Mapping[str, object]] | None = None,
    deciding: Protocol = DECIDING,
) -> Tuned:
    """Fit a model with each of some settings and return the best; the first one wins a tie.

    Settings with which the model refuses the data or diverges are passed over.

    Args:
        name: A name of the registry.
        data: With validation users, unless there is one setting only.
        context: How to train.
        tried: Settings to try; those of `settings_to_try` with `N_TRIALS` when None.
        deciding: By whose NDCG the best is chosen.

    Raises:
        CannotJudgeError: the model says nothing about these data with any of the settings; with the first reason.
        DatasetError: there is something to choose but nobody to choose on.
    """
    settings_tried = list(tried if tried is not None else settings_to_try(name, N_TRIALS))
    if not settings_tried:
        raise DatasetError(f"no settings to try for {name}")
    trials: list[Trial] = []
    best: tuple[float, Recommender, Mapping[str, object]] | None = None
    for number, settings in enumerate(settings_tried):
        model = create(name, settings)
        trial = _tried(
            model, settings, data, context, deciding if len(settings_tried) > 1 else None
        )
        value = trial.value or 0.0
        if not trial.refused and (best is None or value > best[0]):
            best = (value, model, settings)
        trials.append(trial)
        context.on_progress(Progress(f"tune {name}", number + 1, len(settings_tried)))
    if best is None:
        raise CannotJudgeError(trials[0].refused)
    return Tuned(best[1], best[2], tuple(trials))


def _tried(
    model: Recommender,
    settings: Mapping[str, object],
    data: Dataset,
    context: FitContext,
    deciding: Protocol | None,
) -> Trial:
    try:
        model.fit(data, context)
    except REFUSALS as error:
        return Trial(settings, None, str(error))
    try:
        return Trial(settings, validation_ndcg(model, data, deciding) if deciding else None)
    except CannotJudgeError as error:  # a DatasetError here is a fault of the split: it goes on
        return Trial(settings, None, str(error))


def validation_ndcg(model: Recommender, data: Dataset, deciding: Protocol) -> float:
    """Return the mean NDCG at the protocol's K over the validation users.

    Raises:
        DatasetError: there are none.
    """
    if data.valid is None or not len(data.valid.user_rows):
        raise DatasetError(
            f"{model.name} has settings to choose, but the data have no validation users"
        )
    found = evaluate(model, data, data.valid, [deciding])
    return float(found.values(Measure(deciding.name, "ndcg", deciding.k)).mean())
