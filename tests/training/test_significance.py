"""Intervals and paired tests where the answer is known."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from training.significance import (
    bootstrap_interval,
    holm,
    paired_difference,
    ratio_of_means,
)


def test_the_interval_is_that_of_the_normal_approximation():
    values = np.random.default_rng(0).random(400)
    found = bootstrap_interval(values, seed=1)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.003)
    assert found.high == pytest.approx(values.mean() + half, abs=0.003)
    assert found == bootstrap_interval(values, seed=1)


def test_paired_p_value_agrees_with_the_t_test():
    rng = np.random.default_rng(3)
    first = rng.random(200)
    second = first - 0.02 + rng.normal(scale=0.15, size=200)
    found = paired_difference(first, second)
    assert found.p_value == pytest.approx(ttest_rel(first, second).pvalue, abs=0.02)
    assert found.interval.mean == pytest.approx((first - second).mean())


def test_no_difference_is_not_significant_and_a_sure_one_is():
    same = np.random.default_rng(0).random(50)
    assert paired_difference(same, same).p_value == 1.0
    assert paired_difference(same + 1, same).p_value < 0.001


def test_ratio_of_means_and_its_interval_against_a_loop():
    rng = np.random.default_rng(3)
    first, second = rng.random(40), rng.random(40) + 0.5
    found = ratio_of_means(first, second)
    assert found.mean == pytest.approx(first.sum() / second.sum())
    draws = np.random.default_rng(99)
    ratios = []
    for _ in range(4000):
        users = draws.integers(40, size=40)
        ratios.append(first[users].sum() / second[users].sum())
    low, high = np.quantile(ratios, [0.025, 0.975])
    assert (found.low, found.high) == (pytest.approx(low, abs=0.03), pytest.approx(high, abs=0.03))


def test_the_ratio_of_a_model_to_itself_has_no_width():
    values = np.random.default_rng(0).random(30)
    found = ratio_of_means(values, values)
    assert (found.low, found.mean, found.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),  # R: p.adjust(p, "holm")
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.2], [0.2]),
        ([], []),
    ],
)
def test_holm(p_values, adjusted):
    assert holm(p_values) == pytest.approx(adjusted)
