"""Full softmax over all items for users with several positives, without a users x items matrix in memory.

For a user vector u with positives P among item vectors v and item biases b (paper eq. 9 summed over P;
Yuan et al., MeKB-Rec, KaRS 2023, section 3.2.3):

    loss(u) = sum over p in P of  -log( exp(u.v_p + b_p) / sum_j exp(u.v_j + b_j) )
            = |P| log Z(u) - sum over p in P of (u.v_p + b_p)

Only log Z touches all items. It is summed chunk by chunk of items with a running maximum, and its gradient,
softmax(u)_j dlogZ/ds_j, is recomputed by the same chunks: memory is users x chunk at any catalogue size.
"""

from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from typing_extensions import override

ITEMS_AT_ONCE = 8192
"""Items a chunk: 1,024 users take 32 MiB of float32 logits."""

Reduction = Literal["sum", "mean"]


class LogPartition(torch.autograd.Function):
    """log sum_j exp(u.v_j + b_j) of each user, by chunks of items."""

    @staticmethod
    @override
    def forward(ctx: Any, users: Tensor, items: Tensor, bias: Tensor, chunk: int) -> Tensor:
        """Return the log partition of each row of `users`."""
        total = users.new_full((len(users),), -torch.inf)
        for start in range(0, len(items), chunk):
            logits = users @ items[start : start + chunk].T + bias[start : start + chunk]
            total = torch.logaddexp(total, logits.logsumexp(dim=1))
        ctx.save_for_backward(users, items, bias, total)
        ctx.chunk = chunk
        return total

    @staticmethod
    @override
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return the gradients of users, items and bias."""
        users, items, bias, total = ctx.saved_tensors
        weight = grad_outputs[0][:, None]
        d_users, d_items = torch.zeros_like(users), torch.empty_like(items)
        d_bias = torch.empty_like(bias)
        for start in range(0, len(items), ctx.chunk):
            part = slice(start, start + ctx.chunk)
            logits = users @ items[part].T + bias[part]
            softmax = logits.sub_(total[:, None]).exp_().mul_(weight)
            d_users += softmax @ items[part]
            d_items[part] = softmax.T @ users
            d_bias[part] = softmax.sum(dim=0)
        return d_users, d_items, d_bias, None


def full_softmax(  # noqa: PLR0913  (two vectors, a bias and the positives in coordinate form: the formula)
    users: Float[Tensor, "users dim"],
    items: Float[Tensor, "items dim"],
    bias: Float[Tensor, " items"],
    *,
    positive_users: Int64[Tensor, " positives"],
    positive_items: Int64[Tensor, " positives"],
    reduction: Reduction = "sum",
    chunk: int = ITEMS_AT_ONCE,
) -> Float[Tensor, " users"]:
    """Return the loss of each user over its positives; a user without any has loss 0.

    Args:
        users: User vectors, one dtype with `items` and `bias` (float32 or float64; not under autocast).
        items: Vectors of all items.
        bias: Added to each item's logit.
        positive_users: Row of `users` of each positive.
        positive_items: Row of `items` of each positive.
        reduction: "sum" over a user's positives weighs each interaction alike, "mean" each user.
        chunk: Items a chunk.
    """
    log_partition: Tensor = LogPartition.apply(users, items, bias, chunk)  # type: ignore[no-untyped-call]  # torch's stub
    logits = (users[positive_users] * items[positive_items]).sum(dim=1) + bias[positive_items]
    each = log_partition[positive_users] - logits
    losses = users.new_zeros(len(users)).index_add(0, positive_users, each)
    if reduction == "sum":
        return losses
    n_positives = torch.bincount(positive_users, minlength=len(users)).clamp(min=1)
    return losses / n_positives
