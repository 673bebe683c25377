"""Readers given what nobody meant to give them: an answer or one line of ours, in little time and memory.

A small fixed sample; `python benchmarks/fuzz.py --examples 2000` draws many.
"""

import sys
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

sys.path.insert(0, str(Path(__file__).parent))
from targets import TARGETS, folder_targets, hostile, inputs, read_or_refused

SAMPLE = settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
FOLDER_TARGETS = 12
CPU_SECONDS = 20
PEAK_BYTES = 96 << 20
NOISE = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:rdflib", "ignore::UserWarning:rdflib"
)


def sample(target):
    """Give the fixed sample to a target; return how its inputs ended."""
    ends: Counter[str] = Counter()

    @SAMPLE
    @given(inputs(target))
    def run(data):
        ends[read_or_refused(target, data)] += 1

    run()
    return ends


@NOISE
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_reader_reads_what_is_whole_and_bears_the_rest(target):
    for data in target.whole:
        assert read_or_refused(target, data) == "read"
    assert sample(target).total() >= 10


@pytest.mark.parametrize("number", range(FOLDER_TARGETS))
def test_a_folder_is_read_or_its_part_is_named(project, number):
    every = folder_targets(
        project.bundle, project.model, project.store.with_name("my.duckdb.aliases")
    )
    assert len(every) == FOLDER_TARGETS
    target = every[number]
    assert read_or_refused(target, target.whole[0]) == "read"
    assert sample(target).total() >= 10
    if target.name in {"bundle, items", "bundle, index", "dictionary, an array"}:
        data = bytearray(target.whole[0])
        data[len(data) // 2] ^= 1
        assert read_or_refused(target, bytes(data)) != "read"


@NOISE
@pytest.mark.parametrize("name", hostile())
def test_what_is_made_to_cost_costs_little(name):
    of, data = hostile()[name]
    target = next(one for one in TARGETS if one.name == of)
    begun = time.process_time()
    tracemalloc.start()
    read_or_refused(target, data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - begun < CPU_SECONDS
    assert peak < PEAK_BYTES


FOUND = {
    "digits": ("settings, TOML", b"[scoring]\nk_star = " + b"9" * 5_000),
    "digits given": ("settings, --set", b"scoring.k_star=" + b"9" * 5_000),
    "code point": ("profile, ttl", b'<http://x/1> <http://x/2> "\\U00110000" .\n'),
}
"""What once let a traceback out, found by this."""


@NOISE
@pytest.mark.parametrize(("of", "data"), FOUND.values(), ids=FOUND)
def test_what_was_found_is_mended(of, data):
    target = next(one for one in TARGETS if one.name == of)
    read_or_refused(target, data)


def test_a_dictionary_whose_headers_are_altered_is_refused(project):
    """Of the right size, so that only reading it shows."""
    dictionary = project.store.with_name("my.duckdb.aliases")
    mapped = folder_targets(project.bundle, project.model, dictionary)[-1]
    assert mapped.name == "dictionary, mapped"
    assert (
        read_or_refused(mapped, mapped.whole[0].replace(b" 'fortran", b"\"'fortran"))
        == "TableError"
    )


def test_a_line_of_a_command_is_never_endless(mekb, tmp_path):
    ran = mekb("runs", tmp_path / "x.duckdb", "--set", "a" * 10)
    assert ran.code == 2
    ran = mekb("profiles", "build", tmp_path / "x.duckdb", "--set", "9" * 50_000)
    assert (ran.code, ran.err.count("\n"), len(ran.err) < 2_100) == (2, 1, True)
