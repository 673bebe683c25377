"""Every domain as the target, and transfer that harms."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from training.baselines.popularity import Popularity
from training.contract import FitContext
from training.dataset import HeldOut
from training.errors import DatasetError
from training.every_domain import (
    evaluate_every_domain,
    fit_every_domain,
    transfer_rows,
    with_target,
)
from training.protocols import Full, Measure


@pytest.fixture
def data(world):
    return replace(world.data, profiles=None)


@pytest.fixture
def held_out(data):
    """One item a user and domain that the user has not in training."""
    users = np.arange(10)
    found = {}
    for domain, rows in data.interactions.items():
        free = rows.toarray()[users] == 0
        items = free.argmax(axis=1)
        shape = (len(users), rows.shape[1])
        found[domain] = HeldOut(users, csr_array((np.ones(10, np.float32), (users, items)), shape))
    return found


def test_a_model_of_one_target_is_fitted_for_each(data, held_out):
    models = fit_every_domain(Popularity(Popularity.config_type()), data, FitContext())
    assert list(models) == list(data.catalogues)
    for domain, model in models.items():
        alone = Popularity(Popularity.config_type())
        alone.fit(with_target(data, domain), FitContext())
        np.testing.assert_array_equal(model.item_ids, data.catalogues[domain].item_ids)
        np.testing.assert_array_equal(model.state()["item_ids"], alone.state()["item_ids"])
    found = evaluate_every_domain(models, data, held_out)
    for evaluation in found.values():
        assert {(one.metric, one.k) for one in evaluation.measures} == {
            (metric, k) for metric in ("precision", "recall", "ndcg") for k in (10, 20)
        }


def test_validation_users_belong_to_their_target(data):
    assert with_target(data, data.target) is data
    assert data.valid is not None
    assert with_target(data, "books").valid is None


def test_a_domain_below_its_own_model_has_negative_transfer(data, held_out):
    models = fit_every_domain(Popularity(Popularity.config_type()), data, FitContext())
    protocols = [Full(k=3, metrics=("ndcg",))]
    found = evaluate_every_domain(models, data, held_out, protocols)

    def all_at(evaluation, value):
        column = evaluation.rows.schema.get_field_index("value")
        values = np.full(evaluation.rows.num_rows, value)
        return replace(evaluation, rows=evaluation.rows.set_column(column, "value", [values]))

    across = {"books": all_at(found["books"], 0.25), "films": all_at(found["films"], 0.5)}
    alone = {"books": all_at(found["books"], 0.5), "films": all_at(found["films"], 0.25)}
    rows = {row.domain: row for row in transfer_rows(across, alone)}
    assert {domain: row.is_negative for domain, row in rows.items()} == {
        "books": True,
        "films": False,
    }
    assert rows["books"].measure == Measure("full", "ndcg", 3)
    assert (rows["books"].value, rows["books"].alone) == (0.25, 0.5)
    assert rows["books"].difference.interval.mean == pytest.approx(-0.25)


def test_a_domain_without_a_model_is_named(data, held_out):
    with pytest.raises(DatasetError, match="no model for books; there are films"):
        evaluate_every_domain({"films": Popularity(Popularity.config_type())}, data, held_out)
