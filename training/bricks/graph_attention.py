"""Graph attention from users to the items around them: one layer on a bipartite graph, in plain torch.

    e_ui = LeakyReLU_0.2(a . [W_U h_u || W_I h_i]),    alpha_ui = softmax of e_ui over i in N_u
    h'_u = sigma(sum over i in N_u of alpha_ui h_i + h_u)

Zheng et al., DIAGAE, CIKM 2023, eqs. 1 and 2, after Velickovic et al., ICLR 2018. The projections are one a node
type (the paper writes W for both, and says that the types' spaces differ); as in eq. 2 they make the attention
only, and what is summed are the vectors themselves. sigma is ELU, that of GAT: the paper leaves it open. One head.
A user without neighbours keeps sigma(h_u).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import elu, leaky_relu
from typing_extensions import override

SLOPE = 0.2
"""Of LeakyReLU below 0 (section 2.3)."""


class Edges(NamedTuple):
    """Which users see which items."""

    users: Int64[Tensor, " edges"]
    """Places among the users at hand."""
    items: Int64[Tensor, " edges"]
    """Item rows."""


def segment_softmax(
    scores: Float[Tensor, " edges"], segments: Int64[Tensor, " edges"], n_segments: int
) -> Float[Tensor, " edges"]:
    """Return the softmax of `scores` within each segment.

    >>> segment_softmax(torch.tensor([0.0, 0.0, 5.0]), torch.tensor([0, 0, 2]), 3)
    tensor([0.5000, 0.5000, 1.0000])
    """
    greatest = scores.new_full((n_segments,), -torch.inf)
    greatest = greatest.scatter_reduce(0, segments, scores.detach(), "amax")
    shares = torch.exp(scores - greatest[segments])
    total = shares.new_zeros(n_segments).index_add(0, segments, shares)
    return shares / total[segments]


class GraphAttention(nn.Module):
    """The layer's weights: a projection of each node type, and the attention vector."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.user_projection = nn.Linear(dim, dim, bias=False)
        self.item_projection = nn.Linear(dim, dim, bias=False)
        self.attention = nn.Linear(2 * dim, 1, bias=False)

    def shares(
        self, users: Float[Tensor, "users dim"], items: Float[Tensor, "items dim"], edges: Edges
    ) -> Float[Tensor, " edges"]:
        """Return alpha of each edge (eq. 1)."""
        of_user, of_item = self.attention.weight[0].chunk(2)
        score = (self.user_projection(users) @ of_user)[edges.users]
        score = score + (self.item_projection(items) @ of_item)[edges.items]
        return segment_softmax(leaky_relu(score, SLOPE), edges.users, len(users))

    @override
    def forward(
        self, users: Float[Tensor, "users dim"], items: Float[Tensor, "items dim"], edges: Edges
    ) -> Float[Tensor, "users dim"]:
        """Return h' of the users (eq. 2)."""
        messages = self.shares(users, items, edges)[:, None] * items[edges.items]
        return elu(users.index_add(0, edges.users, messages))


class GraphEncoder(nn.Module):
    """One domain: a vector of its own for each user and item, and the attention between them."""

    def __init__(self, n_users: int, n_items: int, dim: int, init_scale: float) -> None:
        super().__init__()
        self.users = nn.Parameter(init_scale * torch.randn(n_users, dim))
        self.items = nn.Parameter(init_scale * torch.randn(n_items, dim))
        self.layer = GraphAttention(dim)

    @override
    def forward(self, rows: Int64[Tensor, " users"], edges: Edges) -> Float[Tensor, "users dim"]:
        """Return h' of users by row; a row below 0 has no vector of its own, and enters as 0."""
        known = (rows >= 0)[:, None]
        own = torch.where(known, self.users[rows.clamp(min=0)], 0.0)
        used, places = torch.unique(edges.items, return_inverse=True)
        encoded: Tensor = self.layer(own, self.items[used], Edges(edges.users, places))
        return encoded
