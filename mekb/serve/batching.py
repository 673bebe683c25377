"""Profiles of many requests encoded together: what waits is taken as one batch, and each gets its own rows back.

A request that is alone is encoded at once. Where others are in work, the encoder waits a moment for them, and not
at all once all of them are here. Rows waiting are bounded by the requests in work, which the desk bounds. The
encoder packs texts so that none sees another: a vector differs from that of the text alone by rounding, some 1e-6.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, vstack

from mekb.reasons import Encode

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Waiting:
    weights: csr_array
    vectors: "Future[npt.NDArray[np.float32]]" = field(default_factory=Future)

    @property
    def n_rows(self) -> int:
        return int(self.weights.shape[0])


class Batcher:
    """Encodes what many threads ask for, in as few calls as bounds allow.

    Args:
        encode: What encodes rows; only one thread calls it.
        max_rows: Rows of a call; what one caller asks for is never parted, so it may be more.
        wait_seconds: So long a call waits for other callers.
        timeout_seconds: So long a caller waits.
    """

    def __init__(
        self, encode: Encode, *, max_rows: int, wait_seconds: float, timeout_seconds: float
    ) -> None:
        self._encode = encode
        self._max_rows = max_rows
        self._wait = wait_seconds
        self._timeout = timeout_seconds
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._n_callers = 0
        self._closed = False
        self.n_calls = 0
        """Calls of `encode` so far."""
        self.n_asked = 0
        """Requests they answered."""
        self._thread = threading.Thread(target=self._work, name="mekb-encoder", daemon=True)
        self._thread.start()

    @contextmanager
    def caller(self) -> Iterator[None]:
        """Be known as somebody who may ask, for a block: the others are waited for."""
        with self._changed:
            self._n_callers += 1
        try:
            yield
        finally:
            with self._changed:
                self._n_callers -= 1
                self._changed.notify()

    def encode(self, weights: csr_array) -> npt.NDArray[np.float32]:
        """Return user vectors, shape (rows, dim), of rows of interest weights; waits for its turn.

        Raises:
            TimeoutError: it took too long.
            RuntimeError: it is closed.
        """
        asked = _Waiting(weights)
        with self._changed:
            if self._closed:
                raise RuntimeError("the encoder is closed")
            self._queue.append(asked)
            self._changed.notify()
        try:
            return asked.vectors.result(timeout=self._timeout)
        finally:
            asked.vectors.cancel()  # who gave up is not encoded for; else it does nothing

    def close(self) -> None:
        """Encode what waits, then let go of the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            live = [asked for asked in batch if asked.vectors.set_running_or_notify_cancel()]
            if live:
                self._answer(live)

    def _next(self) -> list[_Waiting]:
        """Return what is encoded next; nothing once it is closed and all is done."""
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            until = time.monotonic() + self._wait
            while not self._is_full() and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._taken()

    def _is_full(self) -> bool:
        n_rows = sum(asked.n_rows for asked in self._queue)
        everybody = len(self._queue) >= self._n_callers
        return everybody or n_rows >= self._max_rows or self._closed

    def _taken(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        n_rows = 0
        while self._queue and (not batch or n_rows + self._queue[0].n_rows <= self._max_rows):
            batch.append(self._queue.popleft())
            n_rows += batch[-1].n_rows
        return batch

    def _answer(self, batch: list[_Waiting]) -> None:
        try:
            vectors = self._encode(csr_array(vstack([asked.weights for asked in batch])))
        except Exception as error:  # noqa: BLE001  whatever it is, it is the caller's to know, and no other's
            if len(batch) == 1:
                batch[0].vectors.set_exception(error)
                return
            _LOGGER.warning("a batch of %d failed and is encoded one by one", len(batch))
            for asked in batch:
                self._answer([asked])
            return
        self.n_calls += 1
        self.n_asked += len(batch)
        stops = np.cumsum([asked.n_rows for asked in batch])
        for asked, stop in zip(batch, stops.tolist(), strict=True):
            asked.vectors.set_result(vectors[stop - asked.n_rows : stop])
