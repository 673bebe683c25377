"""Runs tasks in worker processes, or in this one: progress, a stop for all, one clear error.

In: a function and its tasks, each writing its result to a file of its own. Out: nothing but the progress and
the first error. Tasks tell how far they are, and are told to stop, on a `Board`: a few numbers in a file that
all map into memory, so that a worker killed at any moment leaves no lock behind.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_EXCEPTION,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np

from alias_tables.errors import AliasTableError, WorkerError

Task = TypeVar("Task")

_POLL_SECONDS = 0.1
_KILLED = (
    "a worker process was ended by the system, most likely for want of memory;"
    " try again with fewer workers"
)
_NOT_STARTED = (
    "no worker process could begin; a script that asks for workers does so under"
    " `if __name__ == '__main__':`"
)


class StoppedError(Exception):
    """Raised in a task when another one failed or the user gave up."""


class Board:
    """Numbers that the tasks of one run share: how far each is, and whether to stop."""

    def __init__(self, path: Path, n_slots: int = 0) -> None:
        """Map the board of a run; with `n_slots`, make a new one."""
        self.path = path
        if n_slots:
            np.zeros(n_slots + 1, np.int64).tofile(path)
        self._numbers = np.memmap(path, np.int64, "r+")

    def tell(self, slot: int, done: int) -> None:
        """Write how far a task is.

        Raises:
            StoppedError: the run is over.
        """
        if self._numbers[0]:
            raise StoppedError
        self._numbers[slot + 1] = done

    def done(self) -> int:
        """Return the sum of what all tasks told."""
        return int(self._numbers[1:].sum())

    def stop(self) -> None:
        """End all tasks when they next tell."""
        self._numbers[0] = 1


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, and end when it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Start processes that never see Ctrl-C, from their first instruction on; ours comes when this ends.

    What is blocked stays so in a child. The resource tracker must run already: its start clears the block.
    """
    resource_tracker.ensure_running()
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


class Crew:
    """Up to `n_workers` workers, started when first needed; use as a context manager.

    One worker, or one task, runs in a thread of this process: the same function, without the cost of a start.
    """

    def __init__(self, n_workers: int) -> None:
        self._n_workers = n_workers
        self._stack = contextlib.ExitStack()
        self._pool: Executor | None = None

    def __enter__(self) -> "Crew":  # noqa: PYI034 (beartype refuses `Self`)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def run(
        self,
        work: Callable[[Task], None],
        tasks: Sequence[Task],
        board: Board,
        on_progress: Callable[[int], None],
    ) -> None:
        """Run all tasks; `on_progress` is told the sum of what they told, now and then.

        Raises:
            AliasTableError: the first of `tasks` that failed says why; the others are stopped.
            WorkerError: a worker was ended from outside.
        """
        pool = self._executor(len(tasks))
        futures: list[Future[None]] = []
        try:
            with _ctrl_c_held_back():
                futures.extend(pool.submit(work, task) for task in tasks)
            waiting: set[Future[None]] = set(futures)
            while waiting:
                finished, waiting = wait(waiting, _POLL_SECONDS, FIRST_EXCEPTION)
                if any(future.exception() for future in finished):
                    break
                on_progress(board.done())
        finally:
            board.stop()
            for future in futures:
                future.cancel()
            wait(futures)
        _raise_first(futures, begun=board.done() > 0)

    def _executor(self, n_tasks: int) -> Executor:
        if self._n_workers == 1 or (n_tasks <= 1 and self._pool is None):
            return self._stack.enter_context(ThreadPoolExecutor(1))
        if self._pool is None:
            self._pool = self._stack.enter_context(
                ProcessPoolExecutor(
                    self._n_workers, multiprocessing.get_context("spawn"), _begin_worker
                )
            )
        return self._pool


def _raise_first(futures: Sequence[Future[None]], *, begun: bool) -> None:
    errors = []
    for future in futures:
        with contextlib.suppress(CancelledError):
            errors.append(future.exception())
    known = [error for error in errors if error and not isinstance(error, StoppedError)]
    for error in known:
        if isinstance(error, AliasTableError):
            raise error
    for error in known:
        if isinstance(error, BrokenProcessPool):
            raise WorkerError(_KILLED if begun else _NOT_STARTED) from error
        raise error
