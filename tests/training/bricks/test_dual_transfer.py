"""Dual transfer against its equations, and where gradients go."""

import numpy as np
import pytest
import torch

from training.bricks.dual_transfer import DualNetworks, DualStage, Ratings, transfer_weights

ALPHA, DIM, N = 0.2, 4, 6


def pairs(n_domains: int, k: int, generator: torch.Generator) -> Ratings:
    known = np.ones((N, n_domains), dtype=bool)
    known[0] = np.arange(n_domains) == k
    users, items = torch.randn(2, N, DIM, generator=generator)
    labels = torch.rand(N, generator=generator)
    weights = torch.from_numpy(transfer_weights(known, k, ALPHA))
    return Ratings(users, items, labels, weights)


@pytest.fixture
def networks() -> DualNetworks:
    torch.manual_seed(0)
    return DualNetworks(2, DIM).eval()


def test_ratings_are_equations_2_and_3(networks):
    a, b = (pairs(2, k, torch.Generator().manual_seed(k)) for k in (0, 1))
    x = networks.map_between(1, 0)
    rs_a, rs_b = networks.recommender(0), networks.recommender(1)
    for ratings, k, own, other, mapping in ((a, 0, rs_a, rs_b, x), (b, 1, rs_b, rs_a, x.T)):
        found = networks.rated(ratings, k, detach=False)
        mapped = torch.stack([mapping @ w for w in ratings.users])
        expected = (1 - ALPHA) * own(ratings.users, ratings.items)
        expected = expected + ALPHA * other(mapped, ratings.items)
        torch.testing.assert_close(found[1:], expected[1:])
        alone = own(ratings.users, ratings.items)[0]  # known in one domain: alpha is 0
        torch.testing.assert_close(found[0], alone)
        every = networks.of_all(ratings.users, ratings.items, ratings.weights, k)
        torch.testing.assert_close(torch.diagonal(every), found)


def test_several_domains_are_equation_7():
    torch.manual_seed(1)
    networks = DualNetworks(3, DIM).eval()
    ratings = pairs(3, 1, torch.Generator().manual_seed(5))
    others = sum(
        networks.recommender(j)(ratings.users @ networks.map_between(j, 1).T, ratings.items)
        for j in (0, 2)
    )
    own = networks.recommender(1)(ratings.users, ratings.items)
    expected = (1 - ALPHA) * own + ALPHA / 2 * others
    torch.testing.assert_close(networks.rated(ratings, 1, detach=False)[1:], expected[1:])
    for j, k in ((0, 1), (0, 2), (1, 2)):
        torch.testing.assert_close(networks.map_between(j, k), networks.map_between(k, j).T)


def trained(*, detach: bool) -> tuple[DualNetworks, torch.Tensor, DualStage]:
    torch.manual_seed(2)
    networks = DualNetworks(2, DIM)
    stage = DualStage(networks, detach=detach)
    before = networks.map_between(0, 1).detach().clone()
    optimizer = torch.optim.Adam(stage.parameters(), lr=0.02)
    inputs = [one for k in (0, 1) for one in pairs(2, k, torch.Generator().manual_seed(k))]
    for _ in range(25):
        optimizer.zero_grad()
        stage(*inputs).backward()
        optimizer.step()
        x = networks.map_between(0, 1).detach()
        torch.testing.assert_close(x @ x.T, torch.eye(DIM), atol=1e-5, rtol=0)
        torch.testing.assert_close(x.T @ (x @ x), x, atol=1e-5, rtol=0)  # X^T is the inverse
    return networks, before, stage


def test_the_map_learns_and_stays_orthogonal_at_every_step():
    networks, before, _ = trained(detach=False)
    assert (networks.map_between(0, 1) - before).abs().max() > 0.01


def test_without_the_gradient_of_the_cross_term_the_map_never_moves():
    """The public code's defect, which `repo` brings back."""
    networks, before, stage = trained(detach=True)
    torch.testing.assert_close(networks.map_between(0, 1), before)
    assert all(one.grad is None or not one.grad.any() for one in networks.maps.parameters())
    assert all(one.grad is not None for one in stage.networks.recommenders.parameters())


def test_the_cross_term_reaches_the_other_domains_recommender():
    """Pairs of A alone: with the term RS_B gets a gradient, without it none."""
    for detach in (False, True):
        torch.manual_seed(3)
        networks = DualNetworks(2, DIM)
        ratings = pairs(2, 0, torch.Generator().manual_seed(1))
        networks.rated(ratings, 0, detach=detach).sum().backward()
        of_b = [one.grad for one in networks.recommender(1).parameters()]
        assert all((one is None) == detach for one in of_b)
        assert all(one.grad is not None for one in networks.recommender(0).parameters())
