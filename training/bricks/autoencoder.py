"""Autoencoders that turn a feature vector into a short one, in five kinds (DDTCDR, table 7).

Encoder and decoder are one layer each: z = E(x), x' = D(z), with the reconstruction loss |x - x'|^2 (eq. 1, squared: the
norm itself has no gradient at 0), and to it is added

    ae      nothing                                               z = tanh(E x)
    vae     KL(N(mu, sigma) || N(0, 1))                           z ~ N(mu, sigma): Kingma and Welling 2013
    aae     a discriminator's cross-entropy, reversed for E       Makhzani et al. 2015
    wae     MMD(z, N(0, 1)), inverse multiquadratic kernel        Tolstikhin et al. 2017
    hvae    KL(vMF(mu, kappa) || uniform)                         z on the unit sphere: Davidson et al. 2018

times `prior_weight`, which no paper fixes here. What is kept of an input is the mean of its z.

Feature vectors have length 1 and may have thousands of columns. With torch's own first weights they decode to vectors
several times as long, and thirty epochs of a few steps only unlearn that. The start is small instead: what rows have in
common then grows before what tells each from all others. An embedding is the code from the mean of all, by one scale for all
dimensions: a rotation may take one domain's users to another's (DDTCDR, section 3.2), it cannot shift or stretch them.
"""

from enum import StrEnum

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, normalize, softplus
from typing_extensions import override

from training.bricks.hypersphere import kl_to_uniform, sample_around

INIT_SCALE = 0.1
"""Standard deviation of the first weights. Chosen on worlds of rated groups: 1 and .3 left more of each row's own noise
in its code (RMSE of newcomers' ratings .70 and .69 of their spread, .58 with .1)."""


class AutoencoderKind(StrEnum):
    """The settings of table 7."""

    AE = "ae"
    VAE = "vae"
    AAE = "aae"
    WAE = "wae"
    HVAE = "hvae"


class Autoencoder(nn.Module):
    """An encoder and a decoder; the forward is the loss of a batch of feature vectors."""

    centre: Tensor
    scale: Tensor

    def __init__(
        self, n_features: int, dim: int, kind: AutoencoderKind, prior_weight: float
    ) -> None:
        super().__init__()
        self._kind, self._prior_weight = kind, prior_weight
        self.encoder = nn.Linear(n_features, dim)
        self.decoder = nn.Linear(dim, n_features)
        if kind in {AutoencoderKind.VAE, AutoencoderKind.HVAE}:
            self.spread = nn.Linear(n_features, dim if kind is AutoencoderKind.VAE else 1)
        if kind is AutoencoderKind.AAE:
            self.discriminator = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 1))
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(()))
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        for layer in (self.encoder, self.decoder):
            layer.weight.normal_(std=INIT_SCALE)
            layer.bias.zero_()

    def encode(self, features: Float[Tensor, "rows features"]) -> Float[Tensor, "rows dim"]:
        """Return the (mean) embedding of each row."""
        code: Tensor = self.encoder(features)
        match self._kind:
            case AutoencoderKind.VAE:
                return code
            case AutoencoderKind.HVAE:
                return normalize(code, dim=1)
            case AutoencoderKind.AE | AutoencoderKind.AAE | AutoencoderKind.WAE:
                return torch.tanh(code)

    @torch.no_grad()
    def settle(self, codes: Float[Tensor, "rows dim"]) -> None:
        """Take the mean and the spread of the codes of all that was learned from, for `embed`."""
        spread = codes.var(dim=0, correction=0).mean().sqrt()
        self.centre.copy_(codes.mean(dim=0))
        self.scale.copy_(spread if spread > 0 else torch.ones(()))

    def embed(self, features: Float[Tensor, "rows features"]) -> Float[Tensor, "rows dim"]:
        """Return the code of each row from the centre, in units of the spread."""
        return (self.encode(features) - self.centre) / self.scale

    @override
    def forward(self, features: Float[Tensor, "rows features"]) -> Float[Tensor, ""]:
        """Return the mean loss of the rows."""
        mean = self.encode(features)
        drawn, prior_loss = self._drawn(features, mean)
        lost = (features - self.decoder(drawn)).square().sum(dim=1).mean()
        loss: Tensor = lost + self._prior_weight * prior_loss
        return loss

    def _drawn(
        self, features: Float[Tensor, "rows features"], mean: Float[Tensor, "rows dim"]
    ) -> tuple[Float[Tensor, "rows dim"], Float[Tensor, ""]]:
        """Return what the decoder is given, and the loss that ties it to the prior."""
        match self._kind:
            case AutoencoderKind.AE:
                return mean, mean.new_zeros(())
            case AutoencoderKind.VAE:
                log_variance = self.spread(features)
                drawn = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
                return drawn, gaussian_kl(mean, log_variance)
            case AutoencoderKind.AAE:
                return mean, adversarial_loss(self.discriminator, mean)
            case AutoencoderKind.WAE:
                return mean, mean_discrepancy(mean, torch.randn_like(mean))
            case AutoencoderKind.HVAE:
                kappa = softplus(self.spread(features))[:, 0] + 1.0
                return sample_around(mean, kappa), kl_to_uniform(kappa, mean.shape[1]).mean()


def gaussian_kl(
    mean: Float[Tensor, "rows dim"], log_variance: Float[Tensor, "rows dim"]
) -> Float[Tensor, ""]:
    """Return the mean over rows of KL(N(mean, variance) || N(0, 1))."""
    each = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)
    return each.sum(dim=1).mean()


def mean_discrepancy(
    first: Float[Tensor, "rows dim"], second: Float[Tensor, "rows dim"]
) -> Float[Tensor, ""]:
    """Return the unbiased squared MMD with kernel c / (c + |x - y|^2), c = 2 dim; 0 for less than two rows."""
    n, scale = len(first), 2.0 * first.shape[1]
    if n < 2:  # noqa: PLR2004  (a kernel between different rows needs two)
        return first.sum() * 0.0

    def kernel(x: Tensor, y: Tensor) -> Float[Tensor, "rows others"]:
        return scale / (scale + (x[:, None] - y[None]).square().sum(dim=2))

    within = kernel(first, first).sum() + kernel(second, second).sum() - 2 * n
    return within / (n * (n - 1)) - 2 * kernel(first, second).mean()


def adversarial_loss(
    discriminator: nn.Module, codes: Float[Tensor, "rows dim"]
) -> Float[Tensor, ""]:
    """Return how badly draws of N(0, 1) are told from `codes`; its gradient reaches the codes reversed."""
    turned = _Reversed.apply(codes)  # type: ignore[no-untyped-call]  # torch types it loosely
    drawn, shown = discriminator(torch.randn_like(codes)), discriminator(turned)
    of_prior = binary_cross_entropy_with_logits(drawn, torch.ones_like(drawn))
    return of_prior + binary_cross_entropy_with_logits(shown, torch.zeros_like(shown))


class _Reversed(torch.autograd.Function):
    """The identity, with minus its gradient."""

    @staticmethod
    @override
    def forward(ctx: torch.autograd.function.FunctionCtx, codes: Tensor) -> Tensor:
        return codes.view_as(codes)

    @staticmethod
    @override
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        return -gradient
