"""Settings chosen on validation users: the same rule for every model that is compared.

In: a model's name, a grid of settings, a data set with validation users. Out: the model with the best mean
NDCG@10 among sampled negatives on the validation users. Test users are never looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.contract import FitContext, Progress, Recommender
from training.dataset import Dataset
from training.errors import DatasetError
from training.evaluate import Measure, Sampled, evaluate
from training.registry import create

DECIDING = Sampled(k=10)
"""What decides: the paper's own measure (Yuan et al., MeKB-Rec, KaRS 2023, section 4.2)."""

GRIDS: Mapping[str, Sequence[Mapping[str, object]]] = {
    "source_knn": [
        {"n_neighbours": n_neighbours, "shrinkage": shrinkage}
        for n_neighbours in (25, 50, 100, 200, 400, 800)
        for shrinkage in (0.0, 5.0, 20.0)
    ],
}
"""Settings tried for each baseline; a model that is not here has none that matter."""


@dataclass(frozen=True)
class Tuned:
    """The model that did best on validation, and what was tried."""

    model: Recommender
    settings: Mapping[str, object]
    trials: tuple[tuple[Mapping[str, object], float], ...]
    """(settings, mean validation NDCG@10), in the order tried."""


def fit_best(
    name: str,
    data: Dataset,
    context: FitContext,
    grid: Sequence[Mapping[str, object]] | None = None,
) -> Tuned:
    """Fit a model with each setting of a grid and return the best; the first one wins a tie.

    Args:
        name: A name of the registry.
        data: With validation users, unless the grid has one setting only.
        context: How to train.
        grid: Settings to try; the model's own of `GRIDS` when None.

    Raises:
        DatasetError: there is something to choose but nobody to choose on.
    """
    tried = list(grid if grid is not None else GRIDS.get(name, ({},)))
    trials: list[tuple[Mapping[str, object], float]] = []
    best: Recommender | None = None
    for number, settings in enumerate(tried):
        model = create(name, settings)
        model.fit(data, context)
        value = _validation_ndcg(model, data) if len(tried) > 1 else 0.0
        if best is None or value > max(score for _, score in trials):
            best = model
        trials.append((settings, value))
        context.on_progress(Progress(f"tune {name}", number + 1, len(tried)))
    if best is None:
        raise DatasetError(f"no settings to try for {name}")
    chosen = max(trials, key=lambda trial: trial[1])[0]
    return Tuned(best, chosen, tuple(trials))


def _validation_ndcg(model: Recommender, data: Dataset) -> float:
    if data.valid is None:
        raise DatasetError(
            f"{model.name} has settings to choose, but the data have no validation users"
        )
    found = evaluate(model, data, data.valid, [DECIDING])
    return float(found.values(Measure(DECIDING.name, "ndcg", DECIDING.k)).mean())
