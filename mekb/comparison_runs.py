"""Many models on the same split: tuned alike, run for several seeds and folds, kept, and put side by side.

In: a store, a route, names of models, a `Plan`. Out: a `Compared`. For each fold one split is made (or read) and
written to the work folder, so that a foreign model can be measured on the same rows. Each model gets the same
number of trials on the validation users, once a fold; what it chose is then fitted once a seed and measured on
the test users. Runs that exist are not run again. Ablations of EmbedMe and controls take the settings chosen
for the unchanged model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from mekb.comparison_plan import EMBEDME, PAPER, PROTOCOLS, Entry, Plan, possible_entries
from mekb.config import Settings
from mekb.dataset import SplitWorld, World, times_of
from mekb.descriptions import with_descriptions
from mekb.errors import UnknownError
from mekb.fingerprint import closure_fingerprint
from mekb.models import Route, device_of, input_tables, sources_of, told
from mekb.neighbours import with_neighbours
from mekb.profile_variants import varied, world_for
from mekb.run_files import digest, read_run, read_trial, write_run, write_trial
from mekb.runs import table_inputs
from mekb.scoring import ScoringConfig
from mekb.split_files import SplitParts, read_split, write_split
from mekb.store import Store
from mekb.worlds import world_of
from training.comparison import Clock, Outcome, fit_and_measure
from training.contract import FitContext, Progress, Recommender
from training.controls import without_sources
from training.dataset import Dataset
from training.embedme.config import PRESETS
from training.errors import REFUSALS, CannotJudgeError, ConfigError
from training.protocols import Full, Listed, Protocol, Sampled
from training.registry import MODELS, create
from training.segments import Trained
from training.split_config import SplitConfig
from training.splits import Split, make_split
from training.tuning import settings_to_try, validation_ndcg

DECIDING_CODE = (
    "mekb.profile_variants",
    "mekb.worlds",
    "training.comparison",
    "training.controls",
    "training.tuning",
)
"""Modules that decide a run's result, beside the model's own."""

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Run:
    """One entry on one fold with one seed."""

    entry: Entry
    fold: int
    seed: int
    outcome: Outcome
    trained: Trained
    settings: Mapping[str, Any]
    trials: tuple[Mapping[str, Any], ...]
    is_new: bool
    folder: Path


@dataclass(frozen=True)
class _Fold:
    """One split, and what makes data sets of it."""

    number: int
    world: World
    split: Split
    target: str
    key: Mapping[str, Any]
    negatives: Listed | None


class Runner:
    """Runs a plan on a store, or takes up what was run."""

    def __init__(
        self, store: Store, route: Route, settings: Settings, plan: Plan, on_progress: OnProgress
    ) -> None:
        self.plan, self.settings = plan.checked(), settings
        self.route = Route(route.target, sources_of(store, route))
        self.work = plan.work or Path(f"{store.path}.compare")
        self.protocols = PROTOCOLS[self.plan.protocol]
        self._store, self._on_progress = store, on_progress
        self.entries, self.left_out = possible_entries(plan, store)
        self._tables = table_inputs(store, *input_tables(settings.neighbours))
        self._done = 0

    def runs(self) -> list[Run]:
        """Return all runs, fold by fold."""
        return [run for fold in range(self.plan.n_folds) for run in self._runs_of(self.fold(fold))]

    def fold(self, number: int) -> _Fold:
        """Return one split, which stands in the work folder from then on, or the one that was given."""
        target, folder = self.route.target, self.plan.split_folder
        config = self.settings.split.model_copy(update={"fold": self.settings.split.fold + number})
        if folder is not None:
            stored = read_split(folder, self._world(SplitConfig(drop_twins=False)))
            if stored.target != target:
                raise UnknownError(f"{folder} is a split of target {stored.target}, not {target}")
            return _Fold(
                number,
                stored.world,
                stored.split,
                target,
                {"files": stored.digest},
                stored.negatives,
            )
        world = self._world(config)
        times = times_of(world) if config.needs_times else None
        split = make_split(world.interactions, target, config, times)
        key = {
            "target": target,
            "sources": list(self.route.sources),
            "config": config.model_dump(mode="json"),
        }
        sampled = next((one for one in self.protocols if isinstance(one, Sampled)), None)
        place = self.work / "splits" / digest({**key, "tables": self._tables, "n": str(sampled)})
        if not place.is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            write_split(place, SplitParts(world, split, target, config, sampled))
        return _Fold(number, world, split, target, key, None)

    def _world(self, config: SplitConfig) -> World:
        world = world_of(self._store, self.route.sources, self.route.target, config)
        world = with_neighbours(world, self._store, self.settings.neighbours)
        return with_descriptions(world, self._store) if self.settings.train.descriptions else world

    def _runs_of(self, fold: _Fold) -> list[Run]:
        data = cache(lambda entry_name: self._data(fold, by_name[entry_name]))
        by_name = {entry.name: entry for entry in self.entries}
        target_rows = fold.split.train[fold.target]
        items = fold.world.catalogues[fold.target].item_ids
        trained = Trained.of(fold.world.user_ids, items, target_rows)
        total = self.plan.n_folds * len(self.entries) * self.plan.n_seeds
        found = []
        for entry in self.entries:
            chosen, trials = self._chosen(fold, entry, data)
            settings = {**chosen, **entry.changes}
            for seed in range(self.plan.n_seeds):
                key = self._key(fold, entry, settings, seed) | {"protocols": _names(self.protocols)}
                safe = entry.name.replace(" ", "").replace("[", "-").replace("]", "")
                folder = self.work / "runs" / f"{safe}-fold{fold.number}-seed{seed}-{digest(key)}"
                outcome = read_run(folder, key)
                is_new = outcome is None
                if outcome is None:
                    outcome = self._run(fold, entry, settings, seed, data(entry.name))
                    write_run(folder, key, outcome)
                run = Run(
                    entry, fold.number, seed, outcome, trained, settings, trials, is_new, folder
                )
                found.append(run)
                self._done += 1
                self._on_progress("compare", self._done, total)
        return found

    def _run(
        self, fold: _Fold, entry: Entry, settings: Mapping[str, Any], seed: int, made: SplitWorld
    ) -> Outcome:
        protocols = [
            fold.negatives if fold.negatives is not None and isinstance(one, Sampled) else one
            for one in self.protocols
        ]
        outcome = fit_and_measure(
            create(entry.model, settings),
            made.data,
            made.test,
            protocols,
            self._context(seed, entry.name),
        )
        return replace(outcome, evaluation=replace(outcome.evaluation, model=entry.name))

    def _chosen(
        self, fold: _Fold, entry: Entry, data: Callable[[str], SplitWorld]
    ) -> tuple[dict[str, Any], tuple[Mapping[str, Any], ...]]:
        """Return the settings that do best on the validation users, and the trials."""
        if entry.is_changed:
            entry = next(one for one in self.entries if one.name == entry.model)
        tried = settings_to_try(
            entry.model, self.plan.n_trials, seed=self.settings.train.seed, fixed=self._base(entry)
        )
        if len(tried) == 1:
            return tried[0], ()
        trials = []
        for number, settings in enumerate(tried):
            trials.append(self._trial(fold, entry, settings, data))
            self._on_progress(f"tune {entry.name} fold {fold.number}", number + 1, len(tried))
        best = max(range(len(tried)), key=lambda number: (trials[number]["value"], -number))
        return tried[best], tuple(trials)

    def _trial(
        self,
        fold: _Fold,
        entry: Entry,
        settings: dict[str, Any],
        data: Callable[[str], SplitWorld],
    ) -> dict[str, Any]:
        deciding = self.deciding
        key = self._key(fold, entry, settings, 0) | {"deciding": str(deciding)}
        file = self.work / "trials" / f"{entry.name}-fold{fold.number}-{digest(key)}.json"
        found = read_trial(file, key)
        if found is not None:
            return found
        made, clock, model = data(entry.name).data, Clock(), create(entry.model, settings)
        found = self._judged(model, made, deciding)
        cost = clock.cost()
        facts = {"settings": settings, **found, "wall": cost.wall, "cpu": cost.cpu}
        return write_trial(file, key, facts)

    def _judged(self, model: Recommender, data: Dataset, deciding: Protocol) -> dict[str, Any]:
        """Return what a trial is worth: nothing where the model refuses the data or diverges."""
        try:
            model.fit(data, self._context(0, model.name))
        except REFUSALS as error:
            return {"value": 0.0, "refused": str(error)}
        try:
            return {"value": validation_ndcg(model, data, deciding)}
        except CannotJudgeError as error:
            return {"value": 0.0, "refused": str(error)}

    @property
    def deciding(self) -> Protocol:
        """What trials are judged by: NDCG@10 of the first protocol."""
        return PAPER if self.plan.protocol == "paper" else Full(k=10)

    def _base(self, entry: Entry) -> dict[str, Any]:
        given = dict(self.plan.model_settings.get(entry.model, {}))
        if entry.model != EMBEDME:
            return given
        train = self.settings.train
        if train.preset not in PRESETS:
            raise ConfigError(f"no preset {train.preset!r}; there are {', '.join(PRESETS)}")
        return {**PRESETS[train.preset], **train.model, **given}

    def _key(
        self, fold: _Fold, entry: Entry, settings: Mapping[str, Any], seed: int
    ) -> dict[str, Any]:
        """Return all that decides a run."""
        train = self.settings.train
        config = create(entry.model, settings).config
        return {
            "model": entry.model,
            "settings": config.model_dump(mode="json"),
            "scoring": self._scoring(entry).model_dump(mode="json"),
            "profiles": entry.variant.model_dump(mode="json"),
            "sources": entry.with_sources,
            "neighbours": self.settings.neighbours.model_dump(mode="json"),
            "descriptions": train.descriptions,
            "split": dict(fold.key),
            "seed": seed,
            "machine": {"device": device_of(train.device), "precision": train.precision},
            "tables": {**self._tables, **table_inputs(self._store, *entry.variant.tables)},
            "code": _code(entry.model),
        }

    def _scoring(self, entry: Entry) -> ScoringConfig:
        return ScoringConfig.model_validate({**self.settings.scoring.model_dump(), **entry.scoring})

    def _data(self, fold: _Fold, entry: Entry) -> SplitWorld:
        made = varied(
            world_for(fold.world, self._store, entry.variant, self.settings.neighbours),
            fold.target,
            fold.split,
            self._scoring(entry),
            entry.variant,
            seed=fold.number,
        )
        return made if entry.with_sources else replace(made, data=without_sources(made.data))

    def _context(self, seed: int, name: str) -> FitContext:
        def show(progress: Progress) -> None:
            self._on_progress(told(progress, name), progress.done, progress.total)

        train = self.settings.train
        return FitContext(
            seed=seed, device=device_of(train.device), precision=train.precision, on_progress=show
        )


@cache
def _code(model: str) -> str:
    return closure_fingerprint((*DECIDING_CODE, MODELS[model][0]))


def _names(protocols: Sequence[Protocol]) -> list[str]:
    return [str(one) for one in protocols]
