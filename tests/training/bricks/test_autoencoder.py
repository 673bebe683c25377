"""Autoencoders: the losses in NumPy, what trains what, and that each kind learns to reconstruct."""

import numpy as np
import pytest
import torch

from training.bricks.autoencoder import (
    Autoencoder,
    AutoencoderKind,
    adversarial_loss,
    gaussian_kl,
    mean_discrepancy,
)

KINDS = list(AutoencoderKind)


def test_reconstruction_is_equation_1():
    torch.manual_seed(0)
    model = Autoencoder(5, 2, AutoencoderKind.AE, 1.0).double()
    x = torch.randn(4, 5).double()
    e, d = model.encoder, model.decoder
    code = np.tanh(x.numpy() @ e.weight.detach().numpy().T + e.bias.detach().numpy())
    back = code @ d.weight.detach().numpy().T + d.bias.detach().numpy()
    lost = [np.linalg.norm(a - b) ** 2 for a, b in zip(x.numpy(), back, strict=True)]
    assert model(x).item() == pytest.approx(np.mean(lost))
    np.testing.assert_allclose(model.encode(x).detach().numpy(), code)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_learns_and_every_weight_of_it(kind):
    torch.manual_seed(0)
    directions = torch.randn(2, 6)
    x = torch.randn(64, 2) @ directions * 0.3
    model = Autoencoder(6, 3, kind, 0.01)
    losses = []
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(200):
        loss = model(x)
        optimizer.zero_grad()
        loss.backward()
        assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:3])
    code = model.encode(x)
    assert torch.equal(code, model.encode(x))
    if kind is AutoencoderKind.HVAE:
        np.testing.assert_allclose(code.detach().norm(dim=1), 1.0, rtol=1e-5)


def test_divergence_from_the_gaussian_is_torchs():
    mean, log_variance = torch.randn(2, 7, 3)
    own = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0))
    assert float(gaussian_kl(mean, log_variance)) == pytest.approx(
        float(expected.sum(dim=1).mean()), rel=1e-5
    )


def test_discrepancy_is_the_double_sum():
    first, second = torch.randn(2, 5, 3).double()

    def kernel(a, b):
        return 6 / (6 + float((a - b).square().sum()))

    pairs = [(i, j) for i in range(5) for j in range(5)]
    within = sum(
        kernel(first[i], first[j]) + kernel(second[i], second[j]) for i, j in pairs if i != j
    )
    across = sum(kernel(first[i], second[j]) for i, j in pairs)
    assert float(mean_discrepancy(first, second)) == pytest.approx(within / 20 - 2 * across / 25)
    torch.manual_seed(0)
    far, near = (
        mean_discrepancy(torch.randn(400, 3) + gap, torch.randn(400, 3)) for gap in (2.0, 0.0)
    )
    assert float(far) > 0.1 > abs(float(near)) * 5


def test_codes_flee_from_the_discriminator():
    torch.manual_seed(0)
    judge = torch.nn.Linear(3, 1)
    codes = torch.randn(6, 3, requires_grad=True)
    adversarial_loss(judge, codes).backward()
    plain = codes.detach().clone().requires_grad_()
    shown = judge(plain)
    torch.nn.functional.binary_cross_entropy_with_logits(shown, torch.zeros_like(shown)).backward()
    torch.testing.assert_close(codes.grad, -plain.grad)


@pytest.mark.parametrize("kind", ["ae", "aae", "wae"])  # those that draw codes need longer
def test_a_few_steps_on_wide_sparse_rows_learn_the_groups_they_fall_into(kind):
    """Decoding everything to zero has the loss 1, which torch's own first weights take these steps to come near."""
    torch.manual_seed(0)
    group = torch.arange(120) % 4
    chance = torch.where(torch.arange(800)[None] % 4 == group[:, None], 0.08, 0.002)
    x = torch.nn.functional.normalize((torch.rand(120, 800) < chance).float() + 1e-6, dim=1)
    model = Autoencoder(800, 8, AutoencoderKind(kind), 0.01)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(60):
        loss = model(x[step % 2 :: 2])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1
    code = model.encode(x).detach()
    centres = torch.stack([code[group == one].mean(dim=0) for one in range(4)])
    assert (torch.cdist(code, centres).argmin(dim=1) == group).float().mean() > 0.9


def test_embeddings_are_codes_from_their_mean_by_one_scale():
    torch.manual_seed(0)
    model = Autoencoder(6, 3, AutoencoderKind.AE, 0.0)
    x = torch.randn(50, 6)
    code = model.encode(x).detach()
    torch.testing.assert_close(model.embed(x), model.encode(x))  # not settled yet
    model.settle(code)
    found = model.embed(x).detach().numpy()
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-6)
    assert found.var(axis=0).mean() == pytest.approx(1, rel=1e-5)
    before, after = (np.linalg.norm(one[:1] - one[1:], axis=1) for one in (code.numpy(), found))
    np.testing.assert_allclose(after / before, 1 / model.scale.item(), rtol=1e-4)
    model.settle(torch.ones(4, 3))  # all alike: no spread to divide by
    assert np.isfinite(model.embed(x).detach().numpy()).all()
