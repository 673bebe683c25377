"""Readers given changed, cut and spliced inputs: how many of them, and how they ended.

    python benchmarks/fuzz.py --examples 2000
    python benchmarks/fuzz.py --examples 500 --folders PROJECT     a folder with my.duckdb, model and bundle too

In: the targets of tests/fuzz/targets.py and a number of inputs for each. Out: a line a target with its inputs, how many
were read and how many refused, the dearest input in CPU seconds, and the bug that ended it, if there was one, with
the input in a file. The inputs are those of hypothesis; no two runs draw the same unless `--seed` says so.
"""

import argparse
import logging
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "fuzz"))
from targets import TARGETS, BugError, Target, folder_targets, hostile, inputs, read_or_refused


class Ends:
    """How the inputs of one target ended."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.longest = 0.0

    def add(self, target: Target, data: bytes) -> None:
        """Give one input to the target.

        Raises:
            BugError: something was let out that is neither an answer nor an error of ours.
        """
        begun = time.process_time()
        try:
            self.counts[read_or_refused(target, data)] += 1
        except BugError:
            place = Path(tempfile.mkdtemp(prefix="mekb-fuzz-bug-")) / "input"
            place.write_bytes(data)
            print(f"{target.name}: BUG, input in {place}")
            raise
        finally:
            self.longest = max(self.longest, time.process_time() - begun)


def draw(target: Target, n_examples: int, number: int) -> Ends:
    """Give so many inputs to a target."""
    ends = Ends()
    sample = settings(
        max_examples=n_examples,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )

    @seed(number)
    @sample
    @given(inputs(target))
    def run(data: bytes) -> None:
        ends.add(target, data)

    run()
    return ends


def main() -> None:
    """Fuzz every target and print the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=500, help="inputs a target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", action="append", help="only this one; may be repeated")
    parser.add_argument("--folders", type=Path, help="a project, for bundle, model and dictionary")
    given_ = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("rdflib").setLevel(logging.ERROR)
    targets = list(TARGETS)
    if given_.folders:
        parts = ("bundle", "model", "my.duckdb.aliases")
        targets += folder_targets(*(given_.folders / part for part in parts))
    total, bugs = 0, 0
    for target in targets:
        if given_.target and target.name not in given_.target:
            continue
        try:
            ends = draw(target, given_.examples, given_.seed)
        except BugError as error:
            print(f"    {error}", flush=True)
            bugs += 1
            continue
        n = ends.counts.total()
        total += n
        read = ends.counts.pop("read", 0)
        refused = ", ".join(f"{name} {count}" for name, count in ends.counts.most_common())
        print(
            f"{target.name:28} {n:6} inputs, {read:6} read; {refused or 'none refused'};", end=" "
        )
        print(f"dearest {ends.longest:.2f} s", flush=True)
    costly = Ends()
    for name, data in hostile().values() if not given_.target else ():
        try:
            costly.add(next(target for target in TARGETS if target.name == name), data)
        except BugError as error:
            print(f"    {error}", flush=True)
            bugs += 1
    print(f"{costly.counts.total()} inputs made to cost: dearest {costly.longest:.2f} s")
    print(f"{total + costly.counts.total()} inputs, {bugs} bugs")
    sys.exit(bool(bugs))


if __name__ == "__main__":
    main()
