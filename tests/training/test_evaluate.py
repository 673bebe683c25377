"""Evaluation: protocols, refusals, uncovered users and comparisons."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from training.config import ModelConfig
from training.contract import FitReport, Need, Recommender
from training.errors import CannotJudgeError, DatasetError
from training.evaluate import Full, Measure, Sampled, compare, evaluate, user_batch
from training.schema import METRICS


class Oracle(Recommender):
    """Scores by a table of its own."""

    name, paper, needs, config_type = "oracle", "none", frozenset(), ModelConfig

    def __init__(self, table: dict[int, np.ndarray], needs: frozenset[Need] = frozenset()) -> None:
        super().__init__(ModelConfig())
        self.table, self.needs = table, needs

    def fit(self, data, context):  # noqa: ARG002  (knows already)
        """Learn nothing."""
        return FitReport(0.0)

    def score(self, users):
        """Look the users up."""
        return np.stack([self.table[int(user)] for user in users.ids])

    def state(self):
        """Keep nothing."""
        return {}

    def restore(self, state, assets):
        """Take nothing."""


def table_of(world, value):
    n_items = len(world.data.target_items)
    return {int(user): np.full(n_items, value, dtype=np.float32) for user in world.data.user_ids}


def perfect(world):
    table = table_of(world, 0.0)
    for row, user in enumerate(world.test.user_rows):
        table[int(world.data.user_ids[user])] = world.test.positives[[row]].toarray()[0]
    return Oracle(table)


def test_perfect_scores_get_one_and_constant_ones_get_chance(world):
    protocols = [Full(k=4), Sampled(n_negatives=9, k=2)]
    best = evaluate(perfect(world), world.data, world.test, protocols)
    assert best.summary() == {
        "full/hr@4": 1.0,
        "full/ndcg@4": pytest.approx(1.0),
        "sampled-9/hr@2": 1.0,
        "sampled-9/ndcg@2": 1.0,
    }
    chance = evaluate(Oracle(table_of(world, 3.0)), world.data, world.test, protocols).summary()
    assert chance["sampled-9/hr@2"] == pytest.approx(2 / 10)
    n_items, n_liked = len(world.data.target_items), 4
    assert chance["full/ndcg@4"] == pytest.approx(
        n_liked / n_items
    )  # each place holds one with that chance
    assert best.rows.schema.equals(METRICS, check_metadata=True)
    assert best.rows.num_rows == 4 * len(world.test.user_rows)


def test_uncovered_users_count_as_chance_and_are_counted(world):
    some = perfect(world)
    gone = int(world.data.user_ids[world.test.user_rows[0]])
    some.table[gone] = np.full(len(world.data.target_items), np.nan, dtype=np.float32)
    found = evaluate(some, world.data, world.test, [Sampled(n_negatives=9, k=2)])
    assert (found.n_users, found.n_covered) == (12, 11)
    values = found.values(Measure("sampled-9", "hr", 2))
    assert len(values) == 12
    assert values.mean() == pytest.approx((11 + 0.2) / 12)


def test_an_item_without_score_ranks_last(world):
    model = perfect(world)
    for scores in model.table.values():
        scores[scores == 0] = np.nan
    assert evaluate(model, world.data, world.test, [Full(k=4)]).summary()["full/hr@4"] == 1.0
    for scores in model.table.values():
        scores[:] = np.where(np.isnan(scores), 0.0, np.nan)
    assert evaluate(model, world.data, world.test, [Full(k=4)]).summary()["full/hr@4"] == 0.0


def test_items_seen_in_training_are_no_candidates(world):
    user = world.test.user_rows[0]
    target = world.data.interactions["films"].tolil()
    liked = set(world.test.positives[[0]].indices)
    seen = [item for item in range(18) if item not in liked][:14]
    target[user, seen] = 1.0
    data = replace(
        world.data, interactions={**world.data.interactions, "films": csr_array(target.tocsr())}
    )
    found = evaluate(Oracle(table_of(world, 0.0)), data, world.test, [Full(k=4)])
    assert found.values(Measure("full", "ndcg", 4))[0] == pytest.approx(
        1.0
    )  # only the liked ones are left


def test_a_leaking_split_is_refused(world):
    target = world.data.interactions["films"].tolil()
    target[world.test.user_rows[0], world.test.positives[[0]].indices[0]] = 1.0
    data = replace(
        world.data, interactions={**world.data.interactions, "films": csr_array(target.tocsr())}
    )
    with pytest.raises(DatasetError, match="1 held-out positives are also training rows"):
        evaluate(perfect(world), data, world.test, [Full()])


def test_negatives_are_the_same_for_all_models_and_never_positives():
    protocol = Sampled(n_negatives=50, seed=4)
    pool = np.setdiff1d(np.arange(100), [3, 5, 8])
    first, again = (protocol.negatives(17, pool, 3) for _ in range(2))
    assert np.array_equal(first, again)
    assert first.shape == (3, 50)
    assert all(len(set(row)) == 50 and set(row) <= set(pool) for row in first)
    assert not np.array_equal(first[0], first[1])
    assert protocol.negatives(17, pool[:7], 1).shape == (1, 7)


@pytest.mark.parametrize(
    ("need", "change", "reason"),
    [
        (Need.PROFILE, {"profiles": None}, "no source of profiles"),
        (Need.RATINGS, {}, "none is graded"),
    ],
)
def test_unmet_needs_are_refused_by_name_and_reason(world, need, change, reason):
    model = Oracle(table_of(world, 0.0), frozenset({need}))
    with pytest.raises(CannotJudgeError, match=f"oracle needs {need.value}: .*{reason}"):
        evaluate(model, replace(world.data, **change), world.test, [Full()])


def test_need_of_history_and_titles(world):
    empty = {domain: rows * 0 for domain, rows in world.data.interactions.items()}
    model = Oracle(table_of(world, 0.0), frozenset({Need.HISTORY}))
    with pytest.raises(CannotJudgeError, match="none of the 12 users has a training row"):
        evaluate(model, replace(world.data, interactions=empty), world.test, [Full()])
    films = replace(world.data.catalogues["films"], titles=[""] * 18)
    model = Oracle(table_of(world, 0.0), frozenset({Need.ITEM_TEXT}))
    data = replace(world.data, catalogues={**world.data.catalogues, "films": films})
    with pytest.raises(CannotJudgeError, match="no item of 'films' has a title"):
        evaluate(model, data, world.test, [Full()])


def test_another_catalogue_is_refused(world):
    model = perfect(world)
    model.item_ids = np.arange(3, dtype=np.uint32)
    with pytest.raises(DatasetError, match="3 items, the data have 18, 0 in both"):
        evaluate(model, world.data, world.test, [Full()])


def test_compare_pairs_users(world):
    measure = Measure("full", "ndcg", 4)
    good = evaluate(perfect(world), world.data, world.test, [Full(k=4)])
    bad = evaluate(Oracle(table_of(world, 0.0)), world.data, world.test, [Full(k=4)])
    found = compare(good, bad, measure)
    assert found.interval.mean == pytest.approx(
        good.values(measure).mean() - bad.values(measure).mean()
    )
    assert found.p_value < 0.01
    half = replace(
        world.test, user_rows=world.test.user_rows[:6], positives=world.test.positives[:6]
    )
    with pytest.raises(DatasetError, match="different users"):
        compare(good, evaluate(perfect(world), world.data, half, [Full(k=4)]), measure)


def test_small_batches_change_nothing(world, monkeypatch):
    whole = evaluate(perfect(world), world.data, world.test, [Full(), Sampled(n_negatives=9)])
    monkeypatch.setattr("training.evaluate.SCORES_AT_ONCE", 40)
    parts = evaluate(perfect(world), world.data, world.test, [Full(), Sampled(n_negatives=9)])
    assert whole.rows.equals(parts.rows)


def test_a_user_batch_holds_training_rows_only(world):
    batch = user_batch(world.data, world.test.user_rows)
    assert batch.history["films"].nnz == 0
    assert batch.history["books"].nnz > 0
    assert all("film" not in text for text in batch.profiles)
