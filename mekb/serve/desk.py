"""Where requests are worked on, off the event loop: so many at once, so many waiting, so long at most.

A request takes a place before it is begun, and holds it until its work has really ended: what was given up for
being late still counts, for it still works.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import faiss
from fastapi import Response
from pydantic import BaseModel

from mekb.serve.hosting import Host, Served
from mekb.serve.problems import too_busy
from mekb.serve.settings import ServeSettings

BUNDLE_HEADER = "X-Bundle"
"""Which bundle answered: the beginning of its digest."""
SHORT_DIGEST = 16


class Desk:
    """Answers questions in threads.

    Args:
        host: What answers.
        settings: Threads, places to wait, and time.
    """

    def __init__(self, host: Host, settings: ServeSettings) -> None:
        self.host = host
        self._seconds = settings.timeout_seconds
        self._places = settings.threads + settings.max_waiting
        self.n_taken = 0
        """Places that are taken now."""
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(
            settings.threads, thread_name_prefix="mekb-answer", initializer=_alone
        )

    async def answer(self, work: Callable[[Served], BaseModel]) -> Response:
        """Work out an answer by the bundle served now, and return it as JSON.

        Raises:
            ProblemError: there is no place left.
            TimeoutError: it took too long.
        """
        with self._lock:
            if self.n_taken >= self._places:
                raise too_busy()
            self.n_taken += 1
        served = self.host.enter()
        working = self._threads.submit(_answered, served, work)
        working.add_done_callback(lambda _: self._leave(served))
        async with asyncio.timeout(self._seconds):
            content = await asyncio.wrap_future(working)
        headers = {BUNDLE_HEADER: served.bundle.digest[:SHORT_DIGEST]}
        return Response(content, media_type="application/json", headers=headers)

    def close(self) -> None:
        """End when all requests have ended."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _leave(self, served: Served) -> None:
        self.host.leave(served)
        with self._lock:
            self.n_taken -= 1


def _alone() -> None:
    """Let this thread search on one core: dozens of them, each with a team of its own, would only wait for one another."""
    faiss.omp_set_num_threads(1)


def _answered(served: Served, work: Callable[[Served], BaseModel]) -> bytes:
    with served.batcher.caller():
        return work(served).model_dump_json().encode()
