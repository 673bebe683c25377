"""EMCDR, SSCDR and DCDCSR: what each phase trains, their equations, and whom they can judge."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from training.baselines import dcdcsr, emcdr, sscdr
from training.contract import FitContext, UserBatch
from training.dataset import HeldOut, counts
from training.errors import DatasetError
from training.evaluate import user_batch
from training.gradient_model import Shape
from training.registry import create

QUICK = {
    "embedding_size": 8,
    "epochs": 4,
    "batch_size": 64,
    "learning_rate": 2e-2,
    "mapping_epochs": 4,
    "mapping_learning_rate": 1e-2,
}
SHAPE = Shape(10, {"a": 6, "b": 5}, "b")
NAMES = ("emcdr", "sscdr", "dcdcsr")


def fitted(name, world, **settings):
    model = create(name, {**QUICK, **settings})
    model.fit(replace(world.data, valid=None), FitContext(seed=1))
    return model


@pytest.mark.parametrize("name", NAMES)
def test_phases_in_order_and_every_loss_falls(name, world):
    reports = fitted(name, world, patience=None).phase_reports
    assert list(reports) == ["source", "target", "mapping"] + ["items"] * (name == "dcdcsr")
    for phase in ("source", "target", "mapping"):
        assert reports[phase].losses[-1] < reports[phase].losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_the_map_is_trained_and_the_factors_are_left(name, world):
    model = create(name, QUICK)
    data = replace(world.data, valid=None)
    seen = {}
    phases = model.phases

    def watched(data, context):
        for phase in phases(data, context):
            seen[phase.name] = {
                key: one.detach().clone() for key, one in model.module.named_parameters()
            }
            yield phase

    model.phases = watched
    model.fit(data, FitContext())
    after = dict(model.module.named_parameters())
    if name == "dcdcsr":
        assert torch.equal(seen["items"]["source.users"], after["source.users"])
        assert torch.equal(seen["items"]["target.users"], after["target.users"])
        assert not torch.equal(seen["items"]["target.items"], after["target.items"])
    for key, before in seen["mapping"].items():
        if key.startswith("mapping"):
            assert not torch.equal(before, after[key]), f"{key} is not trained"
        elif name != "dcdcsr":
            assert torch.equal(before, after[key]), f"{key} is not frozen"


def test_emcdrs_map_loss_is_equation_7():
    model = create("emcdr", {"embedding_size": 4, "mapping_hidden": 8})
    spaces = model.build(SHAPE)
    w = {name: one.detach().numpy() for name, one in spaces.named_parameters()}
    rows = np.array([0, 3, 7])
    hidden = np.tanh(w["source.users"][rows] @ w["mapping.0.weight"].T + w["mapping.0.bias"])
    mapped = hidden @ w["mapping.2.weight"].T + w["mapping.2.bias"]
    expected = ((mapped - w["target.users"][rows]) ** 2).sum(axis=1).mean()
    loss = emcdr.MapLoss(spaces)(torch.from_numpy(rows))
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    linear = create("emcdr", {"embedding_size": 4, "mapping_hidden": 0}).build(SHAPE)
    assert [name for name, _ in linear.mapping.named_parameters()] == ["weight", "bias"]


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_sscdrs_map_loss_has_two_parts(weight):
    model = create("sscdr", {"embedding_size": 4, "mapping_hidden": 0, "margin": 0.4})
    spaces = model.build(SHAPE)
    w = {name: one.detach().numpy() for name, one in spaces.named_parameters()}

    def f(x):
        return x @ w["mapping.weight"].T + w["mapping.bias"]

    rows, liked, others = np.array([0, 3, 7]), np.array([1, 2, 5]), np.array([0, 4, 3])
    target = w["target.users"][rows]
    expected = ((f(w["source.users"][rows]) - target) ** 2).sum(1)
    near, far = ((target - f(w["source.items"][one])) ** 2 for one in (liked, others))
    expected = expected + weight * np.maximum(0, 0.4 + near.sum(1) - far.sum(1))
    loss = sscdr.MapLoss(spaces, 0.4, weight)(*map(torch.from_numpy, (rows, liked, others)))
    assert loss.item() == pytest.approx(expected.mean(), rel=1e-5)
    loss.backward()
    assert (spaces.source.items.grad is not None) == bool(weight)


def test_sscdr_smooths_over_hops_and_ranks_by_distance(world):
    model = fitted("sscdr", world, n_hops=2)
    data, module = world.data, model.module
    books = data.interactions["books"].toarray()
    u, i = module.source.users.detach().numpy(), module.source.items.detach().numpy()
    n_u, n_i = books.sum(1, keepdims=True), books.sum(0)[:, None]
    u1, i1 = (u + books @ i) / (1 + n_u), (i + books.T @ u) / (1 + n_i)
    u2 = (u1 + books @ i1) / (1 + n_u)
    users = user_batch(data, world.test.user_rows)
    np.testing.assert_allclose(
        model.source_vectors(users), u2[world.test.user_rows], rtol=1e-4, atol=1e-6
    )
    vectors, items = model.user_vectors(users)[:, :-1], module.target.items.detach().numpy()
    distances = ((vectors[:, None] - items[None]) ** 2).sum(axis=2)
    found = model.score(users) - (vectors**2).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, -distances, atol=1e-5)
    assert (np.linalg.norm(items, axis=1) < 1 + 1e-5).all()
    plain = fitted("sscdr", world, n_hops=0)
    own = plain.module.source.users.detach().numpy()[world.test.user_rows]
    np.testing.assert_array_equal(plain.source_vectors(users), own)


def test_sscdr_judges_a_stranger_by_history_and_the_others_do_not(world):
    known = user_batch(world.data, world.test.user_rows[:1])
    stranger = UserBatch(np.array([4_000_000_000], dtype=np.uint32), known.history)
    for name in NAMES:
        model = fitted(name, world)
        assert np.isfinite(model.score(stranger)).all() == (name == "sscdr")
        assert np.isfinite(model.score(known)).all()


def test_users_with_target_rows_keep_their_own_vector_unless_everyone_is_mapped(world):
    model = fitted("emcdr", world)
    data = world.data
    row = np.flatnonzero(np.diff(data.interactions["films"].indptr) > 0)[:1]
    users = user_batch(data, row)
    own = model.module.target.users.detach().numpy()[row]
    np.testing.assert_array_equal(model.user_vectors(users), own)
    everyone = fitted("emcdr", world, map_everyone=True)
    mapped = everyone.mapped(everyone.source_vectors(users))
    np.testing.assert_array_equal(everyone.user_vectors(users), mapped)


def kept_out_of_training(data):
    """Take a film of every user who has two and validate by it: all validation users are warm."""
    films = data.interactions["films"].toarray()
    rows = np.flatnonzero(films.sum(axis=1) > 1)
    held = np.zeros((len(rows), films.shape[1]), dtype=films.dtype)
    held[np.arange(len(rows)), films[rows].argmax(axis=1)] = 1
    films[rows] -= held
    interactions = {**data.interactions, "films": csr_array(films)}
    return replace(data, interactions=interactions, valid=HeldOut(rows, csr_array(held)))


def best_linear_error(given, wanted):
    """Return the mean squared distance that least squares leave: a map of one epoch leaves twice as much."""
    columns = np.column_stack([given, np.ones(len(given))])
    fitted = columns @ np.linalg.lstsq(columns, wanted, rcond=None)[0]
    return np.square(fitted - wanted).sum(axis=1).mean()


@pytest.mark.parametrize("name", ["emcdr", "sscdr"])
def test_validation_users_with_vectors_of_their_own_do_not_choose_the_map(name, world):
    data = kept_out_of_training(world.data)
    settings = {**QUICK, "patience": 2, "epochs": 12, "mapping_epochs": 60}
    model = create(name, {**settings, "unsupervised_weight": 0.0} if name == "sscdr" else settings)
    model.fit(data, FitContext(seed=1))
    reports = model.phase_reports
    assert not any(reports["source"].validation)
    assert all(reports["target"].validation)
    assert reports["target"].chosen_epoch is not None
    mapping = reports["mapping"]
    assert mapping.chosen_epoch is None
    assert len(mapping.losses) == 60
    source, target = model.module.source, model.module.target
    shared = np.flatnonzero(source.is_trained() & target.is_trained())
    given, wanted = source.user_vectors(shared), target.user_vectors(shared)
    error = np.square(model.mapped(given) - wanted).sum(axis=1).mean()
    assert error < 1.1 * best_linear_error(given, wanted), (
        "the map was left as an early epoch had it"
    )


@pytest.mark.parametrize("everyone", [False, True])
def test_the_map_is_chosen_by_those_it_judges(everyone, world):
    newcomers = world.data
    assert not counts(newcomers.interactions["films"])[newcomers.valid.user_rows].any()
    data = kept_out_of_training(newcomers) if everyone else newcomers
    model = create("emcdr", {**QUICK, "map_everyone": everyone})
    model.fit(data, FitContext(seed=1))
    reports = model.phase_reports
    assert not any(reports["target"].validation)
    assert len(reports["target"].losses) == QUICK["epochs"]
    assert all(reports["mapping"].validation)


def test_dcdcsrs_benchmarks(world):
    data = world.data
    books, films = (data.interactions[name].toarray() for name in ("books", "films"))
    books[:3] = 0  # users of the target alone
    data = replace(
        data, interactions={"books": csr_array(books), "films": csr_array(films)}, valid=None
    )
    n_s, n_t = books.sum(1), films.sum(1)
    shared = np.flatnonzero((n_s > 0) & (n_t > 0))
    alone = np.flatnonzero((n_s == 0) & (n_t > 0))
    for swap in (False, True):
        model = create("dcdcsr", {**QUICK, "n_similar": 4, "swap_weights": swap})
        model._module = model.build(Shape(48, {"books": 24, "films": 18}, "films"))
        found = model._benchmarks(data, shared)
        s, t = (one.users.detach().numpy() for one in (model.module.source, model.module.target))
        a, b = (n_t, n_s) if swap else (n_s, n_t)
        expected = (a[:, None] * s + b[:, None] * t) / np.maximum(n_s + n_t, 1)[:, None]
        np.testing.assert_allclose(found[shared], expected[shared], rtol=1e-4, atol=1e-6)
        for row in alone:
            norms = np.linalg.norm(t[row]) * np.linalg.norm(t[shared], axis=1)
            cosine = np.maximum(t[shared] @ t[row] / norms, 0)
            best = np.argsort(-cosine, kind="stable")[:4]
            lent = (cosine[best, None] * s[shared[best]]).sum(0) / cosine[best].sum()
            dense = n_s[shared[best]].mean()
            beta = dense / (dense + n_t[row])
            np.testing.assert_allclose(
                found[row], (1 - beta) * t[row] + beta * lent, rtol=1e-3, atol=1e-5
            )


def test_dcdcsr_scales_to_minus_one_and_one_and_back():
    vectors = torch.randn(6, 5)
    unit, middle, half = dcdcsr.to_unit(vectors)
    np.testing.assert_allclose(unit.amin(1).numpy(), -1, rtol=1e-5)
    np.testing.assert_allclose(unit.amax(1).numpy(), 1, rtol=1e-5)
    np.testing.assert_allclose((unit * half + middle).numpy(), vectors.numpy(), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_without_shared_users_or_sources_it_refuses(name, world):
    books = world.data.interactions["books"].toarray()
    books[np.diff(world.data.interactions["films"].indptr) > 0] = 0
    apart = {**world.data.interactions, "books": csr_array(books)}
    data = replace(world.data, valid=None)
    with pytest.raises(DatasetError, match="users of both sides"):
        create(name, QUICK).fit(replace(data, interactions=apart), FitContext())
    alone = replace(
        data,
        catalogues={"films": data.catalogues["films"]},
        interactions={"films": data.interactions["films"]},
    )
    with pytest.raises(DatasetError, match="needs a source domain"):
        create(name, QUICK).fit(alone, FitContext())
