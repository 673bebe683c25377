"""Two towers, one a domain, that lend each other what they know through one matrix a layer.

    a^(l+1) = ReLU(W_a a^(l) + b_a + m H b^(l)),    b^(l+1) = ReLU(W_b b^(l) + b_b + m H a^(l))

for l below the number of crossed layers, H the same both ways (Hu, Zhang and Yang, CIKM 2018); the
layers after have no H. m is 0 where one side has no input, else 1. Each tower ends in one logit.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import override


class CrossedTowers(nn.Module):
    """Towers of equal widths, the first of them crossed."""

    def __init__(self, widths: Sequence[int], n_crossed: int) -> None:
        super().__init__()
        layers = list(pairwise(widths))
        self.first = nn.ModuleList(nn.Linear(width, after) for width, after in layers)
        self.second = nn.ModuleList(nn.Linear(width, after) for width, after in layers)
        self.cross = nn.ModuleList(
            nn.Linear(width, after, bias=False) for width, after in layers[:n_crossed]
        )
        self.heads = nn.ModuleList(nn.Linear(widths[-1], 1) for _ in range(2))

    @override
    def forward(
        self, first: Tensor, second: Tensor, is_crossed: Tensor
    ) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """Return the logits of both towers; all inputs have the same leading shape, `is_crossed` ends in 1."""
        crosses = [*self.cross, *[None] * (len(self.first) - len(self.cross))]
        for own, other, cross in zip(self.first, self.second, crosses, strict=True):
            a, b = own(first), other(second)
            if cross is not None:
                a, b = a + is_crossed * cross(second), b + is_crossed * cross(first)
            first, second = torch.relu(a), torch.relu(b)
        return self.heads[0](first).squeeze(-1), self.heads[1](second).squeeze(-1)

    def l1(self) -> Float[Tensor, ""]:
        """Return the sum of |H| over the crossed layers: sparse transfer (SCoNet)."""
        matrices = [matrix.flatten() for matrix in self.cross.parameters()]
        return torch.cat(matrices).abs().sum() if matrices else torch.zeros(())
