"""The chunked full softmax against torch's own cross-entropy, in float64 and in bfloat16."""

import pytest
import torch

from training import losses
from training.losses import Products, full_softmax


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


def test_vectors_that_autocast_made_half_precision_are_taken_in_the_items_dtype():
    layer = torch.nn.Linear(4, 4)
    users, items, bias = (one.detach().float() for one in tensors())
    items.requires_grad_()
    positives = {"positive_users": USERS, "positive_items": ITEMS}
    with torch.autocast("cpu", torch.bfloat16):
        halved = layer(users)
        found = full_softmax(halved, items, halved.new_zeros(len(bias)), **positives)
    assert halved.dtype == torch.bfloat16
    assert found.dtype == torch.float32
    expected = plain(halved.detach().float(), items, torch.zeros_like(bias), "sum")
    torch.testing.assert_close(found, expected)
    found.sum().backward()
    assert layer.weight.grad.isfinite().all()
    assert items.grad.dtype == torch.float32


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


@pytest.mark.parametrize("kept_bytes", [0, 2**28])
def test_bfloat16_products_stay_close_to_float64(monkeypatch, kept_bytes):
    """Stated tolerance: a loss to 2e-3 relative, their mean to 2e-4, gradients to 1 % of their norm, on logits of +-10."""
    monkeypatch.setattr(losses, "KEPT_BYTES", kept_bytes)
    torch.manual_seed(1)
    users, items = torch.randn(64, 32), torch.randn(900, 32)
    bias, own = torch.randn(900), torch.randint(900, (150,))
    owner = torch.sort(torch.randint(64, (150,))).values
    exact = [one.double().requires_grad_() for one in (users * 0.5, items * 0.8, bias)]
    rough = [one.requires_grad_() for one in (users * 0.5, items * 0.8, bias)]
    options = {"positive_users": owner, "positive_items": own, "chunk": 128}
    expected = full_softmax(*exact, **options)
    found = full_softmax(*rough, products=Products.BF16, **options)
    assert found.dtype == torch.float32
    assert float((exact[0] @ exact[1].T).detach().abs().max()) > 8
    torch.testing.assert_close(found.double(), expected, rtol=2e-3, atol=1e-3)
    assert abs(float((found.mean() / expected.mean()).detach()) - 1) < 2e-4
    expected.mean().backward()
    found.mean().backward()
    for one, other in zip(rough, exact, strict=True):
        error = (one.grad.double() - other.grad).norm() / other.grad.norm()
        assert 1e-5 < error < 1e-2


def test_what_is_kept_of_bfloat16_products_changes_the_gradient_by_rounding_only(monkeypatch):
    gradients = []
    for kept_bytes in (0, 2**28):
        monkeypatch.setattr(losses, "KEPT_BYTES", kept_bytes)
        ours = [one.detach().float().requires_grad_() for one in tensors(40, 300, 16)]
        own = torch.arange(40)
        full_softmax(
            *ours, positive_users=own, positive_items=own, chunk=64, products=Products.BF16
        ).sum().backward()
        gradients.append([one.grad for one in ours])
    for one, other in zip(*gradients, strict=True):
        assert float((one - other).norm() / one.norm()) < 5e-3
