"""The MLP on pairs, against NumPy, and all pairs against given ones."""

import numpy as np
import torch

from training.bricks import rating_head
from training.bricks.rating_head import RatingHead


def test_it_is_an_mlp_of_both_vectors_side_by_side():
    torch.manual_seed(0)
    head = RatingHead(3, [5, 4], dropout=0.5).double().eval()
    users, items = torch.randn(2, 6, 3).double()
    weights = {name: one.detach().numpy() for name, one in head.named_parameters()}
    first = np.concatenate([weights["of_user.weight"], weights["of_item.weight"]], axis=1)
    x = np.concatenate([users.numpy(), items.numpy()], axis=1)
    x = np.maximum(x @ first.T + weights["of_user.bias"], 0)
    x = np.maximum(x @ weights["rest.2.weight"].T + weights["rest.2.bias"], 0)
    x = x @ weights["rest.5.weight"].T + weights["rest.5.bias"]
    np.testing.assert_allclose(head(users, items).detach().numpy(), x[:, 0])


def test_all_pairs_are_the_pairs_however_many_at_a_time(monkeypatch):
    torch.manual_seed(0)
    head = RatingHead(3, [5]).eval()
    users, items = torch.randn(7, 3), torch.randn(4, 3)
    pairs = head(users.repeat_interleave(4, 0), items.repeat(7, 1)).detach().numpy()
    for cells in (1, 50, 1 << 20):
        monkeypatch.setattr(rating_head, "CELLS_AT_ONCE", cells)
        found = head.of_all(users, items).detach().numpy()
        np.testing.assert_allclose(found, pairs.reshape(7, 4), rtol=1e-5, atol=1e-6)
    assert head.of_all(users[:0], items).shape == (0, 4)
