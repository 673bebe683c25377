"""Softmax over a sample of the items, corrected for how the sample was drawn.

For catalogues so large that even the chunked full softmax is too dear. In each step item j is drawn with chance
pi_j, independently of the others (Poisson sampling), pi_j in proportion to a proposal q but at most 1, so that
`n_expected` items come on average. With S the items drawn and P the positives of user u:

    Z^(u) = sum over p in P of exp(s_p)  +  sum over j in S without P of exp(s_j - log pi_j)
    loss(u) = |P| log Z^(u) - sum over p in P of s_p

Subtracting log pi_j ("logQ correction": Bengio and Senecal, IEEE TNN 2008; Yi et al., RecSys 2019) makes Z^ an unbiased estimate
of Z (Horvitz and Thompson, JASA 1952); log Z^ is a little low on average, by about var(Z^) / (2 Z^2). Drawn with chance 1,
all items give the full softmax itself. An item drawn that is a positive counts once, as positive.
"""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from training.losses import Reduction, losses_of_positives


def inclusion_chances(
    proposal: Float[Tensor, " items"], n_expected: int
) -> Float[Tensor, " items"]:
    """Return pi: in proportion to `proposal`, cut at 1, summing to `n_expected` (or all 1 for fewer items).

    Args:
        proposal: Positive weights.
        n_expected: Items drawn on average.

    >>> inclusion_chances(torch.tensor([8.0, 1.0, 1.0, 2.0]), 2).tolist()
    [1.0, 0.25, 0.25, 0.5]
    """
    if n_expected >= len(proposal):
        return torch.ones_like(proposal)
    is_sure = torch.zeros(len(proposal), dtype=torch.bool, device=proposal.device)
    while True:
        left = n_expected - int(is_sure.sum())
        chances = proposal * (left / proposal[~is_sure].sum())
        over = (chances >= 1) & ~is_sure
        if not over.any():
            return torch.where(is_sure, torch.ones_like(chances), chances)
        is_sure |= over


def draw_items(chances: Float[Tensor, " items"]) -> Int64[Tensor, " drawn"]:
    """Return the rows of the items drawn, by torch's random numbers; ascending."""
    return torch.nonzero(torch.rand_like(chances) < chances).flatten()


def sampled_softmax(  # noqa: PLR0913  (as `full_softmax`, and what was drawn)
    users: Float[Tensor, "users dim"],
    items: Float[Tensor, "items dim"],
    bias: Float[Tensor, " items"],
    *,
    positive_users: Int64[Tensor, " positives"],
    positive_items: Int64[Tensor, " positives"],
    drawn: Int64[Tensor, " drawn"],
    chances: Float[Tensor, " items"],
    reduction: Reduction = "sum",
) -> Float[Tensor, " users"]:
    """Return the loss of each user over its positives; a user without any has loss 0.

    Args:
        users: User vectors.
        items: Vectors of all items; only those drawn and the positives are touched.
        bias: Added to each item's logit.
        positive_users: Row of `users` of each positive, each pair once.
        positive_items: Row of `items` of each positive.
        drawn: Rows of the items drawn, ascending, the same for all users.
        chances: pi of every item.
        reduction: As in `full_softmax`.
    """
    rows = items[
        torch.cat([drawn, positive_items])
    ]  # taken once: the gradient is as large as the table
    logits = users @ rows[: len(drawn)].T + (bias[drawn] - chances[drawn].log())
    own = (users[positive_users] * rows[len(drawn) :]).sum(dim=1) + bias[positive_items]
    hit_users, hit_columns = _hits(drawn, positive_users, positive_items)
    logits = logits.index_put((hit_users, hit_columns), logits.new_tensor(-math.inf))
    n_most = int(torch.bincount(positive_users, minlength=1).max()) if len(own) else 0
    beside = logits.new_full((len(users), n_most), -math.inf)
    beside = beside.index_put((positive_users, _place(positive_users, len(users))), own)
    both = torch.cat([logits, beside], dim=1)
    has_any = torch.isfinite(both).any(dim=1)
    both = torch.where(
        has_any[:, None], both, torch.zeros_like(both)
    )  # nothing to sum: not a NaN gradient
    return losses_of_positives(both.logsumexp(dim=1), own, positive_users, reduction)


def _hits(drawn: Tensor, positive_users: Tensor, positive_items: Tensor) -> tuple[Tensor, Tensor]:
    """Return where (user, column of `drawn`) the drawn items are the user's positives."""
    if not len(drawn):
        return positive_users[:0], positive_users[:0]
    place = torch.searchsorted(drawn, positive_items).clamp(max=len(drawn) - 1)
    is_hit = drawn[place] == positive_items
    return positive_users[is_hit], place[is_hit]


def _place(owner: Tensor, n_owners: int) -> Tensor:
    """Return the number of each entry among its owner's, from 0."""
    order = torch.argsort(owner, stable=True)
    counts = torch.bincount(owner, minlength=n_owners)
    first = counts.cumsum(0) - counts
    place = torch.empty_like(owner)
    place[order] = torch.arange(len(owner), device=owner.device) - first[owner[order]]
    return place
