"""A user's vector in one domain, enriched by those of the others: attention-based representation transfer (ART).

    u = u_target + Attention(query = u_target; keys, values = A_s u_s of each source s) + G global

A_s and G are linear maps; the attention has one head with its own projections and drops a tenth of its weights
(Li et al., CAT-ART, WSDM 2023; the parts from the slides, their form from the public code). It sees vectors only:
no interaction of another domain gets here. A source the user is not known in takes no weight.
"""

from enum import StrEnum

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from typing_extensions import override

from training.bricks.sequence_attention import MultiHeadAttention


class Transfer(StrEnum):
    """What is added to the target's vector."""

    GLOBAL = "global"
    """The user's global vector alone."""
    ATTENTION = "attention"
    """The sources as attention weighs them, too."""
    CONCATENATION = "concatenation"
    """The sources by one linear map of all of them side by side, without weighing them, too."""


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
    def forward(
        self,
        target: Float[Tensor, "users dim"],
        sources: Float[Tensor, "users sources dim"],
        known: Bool[Tensor, "users sources"],
        whole: Float[Tensor, "users dim"],
    ) -> Float[Tensor, "users dim"]:
        """Return the enriched vectors; `known` marks the sources in which a user did something."""
        enriched: Tensor = target + self.from_global(whole)
        if self.attention is not None:
            adapted = [adapt(sources[:, number]) for number, adapt in enumerate(self.adapters)]
            memory = torch.stack(adapted, dim=1)
            enriched = enriched + self.attention(target[:, None], memory, known)[:, 0]
        if self.joint is not None:
            present = sources * known[:, :, None]
            enriched = enriched + self.joint(present.flatten(start_dim=1))
        return enriched
