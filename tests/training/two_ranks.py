"""What the ranks of `test_ranks.py` run: python two_ranks.py FOLDER BERT, alone or as one of two processes.

Each process writes what it reached to FOLDER/<name>.safetensors, in float64; models of the registry as they are.
"""
# ruff: noqa: D102  (tasks of tests)

import contextlib
import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from training.contract import FitContext
from training.errors import TrainingError
from training.loop import Batch, LoopConfig, fit_epochs, make_fabric
from training.losses import Chunks, full_softmax
from training.ranks import Ranks, in_turn
from training.registry import create
from training.sharded_softmax import Shard, ShardedTable

N_ITEMS, DIM = 11, 4
SIZES = (5, 1, 4)
"""Examples of the batches of an epoch: one rank of two has nothing to do in the second."""


class Regression(nn.Module):
    """Least squares; one weight takes part in every other batch only, one never."""

    def __init__(self, dropout):
        super().__init__()
        self.weights = nn.Parameter(torch.full((3,), 0.1, dtype=torch.float64))
        self.sometimes = nn.Parameter(torch.ones(1, dtype=torch.float64))
        self.never = nn.Parameter(torch.ones(1, dtype=torch.float64))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, y, is_odd):
        found = self.dropout(x) @ self.weights
        if is_odd.all():
            found = found * self.sometimes
        return ((found - y) ** 2).mean()


class Dealt(list):
    """Batches that can be dealt out."""

    def share(self, rank, n_ranks):
        parts = []
        for batch in self:
            own = slice(rank, None, n_ranks)
            ids = batch.user_ids[own]
            inputs = tuple(one[own] for one in batch.inputs)
            parts.append(Batch(inputs, ids, n_tokens=7 * len(ids)) if len(ids) else None)
        return parts


class Line:
    """A task; `dealt` says whether its batches can be shared out."""

    pretrained = None
    identity = "line"

    def __init__(self, dealt, dropout=0.0, fail_at=None, spoil=None):
        self.dealt, self.fail_at, self.spoil = dealt, fail_at, spoil
        self.module = Regression(dropout)
        self.n_validated = 0

    def batches(self, epoch):
        rng = np.random.default_rng([7, epoch])
        found = []
        for number, size in enumerate(SIZES):
            x = torch.from_numpy(rng.normal(size=(size, 3)))
            y = x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
            if (epoch, number) == self.spoil:
                y[-1] = torch.nan
            is_odd = torch.full((size,), number % 2 == 1)
            found.append(Batch((x, y, is_odd), np.arange(size), n_tokens=7 * size))
        return (Dealt if self.dealt else list)(found)

    def validate(self):
        self.n_validated += 1
        return {"ndcg@10": self.n_validated + 1e-3 * float(self.module.weights.detach().sum())}


def fit_lines(folder, rank):
    """Fit dealt and undealt batches, and with clipping by LAMB."""
    found = {}
    for name, dealt, options in (
        ("dealt", True, {}),
        ("whole", False, {}),
        ("clipped", True, {"clip_norm": 0.05, "optimizer": "lamb"}),
    ):
        config = LoopConfig(epochs=4, learning_rate=0.05, weight_decay=0.01, **options)
        own = folder / f"{name}-{rank}"
        task = Line(dealt, dropout=0.0 if dealt else 0.4)
        report = fit_epochs(task, config, FitContext(seed=2, folder=own))
        found |= {f"{name}/{key}": value for key, value in task.module.state_dict().items()}
        found[f"{name}/losses"] = torch.tensor(report.losses, dtype=torch.float64)
        values = [one["ndcg@10"] for one in report.validation]
        found[f"{name}/validation"] = torch.tensor(values, dtype=torch.float64)
        found[f"{name}/n_validated"] = torch.tensor(task.n_validated)
        found[f"{name}/wrote"] = torch.tensor(own.exists())
    return found


def interrupted(folder, rank):
    """Fit with dropout at one go, and killed in the middle of the second epoch and taken up again."""
    config = LoopConfig(epochs=3, learning_rate=0.05)
    whole = Line(dealt=True, dropout=0.4)
    fit_epochs(whole, config, FitContext(seed=2))

    def kill(progress):
        if progress.done == 5:
            raise KeyboardInterrupt

    context = FitContext(seed=2, folder=folder / "killed", snapshot_steps=1)
    with contextlib.suppress(KeyboardInterrupt):
        fit_epochs(Line(dealt=True, dropout=0.4), config, replace(context, on_progress=kill))
    again = Line(dealt=True, dropout=0.4)
    report = fit_epochs(again, config, context)
    assert report.notes == ("went on after step 1 of epoch 2 of an interrupted fit",), report.notes
    del rank
    return {"whole": whole.module.weights.detach(), "again": again.module.weights.detach()}


def spoilt(folder, rank):
    """Return whether this rank stopped at a loss that is none, on whichever rank the example was."""
    del folder, rank
    try:
        fit_epochs(Line(dealt=True, spoil=(1, 0)), LoopConfig(epochs=3), FitContext())
    except TrainingError as error:
        return {"stopped": torch.tensor(int("epoch 2, step 1 of 3" in str(error)))}
    return {"stopped": torch.tensor(0)}


class Shares(nn.Module):
    """A map of users before a sharded table."""

    def __init__(self, rank, n_ranks):
        super().__init__()
        torch.manual_seed(4)
        options = {"dtype": torch.float64}
        self.map = nn.Linear(3, DIM, **options)
        rows, bias = torch.randn(N_ITEMS, DIM, **options), torch.randn(N_ITEMS, **options)
        shard = Shard.of_rank(N_ITEMS, rank, n_ranks)
        part = slice(shard.start, shard.stop)
        self.items = ShardedTable(rows[part].clone(), bias[part].clone(), shard)


def sharded(folder, rank):
    """Take optimiser steps over a table in two shards; alone, over the whole one by the plain loss."""
    del folder, rank
    ranks = Ranks(make_fabric(FitContext()))
    module = Shares(ranks.rank, ranks.n_ranks)
    ranks.same_start(module)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.05)
    rng = np.random.default_rng(1)
    found = {}
    for step, n_users in enumerate((5, 1, 4)):
        x = torch.from_numpy(rng.normal(size=(n_users, 3)))
        weight = torch.from_numpy(rng.uniform(0.5, 2.0, size=n_users))
        liked = rng.random((n_users, N_ITEMS)) < 0.3
        liked[:, 0] |= ~liked.any(axis=1)
        own = slice(ranks.rank, None, ranks.n_ranks)
        owner, items = (torch.from_numpy(one.astype(np.int64)) for one in np.nonzero(liked[own]))
        options = {"positive_users": owner, "positive_items": items, "reduction": "mean"}
        optimizer.zero_grad()
        users = module.map(x[own])
        users.retain_grad()
        if not len(users):
            loss = module.items.idle()
        elif ranks.n_ranks > 1:
            losses = module.items.loss(users, chunks=Chunks(3), **options)
            loss = (losses * weight[own]).sum()
        else:
            losses = full_softmax(users, module.items.rows, module.items.bias, **options)
            loss = (losses * weight[own]).sum()
        loss.backward()
        ranks.sum_gradients(module)
        ranks.clip_gradients(module, 1.0)
        found[f"loss{step}"] = torch.tensor(ranks.sum(float(loss.detach()))[0], dtype=torch.float64)
        if len(users):
            found[f"users{step}"] = users.grad
        found[f"rows{step}"] = module.items.rows.grad.clone()
        found[f"bias{step}"] = module.items.bias.grad.clone()
        found[f"map{step}"] = module.map.weight.grad.clone()
        optimizer.step()
    rows, bias = module.items.gathered()
    return found | {"rows": rows, "bias": bias, "map": module.map.weight.detach()}


def turns(folder, rank):
    """Hold a file open in turn."""
    lock = folder / "lock"
    with in_turn(FitContext()) as is_first:
        lock.touch(exist_ok=False)
        assert is_first is (rank == 0)
        lock.unlink()
    return {"held": torch.tensor(1)}


def fit_models(folder, rank):
    """Fit a model whose batches are dealt out, and two that every rank goes through whole; one of them draws."""
    name = "conftest_of_ranks"
    found = importlib.util.spec_from_file_location(name, Path(__file__).with_name("conftest.py"))
    sys.modules[name] = importlib.util.module_from_spec(found)
    found.loader.exec_module(sys.modules[name])
    data = sys.modules[name].checkerboard().data
    states = {}
    for model, settings in (
        ("bpr_mf", {"embedding_size": 8, "epochs": 3, "batch_size": 32}),
        ("ddtcdr", {"epochs": 2, "autoencoder_epochs": 2, "autoencoder_batch_size": 24}),
        ("embedme", {**EMBEDME, "encoder": sys.argv[2]}),
    ):
        one = create(model, settings)
        one.fit(data, FitContext(seed=1, folder=folder / f"{model}-{rank}"))
        states |= {f"{model}/{name}": torch.from_numpy(v) for name, v in one.state().items()}
    return {name: value for name, value in states.items() if value.dtype == torch.float32}


EMBEDME = {
    "max_tokens": 32,
    "embedding_size": 16,
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 3e-3,
    "hidden_dropout": 0.0,
    "mlp_dropout": 0.0,
}
"""Without dropout, of which ranks draw different parts: with it they agree with one another only."""


def main(folder, rank):
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    for work in (fit_lines, interrupted, spoilt, sharded, turns, fit_models):
        found = work(folder, rank)
        tensors = {name: value.detach().contiguous() for name, value in found.items()}
        save_file(tensors, folder / f"{work.__name__}-{rank}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(os.environ.get("RANK", "0")))
