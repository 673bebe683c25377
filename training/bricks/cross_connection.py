"""Two towers, one a domain, that lend each other what they know through one matrix a layer.

    a^(l+1) = ReLU(W_a a^(l) + b_a + m H b^(l)),    b^(l+1) = ReLU(W_b b^(l) + b_b + m H a^(l))

for l below the number of crossed layers, H the same both ways (Hu, Zhang and Yang, CIKM 2018); the
layers after have no H. m is 0 where one side has no input, else 1. Each tower ends in one logit.

Both towers read the same user p, the first one an item q beside it, the second one an item r: a^(0) = [p; q] and
b^(0) = [p; r]. So where m is 1 a layer of both is one product, [[W_a, H], [H, W_b]] over [a; b], and the first layer a sum
of three, of p, of q and of r, each made once however many pairs it stands in (`first_layer`, `ends`).
Where m is 0 a tower is a plain network, and the other one need not be gone through (`alone`).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

FIRST, SECOND = 0, 1
"""The towers."""


class FirstLayer(NamedTuple):
    """The first layer of both towers, the first one's numbers first: the sum of three products, and what is added."""

    users: Float[Tensor, "both dim"]
    first: Float[Tensor, "both dim"]
    """Of the first tower's items."""
    second: Float[Tensor, "both dim"]
    bias: Float[Tensor, " both"]

    def of_users(self, users: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch both"]:
        """Return the users' part, and what is added."""
        return linear(users, self.users, self.bias)

    def of_first(self, items: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch both"]:
        """Return the part of the first tower's items."""
        return linear(items, self.first)

    def of_second(self, items: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch both"]:
        """Return the part of the second tower's items."""
        return linear(items, self.second)


class CrossedTowers(nn.Module):
    """Towers of equal widths, the first layers of them crossed; users are the first half of what they read."""

    def __init__(self, widths: Sequence[int], n_crossed: int) -> None:
        super().__init__()
        layers = list(pairwise(widths))
        self.first = nn.ModuleList(nn.Linear(width, after) for width, after in layers)
        self.second = nn.ModuleList(nn.Linear(width, after) for width, after in layers)
        self.cross = nn.ModuleList(
            nn.Linear(width, after, bias=False) for width, after in layers[:n_crossed]
        )
        self.heads = nn.ModuleList(nn.Linear(widths[-1], 1) for _ in range(2))

    def first_layer(self) -> "FirstLayer":
        """Return what the first layer of both towers does with users and with either's items, where m is 1."""
        linears = [self._linear(tower, 0) for tower in (FIRST, SECOND)]
        (a_users, a_items), (b_users, b_items) = (one.weight.chunk(2, dim=1) for one in linears)
        cross = self._cross(0)
        of_users, of_items = cross.chunk(2, dim=1)
        return FirstLayer(
            torch.cat([a_users + of_users, b_users + of_users]),
            torch.cat([a_items, of_items]),
            torch.cat([of_items, b_items]),
            self._bias(0),
        )

    def ends(
        self, sums: Float[Tensor, "*batch both"]
    ) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """Return the logits of both towers where both have an input, from the sum of the three parts."""
        both = torch.relu(sums)
        for layer in range(1, len(self.first)):
            if layer < len(self.cross):
                both = linear(both, self._block(layer), self._bias(layer)).relu_()
            else:
                a, b = both.chunk(2, dim=-1)
                both = torch.relu(torch.cat([self.first[layer](a), self.second[layer](b)], dim=-1))
        a, b = both.chunk(2, dim=-1)
        return self.heads[FIRST](a).squeeze(-1), self.heads[SECOND](b).squeeze(-1)

    def alone(self, tower: int, inputs: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch"]:
        """Return the logits of one tower where the other one has no input: m = 0."""
        for layer in (self.first, self.second)[tower]:
            inputs = layer(inputs).relu_()
        found: Tensor = self.heads[tower](inputs)
        return found.squeeze(-1)

    def l1(self) -> Float[Tensor, ""]:
        """Return the sum of |H| over the crossed layers: sparse transfer (SCoNet)."""
        matrices = [matrix.flatten() for matrix in self.cross.parameters()]
        return torch.cat(matrices).abs().sum() if matrices else torch.zeros(())

    def _block(self, layer: int) -> Float[Tensor, "both inputs"]:
        """Return [[W_a, H], [H, W_b]] of a layer."""
        first, second = (self._linear(tower, layer).weight for tower in (FIRST, SECOND))
        cross = self._cross(layer)
        return torch.cat([torch.cat([first, cross], dim=1), torch.cat([cross, second], dim=1)])

    def _cross(self, layer: int) -> Float[Tensor, "outputs inputs"]:
        """Return H of a layer; 0 where it is not crossed."""
        if layer < len(self.cross):
            return self.cross.get_parameter(f"{layer}.weight")
        return torch.zeros_like(self._linear(FIRST, layer).weight)

    def _bias(self, layer: int) -> Float[Tensor, " both"]:
        return torch.cat([self._linear(tower, layer).bias for tower in (FIRST, SECOND)])

    def _linear(self, tower: int, layer: int) -> nn.Linear:
        found = (self.first, self.second)[tower][layer]
        assert isinstance(found, nn.Linear)
        return found
