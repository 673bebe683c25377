"""A user's vector in one domain, enriched by those of the others: attention-based representation transfer (ART).

    u = u_target + Attention(query = u_target; keys, values = A_s u_s of each source s) + G global

A_s and G are linear maps; the attention has one head with its own projections and drops a tenth of its weights
(Li et al., CAT-ART, WSDM 2023; the parts from the slides, their form from the public code). It sees vectors only:
no interaction of another domain gets here. A source the user is not known in takes no weight.
"""

from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from typing_extensions import override

from training.bricks.bpr import RankingLoss, ranking_loss
from training.bricks.masked_autoencoder import MaskedAutoencoder
from training.bricks.sequence_attention import MultiHeadAttention
from training.bricks.user_vectors import UserVectors
from training.gradient_model import TensorEpoch


class Transfer(StrEnum):
    """What is added to the target's vector."""

    GLOBAL = "global"
    """The user's global vector alone."""
    ATTENTION = "attention"
    """The sources as attention weighs them, too."""
    CONCATENATION = "concatenation"
    """The sources by one linear map of all of them side by side, without weighing them, too."""


class Representations(NamedTuple):
    """What is known of users, as vectors; constant while the transfer learns."""

    target: Float[Tensor, "users dim"]
    sources: Float[Tensor, "users sources dim"]
    known: Bool[Tensor, "users sources"]
    """In which sources a user did something."""
    whole: Float[Tensor, "users dim"]
    """The global vector."""

    def of(self, rows: Int64[Tensor, " rows"]) -> "Representations":
        """Return the representations of some users."""
        return Representations(*(one[rows] for one in self))


@torch.no_grad()
def represent(autoencoder: MaskedAutoencoder, users: UserVectors, target: int) -> Representations:
    """Return what the transfer to domain number `target` works on.

    A user who is new there has the vector that the autoencoder rebuilds from the other domains.
    """
    whole = autoencoder.encode(*users)
    rebuilt = autoencoder.decode(whole)[:, target]
    sources = [one for one in range(users.known.shape[1]) if one != target]
    own = torch.where(users.known[:, [target]], users.vectors[:, target], rebuilt)
    return Representations(own, users.vectors[:, sources], users.known[:, sources], whole)


class RepresentationTransfer(nn.Module):
    """The enriched vector of a user."""

    def __init__(self, n_sources: int, dim: int, transfer: Transfer, dropout: float = 0.1) -> None:
        super().__init__()
        self.transfer = transfer
        self.from_global = nn.Linear(dim, dim)
        self.adapters = nn.ModuleList()
        self.attention: MultiHeadAttention | None = None
        self.joint: nn.Linear | None = None
        match transfer:
            case Transfer.GLOBAL:
                pass
            case Transfer.ATTENTION:
                self.adapters.extend(nn.Linear(dim, dim) for _ in range(n_sources))
                self.attention = MultiHeadAttention(dim, n_heads=1, dropout=dropout)
            case Transfer.CONCATENATION:
                self.joint = nn.Linear(n_sources * dim, dim)

    @override
    def forward(self, users: Representations) -> Float[Tensor, "users dim"]:
        """Return the enriched vectors."""
        target, sources, known, whole = users
        enriched: Tensor = target + self.from_global(whole)
        if self.attention is not None:
            adapted = [adapt(sources[:, number]) for number, adapt in enumerate(self.adapters)]
            memory = torch.stack(adapted, dim=1)
            enriched = enriched + self.attention(target[:, None], memory, known)[:, 0]
        if self.joint is not None:
            present = sources * known[:, :, None]
            enriched = enriched + self.joint(present.flatten(start_dim=1))
        return enriched


class TransferStage(nn.Module):
    """BPR of the enriched vectors against the target's items, as the training loop calls it.

    A user of an example is shown as `users` say, or, where the example asks for it, as a `newcomer`.
    """

    def __init__(
        self,
        transfer: RepresentationTransfer,
        items: nn.Embedding,
        users: Representations,
        newcomers: Representations,
    ) -> None:
        super().__init__()
        self.transfer, self.items = transfer, items
        self._users, self._newcomers = users, newcomers

    @override
    def forward(
        self, rows: Tensor, positives: Tensor, negatives: Tensor, as_newcomer: Tensor
    ) -> Float[Tensor, ""]:
        """Return the mean loss; `negatives` has shape (examples, n)."""
        pairs = zip(self._users.of(rows), self._newcomers.of(rows), strict=True)
        shown = Representations(*(_either(as_newcomer, new, known) for known, new in pairs))
        own = self.transfer(shown)
        positive = (own * self.items(positives)).sum(dim=1)
        negative = (self.items(negatives) @ own[:, :, None]).squeeze(2)
        return ranking_loss(RankingLoss.BPR, positive, negative).mean()


def with_newcomers(examples: TensorEpoch, share: float, rng: np.random.Generator) -> TensorEpoch:
    """Return examples of (users, positives, negatives, ...) with who of them is shown as a newcomer for the rest."""
    is_new = torch.from_numpy(rng.random(len(examples.user_ids)) < share)
    return replace(examples, tensors=(*examples.tensors[:3], is_new))


def _either(condition: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return torch.where(condition.view(-1, *[1] * (first.ndim - 1)), first, second)
