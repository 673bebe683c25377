"""The loop: schedule, interruption, numbers that are none, devices."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from training import loop
from training.contract import FitContext
from training.errors import ConfigError, TrainingError
from training.loop import Batch, LoopConfig, fit_epochs, learning_rate, make_fabric
from training.snapshot import FILE

QUICK = LoopConfig(epochs=4, batch_size=5, learning_rate=0.05)


class Regression(nn.Module):
    """Least squares with dropout, so that random numbers matter."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.full((3,), 0.1))
        self.dropout = nn.Dropout(0.3)

    def forward(self, x, y):
        """Return the mean squared error."""
        return ((self.dropout(x) @ self.weights - y) ** 2).mean()


class Line:
    """A task whose validation is given."""

    pretrained = None

    identity = "line"

    def __init__(self, validation=(), fail_at=None, spoil=None):
        self.module = Regression()
        self.validation, self.fail_at, self.spoil = list(validation), fail_at, spoil
        self.epochs = []

    def batches(self, epoch):
        """Return four batches, drawn for the epoch."""
        if epoch == self.fail_at:
            raise KeyboardInterrupt
        self.epochs.append(epoch)
        rng = np.random.default_rng([7, epoch])
        found = []
        for number in range(4):
            x = torch.from_numpy(rng.normal(size=(5, 3)).astype(np.float32))
            y = x @ torch.tensor([1.0, -2.0, 0.5])
            if (epoch, number) == self.spoil:
                y[2] = torch.nan
            found.append(Batch((x, y), np.arange(5) + 10 * number))
        return found

    def validate(self):
        """Return the given value of the epoch just ended."""
        return {"ndcg@10": self.validation[len(self.epochs) - 1]} if self.validation else {}


def weights(task):
    return task.module.weights.detach().numpy().copy()


@pytest.mark.parametrize("optimizer", ["lamb", "adamw"])
def test_an_interrupted_fit_goes_on_to_the_same_weights(tmp_path, optimizer):
    config = LoopConfig(epochs=4, optimizer=optimizer, learning_rate=0.05, weight_decay=0.01)
    torch.manual_seed(11)
    whole = Line()
    expected = fit_epochs(whole, config, FitContext(seed=2))
    torch.manual_seed(99)  # what the world does in between must not matter
    with pytest.raises(KeyboardInterrupt):
        fit_epochs(Line(fail_at=2), config, FitContext(seed=2, folder=tmp_path))
    rest = Line()
    found = fit_epochs(rest, config, FitContext(seed=2, folder=tmp_path))
    assert rest.epochs == [2, 3]
    assert np.array_equal(weights(rest), weights(whole))
    assert found.losses == expected.losses
    assert found.notes == ("went on after epoch 2 of an interrupted fit",)
    assert not (tmp_path / FILE).exists()
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2, 3, 4]
    assert [record["loss"] for record in records] == list(expected.losses)


def test_a_fit_taken_up_tells_of_all_its_epochs_and_of_all_their_seconds(tmp_path):
    told: list[dict] = []
    context = FitContext(seed=2, folder=tmp_path, on_record=told.append)
    with pytest.raises(KeyboardInterrupt):
        fit_epochs(Line(fail_at=2), QUICK, context)
    before = list(told)
    told.clear()
    report = fit_epochs(Line(), QUICK, context)
    assert [record["epoch"] for record in told] == [1, 2, 3, 4]
    assert told[:2] == before
    assert tuple(record["loss"] for record in told) == report.losses
    assert report.seconds > sum(record["seconds"] for record in told) - 0.01  # they are rounded


@pytest.mark.parametrize("optimizer", ["lamb", "adamw"])
@pytest.mark.parametrize("killed_at", [1, 6, 7, 15])
def test_a_fit_killed_within_an_epoch_goes_on_to_the_same_weights(tmp_path, optimizer, killed_at):
    config = LoopConfig(epochs=4, optimizer=optimizer, learning_rate=0.05, weight_decay=0.01)
    whole = Line()
    expected = fit_epochs(whole, config, FitContext(seed=2))

    def kill(progress):
        if progress.done == killed_at + 1:
            raise KeyboardInterrupt

    context = FitContext(seed=2, folder=tmp_path, snapshot_steps=1)
    with pytest.raises(KeyboardInterrupt):
        fit_epochs(Line(), config, replace(context, on_progress=kill))
    torch.rand(3)  # what is drawn in between must not matter
    rest, told = Line(), []
    found = fit_epochs(rest, config, replace(context, on_progress=told.append))
    assert told[0].done == killed_at + 1
    assert np.array_equal(weights(rest), weights(whole))
    assert found.losses == expected.losses
    assert f"step {killed_at % 4} of epoch {killed_at // 4 + 1}" in found.notes[0]


def test_snapshots_within_an_epoch_come_by_steps_by_seconds_or_not_at_all(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(
        loop,
        "write_snapshot",
        lambda _folder, state, _identity: written.append((state.epoch, state.step)),
    )
    ends = [(1, 0), (2, 0), (3, 0), (4, 0)]
    for options, within in (
        ({}, set()),
        ({"snapshot_steps": 3}, {3}),
        ({"snapshot_seconds": 0.0}, {1, 2, 3}),
        ({"snapshot_seconds": 1e6}, set()),
    ):
        written.clear()
        fit_epochs(Line(), QUICK, FitContext(folder=tmp_path, **options))
        assert [one for one in written if one[1] == 0] == ends
        assert {step for _, step in written if step} == within


def test_the_former_snapshot_serves_when_the_newest_is_damaged(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit_epochs(Line(fail_at=3), QUICK, FitContext(folder=tmp_path))
    newest = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(newest[: len(newest) // 2])
    again, whole = Line(), Line()
    report = fit_epochs(again, QUICK, FitContext(folder=tmp_path))
    assert again.epochs == [2, 3]
    assert "damaged" in report.notes[0]
    assert "went on after epoch 2" in report.notes[0]
    fit_epochs(whole, QUICK, FitContext())
    assert np.array_equal(weights(again), weights(whole))


def test_a_kept_snapshot_ends_the_same_fit_at_once(tmp_path):
    context = FitContext(folder=tmp_path, keep_snapshot=True)
    first, second = Line(), Line()
    expected = fit_epochs(first, QUICK, context)
    found = fit_epochs(second, QUICK, context)
    assert second.epochs == []
    assert found.losses == expected.losses
    assert np.array_equal(weights(first), weights(second))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."), "memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "GPU memory"),
    ],
)
def test_memory_that_ran_out_names_the_batch_size_to_try(error, kind):
    task = Line()
    task.module.forward = lambda *_: (_ for _ in ()).throw(error)
    expected = rf"^{kind} ran out in epoch 1, step 1 of 4: set batch_size to 2$"
    with pytest.raises(TrainingError, match=expected):
        fit_epochs(task, QUICK, FitContext())


def test_any_other_error_passes_as_it_is():
    task = Line()
    task.module.forward = lambda *_: (_ for _ in ()).throw(RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        fit_epochs(task, QUICK, FitContext())


def test_speed_is_told_in_progress_records_and_report(tmp_path):
    task, notes = Line(), []
    plain = task.batches
    task.batches = lambda epoch: [replace(batch, n_tokens=50, flops=1e6) for batch in plain(epoch)]
    context = FitContext(folder=tmp_path, on_progress=lambda one: notes.append(one.note))
    report = fit_epochs(task, QUICK, context)
    for text in ("users/s", "tokens/s", "of peak"):
        assert text in notes[-1]
    names = {"users_per_second", "tokens_per_second", "share_of_peak"}
    assert set(report.speed) == names
    assert report.speed["tokens_per_second"] == pytest.approx(
        10 * report.speed["users_per_second"], rel=0.01
    )
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all(names <= record.keys() for record in records)


def test_a_snapshot_of_another_fit_or_a_damaged_one_is_not_taken(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit_epochs(Line(fail_at=1), QUICK, FitContext(seed=2, folder=tmp_path))
    kept = (tmp_path / FILE).read_bytes()
    found = fit_epochs(Line(), QUICK, FitContext(seed=3, folder=tmp_path))
    assert "another configuration, seed or data" in found.notes[0]
    (tmp_path / FILE).write_bytes(kept[: len(kept) // 2])
    found = fit_epochs(Line(), QUICK, FitContext(seed=2, folder=tmp_path))
    assert "damaged snapshot" in found.notes[0]
    assert len(found.losses) == 4


def test_nan_stops_with_epoch_step_and_users_and_keeps_the_last_good_state(tmp_path):
    with pytest.raises(TrainingError, match=r"loss is nan in epoch 3, step 2 of 4 \(users 10, 11"):
        fit_epochs(Line(spoil=(2, 1)), QUICK, FitContext(folder=tmp_path))
    assert (tmp_path / FILE).exists()
    again = Line()
    fit_epochs(again, QUICK, FitContext(folder=tmp_path))
    assert again.epochs == [2, 3]


def test_the_best_epoch_is_kept_and_patience_stops():
    config = LoopConfig(epochs=6, learning_rate=0.05, patience=2)
    task = Line(validation=[0.1, 0.5, 0.4, 0.3, 0.9, 0.9])
    report = fit_epochs(task, config, FitContext())
    assert report.chosen_epoch == 2
    assert task.epochs == [0, 1, 2, 3]
    assert [found["ndcg@10"] for found in report.validation] == [0.1, 0.5, 0.4, 0.3]
    two = Line()
    two.validation = [0.1, 0.5, 0.4, 0.3]
    two.fail_at = 2
    with pytest.raises(KeyboardInterrupt):
        fit_epochs(two, config, FitContext())
    assert np.array_equal(weights(task), weights(two))


def test_without_validation_the_last_epoch_is_kept():
    report = fit_epochs(Line(), QUICK, FitContext())
    assert report.chosen_epoch is None
    assert len(report.losses) == 4
    assert report.losses[-1] < report.losses[0]


def test_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit_epochs(Line(), QUICK, FitContext(seed=1))
    assert torch.equal(torch.rand(3), expected)


def test_learning_rate_is_warmed_up_then_a_cosine():
    config = LoopConfig(epochs=15, learning_rate=5e-4)
    for at in (0.1, 0.5, 1.0):
        assert learning_rate(config, at) == pytest.approx(5e-4 * at)
    for at in (1.0, 4.2, 8.0, 15.0):
        assert learning_rate(config, at) == pytest.approx(
            2.5e-4 * (1 + math.cos(math.pi * (at - 1) / 14))
        )
    constant = LoopConfig(schedule="constant", warmup_epochs=0, learning_rate=0.1)
    assert learning_rate(constant, 0.0) == learning_rate(constant, 9.0) == 0.1


def test_progress_is_told_to_the_end():
    seen = []
    fit_epochs(Line(), QUICK, FitContext(on_progress=seen.append))
    assert [one.done for one in seen] == list(range(1, 17))
    assert {one.total for one in seen} == {16}
    assert seen[-1].note.startswith("epoch 4 of 4, loss ")


def test_clipping_bounds_the_gradient():
    norms = []
    task = Line()
    step = torch.optim.AdamW.step

    def watched(self, *args, **kwargs):
        norms.append(float(task.module.weights.grad.norm()))
        return step(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", watched)
        fit_epochs(task, LoopConfig(epochs=1, clip_norm=0.1), FitContext())
    assert norms
    assert max(norms) <= 0.1 + 1e-6


def test_a_device_that_is_not_there_is_refused():
    for device in ("cuda:63", "tpu", "cuda:x"):
        with pytest.raises(ConfigError, match=device):
            make_fabric(FitContext(device=device))
    with pytest.raises(ConfigError, match="precision"):
        make_fabric(FitContext(precision="12-odd"))


def test_an_epoch_without_examples_says_so():
    task = Line()
    task.batches = lambda _epoch: [None, None]
    with pytest.raises(TrainingError, match="no training user has a profile left"):
        fit_epochs(task, QUICK, FitContext())
