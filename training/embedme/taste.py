"""What a person's interests say of their taste in the target domain, by their numbers: both halves of it.

    tau(u) = (taste map, own tastes)        item: (V, the items' places in the own tastes' space)

The taste map (`training.embedme.taste_map`) reads everybody's interests; own tastes (`training.embedme.own_tastes`) those which
are items of the target, and are 0 for newcomers. The taste score of an item is the inner product of both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float32, Float64, Int64
from scipy.sparse import csr_array

from training.contract import UserBatch
from training.dataset import Dataset, binary, counts, keep_entries
from training.embedme.own_tastes import OwnTastes, OwnTasteSettings, learn_own_tastes
from training.embedme.taste_map import (
    TasteMap,
    TasteMapSettings,
    cross_fitted,
    fit_map,
    foretold,
    learn_spaces,
)

N_FOLDS = 5
"""Of the users a map is fitted to; see `training.embedme.taste_map.cross_fitted`."""
NO_FOLD = -1
OWN = "own_"
"""Before the names of the second half's arrays."""


@dataclass(frozen=True)
class TasteSettings:
    """Of both halves."""

    map: TasteMapSettings
    own: OwnTasteSettings | None = None
    """None leaves the second half out."""


@dataclass(frozen=True)
class Taste:
    """Both halves of what a person's interests say of their taste."""

    map: TasteMap
    own: OwnTastes | None = None

    @property
    def item_tastes(self) -> Float64[np.ndarray, "items all"]:
        """What a user's tastes are multiplied with: V, and the items' places in the second half."""
        if self.own is None:
            return self.map.item_tastes
        return np.hstack([self.map.item_tastes, self.own.item_tastes])

    @property
    def n_dimensions(self) -> int:
        """Of both halves."""
        own = 0 if self.own is None else self.own.item_tastes.shape[1]
        return int(self.map.item_tastes.shape[1]) + own

    def user_tastes(self, interests: csr_array) -> Float64[np.ndarray, "users all"]:
        """Return tau of each row of interests; zeros for a row without any."""
        mapped = self.map.user_tastes(interests)
        if self.own is None:
            return mapped
        return np.hstack([mapped, self.own.user_tastes(interests)])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return each array by its name."""
        named = {entry.name: getattr(self.map, entry.name) for entry in fields(self.map)}
        if self.own is not None:
            named |= {OWN + entry.name: getattr(self.own, entry.name) for entry in fields(self.own)}
        return named

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Taste | None":
        """Take back what `arrays` gave; None from nothing.

        Raises:
            TypeError: an array is missing or unknown.
        """
        if not arrays:
            return None
        own = {name.removeprefix(OWN): one for name, one in arrays.items() if name.startswith(OWN)}
        mapped = {name: one for name, one in arrays.items() if not name.startswith(OWN)}
        return cls(TasteMap(**mapped), OwnTastes(**own) if own else None)


@dataclass(frozen=True)
class LearnedTaste:
    """A taste, and the maps that training users see in its place."""

    taste: Taste
    folds: Int64[np.ndarray, " users"]
    """Of each training user's row: the fold it is in, `NO_FOLD` where the map was not fitted to it."""
    fold_maps: list[TasteMap]
    shares: Float64[np.ndarray, " items"]
    """p: how likely a newcomer is to like each item, before anything is known of them."""

    def training_tastes(
        self, user_rows: Int64[np.ndarray, " batch"], interests: csr_array
    ) -> Float32[np.ndarray, "batch m"]:
        """Return the taste of training users by a map that was not fitted to their own likes.

        The second half stays silent: it knows the very likes that are asked for.
        """
        tastes = self.taste.map.user_tastes(interests)
        for fold, without in enumerate(self.fold_maps):
            own = np.flatnonzero(self.folds[user_rows] == fold)
            if len(own):
                tastes[own] = without.user_tastes(interests[own])
        silent = np.zeros((len(tastes), self.taste.n_dimensions - tastes.shape[1]))
        return np.hstack([tastes, silent]).astype(np.float32)


def user_tastes(taste: Taste | None, users: UserBatch) -> Float32[np.ndarray, "users m"]:
    """Return tau of each user; no columns without a map, zeros for users without interests."""
    if taste is None:
        return np.zeros((len(users), 0), dtype=np.float32)
    if users.interests is None:
        return np.zeros((len(users), taste.n_dimensions), dtype=np.float32)
    return taste.user_tastes(users.interests).astype(np.float32)


def training_tastes(
    learned: LearnedTaste | None,
    user_rows: Int64[np.ndarray, " kept"],
    users: UserBatch,
    kept: Int64[np.ndarray, " kept"],
) -> Float32[np.ndarray, "kept m"]:
    """Return tau of those users of a training batch that are kept; `user_rows` are their rows in the data."""
    if learned is None or users.interests is None:
        return np.zeros((len(kept), 0), dtype=np.float32)
    return learned.training_tastes(user_rows, users.interests[kept])


def learn_taste(data: Dataset, settings: TasteSettings, seed: int) -> LearnedTaste | None:
    """Return what training rows say; None where fewer than two users a fold have rows of both sides."""
    assert data.profiles is not None, "fit() refuses data without profiles"
    target = binary(data.interactions[data.target])
    nothing = keep_entries(target, np.zeros(target.nnz, dtype=bool))
    interests = data.profiles.interests({**data.interactions, data.target: nothing})
    is_active = counts(interests) > 0
    both = np.flatnonzero(is_active & (counts(target) > 0))
    if len(both) < 2 * N_FOLDS:
        return None
    spaces = learn_spaces(interests[np.flatnonzero(is_active)], target, settings.map)
    known, tastes = interests[both], spaces.user_tastes[both]
    folds = np.full(target.shape[0], NO_FOLD, dtype=np.int64)
    order = np.random.default_rng([seed, 3]).permutation(len(both))
    folds[both[order]] = np.arange(len(both)) % N_FOLDS
    fold_maps = cross_fitted(spaces, known, tastes, settings.map, folds[both])
    slopes = foretold(fold_maps, known, tastes, folds[both])
    whole = fit_map(spaces, known, tastes, settings.map)
    own = None if settings.own is None else learn_own_tastes(data, settings.own)
    return LearnedTaste(
        Taste(whole.shrunk(slopes), own),
        folds,
        [one.shrunk(slopes) for one in fold_maps],
        np.maximum(spaces.item_tastes @ tastes.mean(axis=0), 0.0),
    )
