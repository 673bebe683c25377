"""Examples of implicit feedback, a positive with sampled negatives, and the losses over their scores.

In: binary histories of several domains, whose items are counted side by side. Out: the shuffled examples of an
epoch, each (user row, positive, negatives, weight); a negative is drawn uniformly from the positive's own
domain and is none of the user's positives there. With x+ and x- the scores of positive and negatives:

    bpr       mean over negatives of softplus(x- - x+)     = -log sigma(x+ - x-): Rendle et al., UAI 2009
    logistic  softplus(-x+) + sum of softplus(x-)          = cross-entropy of labels 1 and 0
    squared   (1 - x+)^2 + sum of (x-)^2
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt32
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn.functional import softplus

from training.dataset import History, binary, rows_of
from training.gradient_model import TensorEpoch

MAX_DRAWS = 50
"""Rounds of redrawing; a negative that is still a positive then (the user likes nearly all) stays."""


class RankingLoss(StrEnum):
    """How the scores of a positive and its negatives become a loss."""

    BPR = "bpr"
    LOGISTIC = "logistic"
    SQUARED = "squared"


def ranking_loss(
    loss: RankingLoss,
    positive: Float[Tensor, " examples"],
    negatives: Float[Tensor, "examples negatives"],
) -> Float[Tensor, " examples"]:
    """Return the loss of each example, by the formula at this file's head."""
    match loss:
        case RankingLoss.BPR:
            return softplus(negatives - positive[:, None]).mean(dim=1)
        case RankingLoss.LOGISTIC:
            return softplus(-positive) + softplus(negatives).sum(dim=1)
        case RankingLoss.SQUARED:
            return (1.0 - positive).square() + negatives.square().sum(dim=1)


class Negatives:
    """Draws items that a user has not liked."""

    def __init__(self, liked: csr_array) -> None:
        ordered = liked.copy()
        ordered.sort_indices()
        self.n_items = int(liked.shape[1])
        self._codes = rows_of(ordered) * self.n_items + ordered.indices

    def draw(
        self, user_rows: Int64[np.ndarray, " examples"], n: int, rng: np.random.Generator
    ) -> Int64[np.ndarray, "examples n"]:
        """Return `n` negatives of each example, uniform over the items without the user's positives."""
        users = np.repeat(user_rows, n)
        drawn = rng.integers(self.n_items, size=len(users))
        again = np.flatnonzero(self._is_liked(users, drawn))
        for _ in range(MAX_DRAWS):
            if not len(again):
                break
            drawn[again] = rng.integers(self.n_items, size=len(again))
            again = again[self._is_liked(users[again], drawn[again])]
        return drawn.reshape(len(user_rows), n)

    def _is_liked(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        codes = users * self.n_items + items
        place = np.searchsorted(self._codes, codes)
        place[place == len(self._codes)] = 0
        found: np.ndarray = self._codes[place] == codes if len(self._codes) else np.zeros(0, bool)
        return found


class Triplets:
    """All positives of some domains, to be drawn with negatives epoch by epoch."""

    def __init__(
        self,
        user_ids: UInt32[np.ndarray, " users"],
        histories: History,
        domains: Sequence[str],
        weights: Mapping[str, float] | None = None,
    ) -> None:
        liked = [binary(histories[domain]) for domain in domains]
        self._user_ids = user_ids
        self._blocks = [
            (rows_of(one), one.indices.astype(np.int64), Negatives(one)) for one in liked
        ]
        self._weights = [1.0 if weights is None else weights[domain] for domain in domains]

    def __len__(self) -> int:
        return sum(len(rows) for rows, _, _ in self._blocks)

    def epoch(self, rng: np.random.Generator, batch_size: int, n_negatives: int = 1) -> TensorEpoch:
        """Return every positive once, in random order.

        The tensors are user rows, positives, negatives (examples, n) and weights; items count through all
        domains.
        """
        users, positives, negatives, weights = [], [], [], []
        start = 0
        for (rows, items, sampler), weight in zip(self._blocks, self._weights, strict=True):
            users.append(rows)
            positives.append(items + start)
            negatives.append(sampler.draw(rows, n_negatives, rng) + start)
            weights.append(np.full(len(rows), weight, dtype=np.float32))
            start += sampler.n_items
        order = rng.permutation(len(self))
        columns = [np.concatenate(parts)[order] for parts in (users, positives, negatives, weights)]
        tensors = tuple(torch.from_numpy(column) for column in columns)
        return TensorEpoch(tensors, self._user_ids[columns[0]], batch_size)
