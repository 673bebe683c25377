"""ART against NumPy."""

import numpy as np
import pytest
import torch

from training.bricks.representation_transfer import (
    Representations,
    RepresentationTransfer,
    Transfer,
)

USERS, SOURCES, DIM = 3, 4, 6


@pytest.fixture
def inputs():
    torch.manual_seed(2)
    return Representations(
        torch.randn(USERS, DIM, dtype=torch.float64),
        torch.randn(USERS, SOURCES, DIM, dtype=torch.float64),
        torch.tensor([[True] * 4, [True, False, True, False], [False] * 4]),
        torch.randn(USERS, DIM, dtype=torch.float64),
    )


def unit(transfer):
    torch.manual_seed(0)
    return RepresentationTransfer(SOURCES, DIM, transfer).double().eval()


def affine(linear, x):
    return x @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()


def test_attention_weighs_the_known_sources_by_the_target(inputs):
    art = unit(Transfer.ATTENTION)
    target, sources, known, whole = (one.numpy() for one in inputs)
    found = art(inputs).detach().numpy()
    for user in range(USERS):
        expected = target[user] + affine(art.from_global, whole[user])
        kept = np.flatnonzero(known[user])
        if len(kept):
            memory = np.stack([affine(art.adapters[s], sources[user, s]) for s in kept])
            query = affine(art.attention.queries, target[user])
            logits = np.exp(affine(art.attention.keys, memory) @ query / np.sqrt(DIM))
            mixed = logits / logits.sum() @ affine(art.attention.values, memory)
            expected += affine(art.attention.output, mixed)
        np.testing.assert_allclose(found[user], expected, rtol=1e-10)


def test_without_attention_the_sources_go_through_one_map(inputs):
    art = unit(Transfer.CONCATENATION)
    target, sources, known, whole = (one.numpy() for one in inputs)
    joint = affine(art.joint, (sources * known[:, :, None]).reshape(USERS, -1))
    expected = target + affine(art.from_global, whole) + joint
    np.testing.assert_allclose(art(inputs).detach(), expected, rtol=1e-10)


def test_the_global_vector_alone(inputs):
    art = unit(Transfer.GLOBAL)
    target, _, _, whole = (one.numpy() for one in inputs)
    np.testing.assert_allclose(art(inputs).detach(), target + affine(art.from_global, whole))


@pytest.mark.parametrize("transfer", Transfer)
def test_every_parameter_learns(transfer, inputs):
    art = unit(transfer)
    (art(inputs) ** 2).sum().backward()
    for name, one in art.named_parameters():
        if (
            name == "attention.keys.bias"
        ):  # it shifts all logits of a query alike: softmax does not see it
            assert one.grad.abs().max() < 1e-10
        else:
            assert one.grad.abs().sum() > 0, name
