"""Graph attention against its equations written with loops."""

import numpy as np
import torch

from training.bricks.graph_attention import Edges, GraphAttention, GraphEncoder, segment_softmax

EDGES = [(0, 1), (0, 3), (0, 4), (2, 0), (2, 3)]  # user 1 has no neighbour


def as_edges(pairs: list[tuple[int, int]]) -> Edges:
    users, items = zip(*pairs, strict=True)
    return Edges(torch.tensor(users), torch.tensor(items))


def leaky(x: float) -> float:
    return x if x > 0 else 0.2 * x


def test_attention_is_equation_1_and_the_sum_is_equation_2():
    torch.manual_seed(0)
    layer = GraphAttention(4).double()
    users, items = torch.randn(3, 4).double(), torch.randn(5, 4).double()
    found = layer(users, items, as_edges(EDGES)).detach().numpy()
    shares = layer.shares(users, items, as_edges(EDGES)).detach().numpy()
    w_user, w_item, a = (
        one.weight.detach().numpy()
        for one in (layer.user_projection, layer.item_projection, layer.attention)
    )
    h_user, h_item = users.numpy(), items.numpy()
    for u in range(3):
        around = [i for user, i in EDGES if user == u]
        both = [np.concatenate([w_user @ h_user[u], w_item @ h_item[i]]) for i in around]
        strength = np.exp([leaky(float(a[0] @ one)) for one in both])
        alpha = strength / strength.sum() if around else np.empty(0)
        np.testing.assert_allclose(shares[[user == u for user, _ in EDGES]], alpha)
        total = h_user[u] + sum((s * h_item[i] for s, i in zip(alpha, around, strict=True)), 0.0)
        np.testing.assert_allclose(found[u], np.where(total > 0, total, np.expm1(total)))


def test_softmax_of_a_segment_stands_large_scores_and_knows_its_gradient():
    segments = torch.tensor([1, 0, 1, 1])
    shares = segment_softmax(torch.tensor([1e4, -1e4, 1e4 - 1, 0.0]), segments, 3)
    np.testing.assert_allclose(
        shares.numpy(), [1 / (1 + np.exp(-1)), 1, 1 / (1 + np.e), 0], atol=1e-6
    )
    scores = torch.randn(4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda one: segment_softmax(one, segments, 3), scores)


def test_order_of_edges_says_nothing_and_an_unknown_user_is_their_items():
    torch.manual_seed(1)
    encoder = GraphEncoder(3, 5, 4, 1.0)
    rows = torch.tensor([0, 1, -1])
    first = encoder(rows, as_edges(EDGES))
    np.testing.assert_allclose(
        encoder(rows, as_edges(EDGES[::-1])).detach(), first.detach(), rtol=1e-5, atol=1e-6
    )
    zero = torch.zeros(1, 4)
    own = encoder.layer(zero, encoder.items, as_edges([(0, 0), (0, 3)]))
    np.testing.assert_allclose(first[2].detach(), own[0].detach(), rtol=1e-5, atol=1e-6)
    first.square().sum().backward()
    moved = encoder.users.grad.abs().sum(dim=1) > 0
    assert moved.tolist() == [True, True, False]
    assert all(one.grad.abs().sum() > 0 for one in encoder.layer.parameters())
