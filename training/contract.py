"""The contract all recommenders share.

A model is given a `Dataset` and learns; it is given a `UserBatch` and scores every item of the target
domain. A user never seen in training is an ordinary user: a history (which may be empty) and, for the
models that read text, a profile. What a model cannot judge is NaN, never 0.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64, UInt32
from scipy.sparse import csr_array
from typing_extensions import override

from training.config import ModelConfig
from training.dataset import Dataset, Events, History, TitleWeights
from training.errors import TrainingError


class Need(StrEnum):
    """What a model must be given about a user or an item; declared, not discovered."""

    HISTORY = "history"
    """Some interaction in any domain seen in training."""
    KNOWN_USER = "known_user"
    """The user was in the training data."""
    PROFILE = "profile"
    """A profile text that is not empty."""
    ITEM_TEXT = "item_text"
    """Titles of the target items."""
    RATINGS = "ratings"
    """Graded feedback, not only positives."""


@dataclass(frozen=True)
class UserBatch:
    """Users to be judged."""

    ids: UInt32[np.ndarray, " users"]
    history: History
    """Domain -> (users, items of the domain)."""
    profiles: list[str] | None = None
    interests: csr_array | None = None
    """Shape (users, entities): the MeKBs as numbers (`ProfileSource.interests`)."""
    events: Mapping[str, Events] | None = None
    """Domain -> the rows of `history` one by one, with rating and time, low ratings too; None where unknown."""
    title_weights: TitleWeights | None = None
    """What each title of each profile weighs (`WeightedProfileSource`); None where unknown."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Progress:
    """One step of a long job, for whoever shows it."""

    stage: str
    done: int
    total: int
    note: str = ""


def ignore_progress(progress: Progress) -> None:
    """Show nothing."""


def ignore_record(record: Mapping[str, Any]) -> None:
    """Log nothing."""


@dataclass(frozen=True)
class FitContext:
    """How to train, apart from what is trained."""

    seed: int = 0
    device: str = "cpu"
    precision: str = "32-true"
    """A precision of Lightning Fabric: "32-true" or "bf16-mixed"."""
    folder: Path | None = None
    """Where checkpoints and metrics of this fit may be written; None writes nothing."""
    on_progress: Callable[[Progress], None] = ignore_progress
    on_record: Callable[[Mapping[str, Any]], None] = ignore_record
    """Told of each epoch that ends: its number, loss, validation and what else the loop records."""
    snapshot_steps: int | None = None
    """Write a snapshot after so many steps too, not only after each epoch (with `folder`)."""
    snapshot_seconds: float | None = None
    """Write a snapshot at the first step so many seconds after the last one (with `folder`)."""
    keep_snapshot: bool = False
    """Leave the snapshot of a fit that has ended, for a caller that has more to do before it is safe; the same fit
    asked for again then ends at once."""

    def generator(self) -> np.random.Generator:
        """Return a fresh random generator of this context's seed."""
        return np.random.default_rng(self.seed)


@dataclass(frozen=True)
class FitReport:
    """What happened in training."""

    seconds: float
    losses: tuple[float, ...] = ()
    """Mean training loss of each epoch."""
    validation: tuple[Mapping[str, float], ...] = ()
    """Metrics on the validation users after each epoch."""
    chosen_epoch: int | None = None
    """The epoch (from 1) whose weights were kept, by validation."""
    notes: tuple[str, ...] = field(default=())
    speed: Mapping[str, float] = field(default_factory=dict)
    """Over all steps: users, and where the model tells them tokens, a second of wall time, and the share of the
    measured matrix peak (`training.speed`)."""


class Recommender(ABC):
    """A model that scores the target domain's items for any user."""

    name: ClassVar[str]
    """The registry's name."""
    paper: ClassVar[str]
    """Where the model comes from: authors, title, venue, year."""
    needs: ClassVar[frozenset[Need]]
    config_type: ClassVar[type[ModelConfig]]
    """The class of `config`, so that the registry can build it from a mapping."""

    array_files: ClassVar[Mapping[str, str]] = {}
    """Arrays of `state` that a model folder keeps in files of their own: what their names begin with -> the
    file, in which they stand without it."""

    item_ids: UInt32[np.ndarray, " items"] | None = None
    """Stored ids of the target items, in the order of the scores; None before `fit` or `restore`."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config

    @abstractmethod
    def fit(self, data: Dataset, context: FitContext) -> FitReport:
        """Learn from training rows; a second fit starts anew.

        Raises:
            DatasetError: the data lack what the model needs.
        """

    @abstractmethod
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        """Return a score for every target item; NaN where the model has no ground to judge."""

    @abstractmethod
    def state(self) -> Mapping[str, np.ndarray]:
        """Return all that was learned, as arrays, `item_ids` among them.

        Raises:
            TrainingError: the model was neither fitted nor restored.
        """

    @abstractmethod
    def restore(self, state: Mapping[str, np.ndarray], assets: Mapping[str, bytes]) -> None:
        """Take back what `state` and `assets` gave; scores are then the same."""

    def assets(self) -> Mapping[str, bytes]:
        """Return files a model needs beside its arrays (a tokenizer), path in its folder -> content."""
        return {}

    def views(self) -> Mapping[str, bytes]:
        """Return files by which other libraries read the model, path in its folder -> content; never read back."""
        return {}

    def saved_config(self) -> dict[str, Any]:
        """Return the configuration as a model folder keeps it: it names no path of this machine."""
        return self.config.model_dump(mode="json")


class VectorRecommender(Recommender):
    """A model whose score is a dot product, so that an index of inner products can serve it."""

    @property
    def vectors_per_user(self) -> int:
        """How many vectors a user has: one, unless a model says otherwise; then `user_vectors` raises."""
        return 1

    @abstractmethod
    def item_vectors(self) -> Float32[np.ndarray, "items dim"]:
        """Return one vector a target item."""

    @abstractmethod
    def user_vectors(self, users: UserBatch) -> Float32[np.ndarray, "users dim"]:
        """Return one vector a user; a row of NaN where the user cannot be judged."""

    @override
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        """Return user vectors times item vectors."""
        scores: np.ndarray = self.user_vectors(users) @ self.item_vectors().T
        return scores


@runtime_checkable
class RatingRecommender(Protocol):
    """A model that also predicts single ratings, or chances of a click (`rating_evaluation`)."""

    name: ClassVar[str]

    def predict(
        self,
        users: UserBatch,
        user_rows: Int64[np.ndarray, " pairs"],
        item_rows: Int64[np.ndarray, " pairs"],
    ) -> Float32[np.ndarray, " pairs"]:
        """Return the rating of each pair on the data's scale, or the chance of a click; NaN where unknown.

        Args:
            users: The users.
            user_rows: The user of each pair, as a row of `users`.
            item_rows: The target item of each pair.
        """
        ...


def not_fitted(model: Recommender) -> TrainingError:
    """Return the error of a model that was asked for what it has not learned yet."""
    return TrainingError(f"{model.name} has learned nothing yet: call fit() or restore() first")


def empty_history(n_users: int, items: Mapping[str, int]) -> dict[str, csr_array]:
    """Return histories of `n_users` users who did nothing; `items` gives each domain's size."""
    return {
        domain: csr_array((n_users, n_items), dtype=np.float32)  # type: ignore[misc]  # the stubs take a shape for data
        for domain, n_items in items.items()
    }
