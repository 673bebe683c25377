"""Losses that align users' interests: pairwise similarities across domains, and links within them.

In: vectors of the same users. With a = degrees of freedom, j over the other users of the batch:

    k_ij = (1 + |h_i - h_j|^2 / a)^(-(a + 1) / 2),    sim_ij = k_ij / sum over j' != i of k_ij'
    L_inter = mean or sum over i of sum over j of p_ij log(p_ij / q_ij),    p of the source (no gradient), q of the target
    A_hat   = sigmoid(H W H^T),    L_r = mean or sum over pairs i != j of the cross-entropy of A_hat with A

Zheng et al., DIAGAE, CIKM 2023, eqs. 5 to 8. A user is no neighbour of their own, as in t-SNE. `Reduction` says what the
scale of the two is: the paper prints sums.
"""

from enum import StrEnum

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from typing_extensions import override


class Reduction(StrEnum):
    """What the losses of a batch's n users (eq. 6) and of their pairs (eq. 8) become.

    The rating loss is a mean as printed (eq. 4), eqs. 6 and 8 are sums: n times and n (n - 1) times the means. So weights
    of .8 and .6 say another thing at every batch size, and at the paper's 1,024 pairs the links would outweigh the ratings
    by up to a million. In DIAGAE's world (`benchmarks/worlds_graph.py`, 10 seeds) means with ten times these weights rank
    newcomers best, NDCG@10 .242; means with .8 and .6 reach .235, sums with .8 and .6 .227, neither loss .152.
    """

    MEAN = "mean"
    SUM = "sum"
    """Eqs. 6 and 8 to the letter."""


FEWEST_USERS = 3
"""With two users each is the other's only neighbour: nothing to align."""


def log_similarities(
    vectors: Float[Tensor, "users dim"], degrees_of_freedom: float
) -> Float[Tensor, "users users"]:
    """Return log sim_ij (eq. 5); minus infinity on the diagonal."""
    squares = vectors.square().sum(dim=1)
    distances = (squares[:, None] + squares[None, :] - 2 * vectors @ vectors.T).clamp(min=0)
    exponent = -(degrees_of_freedom + 1) / 2
    kernel = exponent * torch.log1p(distances / degrees_of_freedom)
    alone = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    return torch.log_softmax(kernel.masked_fill(alone, -torch.inf), dim=1)


def alignment_loss(
    source: Float[Tensor, "users dim"],
    target: Float[Tensor, "users dim"],
    degrees_of_freedom: float,
    reduction: Reduction = Reduction.MEAN,
) -> Float[Tensor, ""]:
    """Return L_inter (eq. 6); no gradient goes to `source`, and 0 where there are too few users."""
    if len(source) < FEWEST_USERS:
        return target.sum() * 0.0
    log_p = log_similarities(source.detach(), degrees_of_freedom)
    log_q = log_similarities(target, degrees_of_freedom)
    gap = torch.where(torch.isfinite(log_p), log_p - log_q, 0.0)
    divergences = (log_p.exp() * gap).sum(dim=1)
    return divergences.sum() if reduction is Reduction.SUM else divergences.mean()


class LinkDecoder(nn.Module):
    """Predicts from two users' vectors whether they are linked."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(dim) + 0.01 * torch.randn(dim, dim))

    def log_odds(self, vectors: Float[Tensor, "users dim"]) -> Float[Tensor, "users users"]:
        """Return H W H^T (eq. 7)."""
        return vectors @ self.weight @ vectors.T

    @override
    def forward(
        self,
        vectors: Float[Tensor, "users dim"],
        links: Bool[Tensor, "users users"],
        reduction: Reduction = Reduction.MEAN,
    ) -> Float[Tensor, ""]:
        """Return the cross-entropy of one domain (eq. 8), without the diagonal; 0 for less than two users."""
        other = ~torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
        if not other.any():
            return self.log_odds(vectors).sum() * 0.0
        return binary_cross_entropy_with_logits(
            self.log_odds(vectors)[other], links[other].to(vectors.dtype), reduction=reduction.value
        )
