"""The whole self-supervised loss of SITN from its parts, and its switches."""

import numpy as np
import pytest
import torch

from training.bricks.domain_contrast import ContrastStage, DomainContrast, SequencePair
from training.bricks.info_nce import info_nce_both_ways
from training.bricks.interest_clusters import ClusterSettings
from training.bricks.sequence_attention import SequenceEncoder, masked_mean
from training.bricks.sequences import Windows

DIM, USERS = 4, 6
SPACES = [ClusterSettings(DIM, n, temperature=0.2) for n in (3, 5)]


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return SequencePair(7, 8, *(SequenceEncoder(DIM, 2, n_positions=4) for _ in range(2))).double()


@pytest.fixture
def windows():
    torch.manual_seed(1)
    mask = torch.arange(4)[None] < torch.tensor([[4], [1], [2], [3], [4], [2]])
    return [torch.randint(7, (USERS, 4)), mask, torch.randint(8, (USERS, 4)), mask.flip(0)]


def contrast(spaces=SPACES, *, instances=True, normalise=True):
    torch.manual_seed(2)
    return DomainContrast(spaces, instances, 0.2, normalise).double()


def test_it_is_the_sum_of_both_levels_over_all_granularities(pair, windows):
    both = contrast()
    sides = pair(Windows(*windows[:2]), Windows(*windows[2:]))
    source, target = (masked_mean(*side) for side in sides)
    expected = sum(space(source, target) for space in both.spaces)
    unit = [one / torch.linalg.norm(one, dim=1, keepdim=True) for one in (source, target)]
    expected = expected + info_nce_both_ways(*unit, 0.2)
    torch.testing.assert_close(both(source, target), expected)
    torch.testing.assert_close(ContrastStage(pair, both)(*windows), expected.mean())


def test_an_instance_is_the_mean_of_the_encoded_places(pair, windows):
    """Equation 2, for the user with one item: attention over one place is that place, projected."""
    side = pair(Windows(*windows[:2]), Windows(*windows[2:]))[0]
    encoder = pair.source_encoder
    item = pair.source_items(windows[0][1, :1]) + encoder.positions(torch.tensor([0]))
    expected = encoder.attention.output(encoder.attention.values(item))[0]
    torch.testing.assert_close(masked_mean(*side)[1], expected)


def test_each_switch_takes_its_term_away():
    torch.manual_seed(3)
    source, target = torch.randn(2, USERS, DIM, dtype=torch.float64)
    whole = contrast()(source, target)
    clusters = contrast(instances=False)(source, target)
    instances = contrast(spaces=[])(source, target)
    torch.testing.assert_close(clusters + instances, whole)
    plain = contrast(spaces=[], normalise=False)(source, target)
    torch.testing.assert_close(plain, info_nce_both_ways(source, target, 0.2))
    one = contrast(spaces=SPACES[:1], instances=False)(source, target)
    assert (one < clusters).all()


def test_every_parameter_of_stage_1_learns(pair, windows):
    stage = ContrastStage(pair, contrast())
    stage(*windows).backward()
    for name, one in stage.named_parameters():
        if "keys.bias" not in name:  # softmax does not see it
            assert one.grad.abs().sum() > 0, name


def test_the_order_of_users_does_not_matter(pair, windows):
    stage = ContrastStage(pair, contrast())
    order = torch.from_numpy(np.random.default_rng(0).permutation(USERS))
    shuffled = stage(*(one[order] for one in windows))
    torch.testing.assert_close(shuffled, stage(*windows))
