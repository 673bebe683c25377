"""How sure a mean over users is, and a difference between two models.

In: one value a user. Out: percentile bootstrap intervals over users (Efron 1979), and for a paired
difference the p value of a random sign-flip test, the randomisation test for paired samples
(Smucker et al., CIKM 2007). Several tests at once are corrected by Holm's step-down rule (Holm, Scandinavian
Journal of Statistics, 1979).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

N_RESAMPLES = 2000
"""Two-sided p values are then multiples of 1 / 2001."""
VALUES_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Interval:
    """A mean over users with the bounds of its confidence interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """First model minus second, over the same users."""

    interval: Interval
    p_value: float
    n_users: int


def bootstrap_interval(
    values: Float64[np.ndarray, " users"], *, seed: int = 0, level: float = 0.95
) -> Interval:
    """Return the mean of `values` and its percentile bootstrap interval over users.

    >>> bootstrap_interval(np.ones(5))
    Interval(mean=1.0, low=1.0, high=1.0)
    """
    rng = np.random.default_rng(seed)
    means = np.empty(N_RESAMPLES)
    step = max(1, VALUES_AT_ONCE // len(values))
    for start in range(0, N_RESAMPLES, step):
        n = min(step, N_RESAMPLES - start)
        means[start : start + n] = values[rng.integers(len(values), size=(n, len(values)))].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def paired_difference(
    first: Float64[np.ndarray, " users"], second: Float64[np.ndarray, " users"], *, seed: int = 0
) -> Difference:
    """Return the mean difference, its interval, and the p value under random exchange of the two models."""
    gap = first - second
    rng = np.random.default_rng([seed, 1])
    step = max(1, VALUES_AT_ONCE // len(gap))
    n_extreme = 0
    for start in range(0, N_RESAMPLES, step):
        n = min(step, N_RESAMPLES - start)
        signs = rng.integers(2, size=(n, len(gap)), dtype=np.int8) * 2 - 1
        by_chance = np.abs(signs @ gap)
        n_extreme += int(np.count_nonzero(by_chance >= abs(gap.sum()) - 1e-12))
    p_value = (n_extreme + 1) / (N_RESAMPLES + 1)
    return Difference(bootstrap_interval(gap, seed=seed), p_value, len(gap))


def ratio_of_means(
    first: Float64[np.ndarray, " users"], second: Float64[np.ndarray, " users"], seed: int = 0
) -> Interval:
    """Return mean(first) / mean(second) with its 95 % paired bootstrap interval over users.

    >>> ratio_of_means(np.full(4, 0.3), np.full(4, 0.2)).mean.__round__(3)
    1.5
    """
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(first), size=(N_RESAMPLES, len(first)))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = first[picks].mean(axis=1) / second[picks].mean(axis=1)
        ratio = first.mean() / second.mean()
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Interval(float(ratio), float(low), float(high))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values adjusted for their number by Holm's step-down rule, in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, floor = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        floor = max(floor, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = floor
    return adjusted
