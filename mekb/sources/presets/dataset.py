"""Published data sets by domain to the files of an import."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mekb.errors import SourceError
from mekb.sources.archives import wanted_files
from mekb.sources.config import ImportConfig
from mekb.sources.presets.preset import Preset
from mekb.sources.source_files import SourceFile


@dataclass(frozen=True)
class DatasetFiles:
    """The files of all domains."""

    items: Sequence[SourceFile]
    interactions: Sequence[SourceFile]


@contextlib.contextmanager
def dataset(preset: Preset, data: Mapping[str, Sequence[Path]]) -> Iterator[DatasetFiles]:
    """Find the files of a format; copies of an archive's members go away when the block ends.

    Args:
        preset: The format.
        data: Domain -> folders, zip archives or files of it.

    Raises:
        SourceError: a path is not there or holds no file of the format, or a domain has no interactions.
    """
    items: list[SourceFile] = []
    interactions: list[SourceFile] = []
    with contextlib.ExitStack() as stack:
        for domain, paths in data.items():
            files: list[Path] = []
            for path in paths:
                found = stack.enter_context(wanted_files(path, preset.wanted))
                if not found:
                    raise SourceError(f"{path}: no file of {preset.name} in it ({preset.summary})")
                files += found
            parts = preset.find(files)
            items += [replace(file, domain=domain) for file in parts.items]
            interactions += [replace(file, domain=domain) for file in parts.interactions]
        if not interactions:
            shown = ", ".join(str(path) for paths in data.values() for path in paths)
            raise SourceError(f"{shown}: items, and no file of interactions ({preset.summary})")
        yield DatasetFiles(items, interactions)


def with_policies(config: ImportConfig, preset: Preset) -> ImportConfig:
    """Return the settings with those of a preset, but for those that were set by hand."""
    policies = {
        name: value
        for name, value in preset.policies.items()
        if name not in config.model_fields_set
    }
    return config.model_copy(update={**policies, "preset": preset.name})
