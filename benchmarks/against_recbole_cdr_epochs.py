"""CPU seconds of a training epoch: RecBole-CDR's CMF, CoNet, EMCDR and BiTGCF, and ours, side by side in one run.

    python benchmarks/against_recbole_cdr_epochs.py --peer-python PEER/bin/python --peer-path RecBole-CDR \
        --data FOLDER --source books --target movies

FOLDER holds atomic files, as `mekb data export --format recbole` writes them. Both sides have the same rows (the peer's
own split of the target, and all of the source), 64 numbers a vector, batches of 2,048 of each side (negatives and all),
one negative and one thread. Theirs is `_train_epoch` alone; ours is all from the end of an epoch to the end of the next.
The cheapest epoch of each counts, for what else a machine does only adds; the first is left out. Ours goes through all
rows of both domains in an epoch; of theirs, that of CMF, CoNet and BiTGCF ends with the target's rows, beside as many of
the source: so the ratio is shown of an epoch and of a row.

There is no BiTGCF of ours: LightGCN on the joined graph stands beside it, with as many layers.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from against_recbole_cdr import read_pairs, run_peer, split_data

from training.contract import FitContext
from training.dataset import Dataset
from training.registry import create

DIM, BATCH = 64, 2048
"""The defaults of theirs."""
SOURCE_SHARE = 0.8
"""Of the source's rows it trains on so many, and validates on the rest."""
HIDDEN = (64, 32, 16, 8)
"""Of their CoNet, which crosses every layer."""
OURS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "CMF": ("cmf", {"embedding_size": DIM}),
    "CoNet": ("conet", {"embedding_size": DIM, "hidden": HIDDEN, "n_crossed": len(HIDDEN)}),
    "EMCDR": ("emcdr", {"embedding_size": DIM, "mapping_epochs": 1}),
    "BiTGCF": ("lightgcn", {"embedding_size": DIM, "n_layers": 2}),
}
"""What is held against each of theirs."""


def cost(name: str, settings: Mapping[str, object], data: Dataset, epochs: int) -> float:
    """Return the CPU seconds of one epoch of ours: of each phase the cheapest of its epochs after the first."""
    chosen = {**settings, "epochs": 1 + epochs, "batch_size": BATCH, "n_negatives": 1}
    model = create(name, {**chosen, "patience": None})
    ends: list[list[float]] = []

    def on_record(record: Mapping[str, object]) -> None:
        if record["epoch"] == 1:
            ends.append([])
        ends[-1].append(time.process_time())

    model.fit(replace(data, valid=None), FitContext(seed=0, on_record=on_record))
    return float(sum(np.min(np.diff(phase)) for phase in ends if len(phase) > 1))


def main() -> None:
    """Time the peer's epochs, then ours on the same rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer-python", required=True, help="an interpreter with recbole_cdr")
    parser.add_argument("--peer-path", default="", help="where its package stands")
    parser.add_argument("--data", type=Path, required=True, help="atomic files")
    parser.add_argument("--source", default="books")
    parser.add_argument("--target", default="movies")
    parser.add_argument("--models", nargs="*", default=list(OURS), choices=list(OURS))
    parser.add_argument(
        "--epochs", type=int, default=4, help="timed of each; the peer has one more"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    data_folder = options.data.resolve()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        given = ["--epochs", str(options.epochs + 1), data_folder, options.source, options.target]
        run_peer(options.peer_python, options.peer_path, [*given, out, *options.models])
        theirs = json.loads((out / "results.json").read_text())
        split = json.loads((out / "split.json").read_text())
    source = read_pairs(data_folder / options.source / f"{options.source}.inter")
    data, _ = split_data(source, split, (options.source, options.target))
    n_rows = [matrix.nnz for matrix in data.interactions.values()]
    print(f"{len(data.user_ids)} users, {n_rows[0]} rows of the source, {n_rows[1]} of the target")
    of_source, of_target = n_rows
    print(
        f"{'theirs':8} {'CPU s':>7} {'rows':>7}   {'ours':10} {'CPU s':>7} {'rows':>7}   ratio: epoch, row"
    )
    for peer in options.models:
        name, settings = OURS[peer]
        found = theirs[peer]
        if "failed" in found:
            print(f"{peer:8} {found['failed'][:90]}")
            continue
        phases = {phase: np.min(seconds[1:]) for phase, seconds in found["epochs"].items()}
        whole = sum(seconds for phase, seconds in phases.items() if phase != "OVERLAP")
        beside = of_target if "BOTH" in phases else round(SOURCE_SHARE * of_source)
        gone_through = of_target + beside
        own = cost(name, settings, data, options.epochs)
        side = f"{peer:8} {whole:7.3f} {gone_through:7}   {name:10} {own:7.3f} {sum(n_rows):7}"
        ratio = whole / own
        print(f"{side} {ratio:13.1f} {ratio * sum(n_rows) / gone_through:5.1f}", flush=True)


if __name__ == "__main__":
    main()
