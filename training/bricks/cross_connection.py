"""Two towers, one a domain, that lend each other what they know through one matrix a layer.

    a^(l+1) = ReLU(W_a a^(l) + b_a + m H b^(l)),    b^(l+1) = ReLU(W_b b^(l) + b_b + m H a^(l))

for l below the number of crossed layers, H the same both ways (Hu, Zhang and Yang, CIKM 2018); the
layers after have no H. m is 0 where one side has no input, else 1. Each tower ends in one logit.

Both towers read the same user p, the first one an item q beside it, the second one an item r: a^(0) = [p; q] and
b^(0) = [p; r]. So where m is 1 a layer of both is one product, [[W_a, H], [H, W_b]] over [a; b], and the first layer a sum
of three, of p, of q and of r, each made once however many pairs it stands in (`of_users`, `of_first`, `of_second`, `ends`).
Where m is 0 a tower is a plain network, and the other one need not be gone through (`alone`).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

FIRST, SECOND = 0, 1
"""The towers."""


class CrossedTowers(nn.Module):
    """Towers of equal widths, the first layers of them crossed; the users are half of the first width."""

    def __init__(self, widths: Sequence[int], n_crossed: int) -> None:
        super().__init__()
        layers = list(pairwise(widths))
        self._n_users = widths[0] // 2
        self.first = nn.ModuleList(nn.Linear(width, after) for width, after in layers)
        self.second = nn.ModuleList(nn.Linear(width, after) for width, after in layers)
        self.cross = nn.ModuleList(
            nn.Linear(width, after, bias=False) for width, after in layers[:n_crossed]
        )
        self.heads = nn.ModuleList(nn.Linear(widths[-1], 1) for _ in range(2))

    def of_users(self, users: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch both"]:
        """Return the users' part of the first layer of both towers, the first tower's numbers first."""
        block, dim = self._block(0), self._n_users
        width = 2 * dim
        weight = block[:, :dim] + block[:, width : width + dim]
        return linear(users, weight, self._bias(0))

    def of_first(self, items: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch both"]:
        """Return the part of the first tower's items in the first layer of both."""
        return linear(items, self._block(0)[:, self._n_users : 2 * self._n_users])

    def of_second(self, items: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch both"]:
        """Return the part of the second tower's items in the first layer of both."""
        return linear(items, self._block(0)[:, 3 * self._n_users :])

    def ends(
        self, sums: Float[Tensor, "*batch both"]
    ) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """Return the logits of both towers where both have an input, from the sum of the three parts."""
        both = torch.relu(sums)
        for layer in range(1, len(self.first)):
            if layer < len(self.cross):
                both = torch.relu(linear(both, self._block(layer), self._bias(layer)))
            else:
                a, b = both.chunk(2, dim=-1)
                both = torch.relu(torch.cat([self.first[layer](a), self.second[layer](b)], dim=-1))
        a, b = both.chunk(2, dim=-1)
        return self.heads[FIRST](a).squeeze(-1), self.heads[SECOND](b).squeeze(-1)

    def alone(self, tower: int, inputs: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch"]:
        """Return the logits of one tower where the other one has no input: m = 0."""
        for layer in (self.first, self.second)[tower]:
            inputs = torch.relu(layer(inputs))
        found: Tensor = self.heads[tower](inputs)
        return found.squeeze(-1)

    def l1(self) -> Float[Tensor, ""]:
        """Return the sum of |H| over the crossed layers: sparse transfer (SCoNet)."""
        matrices = [matrix.flatten() for matrix in self.cross.parameters()]
        return torch.cat(matrices).abs().sum() if matrices else torch.zeros(())

    def _block(self, layer: int) -> Float[Tensor, "both inputs"]:
        """Return [[W_a, H], [H, W_b]] of a layer; H is 0 where it is not crossed."""
        first, second = (self._linear(tower, layer).weight for tower in (FIRST, SECOND))
        cross = torch.zeros_like(first)
        if layer < len(self.cross):
            cross = self.cross.get_parameter(f"{layer}.weight")
        return torch.cat([torch.cat([first, cross], dim=1), torch.cat([cross, second], dim=1)])

    def _bias(self, layer: int) -> Float[Tensor, " both"]:
        return torch.cat([self._linear(tower, layer).bias for tower in (FIRST, SECOND)])

    def _linear(self, tower: int, layer: int) -> nn.Linear:
        found = (self.first, self.second)[tower][layer]
        assert isinstance(found, nn.Linear)
        return found
