"""What is done with a trained model: measured again, given its card, bundled.

A model folder remembers the split and the fingerprints of the tables it learned from. Whatever is done with it makes
the same split again, so that training rows, test users and idf are the model's own; a store that has changed
since is refused.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mekb.bundle import MARKS as BUNDLE_MARKS
from mekb.bundle import Bundle, BundleParts, write_bundle
from mekb.config import BundleConfig
from mekb.dataset import SplitWorld, World, split_world
from mekb.descriptions import with_descriptions
from mekb.errors import StoreError, UnknownError
from mekb.grounds import read_grounds
from mekb.linking import alias_index
from mekb.model_card import model_card
from mekb.models import (
    PROTOCOLS,
    OnProgress,
    input_tables,
    measured_on,
)
from mekb.neighbours import with_neighbours
from mekb.output import check_folder, written_whole
from mekb.runs import table_inputs
from mekb.scoring import NeighbourConfig, ScoringConfig
from mekb.store import Store
from mekb.worlds import world_of
from training import checkpoint
from training.comparison import as_chance
from training.contract import FitContext, Recommender, VectorRecommender
from training.embedme.model import EmbedMe
from training.errors import CannotJudgeError
from training.evaluate import Evaluation, Measure, compare, evaluate
from training.registry import names
from training.split_config import SplitConfig
from training.tuning import fit_best


@dataclass(frozen=True)
class Comparison:
    """Models on the same held-out users."""

    rows: list[dict[str, Any]]
    """One row a model: per measure its mean, the bounds of its 95 % interval, and, for a baseline, the
    p value of the first model's lead over it."""
    protocol: list[str]
    """What was measured on whom, in words."""
    notes: list[str]
    evaluations: Mapping[str, Evaluation]


@dataclass(frozen=True)
class _Loaded:
    """A model with the world it was trained in."""

    model: Recommender
    metadata: Mapping[str, Any]
    world: World
    split: SplitWorld


def _load(store: Store, folder: Path) -> _Loaded:
    """Load a model and make its split again.

    Raises:
        StoreError: the store is not what the model was trained on.
    """
    model, metadata = checkpoint.load(folder)
    try:
        inputs, target = metadata["inputs"], metadata["target"]
        split_config = SplitConfig.model_validate(metadata["split"])
        scoring = ScoringConfig.model_validate(metadata["scoring"])
        neighbours = NeighbourConfig.model_validate(metadata["neighbours"])
        sources = tuple(metadata["sources"])
    except KeyError as error:
        raise UnknownError(
            f"{folder}: was not written by 'mekb train' (no {error} in its metadata)"
        ) from error
    except ValidationError as error:
        raise UnknownError(
            f"{folder}: its split or scoring has settings this version does not know; train it again"
        ) from error
    found = table_inputs(store, *input_tables(neighbours))
    changed = sorted(table for table in inputs if inputs[table] != found.get(table))
    if changed:
        raise StoreError(
            f"{folder} was trained on other data than {store.path} holds now"
            f" (changed: {', '.join(changed)}); train it again"
        )
    world = with_neighbours(world_of(store, sources, target, split_config), store, neighbours)
    if metadata.get("descriptions", False):
        world = with_descriptions(world, store)
    return _Loaded(model, metadata, world, split_world(world, target, split_config, scoring))


def compare_models(
    store: Store,
    folders: Sequence[Path],
    baselines: Sequence[str],
    *,
    on_progress: OnProgress,
) -> Comparison:
    """Evaluate trained models and freshly fitted, tuned baselines on one split's test users.

    A baseline that refuses the data or diverges counts as chance; a note says why, and the others go on.
    """
    offered = [name for name in names() if name != EmbedMe.name]
    for baseline in baselines:
        if baseline not in offered:
            raise UnknownError(f"no baseline '{baseline}'; there are {', '.join(offered)}")
    if not folders:
        raise UnknownError("no model folder given")
    loaded = [_load(store, folder) for folder in folders]
    first = loaded[0]
    _check_same_split(folders, loaded)
    split = first.split
    evaluations: dict[str, Evaluation] = {}
    notes: list[str] = []
    total = len(loaded) + len(baselines)
    for folder, one in zip(folders, loaded, strict=True):
        name = one.model.name if len(loaded) == 1 else f"{one.model.name} ({folder})"
        evaluations[name] = evaluate(one.model, split.data, split.test, PROTOCOLS)
        on_progress("evaluate", len(evaluations), total)
    for baseline in baselines:
        evaluations[baseline], said = _baseline(baseline, split)
        notes += said
        on_progress("evaluate", len(evaluations), total)
    return Comparison(table_of(evaluations), _protocol(first), notes, evaluations)


def _baseline(name: str, split: SplitWorld) -> tuple[Evaluation, list[str]]:
    """Return a tuned baseline's values on the test users, and what is to be known about them."""
    try:
        tuned = fit_best(name, split.data, FitContext())
        found = evaluate(tuned.model, split.data, split.test, PROTOCOLS)
    except CannotJudgeError as error:
        chance = as_chance(name, split.data, split.test, PROTOCOLS)
        return chance, [f"{name} counts as chance: {error}"]
    notes, n_tried = [], len(tuned.trials)
    if n_tried > 1:
        notes.append(f"{name}: {n_tried} settings tried, chosen {dict(tuned.settings)}")
    failed = [trial.refused for trial in tuned.trials if trial.refused]
    if failed:
        notes.append(f"{name}: {len(failed)} of {n_tried} trials failed, such as: {failed[0]}")
    if not found.n_covered:
        notes.append(f"{name} could judge none of the test users: its row is chance")
    return found, notes


def _check_same_split(folders: Sequence[Path], loaded: Sequence[_Loaded]) -> None:
    keys = ("target", "sources", "split", "scoring", "neighbours", "descriptions")
    for folder, one in zip(folders, loaded, strict=True):
        if any(one.metadata.get(key, False) != loaded[0].metadata.get(key, False) for key in keys):
            raise UnknownError(f"{folder} and {folders[0]} were trained on different splits")


def table_of(evaluations: Mapping[str, Evaluation]) -> list[dict[str, Any]]:
    """Return one row a model; intervals are bootstrap intervals over users, p values paired."""
    first = next(iter(evaluations.values()))
    rows = []
    for name, evaluation in evaluations.items():
        row: dict[str, Any] = {"model": name}
        for measure in evaluation.measures:
            interval = evaluation.interval(measure)
            row[_heading(measure)] = round(interval.mean, 4)
            row[f"{_heading(measure)} 95 %"] = f"{interval.low:.4f}-{interval.high:.4f}"
        row["users"] = evaluation.n_users
        row["judged"] = evaluation.n_covered
        deciding = Measure(PROTOCOLS[0].name, "ndcg", PROTOCOLS[0].k)
        row["p"] = (
            None if evaluation is first else round(compare(first, evaluation, deciding).p_value, 4)
        )
        rows.append(row)
    return rows


def _heading(measure: Measure) -> str:
    return f"{measure.metric.upper()}@{measure.k} {measure.protocol}"


def _protocol(loaded: _Loaded) -> list[str]:
    split, config = loaded.split, loaded.metadata["split"]
    data = split.data
    test = (
        f"{' + '.join(data.sources)} -> {data.target}: {len(split.test.user_rows)} cold-start users, every"
        f" {data.target} row of theirs held out (fold {config['fold']} of {config['n_folds']},"
        f" seed {config['seed']}); profiles and idf from training rows only"
    )
    measure = (
        f"sampled: each positive among {PROTOCOLS[0].n_negatives} random negatives at most, mean over a"
        f" user's positives; full: all {len(data.target_items)} items ranked; ties at their expectation;"
        " p: paired sign-flip test on sampled NDCG against the first row"
    )
    return [test, measure]


def bundle_model(
    store: Store, model_folder: Path, folder: Path, config: BundleConfig, *, force: bool
) -> Bundle:
    """Write and open the bundle of a trained model."""
    check_folder(folder, marks=BUNDLE_MARKS, force=force)
    loaded = _load(store, model_folder)
    if not isinstance(loaded.model, VectorRecommender):
        raise UnknownError(f"{model_folder}: '{loaded.model.name}' has no vectors to serve")
    if loaded.model.vectors_per_user > 1:
        raise UnknownError(
            f"{model_folder}: has {loaded.model.vectors_per_user} vectors a user (interest_vectors), and a bundle"
            " searches one; train with interest_vectors=1 to serve it"
        )
    origin = {
        "trained": dict(loaded.metadata),
        "written_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    parts = BundleParts(
        loaded.model,
        loaded.world,
        loaded.split,
        alias_index(store),
        origin,
        config,
        read_grounds(store),
    )
    write_bundle(folder, parts, force=force)
    return Bundle(folder)


def write_card(store: Store, folder: Path) -> str:
    """Measure a trained model on its validation and its test users, and write its card anew; return the card.

    Raises:
        StoreError: the store is not what the model was trained on.
    """
    loaded = _load(store, folder)
    groups = {
        "validation users, who chose the epoch": loaded.split.data.valid,
        "test users, never seen in training": loaded.split.test,
    }
    measured = measured_on(loaded.model, loaded.split, groups)
    model = loaded.model
    card = model_card(model.saved_config(), loaded.metadata, measured, model.paper)
    with written_whole(folder / checkpoint.CARD, force=True) as aside:
        aside.write_text(card, encoding="utf-8")
    return card
