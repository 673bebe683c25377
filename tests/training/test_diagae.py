"""DIAGAE as a whole: its losses in NumPy, what trains what, its ablations, whom it judges, and its serving form."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from training.bricks.feedback import Feedback, Labelled, LabelledDomain
from training.bricks.graph_attention import Edges
from training.bricks.interest_alignment import Reduction
from training.bricks.interest_graphs import (
    GraphBatches,
    InterestConfig,
    InterestGraphs,
    JointStage,
    SourceStage,
    without,
)
from training.contract import FitContext, RatingRecommender, UserBatch
from training.dataset import Events, HeldOut, with_events
from training.errors import DatasetError
from training.evaluate import user_batch
from training.rating_evaluation import evaluate_ratings, rated_pairs
from training.registry import create

SMALL = {"embedding_size": 8, "batch_size": 64, "pretraining_epochs": 3, "epochs": 3}


def sides(world, feedback=Feedback.CLICKS) -> tuple[LabelledDomain, LabelledDomain]:
    source = LabelledDomain(world.data, ["books"], feedback, 2)
    return source, LabelledDomain(world.data, ["films"], feedback, 2)


def graphs_of(config: InterestConfig) -> InterestGraphs:
    torch.manual_seed(0)
    return InterestGraphs(48, 24, 18, config)


def joint_batch(world, config: InterestConfig):
    batches = GraphBatches(*sides(world), world.data.user_ids, config)
    return next(iter(batches.epoch(np.random.default_rng(0))))


def gradients(stage: torch.nn.Module, loss: torch.Tensor) -> set[str]:
    stage.zero_grad()
    loss.backward()
    return {
        name for name, one in stage.named_parameters() if one.grad is not None and one.grad.any()
    }


def test_a_rating_is_equation_3_and_its_loss_equation_4(world):
    config = InterestConfig(embedding_size=8)
    graphs = graphs_of(config)
    rows, places, items, labels, *rest = joint_batch(world, config).inputs
    stage = JointStage(graphs, config)
    found = stage.losses(rows, places, items, labels, *rest)["rec"].item()
    encoded = []
    for encoder, users, seen in ((graphs.source, *rest[:2]), (graphs.target, *rest[2:4])):
        own = encoder.layer(encoder.users[rows], encoder.items, Edges(users, seen))
        encoded.append(own.detach().numpy())
    weights = {name: one.detach().numpy() for name, one in graphs.named_parameters()}
    fused = np.concatenate(encoded, axis=1) @ weights["fusion.weight"].T + weights["fusion.bias"]
    x = fused[places] @ weights["target_head.of_user.weight"].T
    x = x + weights["target_head.of_user.bias"]
    x = x + weights["target.items"][items] @ weights["target_head.of_item.weight"].T
    x = np.maximum(x, 0) @ weights["target_head.rest.2.weight"].T
    x = 1 / (1 + np.exp(-(x[:, 0] + weights["target_head.rest.2.bias"])))
    assert found == pytest.approx(np.mean((labels.numpy() - x) ** 2), rel=1e-5)


def test_the_whole_loss_is_equation_9_and_reaches_all_that_the_paper_trains(world):
    config = InterestConfig(embedding_size=8)
    stage = JointStage(graphs_of(config), config)
    batch = joint_batch(world, config)
    parts = stage.losses(*batch.inputs)
    whole = stage(*batch.inputs)
    expected = parts["rec"] + 0.8 * parts["inter"] + 0.6 * parts["intra"]
    torch.testing.assert_close(whole, expected)
    reached = gradients(stage, whole)
    every = {name for name, _ in stage.named_parameters()}
    assert every - reached == {one for one in every if "source_head" in one}  # stage 1 alone has it
    assert (
        stage.graphs.source.users.grad is not None
    )  # the source goes on learning by the other losses
    only_inter = gradients(stage, stage.losses(*batch.inputs)["inter"])
    assert only_inter
    assert all(one.startswith("graphs.target.") for one in only_inter)  # P is an anchor (eq. 6)


def test_sums_as_printed_are_means_times_users_and_pairs(world):
    found = {}
    for reduction in Reduction:
        config = InterestConfig(embedding_size=8, reduction=reduction)
        stage = JointStage(graphs_of(config), config)
        batch = joint_batch(world, config)
        found[reduction] = stage.losses(*batch.inputs)
    in_source, in_target = (int(one.sum()) for one in batch.inputs[8:10])
    means, sums = found[Reduction.MEAN], found[Reduction.SUM]
    torch.testing.assert_close(sums["rec"], means["rec"])  # eq. 4 is a mean as printed
    torch.testing.assert_close(sums["inter"], in_source * means["inter"])
    least, most = sorted(n * (n - 1) for n in (in_source, in_target))
    assert least * means["intra"] * 0.999 <= sums["intra"] <= most * means["intra"] * 1.001


def test_stage_1_trains_the_source_alone(world):
    config = InterestConfig(embedding_size=8)
    graphs = graphs_of(config)
    stage = SourceStage(graphs)
    batches = GraphBatches(sides(world)[0], None, world.data.user_ids, config)
    batch = next(iter(batches.epoch(np.random.default_rng(0))))
    assert gradients(stage, stage(*batch.inputs)) == {name for name, _ in stage.named_parameters()}
    assert all(one.grad is None for one in graphs.target.parameters())


@pytest.mark.parametrize(
    ("setting", "lost"), [("inter_weight", "inter"), ("intra_weight", "intra")]
)
def test_an_ablation_leaves_one_loss_out(world, setting, lost):
    config = InterestConfig(embedding_size=8, **{setting: 0.0})
    stage = JointStage(graphs_of(config), config)
    batch = joint_batch(world, config)
    assert set(stage.losses(*batch.inputs)) == {"rec", "inter", "intra"} - {lost}
    reached = gradients(stage, stage(*batch.inputs))
    assert any("links" in one for one in reached) == (lost != "intra")


def test_an_epoch_shows_every_pair_once_and_newcomers_of_the_target_too(world):
    config = InterestConfig(embedding_size=8, batch_size=64, link_similarity=0.5)
    batches = GraphBatches(*sides(world), world.data.user_ids, config)
    seen, users = [], set()
    films = world.data.interactions["films"]
    for batch in batches.epoch(np.random.default_rng(0)):
        rows, places, items, labels = (one.numpy() for one in batch.inputs[:4])
        in_source, in_target, links = (one.numpy() for one in batch.inputs[8:11])
        shown = csr_array(
            (np.ones(len(batch.inputs[6])), (batch.inputs[6], batch.inputs[7])), (len(rows), 18)
        )
        assert not shown[places[labels == 1], items[labels == 1]].any()  # hide_pairs
        assert (in_target == (np.diff(films[rows].indptr) > 0)).all()
        books = world.data.interactions["books"][rows[in_source]].toarray()
        cosine = (books @ books.T) / np.outer(*2 * [np.sqrt(books.sum(axis=1))])
        np.testing.assert_array_equal(links, cosine > 0.5)  # second-order proximity
        seen += list(zip(rows[places[labels == 1]], items[labels == 1], strict=True))
        users |= set(rows.tolist())
    assert sorted(seen) == sorted(zip(*films.nonzero(), strict=True))
    assert users == set(range(48))
    graph = csr_array(np.array([[1.0, 1], [0, 1]]))
    np.testing.assert_array_equal(
        without(graph, np.array([0]), np.array([1])).toarray(), [[1, 0], [0, 1]]
    )


def test_losses_fall_and_both_stages_report(world):
    model = create("diagae", {**SMALL, "epochs": 6, "pretraining_epochs": 6})
    model.fit(world.data, FitContext(seed=1))
    for phase in ("source", "target"):
        losses = model.phase_reports[phase].losses
        assert losses[-1] < 0.9 * losses[0]


def test_a_stranger_with_a_history_is_judged_and_candidates_come_by_inner_product(world):
    model = create("diagae", {**SMALL, "epochs": 6})
    model.fit(world.data, FitContext(seed=1))
    users = user_batch(world.data, world.test.user_rows[:4])
    strangers = UserBatch(users.ids + 1_000_000, users.history)
    assert np.isfinite(model.score(strangers)).all()
    nobody = UserBatch(users.ids[:1], {d: m[:1] * 0 for d, m in users.history.items()})
    items, products = model.similarity_map(users, 5)
    assert items.shape == (4, 5)
    assert (np.diff(products, axis=1) <= 0).all()
    vectors, _ = model._represented(users)
    every = vectors.numpy() @ model.module.target.items.detach().numpy().T
    np.testing.assert_allclose(products, np.sort(every, axis=1)[:, ::-1][:, :5], rtol=1e-5)
    assert np.isnan(model.similarity_map(nobody, 3)[1]).all()


def with_ratings(world):
    """Return the world with a rating of 5 for each positive and 1 for as many other items."""
    rng = np.random.default_rng(0)
    before = {**world.data.interactions}
    films = before["films"].tolil()
    for held in (world.test, world.data.valid):
        films[held.user_rows] = held.positives
    before["films"] = csr_array(films.tocsr())
    events = {}
    for domain, matrix in before.items():
        grid = matrix.toarray() * 5
        dislikes = (grid == 0) & (rng.random(grid.shape) < 0.1)
        users, items = np.nonzero((grid > 0) | dislikes)
        ratings = np.where(grid[users, items] > 0, 5, 1).astype(np.float32)
        events[domain] = Events.ordered(users, items, ratings, np.zeros(len(users), np.int64))
    return with_events(world.data, world.test, events, before)


@pytest.mark.parametrize("name", ["diagae", "ddtcdr"])
def test_ratings_of_newcomers_are_predicted_better_than_by_their_mean(world, name):
    data, test = with_ratings(world)
    quick = {
        "diagae": {**SMALL, "batch_size": 16, "pretraining_epochs": 15, "epochs": 25},
        "ddtcdr": {"batch_size": 64, "epochs": 40, "autoencoder_epochs": 30},
    }[name]
    model = create(name, {**quick, "feedback": "ratings"})
    assert isinstance(model, RatingRecommender)
    model.fit(data, FitContext(seed=1))
    pairs = rated_pairs(data, test, threshold=3.0)
    found = evaluate_ratings(model, data, test, pairs)
    assert found.n_covered == len(pairs.actual)
    spread = float(np.std(pairs.actual))
    share, auc = {"diagae": (0.85, 0.85), "ddtcdr": (0.75, 0.9)}[name]
    assert found.summary()["rmse"] < share * spread
    assert found.summary()["auc"] > auc
    assert "minus_rmse" in model.phase_reports[list(model.phase_reports)[-1]].validation[0]


@pytest.mark.parametrize("name", ["diagae", "ddtcdr"])
def test_what_cannot_be_learned_from_is_refused(world, name):
    model = create(name, {"feedback": "ratings"})
    with pytest.raises(DatasetError, match="no graded ratings"):
        model.fit(world.data, FitContext())
    films = {"films": world.data.catalogues["films"]}
    alone = type(world.data)(
        world.data.user_ids,
        films,
        {"films": world.data.interactions["films"]},
        "films",
        valid=HeldOut(world.data.valid.user_rows, world.data.valid.positives),
    )
    with pytest.raises(DatasetError, match="needs a source domain"):
        create(name).fit(alone, FitContext())


def test_labels_of_a_batch_are_picked_by_place():
    pairs = Labelled(np.arange(3), np.arange(3) + 5, np.array([0, 0.5, 1], np.float32))
    assert pairs.at(np.array([2, 0])).item_rows.tolist() == [7, 5]
