"""EASE: a linear item-item model with a closed form, on the target alone or on all domains at once.

X holds the binary histories (users x items), of the target for `ease_target`, of all domains side by side for
`ease`. B minimises |X - X B|^2 + ridge |B|^2 with a diagonal of zeros (Steck, WWW 2019, section 3.1):

    P = (X^T X + ridge I)^-1,     B_ij = -P_ij / P_jj for i != j,  B_jj = 0,     score(u, j) = sum_i x_ui B_ij

Only the target's columns of B are asked for: T below. With fewer users than items P is not inverted but taken
from user space by Woodbury's identity, exactly:

    P = (I - X^T K X) / ridge,    K = (X X^T + ridge I)^-1

A user is their history, so one who was not in training is judged like any other; a user without a positive in
the chosen domains cannot be judged: NaN. An item without a training row has the score 0 that the formula gives
it; nothing of popularity is mixed in.
"""

import time
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Float64
from pydantic import PositiveFloat
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.sparse import csr_array, eye_array
from typing_extensions import override

from training.bricks.closed_form import ClosedForm
from training.bricks.histories import (
    Domains,
    chosen_domains,
    from_arrays,
    names_from_array,
    names_to_array,
    side_by_side,
    to_arrays,
)
from training.config import ModelConfig
from training.contract import FitContext, FitReport, Need, UserBatch
from training.dataset import Dataset, counts
from training.errors import DatasetError


class EaseConfig(ModelConfig):
    """Settings of EASE."""

    ridge: PositiveFloat = 100.0
    """lambda of the paper; 20 to 1,000 did best on public pairs of Amazon's and MovieLens' domains."""


class Ease(ClosedForm):
    """EASE over the histories of all domains: a newcomer's source rows reach the target's items."""

    name: ClassVar[str] = "ease"
    paper: ClassVar[str] = (
        "Steck: Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019 (here over the columns of all domains)"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.HISTORY})
    config_type: ClassVar[type[ModelConfig]] = EaseConfig
    domains: ClassVar[Domains] = Domains.ALL

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, EaseConfig)
        self.settings = config

    @override
    def fit(self, data: Dataset, context: FitContext) -> FitReport:
        """Solve for the target's columns of B, in item or in user space, whichever is smaller."""
        started = time.monotonic()
        domains = chosen_domains(data, self.domains)
        histories = side_by_side(data.interactions, domains)
        histories = histories[counts(histories) > 0]
        if not histories.nnz:
            raise DatasetError(f"no positive interaction in {', '.join(domains)} to learn from")
        n_users, n_items = histories.shape
        item_ids = data.target_items.item_ids
        n_target = len(item_ids)
        learned = {"item_ids": item_ids, "domains": names_to_array(domains)}
        if n_users < n_items:
            weights, own = user_space(histories, n_target, self.settings.ridge)
            learned |= {**to_arrays("histories", histories), "weights": weights, "own": own}
        else:
            learned["weights"] = item_space(histories, n_target, self.settings.ridge)
        self.learned = learned
        space = f"{n_users} users" if n_users < n_items else f"{n_items} items"
        return FitReport(seconds=time.monotonic() - started, notes=(f"solved over {space}",))

    @override
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        """Return x B; NaN for users without a positive in the domains learned from."""
        learned = self.learned
        own = side_by_side(users.history, names_from_array(learned["domains"]))
        weights = learned["weights"]
        if "own" in learned:
            histories = from_arrays("histories", learned)
            target = own[:, own.shape[1] - weights.shape[1] :]
            scores = (own @ histories.T) @ weights - target * learned["own"][None, :]
        else:
            scores = own @ weights
        scores = np.array(scores, dtype=np.float32)
        scores[counts(own) == 0] = np.nan
        return scores


class EaseTarget(Ease):
    """EASE on the target's histories alone: what a table needs beside every cross-domain model."""

    name: ClassVar[str] = "ease_target"
    paper: ClassVar[str] = "Steck: Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019"
    domains: ClassVar[Domains] = Domains.TARGET


def item_space(
    histories: csr_array, n_target: int, ridge: float
) -> Float32[np.ndarray, "items target"]:
    """Return the last `n_target` columns of B, over items.

    The source block is eliminated first. With S and D the Gram matrices of the source's and the target's
    columns, each plus the ridge, and their product factored as C = L R, where only the o users of both count
    (L = X_S[o]^T, R = X_T[o], unless o exceeds the target's items):

        E = S^-1 L,   Q = (D - R^T L^T E R)^-1 = P_TT,   B_ST = E (R Q) / diag Q,   B_TT = -Q / diag Q

    which costs a fifth of a factor of the whole where few users are shared.
    """
    n_source = histories.shape[1] - n_target
    source, target = histories[:, :n_source], histories[:, n_source:]
    shared = np.flatnonzero((counts(source) > 0) & (counts(target) > 0))
    right = target[shared]
    left = source[shared].T.toarray().astype(np.float64)
    if len(shared) > n_target:
        right = csr_array(eye_array(n_target, format="csr"))
        left = (source.T @ target).toarray().astype(np.float64)
    schur = _gram(target, ridge)
    solved = left
    if left.size:
        factor = cho_factor(_gram(source, ridge), overwrite_a=True, check_finite=False)
        solved = cho_solve(factor, left, check_finite=False)
        schur -= right.T @ (right.T @ (left.T @ solved)).T
    inverse = _inverse(schur)
    diagonal = np.diag(inverse).copy()
    weights = np.empty((n_source + n_target, n_target), dtype=np.float32)
    weights[:n_source] = solved @ (right @ inverse) / diagonal
    weights[n_source:] = inverse / -diagonal
    weights[n_source + np.arange(n_target), np.arange(n_target)] = 0.0
    return weights


def user_space(
    histories: csr_array, n_target: int, ridge: float
) -> tuple[Float32[np.ndarray, "users target"], Float32[np.ndarray, " target"]]:
    """Return W and g such that x B = (x X^T) W - x_T g over the last `n_target` columns.

    With V = K X_T and h_j = X_j . V_j: W_j = V_j / (1 - h_j) and g_j = h_j / (1 - h_j), which is
    x_j - (x P)_j / P_jj with P by Woodbury's identity.
    """
    liked = histories[:, histories.shape[1] - n_target :].toarray(order="F").astype(np.float64)
    factor = cho_factor(_gram(histories.T.tocsr(), ridge), overwrite_a=True, check_finite=False)
    solved = cho_solve(factor, liked, check_finite=False)
    own = np.einsum("ut,ut->t", liked, solved)
    return (solved / (1.0 - own)).astype(np.float32, order="C"), (own / (1.0 - own)).astype(
        np.float32
    )


def _gram(matrix: csr_array, ridge: float) -> Float64[np.ndarray, "columns columns"]:
    """Return M^T M + ridge I."""
    gram: np.ndarray = (matrix.T @ matrix).toarray().astype(np.float64)
    gram[np.diag_indices(len(gram))] += ridge
    return gram


def _inverse(matrix: Float64[np.ndarray, "n n"]) -> Float64[np.ndarray, "n n"]:
    """Return the inverse of a positive definite matrix, by its Cholesky factor."""
    factor, _ = dpotrf(matrix, lower=1)
    lower, failed = dpotri(factor, lower=1, overwrite_c=1)
    if failed:
        raise DatasetError("EASE: the Gram matrix is singular in double precision; raise the ridge")
    half = np.tril(lower)
    inverse: np.ndarray = half + np.tril(half, -1).T
    return inverse
