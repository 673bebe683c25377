"""The full softmax by chunks beside plain cross-entropy: time, memory, digits.

    python benchmarks/softmax.py                  # a minute or two
    python benchmarks/softmax.py --items 25000    # one size

Random vectors of 256 numbers, one positive a user. Each version runs in a process of its own, forward and backward:
CPU seconds (best of three) and the
highest memory beside the vectors and their gradients (of Linux, by /proc). At 1,000,000 items the
batch is 64 users, since plain cross-entropy would take more memory than most machines have at 1,024. Loss and
gradient of the users are compared with float64.
"""

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor

from training.losses import Products, full_softmax
from training.sampled_softmax import draw_items, inclusion_chances, sampled_softmax

WIDTH = 256
BATCHES = {25_000: 1024, 1_000_000: 64}
N_SAMPLED = 8192


@dataclass(frozen=True)
class Measured:
    """What a version took."""

    seconds: float
    extra_bytes: int
    loss: float
    d_users: Tensor


def vectors(n_items: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Return users, items, bias and one positive a user."""
    generator = torch.Generator().manual_seed(0)
    n_users = BATCHES.get(n_items, 1024)
    users = torch.randn(n_users, WIDTH, generator=generator) * 0.3
    items = torch.randn(n_items, WIDTH, generator=generator) * 0.3
    bias = torch.randn(n_items, generator=generator)
    own = torch.randint(n_items, (n_users,), generator=generator)
    return [users.to(dtype), items.to(dtype), bias.to(dtype), own]


def plain(users: Tensor, items: Tensor, bias: Tensor, own: Tensor) -> Tensor:
    """Return torch's cross-entropy of the whole matrix of logits."""
    return torch.nn.functional.cross_entropy(users @ items.T + bias, own)


def chunked(products: Products) -> Callable[..., Tensor]:
    """Return the loss by chunks."""

    def loss(users: Tensor, items: Tensor, bias: Tensor, own: Tensor) -> Tensor:
        return full_softmax(
            users,
            items,
            bias,
            positive_users=torch.arange(len(users)),
            positive_items=own,
            products=products,
        ).mean()

    return loss


def sampled(users: Tensor, items: Tensor, bias: Tensor, own: Tensor) -> Tensor:
    """Return the loss over 8,192 items drawn alike, corrected."""
    chances = inclusion_chances(torch.ones(len(items)), N_SAMPLED)
    return sampled_softmax(
        users,
        items,
        bias,
        positive_users=torch.arange(len(users)),
        positive_items=own,
        drawn=draw_items(chances),
        chances=chances,
    ).mean()


VERSIONS = {
    "plain": plain,
    "chunks": chunked(Products.EXACT),
    "chunks, bf16": chunked(Products.BF16),
    "8,192 sampled": sampled,
}


def measure(name: str, n_items: int, repeats: int) -> Measured:
    """Run a version in this process."""
    torch.manual_seed(0)
    *parameters, own = vectors(n_items)
    parameters = [one.requires_grad_() for one in parameters]
    torch.mm(parameters[0].detach()[:64], parameters[1].detach()[:64].T)  # wakes the kernels up
    before, best, loss = reset_peak(), float("inf"), torch.zeros(())
    for _ in range(repeats):
        for one in parameters:
            one.grad = None
        started = time.process_time()
        loss = VERSIONS[name](*parameters, own)
        loss.backward()
        best = min(best, time.process_time() - started)
    own_bytes = sum(one.numel() * one.element_size() for one in parameters)
    gradient = parameters[0].grad
    assert gradient is not None
    return Measured(best, max(0, peak_bytes() - before - own_bytes), float(loss.detach()), gradient)


def reset_peak() -> int:
    """Forget the most memory this process held so far, and return what it holds now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _memory("VmRSS")


def peak_bytes() -> int:
    """Return the most memory this process held since `reset_peak`."""
    return _memory("VmHWM")


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def exact(n_items: int) -> tuple[float, Tensor]:
    """Return loss and gradient of the users in float64, by chunks."""
    users, items, bias, own = vectors(n_items, torch.float64)
    users.requires_grad_()
    loss = chunked(Products.EXACT)(users, items, bias, own)
    loss.backward()
    assert users.grad is not None
    return float(loss.detach()), users.grad


def apart(work: Callable[..., object], *arguments: object) -> object:
    """Return what `work` gives in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def main() -> None:
    """Read the arguments and print a table a size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--items", type=int, default=None)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    for n_items in [arguments.items] if arguments.items else sorted(BATCHES):
        reference, gradient = exact(n_items)
        print(f"\n{n_items:,} items, {BATCHES.get(n_items, 1024):,} users, loss {reference:.8f}")
        print(
            f"{'':16}{'CPU-s':>8}{'x plain':>9}{'extra GiB':>11}{'loss off by':>13}{'gradient':>11}"
        )
        base = None
        for name in VERSIONS:
            found = apart(measure, name, n_items, arguments.repeats)
            assert isinstance(found, Measured)
            base = base or found.seconds
            off = abs(found.loss / reference - 1)
            error = float((found.d_users.double() - gradient).norm() / gradient.norm())
            print(
                f"{name:16}{found.seconds:8.3f}{base / found.seconds:9.2f}{found.extra_bytes / 2**30:11.3f}"
                f"{off:13.1e}{error:11.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
