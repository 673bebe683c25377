"""ItemKNN, LightGCN, YouTubeDNN, CoNet, BPR-MF and CMF against their formulas in NumPy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch.nn.functional import binary_cross_entropy_with_logits

from training.baselines.lightgcn import Propagate, normalised
from training.bricks.bpr import Negatives
from training.bricks.cross_connection import FIRST
from training.bricks.crossed_pairs import BOTH, SOURCE, TARGET, pair_up
from training.contract import FitContext, UserBatch
from training.errors import DatasetError
from training.evaluate import user_batch
from training.registry import create

QUICK = {"embedding_size": 8, "epochs": 3, "batch_size": 256, "learning_rate": 1e-2}
LEARNED = ("bpr_mf", "cmf", "lightgcn", "youtube_dnn", "conet")


def dense(world):
    return [world.data.interactions[name].toarray() for name in ("books", "films")]


@pytest.fixture
def stranger(world):
    known = user_batch(world.data, world.test.user_rows[:1])
    return UserBatch(np.array([4_000_000_000], dtype=np.uint32), known.history)


@pytest.mark.parametrize("name", LEARNED)
def test_losses_fall_and_every_parameter_moves(name, world):
    model = create(name, {**QUICK, "patience": None})
    data = replace(world.data, valid=None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        losses = model.fit(data, FitContext(seed=2)).losses
        torch.manual_seed(2)
        before = model.build(model.shape)
    assert losses[-1] < losses[0]
    for (key, first), last in zip(
        before.named_parameters(), model.module.parameters(), strict=True
    ):
        assert not torch.equal(first, last), f"{key} is not trained"


@pytest.mark.parametrize("name", LEARNED)
def test_target_alone_leaves_newcomers_unjudged(name, world):
    if name in {"cmf", "conet"}:
        return  # cross-domain by nature
    model = create(name, {**QUICK, "domains": "target"})
    model.fit(replace(world.data, valid=None), FitContext())
    assert np.isnan(model.score(user_batch(world.data, world.test.user_rows))).all()


@pytest.mark.parametrize("name", LEARNED)
def test_whom_nobody_knows_is_folded_in_where_the_model_reads_histories(name, world, stranger):
    model = create(name, QUICK)
    model.fit(replace(world.data, valid=None), FitContext())
    judged = np.isfinite(model.score(stranger)).all()
    assert judged == (name in {"lightgcn", "youtube_dnn"})


@pytest.mark.parametrize("domains", ["all", "target"])
def test_item_knn_is_its_formula(world, domains):
    books, films = dense(world)
    model = create("item_knn", {"n_neighbours": 3, "shrinkage": 2.0, "domains": domains})
    model.fit(world.data, FitContext())
    expected = np.zeros((48, 18))
    for x in (books, films) if domains == "all" else (films,):
        common = x.T @ films
        norms = np.sqrt(x.sum(0)[:, None] * films.sum(0)[None, :])
        similarity = common / (norms + 2.0)
        if x is films:
            np.fill_diagonal(similarity, 0)
        for j in range(18):
            order = np.argsort(-similarity[:, j].astype(np.float32), kind="stable")
            similarity[order[3:], j] = 0
        expected += x @ similarity
    found = model.score(user_batch(world.data, np.arange(48)))
    known = films.sum(1) > 0 if domains == "target" else (books.sum(1) + films.sum(1)) > 0
    np.testing.assert_allclose(found[known], expected[known], rtol=1e-5, atol=1e-6)
    assert np.isnan(found[~known]).all()


def test_lightgcn_propagates_by_the_papers_matrix(world):
    books, films = dense(world)
    model = create("lightgcn", {**QUICK, "n_layers": 2})
    model.fit(replace(world.data, valid=None), FitContext())
    x = np.hstack([books, films])
    a = np.block([[np.zeros((48, 48)), x], [x.T, np.zeros((42, 42))]])
    d = np.maximum(a.sum(1), 1)
    a = a / np.sqrt(d[:, None] * d[None, :])
    np.testing.assert_allclose(normalised(csr_array(x)).toarray(), a, rtol=1e-6)
    e = model.module.vectors.detach().numpy()
    final = (e + a @ e + a @ a @ e) / 3
    users = user_batch(world.data, np.array([4, 40]))
    np.testing.assert_allclose(model.user_vectors(users), final[[4, 40]], atol=1e-5)
    np.testing.assert_allclose(model.item_vectors(), final[-18:], atol=1e-5)
    unknown = UserBatch(users.ids + np.uint32(1_000_000), users.history)
    items = e[48:] / np.sqrt(np.maximum(x.sum(0), 1))[:, None]
    next_items = (a @ e)[48:] / np.sqrt(np.maximum(x.sum(0), 1))[:, None]
    own = x[[4, 40]]
    folded = own @ (items + next_items) / 3 / np.sqrt(own.sum(1))[:, None]
    np.testing.assert_allclose(model.user_vectors(unknown), folded, atol=1e-5)


def test_lightgcns_gradient_is_that_of_a_dense_product(world):
    matrix = normalised(world.data.interactions["films"])
    vectors = torch.randn(len(matrix.indptr) - 1, 3, dtype=torch.float32, requires_grad=True)
    weights = torch.randn(vectors.shape)
    (Propagate.apply(matrix, vectors) * weights).sum().backward()
    found = vectors.grad.clone()
    vectors.grad = None
    (torch.from_numpy(matrix.toarray()) @ vectors * weights).sum().backward()
    torch.testing.assert_close(found, vectors.grad)


@pytest.mark.parametrize("settings", [{}, {"hidden": ()}, {"hidden": (16, 8)}])
def test_youtube_dnn_is_an_average_and_a_tower(world, settings):
    model = create("youtube_dnn", {**QUICK, **settings})
    model.fit(replace(world.data, valid=None), FitContext())
    x = np.hstack(dense(world))
    w = {name: one.detach().numpy() for name, one in model.module.named_parameters()}
    vectors = x @ w["inputs"] / np.maximum(x.sum(1, keepdims=True), 1)
    for layer in range(len(model.settings.hidden) + 1):
        name = f"tower.{2 * layer}"
        vectors = np.maximum(vectors @ w[f"{name}.weight"].T + w[f"{name}.bias"], 0)
    found = model.score(user_batch(world.data, np.arange(48)))
    np.testing.assert_allclose(found, vectors @ w["outputs"].T, rtol=1e-3, atol=1e-5)


def test_youtube_dnns_sampled_softmax_is_the_full_one_when_all_is_drawn(world):
    def losses(**settings):
        model = create("youtube_dnn", {**QUICK, "epochs": 3, **settings})
        return model.fit(replace(world.data, valid=None), FitContext(seed=1)).losses

    full = losses()
    np.testing.assert_allclose(losses(softmax="sampled", n_sampled=18), full, rtol=1e-4)
    few = {"softmax": "sampled", "n_sampled": 6}
    assert losses(**few, correct_sampling=False)[0] < losses(**few)[0] - 0.3


def both_sides(world):
    """Films and books of the world; some users have films alone."""
    films, books = (world.data.interactions[name].toarray() for name in ("films", "books"))
    books[films.any(axis=1).nonzero()[0][:5]] = 0
    return csr_array(films), csr_array(books)


def conet_pairs(world, n_negatives=2):
    sides = both_sides(world)
    negatives = Negatives(sides[0]), Negatives(sides[1])
    return pair_up(sides, negatives, n_negatives, np.random.default_rng(0))


def test_conets_pairs_hold_each_positive_once_beside_another_of_its_user(world):
    pairs = conet_pairs(world)
    users, sides = pairs.users.numpy(), pairs.sides.numpy()
    liked = [one.toarray() > 0 for one in both_sides(world)]
    for side, here, items in zip(
        (TARGET, SOURCE), liked, (pairs.target.numpy(), pairs.source.numpy()), strict=True
    ):
        has = (sides == side) | (sides == BOTH)
        found = np.zeros(here.shape, dtype=int)
        np.add.at(found, (users[has], items[has, 0]), 1)
        np.testing.assert_array_equal(found, here)
        assert not here[users[has, None], items[has, 1:]].any()
    n_both = np.bincount(users[sides == BOTH], minlength=len(liked[0]))
    np.testing.assert_array_equal(n_both, np.minimum(*(one.sum(axis=1) for one in liked)))
    assert len(set(sides.tolist())) == 3


def test_conets_loss_is_that_of_every_item_beside_a_liked_one(world):
    model = create("conet", QUICK)
    model.fit(replace(world.data, valid=None), FitContext())
    pairs, module = conet_pairs(world), model.module
    layer, losses = module.towers.first_layer(), []
    for user, side, target, source in zip(*pairs, strict=True):
        own, first, second = module.users[user], module.target[target], module.source[source]
        for tower, missing, items in ((0, SOURCE, first), (1, TARGET, second)):
            for place, item in enumerate(items if side != missing else []):
                if side == BOTH:
                    beside = (item, second[0]) if tower == 0 else (first[0], item)
                    sums = layer.of_users(own) + layer.of_first(beside[0])
                    logit = module.towers.ends(sums + layer.of_second(beside[1]))[tower]
                else:
                    logit = module.towers.alone(tower, torch.cat([own, item]))
                label = torch.tensor(float(place == 0))
                losses.append(binary_cross_entropy_with_logits(logit, label))
    expected = torch.stack(losses).mean()
    assert module(*pairs).item() == pytest.approx(expected.item(), rel=1e-4)
    one_kind = [one[pairs.sides == SOURCE] for one in pairs]
    assert module(*one_kind).isfinite()


def test_conet_scores_with_the_mean_of_the_other_side(world):
    model = create("conet", QUICK)
    model.fit(replace(world.data, valid=None), FitContext())
    books = world.data.interactions["books"].toarray()
    module, row = model.module, int(world.test.user_rows[0])
    own, towers = module.users[row], module.towers
    mean = torch.from_numpy(books[row]) @ module.source / float(books[row].sum())
    found = model.score(user_batch(world.data, np.array([row])))[0]
    layer = towers.first_layer()
    beside = layer.of_users(own) + layer.of_second(mean)
    for item in (0, 11):
        expected, _ = towers.ends(beside + layer.of_first(module.target[item]))
        assert found[item] == pytest.approx(expected.item(), rel=1e-4)
    batch = user_batch(world.data, np.array([row]))
    nothing = {name: rows * 0 for name, rows in batch.history.items()}
    found = model.score(replace(batch, history=nothing))[0]
    for item in (0, 11):
        expected = towers.alone(FIRST, torch.cat([own, module.target[item]]))
        assert found[item] == pytest.approx(expected.item(), rel=1e-4)


def test_sconets_penalty_is_the_sum_of_the_crossing(world):
    model = create("conet", {**QUICK, "epochs": 1, "l1": 0.1})
    model.fit(replace(world.data, valid=None), FitContext())
    pairs = conet_pairs(world)
    loss = model.module(*pairs)
    model.module._l1 = 0.0
    expected = model.module(*pairs) + 0.1 * model.module.towers.l1()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_cmf_weighs_the_sources(world):
    model = create("cmf", {"source_weight": 0.2})
    assert model.weights(world.data) == {"books": 0.2, "films": 0.8}
    assert create("bpr_mf").weights(world.data) is None


@pytest.mark.parametrize("name", [*LEARNED, "item_knn"])
def test_without_target_rows_it_refuses(name, world):
    nothing = {one: rows * 0 for one, rows in world.data.interactions.items()}
    with pytest.raises(DatasetError, match=r"to learn from|beside a positive"):
        create(name).fit(replace(world.data, interactions=nothing, valid=None), FitContext())
