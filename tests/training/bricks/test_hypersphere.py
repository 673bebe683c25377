"""von Mises-Fisher: draws against their moments, KL against numerical integration."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch.nn.functional import normalize

from training.bricks.hypersphere import kl_to_uniform, mean_length, sample_around


def density(dim: int, kappa: float) -> tuple[float, float, float]:
    """Return E[w], and the normalisers of w = mu . z with concentration and without, by integration."""

    def weight(w: float) -> float:
        return float(np.exp(kappa * w) * (1 - w * w) ** ((dim - 3) / 2))

    whole = quad(weight, -1, 1)[0]
    first = quad(lambda w: w * weight(w), -1, 1)[0]
    flat = quad(lambda w: (1 - w * w) ** ((dim - 3) / 2), -1, 1)[0]
    return first / whole, whole, flat


@pytest.mark.parametrize("dim", [3, 8])
@pytest.mark.parametrize("kappa", [1.0, 7.5, 40.0])
def test_divergence_is_the_integral_and_its_slope_the_difference(dim, kappa):
    mean, whole, flat = density(dim, kappa)
    k = torch.tensor([kappa], dtype=torch.double, requires_grad=True)
    value = kl_to_uniform(k, dim)
    assert value.item() == pytest.approx(kappa * mean - np.log(whole / flat))
    assert float(mean_length(k, dim)) == pytest.approx(mean)
    value.sum().backward()
    up, down = (
        kl_to_uniform(torch.tensor([kappa + e], dtype=torch.double), dim) for e in (1e-4, -1e-4)
    )
    assert float(k.grad) == pytest.approx(float(up - down) / 2e-4, rel=1e-4)


@pytest.mark.parametrize("kappa", [1.5, 20.0])
def test_draws_lie_on_the_sphere_around_their_mean(kappa):
    torch.manual_seed(0)
    direction = normalize(torch.randn(1, 8, dtype=torch.double), dim=1)
    concentration = torch.full((20_000,), kappa, dtype=torch.double, requires_grad=True)
    drawn = sample_around(direction.expand(20_000, 8), concentration)
    np.testing.assert_allclose(drawn.detach().norm(dim=1), 1.0)
    mean = drawn.detach().mean(dim=0)
    expected = density(8, kappa)[0]
    assert float(mean @ direction[0]) == pytest.approx(expected, abs=0.01)
    assert float((mean - expected * direction[0]).norm()) < 0.02
    (drawn @ direction[0]).mean().backward()
    assert float(concentration.grad.sum()) > 0  # more concentrated is closer
