"""Whom EmbedMe learns from, and that a step of learning is kept only where it is clearly better."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from training.contract import FitContext
from training.dataset import binary
from training.embedme.bert import load_language_model
from training.embedme.config import EmbedMeConfig, ExampleMode
from training.embedme.examples import Drawing, draw_examples, histories, n_source_positives
from training.embedme.model import EmbedMe
from training.embedme.selection import clear_gain
from training.evaluate import Evaluation, user_batch
from training.schema import METRICS


@pytest.mark.parametrize("mode", list(ExampleMode))
def test_without_mixed_profiles_every_example_is_a_newcomer_with_source_rows(world, mode):
    books = world.data.interactions["books"].tolil()
    books[:10] = 0
    data = replace(
        world.data, interactions={**world.data.interactions, "books": binary(csr_array(books))}
    )
    examples = draw_examples(data, Drawing(mode, 0.3, 0.5, mixed=False), np.random.default_rng(1))
    assert examples.is_source_only.all()
    assert set(examples.user_rows) == set(
        np.flatnonzero(
            (n_source_positives(data) > 0) & (data.interactions["films"].sum(axis=1) > 0)
        )
    )
    assert histories(data, examples, slice(None))["films"].nnz == 0
    n_labels = data.interactions["films"][np.unique(examples.user_rows)].nnz
    assert examples.labels.nnz == n_labels


def test_where_nobody_has_rows_of_both_sides_mixed_ones_are_all_there_is(world):
    nothing = csr_array(world.data.interactions["books"].shape, dtype=np.float32)
    data = replace(world.data, interactions={**world.data.interactions, "books": nothing})
    drawing = Drawing(ExampleMode.USER, 0.5, 0.5, mixed=False)
    examples = draw_examples(data, drawing, np.random.default_rng(1))
    assert len(examples) > 0
    assert not examples.is_source_only.any()


def test_what_is_known_in_closed_form_is_a_model_of_its_own(world, settings):
    wanted = {"n_target_tastes": 4, "head_epochs": 0, "fine_tune": False}
    model = EmbedMe(EmbedMeConfig(**{**settings("embedme"), **wanted}))
    report = model.fit(world.data, FitContext())
    assert (report.losses, report.chosen_epoch) == ((), None)
    scores = model.score(user_batch(world.data, world.test.user_rows))
    own = world.block_of_user[world.test.user_rows][:, None] == world.block_of_film
    assert scores[own].mean() > scores[~own].mean() + 0.1


def evaluation(values):
    n_users = len(values)
    columns = {
        "model": ["m"] * n_users,
        "protocol": ["full"] * n_users,
        "user_id": np.arange(n_users, dtype=np.uint32),
        "metric": ["ndcg"] * n_users,
        "k": np.full(n_users, 10, np.uint32),
        "value": np.asarray(values, float),
    }
    return Evaluation("m", pa.table(columns, schema=METRICS), n_users, n_users)


@pytest.mark.parametrize(
    ("margin", "after", "is_clear"),
    [
        (0.0, [0.3, 0.5, 0.2, 0.5], True),
        (1.0, [0.3, 0.5, 0.2, 0.5], False),  # gains 0, 0, 0, .1: one standard error exactly
        (1.0, [0.4, 0.6, 0.2, 0.5], True),
        (1.0, [0.3, 0.5, 0.2, 0.4], False),
        (1.0, [0.2, 0.4, 0.1, 0.3], False),
    ],
)
def test_a_gain_counts_from_a_standard_error_on(margin, after, is_clear):
    before = [0.3, 0.5, 0.2, 0.4]
    found = clear_gain(evaluation(before), evaluation(after), EmbedMeConfig(margin=margin))
    gains = np.subtract(after, before)
    assert found.standard_error == pytest.approx(gains.std(ddof=1) / 2)
    assert found.is_clear == is_clear
    assert ("kept" in str(found)) == is_clear


def test_without_its_weights_the_encoder_is_another(world, settings):
    found = {}
    for pretrained in (True, False):
        wanted = {"epochs": 1, "learning_rate": 1e-12, "pretrained": pretrained}
        model = EmbedMe(EmbedMeConfig(**{**settings("embedme"), **wanted}))
        model.fit(world.data, FitContext(seed=5))
        found[pretrained] = model.module.encoder.bert.state_dict()
    same = load_language_model(settings("embedme")["encoder"], 0.0).bert.state_dict()
    name = "encoder.layer.0.attention.self.query.weight"
    assert np.allclose(found[True][name], same[name], atol=1e-6)
    assert not np.allclose(found[False][name], same[name], atol=1e-2)
