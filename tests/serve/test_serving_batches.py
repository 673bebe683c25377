"""The batcher against the encoder alone: the same rows for the same caller, bounded, and one failure is nobody else's."""
# ruff: noqa: D102  (a test's name is its docstring)

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_array

from mekb.reasons import encode
from mekb.serve.batching import Batcher

WIDTH = 6
BOUNDS = {"max_rows": 8, "wait_seconds": 0.05, "timeout_seconds": 20.0}


class Doubling:
    """An encoder that doubles, remembers how many rows came, and fails on a row of 13s."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.sizes: list[int] = []
        self._seconds = seconds

    def __call__(self, weights):
        self.sizes.append(weights.shape[0])
        time.sleep(self._seconds)
        rows = weights.toarray()
        if (rows == 13).any():
            raise ValueError("unlucky")
        return (2 * rows).astype(np.float32)


@pytest.fixture
def made():
    batchers = []

    def make(encoder, **bounds):
        batchers.append(Batcher(encoder, **{**BOUNDS, **bounds}))
        return batchers[-1]

    yield make
    for batcher in batchers:
        batcher.close()


def rows_of(seed: int, n_rows: int) -> csr_array:
    return csr_array(np.random.default_rng(seed).integers(0, 9, (n_rows, WIDTH)).astype(float))


def ask(batcher, weights):
    with batcher.caller():
        return batcher.encode(weights)


def test_everybody_has_their_own_rows_back(made):
    batcher = made(Doubling(0.002))
    asked = [rows_of(seed, 1 + seed % 5) for seed in range(60)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(partial(ask, batcher), asked))
    for weights, vectors in zip(asked, found, strict=True):
        assert np.array_equal(vectors, 2 * weights.toarray())
    assert batcher.n_asked == 60
    assert batcher.n_calls < 60


def test_no_call_has_more_rows_than_allowed_unless_one_asks_for_them(made):
    encoder = Doubling(0.002)
    batcher = made(encoder)
    sizes = [1, 3, 8, 11, 2, 2, 2, 7, 20, 1] * 4
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: ask(batcher, rows_of(n, n)), sizes))
    assert sum(encoder.sizes) == sum(sizes)
    assert {size for size in encoder.sizes if size > BOUNDS["max_rows"]} <= {11, 20}


def test_whoever_is_alone_waits_for_nobody(made):
    batcher = made(Doubling(), wait_seconds=30.0)
    started = time.monotonic()
    ask(batcher, rows_of(1, 2))
    assert time.monotonic() - started < 10


def test_the_wait_for_others_ends(made):
    batcher = made(Doubling(), wait_seconds=0.2)
    with batcher.caller():  # somebody is in work and never asks
        assert ask(batcher, rows_of(1, 2)).shape == (2, WIDTH)


def test_all_who_are_in_work_are_encoded_together(made):
    encoder = Doubling()
    batcher = made(encoder, wait_seconds=20.0, max_rows=100)
    ready = threading.Barrier(12)

    def together(seed):
        with batcher.caller():
            ready.wait()
            return batcher.encode(rows_of(seed, 1))

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(together, range(12)))
    # The last of them ends the wait; nobody is left behind.
    assert encoder.sizes == [12]


def test_a_failure_is_the_failing_ones_alone(made):
    batcher = made(Doubling(0.01))
    unlucky = csr_array(np.full((1, WIDTH), 13.0))
    asked = [unlucky if n % 7 == 3 else rows_of(n, 1) for n in range(21)]

    def outcome(weights):
        try:
            return ask(batcher, weights)
        except ValueError as error:
            return str(error)

    with ThreadPoolExecutor(21) as pool:
        found = list(pool.map(outcome, asked))
    for n, (weights, one) in enumerate(zip(asked, found, strict=True)):
        if n % 7 == 3:
            assert one == "unlucky"
        else:
            assert np.array_equal(one, 2 * weights.toarray())


def test_who_waits_too_long_is_told_and_not_encoded_for(made):
    encoder = Doubling(0.5)
    batcher = made(encoder, timeout_seconds=0.1, wait_seconds=0.0)
    with pytest.raises(TimeoutError):
        ask(batcher, rows_of(1, 1))
    for _ in range(3):
        with pytest.raises(TimeoutError):
            ask(batcher, rows_of(1, 1))
    batcher.close()
    assert len(encoder.sizes) < 4


def test_a_closed_one_answers_what_waits_and_no_more(made):
    batcher = made(Doubling(0.05), max_rows=1, wait_seconds=0.0)
    with ThreadPoolExecutor(5) as pool:
        found = [pool.submit(ask, batcher, rows_of(n, 1)) for n in range(5)]
        time.sleep(0.02)
        batcher.close()
        outcomes = [future.exception() for future in found]
    assert sum(outcome is None for outcome in outcomes) >= 1
    with pytest.raises(RuntimeError, match="closed"):
        ask(batcher, rows_of(1, 1))


def test_the_encoder_gives_each_profile_what_it_gives_it_alone(bundle, made):
    """The real one: packed beside others, a profile's vector is its own to rounding."""
    rng = np.random.default_rng(0)
    n_entities = len(bundle.profiles.entities.titles)
    asked = []
    for _ in range(24):
        row = np.zeros((1, n_entities))
        row[0, rng.choice(n_entities, rng.integers(1, 20), replace=False)] = rng.random()
        asked.append(csr_array(row))
    batcher = made(partial(encode, bundle), max_rows=64)
    with ThreadPoolExecutor(24) as pool:
        found = list(pool.map(partial(ask, batcher), asked))
    assert batcher.n_calls < 24
    for weights, vectors in zip(asked, found, strict=True):
        assert vectors == pytest.approx(encode(bundle, weights), abs=1e-4)
