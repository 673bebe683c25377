"""How the cost of cleaning and reading a title grows with its length, on inputs made to trip patterns.

    python benchmarks/title_cleaning.py

Prints for each input the CPU time of forty thousand characters over that of ten thousand: about 4 where the
cost is linear, about 16 where a pattern is quadratic. Exits 1 when a ratio is above 10.
"""

import sys
import time
from collections.abc import Callable

from entity_linking.text import clean_text
from entity_linking.titles import parse_title

UNITS = (
    *(" ", "<!--", "<script>", "&amp;", "(", "[]", "(dvd)"),
    *(", ", "- DVD ", "<a ", "&#", " - ", ": cut", "(1999)"),
)
SHORT, LONG, REPEATS = 10_000, 40_000, 5
WORST_RATIO = 10.0


def seconds(read: Callable[[str], object], text: str) -> float:
    """Return the least CPU time of some calls."""
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        read(text)
        times.append(time.process_time() - started)
    return min(times)


def main() -> int:
    """Print a row an input and return the exit status."""
    worst = 0.0
    for name, read in (("clean_text", clean_text), ("parse_title", parse_title)):
        for unit in UNITS:
            short, long = (seconds(read, unit * (n // len(unit))) for n in (SHORT, LONG))
            ratio = long / max(short, 1e-6)
            worst = max(worst, ratio)
            print(f"{name:12} {unit!r:12} {ratio:6.1f} times for 4 times the length")
    return int(worst > WORST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
