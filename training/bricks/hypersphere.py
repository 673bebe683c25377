"""The von Mises-Fisher distribution on the unit sphere: draws with gradients, and its KL from the uniform one.

    p(z) = C_m(k) exp(k mu . z),    A(k) = E[mu . z] = I_{m/2}(k) / I_{m/2 - 1}(k)
    KL(k) = k A(k) + log C_m(k) + log(area of the sphere),    dKL/dk = k A'(k),    A' = 1 - A^2 - (m - 1) A / k

with m dimensions (Davidson et al., Hyperspherical variational auto-encoders, UAI 2018). Draws are Wood's:
w = mu . z from a rejection sampler whose accepted proposal carries the gradient of k, a uniform tangent, and a
reflection that takes the first axis to mu. The correction term of the rejection step (their appendix) is left out.
"""

import math

import torch
from jaxtyping import Float
from scipy.special import ive
from torch import Tensor
from torch.nn.functional import normalize
from typing_extensions import override

ROUNDS = 100
"""Of proposals; at 8 dimensions two thirds are accepted a round."""


def kl_to_uniform(kappa: Float[Tensor, " rows"], dim: int) -> Float[Tensor, " rows"]:
    """Return KL(vMF(., kappa) || uniform) in `dim` dimensions."""
    value: Tensor = _UniformKL.apply(kappa, dim)  # type: ignore[no-untyped-call]  # torch types it loosely
    return value


def mean_length(kappa: Tensor, dim: int) -> Tensor:
    """Return A(kappa), by scaled Bessel functions."""
    k = kappa.detach().double().cpu().numpy()
    ratio = ive(dim / 2, k) / ive(dim / 2 - 1, k)
    return torch.from_numpy(ratio).to(kappa)


class _UniformKL(torch.autograd.Function):
    """The value by Bessel functions, which torch lacks for these orders, and the gradient in closed form."""

    @staticmethod
    @override
    def forward(ctx: torch.autograd.function.FunctionCtx, kappa: Tensor, dim: int) -> Tensor:
        mean = mean_length(kappa, dim)
        ctx.save_for_backward(kappa, mean)
        ctx.dim = dim  # type: ignore[attr-defined]  # torch's way to keep what is no tensor
        half = dim / 2
        k = kappa.detach().double().cpu().numpy()
        log_bessel = torch.from_numpy(ive(half - 1, k)).log().to(kappa) + kappa
        log_constant = (half - 1) * kappa.log() - half * math.log(2 * math.pi) - log_bessel
        log_area = math.log(2) + half * math.log(math.pi) - math.lgamma(half)
        return kappa * mean + log_constant + log_area

    @staticmethod
    @override
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        kappa, mean = ctx.saved_tensors  # type: ignore[attr-defined]  # set by save_for_backward
        slope = 1 - mean.square() - (ctx.dim - 1) / kappa * mean  # type: ignore[attr-defined]  # set in forward
        return gradient * kappa * slope, None


def sample_around(
    mean: Float[Tensor, "rows dim"], kappa: Float[Tensor, " rows"]
) -> Float[Tensor, "rows dim"]:
    """Return one draw of vMF(mean, kappa) a row; rows of `mean` have length 1."""
    along = _sample_along(kappa, mean.shape[1])[:, None]
    tangent = normalize(torch.randn_like(mean[:, 1:]), dim=1)
    around_axis = torch.cat([along, (1 - along.square()).clamp(min=1e-9).sqrt() * tangent], dim=1)
    axis = torch.zeros_like(mean)
    axis[:, 0] = 1.0
    mirror = normalize(axis - mean, dim=1)
    return around_axis - 2 * (around_axis * mirror).sum(dim=1, keepdim=True) * mirror


def _sample_along(kappa: Float[Tensor, " rows"], dim: int) -> Float[Tensor, " rows"]:
    """Return w = mu . z, by rejection from a transformed beta distribution (Wood 1994)."""
    n = dim - 1
    root = (4 * kappa.square() + n**2).sqrt()
    b = n / (2 * kappa + root)  # (-2k + root) / n, without the cancellation
    a = (n + 2 * kappa + root) / 4
    d = 4 * a * b / (1 + b) - n * math.log(n)
    beta = torch.distributions.Beta(n / 2, n / 2)
    accepted = torch.zeros_like(kappa, dtype=torch.bool)
    chosen = torch.full_like(kappa, 0.5)
    for _ in range(ROUNDS):
        proposal = beta.sample(kappa.shape).to(kappa)
        t = 2 * a * b / (1 - (1 - b) * proposal)
        good = n * t.log() - t + d >= torch.rand_like(kappa).log()
        chosen = torch.where(good & ~accepted, proposal, chosen)
        accepted |= good
        if bool(accepted.all()):
            break
    along: Tensor = (1 - (1 + b) * chosen) / (1 - (1 - b) * chosen)
    return along
