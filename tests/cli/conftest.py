"""The command line in this process: what it printed where, and its exit code."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str


@pytest.fixture
def mekb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Return a function that runs `mekb WORD ...` through its real entry point."""
    from mekb.cli.app import main

    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str | Path) -> Ran:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["mekb", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        code = left.value.code
        assert isinstance(code, int | None)
        return Ran(code or 0, captured.out, captured.err)

    return run


@pytest.fixture
def small_encoder(monkeypatch: pytest.MonkeyPatch, project) -> None:
    """Put the small random BERT in the place of the packaged encoder, whoever asks for it."""
    from training import encoder_files
    from training.baselines import frozen_text
    from training.embedme import bert

    for module in (encoder_files, bert, frozen_text):
        monkeypatch.setattr(module, "find_encoder", lambda _: project.encoder)
