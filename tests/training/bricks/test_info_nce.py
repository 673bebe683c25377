"""InfoNCE against NumPy and PyTorch's cross-entropy."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from training.bricks.info_nce import info_nce, info_nce_against, info_nce_both_ways


def random(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def plain(anchors, positives, temperature):
    """Equation 3 of SITN, term by term."""
    losses = []
    for k in range(len(anchors)):
        each = [np.exp(anchors[k] @ other / temperature) for other in positives]
        losses.append(-np.log(each[k] / sum(each)))
    return np.array(losses)


def test_one_way_is_the_printed_formula_and_cross_entropy():
    first, second = random(0, (5, 3), (5, 3))
    a, b = torch.from_numpy(first), torch.from_numpy(second)
    found = info_nce(a, b, 0.5)
    np.testing.assert_allclose(found, plain(first, second, 0.5), rtol=1e-10)
    expected = functional.cross_entropy(a @ b.T / 0.5, torch.arange(5), reduction="none")
    torch.testing.assert_close(found, expected)


def test_both_ways_is_the_sum_of_equations_3_and_4():
    first, second = random(1, (4, 3), (4, 3))
    found = info_nce_both_ways(torch.from_numpy(first), torch.from_numpy(second), 0.3)
    expected = plain(first, second, 0.3) + plain(second, first, 0.3)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_shared_negatives_are_the_denominator_of_equation_7():
    anchors, positives, negatives = random(2, (4, 3), (4, 3), (6, 3))
    found = info_nce_against(*map(torch.from_numpy, (anchors, positives, negatives)), 0.7)
    for k in range(4):
        own = np.exp(anchors[k] @ positives[k] / 0.7)
        others = sum(np.exp(anchors[k] @ one / 0.7) for one in negatives)
        np.testing.assert_allclose(found[k], -np.log(own / (own + others)), rtol=1e-10)


def test_what_is_left_out_for_an_anchor_is_no_negative_of_it():
    anchors, positives, negatives = map(torch.from_numpy, random(3, (4, 3), (4, 3), (6, 3)))
    left_out = torch.tensor([[0, 5], [1, 2], [3, 4], [5, 0]])
    found = info_nce_against(anchors, positives, negatives, 0.7, left_out)
    for k in range(4):
        kept = [row for row in range(6) if row not in left_out[k].tolist()]
        expected = info_nce_against(anchors[[k]], positives[[k]], negatives[kept], 0.7)
        torch.testing.assert_close(found[[k]], expected)


def test_large_similarities_do_not_overflow():
    big = 1e4 * torch.eye(3)
    assert torch.isfinite(info_nce(big, big, 0.01)).all()
    assert torch.isfinite(info_nce_against(big, big, -big, 0.01)).all()


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 6))
def test_losses_are_positive_and_follow_their_pairs(seed, size):
    first, second = (torch.from_numpy(one) for one in random(seed, (size, 2), (size, 2)))
    losses = info_nce_both_ways(first, second, 1.0)
    assert (losses >= -1e-12).all()
    order = torch.from_numpy(np.random.default_rng(seed).permutation(size))
    shuffled = info_nce_both_ways(first[order], second[order], 1.0)
    torch.testing.assert_close(shuffled, losses[order])
