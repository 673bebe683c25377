"""A contrastive autoencoder of one user's vectors in several domains, one of them hidden (CAT).

In: one vector a domain, side by side, and which domains the user is known in. Out: one vector for the user as
a whole, and all domains' vectors rebuilt from it. With x the vectors, x~ the same with one known domain replaced
by a learned pad, f the encoder and g the decoder:

    loss = c InfoNCE(f(x), f(x~)) + r MSE(g f(x), x) + m MSE(g f(x~), x)

InfoNCE is the cross-entropy over the batch, on cosines / 0.1, the mean of both directions. Hiding a domain keeps
the whole from leaning on the densest one, and teaches the decoder to fill in a domain a user is new to. Li et al.,
One for All, All for One (CAT-ART), WSDM 2023. The slides give the parts; the public code gives the sizes (n d ->
n d -> about n d / 2 -> d with PReLU, d -> ... -> n d back), the pad, the temperature and the weights 0.2, 0.4, 0.4.

Ours: a domain the user did nothing in is padded too, and is no part of the reconstruction's target; the
authors' users are active in all domains, where it makes no difference.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from training.bricks.info_nce import info_nce_both_ways


class LossWeights(NamedTuple):
    """What each term of the loss counts."""

    contrastive: float = 0.2
    reconstruction: float = 0.4
    masked_reconstruction: float = 0.4


class MaskedAutoencoder(nn.Module):
    """Encoder and decoder of a user's vectors in all domains."""

    def __init__(
        self,
        n_domains: int,
        dim: int,
        weights: LossWeights | None = None,
        temperature: float = 0.1,
    ) -> None:
        super().__init__()
        wide, middle = n_domains * dim, (n_domains + 1) // 2 * dim
        self.n_domains, self.dim = n_domains, dim
        self.weights, self.temperature = weights or LossWeights(), temperature
        self.pad = nn.Parameter(torch.randn(dim))
        self.encoder = _layers((wide, wide, middle, dim))
        self.decoder = _layers((dim, middle, wide, wide))

    @override
    def forward(
        self,
        vectors: Float[Tensor, "users domains dim"],
        known: Bool[Tensor, "users domains"],
        hidden: Int64[Tensor, " users"],
    ) -> Float[Tensor, ""]:
        """Return the mean loss of users of whom the domain `hidden` is masked."""
        mask = functional.one_hot(hidden, self.n_domains).bool()
        whole, masked = self.encode(vectors, known), self.encode(vectors, known & ~mask)
        weights = self.weights
        loss = weights.reconstruction * _error(self.decode(whole), vectors, known)
        if weights.masked_reconstruction:
            loss = loss + weights.masked_reconstruction * _error(
                self.decode(masked), vectors, known
            )
        if weights.contrastive:
            unit, unit_masked = functional.normalize(whole), functional.normalize(masked)
            both = info_nce_both_ways(unit, unit_masked, self.temperature)
            loss = loss + weights.contrastive * 0.5 * both.mean()
        return loss

    def encode(
        self, vectors: Float[Tensor, "users domains dim"], known: Bool[Tensor, "users domains"]
    ) -> Float[Tensor, "users dim"]:
        """Return one vector a user; a domain that is not known is the pad."""
        padded = torch.where(known[:, :, None], vectors, self.pad)
        encoded: Tensor = self.encoder(padded.flatten(start_dim=1))
        return encoded

    def decode(self, whole: Float[Tensor, "users dim"]) -> Float[Tensor, "users domains dim"]:
        """Return the vectors of all domains, rebuilt."""
        rebuilt: Tensor = self.decoder(whole).view(-1, self.n_domains, self.dim)
        return rebuilt


def _layers(sizes: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.PReLU()]
    return nn.Sequential(*layers[:-1])  # the last one is linear


def _error(
    rebuilt: Float[Tensor, "users domains dim"],
    vectors: Float[Tensor, "users domains dim"],
    known: Bool[Tensor, "users domains"],
) -> Float[Tensor, ""]:
    """Return the mean squared error over the components of known domains."""
    each = ((rebuilt - vectors) ** 2).mean(dim=2) * known
    return each.sum() / known.sum().clamp(min=1)
