"""Cold-start folds on a store: EmbedMe and tuned baselines, each on the same test users.

In: a store with profiles, a direction, a fold. Out: one `Evaluation` a model. Each model is tuned or stopped
on the validation users of the fold alone. EmbedMe is trained by `mekb.api.train`, into a folder that is
used again as long as settings, data and code are the same.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float32
from typing_extensions import override

from mekb import api
from mekb.config import Settings
from mekb.dataset import SplitWorld, load_world, split_world, without_twins
from mekb.fingerprint import code_fingerprint
from mekb.models import INPUT_TABLES, PROTOCOLS, device_of
from mekb.runs import table_inputs
from mekb.store import Store
from training import checkpoint
from training.config import ModelConfig
from training.contract import FitContext, FitReport, Need, Recommender, UserBatch
from training.dataset import Dataset
from training.evaluate import Evaluation, Measure, evaluate
from training.tuning import DECIDING, fit_best

EMBEDME = "embedme"
BASELINES = ("popularity", "source_knn", "frozen_text")
BLEND = "source_knn+popularity"
BLEND_WEIGHTS = (1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
"""Tried on validation: 1e-3 only breaks ties of the neighbours' votes."""

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Direction:
    """From which domain to which."""

    source: str
    target: str

    @override
    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"


@dataclass(frozen=True)
class FoldResult:
    """What one fold gave."""

    evaluations: Mapping[str, Evaluation]
    """Model -> its values on the fold's test users; EmbedMe first."""
    facts: Mapping[str, Any]
    """Chosen settings and epochs, for the record."""


class Blend(Recommender):
    """Neighbours' votes and, where these say nothing or the same, popularity.

        score(u, i) = knn(u, i) + w log(1 + n_i) / max over j of log(1 + n_j)

    n_i is the number of training users who liked i; knn(u, i) is 0 for a user without neighbours.
    """

    name: ClassVar[str] = BLEND
    paper: ClassVar[str] = "none: two baselines added up"
    needs: ClassVar[frozenset[Need]] = frozenset()
    config_type: ClassVar[type[ModelConfig]] = ModelConfig

    def __init__(self, neighbours: Recommender, popularity: Recommender, weight: float) -> None:
        super().__init__(ModelConfig())
        self._neighbours, self._popularity, self.weight = neighbours, popularity, weight
        self.item_ids = neighbours.item_ids

    @override
    def fit(self, data: Dataset, context: FitContext) -> FitReport:
        """Learn nothing: both parts are fitted."""
        return FitReport(seconds=0.0)

    @override
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        """Return the sum of both scores."""
        popularity = self._popularity.score(users)
        highest = np.maximum(popularity.max(axis=1, keepdims=True), 1e-9)
        votes = np.nan_to_num(self._neighbours.score(users), nan=0.0)
        scores: np.ndarray = votes + np.float32(self.weight) * popularity / highest
        return scores

    @override
    def state(self) -> Mapping[str, np.ndarray]:
        """Return nothing: a blend is made anew in each fold."""
        return {}

    @override
    def restore(self, state: Mapping[str, np.ndarray], assets: Mapping[str, bytes]) -> None:
        """Do nothing."""


def run_fold(
    store: Store,
    direction: Direction,
    settings: Settings,
    models: Path | None,
    on_progress: OnProgress,
) -> FoldResult:
    """Fit all models on the training rows of one fold and measure them on its test users.

    Args:
        store: With linked items.
        direction: Source and target domain.
        settings: `settings.split` names the fold, `settings.train` says how EmbedMe is trained.
        models: Folder of EmbedMe's model folders; None leaves EmbedMe out.
        on_progress: Told of training steps.
    """
    world = load_world(store, (direction.source, direction.target))
    world = without_twins(world, store, direction.target, settings.split)
    split = split_world(world, direction.target, settings.split, settings.scoring)
    fitted: dict[str, Recommender] = {}
    facts: dict[str, Any] = {"fold": settings.split.fold, "test users": len(split.test.user_rows)}
    if models is not None:
        model, facts[EMBEDME] = _embedme(store, direction, settings, models, on_progress)
        fitted[EMBEDME] = model
    context = FitContext(seed=settings.train.seed, device=device_of(settings.train.device))
    for name in BASELINES:
        tuned = fit_best(name, split.data, context)
        fitted[name] = tuned.model
        facts[name] = dict(tuned.settings)
    blend = _best_blend(fitted["source_knn"], fitted["popularity"], split)
    fitted[BLEND] = blend
    facts[BLEND] = {"weight": blend.weight}
    evaluations = {
        name: evaluate(model, split.data, split.test, PROTOCOLS) for name, model in fitted.items()
    }
    return FoldResult(evaluations, facts)


def _best_blend(neighbours: Recommender, popularity: Recommender, split: SplitWorld) -> Blend:
    """Return the blend with the best mean NDCG on validation users; the first one wins a tie."""
    assert split.data.valid is not None
    blends = [Blend(neighbours, popularity, weight) for weight in BLEND_WEIGHTS]
    measure = Measure(DECIDING.name, "ndcg", DECIDING.k)
    means = [
        evaluate(blend, split.data, split.data.valid, [DECIDING]).values(measure).mean()
        for blend in blends
    ]
    return blends[int(np.argmax(means))]


def _embedme(
    store: Store,
    direction: Direction,
    settings: Settings,
    models: Path,
    on_progress: OnProgress,
) -> tuple[Recommender, dict[str, Any]]:
    """Return the trained model of a fold, from its folder where nothing changed since."""
    folder = models / f"{direction.source}-{direction.target}-{settings.split.fold}"
    key_file = folder.with_suffix(".json")
    key = json.dumps(
        {
            "settings": settings.model_dump(mode="json", include={"scoring", "split", "train"}),
            "tables": table_inputs(store, *INPUT_TABLES),
            "code": code_fingerprint(("mekb", "training")),
        },
        indent=1,
    )
    if not (key_file.is_file() and key_file.read_text(encoding="utf-8") == key):
        models.mkdir(parents=True, exist_ok=True)
        api.train(
            store,
            folder,
            target=direction.target,
            sources=(direction.source,),
            settings=settings,
            force=True,
            on_progress=on_progress,
        )
        key_file.write_text(key, encoding="utf-8")
    model, metadata = checkpoint.load(folder)
    report = metadata["report"]
    return model, {
        "settings": model.config.model_dump(mode="json"),
        "seconds": round(report["seconds"], 1),
        "epochs": len(report["losses"]),
        "kept epoch": report["chosen_epoch"],
        "validation": report["validation"],
    }


def fold_settings(settings: Settings, fold: int) -> Settings:
    """Return the settings with another test fold."""
    return settings.model_copy(update={"split": settings.split.model_copy(update={"fold": fold})})


def model_names(folds: Sequence[FoldResult]) -> list[str]:
    """Return the models that every fold measured, in order."""
    return [
        name for name in folds[0].evaluations if all(name in fold.evaluations for fold in folds)
    ]
