"""Runs put together, gaps and verdicts, against NumPy and models whose order is known."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from training.baselines.popularity import Popularity, PopularityConfig
from training.baselines.source_knn import SourceKNN, SourceKNNConfig
from training.comparison import Clock, against_all, fit_and_measure, mean_over_runs, verdict
from training.contract import FitContext, Need
from training.controls import without_sources
from training.errors import DatasetError
from training.evaluate import Evaluation, Full, Measure, Sampled
from training.schema import METRICS, RANKS
from training.segments import Trained, by_activity, by_popularity

NDCG = Measure("full", "ndcg", 10)


def evaluation(model: str, values: dict[int, float], measure: Measure = NDCG) -> Evaluation:
    rows = [
        {**measure._asdict(), "model": model, "user_id": user, "value": value}
        for user, value in sorted(values.items())
    ]
    return Evaluation(model, pa.Table.from_pylist(rows, METRICS), len(values), len(values))


def test_a_user_counts_once_however_many_runs_tested_it():
    runs = [evaluation("m", {1: 0.2, 2: 0.4}), evaluation("m", {2: 0.8, 3: 0.5})]
    found = mean_over_runs("m", runs)
    assert found.user_ids(NDCG).tolist() == [1, 2, 3]
    assert found.values(NDCG) == pytest.approx([0.2, 0.6, 0.5])
    assert (found.n_users, found.n_covered) == (4, 4)
    assert found.rows.schema.equals(METRICS)


def test_runs_of_other_measures_are_refused():
    other = evaluation("m", {1: 0.2}, Measure("full", "hr", 10))
    with pytest.raises(DatasetError, match="measured different things"):
        mean_over_runs("m", [evaluation("m", {1: 0.2}), other])
    with pytest.raises(DatasetError, match="no runs"):
        mean_over_runs("m", [])


def models(*offsets: float) -> dict[str, Evaluation]:
    rng = np.random.default_rng(2)
    base = rng.random(60) * 0.5
    return {
        f"m{number}": evaluation(
            f"m{number}",
            dict(enumerate(np.clip(base + offset + rng.normal(0, 0.02, 60), 0, 1))),
        )
        for number, offset in enumerate(offsets)
    }


def test_gaps_are_paired_means_and_holm_is_over_all_of_them():
    pooled = models(0.2, 0.0, 0.19)
    found = {one.second: one for one in against_all("m0", pooled, NDCG)}
    for name, one in found.items():
        gap = pooled["m0"].values(NDCG) - pooled[name].values(NDCG)
        assert one.difference.interval.mean == pytest.approx(gap.mean())
    small, large = sorted(found.values(), key=lambda one: one.difference.p_value)
    assert small.p_holm == pytest.approx(min(1, 2 * small.difference.p_value))
    assert large.p_holm >= max(large.difference.p_value, small.p_holm)


def test_the_verdict_says_who_won_and_that_ours_lost():
    said = verdict(models(0.0, 0.2), NDCG, "m0")
    assert said.startswith("m1 won in NDCG@10 (full): +0.")
    assert "does not hold 0" in said
    assert "m0 lost, place 2 of 2" in said
    assert "lost" not in verdict(models(0.2, 0.0), NDCG, "m0")
    alike = verdict(models(0.0, 0.0), NDCG, "m0")
    assert "holds 0: no sure difference" in alike
    assert verdict(models(0.1), NDCG, "m0").startswith("m0 ran alone")


def test_a_fitted_model_is_measured_and_its_seconds_counted(world):
    outcome = fit_and_measure(
        SourceKNN(SourceKNNConfig()), world.data, world.test, [Full(k=10)], FitContext()
    )
    assert outcome.evaluation.n_covered == len(world.test.user_rows)
    assert outcome.fit.wall > 0
    assert outcome.scoring.wall > 0
    assert outcome.fit.cpu >= 0
    assert outcome.evaluation.ranks.num_rows == world.test.positives.nnz


def test_a_model_that_refuses_counts_as_chance_and_no_row_is_lost(world):
    data = without_sources(world.data)
    outcome = fit_and_measure(
        SourceKNN(SourceKNNConfig()), data, world.test, [Full(k=4)], FitContext()
    )
    assert "needs" in outcome.facts["refused"]
    assert (outcome.evaluation.n_users, outcome.evaluation.n_covered) == (12, 0)
    n_items = len(data.target_items)
    assert outcome.evaluation.summary()["full/ndcg@4"] == pytest.approx(4 / n_items)


def test_nobody_with_a_profile_is_refused_before_the_fit(world):
    class Reader(Popularity):
        needs = frozenset({Need.PROFILE})

        def fit(self, data, context):  # noqa: ARG002  (the contract's)
            raise AssertionError("it was fitted for nobody")

    data = without_sources(world.data)
    outcome = fit_and_measure(
        Reader(PopularityConfig()), data, world.test, [Full(k=4)], FitContext()
    )
    assert "none of the 12 test users has profile text" in outcome.facts["refused"]


def test_without_sources_nothing_of_them_is_left(world):
    data = without_sources(world.data)
    assert data.interactions["books"].nnz == 0
    assert data.interactions["films"].nnz == world.data.interactions["films"].nnz


def test_a_clock_runs():
    clock = Clock()
    sum(range(200_000))
    assert clock.cost().cpu >= 0
    assert clock.cost().wall > 0


def test_bins_of_users_and_items_against_a_loop(world):
    target = world.data.interactions["films"].tolil()
    extra = [0, 1, 2]
    target[
        world.test.user_rows[0],
        [item for item in range(18) if item not in world.test.positives[[0]].indices][:3],
    ] = 1
    data = replace(
        world.data, interactions={**world.data.interactions, "films": csr_array(target.tocsr())}
    )
    assert len(extra) == 3
    outcome = fit_and_measure(
        Popularity(PopularityConfig()),
        data,
        world.test,
        [Full(k=10), Sampled(5, k=10)],
        FitContext(),
    )
    found = outcome.evaluation
    rows = data.interactions["films"]
    trained = Trained.of(data.user_ids, data.target_items.item_ids, rows)
    zero, few = by_activity([(found, trained)], NDCG)
    values = found.values(NDCG)
    assert (zero.bin, zero.n_users, few.bin, few.n_users) == ("zero", 11, "1-9", 1)
    assert zero.interval.mean == pytest.approx(values[1:].mean())
    assert few.interval.mean == pytest.approx(values[0])

    counts = np.asarray((rows > 0).sum(axis=0)).ravel()
    hr = Measure("sampled-5", "hr", 10)
    bins = by_popularity([(found, trained)], hr, bins=(("few", 0), ("many", 8)))
    expected: dict[str, list[float]] = {"few": [], "many": []}
    ranks = found.ranks.to_pylist()
    for user in sorted({row["user_id"] for row in ranks}):
        own: dict[str, list[float]] = {"few": [], "many": []}
        for row in ranks:
            if row["user_id"] == user and row["protocol"] == "sampled-5":
                chance = np.clip((10 - row["n_greater"]) / row["n_tied"], 0, 1)
                own["many" if counts[row["item_id"] - 7] >= 8 else "few"].append(chance)
        for name, chances in own.items():
            expected[name] += [np.mean(chances)] if chances else []
    assert {one.bin: one.interval.mean for one in bins} == pytest.approx(
        {name: np.mean(chances) for name, chances in expected.items() if chances}
    )
    assert sum(one.n_positives for one in bins) == world.test.positives.nnz
    assert found.ranks.schema.equals(RANKS)
