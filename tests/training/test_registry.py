"""The registry and the experiment files."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import training
from training.config import parse_config
from training.errors import ConfigError
from training.registry import create, model_class, names

ERRORS = {"mae", "rmse", "logloss"}
"""Metrics that may exceed 1."""
EXPERIMENTS = sorted((Path(training.__file__).parent / "experiments").rglob("*.toml"))

EMBEDME = Path(training.__file__).parent / "experiments/embedme/mekbrec2023_amazon.toml"


def test_naming_models_loads_none():
    code = (
        "import sys, training.registry as r; r.names(); import training.checkpoint;"
        "sys.exit(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)) or 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_names_and_settings_are_refused():
    with pytest.raises(ConfigError, match=r"no model 'best'; there are .*embedme,"):
        create("best")
    with pytest.raises(
        ConfigError, match="n_neighbours: Input should be greater than 0; neighbors: Extra inputs"
    ):
        create("source_knn", {"n_neighbours": 0, "neighbors": 3})


def test_every_model_of_a_paper_has_an_experiment():
    without = {"ease_target", "frozen_text", "popularity", "source_knn"}  # no settings of a paper
    assert set(names()) - {path.parent.name for path in EXPERIMENTS} <= without


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_is_settings_of_a_model_and_reported_numbers(path):
    experiment = tomllib.loads(path.read_text(encoding="utf-8"))
    assert set(experiment) == {"model", "paper", "dataset", "protocol", "config", "results"}
    assert experiment["model"] == path.parent.name
    assert experiment["model"] in names()
    parse_config(model_class(experiment["model"]).config_type, experiment["config"])
    for row in experiment["results"]:
        found = set(row) - {"table", "scenario", "users", "method"}
        assert len(row) - len(found) == 4
        assert found
        assert all(0 <= row[metric] <= 1 for metric in found if metric not in ERRORS)
        assert row.get("ndcg_10", 0) <= row.get("hr_10", 1)


def test_the_papers_settings_are_the_preset():
    from training.embedme.config import EmbedMeConfig

    config = tomllib.loads(EMBEDME.read_text(encoding="utf-8"))["config"]
    changed = {"encoder": EmbedMeConfig().encoder}
    assert parse_config(EmbedMeConfig, {**config, **changed}) == EmbedMeConfig.preset("paper")


def test_reported_improvements_follow_from_the_reported_numbers():
    results = tomllib.loads(EMBEDME.read_text(encoding="utf-8"))["results"]
    found = {(row["table"], row["scenario"], row["users"], row["method"]): row for row in results}
    ours = found[1, "Books -> Movies", "all", "MeKB-Rec"]
    best = max(
        row["hr_10"]
        for key, row in found.items()
        if key[:2] == (1, "Books -> Movies") and row is not ours
    )
    assert ours["hr_10"] / best - 1 == pytest.approx(0.3758, abs=1e-4)
    zero = found[5, "Books -> Movies", "zero-shot", "MeKB-Rec"]
    assert zero["hr_10"] / 0.0841 - 1 == pytest.approx(1.0499, abs=1e-4)
