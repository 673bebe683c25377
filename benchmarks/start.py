"""What starting costs: `mekb --help` and `import mekb` in CPU seconds beyond Python's own start.

    python benchmarks/start.py

Each is run ten times in a process of its own; the least is printed, which other work disturbs least.
"""

import os
import resource
import subprocess
import sys

REPEATS = 10
ALLOWED_SECONDS = 0.5
"""More than this for `--help` is felt at each call."""
STARTS = {
    "python alone": "pass",
    "import mekb": "import mekb",
    "mekb --help": "import sys; sys.argv = ['mekb', '--help']; from mekb.cli.app import main; main()",
}


def cpu_seconds(code: str) -> float:
    """Return user and system seconds of one process that runs `code`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(  # noqa: S603  our own Python, our own code
        [sys.executable, "-c", code],
        stdout=subprocess.DEVNULL,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Print the table; return 1 when `--help` costs more than it may."""
    least = {name: min(cpu_seconds(code) for _ in range(REPEATS)) for name, code in STARTS.items()}
    alone = least["python alone"]
    for name, seconds in least.items():
        print(f"{name:14} {seconds:6.3f} s CPU, {seconds - alone:6.3f} s beyond Python's own start")
    return int(least["mekb --help"] - alone > ALLOWED_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
