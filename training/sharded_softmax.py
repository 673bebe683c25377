"""The exact full softmax over an item table whose rows lie on several ranks.

In: on each rank its own users and its own rows of the table. Out: the loss of `training.losses` for those users,
over all items of all ranks, and gradients as on one process. With u all users of all ranks, gathered, and Z_r the
partition over the rows of rank r:

    log Z(u) = logsumexp_r log Z_r(u)                  one number a user and rank is exchanged
    s(u, p)  = sum_r [p on rank r] (u.v_p + b_p)       one number a positive
    d v_j    = sum_u w(u) softmax(u)_j u               the owner has all it needs: nothing is exchanged
    d u      = sum_r sum_{j on r} w(u) softmax(u)_j v_j      one vector a user

so the table and its gradient never move, whatever the catalogue's size; memory is that of the chunked loss.
Every rank must call together, a rank without users by `ShardedTable.idle`.
"""

from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Float, Int64
from torch import Tensor, nn
from typing_extensions import override

from training.losses import (
    ITEMS_AT_ONCE,
    Chunks,
    Partition,
    Products,
    Reduction,
    add_logits_gradients,
    log_partition,
    log_partition_gradients,
    logits_of,
    losses_of_positives,
)


class Shard(NamedTuple):
    """Which rows of a table this rank holds: `start` to `stop` of `n_rows`."""

    start: int
    stop: int
    n_rows: int

    @staticmethod
    def of_rank(n_rows: int, rank: int, n_ranks: int) -> "Shard":
        """Return the rows of a rank: equal parts in order, the first ones a row longer where it does not divide.

        >>> [tuple(Shard.of_rank(5, rank, 2))[:2] for rank in range(2)]
        [(0, 3), (3, 5)]
        """
        size, longer = divmod(n_rows, n_ranks)
        start = rank * size + min(rank, longer)
        return Shard(start, start + size + (rank < longer), n_rows)


class ShardedTable(nn.Module):
    """The rows of an item table that this rank holds, with a bias each.

    `training.ranks` leaves the parameters out of what ranks share: no sum of gradients, no broadcast.
    """

    def __init__(self, rows: Tensor, bias: Tensor, shard: Shard) -> None:
        """Keep a rank's rows.

        Args:
            rows: Shape (rows of the shard, dim).
            bias: Shape (rows of the shard,).
            shard: Which rows they are.
        """
        super().__init__()
        self.rows, self.bias = nn.Parameter(rows), nn.Parameter(bias)
        self.shard = shard

    def loss(
        self,
        users: Float[Tensor, "users dim"],
        *,
        positive_users: Int64[Tensor, " positives"],
        positive_items: Int64[Tensor, " positives"],
        reduction: Reduction = "sum",
        chunks: Chunks | None = None,
    ) -> Float[Tensor, " users"]:
        """Return the loss of this rank's users; see `sharded_softmax`."""
        return sharded_softmax(
            users,
            self.rows,
            self.bias,
            self.shard,
            positive_users=positive_users,
            positive_items=positive_items,
            reduction=reduction,
            chunks=chunks,
        )

    def idle(self) -> Float[Tensor, ""]:
        """Take part in the other ranks' step without a user of one's own; its backward pass must run too."""
        nobody = self.rows.new_zeros((0, self.rows.shape[1]), requires_grad=True)
        none = torch.zeros(0, dtype=torch.int64, device=self.rows.device)
        return self.loss(nobody, positive_users=none, positive_items=none).sum()

    @torch.no_grad()
    def gathered(self) -> tuple[Float[Tensor, "items dim"], Float[Tensor, " items"]]:
        """Return all rows and biases of all ranks, on the host of every rank."""
        rows = _gather_objects((self.rows.detach().cpu(), self.bias.detach().cpu()))
        return torch.cat([one[0] for one in rows]), torch.cat([one[1] for one in rows])


class _Gathered(NamedTuple):
    """The users and positives of all ranks, and where this rank's own are among them."""

    users: Tensor
    positive_users: Tensor
    positive_items: Tensor
    own_users: slice
    own_positives: slice


class _ShardedLogits(torch.autograd.Function):
    """log Z of this rank's users and the logits of their positives, over the rows of all ranks."""

    @staticmethod
    @override
    def forward(
        ctx: Any,
        users: Tensor,
        rows: Tensor,
        bias: Tensor,
        positives: tuple[Tensor, Tensor],
        shard: Shard,
        chunks: Chunks,
    ) -> tuple[Tensor, Tensor]:
        """Return log Z, shape (users,), and logits, shape (positives,)."""
        all_ = _gather(users, *positives)
        own = log_partition(all_.users, rows, bias, chunks)
        total = _logsumexp_over_ranks(own.total)
        is_own = (all_.positive_items >= shard.start) & (all_.positive_items < shard.stop)
        asked, found = all_.positive_users[is_own], all_.positive_items[is_own] - shard.start
        logits = all_.users.new_zeros(len(all_.positive_users))
        logits[is_own] = logits_of(all_.users, rows, bias, asked, found)
        _sum_over_ranks(logits)
        ctx.save_for_backward(all_.users, rows, bias, asked, found, is_own, total, *own.kept)
        ctx.own, ctx.chunks = (all_.own_users, all_.own_positives), chunks
        return total[all_.own_users].clone(), logits[all_.own_positives].clone()

    @staticmethod
    @override
    def backward(
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None, None, None]:
        """Return the gradients of own users, of own rows for all users, and of own biases."""
        users, rows, bias, asked, found, is_own, total, *kept = ctx.saved_tensors
        d_total, d_logits = (_gather_rows(one) for one in grad_outputs)
        gradients = log_partition_gradients(
            users, rows, bias, d_total, Partition(total, tuple(kept)), ctx.chunks
        )
        add_logits_gradients(gradients, (users, rows), (asked, found), d_logits[is_own])
        d_users, d_rows, d_bias = gradients
        _sum_over_ranks(d_users)
        own_users, _ = ctx.own
        return d_users[own_users].clone(), d_rows, d_bias, None, None, None


def sharded_softmax(  # noqa: PLR0913  (as `full_softmax`, and which rows these are)
    users: Float[Tensor, "users dim"],
    rows: Float[Tensor, "rows dim"],
    bias: Float[Tensor, " rows"],
    shard: Shard,
    *,
    positive_users: Int64[Tensor, " positives"],
    positive_items: Int64[Tensor, " positives"],
    reduction: Reduction = "sum",
    chunks: Chunks | None = None,
) -> Float[Tensor, " users"]:
    """Return the loss of each of this rank's users over its positives; a user without any has loss 0.

    Args:
        users: This rank's user vectors.
        rows: This rank's item vectors.
        bias: This rank's item biases.
        shard: Which rows of the whole table they are.
        positive_users: Row of `users` of each positive.
        positive_items: Row of the *whole* table of each positive.
        reduction: As in `full_softmax`.
        chunks: How a rank goes through its rows.
    """
    positives = (positive_users, positive_items)
    total, logits = _ShardedLogits.apply(  # type: ignore[no-untyped-call]  # torch's stub
        users, rows, bias, positives, shard, chunks or Chunks(ITEMS_AT_ONCE, Products.EXACT)
    )
    return losses_of_positives(total, logits, positive_users, reduction)


def _gather(users: Tensor, positive_users: Tensor, positive_items: Tensor) -> _Gathered:
    """Return what all ranks ask for, their users numbered through."""
    n_users, n_positives = _counts(len(users)), _counts(len(positive_users))
    rank = dist.get_rank() if dist.is_initialized() else 0
    first_user, first_positive = sum(n_users[:rank]), sum(n_positives[:rank])
    return _Gathered(
        _gather_rows(users.detach(), n_users),
        _gather_rows(positive_users + first_user, n_positives),
        _gather_rows(positive_items, n_positives),
        slice(first_user, first_user + len(users)),
        slice(first_positive, first_positive + len(positive_users)),
    )


def _counts(n_own: int) -> list[int]:
    """Return the numbers of all ranks."""
    return _gather_objects(n_own)


def _gather_rows(own: Tensor, n_rows: list[int] | None = None) -> Tensor:
    """Return the rows of all ranks under one another; ranks may have different numbers of them."""
    if not dist.is_initialized():
        return own
    n_rows = n_rows or _counts(len(own))
    padded = own.new_zeros((max(n_rows), *own.shape[1:]))
    padded[: len(own)] = own
    found = [torch.empty_like(padded) for _ in n_rows]
    dist.all_gather(found, padded)
    return torch.cat([one[:n] for one, n in zip(found, n_rows, strict=True)])


def _gather_objects(own: Any) -> list[Any]:  # noqa: ANN401  (numbers and pairs of tensors)
    if not dist.is_initialized():
        return [own]
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, own)
    return found


def _sum_over_ranks(values: Tensor) -> None:
    """Replace `values` by their sum over ranks."""
    if dist.is_initialized():
        dist.all_reduce(values)


def _logsumexp_over_ranks(own: Tensor) -> Tensor:
    """Return the logsumexp over ranks of one number a user."""
    if not dist.is_initialized():
        return own
    highest = own.clone()
    dist.all_reduce(highest, op=dist.ReduceOp.MAX)
    total = (own - highest).exp_()
    dist.all_reduce(total)
    return total.log_().add_(highest)
