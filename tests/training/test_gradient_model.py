"""The base class, through a model of two phases small enough to check by hand."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from training.config import ModelConfig, parse_config
from training.contract import FitContext, Need, UserBatch, VectorRecommender
from training.dataset import Dataset, binary, rows_of
from training.errors import CheckpointError, TrainingError
from training.evaluate import user_batch
from training.gradient_model import (
    UNKNOWN,
    GradientConfig,
    GradientModel,
    Phase,
    Shape,
    TensorEpoch,
    fingerprint,
)
from training.loop import Epoch


class Bias(nn.Module):
    """A logit for each item."""

    def __init__(self, n_items: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(n_items))
        self.dropout = nn.Dropout(0.5)

    @override
    def forward(self, items: Tensor) -> Tensor:
        return -torch.log_softmax(self.bias, dim=0)[items].mean()


class Both(nn.Module):
    """A bias, and its scale."""

    def __init__(self, n_items: int) -> None:
        super().__init__()
        self.first = Bias(n_items)
        self.scale = nn.Parameter(torch.ones(1))
        self.modes: list[tuple[bool, bool]] = []

    @override
    def forward(self, items: Tensor) -> Tensor:
        self.modes.append((self.first.training, self.training))
        return -torch.log_softmax(self.first.bias * self.scale, dim=0)[items].mean()


class Counting(GradientModel[Both], VectorRecommender):
    """Learns popularity, then its scale."""

    name: ClassVar[str] = "counting"
    paper: ClassVar[str] = "nobody, 2026"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.KNOWN_USER})
    config_type: ClassVar[type[ModelConfig]] = GradientConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, GradientConfig)
        self.settings = config
        self.between: list[np.ndarray] = []
        self.draws: list[np.ndarray] = []

    @override
    def build(self, shape: Shape) -> Both:
        return Both(shape.n_target_items)

    @override
    def phases(self, data: Dataset, context: FitContext) -> Iterator[Phase]:
        matrix = binary(data.interactions[data.target])

        def batches(rng: np.random.Generator) -> Epoch:
            order = rng.permutation(matrix.nnz)
            self.draws.append(order)
            items = torch.from_numpy(matrix.indices[order].astype(np.int64))
            return TensorEpoch((items,), data.user_ids[rows_of(matrix)][order], 16)

        def validate() -> Mapping[str, float]:
            return self.ranking(data)

        yield Phase("first", self.module.first, batches, self.settings, validate)
        self.between.append(self.module.first.bias.detach().numpy().copy())
        yield Phase("second", self.module, batches, self.settings, frozen=(self.module.first,))

    @override
    def item_vectors(self) -> np.ndarray:
        module = self.module
        return (module.first.bias * module.scale).detach().numpy()[:, None]

    @override
    def user_vectors(self, users: UserBatch) -> np.ndarray:
        known = self.known_rows(users) != UNKNOWN
        return np.where(known, 1.0, np.nan).astype(np.float32)[:, None]


def counting(**settings: object) -> Counting:
    config = {"epochs": 4, "learning_rate": 0.1, **settings}
    return Counting(parse_config(GradientConfig, config))


def test_the_best_weights_of_a_phase_go_on_and_frozen_parts_stay(world):
    model = counting()
    report = model.fit(world.data, FitContext(seed=1))
    np.testing.assert_array_equal(model.between[0], model.module.first.bias.detach().numpy())
    assert model.module.scale.item() != 1.0
    assert set(model.module.modes) == {(False, True)}, "frozen parts are in evaluation mode"
    assert all(one.requires_grad for one in model.module.parameters())
    assert not model.module.training
    assert list(model.phase_reports) == ["first", "second"]
    assert len(report.losses) == len(report.validation) == 8
    best = [one["ndcg@10"] for one in report.validation[:4]]
    assert model.phase_reports["first"].chosen_epoch == int(np.argmax(best)) + 1
    assert report.chosen_epoch is None, "the second phase has no validation"
    assert report.notes[0].startswith("phase first: 4 epochs, the best is ")


def test_the_best_epoch_is_kept_not_the_last(world, monkeypatch):
    values = iter([0.1, 0.9, 0.2, 0.3])
    seen: list[np.ndarray] = []

    def ranking(self: Counting, _: Dataset) -> dict[str, float]:
        seen.append(self.module.first.bias.detach().numpy().copy())
        return {"ndcg@10": next(values)}

    monkeypatch.setattr(Counting, "ranking", ranking)
    model = counting()
    model.fit(world.data, FitContext(seed=1))
    np.testing.assert_array_equal(model.between[0], seen[1])
    assert not np.array_equal(seen[1], seen[3])


def test_phases_and_epochs_draw_differently_and_a_refit_the_same(world):
    model, other = counting(), counting()
    model.fit(replace(world.data, valid=None), FitContext(seed=8))
    draws = [tuple(one) for one in model.draws]
    assert len(set(draws)) == len(draws) == 8
    model.fit(world.data, FitContext(seed=2))
    other.fit(world.data, FitContext(seed=2))
    for name, value in other.state().items():
        np.testing.assert_array_equal(model.state()[name], value)
    other.fit(world.data, FitContext(seed=3))
    assert not np.array_equal(other.item_vectors(), model.item_vectors())


def test_unknown_users_are_nan_in_any_order_of_ids(world, newcomer):
    model = counting()
    ids = world.data.user_ids[::-1].copy()
    model.fit(replace(world.data, user_ids=ids), FitContext())
    users = user_batch(replace(world.data, user_ids=ids), np.array([5, 0, 3]))
    np.testing.assert_array_equal(model.known_rows(users), [5, 0, 3])
    assert np.isnan(model.score(newcomer)).all()
    assert np.isfinite(model.score(users)).all()


def test_restored_it_is_the_same_and_foreign_arrays_are_refused(world):
    model, other = counting(), counting()
    model.fit(world.data, FitContext())
    other.restore(model.state(), {})
    assert other.shape == model.shape
    assert list(other.shape.n_items) == ["books", "films"]
    assert other.shape.sources == ("books",)
    np.testing.assert_array_equal(other.item_vectors(), model.item_vectors())
    broken = dict(model.state())
    del broken["module.scale"]
    with pytest.raises(CheckpointError, match=r"not those of this counting: .*scale"):
        counting().restore(broken, {})
    with pytest.raises(CheckpointError, match="shape"):
        counting().restore({"item_ids": model.state()["item_ids"]}, {})


def test_nothing_learned_is_said():
    for ask in (lambda model: model.module, lambda model: model.state()):
        with pytest.raises(TrainingError, match="counting has learned nothing yet"):
            ask(counting())


def test_records_of_each_phase_have_a_folder_of_their_own(world, tmp_path):
    counting().fit(world.data, FitContext(folder=tmp_path))
    for phase in ("first", "second"):
        assert len((tmp_path / phase / "metrics.jsonl").read_text().splitlines()) == 4


def test_an_epoch_is_cut_without_a_remainder_lost():
    epoch = TensorEpoch((torch.arange(7), torch.arange(7) * 2), np.arange(7, dtype=np.uint32), 3)
    batches = list(epoch)
    assert len(epoch) == len(batches) == 3
    assert [batch.inputs[1].tolist() for batch in batches] == [[0, 2, 4], [6, 8, 10], [12]]
    assert batches[2].user_ids.tolist() == [6]


def test_the_fingerprint_changes_with_any_row(world):
    changed = {**world.data.interactions, "films": world.data.interactions["films"] * 2}
    assert fingerprint(world.data) == fingerprint(replace(world.data, valid=None))
    assert fingerprint(world.data) != fingerprint(replace(world.data, interactions=changed))
