"""Counting of work, against autograd's own count of a small transformer."""

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from training.speed import Speedometer, matmul_peak, softmax_flops, transformer_flops


def test_transformer_work_is_what_torch_counts():
    width, tokens, texts = 32, 24, 3
    layer = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True)
    n_weights = sum(one.numel() for one in layer.parameters() if one.dim() == 2)
    x = torch.randn(texts, tokens, width, requires_grad=True)
    # the fused kernel for the host is not in torch's table of operations
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        layer(x).sum().backward()
    expected = transformer_flops(n_weights, 1, width, [tokens] * texts)
    assert counter.get_total_flops() == pytest.approx(expected, rel=0.02)


def test_softmax_work_is_what_torch_counts():
    users, items = (torch.randn(n, 8, requires_grad=True) for n in (5, 40))
    with FlopCounterMode(display=False) as counter:
        (users @ items.T).logsumexp(dim=1).sum().backward()
    assert counter.get_total_flops() == softmax_flops(5, 40, 8)


def test_rates_are_sums_over_seconds():
    speed = Speedometer(peak=100.0)
    speed.add(3.0, 30.0, 50.0, 2.0)
    speed.add(1.0, 10.0, 50.0, 2.0)
    assert speed.rates() == {
        "users_per_second": 1.0,
        "tokens_per_second": 10.0,
        "share_of_peak": 0.25,
    }
    assert speed.note() == "1 users/s, 10 tokens/s, 25% of peak"
    untold = Speedometer()
    untold.add(3.0, 0.0, 0.0, 1.5)
    assert untold.rates() == {"users_per_second": 2.0}


def test_the_peak_is_no_less_than_what_a_product_reaches():
    peak = matmul_peak(torch.device("cpu"), torch.float32)
    assert 1e8 < peak < 1e15
