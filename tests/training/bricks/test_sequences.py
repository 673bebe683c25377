"""Windows of sequences against plain lists."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from training.bricks.sequences import ItemSequences, item_sequences, merged, two_domains
from training.events import Events


def listed(windows):
    """Return the real places of each row as a list."""
    return [
        items[mask].tolist()
        for items, mask in zip(windows.items.numpy(), windows.mask.numpy(), strict=True)
    ]


def events(rows):
    """Return events of (user, item, time), all rated 5."""
    user, item, at = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return Events.ordered(user, item, np.full(len(user), 5, dtype=np.float32), at)


HISTORY = csr_array(np.array([[1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 1, 0]], dtype=np.float32))


def test_without_times_the_order_is_that_of_items():
    sequences = item_sequences(HISTORY)
    assert listed(sequences.of_users(np.arange(3), 9)) == [[0, 1, 3], [], [1, 2]]
    assert (sequences.at == 0).all()


def test_with_times_the_order_is_theirs_and_low_ratings_are_no_part():
    found = item_sequences(
        HISTORY, events([(0, 3, 10), (0, 0, 20), (0, 2, 25), (0, 1, 30), (2, 2, 5), (2, 1, 9)])
    )
    assert listed(found.of_users(np.arange(3), 9)) == [[3, 0, 1], [], [2, 1]]
    assert listed(found.of_users(np.array([2, 0]), 2)) == [[2, 1], [0, 1]]


def test_events_that_miss_a_positive_are_not_trusted():
    found = item_sequences(HISTORY, events([(0, 3, 10), (0, 0, 20)]))
    assert listed(found.of_users(np.arange(3), 9)) == [[0, 1, 3], [], [1, 2]]


@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    length=st.integers(1, 5),
    data=st.data(),
)
def test_windows_are_the_last_items_of_a_stretch_without_the_left_out_one(lengths, length, data):
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    items = np.arange(100, 100 + starts[-1])
    sequences = ItemSequences(items, np.zeros(len(items), dtype=np.int64), starts)
    stops = np.array(
        [data.draw(st.integers(starts[u], starts[u + 1])) for u in range(len(lengths))]
    )
    left_out = np.array([data.draw(st.integers(0, max(starts[-1], 1))) for _ in lengths])
    found = listed(sequences.windows(starts[:-1], stops, length, left_out))
    for user, stop in enumerate(stops):
        stretch = [100 + place for place in range(starts[user], stop) if place != left_out[user]]
        assert found[user] == stretch[-length:]
    whole = listed(sequences.windows(starts[:-1], stops, length))
    assert whole == [
        [100 + place for place in range(starts[u], stop)][-length:] for u, stop in enumerate(stops)
    ]


@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(1, 5)), max_size=12),
    asked=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), min_size=1, max_size=6),
)
def test_the_place_behind_strictly_older_events(rows, asked):
    ordered = sorted(rows, key=lambda row: (row[0], row[2]))
    starts = np.searchsorted([row[0] for row in ordered], np.arange(4)).astype(np.int64)
    at = np.array([row[2] for row in ordered], dtype=np.int64)
    sequences = ItemSequences(np.zeros(len(ordered), dtype=np.int64), at, starts)
    users, times = (np.array(one, dtype=np.int64) for one in zip(*asked, strict=True))
    for user, time, stop in zip(users, times, sequences.stops_before(users, times), strict=True):
        own = at[starts[user] : starts[user + 1]]
        expected = len(own) if time == 0 else int((own < time).sum())
        assert stop - starts[user] == expected


def test_domains_merge_by_time_with_items_numbered_on():
    one = item_sequences(
        HISTORY, events([(0, 3, 10), (0, 0, 20), (0, 1, 30), (2, 2, 5), (2, 1, 9)])
    )
    rows = csr_array(np.array([[1, 1], [1, 0], [0, 0]], dtype=np.float32))
    two = item_sequences(rows, events([(0, 1, 15), (0, 0, 40), (1, 0, 1)]))
    found = merged([one, two], [4, 2])
    assert listed(found.of_users(np.arange(3), 9)) == [[3, 5, 0, 1, 4], [4], [2, 1]]
    assert found.at.tolist() == [10, 15, 20, 30, 40, 1, 5, 9]


def test_the_target_stands_alone_and_who_is_where_is_known():
    rows = csr_array(np.array([[1, 1], [0, 0], [0, 0]], dtype=np.float32))
    found = two_domains({"a": HISTORY, "b": rows, "c": rows}, None, "b", {"a": 4, "b": 2, "c": 2})
    assert listed(found.target.of_users(np.arange(3), 9)) == [[0, 1], [], []]
    assert listed(found.source.of_users(np.arange(3), 9)) == [[0, 1, 3, 4, 5], [], [1, 2]]
    assert found.in_any.tolist() == [True, False, True]
    assert found.in_both.tolist() == [True, False, False]
    epoch = found.epoch(np.array([7, 8, 9], dtype=np.uint32), 9, 4, np.random.default_rng(0))
    assert [batch.user_ids.tolist() for batch in epoch] == [[7]]


def test_an_empty_domain_has_windows_of_nothing():
    empty = item_sequences(csr_array((2, 3), dtype=np.float32))
    windows = empty.of_users(np.arange(2), 5)
    assert windows.mask.sum() == 0
    assert windows.items.shape == (2, 1)
    assert merged([empty], [3]).lengths.tolist() == [0, 0]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1]])
def test_windows_of_some_users_are_their_own(order):
    sequences = item_sequences(HISTORY)
    everyone = listed(sequences.of_users(np.arange(3), 2))
    assert listed(sequences.of_users(np.array(order), 2)) == [everyone[user] for user in order]
