"""Each of the 80 faults of every_fault.tsv has a test whose name carries its number, and no test another one."""

import csv
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FAULT = re.compile(r"fault_(\d+)(?!\d)")


def test_every_fault_is_tested():
    with (HERE / "every_fault.tsv").open(encoding="utf-8", newline="") as file:
        numbers = [int(row["number"]) for row in csv.DictReader(file, delimiter="\t")]
    assert numbers == list(range(1, 81))
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", HERE],
        capture_output=True,
        text=True,
        check=True,
        cwd=HERE.parents[1],
    ).stdout
    tested = {int(number) for number in FAULT.findall(collected)}
    assert tested == set(numbers)
