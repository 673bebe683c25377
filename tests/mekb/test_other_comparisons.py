"""Ratings, clicks and every domain through the verbs, each number again from what lies beneath."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from mekb import api
from mekb.config import Settings
from mekb.dataset import dataset_of, split_world
from mekb.errors import UnknownError
from mekb.rating_comparison import Labels, RatingPlan
from mekb.worlds import world_of
from training.contract import FitContext
from training.errors import DatasetError
from training.evaluate import evaluate
from training.every_domain import MULTI_TARGET
from training.rating_evaluation import evaluate_ratings, rated_pairs
from training.registry import create
from training.split_config import SplitConfig, SplitKind
from training.splits import Split, make_split

QUICK = {"embedding_size": 8, "epochs": 2, "pretraining_epochs": 2, "batch_size": 32}
COLD = SplitConfig(n_folds=3, valid_share=0.3, seed=2, drop_twins=False)


@pytest.fixture
def rated(store):
    """The random world with ratings of its own."""
    table = store.read("interactions")
    ratings = np.random.default_rng(3).integers(1, 6, table.num_rows).astype(np.float32)
    place = table.schema.get_field_index("rating")
    table = table.set_column(place, table.schema.field("rating"), pa.array(ratings))
    place = table.schema.get_field_index("positive")
    store.replace(
        {
            "interactions": table.set_column(
                place, table.schema.field("positive"), pa.array(ratings >= 4)
            )
        }
    )
    return store


def run(store, labels=Labels.RATINGS, split=COLD, **changes):
    plan = RatingPlan(("diagae",), labels, model_settings={"diagae": QUICK})
    settings = Settings(split=split)
    return api.compare_ratings(
        store, target="films", plan=replace(plan, **changes), settings=settings
    )


def test_ratings_are_those_of_the_evaluation(rated):
    found = run(rated)
    made = split_world(world_of(rated, ["books"], "films", COLD), "films", COLD, Settings().scoring)
    model = create("diagae", {**QUICK, "feedback": "ratings"})
    model.fit(made.data, FitContext(precision="bf16-mixed"))
    expected = evaluate_ratings(
        model, made.data, made.test, rated_pairs(made.data, made.test, 4.0)
    ).summary()
    assert [row["model"] for row in found.rows] == ["means", "diagae"]
    row = found.rows[1]
    assert row["RMSE"]["mean"] == pytest.approx(expected["rmse"])
    assert row["RMSE"]["low"] <= row["RMSE"]["mean"] <= row["RMSE"]["high"]
    assert {"MAE", "RMSE", "NDCG@5", "PRECISION@5", "RECALL@5", "ACC", "AUC"} <= set(row)
    per_user = [one.per_user("mae").mean() for one in found.evaluations.values()]
    assert row["gap"]["difference"] == pytest.approx(per_user[0] - per_user[1])


def test_a_split_of_single_rows_holds_out_low_ratings_too(rated):
    found = run(rated, split=COLD.model_copy(update={"kind": SplitKind.WARM, "test_share": 0.3}))
    actual = next(iter(found.evaluations.values())).pairs.actual
    assert actual.min() < 4 <= actual.max()


def test_the_same_trials_and_the_least_rmse_on_validation_is_taken(rated):
    found = run(rated, n_trials=3)
    row = found.rows[1]
    assert row["trials"] == 3
    assert row["settings"]["feedback"] == "ratings"
    assert row["settings"]["epochs"] == 2  # fixed, not searched


def test_clicks_have_a_logloss_and_no_rmse(rated):
    found = run(rated, Labels.CLICKS)
    assert [row["model"] for row in found.rows] == ["popularity", "diagae"]
    assert "logloss" in found.rows[1]
    assert "RMSE" not in found.rows[1]


def test_who_predicts_nothing_is_refused_and_who_needs_other_data_left_out(rated, store):
    with pytest.raises(UnknownError, match=r"ease predicts no ratings; .*ddtcdr, diagae"):
        run(rated, models=("ease",))
    with pytest.raises(UnknownError, match="sitn predicts no ratings"):
        run(rated, models=("sitn",))
    table = store.read("interactions")
    place = table.schema.get_field_index("rating")
    nothing = pa.nulls(table.num_rows, pa.float32())
    store.replace({"interactions": table.set_column(place, table.schema.field("rating"), nothing)})
    with pytest.raises(DatasetError, match="has a rating"):
        run(store)


def test_every_domain_is_measured_on_rows_that_no_target_trained_on(store):
    settings = Settings(split=COLD.model_copy(update={"test_share": 0.3}))
    found = api.compare_domains(store, ["ease"], settings=settings)
    warm = settings.split.model_copy(update={"kind": SplitKind.WARM})
    world = world_of(store, ["films"], "books", warm)
    parts = {domain: make_split(world.interactions, domain, warm) for domain in ("books", "films")}
    train = {domain: parts[domain].train[domain] for domain in parts}
    assert {row["domain"] for row in found.rows} == {"books", "films"}
    for domain, own in parts.items():
        made = dataset_of(world, domain, Split(train, own.valid, own.test), settings.scoring)
        across, alone = create("ease"), create("ease_target")
        for model in (across, alone):
            model.fit(made.data, FitContext())
        rows = {row["measure"]: row for row in found.rows if row["domain"] == domain}
        assert set(rows) == {f"{m}@{k}" for m in ("PRECISION", "RECALL", "NDCG") for k in (10, 20)}
        for name, model in (("value", across), ("alone", alone)):
            measured = evaluate(model, made.data, made.test, [MULTI_TARGET]).summary()
            for measure, row in rows.items():
                assert row[name] == pytest.approx(measured[f"full/{measure.lower()}"])
        for row in rows.values():
            assert row["is_negative"] == (row["value"] < row["alone"])
    assert json.dumps(found.rows)
    table = found.table()
    assert [row["domain"] for row in table] == ["books", "films"]
    n_marked = sum("negative" in str(cell) for row in table for cell in row.values())
    assert n_marked == sum(row["is_negative"] for row in found.rows)


def test_a_model_that_cannot_stand_alone_is_held_against_bpr_mf(store):
    quick = {"epochs": 1, "autoencoder_epochs": 1, "transfer_epochs": 1, "embedding_size": 8}
    found = api.compare_domains(
        store,
        ["cat_art", "ease"],
        settings=Settings(split=COLD),
        model_settings={"cat_art": quick, "bpr_mf": {"epochs": 1}},
    )
    assert {(row["model"], row["alone_model"]) for row in found.rows} == {
        ("cat_art", "bpr_mf"),
        ("ease", "ease"),
    }


def test_one_domain_is_too_few_and_names_are_known(store):
    with pytest.raises(UnknownError, match="name two or more"):
        api.compare_domains(store, ["ease"], domains=["films"])
    with pytest.raises(UnknownError, match="no model 'eas'"):
        api.compare_domains(store, ["eas"])
