"""A test of the tests: each numbered case of what alias tables and the linker must handle has a test.

The number stands in the test's id, as `case_17`; the numbers run from 1 to 70.
"""

import re
import subprocess
import sys
from pathlib import Path

N_CASES = 70
FOLDERS = ("tests/alias_tables", "tests/entity_linking", "tests/mekb/test_sources.py")


def test_every_case_has_a_test():
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--collect-only",
            "-q",
            "-p",
            "no:cacheprovider",
            *FOLDERS,
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    ids = re.findall(r"case_([0-9]+(?:_and_[0-9]+)*)", done.stdout)
    named = {int(number) for found in ids for number in found.split("_and_")}
    assert set(range(1, N_CASES + 1)) - named == set()
