"""Alignment of interests against its equations written with loops."""

import numpy as np
import pytest
import torch

from training.bricks.interest_alignment import (
    LinkDecoder,
    Reduction,
    alignment_loss,
    log_similarities,
)


def similarities(vectors: np.ndarray, a: float) -> np.ndarray:
    """Return eq. 5 in so many words, a user left out of their own sum."""
    n = len(vectors)
    kernel = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                kernel[i, j] = (1 + np.sum((vectors[i] - vectors[j]) ** 2) / a) ** (-(a + 1) / 2)
    return kernel / kernel.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("a", [1.0, 3.0])
def test_similarities_and_divergence_are_equations_5_and_6(a):
    source, target = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0)).double()
    p, q = similarities(source.numpy(), a), similarities(target.numpy(), a)
    np.testing.assert_allclose(log_similarities(source, a).exp().numpy(), p, atol=1e-12)
    divergence = sum(
        p[i, j] * np.log(p[i, j] / q[i, j]) for i in range(6) for j in range(6) if i != j
    )
    assert float(alignment_loss(source, target, a)) == pytest.approx(divergence / 6)
    printed = alignment_loss(source, target, a, Reduction.SUM)
    assert float(printed) == pytest.approx(divergence)
    assert float(alignment_loss(source, source, a)) == pytest.approx(0, abs=1e-12)


def test_the_source_is_an_anchor():
    source, target = torch.randn(2, 5, 3, dtype=torch.double).requires_grad_()
    source, target = source.detach().requires_grad_(), target.detach().requires_grad_()
    alignment_loss(source, target, 1.0).backward()
    assert source.grad is None
    assert target.grad is not None
    assert torch.isfinite(target.grad).all()
    assert target.grad.abs().sum() > 0


def test_scale_of_a_domain_can_be_followed():
    """Descent on the target alone takes its similarities to the source's."""
    torch.manual_seed(0)
    source, target = torch.randn(8, 3), torch.randn(8, 3).requires_grad_()
    optimizer = torch.optim.Adam([target], lr=0.05)
    losses = []
    for _ in range(300):
        loss = alignment_loss(source, target, 1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


def test_links_are_equations_7_and_8():
    torch.manual_seed(0)
    decoder = LinkDecoder(3).double()
    vectors = torch.randn(4, 3).double()
    links = np.array([[1, 1, 0, 0], [1, 1, 0, 1], [0, 0, 1, 0], [0, 1, 0, 1]], dtype=bool)
    h, w = vectors.numpy(), decoder.weight.detach().numpy()
    lost = []
    for i in range(4):
        for j in range(4):
            guess = 1 / (1 + np.exp(-h[i] @ w @ h[j]))
            if i != j:
                lost.append(-np.log(guess if links[i, j] else 1 - guess))
    linked = torch.from_numpy(links)
    assert decoder(vectors, linked).item() == pytest.approx(np.mean(lost))
    assert decoder(vectors, linked, Reduction.SUM).item() == pytest.approx(np.sum(lost))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_users_cost_nothing_and_break_nothing(n):
    vectors = torch.randn(n, 3, requires_grad=True)
    loss = alignment_loss(vectors, vectors, 1.0)
    loss = loss + LinkDecoder(3)(vectors[:1], torch.ones(min(n, 1), min(n, 1), dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(vectors.grad).all()
