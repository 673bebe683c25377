"""The taste map: from a person's interests to the taste space of the target domain, in closed form.

A profile's text says what a person likes; who else likes it, and what these people like in the target
domain, no language model has read. That knowledge is in the interactions, most of it with people who know one
domain only. With x(u) the interests of a user (one number an entity), scaled to length 1:

    P    first k right singular vectors of x over all training users: what goes together
    V    first m right singular vectors of the target rows of all training users: the target's taste space
    z    = P'x / |P'x|                       f = (x, z)
    y(u) = V'(t_u - p)                       t_u: target row, p: share of source-active users who like an item
    W    = argmin sum_u |W'f(u) - y(u)|^2 + ridge |W|^2      over training users of both domains
    c_j  = slope of y_j(u) on the prediction of a W that has not seen u, between 0 and 1
    taste score of item i = (c * W'f(u)) . V_i

P learns from users without any target row, V from users without any source row, and only the small map W
needs the users of both. A reduced-rank ridge regression (Izenman, Journal of Multivariate Analysis 1975) between
two latent spaces, as in EMCDR (Man et al., IJCAI 2017), but linear and solved exactly (conjugate gradients). The
slopes c shrink each dimension by how well it is foretold (Breiman and Friedman's "curds and whey", J. R. Stat. Soc. B 1997), so
that m need not be chosen: what cannot be foretold goes silent. Who has a history in the target has a second half of
taste beside it (`training.embedme.own_tastes`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float32, Float64, Int64
from scipy.sparse import csr_array, diags_array, hstack
from scipy.sparse.linalg import LinearOperator, cg

from training.contract import UserBatch
from training.dataset import Dataset, binary, counts, keep_entries
from training.embedme.own_tastes import OwnTastes, OwnTasteSettings, learn_own_tastes
from training.embedme.taste_space import singular_space

SOLVER_TOLERANCE = 1e-6
"""Relative residual at which conjugate gradients stop: far below what a ranking can see."""
SMALLEST_NORM = 1e-12
N_FOLDS = 5
"""Of the users a map is fitted to; see `cross_fitted`."""
NO_FOLD = -1
OWN = "own_"
"""Before the names of the second half's arrays."""


@dataclass(frozen=True)
class TasteSettings:
    """Sizes and shrinkage; see `EmbedMeConfig` for where the numbers come from."""

    n_interest_tastes: int
    """k."""
    n_target_tastes: int
    """m."""
    ridge: float
    own: OwnTasteSettings | None = None
    """Of the second half; None leaves it out."""


@dataclass(frozen=True)
class TasteMap:
    """What was learned; arrays only, so that it is stored like any weights."""

    interest_basis: Float64[np.ndarray, "entities k"]
    """P."""
    from_interests: Float64[np.ndarray, "entities m"]
    """The rows of W that x meets."""
    from_tastes: Float64[np.ndarray, "k m"]
    """The rows of W that z meets."""
    item_tastes: Float64[np.ndarray, "items m"]
    """V."""

    def user_tastes(self, interests: csr_array) -> Float64[np.ndarray, "users m"]:
        """Return W'f of each row of interests; zeros for a row without any."""
        x = unit_rows(interests)
        return np.asarray(
            x @ self.from_interests + _tastes(x, self.interest_basis) @ self.from_tastes
        )

    def shrunk(self, slopes: Float64[np.ndarray, " m"]) -> "TasteMap":
        """Return the map whose answers are `slopes` times this one's."""
        return replace(
            self, from_interests=self.from_interests * slopes, from_tastes=self.from_tastes * slopes
        )


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
    spaces = learn_spaces(interests[np.flatnonzero(is_active)], target, settings)
    known, liked = interests[both], target[both]
    folds = np.full(target.shape[0], NO_FOLD, dtype=np.int64)
    order = np.random.default_rng([seed, 3]).permutation(len(both))
    folds[both[order]] = np.arange(len(both)) % N_FOLDS
    fold_maps = cross_fitted(spaces, known, liked, settings, folds[both])
    slopes = foretold(fold_maps, known, liked, folds[both])
    whole = fit_map(spaces, known, liked, settings)
    own = None if settings.own is None else learn_own_tastes(data, settings.own)
    return LearnedTaste(
        Taste(whole.shrunk(slopes), own),
        folds,
        [one.shrunk(slopes) for one in fold_maps],
    )


@dataclass(frozen=True)
class TasteSpaces:
    """The two spaces, before any map between them."""

    interest_basis: Float64[np.ndarray, "entities k"]
    item_tastes: Float64[np.ndarray, "items m"]


def learn_spaces(interests: csr_array, target: csr_array, settings: TasteSettings) -> TasteSpaces:
    """Return P and V.

    Args:
        interests: Shape (users, entities): training users, of whatever domain.
        target: Shape (users, items): their binary target rows.
        settings: Sizes; cut to what the matrices can give.
    """
    return TasteSpaces(
        singular_space(unit_rows(interests), settings.n_interest_tastes).vectors,
        singular_space(target, settings.n_target_tastes).vectors,
    )


def fit_map(
    spaces: TasteSpaces, interests: csr_array, liked: csr_array, settings: TasteSettings
) -> TasteMap:
    """Return the taste map of users of both domains.

    Args:
        spaces: P and V.
        interests: Shape (users, entities): the users' interests without their target rows.
        liked: Shape (users, items): their target rows.
        settings: The ridge.
    """
    x = unit_rows(interests)
    features = csr_array(hstack([x, csr_array(_tastes(x, spaces.interest_basis))], format="csr"))
    n_features, n_entities = features.shape[1], x.shape[1]
    wanted = (liked - np.asarray(liked.mean(axis=0))[None, :]) @ spaces.item_tastes
    normal = LinearOperator(
        (n_features, n_features),
        matvec=lambda w: features.T @ (features @ w) + settings.ridge * w,
        dtype=np.float64,
    )
    moments = features.T @ np.asarray(wanted)
    solved = [cg(normal, column, rtol=SOLVER_TOLERANCE)[0] for column in moments.T]
    weights = np.stack(solved, axis=1) if solved else np.zeros((n_features, 0))
    return TasteMap(
        spaces.interest_basis, weights[:n_entities], weights[n_entities:], spaces.item_tastes
    )


def cross_fitted(
    spaces: TasteSpaces,
    interests: csr_array,
    liked: csr_array,
    settings: TasteSettings,
    folds: Int64[np.ndarray, " users"],
) -> list[TasteMap]:
    """Return one map a fold, learned without the users of that fold.

    What is trained on top must see a training user as it will see a newcomer: through a map that has
    not been fitted to the very likes it is asked for.
    """
    return [
        fit_map(spaces, interests[folds != fold], liked[folds != fold], settings)
        for fold in range(int(folds.max(initial=-1)) + 1)
    ]


def foretold(
    fold_maps: Sequence[TasteMap],
    interests: csr_array,
    liked: csr_array,
    folds: Int64[np.ndarray, " users"],
) -> Float64[np.ndarray, " m"]:
    """Return c: the slope of each wanted dimension on its cross-fitted prediction, between 0 and 1.

    Args:
        fold_maps: Of `cross_fitted`.
        interests: Shape (users, entities), of the users they were learned from.
        liked: Shape (users, items): their target rows.
        folds: Their folds.
    """
    item_tastes = fold_maps[0].item_tastes
    wanted = np.asarray((liked - np.asarray(liked.mean(axis=0))[None, :]) @ item_tastes)
    predicted = np.empty_like(wanted)
    for fold, one in enumerate(fold_maps):
        own = np.flatnonzero(folds == fold)
        predicted[own] = one.user_tastes(interests[own])
    power = np.square(predicted).sum(axis=0)
    slopes: np.ndarray = (predicted * wanted).sum(axis=0) / np.maximum(power, SMALLEST_NORM)
    clipped: np.ndarray = np.clip(slopes, 0.0, 1.0)
    return clipped


def unit_rows(matrix: csr_array) -> csr_array:
    """Return rows scaled to length 1; an empty row stays empty.

    >>> unit_rows(csr_array(np.array([[3.0, 4.0], [0.0, 0.0]]))).toarray().round(6).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    values = matrix.astype(np.float64)
    norms = np.sqrt(np.asarray(values.multiply(values).sum(axis=1)).ravel())
    return csr_array(diags_array(1.0 / np.maximum(norms, SMALLEST_NORM)) @ values)


def _tastes(
    x: csr_array, basis: Float64[np.ndarray, "entities k"]
) -> Float64[np.ndarray, "users k"]:
    """Return z."""
    z: np.ndarray = np.asarray(x @ basis)
    lengths = np.linalg.norm(z, axis=1, keepdims=True)
    scaled: np.ndarray = z / np.maximum(lengths, SMALLEST_NORM)
    return scaled
