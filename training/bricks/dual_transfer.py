"""Recommenders of several domains that rate one another's users through orthogonal maps (DDTCDR).

    r'_k = (1 - alpha) RS_k(W_u, W_i) + sum over other domains j of alpha_j RS_j(X_jk W_u, W_i)        (eqs. 2, 3, 7)

W_u and W_i are user and item embeddings of domain k, RS an MLP, and X_kj the transpose of X_jk: each pair of domains
has one matrix. It is orthogonal at every step by its parametrisation (Algorithm 1 orthogonalises after each). alpha is
shared out over the other domains in which the user is known; a user of one domain alone has alpha 0 (section 3.3).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt32
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.nn.utils.parametrizations import orthogonal
from torch.nn.utils.parametrize import cached
from typing_extensions import override

from training.bricks.feedback import LabelledDomain
from training.bricks.rating_head import RatingHead
from training.loop import Batch

HIDDEN_SIZES = (64, 8)
DROPOUT = 0.1
"""Of the recommenders: those of the public code, the paper names none; dropout is off when they are asked."""


JUDGED_PAIRS = 1 << 14
"""Of each domain. All pairs of an epoch, drawn once more after each, were a fifth of the CPU time of the dual training in
the sample world; told over these, no loss differs by more than .001."""


class Ratings(NamedTuple):
    """Pairs of one domain, embedded."""

    users: Float[Tensor, "pairs dim"]
    items: Float[Tensor, "pairs dim"]
    labels: Float[Tensor, " pairs"]
    weights: Float[Tensor, "pairs domains"]
    """Of the recommender of every domain; a row sums to 1."""


class DualNetworks(nn.Module):
    """A recommender for each domain and an orthogonal map for each pair of domains."""

    def __init__(self, n_domains: int, dim: int) -> None:
        super().__init__()
        self.recommenders = nn.ModuleList(
            RatingHead(dim, HIDDEN_SIZES, DROPOUT) for _ in range(n_domains)
        )
        self._pairs = [(j, k) for k in range(n_domains) for j in range(k)]
        self.maps = nn.ModuleList(orthogonal(nn.Linear(dim, dim, bias=False)) for _ in self._pairs)

    def recommender(self, number: int) -> RatingHead:
        """Return RS of a domain."""
        found = self.recommenders[number]
        assert isinstance(found, RatingHead)
        return found

    def map_between(self, j: int, k: int) -> Float[Tensor, "dim dim"]:
        """Return X_jk, which takes a user of domain k to domain j."""
        matrix = self.maps[self._pairs.index((min(j, k), max(j, k)))].weight
        assert isinstance(matrix, Tensor)
        return matrix if j < k else matrix.T

    def carried(
        self, users: Float[Tensor, "users dim"], k: int, j: int
    ) -> Float[Tensor, "users dim"]:
        """Return users of domain k as domain j sees them: X_jk W_u."""
        return users if j == k else users @ self.map_between(j, k).T

    def rated(self, ratings: Ratings, k: int, *, detach: bool) -> Float[Tensor, " pairs"]:
        """Return r' of pairs of domain k.

        Args:
            ratings: The pairs.
            k: Their domain.
            detach: Leave out the gradient of the other domains' terms, as the public code does.
        """
        total = ratings.users.new_zeros(len(ratings.users))
        for j in range(len(self.recommenders)):
            weight = ratings.weights[:, j]
            if j != k and not weight.any():
                continue
            found = self.recommender(j)(self.carried(ratings.users, k, j), ratings.items)
            total = total + weight * (found.detach() if detach and j != k else found)
        return total

    def of_all(
        self,
        users: Float[Tensor, "users dim"],
        items: Float[Tensor, "items dim"],
        weights: Float[Tensor, "users domains"],
        k: int,
    ) -> Float[Tensor, "users items"]:
        """Return r' of every user with every item of domain k."""
        total = users.new_zeros((len(users), len(items)))
        for j in range(len(self.recommenders)):
            if weights[:, j].any():
                found = self.recommender(j).of_all(self.carried(users, k, j), items)
                total = total + weights[:, j, None] * found
        return total


class DualStage(nn.Module):
    """The training of all recommenders and maps at once, as the loop calls it."""

    def __init__(self, networks: DualNetworks, *, detach: bool) -> None:
        super().__init__()
        self.networks, self._detach = networks, detach

    def losses(self, *inputs: Tensor) -> list[Float[Tensor, ""]]:
        """Return the mean squared error of each domain's pairs (Algorithm 1)."""
        width = len(Ratings._fields)
        found = []
        with cached():  # each map is made once a step
            for k in range(len(inputs) // width):
                ratings = Ratings(*inputs[k * width : (k + 1) * width])
                predicted = self.networks.rated(ratings, k, detach=self._detach)
                found.append(mse_loss(predicted, ratings.labels))
        return found

    @override
    def forward(self, *inputs: Tensor) -> Float[Tensor, ""]:
        """Return the sum over domains."""
        return torch.stack(self.losses(*inputs)).sum()


def transfer_weights(
    known: Bool[np.ndarray, "users domains"], k: int, alpha: float
) -> Float32[np.ndarray, "users domains"]:
    """Return the weight of every domain's recommender for users rated in domain k, shape (users, domains).

    Args:
        known: Shape (users, domains): where each user has a history.
        k: The domain of the items.
        alpha: The transfer rate, shared out over the other domains where the user is known.

    >>> transfer_weights(np.array([[True, True, True], [True, False, False]]), 0, 0.2)
    array([[0.8, 0.1, 0.1],
           [1. , 0. , 0. ]], dtype=float32)
    """
    others = known.astype(np.float64)
    others[:, k] = 0.0
    total = others.sum(axis=1, keepdims=True)
    weights = alpha * np.divide(others, total, out=np.zeros_like(others), where=total > 0)
    weights[:, k] = 1.0 - weights.sum(axis=1)
    found: np.ndarray = weights.astype(np.float32)
    return found


@dataclass(frozen=True)
class DomainTable:
    """A domain as stage 2 sees it."""

    pairs: LabelledDomain
    users: Float[Tensor, "users dim"]
    items: Float[Tensor, "items dim"]
    weights: Float[Tensor, "users domains"]

    def ratings(
        self,
        users: Int64[np.ndarray, " pairs"],
        items: Int64[np.ndarray, " pairs"],
        labels: Float32[np.ndarray, " pairs"],
    ) -> Ratings:
        """Return pairs, embedded."""
        rows = torch.from_numpy(users)
        return Ratings(
            self.users[rows],
            self.items[torch.from_numpy(items)],
            torch.from_numpy(labels),
            self.weights[rows],
        )


class DualEpoch:
    """Batches with pairs of every domain; one epoch goes once through the domain with the most pairs.

    The others are gone through again and again (the public code ends with the shortest instead). `at_most` so many
    pairs of a domain are kept of it, drawn at random; gone through twice, it is the same twice.
    """

    def __init__(
        self,
        domains: Sequence[DomainTable],
        user_ids: UInt32[np.ndarray, " users"],
        batch_size: int,
        rng: np.random.Generator,
        at_most: int | None = None,
    ) -> None:
        self._domains, self._user_ids, self._batch_size = domains, user_ids, batch_size
        drawn = (domain.pairs.epoch(rng) for domain in domains)
        self._drawn = [pairs.at(np.arange(len(pairs.labels))[:at_most]) for pairs in drawn]
        self.n_pairs = max(len(pairs.labels) for pairs in self._drawn)

    def __len__(self) -> int:
        return math.ceil(self.n_pairs / self._batch_size)

    def __iter__(self) -> Iterator[Batch | None]:
        for start in range(0, self.n_pairs, self._batch_size):
            places = np.arange(start, min(start + self._batch_size, self.n_pairs))
            inputs: list[Tensor] = []
            users: list[np.ndarray] = []
            for domain, pairs in zip(self._domains, self._drawn, strict=True):
                some = pairs.at(places % len(pairs.labels))
                inputs += domain.ratings(*some)
                users.append(self._user_ids[some.user_rows])
            yield Batch(tuple(inputs), np.concatenate(users))


def judged_pairs(
    domains: Sequence[DomainTable],
    user_ids: UInt32[np.ndarray, " users"],
    batch_size: int,
    seed: int,
) -> DualEpoch:
    """Return the pairs whose losses are told after each epoch: the same each time, `JUDGED_PAIRS` a domain at most."""
    rng = np.random.default_rng(seed)
    return DualEpoch(domains, user_ids, batch_size, rng, at_most=JUDGED_PAIRS)


@torch.no_grad()
def losses_by_domain(
    stage: DualStage, epoch: DualEpoch, names: Sequence[str]
) -> Mapping[str, float]:
    """Return each domain's mean squared error over an epoch's pairs: what figures 2 to 4 show."""
    device = next(stage.parameters()).device
    total, n_pairs = np.zeros(len(names)), 0
    for batch in epoch:
        assert batch is not None
        inputs = [one.to(device) for one in batch.inputs]
        total += len(inputs[0]) * np.array([float(one) for one in stage.losses(*inputs)])
        n_pairs += len(inputs[0])
    return {f"loss/{name}": float(one) for name, one in zip(names, total / n_pairs, strict=True)}
