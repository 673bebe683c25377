"""Every kind of split: what each row is for, against its definition in ten lines, and a leak that must show.

The leak: a scorer that knows which rows each user has in any domain's training rows, and gives the films that those
rows point to. Every book and every film has a number; who reads book n, likes film n. A split that leaves in
training what it tests on, or a source row from the future that tells of it, makes the scorer perfect.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from training.config import ModelConfig
from training.contract import FitReport, Recommender
from training.dataset import Catalogue, Dataset, keep_entries
from training.errors import DatasetError
from training.evaluate import Full, evaluate
from training.parts import core
from training.split_config import SplitConfig
from training.splits import Split, make_split

N_USERS, N_ITEMS = 60, 40
KINDS = ("cold", "shots", "warm", "time", "paper")


def config(kind: str, **changes) -> SplitConfig:
    return SplitConfig(
        kind=kind,
        **{"n_folds": 3, "test_share": 0.25, "valid_share": 0.2, "shots": int(kind == "shots")}
        | {"min_user_positives": 0, "min_item_positives": 0}
        | changes,
    )


@dataclass(frozen=True)
class Rows:
    """Interactions and when they were."""

    interactions: dict[str, csr_array]
    times: dict[str, np.ndarray]


def random_rows(seed: int, n_items: int = 12) -> Rows:
    """Return likes and dislikes (stored, not above 0) at random times."""
    rng = np.random.default_rng(seed)
    interactions, times = {}, {}
    for domain, share in (("books", 0.3), ("films", 0.5)):
        value = rng.choice([5.0, 4.0, -1.0], p=[0.5, 0.3, 0.2], size=(N_USERS, n_items))
        value[rng.random((N_USERS, n_items)) > share] = 0
        interactions[domain] = csr_array(value)
        times[domain] = rng.permutation(interactions[domain].nnz).astype(float)
    return Rows(interactions, times)


def pairs(matrix: csr_array, user_rows=None) -> set[tuple[int, int]]:
    users, items = (matrix.toarray() > 0).nonzero()
    rows = np.arange(matrix.shape[0]) if user_rows is None else user_rows
    return {(int(rows[user]), int(item)) for user, item in zip(users, items, strict=True)}


@given(st.sampled_from(KINDS), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_every_liked_row_has_one_part_and_test_rows_are_no_training_rows(kind, seed):
    rows = random_rows(seed)
    split = make_split(rows.interactions, "films", config(kind, seed=seed), rows.times)
    liked = pairs(rows.interactions["films"])
    train = pairs(split.train["films"])
    valid = pairs(split.valid.positives, split.valid.user_rows)
    test = pairs(split.test.positives, split.test.user_rows)
    assert test
    assert not train & valid
    assert not train & test
    assert not valid & test
    assert train | valid | test <= liked
    assert len(liked - train - valid - test) == split.facts["target positives set apart"]
    excluded = (
        set() if split.test.excluded is None else pairs(split.test.excluded, split.test.user_rows)
    )
    tested_users = {user for user, _ in test}
    assert excluded == {one for one in liked - train - test if one[0] in tested_users}
    again = make_split(rows.interactions, "films", config(kind, seed=seed), rows.times)
    assert pairs(again.test.positives, again.test.user_rows) == test


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_share_of_the_overlapping_users_is_cold(share):
    rows = random_rows(1)
    books, films = (rows.interactions[name].toarray() > 0 for name in ("books", "films"))
    overlapping = np.flatnonzero(books.any(1) & films.any(1))
    first, again, other = (
        make_split(rows.interactions, "films", config("cold", cold_share=share, fold=fold))
        for fold in (0, 0, 1)
    )
    assert len(first.test.user_rows) == round(share * len(overlapping))
    rest = len(overlapping) - len(first.test.user_rows)
    assert len(first.valid.user_rows) == round(0.2 * rest)
    assert np.array_equal(first.test.user_rows, again.test.user_rows)
    assert not np.array_equal(first.test.user_rows, other.test.user_rows)
    cold = np.concatenate([first.test.user_rows, first.valid.user_rows])
    assert not first.train["films"].toarray()[cold].any(), "a dislike of a cold user stayed"


@pytest.mark.parametrize("shots", [0, 1, 3, 5])
def test_a_cold_user_keeps_k_rows_and_the_test_is_the_same_for_all_k(shots):
    rows = random_rows(2, n_items=24)
    split = make_split(rows.interactions, "films", config("shots", shots=shots, reserve=5, seed=7))
    kept = (split.train["films"].toarray() > 0).sum(axis=1)
    for part in (split.test, split.valid):
        assert (kept[part.user_rows] == shots).all()
    none = make_split(rows.interactions, "films", config("shots", shots=0, reserve=5, seed=7))
    assert np.array_equal(split.test.user_rows, none.test.user_rows)
    assert (split.test.positives != none.test.positives).nnz == 0
    fewer = make_split(
        rows.interactions, "films", config("shots", shots=max(shots - 1, 0), reserve=5, seed=7)
    )
    assert pairs(fewer.train["films"]) <= pairs(split.train["films"])


def test_warm_takes_a_share_of_each_user_and_leaves_one():
    rows = random_rows(3)
    split = make_split(rows.interactions, "films", config("warm"))
    liked = (rows.interactions["films"].toarray() > 0).sum(axis=1)
    trained = (split.train["films"].toarray() > 0).sum(axis=1)
    tested = np.zeros(N_USERS, int)
    tested[split.test.user_rows] = np.diff(split.test.positives.indptr)
    for n, left, out in zip(liked, trained, tested, strict=True):
        assert out == (0 if n < 2 else min(max(round(0.25 * n), 1), n - 1))
        assert left >= min(n, 1)


def test_nothing_is_trained_on_from_the_first_validation_row_on():
    rows = random_rows(4)
    split = make_split(rows.interactions, "films", config("time"), rows.times)
    at = {
        domain: dict(zip(zip(*matrix.tocoo().coords, strict=True), rows.times[domain], strict=True))
        for domain, matrix in ((name, csr_array(one)) for name, one in rows.interactions.items())
    }
    test = [at["films"][one] for one in pairs(split.test.positives, split.test.user_rows)]
    valid = [at["films"][one] for one in pairs(split.valid.positives, split.valid.user_rows)]
    newest = max(at[domain][one] for domain in rows.times for one in pairs(split.train[domain]))
    assert newest < min(valid) <= max(valid) < min(test)
    n_liked = len(pairs(rows.interactions["films"]))
    assert len(test) == n_liked - round(0.75 * n_liked)
    unknown = {name: np.full_like(one, np.nan) for name, one in rows.times.items()}
    with pytest.raises(DatasetError, match="needs times"):
        make_split(rows.interactions, "films", config("time"), unknown)


def test_source_rows_after_the_first_target_row_can_go():
    rows = random_rows(5)
    split = make_split(
        rows.interactions, "films", config("cold", source_before_target=True), rows.times
    )
    whole = make_split(rows.interactions, "films", config("cold"), rows.times)
    first = np.full(N_USERS, np.inf)
    films, books = (csr_array(rows.interactions[name]).tocoo() for name in ("films", "books"))
    for user, at in zip(films.coords[0], rows.times["films"], strict=True):
        first[user] = min(first[user], at)
    expected = {
        (int(user), int(item))
        for user, item, at in zip(*books.coords, rows.times["books"], strict=True)
        if at < first[user] or np.isinf(first[user])
    }
    liked = pairs(rows.interactions["books"])
    assert pairs(split.train["books"]) == expected & liked != liked
    assert (split.test.positives != whole.test.positives).nnz == 0
    assert (
        split.facts["source rows removed"]
        == rows.interactions["books"].nnz - split.train["books"].nnz
    )


def test_the_papers_split_is_8_1_1_and_a_fold_of_the_overlapping_users():
    rng = np.random.default_rng(6)
    interactions = {
        name: csr_array((rng.random((400, 60)) < 0.3).astype(np.float32))
        for name in ("books", "films")
    }
    split = make_split(interactions, "films", SplitConfig(kind="paper"))
    liked = interactions["films"].toarray() > 0
    trained = split.train["films"].toarray() > 0
    whole = np.flatnonzero(~trained.any(axis=1))
    assert len(whole) == 80  # a fifth of 400
    warm = np.setdiff1d(np.arange(400), whole)
    assert trained[warm].sum() / liked[warm].sum() == pytest.approx(0.8, abs=0.02)
    valid = np.zeros_like(liked)
    valid[split.valid.user_rows] = split.valid.positives.toarray() > 0
    assert valid[warm].sum() / liked[warm].sum() == pytest.approx(0.1, abs=0.02)
    assert not valid[whole].any()
    tested = np.zeros_like(liked)
    tested[split.test.user_rows] = split.test.positives.toarray() > 0
    assert np.array_equal(tested[whole], liked[whole])
    repeats = [
        set(
            np.flatnonzero(
                ~(
                    make_split(interactions, "films", SplitConfig(kind="paper", fold=f))
                    .train["films"]
                    .toarray()
                    > 0
                ).any(1)
            )
        )
        for f in range(5)
    ]
    assert set.union(*repeats) == set(range(400))
    assert sum(map(len, repeats)) == 400
    assert SplitConfig(kind="paper").least == (5, 50)
    assert SplitConfig().least == (0, 0)


@given(st.integers(0, 500), st.integers(1, 4), st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_the_core_is_the_largest_part_in_which_all_have_enough(seed, least_user, least_item):
    dense = (np.random.default_rng(seed).random((15, 10)) < 0.4).astype(float)
    kept = keep_entries(csr_array(dense), core(csr_array(dense), least_user, least_item)).toarray()
    left = dense.copy()
    while True:  # one at a time: the order does not matter
        users = np.flatnonzero((left.sum(1) < least_user) & left.any(1))
        items = np.flatnonzero((left.sum(0) < least_item) & left.any(0))
        if len(users):
            left[users[-1]] = 0
        elif len(items):
            left[:, items[0]] = 0
        else:
            break
    assert np.array_equal(kept, left)


class Copycat(Recommender):
    """Scores film n by whether the user has book n or film n in the training rows it was fitted on."""

    name: ClassVar[str] = "copycat"
    paper: ClassVar[str] = "none"
    needs = frozenset()
    config_type = ModelConfig

    def fit(self, data, context=None):  # noqa: ARG002  (the contract's)
        """Look at all rows."""
        seen = {name: matrix.toarray() > 0 for name, matrix in data.interactions.items()}
        self.rows = dict(
            zip(data.user_ids.tolist(), seen["films"] + 0.5 * seen["books"], strict=True)
        )
        return FitReport(0.0)

    def score(self, users):
        """Give back what was seen."""
        return np.stack([self.rows[int(user)] for user in users.ids]).astype(np.float32)

    def state(self):
        """Keep nothing."""
        return {}

    def restore(self, state, assets):
        """Take nothing."""


def twin_world() -> Rows:
    """Films at any time; of each film the book of its number follows, when it is too late to be known."""
    rng = np.random.default_rng(8)
    films = csr_array((rng.random((N_USERS, N_ITEMS)) < 0.1).astype(np.float32))
    at = rng.permutation(films.nnz).astype(float)
    books = films.copy()
    return Rows({"books": books, "films": films}, {"books": at + 0.5, "films": at})


def measured(split: Split, train) -> float:
    titles = [str(number) for number in range(N_ITEMS)]
    ids = np.arange(N_ITEMS, dtype=np.uint32)
    data = Dataset(
        np.arange(N_USERS, dtype=np.uint32),
        {name: Catalogue(name, ids, titles) for name in ("books", "films")},
        split.train,
        "films",
    )
    model = Copycat(ModelConfig())
    model.fit(replace(data, interactions=train))
    return evaluate(model, data, split.test, [Full(k=5)]).summary()["full/ndcg@5"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_leak_of_target_rows_would_show_and_there_is_none(kind):
    rows = twin_world()
    same_book = np.zeros((N_USERS, N_ITEMS), dtype=np.float32)
    same_book[:, 0] = 1  # everybody overlaps, and the book tells nothing
    interactions = {"books": csr_array(same_book), "films": rows.interactions["films"]}
    times = {"films": rows.times["films"], "books": np.full(N_USERS, -1.0)}
    split = make_split(interactions, "films", config(kind), times)
    leaked = measured(split, interactions)
    assert leaked == pytest.approx(1.0), "a leak does not show"
    assert measured(split, split.train) < 0.35


@pytest.mark.parametrize(
    "changes", [{"kind": "time"}, {"kind": "warm", "source_before_target": True}]
)
def test_a_source_row_from_the_future_would_show_and_there_is_none(changes):
    rows = twin_world()
    split = make_split(rows.interactions, "films", config(**changes), rows.times)
    careless = make_split(rows.interactions, "films", config("warm"), rows.times)
    leaky = {**split.train, "books": rows.interactions["books"]}
    assert measured(replace(split, train=leaky), leaky) == pytest.approx(1.0)
    assert measured(split, split.train) < 0.35
    assert measured(careless, careless.train) > 0.9
