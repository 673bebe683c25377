"""Intervals and paired tests where the answer is known."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from training.significance import bootstrap_interval, paired_difference


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
