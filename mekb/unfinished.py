"""Where a training that was killed can be taken up: a folder beside the model's, while there is no model yet.

In: the folder a model shall be written to. Out: the folder its fit keeps snapshots in, which goes away when the
model stands whole.
"""

import shutil
from pathlib import Path

from mekb.errors import OutputError


def unfinished_folder(folder: Path) -> Path:
    """Return the folder of the unfinished fit of a model.

    >>> unfinished_folder(Path("/tmp/model")).name
    'model.unfinished'
    """
    resolved = folder.resolve()
    return resolved.with_name(f"{resolved.name}.unfinished")


def start_or_resume(folder: Path, *, resume: bool, force: bool) -> Path:
    """Return the folder of the unfinished fit, emptied unless it is to be taken up.

    Args:
        folder: Where the model shall be.
        resume: Go on with what is there, if anything is.
        force: Drop what is there.

    Raises:
        OutputError: an unfinished fit is there, and nobody said what shall become of it.
    """
    unfinished = unfinished_folder(folder)
    if unfinished.exists() and not resume:
        if not force:
            raise OutputError(
                f"{unfinished}: holds an interrupted training; add --resume to go on with it, or --force to"
                " start anew"
            )
        forget_unfinished(folder)
    return unfinished


def forget_unfinished(folder: Path) -> None:
    """Remove the folder of the unfinished fit of a model that stands whole."""
    shutil.rmtree(unfinished_folder(folder), ignore_errors=True)
