"""The state of an unfinished fit, so that a killed one goes on where it stood, also in the middle of an epoch.

One safetensors file holds the weights, the best weights so far, the optimiser's tensors and the state of the
random numbers; its header holds the rest as JSON. It is written aside, flushed and renamed, so there is a whole
snapshot or none; the one before stays beside it, for the case that the newest cannot be read. It carries the
identity of the fit (configuration, seed, data): another fit's snapshot is not taken up.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

FILE = "unfinished.safetensors"
FORMER = "unfinished.former.safetensors"
INTERRUPTED = "interrupted fit"
"""In every note on a snapshot that was found."""


@dataclass
class Snapshot:
    """Everything the steps after it depend on."""

    epoch: int
    """Epochs finished."""
    weights: Mapping[str, Tensor]
    best: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    """`state_dict()` of the optimiser."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """One record an epoch."""
    step: int = 0
    """Batches gone through of the epoch after those finished; random numbers are seeded anew at its start."""
    sums: Mapping[str, float] = field(default_factory=dict)
    """What these batches add to the epoch's record."""
    random: Sequence[Tensor] = ()
    """The state of each rank's random numbers after these batches; nothing between epochs."""


class SnapshotClock:
    """Tells when the next snapshot within an epoch is due, and how long a step took."""

    def __init__(self, every_steps: int | None, every_seconds: float | None) -> None:
        self._every_steps, self._every_seconds = every_steps, every_seconds
        self._written = self._lap = time.monotonic()

    @property
    def is_on(self) -> bool:
        """Whether there will ever be a snapshot within an epoch."""
        return self._every_steps is not None or self._every_seconds is not None

    def is_due(self, step: int) -> bool:
        """Return whether a snapshot is to be written after this step of the epoch."""
        if self._every_steps is not None and step % self._every_steps == 0:
            return True
        waited = time.monotonic() - self._written
        return self._every_seconds is not None and waited >= self._every_seconds

    def restart(self) -> None:
        """Count from now on: a snapshot has just been written."""
        self._written = self._lap = time.monotonic()

    def lap(self) -> float:
        """Return the seconds since the last lap."""
        before, self._lap = self._lap, time.monotonic()
        return self._lap - before


def write_snapshot(folder: Path, snapshot: Snapshot, identity: str) -> None:
    """Write the snapshot of an unfinished fit; the former one stays."""
    tensors = {f"weights/{name}": value for name, value in snapshot.weights.items()}
    tensors |= {f"best/{name}": value for name, value in snapshot.best.items()}
    tensors |= {f"random/{rank}": value for rank, value in enumerate(snapshot.random)}
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
        "step": snapshot.step,
        "sums": dict(snapshot.sums),
        "history": snapshot.history,
        "scalars": scalars,
        "groups": snapshot.optimizer["param_groups"],
    }
    aside = folder / f"{FILE}.part"
    copies = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    save_file(copies, aside, metadata={"fit": json.dumps(header)})
    with aside.open("rb") as written:
        os.fsync(written.fileno())
    if (folder / FILE).exists():
        (folder / FILE).replace(folder / FORMER)
    aside.replace(folder / FILE)


def read_snapshot(folder: Path, identity: str) -> tuple[Snapshot | None, str]:
    """Return the newest whole snapshot of this fit, if there is one, and a word on what was found."""
    notes: list[str] = []
    for name in (FILE, FORMER):
        if not (folder / name).exists():
            continue
        found, note = _read(folder / name, identity)
        if found is not None:
            return found, "; ".join([*notes, note])
        notes.append(note)
    return None, "; ".join(dict.fromkeys(notes))


def _read(path: Path, identity: str) -> tuple[Snapshot | None, str]:
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads(file.metadata()["fit"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        return None, f"ignored a damaged snapshot of an {INTERRUPTED} ({error})"
    if header["identity"] != identity:
        return (
            None,
            f"ignored the snapshot of an {INTERRUPTED} with another configuration, seed or data",
        )
    state: dict[int, dict[str, Any]] = {
        int(number): dict(values) for number, values in header["scalars"].items()
    }
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, number, key = name.split("/", 2)
            state.setdefault(int(number), {})[key] = value
    epoch, step = header["epoch"], header.get("step", 0)
    states = _under(tensors, "random/")
    where = f"epoch {epoch}" if not step else f"step {step} of epoch {epoch + 1}"
    return Snapshot(
        epoch=epoch,
        weights=_under(tensors, "weights/"),
        best=_under(tensors, "best/"),
        optimizer={"state": state, "param_groups": header["groups"]},
        history=header["history"],
        step=step,
        sums=header.get("sums", {}),
        random=[states[str(rank)] for rank in range(len(states))],
    ), f"went on after {where} of an {INTERRUPTED}"


def remove_snapshot(folder: Path) -> None:
    """Forget the snapshots of a fit that has ended."""
    (folder / FILE).unlink(missing_ok=True)
    (folder / FORMER).unlink(missing_ok=True)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def write_records(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write one JSON object a line."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def copied(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the weights and buffers, on the host."""
    return {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


def is_finite(module: nn.Module) -> bool:
    """Return whether no weight or buffer is NaN or infinite."""
    return all(bool(torch.isfinite(value).all()) for value in module.state_dict().values())


def random_state(device: torch.device) -> Tensor:
    """Return the state of torch's random numbers as bytes, the device's after the host's."""
    host = torch.get_rng_state()
    return torch.cat([host, torch.cuda.get_rng_state(device)]) if device.type == "cuda" else host


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Take back what `random_state` gave."""
    size = len(torch.get_rng_state())
    torch.set_rng_state(state[:size])
    if device.type == "cuda" and len(state) > size:
        torch.cuda.set_rng_state(state[size:], device)
