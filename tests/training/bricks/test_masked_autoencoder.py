"""CAT against NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from training.bricks.masked_autoencoder import LossWeights, MaskedAutoencoder

USERS, DOMAINS, DIM = 6, 5, 4


@pytest.fixture
def autoencoder():
    torch.manual_seed(0)
    return MaskedAutoencoder(DOMAINS, DIM).double()


@pytest.fixture
def vectors():
    return torch.randn(
        USERS, DOMAINS, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )


def run(layers, x):
    for layer in layers:
        if isinstance(layer, nn.Linear):
            x = x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
        else:
            x = np.where(x > 0, x, layer.weight.item() * x)
    return x


def test_the_sizes_are_those_of_the_public_code_at_five_domains(autoencoder):
    def sizes(layers):
        return [layer.out_features for layer in layers if isinstance(layer, nn.Linear)]

    assert sizes(autoencoder.encoder) == [5 * DIM, 3 * DIM, DIM]
    assert sizes(autoencoder.decoder) == [3 * DIM, 5 * DIM, 5 * DIM]


def test_the_loss_is_the_formula(autoencoder, vectors):
    hidden = torch.tensor([0, 1, 2, 3, 4, 0])
    found = autoencoder(vectors, torch.ones(USERS, DOMAINS, dtype=torch.bool), hidden)
    x, masked = vectors.numpy(), vectors.numpy().copy()
    masked[np.arange(USERS), hidden] = autoencoder.pad.detach().numpy()
    whole, half = (run(autoencoder.encoder, one.reshape(USERS, -1)) for one in (x, masked))
    mse = [
        ((run(autoencoder.decoder, one) - x.reshape(USERS, -1)) ** 2).mean()
        for one in (whole, half)
    ]
    unit, unit_half = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (whole, half))
    each = np.exp(unit @ unit_half.T / 0.1)
    right = np.diag(each)
    contrast = -0.5 * np.mean(np.log(right / each.sum(axis=1)) + np.log(right / each.sum(axis=0)))
    expected = 0.2 * contrast + 0.4 * mse[0] + 0.4 * mse[1]
    assert found.item() == pytest.approx(expected, rel=1e-10)


def test_a_domain_nobody_knows_of_the_user_is_neither_read_nor_rebuilt(autoencoder, vectors):
    known = torch.ones(USERS, DOMAINS, dtype=torch.bool)
    known[:, 3] = False
    hidden = torch.zeros(USERS, dtype=torch.int64)
    other = vectors.clone()
    other[:, 3] = 77.0
    assert autoencoder(vectors, known, hidden).item() == autoencoder(other, known, hidden).item()


def test_every_parameter_learns_and_without_contrast_the_pad_does_not(autoencoder, vectors):
    known, hidden = torch.ones(USERS, DOMAINS, dtype=torch.bool), torch.tensor([0, 1, 2, 3, 4, 0])
    autoencoder(vectors, known, hidden).backward()
    for name, one in autoencoder.named_parameters():
        assert one.grad.abs().sum() > 0, name
    plain = MaskedAutoencoder(DOMAINS, DIM, LossWeights(0.0, 1.0, 0.0)).double()
    plain(vectors, known, hidden).backward()
    assert plain.pad.grad.abs().sum() == 0
    assert plain.encoder[0].weight.grad.abs().sum() > 0


def test_it_learns_to_fill_in_a_hidden_domain():
    """Vectors of three domains that are maps of one latent vector: the hidden one follows from the others."""
    torch.manual_seed(3)
    latent = torch.randn(128, 2)
    vectors = torch.stack([latent @ torch.randn(2, DIM) for _ in range(3)], dim=1)
    model = MaskedAutoencoder(3, DIM)
    known = torch.ones(128, 3, dtype=torch.bool)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = model(vectors, known, torch.randint(3, (128,)))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    known[:, 1] = False
    rebuilt = model.decode(model.encode(vectors, known))[:, 1]
    assert ((rebuilt - vectors[:, 1]) ** 2).mean() < 0.2 * vectors[:, 1].var()
