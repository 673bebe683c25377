"""The warm start: only what is new learns, no label is in a profile, and it is kept where it was better."""

import numpy as np
import pytest
import torch
from torch import nn

from training.contract import FitContext
from training.dataset import binary
from training.embedme.bert import load_language_model
from training.embedme.config import EmbedMeConfig
from training.embedme.examples import draw_examples, n_source_positives
from training.embedme.model import EmbedMe
from training.embedme.prior import log_prior
from training.evaluate import Full, evaluate, user_batch
from training.loop import LoopConfig, make_optimizer


def head_only(settings, **changes):
    wanted = {
        "head_epochs": 15,
        "head_views": 2,
        "head_batch_size": 8,
        "head_learning_rate": 1e-2,
        "fine_tune": False,
    }
    return EmbedMeConfig(**{**settings("embedme"), **wanted, **changes})


def test_the_language_model_stays_as_it_was_and_the_rest_learns(world, settings):
    config = head_only(settings)
    model = EmbedMe(config)
    report = model.fit(world.data, FitContext())
    pretrained = load_language_model(config.encoder, config.hidden_dropout).bert.state_dict()
    found = model.module.encoder.bert.state_dict()
    assert all(torch.equal(found[name], weights) for name, weights in pretrained.items())
    assert report.losses[-1] < report.losses[0]
    full = Full(k=5)
    ndcg = evaluate(model, world.data, world.test, [full]).summary()["full/ndcg@5"]
    chance = np.mean(world.block_of_film == 0)
    assert ndcg > 2 * chance


def test_the_warm_heads_vectors_are_the_whole_models(world, settings):
    model = EmbedMe(head_only(settings, head_epochs=3))
    model.fit(world.data, FitContext())
    batch = user_batch(world.data, world.test.user_rows)
    expected = []
    for text in batch.profiles:
        tokens = torch.tensor([model.tokenizer.ids([text])[0]])
        with torch.inference_mode():
            states = model.module.encoder.bert(input_ids=tokens).last_hidden_state[0].mean(dim=0)
            z = (states - model.module.encoder.centre) / model.module.encoder.scale
            expected.append(model.module.encoder.mlp(z).numpy())
    assert model.user_vectors(batch)[:, :-1] == pytest.approx(np.stack(expected), abs=1e-4)


def test_no_label_is_in_a_history_the_warm_start_encodes(world, settings, monkeypatch):
    drawn = []

    def remember(*arguments):
        drawn.append(draw_examples(*arguments))
        return drawn[-1]

    monkeypatch.setattr("training.embedme.warm_start.draw_examples", remember)
    world.profiles.given.clear()
    EmbedMe(head_only(settings, head_epochs=1)).fit(world.data, FitContext())
    views = [
        history for history in world.profiles.given if history["films"].shape[0] == len(drawn[0])
    ]
    assert len(drawn) == len(views) == 2
    for examples, history in zip(drawn, views, strict=True):
        assert not history["films"].multiply(examples.labels).count_nonzero()
        assert examples.labels.nnz
    assert (drawn[0].labels != drawn[1].labels).nnz, "each view draws its own labels"


def test_it_is_kept_where_fine_tuning_made_it_worse(world, settings):
    spoilt = head_only(settings, fine_tune=True, epochs=1, learning_rate=5.0)
    report = EmbedMe(spoilt).fit(world.data, FitContext())
    kept = EmbedMe(spoilt)
    found = kept.fit(world.data, FitContext())
    alone = EmbedMe(head_only(settings))
    alone.fit(world.data, FitContext())
    assert found.chosen_epoch == report.chosen_epoch == 0
    users = user_batch(world.data, world.test.user_rows)
    assert kept.score(users) == pytest.approx(alone.score(users), rel=1e-5)


def test_new_weights_learn_faster_by_the_factor():
    module = nn.ModuleDict({"old": nn.Linear(2, 2), "new": nn.Linear(2, 2)})
    config = LoopConfig(new_weights_factor=7.0)
    groups = make_optimizer(module, config, pretrained="old.").param_groups
    assert [(group["factor"], len(group["params"])) for group in groups] == [(1.0, 2), (7.0, 2)]
    assert groups[0]["params"][0] is module["old"].weight
    alone = make_optimizer(module, config).param_groups
    assert [(group["factor"], len(group["params"])) for group in alone] == [(1.0, 4)]


@pytest.mark.parametrize("strength", [None, 1.0, 300.0])
def test_the_prior_leans_on_users_with_source_rows(world, strength):
    films = binary(world.data.interactions["films"]).toarray().astype(float)
    everybody = (films.sum(axis=0) + 1) / (films.sum() + films.shape[1])
    expected = everybody
    if strength is not None:
        ours = films[n_source_positives(world.data) > 0].sum(axis=0)
        expected = (ours + strength * everybody) / (ours.sum() + strength)
    found = np.exp(log_prior(world.data, strength))
    assert found == pytest.approx(expected)
    assert found.sum() == pytest.approx(1.0)
