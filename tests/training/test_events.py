"""Single interactions: cutting them down, and that they follow the matrices through a split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from training.dataset import Catalogue, Dataset, Events, HeldOut, with_events
from training.errors import DatasetError
from training.evaluate import user_batch
from training.events import split_events

N_USERS, N_ITEMS = 9, 7


def drawn(seed: int) -> tuple[Events, np.ndarray]:
    """Return events, and the grid of their ratings (0: no event)."""
    rng = np.random.default_rng(seed)
    grid = rng.integers(0, 6, (N_USERS, N_ITEMS)) * (rng.random((N_USERS, N_ITEMS)) < 0.6)
    users, items = (rows.astype(np.int64) for rows in rng.permutation(np.argwhere(grid)).T)
    ratings = grid[users, items].astype(np.float32)
    return Events.ordered(users, items, ratings, rng.integers(0, 50, len(users))), grid


def triples(events: Events) -> list[tuple[int, int, float]]:
    columns = (events.user_rows.tolist(), events.item_rows.tolist(), events.ratings.tolist())
    return list(zip(*columns, strict=True))


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_events_of_some_users_are_renumbered_and_stay_in_time(seed):
    events, grid = drawn(seed)
    users = np.random.default_rng(seed).permutation(N_USERS)[:5].astype(np.int64)
    own = events.of_users(users)
    expected = [(row, i, r) for row, u in enumerate(users) for i, r in enumerate(grid[u]) if r]
    assert sorted(triples(own)) == sorted(expected)
    for row, user in enumerate(users):
        assert own.at[own.user_rows == row].tolist() == sorted(events.at[events.user_rows == user])
    rest = events.without_users(users)
    assert len(rest) + len(own) == len(events)
    assert not set(rest.user_rows) & set(users)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_an_event_stays_with_its_entry(seed):
    """Pairs of the matrices by brute force: liked ones follow the split, disliked newcomers go."""
    events, grid = drawn(seed)
    rng = np.random.default_rng(seed + 1)
    liked = grid >= 4
    kept = liked & (rng.random(grid.shape) < 0.5)
    newcomers = np.flatnonzero(rng.random(N_USERS) < 0.3)
    stays, goes = split_events(
        events, csr_array(liked.astype(float)), csr_array(kept.astype(float)), newcomers
    )
    for part, is_kept in ((stays, True), (goes, False)):
        for user, item, rating in triples(part):
            disliked_stays = rating < 4 and user not in newcomers
            assert (kept[user, item] or disliked_stays) == is_kept
    assert len(stays) + len(goes) == len(events)


def test_held_out_users_get_their_events_and_training_has_none_of_them():
    events, grid = drawn(3)
    liked = np.where(grid >= 4, 1.0, 0.0)
    cold = np.array([2, 6])
    warm = int(np.argmax(np.where(np.isin(np.arange(N_USERS), cold), 0, liked.sum(axis=1))))
    train = liked.copy()
    train[cold] = 0
    lost = np.flatnonzero(train[warm])[:1]
    train[warm, lost] = 0
    positives = liked.copy()
    positives[warm] = 0
    positives[warm, lost] = 1
    test_rows, valid_rows = np.array([2, warm]), np.array([6])
    data = Dataset(
        np.arange(N_USERS, dtype=np.uint32),
        {"films": Catalogue("films", np.arange(N_ITEMS, dtype=np.uint32), ["f"] * N_ITEMS)},
        {"films": csr_array(train)},
        "films",
        valid=HeldOut(valid_rows, csr_array(positives[valid_rows])),
    )
    test = HeldOut(test_rows, csr_array(positives[test_rows]))
    data, test = with_events(data, test, {"films": events}, {"films": csr_array(liked)})
    assert data.events is not None
    assert data.valid is not None
    assert sorted(triples(test.events)) == sorted(
        [(0, i, r) for i, r in enumerate(grid[2]) if r] + [(1, i, grid[warm, i]) for i in lost]
    )
    assert sorted(triples(data.valid.events)) == [(0, i, r) for i, r in enumerate(grid[6]) if r]
    assert len(data.events["films"]) + len(test.events) + len(data.valid.events) == len(events)
    batch = user_batch(data, np.array([warm, 2]))
    assert set(batch.events["films"].user_rows.tolist()) == {0}
    assert not set(batch.events["films"].item_rows) & set(lost)


def test_what_is_no_row_of_events_is_refused():
    columns = (np.array([1, 0]), np.array([0, 0]), np.ones(2, np.float32), np.zeros(2, np.int64))
    with pytest.raises(DatasetError, match="not sorted"):
        Events(*columns)
    events = Events.ordered(*columns)
    assert events.user_rows.tolist() == [0, 1]
    with pytest.raises(DatasetError, match="name user row 1 of 1"):
        HeldOut(np.array([0]), csr_array((1, 3), dtype=np.float32), events=events)
