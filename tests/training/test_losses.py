"""The chunked full softmax against torch's own cross-entropy, in float64."""

import pytest
import torch

from training.losses import full_softmax


def tensors(n_users: int = 5, n_items: int = 23, size: int = 4):
    torch.manual_seed(0)
    return [
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((n_users, size), (n_items, size), (n_items,))
    ]


POSITIVES = {0: [1, 4], 1: [22], 2: [0, 7, 9], 4: [4]}  # user 3 has none
USERS = torch.tensor([user for user, items in POSITIVES.items() for _ in items])
ITEMS = torch.tensor([item for items in POSITIVES.values() for item in items])


def plain(users, items, bias, reduction):
    logits = users @ items.T + bias
    losses = []
    for user in range(len(users)):
        own = torch.tensor(POSITIVES.get(user, []), dtype=torch.long)
        if not len(own):
            losses.append(logits.new_zeros(()))
            continue
        losses.append(
            torch.nn.functional.cross_entropy(
                logits[user].expand(len(own), -1), own, reduction=reduction
            )
        )
    return torch.stack(losses)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("chunk", [1, 7, 23, 1000])
def test_equal_to_cross_entropy_with_gradients(reduction, chunk):
    ours, theirs = tensors(), tensors()
    weights = torch.arange(1.0, 6.0, dtype=torch.float64)
    loss = full_softmax(
        *ours, positive_users=USERS, positive_items=ITEMS, reduction=reduction, chunk=chunk
    )
    expected = plain(*theirs, reduction)
    torch.testing.assert_close(loss, expected)
    (loss * weights).sum().backward()
    (expected * weights).sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_gradients_by_finite_differences():
    assert torch.autograd.gradcheck(
        lambda *args: full_softmax(*args, positive_users=USERS, positive_items=ITEMS, chunk=5),
        tensors(),
    )


def test_large_logits_stay_finite():
    users, items, bias = tensors()
    loss = full_softmax(
        users * 1e3, items * 1e3, bias, positive_users=USERS, positive_items=ITEMS, chunk=4
    )
    assert torch.isfinite(loss).all()
