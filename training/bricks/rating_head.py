"""An MLP on a user's and an item's vector side by side: r = f(h_u || h_i), for given pairs or for all.

    f(x) = w2 . dropout(relu(W1 x + b1)) + b2,    hidden layers as told

What stands in W1 splits into a part of the user and one of the item, so that all pairs of a batch of users cost the
hidden layer only once a user and once an item.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override

CELLS_AT_ONCE = 1 << 23
"""Numbers of the first hidden layer held at a time when all pairs are scored: 32 MiB."""


class RatingHead(nn.Module):
    """The MLP; its output is a number without bounds."""

    def __init__(self, dim: int, hidden_sizes: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        first, *rest = hidden_sizes
        self.of_user = nn.Linear(dim, first)
        self.of_item = nn.Linear(dim, first, bias=False)
        layers: list[nn.Module] = [nn.ReLU(), nn.Dropout(dropout)]
        for n_in, n_out in zip([first, *rest], rest, strict=False):
            layers += [nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(dropout)]
        self.rest = nn.Sequential(*layers, nn.Linear(hidden_sizes[-1], 1))

    @override
    def forward(
        self, users: Float[Tensor, "pairs dim"], items: Float[Tensor, "pairs dim"]
    ) -> Float[Tensor, " pairs"]:
        """Return f of each pair."""
        found: Tensor = self.rest(self.of_user(users) + self.of_item(items))[:, 0]
        return found

    def of_all(
        self, users: Float[Tensor, "users dim"], items: Float[Tensor, "items dim"]
    ) -> Float[Tensor, "users items"]:
        """Return f of every user with every item, some users at a time."""
        own, others = self.of_user(users), self.of_item(items)
        step = max(1, CELLS_AT_ONCE // max(1, others.numel()))
        parts = [
            self.rest(own[start : start + step, None] + others[None])[:, :, 0]
            for start in range(0, len(own), step)
        ]
        return torch.cat(parts) if parts else own.new_zeros((0, len(items)))
