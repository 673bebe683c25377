"""Train, compare and bundle recommenders on a store.

A model folder remembers the split and the fingerprints of the tables it learned from. Comparing and
bundling make the same split again, so that training rows, test users and idf are the model's own; a store
that has changed since is refused.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mekb.bundle import MARKS as BUNDLE_MARKS
from mekb.bundle import Bundle, BundleParts, write_bundle
from mekb.config import BundleConfig, Settings
from mekb.dataset import SplitWorld, World, split_world
from mekb.errors import StoreError, UnknownError
from mekb.fingerprint import file_fingerprint
from mekb.linking import alias_index
from mekb.model_card import ITEMS, RECORDS, Measured, item_file, model_card, run_facts
from mekb.neighbours import with_neighbours
from mekb.output import check_folder, folder_written_whole, written_whole
from mekb.runs import Stage, record_run, settings_of, table_inputs
from mekb.scoring import NeighbourConfig, ScoringConfig
from mekb.store import Store
from mekb.unfinished import forget_unfinished, start_or_resume, unfinished_folder
from mekb.worlds import world_of
from training import checkpoint
from training.contract import FitContext, FitReport, Progress, Recommender, VectorRecommender
from training.dataset import HeldOut
from training.embedme.config import EmbedMeConfig
from training.embedme.model import EmbedMe
from training.evaluate import Evaluation, Full, Measure, Sampled, compare, evaluate
from training.ranks import in_turn
from training.registry import names
from training.run_log import RunLog, make_loggers
from training.split_config import SplitConfig
from training.tuning import fit_best

INPUT_TABLES = ("items", "users", "interactions", "item_entities", "entities", "custom_entities")
"""What every model is made from."""
PROTOCOLS = (Sampled(n_negatives=999, k=10), Full(k=20))
"""The paper's measure (paper 002, section 4.2) and, beside it, the full ranking."""

MARKS = (checkpoint.MANIFEST, checkpoint.WEIGHTS)
"""By these files a folder is known as a model, which a new one may replace."""

OnProgress = Callable[[str, int, int], None]


def input_tables(neighbours: NeighbourConfig) -> tuple[str, ...]:
    """Return the tables a model is made from: relations too, where its profiles hold what is inferred."""
    return (*INPUT_TABLES, "relations") if neighbours.in_profiles else INPUT_TABLES


@dataclass(frozen=True)
class Route:
    """From which domains to which: sources make profiles, the target is recommended from."""

    target: str
    sources: tuple[str, ...] = ()
    """None named means all others."""


@dataclass(frozen=True)
class TrainedModel:
    """A model on disk."""

    folder: Path
    target: str
    sources: tuple[str, ...]
    report: FitReport

    def summary(self) -> str:
        """Return one line: where, how long, which epoch."""
        epochs = f"{len(self.report.losses)} epochs"
        chosen = f", epoch {self.report.chosen_epoch} kept" if self.report.chosen_epoch else ""
        return f"{self.folder}: EmbedMe for {self.target}, {epochs} in {self.report.seconds:.0f} s{chosen}"


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


def device_of(device: str) -> str:
    """Return the device meant by a setting: "auto" is a CUDA device where there is one."""
    if device != "auto":
        return device
    import torch  # noqa: PLC0415  a second's import, only when asked for

    return "cuda" if torch.cuda.is_available() else "cpu"


def fit_context(settings: Settings, folder: Path | None, on_progress: OnProgress) -> FitContext:
    """Return how to train, from the settings."""

    def show(progress: Progress) -> None:
        on_progress(f"{progress.stage} {progress.note}".strip(), progress.done, progress.total)

    return FitContext(
        seed=settings.train.seed,
        device=device_of(settings.train.device),
        precision=settings.train.precision,
        folder=folder,
        on_progress=show,
        snapshot_seconds=settings.train.snapshot_seconds,
        keep_snapshot=True,
    )


def train_model(  # noqa: PLR0913  (`force` and `resume` are the caller's word, not settings)
    open_store: Callable[[], AbstractContextManager[Store]],
    folder: Path,
    route: Route,
    settings: Settings,
    *,
    force: bool,
    resume: bool,
    on_progress: OnProgress,
) -> TrainedModel:
    """Fine-tune EmbedMe on a store's training rows and save it.

    The store is read first and let go of while the model learns. Under `torchrun` every process reads it in its
    turn, all of them train, and the first one writes.
    """
    check_folder(folder, marks=MARKS, force=force)
    context = fit_context(settings, unfinished_folder(folder), on_progress)
    target = route.target
    with in_turn(context) as is_first, open_store() as store:
        if is_first:
            start_or_resume(folder, resume=resume, force=force)
        world = world_of(store, sources_of(store, route), target, settings.split)
        world = with_neighbours(world, store, settings.neighbours)
        inputs = table_inputs(store, *input_tables(settings.neighbours))
    split = split_world(world, target, settings.split, settings.scoring)
    model = EmbedMe(EmbedMeConfig.preset(settings.train.preset, **settings.train.model))
    report, records = _fit(model, split, folder, settings, context, is_first=is_first)
    if not is_first:
        return TrainedModel(folder, target, split.data.sources, report)
    metadata = {
        "target": target,
        "sources": list(split.data.sources),
        "split": settings.split.model_dump(mode="json"),
        "scoring": settings.scoring.model_dump(mode="json"),
        "neighbours": settings.neighbours.model_dump(mode="json"),
        "inputs": inputs,
        "report": {
            "seconds": report.seconds,
            "losses": list(report.losses),
            "validation": [dict(metrics) for metrics in report.validation],
            "chosen_epoch": report.chosen_epoch,
            "notes": list(report.notes),
        },
        **run_facts(split, context.device),
    }
    beside = {ITEMS: item_file(world, split), RECORDS: records.encode()}
    measured = _measured(model, split, {"validation users, who chose the epoch": split.data.valid})
    with folder_written_whole(folder, marks=MARKS, force=force) as aside:
        checkpoint.save(model, aside, metadata, beside)
        card = model_card(model.saved_config(), metadata, measured, model.paper)
        (aside / checkpoint.CARD).write_text(card, encoding="utf-8")
    forget_unfinished(folder)
    with open_store() as store:
        _record(store, folder, route, settings, report)
    return TrainedModel(folder, target, split.data.sources, report)


def _fit(
    model: Recommender,
    split: SplitWorld,
    folder: Path,
    settings: Settings,
    context: FitContext,
    *,
    is_first: bool,
) -> tuple[FitReport, str]:
    """Fit a model and tell the loggers; return the report, and the records as JSON lines."""
    logs = Path(settings.train.log_folder or folder.with_name(f"{folder.name}.logs"))
    log = RunLog(make_loggers(settings.train.loggers if is_first else (), logs, folder.name))
    log.settings({**model.saved_config(), "seed": context.seed, "precision": context.precision})
    done = False
    try:
        report = model.fit(split.data, replace(context, on_record=log.record))
        done = True
    finally:
        log.close(done=done)
    return report, log.json_lines()


def _measured(
    model: Recommender, split: SplitWorld, users: Mapping[str, HeldOut | None]
) -> list[Measured]:
    """Return how a model does on groups of users; a group of nobody is left out."""
    return [
        Measured.of(who, evaluate(model, split.data, held_out, PROTOCOLS))
        for who, held_out in users.items()
        if held_out is not None and len(held_out.user_rows)
    ]


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
    measured = _measured(loaded.model, loaded.split, groups)
    model = loaded.model
    card = model_card(model.saved_config(), loaded.metadata, measured, model.paper)
    with written_whole(folder / checkpoint.CARD, force=True) as aside:
        aside.write_text(card, encoding="utf-8")
    return card


def _record(
    store: Store, folder: Path, route: Route, settings: Settings, report: FitReport
) -> None:
    """Add the training to the store's runs; a model folder is no table, so it is never skipped."""
    stage = Stage(
        name="train",
        config={
            "target": route.target,
            "sources": list(route.sources),
            **settings_of(settings.train, settings.split, settings.scoring, settings.neighbours),
        },
        inputs=table_inputs(store, *input_tables(settings.neighbours)),
        outputs=(),
        packages=("mekb", "training"),
        seed=settings.train.seed,
    )
    ended = datetime.now(UTC).replace(tzinfo=None)
    outputs = {folder.name: file_fingerprint(folder / "manifest.json")}
    record_run(store, stage, outputs, ended - timedelta(seconds=report.seconds), report.seconds)


def sources_of(store: Store, route: Route) -> tuple[str, ...]:
    """Return the route's sources: those named, else all domains but the target.

    Raises:
        UnknownError: the target is among them.
    """
    store.require("items", hint=f"import your data with 'mekb data import {store.path} ...'")
    domains = [
        row[0] for row in store.connection.execute("select distinct domain from items").fetchall()
    ]
    chosen = route.sources or tuple(sorted(domain for domain in domains if domain != route.target))
    if route.target in chosen:
        raise UnknownError(f"'{route.target}' is the target; it cannot be a source too")
    return chosen


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
    return _Loaded(model, metadata, world, split_world(world, target, split_config, scoring))


def compare_models(
    store: Store,
    folders: Sequence[Path],
    baselines: Sequence[str],
    *,
    on_progress: OnProgress,
) -> Comparison:
    """Evaluate trained models and freshly fitted, tuned baselines on one split's test users."""
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
        tuned = fit_best(baseline, split.data, FitContext())
        if len(tuned.trials) > 1:
            notes.append(
                f"{baseline}: {len(tuned.trials)} settings tried, chosen {dict(tuned.settings)}"
            )
        evaluations[baseline] = evaluate(tuned.model, split.data, split.test, PROTOCOLS)
        on_progress("evaluate", len(evaluations), total)
    return Comparison(table_of(evaluations), _protocol(first), notes, evaluations)


def _check_same_split(folders: Sequence[Path], loaded: Sequence[_Loaded]) -> None:
    keys = ("target", "sources", "split", "scoring", "neighbours")
    for folder, one in zip(folders, loaded, strict=True):
        if any(one.metadata[key] != loaded[0].metadata[key] for key in keys):
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
    origin = {
        "trained": dict(loaded.metadata),
        "written_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    parts = BundleParts(
        loaded.model, loaded.world, loaded.split, alias_index(store), origin, config
    )
    write_bundle(folder, parts, force=force)
    return Bundle(folder)
