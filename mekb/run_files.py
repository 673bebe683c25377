"""Runs of a comparison on disk: each once, taken up again as long as nothing it depends on has changed.

A run is known by a key, all that decides its result: model, settings, seed, split, profiles, data, code. Its folder
holds `result.json` (the key and the facts), `values.parquet` (one value a user and measure) and `ranks.parquet`
(the place of every held-out positive). A trial of the search is one small JSON file.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mekb.output import folder_written_whole, written_whole
from training.comparison import Cost, Outcome
from training.evaluate import Evaluation

RESULT, VALUES, RANKS = "result.json", "values.parquet", "ranks.parquet"
MARKS = (RESULT, VALUES, RANKS)
logger = logging.getLogger(__name__)


def digest(key: Mapping[str, Any]) -> str:
    """Return what stands for a key in names of files."""
    return hashlib.sha256(_text(key).encode()).hexdigest()[:16]


def read_run(folder: Path, key: Mapping[str, Any]) -> Outcome | None:
    """Return the run of that key, or None where there is none that is whole."""
    try:
        stored = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        if _text(stored["key"]) != _text(key):
            return None
        values, ranks = (pq.read_table(folder / name) for name in (VALUES, RANKS))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        logger.warning("%s: cannot be read and is run again: %s", folder, error)
        return None
    return Outcome(
        Evaluation(stored["name"], values, stored["n_users"], stored["n_covered"], ranks),
        Cost(**stored["fit"]),
        Cost(**stored["scoring"]),
        stored["facts"],
    )


def write_run(folder: Path, key: Mapping[str, Any], outcome: Outcome) -> None:
    """Write a run, whole or not at all; one of another key that stands there goes.

    Raises:
        OutputError: the folder is not ours, or cannot be written.
    """
    found = outcome.evaluation
    stored = {
        "key": key,
        "name": found.model,
        "n_users": found.n_users,
        "n_covered": found.n_covered,
        "fit": vars(outcome.fit),
        "scoring": vars(outcome.scoring),
        "facts": outcome.facts,
        "means": found.summary(),
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder_written_whole(folder, marks=MARKS, force=True) as aside:
        (aside / RESULT).write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
        pq.write_table(found.rows, aside / VALUES)
        pq.write_table(found.ranks, aside / RANKS)


def read_trial(file: Path, key: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the trial of that key, or None."""
    try:
        stored: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stored if _text(stored.get("key", {})) == _text(key) else None


def write_trial(file: Path, key: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write a trial and return it.

    Raises:
        OutputError: it cannot be written.
    """
    stored = {"key": dict(key), **facts}
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(file, force=True) as aside:
        aside.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    return stored


def _text(key: Mapping[str, Any]) -> str:
    return json.dumps(key, sort_keys=True)
