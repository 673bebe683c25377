"""Attention against NumPy and against PyTorch's own layer."""

import numpy as np
import pytest
import torch
from torch import nn

from training.bricks.sequence_attention import (
    MultiHeadAttention,
    SequenceEncoder,
    masked_mean,
)
from training.errors import ConfigError


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return MultiHeadAttention(6, n_heads=2).double()


def test_equation_1_on_every_head(layer):
    rng = np.random.default_rng(0)
    query, memory = rng.normal(size=(1, 4, 6)), rng.normal(size=(1, 5, 6))

    def project(linear, x):
        return x @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()

    q, k = project(layer.queries, query[0]), project(layer.keys, memory[0])
    v, heads = project(layer.values, memory[0]), []
    for part in (slice(0, 3), slice(3, 6)):
        logits = np.exp(q[:, part] @ k[:, part].T / np.sqrt(3))
        heads.append(logits / logits.sum(axis=1, keepdims=True) @ v[:, part])
    expected = project(layer.output, np.concatenate(heads, axis=1))
    found = layer(
        torch.from_numpy(query), torch.from_numpy(memory), torch.ones(1, 5, dtype=torch.bool)
    )
    np.testing.assert_allclose(found[0].detach(), expected, rtol=1e-10)


def test_it_equals_pytorchs_layer_with_padding(layer):
    theirs = nn.MultiheadAttention(6, 2, batch_first=True).double()
    parts = (layer.queries, layer.keys, layer.values)
    theirs.in_proj_weight.data = torch.cat([part.weight for part in parts]).detach()
    theirs.in_proj_bias.data = torch.cat([part.bias for part in parts]).detach()
    theirs.out_proj.load_state_dict(layer.output.state_dict())
    x = torch.randn(3, 5, 6, dtype=torch.float64)
    mask = torch.arange(5)[None] < torch.tensor([[5], [2], [1]])
    expected, _ = theirs(x, x, x, key_padding_mask=~mask)
    torch.testing.assert_close(layer(x, x, mask), expected)


def test_padding_is_not_looked_at_and_nothing_gives_zero(layer):
    x = torch.randn(2, 4, 6, dtype=torch.float64)
    mask = torch.tensor([[True, True, False, False], [False] * 4])
    other = torch.where(mask[:, :, None], x, 99.0)
    query = torch.randn(2, 3, 6, dtype=torch.float64)
    found = layer(query, x, mask)
    torch.testing.assert_close(found, layer(query, other, mask))
    assert (found[1] == 0).all()
    assert torch.isfinite(found).all()


def test_an_empty_row_gives_no_nan_to_the_gradients(layer):
    x = torch.randn(2, 3, 6, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, False, False], [False, False, False]])
    layer(x, x, mask).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(one.grad).all() for one in layer.parameters())
    assert (x.grad[1] == 0).all()


def test_recent_places_are_the_same_in_long_and_short_sequences():
    torch.manual_seed(1)
    encoder = SequenceEncoder(4, n_heads=1, n_positions=3)
    items = torch.randn(1, 2, 4)
    short = encoder(items, torch.ones(1, 2, dtype=torch.bool))
    padded = torch.cat([items, torch.zeros(1, 1, 4)], dim=1)
    long = encoder(padded, torch.tensor([[True, True, False]]))
    torch.testing.assert_close(long[:, :2], short)
    swapped = encoder(items.flip(1), torch.ones(1, 2, dtype=torch.bool))
    assert not torch.allclose(swapped.flip(1), short)


def test_without_positions_order_changes_nothing():
    torch.manual_seed(1)
    encoder = SequenceEncoder(4, n_heads=2)
    items, mask = torch.randn(1, 3, 4), torch.ones(1, 3, dtype=torch.bool)
    torch.testing.assert_close(encoder(items.flip(1), mask).flip(1), encoder(items, mask))


def test_the_mean_is_over_real_places():
    places = torch.tensor([[[1.0], [3.0], [50.0]], [[7.0], [7.0], [7.0]]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert masked_mean(places, mask).tolist() == [[2.0], [0.0]]


def test_heads_must_divide_the_embedding():
    with pytest.raises(ConfigError, match="3 heads do not divide an embedding of 8"):
        MultiHeadAttention(8, n_heads=3)
