"""Click prediction against NumPy (SITN, equations 8 and 9)."""

import numpy as np
import pytest
import torch

from training.bricks.click_prediction import ClickPredictor, ClickStage, click_loss
from training.bricks.domain_contrast import SequencePair
from training.bricks.sequence_attention import EncodedPlaces, SequenceEncoder

DIM = 4


def affine(linear, x):
    return x @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()


def attend(layer, query, memory):
    """Target attention of one item over one sequence with one head."""
    logits = np.exp(affine(layer.keys, memory) @ affine(layer.queries, query) / np.sqrt(DIM))
    return affine(layer.output, logits / logits.sum() @ affine(layer.values, memory))


@pytest.fixture
def predictor():
    torch.manual_seed(0)
    return ClickPredictor(DIM, n_heads=1, hidden_size=5).double()


def test_equation_8_item_by_item(predictor):
    rng = np.random.default_rng(1)
    items, source, target = (rng.normal(size=(2, n, DIM)) for n in (3, 4, 2))
    sides = [
        EncodedPlaces(torch.from_numpy(one), torch.ones(one.shape[:2], dtype=torch.bool))
        for one in (source, target)
    ]
    sides[1].mask[1] = False  # the second user is new to the target
    found = predictor(torch.from_numpy(items), *sides).detach()
    for user in range(2):
        for n, item in enumerate(items[user]):
            of_source = attend(predictor.source_attention, item, source[user])
            of_target = attend(predictor.target_attention, item, target[user])
            joined = np.concatenate([of_source, of_target if user == 0 else np.zeros(DIM), item])
            hidden = np.maximum(affine(predictor.mlp[0], joined), 0)
            assert found[user, n].item() == pytest.approx(affine(predictor.mlp[3], hidden)[0])


def test_equation_9_with_the_first_item_clicked():
    log_odds = torch.tensor([[0.3, -1.0, 2.0], [4.0, 0.0, 0.5]], dtype=torch.float64)
    chance = 1 / (1 + np.exp(-log_odds.numpy()))
    expected = -np.log(np.concatenate([chance[:, :1], 1 - chance[:, 1:]], axis=1)).mean()
    assert click_loss(log_odds).item() == pytest.approx(expected)


def test_every_parameter_of_stage_2_learns():
    torch.manual_seed(0)
    encoders = [SequenceEncoder(DIM, 2, n_positions=3) for _ in range(2)]
    stage = ClickStage(SequencePair(5, 6, *encoders), ClickPredictor(DIM, 2, 8)).double()
    source, target, items = (torch.randint(5, (16, n)) for n in (3, 2, 4))
    ones = [torch.ones_like(one, dtype=torch.bool) for one in (source, target)]
    stage(source, ones[0], target, ones[1], items).backward()
    for name, one in stage.named_parameters():
        if "keys.bias" not in name:  # softmax does not see it
            assert one.grad.abs().sum() > 0, name
