"""The interest clusters of SITN against NumPy, equation by equation."""

import numpy as np
import pytest
import torch

from training.bricks.interest_clusters import (
    ClusterSettings,
    DomainClusters,
    InterestSpace,
    new_clusters,
)

USERS, CLUSTERS, DIM, VIEWS = 7, 5, 4, 2


def numpy_new_clusters(clusters, instances):
    """Equation 5."""
    renewed = np.zeros_like(clusters)
    for p in instances:
        share = np.exp(clusters @ p)
        renewed += (share / share.sum())[:, None] * p
    return renewed


def numpy_views(layer, renewed, instances):
    """Equation 6."""
    rows = []
    for p in instances:
        nearest = np.argsort(-(renewed @ p))[:VIEWS]
        hidden = np.concatenate(renewed[nearest])
        for part in (layer.views[0], layer.views[2]):
            hidden = hidden @ part.weight.detach().numpy().T + part.bias.detach().numpy()
            hidden = np.maximum(hidden, 0) if part is layer.views[0] else hidden
        rows.append(hidden)
    return np.stack(rows)


def numpy_contrast(instances, views, clusters, temperature):
    """One half of equation 7."""
    own = np.exp((instances * views).sum(axis=1) / temperature)
    return -np.log(own / (own + np.exp(instances @ clusters.T / temperature).sum(axis=1)))


@pytest.fixture
def instances():
    torch.manual_seed(1)
    return [torch.randn(USERS, DIM, dtype=torch.float64) for _ in range(2)]


@pytest.fixture
def printed():
    torch.manual_seed(0)
    settings = ClusterSettings(DIM, CLUSTERS, VIEWS, 0.5, normalise=False, own_repel=True)
    return InterestSpace(settings).double()


def test_new_clusters_are_equation_5(instances):
    clusters = torch.randn(CLUSTERS, DIM, dtype=torch.float64)
    expected = numpy_new_clusters(clusters.numpy(), instances[0].numpy())
    np.testing.assert_allclose(new_clusters(clusters, instances[0]), expected, rtol=1e-10)


def test_views_are_equation_6(printed, instances):
    renewed, views, _ = printed.source(instances[0])
    expected = numpy_views(printed.source, renewed.detach().numpy(), instances[0].numpy())
    np.testing.assert_allclose(views.detach(), expected, rtol=1e-9)


def test_the_loss_is_equation_7(printed, instances):
    found = printed(*instances).detach()
    p, clusters, views = {}, {}, {}
    for side, given in zip(("source", "target"), instances, strict=True):
        layer = getattr(printed, side)
        p[side] = given.numpy()
        clusters[side] = numpy_new_clusters(layer.clusters.detach().numpy(), p[side])
        views[side] = numpy_views(layer, clusters[side], p[side])
    expected = numpy_contrast(p["source"], views["target"], clusters["target"], 0.5)
    expected += numpy_contrast(p["target"], views["source"], clusters["source"], 0.5)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_normalised_everything_has_length_one(instances):
    layer = DomainClusters(ClusterSettings(DIM, CLUSTERS, VIEWS)).double()
    for vectors in layer(layer.unit(instances[0]))[:2]:
        np.testing.assert_allclose(torch.linalg.norm(vectors, dim=1).detach(), 1.0)
    doubled = layer(layer.unit(2 * instances[0]))
    torch.testing.assert_close(tuple(doubled), tuple(layer(layer.unit(instances[0]))))


def test_a_domain_has_no_pole(instances):
    """Eq. 7 is 0 where each domain stands at a pole of its own: with `normalise` where it stands is nothing."""
    torch.manual_seed(0)
    space = InterestSpace(ClusterSettings(DIM, CLUSTERS, VIEWS)).double()
    source, target = instances
    torch.testing.assert_close(space(source + 50.0, target - 50.0), space(source, target))


def test_a_users_own_clusters_may_be_no_negatives(instances):
    torch.manual_seed(0)
    settings = ClusterSettings(DIM, CLUSTERS, VIEWS, temperature=0.5, own_repel=False)
    space = InterestSpace(settings).double()
    p, across = {}, {}
    for side, given in zip(("source", "target"), instances, strict=True):
        centred = given.numpy() - given.numpy().mean(axis=0)
        p[side] = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        across[side] = [one.detach().numpy() for one in getattr(space, side)(torch.tensor(p[side]))]
    expected = np.zeros(USERS)
    for side, other in (("source", "target"), ("target", "source")):
        clusters, views, nearest = across[other]
        for user, one in enumerate(p[side]):
            negatives = np.delete(clusters, nearest[user], axis=0)
            assert len(negatives) == CLUSTERS - VIEWS
            own = np.exp(one @ views[user] / 0.5)
            expected[user] -= np.log(own / (own + np.exp(negatives @ one / 0.5).sum()))
    np.testing.assert_allclose(space(*instances).detach(), expected, rtol=1e-9)


def test_one_view_is_the_nearest_cluster_itself(instances):
    layer = DomainClusters(ClusterSettings(DIM, CLUSTERS, n_views=1)).double()
    unit = layer.unit(instances[0])
    renewed, own, _ = layer(unit)
    nearest = (unit @ renewed.T).argmax(dim=1)
    torch.testing.assert_close(own, renewed[nearest])
    assert layer.views is None


def test_fewer_clusters_than_views_are_all_of_them():
    layer = DomainClusters(ClusterSettings(DIM, n_clusters=2, n_views=8))
    assert layer(torch.randn(USERS, DIM)).views.shape == (USERS, DIM)


@pytest.mark.parametrize("normalise", [True, False])
def test_every_parameter_learns_and_both_sides_instances_do(normalise, instances):
    space = InterestSpace(ClusterSettings(DIM, CLUSTERS, VIEWS, normalise=normalise)).double()
    for one in instances:
        one.requires_grad_()
    space(*instances).mean().backward()
    for name, one in space.named_parameters():
        assert one.grad.abs().sum() > 0, name
    assert all(one.grad.abs().sum() > 0 for one in instances)
