"""Sampled softmax: the full one when all is drawn, right on average when not, and by its formula."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training.losses import full_softmax
from training.sampled_softmax import draw_items, inclusion_chances, sampled_softmax

N_USERS, N_ITEMS = 4, 30
OWNER = torch.tensor([0, 0, 1, 3, 3, 3])  # user 2 has no positive
OWN = torch.tensor([2, 9, 2, 0, 29, 14])


def tensors():
    torch.manual_seed(3)
    shapes = ((N_USERS, 5), (N_ITEMS, 5), (N_ITEMS,))
    return [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def chances_of(n_expected):
    proposal = torch.linspace(1.0, 5.0, N_ITEMS, dtype=torch.float64)
    return inclusion_chances(proposal, n_expected)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_equal_to_the_full_softmax_when_all_items_are_drawn(reduction):
    ours, theirs = tensors(), tensors()
    options = {"positive_users": OWNER, "positive_items": OWN, "reduction": reduction}
    every = torch.arange(N_ITEMS)
    found = sampled_softmax(*ours, drawn=every, chances=chances_of(N_ITEMS), **options)
    expected = full_softmax(*theirs, **options)
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    expected.sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_the_formula_again_in_numpy():
    users, items, bias = (one.detach() for one in tensors())
    drawn, chances = torch.tensor([2, 5, 14, 20]), chances_of(8)
    found = sampled_softmax(
        users, items, bias, positive_users=OWNER, positive_items=OWN, drawn=drawn, chances=chances
    )
    scores = (users @ items.T + bias).numpy()
    for user in range(N_USERS):
        own = OWN[user == OWNER].tolist()
        beside = [j for j in drawn.tolist() if j not in own]
        z = sum(math.exp(scores[user, p]) for p in own)
        z += sum(math.exp(scores[user, j] - math.log(chances[j])) for j in beside)
        expected = sum(math.log(z) - scores[user, p] for p in own)
        assert float(found[user]) == pytest.approx(expected, rel=1e-9)


def test_the_partition_is_right_on_average_and_wrong_without_the_correction():
    users, items, bias = (one.detach() for one in tensors())
    scores = users @ items.T + bias
    full = scores[[0, 1, 3]].exp().sum(dim=1)
    chances = chances_of(12)
    torch.manual_seed(0)
    corrected, plain, lows = [], [], []
    for _ in range(3000):
        drawn = draw_items(chances)
        losses = sampled_softmax(
            users,
            items,
            bias,
            positive_users=torch.tensor([0, 1, 3]),
            positive_items=torch.tensor([2, 2, 0]),
            drawn=drawn,
            chances=chances,
        )[[0, 1, 3]]
        own = scores[[0, 1, 3], [2, 2, 0]]
        corrected.append((losses + own).exp())
        lows.append(losses + own)
        plain.append(scores[[0, 1, 3]][:, drawn].exp().sum(dim=1))
    found = torch.stack(corrected)
    error = found.std(dim=0) / len(found) ** 0.5
    assert bool(((found.mean(dim=0) - full).abs() < 4 * error).all())
    assert bool((torch.stack(lows).mean(dim=0) < full.log()).all())  # Jensen: log Z^ is low
    assert bool((torch.stack(plain).mean(dim=0) < 0.7 * full).all())


def test_nobody_drawn_and_nobody_liked_give_numbers():
    ours = tensors()
    nothing = torch.zeros(0, dtype=torch.int64)
    found = sampled_softmax(
        *ours, positive_users=OWNER, positive_items=OWN, drawn=nothing, chances=chances_of(3)
    )
    assert float(found[2].detach()) == 0.0
    found.sum().backward()
    assert all(bool(torch.isfinite(one.grad).all()) for one in ours)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=40), st.integers(1, 60))
def test_chances_sum_to_what_was_asked_for(weights, n_expected):
    proposal = torch.tensor(weights, dtype=torch.float64)
    found = inclusion_chances(proposal, n_expected).numpy()
    assert found.sum() == pytest.approx(min(n_expected, len(weights)))
    assert (found > 0).all()
    assert (found <= 1 + 1e-12).all()
    free = found < 1
    ratios = found[free] / np.array(weights)[free]
    assert np.allclose(ratios, ratios[:1])


def test_items_are_drawn_by_their_chances():
    chances = chances_of(10)
    torch.manual_seed(0)
    counts = sum(torch.bincount(draw_items(chances), minlength=N_ITEMS) for _ in range(4000))
    error = (chances * (1 - chances) / 4000).sqrt()
    assert bool(((counts / 4000 - chances).abs() < 4.5 * error).all())
