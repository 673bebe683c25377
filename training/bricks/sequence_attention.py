"""Multi-head attention over sequences of any length, empty ones included (Vaswani et al., NeurIPS 2017).

    Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V      in each of h heads, on projections of d / h columns;
    the heads side by side are projected once more

Query, key and value alike make self-attention, an item as the query target attention. A padded place takes no
weight. Attention over nothing is 0, not the bias of the output projection: a user who did nothing adds nothing.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from training.errors import ConfigError


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention with own projections for queries, keys, values and output."""

    def __init__(self, dim: int, n_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if dim % n_heads:
            raise ConfigError(f"{n_heads} heads do not divide an embedding of {dim}")
        self.n_heads = n_heads
        self.queries, self.keys = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.values, self.output = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.dropout = dropout
        """Of attention weights, in training."""

    @override
    def forward(
        self,
        query: Float[Tensor, "batch queries dim"],
        memory: Float[Tensor, "batch places dim"],
        mask: Bool[Tensor, "batch places"],
    ) -> Float[Tensor, "batch queries dim"]:
        """Return what each query finds in `memory`, keys and values in one; `mask` marks real places."""
        attended = functional.scaled_dot_product_attention(
            self._heads(self.queries(query)),
            self._heads(self.keys(memory)),
            self._heads(self.values(memory)),
            # An empty row attends to its padding instead of to nothing, which would be NaN; it is zeroed below.
            attn_mask=(mask | ~mask.any(dim=1, keepdim=True))[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )
        joined = attended.transpose(1, 2).flatten(start_dim=2)
        found: Tensor = self.output(joined) * mask.any(dim=1)[:, None, None]
        return found

    def _heads(
        self, columns: Float[Tensor, "batch places dim"]
    ) -> Float[Tensor, "batch heads places part"]:
        n_rows, n_places, dim = columns.shape
        parts = columns.view(n_rows, n_places, self.n_heads, dim // self.n_heads)
        return parts.transpose(1, 2)


class EncodedPlaces(NamedTuple):
    """What an encoder makes of sequences."""

    vectors: Float[Tensor, "batch places dim"]
    mask: Bool[Tensor, "batch places"]


class SequenceEncoder(nn.Module):
    """Self-attention over a sequence of items, newest last: one vector a place.

    With `n_positions`, each place has a learned vector added to it, counted back from the newest item, so
    that sequences of all lengths agree about what is recent.
    """

    def __init__(self, dim: int, n_heads: int, n_positions: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.dim = dim
        self.attention = MultiHeadAttention(dim, n_heads, dropout)
        self.positions = nn.Embedding(n_positions, dim) if n_positions else None
        if self.positions is not None:
            nn.init.normal_(self.positions.weight, std=0.02)  # below the items: order is a hint

    @override
    def forward(
        self, items: Float[Tensor, "batch places dim"], mask: Bool[Tensor, "batch places"]
    ) -> Float[Tensor, "batch places dim"]:
        """Return the encoded places; padded ones hold nothing of meaning."""
        if self.positions is not None:
            items = items + self.positions(_places_from_newest(mask))
        encoded: Tensor = self.attention(items, items, mask)
        return encoded


def _places_from_newest(mask: Bool[Tensor, "batch places"]) -> Int64[Tensor, "batch places"]:
    """Return 0 for the last real place of each row, 1 for the one before; 0 for padding.

    >>> _places_from_newest(torch.tensor([[True, True, False]]))
    tensor([[1, 0, 0]])
    """
    return (mask.flip(1).cumsum(dim=1).flip(1) - 1).clamp(min=0)


def masked_mean(
    places: Float[Tensor, "batch places dim"], mask: Bool[Tensor, "batch places"]
) -> Float[Tensor, "batch dim"]:
    """Return the mean over the real places of each row; 0 for an empty row."""
    weights = mask.to(places.dtype)
    total = torch.einsum("bld,bl->bd", places, weights)
    mean: Tensor = total / weights.sum(dim=1, keepdim=True).clamp(min=1.0)
    return mean
