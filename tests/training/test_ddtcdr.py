"""DDTCDR as a whole: what is learned when, both domains' losses, its switches, and whom it judges."""

from dataclasses import replace

import numpy as np
import pytest

from training.bricks.autoencoder import AutoencoderKind
from training.contract import FitContext, UserBatch
from training.errors import CannotJudgeError
from training.evaluate import user_batch
from training.registry import create

SMALL = {
    "batch_size": 256,
    "epochs": 8,
    "learning_rate": 0.03,
    "autoencoder_epochs": 6,
    "autoencoder_batch_size": 24,
}


def fitted(world, **settings):
    model = create("ddtcdr", {**SMALL, **settings})
    model.fit(world.data, FitContext(seed=1))
    return model


def test_autoencoders_learn_first_and_apart_then_both_domains_together(world):
    model = fitted(world)
    names = ["users_0", "items_0", "users_1", "items_1", "dual"]
    assert list(model.phase_reports) == names
    for name in names:
        losses = model.phase_reports[name].losses
        assert losses[-1] < 0.9 * losses[0]
    curve = model.phase_reports["dual"].validation
    for domain in ("books", "films"):  # figures 2 to 4
        values = [epoch[f"loss/{domain}"] for epoch in curve]
        assert values[-1] < values[0]
    assert "ndcg@10" in curve[0]


def test_the_map_moves_only_where_the_cross_term_has_its_gradient(world):
    """Same seed, same start: with `repo` it stays there, and so it does without any transfer."""
    maps = {
        name: fitted(world, patience=None, **settings).module.networks.map_between(0, 1).detach()
        for name, settings in {
            "paper": {"transfer_rate": 0.2},
            "repo": {"transfer_rate": 0.2, "repo": True},
            "alone": {"transfer_rate": 0.0},
        }.items()
    }
    np.testing.assert_allclose(maps["repo"], maps["alone"], atol=1e-6)
    assert (maps["paper"] - maps["alone"]).abs().max() > 1e-3
    for one in maps.values():
        np.testing.assert_allclose(one @ one.T, np.eye(8), atol=1e-5)


@pytest.mark.parametrize("kind", list(AutoencoderKind))
def test_every_autoencoder_of_table_7_serves_and_comes_back(world, kind):
    model = fitted(world, autoencoder=kind.value, epochs=2, autoencoder_epochs=2)
    users = user_batch(world.data, world.test.user_rows)
    scores = model.score(users)
    assert np.isfinite(scores).all()
    other = create("ddtcdr", {**SMALL, "autoencoder": kind.value})
    other.restore(model.state(), model.assets())
    np.testing.assert_array_equal(other.score(users), scores)


def test_users_may_be_described_by_their_interests(world):
    model = fitted(world, user_features="interests", epochs=2)
    users = user_batch(world.data, world.test.user_rows)
    plain = fitted(world, epochs=2).score(users)
    np.testing.assert_allclose(
        model.score(users), plain, rtol=1e-4, atol=1e-5
    )  # one entity an item
    with pytest.raises(CannotJudgeError, match="come without"):
        model.score(replace(users, interests=None))


def test_a_newcomer_is_rated_by_both_recommenders_and_a_loner_by_one(world):
    model = fitted(world, transfer_rate=0.4)
    users = user_batch(world.data, world.test.user_rows[:3])
    _, weights, _ = model._represented(users)
    np.testing.assert_allclose(weights, [[0.4, 0.6]] * 3, rtol=1e-6)  # a history in books alone
    films = world.data.interactions["films"]
    own = np.flatnonzero(np.diff(films.indptr))[:1]
    history = {"books": world.data.interactions["books"][own] * 0, "films": films[own]}
    _, weights, _ = model._represented(UserBatch(world.data.user_ids[own], history))
    np.testing.assert_allclose(weights, [[0.0, 1.0]])
