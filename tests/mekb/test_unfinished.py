"""A training that was killed is taken up again, to the same weights; nothing is dropped unasked."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from mekb import api
from mekb.cli.app import main
from mekb.config import load_settings
from mekb.errors import OutputError
from mekb.unfinished import start_or_resume, unfinished_folder
from training.snapshot import FILE

KILLED_AT = 3


def settings_of(project):
    quick = [one for one in project.quick if one != "--set"]
    more = ("train.model.epochs=2", "train.model.batch_size=16", "train.model.hidden_dropout=0.2")
    return [*quick, *more, "train.snapshot_seconds=1e-9"]


def weights(folder):
    found = {}
    for file in sorted(folder.rglob("*.safetensors")):
        found |= {f"{file.name}/{name}": one for name, one in load_file(file).items()}
    return found


def test_a_killed_training_goes_on_by_the_command_line_to_the_same_weights(
    own_project, tmp_path, capsys, monkeypatch
):
    project = own_project
    assignments = settings_of(project)
    options = {"target": "films", "sources": ["books", "music"]}
    settings = load_settings(assignments=assignments)
    api.train(project.store, tmp_path / "whole", settings=settings, **options)
    folder = tmp_path / "model"

    def kill(_stage, done, _total):
        if done >= KILLED_AT and (unfinished_folder(folder) / FILE).exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.train(project.store, folder, settings=settings, on_progress=kill, **options)
    assert not folder.exists()
    assert unfinished_folder(folder).is_dir()
    with pytest.raises(OutputError, match="--resume to go on with it, or --force"):
        api.train(project.store, folder, settings=settings, **options)
    command = ["mekb", "train", str(project.store), str(folder), "--target", "films"]
    command += ["--sources", "books,music", "--resume", "--quiet"]
    command += [word for one in assignments for word in ("--set", one)]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in {0, None}
    assert "went on after step" in " ".join(capsys.readouterr().err.split())
    assert not unfinished_folder(folder).exists()
    whole, found = weights(tmp_path / "whole"), weights(folder)
    assert whole.keys() == found.keys()
    assert all(np.array_equal(whole[name], found[name]) for name in whole)
    records = [json.loads(one) for one in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [one["epoch"] for one in records if "stage" not in one] == [1, 2]


def test_an_interrupted_training_is_dropped_by_force_only(tmp_path):
    folder = tmp_path / "model"
    unfinished = start_or_resume(folder, resume=True, force=False)
    assert not unfinished.exists()
    unfinished.mkdir()
    (unfinished / "file").touch()
    assert start_or_resume(folder, resume=True, force=False) == unfinished
    assert (unfinished / "file").exists()
    start_or_resume(folder, resume=False, force=True)
    assert not unfinished.exists()
