"""Dual transfer against its equations, and where gradients go."""

import numpy as np
import pytest
import torch

from training.bricks import dual_transfer
from training.bricks.dual_transfer import (
    DomainTable,
    DualEpoch,
    DualNetworks,
    DualStage,
    Ratings,
    judged_pairs,
    losses_by_domain,
    transfer_weights,
)
from training.bricks.feedback import Feedback, LabelledDomain

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


def tables_of(world) -> list[DomainTable]:
    generator = torch.Generator().manual_seed(2)
    known = np.ones((48, 2), dtype=bool)
    return [
        DomainTable(
            LabelledDomain(world.data, [domain], Feedback.CLICKS, 2),
            torch.randn(48, DIM, generator=generator),
            torch.randn(world.data.interactions[domain].shape[1], DIM, generator=generator),
            torch.from_numpy(transfer_weights(known, k, ALPHA)),
        )
        for k, domain in enumerate(("books", "films"))
    ]


def test_an_epoch_goes_once_through_the_larger_domain(world):
    tables = tables_of(world)
    epoch = DualEpoch(tables, world.data.user_ids, 50, np.random.default_rng(0))
    sizes = [3 * world.data.interactions[domain].nnz for domain in ("books", "films")]
    batches = list(epoch)
    assert epoch.n_pairs == max(sizes) == sum(len(one.inputs[2]) for one in batches)
    assert len(batches) == len(epoch) == -(-max(sizes) // 50)
    labels = torch.cat([one.inputs[2] for one in batches])
    assert labels.sum() == sizes[0] / 3  # every like of the larger once, two negatives each
    again = torch.cat([one.inputs[6] for one in batches])
    torch.testing.assert_close(again[sizes[1] :], again[: sizes[0] - sizes[1]])


def test_the_losses_told_are_of_the_same_few_pairs_every_time(world, monkeypatch, networks):
    tables, ids = tables_of(world), world.data.user_ids
    stage = DualStage(networks, detach=False).eval()
    whole = DualEpoch(tables, ids, 64, np.random.default_rng(5))
    every = judged_pairs(tables, ids, 64, seed=5)
    assert every.n_pairs == whole.n_pairs  # fewer than are judged
    told = losses_by_domain(stage, every, ("books", "films"))
    assert told == losses_by_domain(stage, every, ("books", "films"))
    assert told == losses_by_domain(stage, whole, ("books", "films"))
    monkeypatch.setattr(dual_transfer, "JUDGED_PAIRS", 100)
    few = judged_pairs(tables, ids, 64, seed=5)
    assert few.n_pairs == 100
    assert [len(one.inputs[2]) for one in few] == [64, 36]
    for mine, theirs in zip(few, whole, strict=False):
        n = len(mine.inputs[2])
        for a, b in zip(mine.inputs, theirs.inputs, strict=True):
            torch.testing.assert_close(a, b[:n])
    sampled = losses_by_domain(stage, few, ("books", "films"))
    assert sampled != told
    assert sampled["loss/books"] == pytest.approx(told["loss/books"], rel=0.5)
