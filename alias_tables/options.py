"""How a build is run, apart from what it makes: no option here changes a byte of the tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How a build is run."""

    workers: int = 1
    """Processes that read the dump; with one, it is read in this process.

    More than one start new interpreters, so a script that calls `build` must do so under
    `if __name__ == "__main__":`."""
    work: Path | None = None
    """Folder of unfinished work, kept; None: a temporary one. It takes about as much as the packed dump."""
    resume: bool = False
    """Go on with the work in that folder."""
    rejects: Path | None = None
    """Where everything left out is written: .tsv, .tsv.gz or .parquet."""
    slice_bytes: int | None = None
    """Bytes of a dump's file that are read as one unit; by default it depends on the size of the dump."""
    sha256: Mapping[Path, str] = field(default_factory=dict)
    """Hashes of dump files that the caller knows already."""
