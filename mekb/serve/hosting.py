"""The bundle that is served, and another one taking its place without a dropped or a mixed request.

Everything a bundle holds is opened before it is served, so that its folder may be replaced at any time. A request is
answered by the bundle it began on, to its end; that one is let go when its last request has ended. A folder that
holds no whole bundle is refused by name, and what is served goes on.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mekb.bundle import MARKS, Bundle
from mekb.errors import EXPECTED_ERRORS, BundleError
from mekb.reasons import encode
from mekb.serve.batching import Batcher
from mekb.serve.settings import ServeSettings
from mekb.serve.title_search import ItemSearch, TitleSearch

_LOGGER = logging.getLogger(__name__)
_TRIES = 5
_PAUSE_SECONDS = 0.1
"""Between tries to open a folder that is being replaced just now."""


class Served:
    """One open bundle with what requests share."""

    def __init__(self, bundle: Bundle, settings: ServeSettings) -> None:
        self.bundle = bundle
        self.titles = TitleSearch(bundle)
        self.items = ItemSearch(bundle)
        self.batcher = Batcher(
            partial(encode, bundle),
            max_rows=settings.batch_rows,
            wait_seconds=settings.batch_wait_seconds,
            timeout_seconds=settings.timeout_seconds,
        )
        self.n_inside = 0
        """Requests that began on it and have not ended."""
        self.is_former = False


class Host:
    """Keeps one bundle open, and takes another when told to."""

    def __init__(self, folder: Path, settings: ServeSettings) -> None:
        """Open the bundle.

        Raises:
            BundleError: it is not whole; the part is named.
        """
        self._folder = folder
        self._settings = settings
        self._lock = threading.Lock()
        self._taking = threading.Lock()
        self._seen = _state(folder)
        self._current = Served(_opened(folder), settings)

    def enter(self) -> Served:
        """Return what a request is answered by; it must leave it."""
        with self._lock:
            self._current.n_inside += 1
            return self._current

    def leave(self, served: Served) -> None:
        """Say that a request has ended."""
        with self._lock:
            served.n_inside -= 1
            is_done = served.is_former and served.n_inside == 0
        if is_done:
            served.batcher.close()

    def take(self) -> bool:
        """Open what the folder holds now and serve it from now on; tell whether it is another bundle.

        Raises:
            BundleError: it is not whole; what was served goes on.
        """
        with self._taking:
            self._seen = _state(self._folder)
            bundle = _opened(self._folder)
            if bundle.digest == self._current.bundle.digest:
                return False
            fresh = Served(bundle, self._settings)
            with self._lock:
                former, self._current = self._current, fresh
                former.is_former = True
                is_done = former.n_inside == 0
        if is_done:
            former.batcher.close()
        return True

    def has_changed(self) -> bool:
        """Tell whether something else stands in the folder than when it was last looked at."""
        found = _state(self._folder)
        return found is not None and found != self._seen

    def close(self) -> None:
        """Let go of the bundle; requests inside are still answered."""
        with self._lock:
            served = self._current
            is_done = served.n_inside == 0 and not served.is_former
            served.is_former = True
        if is_done:
            served.batcher.close()


class Reloader:
    """A thread that has a host take what is new: when asked to, and by looking now and then.

    Args:
        host: What serves.
        watch_seconds: So often it looks; None: only when asked.
    """

    def __init__(self, host: Host, watch_seconds: float | None) -> None:
        self._host = host
        self._watch_seconds = watch_seconds
        self._woken = threading.Event()
        self._asked = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mekb-reload", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ask(self) -> None:
        """Take what the folder holds now; returns at once. Safe in a signal handler."""
        self._asked = True
        self._woken.set()

    def close(self) -> None:
        """End; what is being opened is opened first."""
        self._closed.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._closed.is_set():
            self._woken.wait(self._watch_seconds)
            self._woken.clear()
            asked, self._asked = self._asked, False
            if not self._closed.is_set() and (asked or self._host.has_changed()):
                take_or_say(self._host.take)


def take_or_say(take: Callable[[], bool]) -> None:
    """Take a new bundle, and say in the log what came of it."""
    started = time.monotonic()
    try:
        is_other = take()
    except EXPECTED_ERRORS as error:
        line = " ".join(str(error).split())
        _LOGGER.error("refused, the bundle that was served goes on: %s", line)  # noqa: TRY400  the line says it all
    except Exception:
        _LOGGER.exception("a bundle could not be opened; the one that was served goes on")
    else:
        what = "a new bundle is served" if is_other else "the bundle is the same"
        _LOGGER.warning("%s (%.2f s)", what, time.monotonic() - started)


def _opened(folder: Path) -> Bundle:
    """Return the bundle in a folder, all of it opened, and all of one bundle.

    A folder may be replaced while it is read: then it is read again.
    """
    for attempt in range(_TRIES):
        before = _state(folder)
        try:
            bundle = Bundle(folder.resolve())
            bundle.open_all()
        except Exception as error:
            if attempt + 1 < _TRIES and before != _state(folder):
                time.sleep(_PAUSE_SECONDS)
                continue
            if isinstance(error, EXPECTED_ERRORS):
                raise
            line = " ".join(str(error).split())
            raise BundleError(f"{folder}: cannot be opened: {line}") from error
        if before == _state(folder):
            return bundle
    raise BundleError(f"{folder}: is replaced faster than it can be read")


def _state(folder: Path) -> tuple[int, int, int] | None:
    """Return what tells one bundle from another in the same place without reading it; None where there is none."""
    try:
        found = (folder / MARKS[0]).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns
