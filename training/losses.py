"""Full softmax over all items for users with several positives, without a users x items matrix in memory.

For a user vector u with positives P among item vectors v and item biases b (paper eq. 9 summed over P;
Yuan et al., MeKB-Rec, KaRS 2023, section 3.2.3):

    loss(u) = sum over p in P of  -log( exp(u.v_p + b_p) / sum_j exp(u.v_j + b_j) )
            = |P| log Z(u) - sum over p in P of (u.v_p + b_p)

Only log Z touches all items. It is summed chunk by chunk of items with a running maximum, and its gradient,
softmax(u)_j dlogZ/ds_j, is recomputed by the same chunks: memory is users x chunk at any catalogue size.

The products of a chunk may be taken in bfloat16 (`Products.BF16`), sums, exponentials and the positives' own logits
staying as they are. A logit is then rounded to 8 bits: log Z moves by less than 2^-8 of the largest |u.v_j|, in
practice far less, for over many items the roundings cancel.
"""

from enum import StrEnum
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from typing_extensions import override

ITEMS_AT_ONCE = 2048
"""Items a chunk: 1,024 users take 8 MiB of float32 logits. Of 512 to 25,000 the fastest on a processor with 2 MiB of
cache a core (`benchmarks/softmax.py`), by a twentieth."""
KEPT_BYTES = 2**28
"""Exponentials of bfloat16 products are kept for the gradient up to this size, instead of computed twice."""

Reduction = Literal["sum", "mean"]


class Products(StrEnum):
    """In what the products of users with all items are taken."""

    EXACT = "exact"
    """In the vectors' own type."""
    BF16 = "bf16"
    """In bfloat16; about three times as fast where the processor has instructions for it."""


class Chunks(NamedTuple):
    """How log Z is gone through."""

    size: int = ITEMS_AT_ONCE
    """Items a chunk."""
    products: Products = Products.EXACT


class Partition(NamedTuple):
    """What going through all items left behind."""

    total: Float[Tensor, " users"]
    """log Z of each user."""
    kept: tuple[Tensor, ...]
    """Of each chunk exp(s - h), shape (users, items of the chunk), and h, the highest logit of each user; or
    nothing, where that took too much memory: then the logits are computed once more for the gradient."""


def log_partition(
    users: Float[Tensor, "users dim"],
    items: Float[Tensor, "items dim"],
    bias: Float[Tensor, " items"],
    chunks: Chunks,
) -> Partition:
    """Return log sum_j exp(u.v_j + b_j) of each user; minus infinity over no items."""
    total = users.new_full((len(users),), -torch.inf)
    factors = _factors(users, chunks)
    n_bytes = len(users) * len(items) * factors.element_size()
    keeps = chunks.products is Products.BF16 and n_bytes <= KEPT_BYTES
    kept: list[Tensor] = []
    for start in range(0, len(items), chunks.size):
        part = slice(start, start + chunks.size)
        logits = _logits(factors, items[part], bias[part])
        highest = logits.amax(dim=1)
        exps = logits.sub_(highest[:, None]).exp_()
        total = torch.logaddexp(total, exps.sum(dim=1).log_().add_(highest))
        if keeps:
            kept += [exps.to(factors.dtype), highest]
    return Partition(total, tuple(kept))


def log_partition_gradients(
    users: Float[Tensor, "users dim"],
    items: Float[Tensor, "items dim"],
    bias: Float[Tensor, " items"],
    weight: Float[Tensor, " users"],
    found: Partition,
    chunks: Chunks,
) -> tuple[Float[Tensor, "users dim"], Float[Tensor, "items dim"], Float[Tensor, " items"]]:
    """Return the gradients of sum_u weight(u) log Z(u) by users, items and bias.

    With e = exp(s - h) kept, softmax = e exp(h - log Z): one factor a user, which is laid upon vectors, not upon
    the users x items matrix.
    """
    d_users, d_items = torch.zeros_like(users), torch.empty_like(items)
    d_bias = torch.empty_like(bias)
    factors = _factors(users, chunks)
    for number, start in enumerate(range(0, len(items), chunks.size)):
        part = slice(start, start + chunks.size)
        if found.kept:
            exps, highest = found.kept[2 * number : 2 * number + 2]
            scale = weight * (highest - found.total).exp_()
        else:
            logits = _logits(factors, items[part], bias[part])
            exps, scale = logits.sub_(found.total[:, None]).exp_().to(factors.dtype), weight
        d_bias[part] = exps.T @ scale.to(factors.dtype)
        d_users.addcmul_(exps @ items[part].to(factors.dtype), scale[:, None])
        d_items[part] = exps.T @ (users * scale[:, None]).to(factors.dtype)
    return d_users, d_items, d_bias


def _factors(users: Tensor, chunks: Chunks) -> Tensor:
    """Return the user vectors as they enter products."""
    return users.bfloat16() if chunks.products is Products.BF16 else users


def _logits(factors: Tensor, items: Tensor, bias: Tensor) -> Tensor:
    """Return the logits of a chunk, in the type of `items`."""
    if factors.dtype == items.dtype:
        return torch.addmm(bias, factors, items.T)
    return bias + factors @ items.to(factors.dtype).T


class PartitionAndLogits(torch.autograd.Function):
    """log Z of each user and the logits of its positives, in one: the items' gradient is then written once.

    (Left to autograd, `items[positives]` would make a second gradient as large as the table, and add the two.)
    """

    @staticmethod
    @override
    def forward(
        ctx: Any,
        users: Tensor,
        items: Tensor,
        bias: Tensor,
        positives: tuple[Tensor, Tensor],
        chunks: Chunks,
    ) -> tuple[Tensor, Tensor]:
        """Return log Z, shape (users,), and logits, shape (positives,)."""
        found = log_partition(users, items, bias, chunks)
        ctx.save_for_backward(users, items, bias, *positives, found.total, *found.kept)
        ctx.chunks = chunks
        return found.total, logits_of(users, items, bias, *positives)

    @staticmethod
    @override
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Return the gradients of users, items and bias."""
        users, items, bias, asked, found, total, *kept = ctx.saved_tensors
        gradients = log_partition_gradients(
            users, items, bias, grad_outputs[0], Partition(total, tuple(kept)), ctx.chunks
        )
        add_logits_gradients(gradients, (users, items), (asked, found), grad_outputs[1])
        return *gradients, None, None


def logits_of(
    users: Float[Tensor, "users dim"],
    items: Float[Tensor, "items dim"],
    bias: Float[Tensor, " items"],
    asked: Int64[Tensor, " pairs"],
    found: Int64[Tensor, " pairs"],
) -> Float[Tensor, " pairs"]:
    """Return the logits of pairs of a row of users (`asked`) and a row of items (`found`)."""
    return (users[asked] * items[found]).sum(dim=1) + bias[found]


def add_logits_gradients(
    gradients: tuple[Tensor, Tensor, Tensor],
    vectors: tuple[Tensor, Tensor],
    pairs: tuple[Tensor, Tensor],
    weight: Float[Tensor, " pairs"],
) -> None:
    """Add to the gradients of users, items and bias those of the sum of `weight` times `logits_of`."""
    (d_users, d_items, d_bias), (users, items), (asked, found) = gradients, vectors, pairs
    d_users.index_add_(0, asked, weight[:, None] * items[found])
    d_items.index_add_(0, found, weight[:, None] * users[asked])
    d_bias.index_add_(0, found, weight)


def full_softmax(  # noqa: PLR0913  (two vectors, a bias and the positives in coordinate form: the formula)
    users: Float[Tensor, "users dim"],
    items: Float[Tensor, "items dim"],
    bias: Float[Tensor, " items"],
    *,
    positive_users: Int64[Tensor, " positives"],
    positive_items: Int64[Tensor, " positives"],
    reduction: Reduction = "sum",
    chunk: int = ITEMS_AT_ONCE,
    products: Products = Products.EXACT,
) -> Float[Tensor, " users"]:
    """Return the loss of each user over its positives; a user without any has loss 0.

    Args:
        users: User vectors; what autocast made half precision is taken in the items' dtype.
        items: Vectors of all items (float32 or float64).
        bias: Added to each item's logit; likewise.
        positive_users: Row of `users` of each positive.
        positive_items: Row of `items` of each positive.
        reduction: "sum" over a user's positives weighs each interaction alike, "mean" each user.
        chunk: Items a chunk.
        products: In what the products with all items are taken, also under autocast.
    """
    positives = (positive_users, positive_items)
    with torch.autocast(users.device.type, enabled=False):
        total, logits = PartitionAndLogits.apply(  # type: ignore[no-untyped-call]  # torch's stub
            users.to(items.dtype), items, bias.to(items.dtype), positives, Chunks(chunk, products)
        )
    return losses_of_positives(total, logits, positive_users, reduction)


def losses_of_positives(
    total: Float[Tensor, " users"],
    logits: Float[Tensor, " positives"],
    positive_users: Int64[Tensor, " positives"],
    reduction: Reduction,
) -> Float[Tensor, " users"]:
    """Return the loss of each user, given log Z and the logits of its positives."""
    each = total[positive_users] - logits
    losses = total.new_zeros(len(total)).index_add(0, positive_users, each)
    if reduction == "sum":
        return losses
    n_positives = torch.bincount(positive_users, minlength=len(total)).clamp(min=1)
    return losses / n_positives
