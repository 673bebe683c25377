"""Several vectors a user, of which the one nearest to an item counts.

    logit(u, i) = max over k of  phi_k(u) . psi_i  +  b_i

Each vector reads its own run of the profile (`training.embedme.reading`): an item need be near one side of a person,
not near the middle of all their sides (MaxP over passages: Dai and Callan, SIGIR 2019; several interests a user: Cen et
al., ComiRec, KDD 2020). What all vectors share, such as tau, may stand in each of them, for it leaves the maximum.

The maximum, not a smooth one, so that an index of inner products can serve it exactly: the best n items of a user are
among the best n of its vectors, one search each (for an item among the best n is among the best n of the vector that
reaches its maximum: whatever that vector has before it, the user has before it too).
"""

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from training.losses import Reduction, losses_of_positives

LOGITS_AT_ONCE = 1 << 24
"""Of all vectors of a chunk of users: 64 MiB in float32. The chunk's logits are computed again for the gradient."""


def best_scores(
    vectors: Float32[np.ndarray, "users vectors dim"], items: Float32[np.ndarray, "items dim"]
) -> Float32[np.ndarray, "users items"]:
    """Return the largest product of each item with a user's vectors; NaN for a user of NaN."""
    scores: np.ndarray = vectors[:, 0] @ items.T
    for number in range(1, vectors.shape[1]):
        np.maximum(scores, vectors[:, number] @ items.T, out=scores)
    return scores


def best_logits(
    vectors: Float[Tensor, "users vectors dim"],
    items: Float[Tensor, "items dim"],
    bias: Float[Tensor, " items"],
) -> Float[Tensor, "users items"]:
    """Return the logits; vectors that reach a maximum together share its gradient."""
    products = (vectors.flatten(0, 1) @ items.T).view(*vectors.shape[:2], len(items))
    logits: Tensor = products.amax(dim=1) + bias
    return logits


def late_softmax(
    vectors: Float[Tensor, "users vectors dim"],
    items: Float[Tensor, "items dim"],
    bias: Float[Tensor, " items"],
    *,
    positive_users: Int64[Tensor, " positives"],
    positive_items: Int64[Tensor, " positives"],
    reduction: Reduction = "sum",
) -> Float[Tensor, " users"]:
    """Return the full-softmax loss of each user over its positives (`training.losses`), by these logits.

    Args:
        vectors: Of each user.
        items: Of all items.
        bias: Added to each item's logit.
        positive_users: Row of `vectors` of each positive.
        positive_items: Row of `items` of each positive.
        reduction: "sum" over a user's positives weighs each interaction alike, "mean" each user.
    """
    n_users, n_vectors = vectors.shape[:2]
    size = max(1, LOGITS_AT_ONCE // max(1, n_vectors * len(items)))
    losses = []
    for start in range(0, n_users, size):
        part = vectors[start : start + size]
        is_own = (positive_users >= start) & (positive_users < start + len(part))
        users, found = positive_users[is_own] - start, positive_items[is_own]
        losses.append(
            checkpoint(_losses, part, items, bias, (users, found), reduction, use_reentrant=False)
        )
    return torch.cat(losses) if losses else vectors.new_zeros(0)


def _losses(
    vectors: Tensor,
    items: Tensor,
    bias: Tensor,
    positives: tuple[Tensor, Tensor],
    reduction: Reduction,
) -> Tensor:
    logits = best_logits(vectors, items, bias)
    total = logits.logsumexp(dim=1)
    return losses_of_positives(total, logits[positives], positives[0], reduction)
