"""How fast a fit is: users and tokens a second, and what share of the machine's matrix peak is used.

The peak is measured, not looked up: the best of a few large matrix products in the fit's own type on its own
device, threads included. The work is counted from the model's shape, as useful work: padding, computing a thing
twice and everything that is no matrix product count nothing. For a transformer with P weights in matrices (embeddings
are looked up, not multiplied), L layers and width h, on texts of n tokens, forward and backward together

    6 P n  +  12 L h n^2        (Kaplan et al. 2020, section 2.1; the second term is attention's two products)
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

PEAK_SIZES = {"cpu": 512, "cuda": 8192}
"""Side of the square matrices multiplied: long enough to be at full speed, over in 0.1 s."""
PEAK_REPEATS = {"cpu": 5, "cuda": 20}


def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Return the floating-point operations a second of the best of a few matrix products.

    Args:
        device: Where.
        dtype: Of the factors.
    """
    size, repeats = PEAK_SIZES.get(device.type, 512), PEAK_REPEATS.get(device.type, 5)
    left = torch.full((size, size), 0.5, device=device, dtype=dtype)
    right = left.clone()
    best = math.inf
    for _ in range(repeats + 1):  # the first one wakes the machine up
        _wait_for(device)
        started = time.perf_counter()
        torch.matmul(left, right)
        _wait_for(device)
        best = min(best, time.perf_counter() - started)
    return 2.0 * size**3 / best


def transformer_flops(n_weights: int, n_layers: int, width: int, lengths: Sequence[int]) -> float:
    """Return the operations of forward and backward pass over texts of these lengths.

    Args:
        n_weights: In matrices, embeddings left out.
        n_layers: Layers.
        width: Of the hidden states.
        lengths: Tokens of each text.

    >>> transformer_flops(100, 2, 5, [3])  # 6 * 100 * 3 + 12 * 2 * 5 * 9
    2880.0
    """
    n_tokens, n_pairs = sum(lengths), sum(length**2 for length in lengths)
    return 6.0 * n_weights * n_tokens + 12.0 * n_layers * width * n_pairs


def softmax_flops(n_users: int, n_items: int, width: int) -> float:
    """Return the operations of a full softmax: one product forward, two backward."""
    return 6.0 * n_users * n_items * width


@dataclass
class Speedometer:
    """Sums up the work of steps."""

    peak: float | None = None
    """Operations a second of all devices together; None where no model counts its work."""
    n_users: float = 0.0
    n_tokens: float = 0.0
    flops: float = 0.0
    seconds: float = 0.0

    def add(self, n_users: float, n_tokens: float, flops: float, seconds: float) -> None:
        """Count what was done in so many seconds of wall time."""
        self.n_users += n_users
        self.n_tokens += n_tokens
        self.flops += flops
        self.seconds += seconds

    def rates(self) -> dict[str, float]:
        """Return users, tokens and share of peak; without what was not counted."""
        seconds = max(self.seconds, 1e-9)
        found = {"users_per_second": round(self.n_users / seconds, 2)}
        if self.n_tokens:
            found["tokens_per_second"] = round(self.n_tokens / seconds, 1)
        if self.flops and self.peak:
            found["share_of_peak"] = round(self.flops / seconds / self.peak, 4)
        return found

    def note(self) -> str:
        """Return the rates in words, for whoever watches."""
        words = {"users_per_second": "{:.4g} users/s", "tokens_per_second": "{:.0f} tokens/s"}
        rates = self.rates()
        told = [text.format(rates[name]) for name, text in words.items() if name in rates]
        if "share_of_peak" in rates:
            told.append(f"{rates['share_of_peak']:.0%} of peak")
        return ", ".join(told)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
