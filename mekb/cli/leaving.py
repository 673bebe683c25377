"""How the command line is left, whatever happens: one line on stderr at most, and an exit code.

    0    done
    1    data, a file or the machine is at fault, or whoever read the output is gone
    2    the command or a setting is
    130  Ctrl-C (SIGINT)
    143  asked to end (SIGTERM)

In: what ended a command. Out: the line and the code. What a command had in work is undone by its own `finally`,
so both signals become KeyboardInterrupt, wherever Python stands; which one it was is remembered here, because
DuckDB turns an interrupt within a query into a RuntimeError, and Typer turns others into exit 130 without a word.
"""

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

from mekb.errors import EXPECTED_ERRORS, ConfigError
from training.errors import ConfigError as ModelConfigError

_STOPS = {signal.SIGINT: "interrupted", signal.SIGTERM: "ended by SIGTERM"}
_INTERRUPTED = 128 + signal.SIGINT
_LONGEST_LINE = 2_000
"""Characters: what came may be a file's whole content on one line, and is repeated in what is said of it."""
_NO_MEMORY = "OutOfMemoryError"
"""What torch calls it for a GPU, on whatever step; torch is not imported for that."""


@contextlib.contextmanager
def noted_signals() -> Iterator[list[int]]:
    """Give the list of signals that asked the block to stop, filled as they come."""
    came: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # others may not set handlers
        yield came
        return
    heard = [each for each in _STOPS if signal.getsignal(each) is not signal.SIG_IGN]
    former = {each: signal.signal(each, stop) for each in heard}
    try:
        yield came
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)


def printable_streams() -> None:
    """Let what the terminal's code page lacks be written as an escape instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuse what is no text in the encoding of this terminal: no table and no file could hold it.

    Raises:
        ConfigError: so it is.
    """
    for argument in arguments:
        if any("\ud800" <= letter <= "\udfff" for letter in argument):
            shown = argument.encode("ascii", "backslashreplace").decode()
            raise ConfigError(f"'{shown}' is no text in {sys.getfilesystemencoding()}; write UTF-8")


def exit_code(error: BaseException, signals: list[int], *, debug: bool) -> int:
    """Say in one line what ended a command, and return its exit code.

    Args:
        error: What was raised; SystemExit is how a command ends that was not cut off.
        signals: Those that asked it to stop.
        debug: Raise errors again, for their traceback.
    """
    if signals:
        _say(_STOPS[signal.Signals(signals[0])])
        return 128 + signals[0]
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if code == _INTERRUPTED:
            _say(_STOPS[signal.SIGINT])
        return code
    if isinstance(error, KeyboardInterrupt):
        _say(_STOPS[signal.SIGINT])
        return _INTERRUPTED
    if debug:
        raise error
    line = _line_of(error)
    if line is None:
        raise error
    _say(line)
    return 2 if isinstance(error, ConfigError | ModelConfigError) else 1


def _line_of(error: BaseException) -> str | None:
    """Return what to say of an error; "" is nothing, None that it is a bug of ours."""
    if isinstance(error, EXPECTED_ERRORS):
        line = " ".join(str(error).split())
        return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}..."
    if isinstance(error, MemoryError) or type(error).__name__ == _NO_MEMORY:
        return "memory ran out: set train.model.batch_size or store.memory_limit lower"
    if isinstance(error, BrokenPipeError):
        return ""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    return None


def flush(code: int) -> int:
    """Write out what is still held back; return the exit code, which is 1 where nobody reads any more."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # What is left would be tried once more at the very end, and end in a traceback.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            _say(f"standard output: {error.strerror or error}")
        return code or 1
    return code


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"mekb: {text}\n" if text else "")
