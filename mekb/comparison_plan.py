"""What is compared: models, their controls and ablations, protocols, seeds, folds and trials.

In: names. Out: a `Plan` whose names are known, and its `Entry` rows, each a model with what its data or settings
are changed by.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mekb.errors import UnknownError
from mekb.profile_variants import Control, ProfileVariant, check_variant
from mekb.store import Store
from training.contract import Need
from training.embedme.ablations import ABLATIONS
from training.protocols import Full, Protocol, Sampled
from training.registry import MODELS, model_class

EMBEDME = "embedme"
PAPER = Sampled(n_negatives=999, k=10)
"""Paper 002, section 4.2: 1 positive, 999 negatives, K = 10."""
FULL = Full(k=10, also=(20,), metrics=("hr", "ndcg", "precision", "recall"))
PROTOCOLS: Mapping[str, tuple[Protocol, ...]] = {
    "paper": (PAPER,),
    "full": (FULL,),
    "both": (FULL, PAPER),
}
"""The first one decides, in the search and in the verdict."""
NO_SOURCE, ENTITIES = "no-source", "entities"
CONTROLS: Mapping[str, str] = {
    "shuffled": "each item lends the entities of another item",
    "titles": "titles of items in place of entities",
    ENTITIES: "linked entities alone: no brand, category, product or keyword",
    "random-names": "entities named by random letters",
    "random": "random entities, as many and as heavy",
    NO_SOURCE: "no source row at all",
}
"""Control -> what it takes away."""


@dataclass(frozen=True)
class Plan:
    """What is compared, and how often."""

    models: tuple[str, ...]
    protocol: str = "both"
    n_seeds: int = 1
    n_folds: int = 1
    n_trials: int = 10
    ablations: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    split_folder: Path | None = None
    work: Path | None = None
    """Where runs are kept; beside the store when None."""
    model_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Model -> settings that are fixed, not searched."""

    def checked(self) -> "Plan":
        """Return the plan with all names resolved.

        Raises:
            UnknownError: a model, protocol, ablation or control is not known.
        """
        asked = list(dict.fromkeys(self.models))
        if self.ablations and EMBEDME not in asked:
            asked.insert(0, EMBEDME)
        if not asked:
            raise UnknownError("no model to compare")
        _known("model", (*asked, *self.model_settings), MODELS)
        _known("protocol", (self.protocol,), PROTOCOLS)
        if self.split_folder is not None and self.n_folds > 1:
            raise UnknownError(f"{self.split_folder} is one split: --folds has no meaning with it")
        return replace(
            self,
            models=tuple(asked),
            ablations=_known("ablation", self.ablations, ABLATIONS),
            controls=_known("control", self.controls, CONTROLS),
        )


def _known(what: str, asked: Sequence[str], there: Mapping[str, object]) -> tuple[str, ...]:
    """Return the names asked for, "all" meaning every one."""
    if "all" in asked:
        return tuple(there)
    for name in asked:
        if name not in there:
            raise UnknownError(f"no {what} '{name}'; there are {', '.join(sorted(there))}")
    return tuple(dict.fromkeys(asked))


@dataclass(frozen=True)
class Entry:
    """One row of the table: a model, and how its data differ."""

    name: str
    model: str
    what: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the model that differ from those chosen."""
    scoring: Mapping[str, Any] = field(default_factory=dict)
    variant: ProfileVariant = ProfileVariant()  # noqa: RUF009  (frozen)
    with_sources: bool = True

    @property
    def is_changed(self) -> bool:
        """Whether it takes the settings chosen for the unchanged model."""
        return self.name != self.model


def entries_of(plan: Plan) -> list[Entry]:
    """Return the rows of the table, in order: models, their controls, EmbedMe's ablations."""
    rows = [Entry(name, name) for name in plan.models]
    rows += [
        _control(name, control)
        for control in plan.controls
        for name in plan.models
        if control == NO_SOURCE or Need.PROFILE in model_class(name).needs
    ]
    for name in plan.ablations:
        one = ABLATIONS[name]
        variant = ProfileVariant.model_validate(one.profiles)
        rows.append(
            Entry(f"{EMBEDME} [{name}]", EMBEDME, one.what, one.model, one.scoring, variant)
        )
    return rows


def possible_entries(plan: Plan, store: Store) -> tuple[list[Entry], list[str]]:
    """Return the rows for which a store holds enough, and which of "all" ablations are left out and why.

    Raises:
        UnknownError: the store holds too little for an ablation that is asked for by name.
    """
    kept, left_out = [], []
    for entry in entries_of(plan.checked()):
        try:
            check_variant(store, entry.variant)
        except UnknownError as error:
            if "all" not in plan.ablations:
                raise
            left_out.append(f"{entry.name} is left out: {error}")
        else:
            kept.append(entry)
    return kept, left_out


def _control(model: str, control: str) -> Entry:
    row = Entry(f"{model} [{control}]", model, CONTROLS[control])
    match control:
        case "no-source":
            return replace(row, with_sources=False)
        case "entities":
            return replace(row, variant=ProfileVariant(custom_entities=False))
        case _:
            return replace(row, variant=ProfileVariant(control=Control(control)))
