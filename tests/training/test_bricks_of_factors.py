"""Sampled examples, ranking losses, factors, metric factors and crossed towers, each against NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from training.bricks.bpr import Negatives, RankingLoss, Triplets, ranking_loss
from training.bricks.cross_connection import CrossedTowers
from training.bricks.histories import (
    Domains,
    chosen_domains,
    from_arrays,
    has_history,
    names_from_array,
    names_to_array,
    side_by_side,
    to_arrays,
)
from training.bricks.matrix_factorisation import FactorConfig, Factors
from training.bricks.metric_factors import MetricFactors, hinge, in_ball
from training.bricks.pair_scores import pair_scores
from training.bricks.watch_examples import WatchEpoch, drawn_examples


@pytest.fixture
def liked() -> csr_array:
    return csr_array((np.random.default_rng(0).random((20, 15)) < 0.4).astype(np.float32))


def log_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.log(1 / (1 + np.exp(-x)))


def test_ranking_losses_are_their_formulas():
    rng = np.random.default_rng(1)
    positive, negative = rng.normal(size=6).astype(np.float32), rng.normal(size=(6, 3))
    expected = {
        RankingLoss.BPR: -log_sigmoid(positive[:, None] - negative).mean(axis=1),
        RankingLoss.LOGISTIC: -log_sigmoid(positive) - log_sigmoid(-negative).sum(axis=1),
        RankingLoss.SQUARED: (1 - positive) ** 2 + (negative**2).sum(axis=1),
    }
    for loss, values in expected.items():
        found = ranking_loss(
            loss, torch.from_numpy(positive), torch.from_numpy(negative.astype(np.float32))
        )
        np.testing.assert_allclose(found.numpy(), values, rtol=1e-5)


def test_negatives_are_uniform_over_what_the_user_did_not_like(liked):
    users = np.repeat(np.arange(20), 300)
    drawn = Negatives(liked).draw(users, 2, np.random.default_rng(3))
    assert drawn.shape == (6000, 2)
    dense = liked.toarray() > 0
    assert not dense[users[:, None], drawn].any()
    first = np.bincount(drawn[users == 0].ravel(), minlength=15)[~dense[0]]
    assert first.min() > 0.6 * first.mean()
    assert first.max() < 1.4 * first.mean()


def test_who_likes_everything_still_gets_an_answer():
    everything = csr_array(np.ones((1, 3), dtype=np.float32))
    assert Negatives(everything).draw(np.zeros(4, np.int64), 1, np.random.default_rng(0)).shape == (
        4,
        1,
    )
    nothing = csr_array((2, 3), dtype=np.float32)
    assert (Negatives(nothing).draw(np.ones(4, np.int64), 1, np.random.default_rng(0)) < 3).all()


@given(seed=st.integers(0, 1000), n=st.integers(1, 3))
@example(seed=38, n=1)  # a user likes all of a domain
@settings(max_examples=15, deadline=None)
def test_an_epoch_holds_every_positive_once_and_negatives_of_its_domain(seed, n):
    rng = np.random.default_rng(seed)
    rows = {
        name: csr_array((rng.random((9, size)) < 0.3).astype(np.float32))
        for name, size in (("a", 6), ("b", 8))
    }
    ids = np.arange(50, 59, dtype=np.uint32)
    triplets = Triplets(ids, rows, ("b", "a"), {"a": 2.0, "b": 0.5})
    if not len(triplets):
        return
    epoch = triplets.epoch(rng, 4, n)
    users, positives, negatives, weights = (one.numpy() for one in epoch.tensors)
    joined = side_by_side(rows, ("b", "a")).toarray()
    found = np.zeros_like(joined)
    np.add.at(found, (users, positives), 1)
    np.testing.assert_array_equal(found, joined)
    likes_all = np.where(
        positives < 8, joined[:, :8].all(axis=1)[users], joined[:, 8:].all(axis=1)[users]
    )
    assert not joined[users[:, None], negatives][
        ~likes_all
    ].any()  # who likes all gets one of those
    assert ((negatives < 8) == (positives < 8)[:, None]).all()
    np.testing.assert_array_equal(weights, np.where(positives < 8, 0.5, 2.0))
    np.testing.assert_array_equal(epoch.user_ids, ids[users])


def test_the_factors_loss_and_its_gradients():
    config = FactorConfig(embedding_size=4, l2=0.1, loss=RankingLoss.LOGISTIC, n_negatives=2)
    factors = Factors(5, 7, config)
    users, positives = np.array([0, 3, 3]), np.array([1, 2, 6])
    negatives, weights = np.array([[0, 4], [5, 5], [1, 0]]), np.array([1.0, 0.5, 2.0])
    p, q = factors.users.detach().numpy(), factors.items.detach().numpy()
    expected = 0.0
    for u, i, js, w in zip(users, positives, negatives, weights, strict=True):
        expected -= w * (log_sigmoid(p[u] @ q[i]) + log_sigmoid(-q[js] @ p[u]).sum())
        squares = (p[u] ** 2).sum() + (q[i] ** 2).sum() + (q[js] ** 2).sum(axis=1).mean()
        expected += 0.5 * 0.1 * squares
    tensors = [torch.from_numpy(one) for one in (users, positives, negatives)]
    loss = factors(*tensors, torch.from_numpy(weights.astype(np.float32)))
    assert loss.item() == pytest.approx(expected / 3, rel=1e-5)
    loss.backward()
    assert (factors.users.grad.abs().sum(dim=1) > 0).tolist() == [True, False, False, True, False]
    assert (factors.items.grad.abs().sum(dim=1) > 0).tolist() == [True] * 3 + [False] + [True] * 3


def test_pair_scores_and_their_gradients_are_those_of_autograd():
    rng = np.random.default_rng(6)
    users, items = (torch.tensor(rng.normal(size=(n, 3)), requires_grad=True) for n in (4, 6))
    rows, pairs = torch.tensor([0, 2, 2, 3, 0]), torch.from_numpy(rng.integers(6, size=(5, 3)))
    shares = torch.tensor([1.0, 0.5, 0.25], dtype=torch.float64)

    def plain(users: torch.Tensor, items: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        own, others = users[rows], items[pairs]
        squares = own.square().sum() + (others.square().sum(dim=2) * shares).sum()
        return (own[:, None] * others).sum(dim=2), squares

    def ours(users: torch.Tensor, items: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return pair_scores(users, items, rows, pairs, shares)

    for mine, theirs in zip(ours(users, items), plain(users, items), strict=True):
        torch.testing.assert_close(mine, theirs)
    assert torch.autograd.gradcheck(ours, (users, items))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = pair_scores(users.float(), items.float(), rows, pairs, shares.float())
    torch.testing.assert_close(found, plain(users, items)[0].float())  # bf16 has three digits


def test_vectors_of_untrained_and_unknown_users_are_nan():
    factors = Factors(3, 2, FactorConfig(embedding_size=4))
    factors.trained.copy_(torch.tensor([True, False, True]))
    found = factors.user_vectors(np.array([2, -1, 1, 0]))
    assert np.isnan(found).all(axis=1).tolist() == [False, True, True, False]
    np.testing.assert_array_equal(found[3], factors.users[0].detach().numpy())


def test_the_hinge_of_distances_in_the_ball():
    rng = np.random.default_rng(4)
    a, n, f = (rng.normal(size=(5, 3)) for _ in range(3))
    expected = np.maximum(0, 0.3 + ((a - n) ** 2).sum(1) - ((a - f) ** 2).sum(1))
    tensors = [torch.from_numpy(one) for one in (a, n, f)]
    np.testing.assert_allclose(hinge(*tensors, 0.3).numpy(), expected)
    inside = in_ball(tensors[0]).numpy()
    norms = np.linalg.norm(a, axis=1)
    np.testing.assert_allclose(np.linalg.norm(inside, axis=1), np.minimum(norms, 1))
    np.testing.assert_allclose(inside * np.maximum(norms, 1)[:, None], a)
    factors = MetricFactors(4, 6, FactorConfig(embedding_size=3, init_scale=2.0), margin=0.3)
    u, i, j = torch.tensor([0, 2]), torch.tensor([1, 5]), torch.tensor([[3], [0]])
    parts = in_ball(factors.users[u]), in_ball(factors.items[i]), in_ball(factors.items[j[:, 0]])
    weights = torch.tensor([1.0, 3.0])
    expected_loss = (weights * hinge(*parts, 0.3)).mean()
    assert factors(u, i, j, weights).item() == pytest.approx(expected_loss.item())


def forward_by_hand(towers, a, b, m):
    """The equations at the head of `cross_connection`, layer by layer."""
    w = {name: value.detach().numpy() for name, value in towers.named_parameters()}
    for layer in range(len(towers.first)):
        left = a @ w[f"first.{layer}.weight"].T + w[f"first.{layer}.bias"]
        right = b @ w[f"second.{layer}.weight"].T + w[f"second.{layer}.bias"]
        if layer < len(towers.cross):
            h = w[f"cross.{layer}.weight"]
            left, right = left + m * (b @ h.T), right + m * (a @ h.T)
        a, b = np.maximum(left, 0), np.maximum(right, 0)
    return [
        (end @ w[f"heads.{number}.weight"].T + w[f"heads.{number}.bias"])[:, 0]
        for number, end in enumerate((a, b))
    ]


@pytest.mark.parametrize("n_crossed", [0, 2, 3])
def test_crossed_towers_are_the_papers_equations(n_crossed):
    towers = CrossedTowers((6, 5, 4, 3), n_crossed)
    rng = np.random.default_rng(5)
    p, q, r = (rng.normal(size=(7, 3)).astype(np.float32) for _ in range(3))
    a, b = np.concatenate([p, q], axis=1), np.concatenate([p, r], axis=1)
    users, first, second = (torch.from_numpy(one) for one in (p, q, r))
    layer = towers.first_layer()
    sums = layer.of_users(users) + layer.of_first(first) + layer.of_second(second)
    for mine, theirs in zip(towers.ends(sums), forward_by_hand(towers, a, b, m=1), strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), theirs, rtol=1e-4, atol=1e-5)
    for tower, (inputs, theirs) in enumerate(
        zip((a, b), forward_by_hand(towers, a, b, m=0), strict=True)
    ):
        mine = towers.alone(tower, torch.from_numpy(inputs))
        np.testing.assert_allclose(mine.detach().numpy(), theirs, rtol=1e-4, atol=1e-5)
    total = sum(one.detach().abs().sum().item() for one in towers.cross.parameters())
    assert towers.l1().item() == pytest.approx(total, rel=1e-5)


def test_a_watch_is_left_out_of_its_own_history():
    histories = csr_array(np.array([[1, 0, 1, 1], [0, 1, 1, 0]], dtype=np.float32))
    epoch = WatchEpoch(
        histories,
        2,
        np.array([0, 1, 0]),
        np.array([1, 0, 0]),
        np.array([7, 8], dtype=np.uint32),
        2,
    )
    batches = list(epoch)
    assert len(epoch) == len(batches) == 2
    items, starts, labels = (one.tolist() for one in batches[0].inputs)
    assert (items, starts, labels) == ([0, 2, 1], [0, 2], [1, 0])
    assert [one.tolist() for one in batches[1].inputs] == [[0, 3], [0], [0]]
    assert batches[1].user_ids.tolist() == [7]


def test_examples_are_all_or_the_same_number_of_each_user():
    users = np.array([0, 0, 0, 1, 2, 2])
    kept = np.array([0, 2, 4, 5])
    rng = np.random.default_rng(0)
    assert sorted(drawn_examples(users, kept, None, rng)) == kept.tolist()
    drawn = drawn_examples(users, kept, 50, rng)
    assert np.bincount(users[drawn]).tolist() == [50, 0, 50]
    assert set(drawn) == set(kept.tolist())


def test_histories_go_into_arrays_and_back(world):
    rows = world.data.interactions
    joined = side_by_side(rows, ("films", "books"))
    arrays = to_arrays("x", joined)
    np.testing.assert_array_equal(from_arrays("x", arrays).toarray(), joined.toarray())
    assert names_from_array(names_to_array(("films", "books"))) == ("films", "books")
    assert chosen_domains(world.data, Domains.ALL) == ("books", "films")
    assert chosen_domains(world.data, Domains.TARGET) == ("films",)
    np.testing.assert_array_equal(has_history(rows, ("films",)), np.diff(rows["films"].indptr) > 0)
