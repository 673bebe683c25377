"""How the losses of DDTCDR fall, by domain and epoch: the picture of its paper's figures 2 to 4.

    python benchmarks/convergence.py --out convergence.svg                          trained in a small world
    python benchmarks/convergence.py MODEL/metrics.jsonl --out convergence.svg      of a run that was kept

A record of the run's log has the mean squared error of each domain's training pairs ("loss/<domain>") and of the
validation users' pairs in the target ("held_out_loss/<target>"): solid and dashed lines. The paper draws the first kind.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from worlds_graph import interest_world

from training.contract import FitContext
from training.registry import create

TRAINING, HELD_OUT = "loss/", "held_out_loss/"


def losses(records: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Return each line of the picture: "loss/<domain>" -> its values by epoch.

    Args:
        records: Of a run's log, in order; those of phases without such losses do not count.
    """
    found = [one["validation"] for one in records if one.get("validation")]
    found = [one for one in found if any(name.startswith(TRAINING) for name in one)]
    names = [name for name in (found[0] if found else {}) if name.startswith((TRAINING, HELD_OUT))]
    return {name: np.array([one[name] for one in found]) for name in names}


def picture(lines: Mapping[str, np.ndarray]) -> Figure:
    """Return the picture: one colour a domain, dashed for pairs of validation users."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(
        xlabel="epoch", ylabel="mean squared error of labels", title="DDTCDR: convergence"
    )
    domains = list(dict.fromkeys(name.split("/", 1)[1] for name in lines))
    for name, values in lines.items():
        kind, domain = name.split("/", 1)
        held_out = kind + "/" == HELD_OUT
        axes.plot(
            np.arange(1, len(values) + 1),
            values,
            color=f"C{domains.index(domain)}",
            linestyle="--" if held_out else "-",
            label=f"{domain}, {'validation users' if held_out else 'training'}",
        )
    axes.legend()
    return figure


def trained(epochs: int, seed: int) -> list[Mapping[str, Any]]:
    """Return the records of DDTCDR in the world of groups that carry over."""
    torch.set_num_threads(1)
    records: list[Mapping[str, Any]] = []
    data, _ = interest_world(seed, n_target_users=120)
    model = create("ddtcdr", {"epochs": epochs, "patience": None, "batch_size": 256})
    model.fit(data, FitContext(seed=seed, on_record=records.append))
    return records


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("log", type=Path, nargs="?", help="metrics.jsonl of a trained model")
    parser.add_argument("--out", type=Path, required=True, help="the picture: .svg, .png or .pdf")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=100)
    options = parser.parse_args()
    if options.log is None:
        records = trained(options.epochs, options.seed)
    else:
        records = [json.loads(line) for line in options.log.read_text("utf-8").splitlines()]
    lines = losses(records)
    if not lines:
        parser.error(f"{options.log} has no losses by domain: it is not of DDTCDR")
    picture(lines).savefig(options.out)
    for name, values in lines.items():
        print(f"{name:30} {values[0]:.4f} -> {values[-1]:.4f}, least {values.min():.4f}")


if __name__ == "__main__":
    main()
