"""All settings of a project in one object: one TOML file, every value with a default, unknown keys refused.

    [link]
    detector = "dictionary"

    [scoring]
    k_star = 5.0

A value may be overridden by a dotted assignment (`scoring.k_star=3`), as the command line's --set does.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alias_tables.config import AliasConfig
from entity_linking.config import LinkConfig
from mekb.connection import StoreSettings
from mekb.errors import ConfigError
from mekb.scoring import EntityWeights, NeighbourConfig, ScoringConfig, UpdateConfig
from mekb.sources.config import ImportConfig
from training.split_config import SplitConfig


class TrainConfig(BaseModel):
    """What is trained and where."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = "default"
    model: dict[str, Any] = Field(default_factory=dict)
    """Settings of the model that differ from its preset."""
    descriptions: bool = False
    """Whether the texts a model reads say what each entity is, behind its title (`mekb.descriptions`). Off, as in the
    paper; longer titles leave fewer of them within `max_tokens`."""
    seed: int = 0
    device: str = "auto"
    """"auto" takes a CUDA device when there is one."""
    precision: str = "bf16-mixed"
    """"bf16-mixed" or "32-true"; on a CPU without bf16 instructions the second is faster."""
    snapshot_seconds: float | None = Field(default=600.0, gt=0)
    """So often the state of the training is kept on disk, beside after each epoch: what a killed `mekb train` loses at
    most before `--resume`. None: after each epoch only."""
    loggers: tuple[str, ...] | None = None
    """Who is told of each epoch beside the model folder's metrics.jsonl: "tensorboard", "wandb", "mlflow". None is
    TensorBoard where it is installed (`mekb[logs]`), else nobody."""
    log_folder: str | None = None
    """Where loggers write; "MODEL.logs" beside the model folder if None."""


EXACT = "exact"

_TOLD = 10
"""Problems of a settings file that are named; of a file that is something else there may be thousands."""
_LONGEST_KEY = 50
_ENDLESS_KEY = re.compile(
    rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')\s*+\.\s*+){{{_LONGEST_KEY}}}"""
)


class BundleConfig(BaseModel):
    """How a bundle searches its items."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: str = EXACT
    """"exact", or a faiss factory string such as "IVF2048,Flat" or "HNSW32"."""
    search: str = ""
    """Search parameters of an approximate index, such as "nprobe=32" or "efSearch=64"."""
    approximate_from: int = Field(default=100_000, ge=1)
    """Items below which only the exact index is made: an exact scan of 25,000 items takes 0.7 CPU ms, of 1,000,000
    39 ms."""
    encoder_runtime: Literal["torch", "onnx"] = "torch"
    """Who runs the language model when a bundle is asked: "onnx" takes 0.56 of the CPU time for one profile and gives
    the same ten best, needs `mekb[onnx]`, and makes the bundle larger by the language model."""
    n_queries: int = Field(default=200, ge=1)
    """Training users on whom the recall of an approximate index is measured."""


class Settings(BaseModel):
    """The settings of every stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: ImportConfig = ImportConfig()
    aliases: AliasConfig = AliasConfig()
    link: LinkConfig = LinkConfig()
    weights: EntityWeights = EntityWeights()
    scoring: ScoringConfig = ScoringConfig()
    update: UpdateConfig = UpdateConfig()
    neighbours: NeighbourConfig = NeighbourConfig()
    store: StoreSettings = StoreSettings()
    split: SplitConfig = SplitConfig()
    train: TrainConfig = TrainConfig()
    bundle: BundleConfig = BundleConfig()


def load_settings(file: str | Path | None = None, assignments: Sequence[str] = ()) -> Settings:
    """Return the settings of a TOML file with assignments laid over it.

    Args:
        file: A TOML file, or None for the defaults.
        assignments: Such as "scoring.k_star=3"; the value is read as TOML, else taken as text.

    Raises:
        ConfigError: no such file, no TOML, an unknown key, or a value that is not allowed.

    >>> load_settings(assignments=["scoring.k_star=3"]).scoring.k_star
    3.0
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = _parsed(Path(file).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:  # no TOML or UTF-8; huge integers, deep lists
            raise ConfigError(f"{file}: is not TOML: {error}") from error
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError(
                f"--set {assignment}: write SECTION.KEY=VALUE, such as scoring.k_star=3"
            )
        _assign(values, key.strip().split("."), toml_value(text.strip()), assignment)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        where = f"{file}: " if file is not None else ""
        raise ConfigError(where + _problems(error)) from error


def _assign(values: dict[str, Any], path: Sequence[str], value: object, assignment: str) -> None:
    *sections, key = path
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {assignment}: '{section}' holds a value, not a section")
    values[key] = value


def toml_value(text: str) -> object:
    """Return what a text means in TOML, or the text itself."""
    try:
        return _parsed(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _parsed(text: str) -> dict[str, Any]:
    """Return what a text says in TOML.

    Raises:
        ValueError: it is no TOML, or names a key of more parts than any setting has: tomllib takes memory by the
            square of their number, a gigabyte for a file of 40 KB.
        RecursionError: its lists are nested too deeply.
    """
    if _ENDLESS_KEY.search(text):
        raise ValueError(f"a key of more than {_LONGEST_KEY} parts")
    return tomllib.loads(text)


def _problems(error: ValidationError) -> str:
    """Return the first problems of a validation in one line, and how many more there are."""
    problems = error.errors()
    told = [_problem(problem) for problem in problems[:_TOLD]]
    more = len(problems) - len(told)
    return "; ".join([*told, f"and {more} more"] if more else told)


def _problem(problem: Mapping[str, Any]) -> str:
    """Return one problem: the setting, what is wrong, and what was given or what there is."""
    where = "'" + ".".join(str(part) for part in problem["loc"]) + "'"
    if problem["type"] == "extra_forbidden":
        return f"no setting {where}; there are {', '.join(_siblings(problem['loc']))}"
    given = f" (given: {problem['input']!r})" if _is_short(problem.get("input")) else ""
    return f"{where}: {problem['msg']}{given}"


def _siblings(path: Sequence[str | int]) -> list[str]:
    """Return the settings that stand where `path` points."""
    section: type[BaseModel] = Settings
    for part in path[:-1]:
        found = section.model_fields[str(part)].annotation
        assert isinstance(found, type)
        assert issubclass(found, BaseModel), "only sections refuse keys"
        section = found
    return list(section.model_fields)


def _is_short(value: object) -> bool:
    return not isinstance(value, Mapping) and len(repr(value)) <= 60  # noqa: PLR2004  what fits one line
