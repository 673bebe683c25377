"""The state of an unfinished fit, so that a killed one goes on where its last epoch ended.

One safetensors file holds the weights, the best weights so far and the optimiser's tensors; its header
holds the rest as JSON. It is written aside and renamed, so there is a whole snapshot or none. It carries
the identity of the fit (configuration, seed, data): another fit's snapshot is not taken up.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

FILE = "unfinished.safetensors"


@dataclass
class Snapshot:
    """Everything the epochs after `epoch` depend on; random numbers are seeded anew in each epoch."""

    epoch: int
    """Epochs finished."""
    weights: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    """`state_dict()` of the optimiser."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """One record an epoch."""


def write_snapshot(folder: Path, snapshot: Snapshot, identity: str) -> None:
    """Write the snapshot of an unfinished fit; the former one stays until the new one is whole."""
    tensors = {f"weights/{name}": value for name, value in snapshot.weights.items()}
    tensors |= {f"best/{name}": value for name, value in snapshot.best.items()}
    scalars: dict[str, dict[str, Any]] = {}
    for number, state in snapshot.optimizer["state"].items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{number}/{name}"] = value
            else:
                scalars.setdefault(str(number), {})[name] = value
    header = {
        "identity": identity,
        "epoch": snapshot.epoch,
        "history": snapshot.history,
        "scalars": scalars,
        "groups": snapshot.optimizer["param_groups"],
    }
    aside = folder / f"{FILE}.part"
    copies = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    save_file(copies, aside, metadata={"fit": json.dumps(header)})
    os.replace(aside, folder / FILE)  # noqa: PTH105  (Path.replace is the same call; os names the atomic rename)


def read_snapshot(folder: Path, identity: str) -> tuple[Snapshot | None, str]:
    """Return the snapshot of this fit, if there is one, and a word about one that was not taken."""
    path = folder / FILE
    if not path.exists():
        return None, ""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["fit"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        return None, f"ignored a damaged snapshot of an earlier fit ({error})"
    if header["identity"] != identity:
        return None, "ignored the snapshot of a fit with another configuration, seed or data"
    state: dict[int, dict[str, Any]] = {
        int(number): dict(values) for number, values in header["scalars"].items()
    }
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, number, key = name.split("/", 2)
            state.setdefault(int(number), {})[key] = value
    return Snapshot(
        epoch=header["epoch"],
        weights=_under(tensors, "weights/"),
        best=_under(tensors, "best/"),
        optimizer={"state": state, "param_groups": header["groups"]},
        history=header["history"],
    ), f"went on after epoch {header['epoch']} of an interrupted fit"


def remove_snapshot(folder: Path) -> None:
    """Forget the snapshot of a fit that has ended."""
    (folder / FILE).unlink(missing_ok=True)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
