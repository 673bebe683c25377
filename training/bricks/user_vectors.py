"""What leaves a domain: one vector a user, and who is known there. No interaction crosses.

In: one matrix factorisation a domain, each learned from its own domain's rows. Out: `UserVectors`, all that a model
across the domains is given, and their batches with one known domain of each user hidden.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt32
from torch import Tensor, nn

from training.bricks.matrix_factorisation import FactorConfig, Factors, factor_phase
from training.dataset import Dataset
from training.gradient_model import Phase, Shape, TensorEpoch


class UserVectors(NamedTuple):
    """Users in all domains."""

    vectors: Float[Tensor, "users domains dim"]
    known: Bool[Tensor, "users domains"]
    """Where not, the vector means nothing."""

    def without(self, domain: int) -> "UserVectors":
        """Return the same users as if nobody were known in `domain`."""
        known = self.known.clone()
        known[:, domain] = False
        return UserVectors(self.vectors, known)


def hide_one(
    known: Bool[np.ndarray, "users domains"], rng: np.random.Generator
) -> tuple[Int64[np.ndarray, " shown"], Int64[np.ndarray, " shown"]]:
    """Return, in random order, the users known in several domains, and which of these is hidden of each."""
    rows = rng.permutation(np.flatnonzero(known.sum(axis=1) > 1)).astype(np.int64)
    hidden = np.argmax(rng.random((len(rows), known.shape[1])) * known[rows], axis=1)
    return rows, hidden.astype(np.int64)


def masked_epoch(
    users: UserVectors,
    user_ids: UInt32[np.ndarray, " users"],
    batch_size: int,
    rng: np.random.Generator,
) -> TensorEpoch:
    """Return the users known in several domains, once each: vectors, where known, and which domain is hidden."""
    rows, hidden = hide_one(users.known.cpu().numpy(), rng)
    chosen = torch.from_numpy(rows)
    tensors = (users.vectors.cpu()[chosen], users.known.cpu()[chosen], torch.from_numpy(hidden))
    return TensorEpoch(tensors, user_ids[rows], batch_size)


class DomainFactors(nn.Module):
    """One factorisation a domain, in the data's order, over one set of users."""

    def __init__(self, shape: Shape, config: FactorConfig) -> None:
        super().__init__()
        self.each = nn.ModuleList(
            Factors(shape.n_users, n_items, config) for n_items in shape.n_items.values()
        )

    def of(self, number: int) -> Factors:
        """Return the factorisation of a domain by its number in the data's order."""
        found = self.each[number]
        assert isinstance(found, Factors)
        return found

    def phases(self, data: Dataset, config: FactorConfig) -> Iterator[Phase]:
        """Yield a phase a domain; none depends on another, nor on which domain is the target."""
        for number, domain in enumerate(data.catalogues):
            yield factor_phase(f"factors_{number}", self.of(number), data, [domain], config)

    def user_vectors(self, rows: Int64[np.ndarray, " rows"] | None = None) -> UserVectors:
        """Return all that leaves the domains, without gradient; of some users, where `rows` names them."""
        each = [self.of(number) for number in range(len(self.each))]
        chosen = slice(None) if rows is None else torch.from_numpy(rows)
        return UserVectors(
            torch.stack([one.users.detach()[chosen] for one in each], dim=1),
            torch.stack([one.trained[chosen] for one in each], dim=1),
        )
