"""Train recommenders on a store.

A model folder remembers the split and the fingerprints of the tables it learned from; `mekb.trained` makes the
same split again.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mekb.config import Settings
from mekb.dataset import SplitWorld, split_world
from mekb.descriptions import with_descriptions
from mekb.errors import UnknownError
from mekb.fingerprint import file_fingerprint
from mekb.model_card import ITEMS, RECORDS, Measured, item_file, model_card, run_facts
from mekb.neighbours import with_neighbours
from mekb.output import check_folder, folder_written_whole
from mekb.runs import Stage, record_run, settings_of, table_inputs
from mekb.scoring import NeighbourConfig
from mekb.store import Store
from mekb.unfinished import forget_unfinished, start_or_resume, unfinished_folder
from mekb.worlds import world_of
from training import checkpoint
from training.contract import FitContext, FitReport, Progress, Recommender
from training.dataset import HeldOut
from training.embedme.config import EmbedMeConfig
from training.embedme.model import EmbedMe
from training.evaluate import Full, Sampled, evaluate
from training.ranks import in_turn
from training.run_log import RunLog, make_loggers

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


def device_of(device: str) -> str:
    """Return the device meant by a setting: "auto" is a CUDA device where there is one."""
    if device != "auto":
        return device
    import torch  # noqa: PLC0415  a second's import, only when asked for

    return "cuda" if torch.cuda.is_available() else "cpu"


def told(progress: Progress, name: str = "") -> str:
    """Return a step's stage, of what, and the note on it.

    >>> told(Progress("fit", 1, 9, "epoch 1 of 3, loss 2.5"), "ease")
    'fit ease: epoch 1 of 3, loss 2.5'
    """
    stage = f"{progress.stage} {name}".rstrip()
    return f"{stage}: {progress.note}" if progress.note else stage


def fit_context(settings: Settings, folder: Path | None, on_progress: OnProgress) -> FitContext:
    """Return how to train, from the settings."""

    def show(progress: Progress) -> None:
        on_progress(told(progress), progress.done, progress.total)

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
        if settings.train.descriptions:
            world = with_descriptions(world, store)
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
        "descriptions": settings.train.descriptions,
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
    measured = measured_on(
        model, split, {"validation users, who chose the epoch": split.data.valid}
    )
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


def measured_on(
    model: Recommender, split: SplitWorld, users: Mapping[str, HeldOut | None]
) -> list[Measured]:
    """Return how a model does on groups of users; a group of nobody is left out."""
    return [
        Measured.of(who, evaluate(model, split.data, held_out, PROTOCOLS))
        for who, held_out in users.items()
        if held_out is not None and len(held_out.user_rows)
    ]


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
