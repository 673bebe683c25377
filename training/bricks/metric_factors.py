"""Metric learning: users and items in the unit ball, near where the user likes the item.

    loss = mean over (u, i, j) of  w [margin + |u - i|^2 - |u - j|^2]_+,    |x| <= 1

for a liked item i and a sampled one j (Hsieh et al., Collaborative Metric Learning, WWW 2017, without the
rank weight).
"""

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from training.bricks.matrix_factorisation import FactorConfig, Factors


def hinge(
    anchor: Float[Tensor, "rows dim"],
    near: Float[Tensor, "rows dim"],
    far: Float[Tensor, "rows dim"],
    margin: float,
) -> Float[Tensor, " rows"]:
    """Return [margin + |a - n|^2 - |a - f|^2]_+ of each row."""
    closer = (anchor - near).square().sum(dim=1)
    losses: Tensor = margin + closer - (anchor - far).square().sum(dim=1)
    hinged: Tensor = losses.clamp(min=0.0)
    return hinged


def in_ball(vectors: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
    """Return the vectors, those longer than 1 scaled to 1."""
    inside: Tensor = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1.0)
    return inside


class MetricFactors(Factors):
    """Vectors in the unit ball, learned by distances; `l2` and `loss` are not theirs."""

    def __init__(self, n_users: int, n_items: int, config: FactorConfig, margin: float) -> None:
        super().__init__(n_users, n_items, config)
        self._margin = margin

    @override
    def forward(
        self, users: Tensor, positives: Tensor, negatives: Tensor, weights: Tensor
    ) -> Float[Tensor, ""]:
        """Return the mean hinge of the first negative of each example."""
        own = in_ball(self.users.index_select(0, users))
        rows = torch.cat([positives, negatives[:, 0]])
        liked, other = in_ball(self.items.index_select(0, rows)).chunk(2)
        losses = hinge(own, liked, other, self._margin)
        return (weights * losses).mean()
