"""Records of a fit: JSON lines always, loggers by name, one line for a logger that is not there."""

import json
from importlib.util import find_spec

import pytest
from lightning_fabric.loggers import Logger

from training.contract import FitContext
from training.errors import ConfigError
from training.registry import create
from training.run_log import LOGGERS, RunLog, make_loggers


class Listener(Logger):
    """Remembers what it is told."""

    name, version = "listener", 0

    def __init__(self):
        self.told, self.settings, self.ended = [], {}, None

    def log_metrics(self, metrics, step=None):
        """Keep the numbers of a step."""
        self.told.append((step, metrics))

    def log_hyperparams(self, params):
        """Keep the settings."""
        self.settings.update(params)

    def finalize(self, status):
        """Keep how it ended."""
        self.ended = status


def test_every_epoch_of_a_fit_is_told_with_its_numbers(world, settings):
    listener = Listener()
    log = RunLog([listener])
    config = {**settings("embedme"), "epochs": 3, "head_epochs": 2, "n_target_tastes": 4}
    report = create("embedme", config).fit(world.data, FitContext(on_record=log.record))
    log.close(done=True)
    assert listener.ended == "success"
    fitted = [numbers for _, numbers in listener.told if "fit/loss" in numbers]
    assert [one["fit/loss"] for one in fitted] == list(report.losses)
    steps = [step for step, numbers in listener.told if "fit/loss" in numbers]
    assert steps == [1, 2, 3]
    assert sum("warm start/loss" in numbers for _, numbers in listener.told) == 2
    for record, found in zip(fitted, report.validation, strict=True):
        assert {
            k.removeprefix("fit/validation/"): v for k, v in record.items() if "validation" in k
        } == found
    kept = [json.loads(line) for line in log.json_lines().splitlines()]
    assert kept == log.records
    assert len(kept) == 5


def test_only_numbers_are_told_and_settings_as_they_are():
    listener = Listener()
    log = RunLog([listener])
    log.settings({"seed": 3})
    log.record({"epoch": 2, "loss": 0.5, "note": "x", "is_best": True, "speed": {"users": 7}})
    log.close(done=False)
    assert listener.told == [(2, {"fit/loss": 0.5, "fit/speed/users": 7.0})]
    assert (listener.settings, listener.ended) == ({"seed": 3}, "failed")


def test_a_run_that_ends_before_its_first_epoch_tells_the_loggers_nothing():
    listener = Listener()
    log = RunLog([listener])
    log.settings({"seed": 3})
    log.close(done=False)
    assert (listener.told, listener.settings, listener.ended) == ([], {}, None)


def test_an_unknown_logger_is_named_with_those_there_are(tmp_path):
    with pytest.raises(ConfigError, match="no logger 'tenserboard'; there are tensorboard, wandb"):
        make_loggers(["tenserboard"], tmp_path, "run")


def test_a_logger_that_is_not_installed_says_what_to_install(tmp_path, monkeypatch):
    from training import run_log

    monkeypatch.setattr(run_log, "find_spec", lambda _: None)
    message = r"logger 'wandb' needs pytorch_lightning and wandb, .*pip install 'mekb\[wandb\]'"
    with pytest.raises(ConfigError, match=message):
        make_loggers(["wandb"], tmp_path, "run")
    assert make_loggers(None, tmp_path, "run") == []
    assert make_loggers([], tmp_path, "run") == []


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_holds_the_curves(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = RunLog(make_loggers(None, tmp_path / "logs", "run"))
    log.settings({"seed": 3})
    for epoch, loss in enumerate([0.5, 0.25], start=1):
        log.record({"epoch": epoch, "loss": loss, "validation": {"ndcg@10": loss}})
    log.close(done=True)
    (events,) = (tmp_path / "logs").rglob("events.out.tfevents.*")
    read = EventAccumulator(str(events.parent))
    read.Reload()
    assert [(one.step, one.value) for one in read.Scalars("fit/loss")] == [(1, 0.5), (2, 0.25)]
    assert len(read.Scalars("fit/validation/ndcg@10")) == 2


@pytest.mark.parametrize("name", [name for name in LOGGERS if name != "tensorboard"])
def test_other_loggers_can_be_made_where_they_are_installed(name, tmp_path, monkeypatch):
    if any(find_spec(package) is None for package in LOGGERS[name][2]):
        pytest.skip(f"{name} is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    log = RunLog(make_loggers([name], tmp_path, "run"))
    log.record({"epoch": 1, "loss": 0.5})
    log.close(done=True)


class Recorder(Listener):
    """A logger of another library, which tells what it was made with, or refuses."""

    def __init__(self, **options):
        if "refuse" in options["run_name"]:
            raise RuntimeError("no server\nat that address")
        super().__init__()
        self.options = options


def test_mlflow_writes_beside_the_model_unless_told_where(tmp_path, monkeypatch):
    monkeypatch.setitem(LOGGERS, "mlflow", (__name__, "Recorder", ()))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (made,) = make_loggers(["mlflow"], tmp_path / "logs", "run")
    assert made.options["tracking_uri"] == f"sqlite:///{tmp_path}/logs/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    (made,) = make_loggers(["mlflow"], tmp_path / "logs", "run")
    assert "tracking_uri" not in made.options


def test_a_logger_that_cannot_begin_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(LOGGERS, "mlflow", (__name__, "Recorder", ()))
    with pytest.raises(ConfigError, match="'mlflow' cannot begin: no server at that address"):
        make_loggers(["mlflow"], tmp_path, "refuse")
