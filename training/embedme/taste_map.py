"""The taste map: from a person's interests to the taste space of the target domain, in closed form.

A profile's text says what a person likes; who else likes it, and what these people like in the target
domain, no language model has read. That knowledge is in the interactions, most of it with people who know one
domain only. With x(u) the interests of a user (one number an entity), scaled to length 1:

    P     factors of entities, from who of all training users is interested in what at all: what goes together
    t, V  factors of users and items, from the target rows of all training users: the target's taste space
          (both by alternating least squares, `training.bricks.implicit_als`)
    z     = P'x / |P'x|                      f = (x, z)
    y(u)  = t_u - mean t                     the mean over training users of both domains
    W     = argmin sum_u |W'f(u) - y(u)|^2 + ridge |W|^2     over these users
    c_j   = slope of y_j(u) on the prediction of a W that has not seen u, between 0 and 1
    p_i   = mean t . V_i                     how likely a newcomer is to like item i, before anything is known of them
    taste score of item i = (c * W'f(u)) . V_i

P learns from users without any target row, t and V from users without any source row, and only the small map W
needs the users of both. A reduced-rank ridge regression (Izenman, Journal of Multivariate Analysis 1975) between
two latent spaces, as in EMCDR (Man et al., IJCAI 2017), but from what a person is interested in rather than from who they are, linear
and solved exactly (conjugate gradients). The slopes c shrink each dimension by how well it is foretold (Breiman and Friedman's
"curds and whey", J. R. Stat. Soc. B 1997), so that m need not be chosen: what cannot be foretold goes silent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64
from scipy.sparse import csr_array, hstack
from scipy.sparse.linalg import LinearOperator, cg

from training.bricks.features import unit_rows
from training.bricks.implicit_als import AlsSettings, implicit_factors
from training.dataset import binary

SOLVER_TOLERANCE = 1e-6
"""Relative residual at which conjugate gradients stop: far below what a ranking can see."""
SMALLEST_NORM = 1e-12


@dataclass(frozen=True)
class TasteMapSettings:
    """Sizes and shrinkage; see `EmbedMeConfig` for where the numbers come from."""

    interests: AlsSettings
    """Of P; its number of factors is k."""
    target: AlsSettings
    """Of t and V; its number of factors is m."""
    ridge: float


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
        x = unit_rows(interests.astype(np.float64))
        return np.asarray(
            x @ self.from_interests + _tastes(x, self.interest_basis) @ self.from_tastes
        )

    def shrunk(self, slopes: Float64[np.ndarray, " m"]) -> "TasteMap":
        """Return the map whose answers are `slopes` times this one's."""
        return replace(
            self, from_interests=self.from_interests * slopes, from_tastes=self.from_tastes * slopes
        )


@dataclass(frozen=True)
class TasteSpaces:
    """The two spaces, before any map between them."""

    interest_basis: Float64[np.ndarray, "entities k"]
    """P."""
    user_tastes: Float64[np.ndarray, "users m"]
    """t."""
    item_tastes: Float64[np.ndarray, "items m"]
    """V."""


def learn_spaces(
    interests: csr_array, target: csr_array, settings: TasteMapSettings
) -> TasteSpaces:
    """Return P, t and V.

    Args:
        interests: Shape (others, entities): training users, of whatever domain.
        target: Shape (users, items): the binary target rows of those and others.
        settings: Sizes; cut to what the matrices can give.
    """
    factors = implicit_factors(target, settings.target)
    basis = implicit_factors(binary(interests), settings.interests).items
    return TasteSpaces(basis, factors.users, factors.items)


def fit_map(
    spaces: TasteSpaces,
    interests: csr_array,
    tastes: Float64[np.ndarray, "users m"],
    settings: TasteMapSettings,
) -> TasteMap:
    """Return the taste map of users of both domains.

    Args:
        spaces: P and V.
        interests: Shape (users, entities): the users' interests without their target rows.
        tastes: Their t.
        settings: The ridge.
    """
    x = unit_rows(interests.astype(np.float64))
    features = csr_array(hstack([x, csr_array(_tastes(x, spaces.interest_basis))], format="csr"))
    n_features, n_entities = features.shape[1], x.shape[1]
    normal = LinearOperator(
        (n_features, n_features),
        matvec=lambda w: features.T @ (features @ w) + settings.ridge * w,
        dtype=np.float64,
    )
    moments = features.T @ (tastes - tastes.mean(axis=0))
    solved = [cg(normal, column, rtol=SOLVER_TOLERANCE)[0] for column in moments.T]
    weights = np.stack(solved, axis=1) if solved else np.zeros((n_features, 0))
    return TasteMap(
        spaces.interest_basis, weights[:n_entities], weights[n_entities:], spaces.item_tastes
    )


def cross_fitted(
    spaces: TasteSpaces,
    interests: csr_array,
    tastes: Float64[np.ndarray, "users m"],
    settings: TasteMapSettings,
    folds: Int64[np.ndarray, " users"],
) -> list[TasteMap]:
    """Return one map a fold, learned without the users of that fold.

    What is trained on top must see a training user as it will see a newcomer: through a map that has
    not been fitted to the very likes it is asked for.
    """
    return [
        fit_map(spaces, interests[folds != fold], tastes[folds != fold], settings)
        for fold in range(int(folds.max(initial=-1)) + 1)
    ]


def foretold(
    fold_maps: Sequence[TasteMap],
    interests: csr_array,
    tastes: Float64[np.ndarray, "users m"],
    folds: Int64[np.ndarray, " users"],
) -> Float64[np.ndarray, " m"]:
    """Return c: the slope of each wanted dimension on its cross-fitted prediction, between 0 and 1.

    Args:
        fold_maps: Of `cross_fitted`.
        interests: Shape (users, entities), of the users they were learned from.
        tastes: Their t.
        folds: Their folds.
    """
    wanted = tastes - tastes.mean(axis=0)
    predicted = np.empty_like(wanted)
    for fold, one in enumerate(fold_maps):
        own = np.flatnonzero(folds == fold)
        predicted[own] = one.user_tastes(interests[own])
    power = np.square(predicted).sum(axis=0)
    slopes: np.ndarray = (predicted * wanted).sum(axis=0) / np.maximum(power, SMALLEST_NORM)
    clipped: np.ndarray = np.clip(slopes, 0.0, 1.0)
    return clipped


def _tastes(
    x: csr_array, basis: Float64[np.ndarray, "entities k"]
) -> Float64[np.ndarray, "users k"]:
    """Return z."""
    z: np.ndarray = np.asarray(x @ basis)
    lengths = np.linalg.norm(z, axis=1, keepdims=True)
    scaled: np.ndarray = z / np.maximum(lengths, SMALLEST_NORM)
    return scaled
