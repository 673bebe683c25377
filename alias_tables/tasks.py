"""What a worker can be given to do, and the one function that does it.

A new worker imports this module and what it needs: no database, for example.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from alias_tables.harvest import HarvestTask, harvest_slice
from alias_tables.occurrences import CountTask, count_slice
from alias_tables.packed import CHUNK_BYTES
from alias_tables.work_folder import write_json
from alias_tables.workers import Board


@dataclass(frozen=True, slots=True)
class HashTask:
    """A part to hash, and where its hash goes."""

    part: Path
    result: Path
    board: Path
    slot: int


Task = HarvestTask | CountTask | HashTask


def work_on(task: Task) -> None:
    """Do a task; its results are files.

    Raises:
        DumpError: what it reads is damaged.
        StoppedError: the run is over.
    """
    match task:
        case HarvestTask():
            harvest_slice(task)
        case CountTask():
            count_slice(task)
        case HashTask():
            _hash_part(task)


def _hash_part(task: HashTask) -> None:
    board, digest = Board(task.board), hashlib.sha256()
    with task.part.open("rb") as file:
        while block := file.read(4 * CHUNK_BYTES):
            board.tell(task.slot, 0)
            digest.update(block)
    write_json(task.result, {"sha256": digest.hexdigest()})
