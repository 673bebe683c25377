"""What a fit tells as it goes: one record an epoch, kept as JSON lines and handed to loggers chosen by name.

In: the records of `training.loop` (epoch, loss, learning rate, seconds, validation, ...). Out: `metrics.jsonl`
text, and the same numbers in TensorBoard, Weights & Biases or MLflow, by Lightning's loggers: those of Fabric
and, for the last two, of pytorch-lightning, all on one interface. A logger writes below one folder and needs no
network by itself: W&B keeps to what WANDB_MODE says, MLflow to MLFLOW_TRACKING_URI where it is set.
"""

import json
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import Logger

from training.errors import ConfigError

PROJECT = "mekb"
"""Under which runs are found in W&B and MLflow."""
LOGGERS = {
    "tensorboard": ("lightning_fabric.loggers", "TensorBoardLogger", ("tensorboard",)),
    "wandb": ("pytorch_lightning.loggers", "WandbLogger", ("pytorch_lightning", "wandb")),
    "mlflow": ("pytorch_lightning.loggers", "MLFlowLogger", ("pytorch_lightning", "mlflow")),
}
"""Name -> module and class, and what must be installed."""
EXTRAS = {"tensorboard": "logs", "wandb": "wandb", "mlflow": "mlflow"}
"""Name -> the extra of this package that installs it."""


def make_loggers(names: Sequence[str] | None, folder: Path, run: str) -> list[Logger]:
    """Return loggers that write below `folder`.

    Args:
        names: Of `LOGGERS`; None is TensorBoard where it is installed, else none.
        folder: Made by a logger when it first writes.
        run: What this run is called.

    Raises:
        ConfigError: a logger is not known, what it needs is not installed, or it does not take its own settings.
    """
    if names is None:
        names = ["tensorboard"] if _missing("tensorboard") == [] else []
    for name in names:
        if name not in LOGGERS:
            raise ConfigError(f"no logger '{name}'; there are {', '.join(LOGGERS)}")
        if missing := _missing(name):
            raise ConfigError(
                f"logger '{name}' needs {' and '.join(missing)}, not installed here:"
                f" pip install 'mekb[{EXTRAS[name]}]'"
            )
    return [_made(name, folder, run) for name in dict.fromkeys(names)]


class RunLog:
    """The records of one fit; `record` is a `FitContext.on_record`.

    Args:
        loggers: Who is told; `close` ends them.
    """

    def __init__(self, loggers: Sequence[Logger]) -> None:
        self._loggers = loggers
        self._settings: dict[str, Any] = {}
        self.records: list[dict[str, Any]] = []

    def settings(self, values: Mapping[str, Any]) -> None:
        """Note with what settings the run is started; loggers are told with the first record.

        A run that is refused before it learns anything leaves no trace of itself.
        """
        self._settings = dict(values)

    def record(self, record: Mapping[str, Any]) -> None:
        """Keep an epoch's record and tell it to the loggers: every number in it, by its path."""
        kept = dict(record)
        if not self.records:
            for logger in self._loggers:
                logger.log_hyperparams(self._settings)
        self.records.append(kept)
        stage = str(kept.get("stage", "fit"))
        numbers = {f"{stage}/{name}": value for name, value in _numbers(kept) if name != "epoch"}
        for logger in self._loggers:
            logger.log_metrics(numbers, step=int(kept["epoch"]))

    def close(self, *, done: bool) -> None:
        """End the loggers; `done` is whether the fit ended as it should."""
        for logger in self._loggers if self.records else ():
            logger.finalize("success" if done else "failed")

    def json_lines(self) -> str:
        """Return one JSON object an epoch."""
        return "".join(json.dumps(record) + "\n" for record in self.records)


def _missing(name: str) -> list[str]:
    return [package for package in LOGGERS[name][2] if find_spec(package) is None]


def _made(name: str, folder: Path, run: str) -> Logger:
    try:
        return _make(name, folder, run)
    except (
        Exception
    ) as error:  # a logger reads settings of its own, and says in its own errors what is wrong
        raise ConfigError(
            f"logger '{name}' cannot begin: {' '.join(str(error).split())}"
        ) from error


def _make(name: str, folder: Path, run: str) -> Logger:
    module, class_name, _ = LOGGERS[name]
    kind = getattr(import_module(module), class_name)
    match name:
        case "tensorboard":
            made: Logger = kind(root_dir=folder, name=run)
        case "wandb":
            made = kind(project=PROJECT, name=run, save_dir=folder)
        case _:
            options: dict[str, Any] = {"experiment_name": PROJECT, "run_name": run}
            if "MLFLOW_TRACKING_URI" not in os.environ:
                folder.mkdir(parents=True, exist_ok=True)
                options["tracking_uri"] = f"sqlite:///{folder.resolve() / 'mlflow.db'}"
                options["artifact_location"] = (folder.resolve() / "mlflow").as_uri()
            made = kind(**options)
    return made


def _numbers(record: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return the numbers of a record, those of a mapping inside it by "outer/inner"."""
    found: list[tuple[str, float]] = []
    for name, value in record.items():
        if isinstance(value, Mapping):
            found += [(f"{name}/{inner}", number) for inner, number in _numbers(value)]
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found.append((name, float(value)))
    return found
