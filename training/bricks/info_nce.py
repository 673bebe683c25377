"""InfoNCE: tell the positive of an anchor from the negatives (van den Oord et al., arXiv:1807.03748, 2018).

For anchors a_k with positives p_k, negatives m and a temperature t, sim the dot product (give unit vectors,
and it is the cosine):

    in-batch    loss(k) = -log( exp(a_k.p_k / t) / sum_i exp(a_k.p_i / t) )
    against m   loss(k) = -log( exp(a_k.p_k / t) / (exp(a_k.p_k / t) + sum_i exp(a_k.m_i / t)) )

In the first, the positives of the other anchors are the negatives; in the second, some may be left out for an anchor.
The losses of single anchors are returned: a paper's sum or mean over them is the caller's.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def info_nce(
    anchors: Float[Tensor, "batch dim"],
    positives: Float[Tensor, "batch dim"],
    temperature: float,
) -> Float[Tensor, " batch"]:
    """Return the loss of each anchor among the positives of the batch.

    >>> unit = torch.eye(2)
    >>> [round(float(one), 4) for one in info_nce(unit, unit, temperature=1.0)]
    [0.3133, 0.3133]
    """
    logits = anchors @ positives.T / temperature
    losses: Tensor = logits.logsumexp(dim=1) - logits.diagonal()
    return losses


def info_nce_both_ways(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    temperature: float,
) -> Float[Tensor, " batch"]:
    """Return for each pair the sum of the losses with either side as the anchor."""
    return info_nce(first, second, temperature) + info_nce(second, first, temperature)


def info_nce_against(
    anchors: Float[Tensor, "batch dim"],
    positives: Float[Tensor, "batch dim"],
    negatives: Float[Tensor, "negatives dim"],
    temperature: float,
    left_out: Int64[Tensor, "batch few"] | None = None,
) -> Float[Tensor, " batch"]:
    """Return the loss of each anchor with one positive of its own among negatives that all share.

    Args:
        anchors: What is to be near its positive.
        positives: One an anchor.
        negatives: What it is to be far from.
        temperature: Similarities are divided by it.
        left_out: The rows of `negatives` that are none to an anchor.
    """
    own, others = (anchors * positives).sum(dim=1, keepdim=True), anchors @ negatives.T
    if left_out is not None:
        others = others.scatter(1, left_out, -torch.inf)
    logits = torch.cat([own, others], dim=1) / temperature
    losses: Tensor = logits.logsumexp(dim=1) - logits[:, 0]
    return losses
