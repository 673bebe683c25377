"""What building an alias table costs, with one worker and with several, and how memory grows with the dump.

    python benchmarks/alias_build.py pages-articles.xml.bz2 --copies 8 --workers 2 --rounds 3
    python benchmarks/alias_build.py pages-articles.xml.bz2 --copies 1 20 --extra surfaces.tsv.gz

The pages of the file are written into a scratch multistream dump, as often as asked for, each time with other
ids and titles. Runs with one worker and with several alternate, each in a process of its own; the least wall
time of each counts, because others may use the cores too. CPU is that of the process and its workers: CPU of
one over CPU of several is what the cutting costs. Peak memory is that of the process, and of its largest
worker. Slopes are per GB (1e9 bytes) of XML.
"""

import argparse
import bz2
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pyarrow import parquet

from alias_tables.build import build
from alias_tables.config import AliasConfig
from alias_tables.inputs import BuildInputs
from alias_tables.options import BuildOptions
from mekb.store import Store, StoreSettings

PAGES_A_STREAM = 100
_END = b"</mediawiki>\n"
_PAGE = re.compile(rb"<page>.*?</page>", re.DOTALL)
_TITLE_AND_ID = re.compile(rb"<title>([^<]*)</title>(\s*(?:<ns>-?\d+</ns>)?\s*)<id>\d+</id>")


@dataclass
class Run:
    """What one build cost."""

    workers: int
    wall: float = 0.0
    cpu: float = 0.0
    path: float = 0.0
    """CPU of this process, and a worker's share of theirs: wall time on free cores, were the work even."""
    stages: dict[str, float] = field(default_factory=dict)
    """CPU seconds of this process by stage: with one worker, those of the reading."""
    parent_mb: float = 0.0
    worker_mb: float = 0.0
    work_bytes: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    pairs: int = 0
    surfaces: int = 0


def write_copies(source: Path, target: Path, copies: int) -> int:
    """Write a multistream dump of the pages of another one; return the bytes of its XML."""
    xml = source.read_bytes()
    if source.suffix == ".bz2":
        xml = bz2.decompress(xml)
    pages = _PAGE.findall(xml)
    streams = [xml[: xml.index(b"<page>")]]
    n_bytes = len(streams[0]) + len(_END)
    with target.open("wb") as file:
        file.write(bz2.compress(streams[0]))
        for copy in range(copies):
            for start in range(0, len(pages), PAGES_A_STREAM):
                part = pages[start : start + PAGES_A_STREAM]
                first = copy * len(pages) + start + 1
                stream = b"".join(_renamed(part, first, b" %d" % copy if copy else b""))
                file.write(bz2.compress(stream))
                n_bytes += len(stream)
        file.write(bz2.compress(_END))
    return n_bytes


def _renamed(pages: list[bytes], first_id: int, suffix: bytes) -> Iterator[bytes]:
    """Yield the pages with ids of their own and a suffix to their titles."""
    for page_id, page in enumerate(pages, first_id):
        head = rb"<title>\g<1>%s</title>\g<2><id>%d</id>" % (suffix, page_id)
        yield _TITLE_AND_ID.sub(head, page, count=1) + b"\n"


def run_here(dump: Path, extra: list[Path], workers: int, memory: str) -> Run:
    """Build in this process."""
    run = Run(workers)
    clock = {"stage": "plan", "cpu": time.process_time()}

    def on_progress(stage: str, _done: int, _total: int) -> None:
        if stage != clock["stage"]:
            now = time.process_time()
            run.stages[clock["stage"]] = round(now - clock["cpu"], 2)
            clock.update(stage=stage, cpu=now)

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        settings = StoreSettings(threads=workers, memory_limit=memory)
        with Store.open(Path(scratch, "bench.duckdb"), create=True, settings=settings) as store:
            tables = build(
                store.connection,
                BuildInputs(dumps=(dump,), extra=tuple(extra)),
                config=AliasConfig(),
                options=BuildOptions(workers=workers, work=Path(scratch, "work")),
                on_progress=on_progress,
            )
        run.wall = time.perf_counter() - started
        on_progress("", 0, 0)
        files = [path for path in Path(scratch, "work").rglob("*") if path.is_file()]
        run.work_bytes = sum(path.stat().st_size for path in files)
        for path in files:
            if path.suffix == ".parquet":
                kind = path.name.split(".")[-2]
                run.rows[kind] = run.rows.get(kind, 0) + parquet.read_metadata(path).num_rows
    mine, theirs = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    own, shared = (usage.ru_utime + usage.ru_stime for usage in (mine, theirs))
    run.cpu, run.path = own + shared, own + shared / workers
    run.parent_mb, run.worker_mb = mine.ru_maxrss / 1024, theirs.ru_maxrss / 1024
    run.pairs, run.surfaces = tables.report.pairs, tables.report.surfaces
    return run


def run_apart(dump: Path, extra: list[Path], workers: int, memory: str) -> Run:
    """Build in a process of its own."""
    command = [sys.executable, __file__, str(dump), "--one", str(workers), "--memory", memory]
    command += [part for path in extra for part in ("--extra", str(path))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, env=environment)  # noqa: S603 (this file again)
    return Run(**json.loads(done.stdout))


def compare(dump: Path, xml_bytes: int, arguments: argparse.Namespace) -> None:
    """Print what one worker and several cost, run by run and in all."""
    gigabytes = xml_bytes / 1e9
    size = dump.stat().st_size
    print(f"\n{xml_bytes / 1e6:.0f} MB of XML, {size / 1e6:.1f} MB packed")
    runs: list[Run] = []
    for _ in range(arguments.rounds):
        for workers in (1, arguments.workers):
            run = run_apart(dump, arguments.extra, workers, arguments.memory)
            runs.append(run)
            print(
                f"  {workers} worker(s): {run.wall:6.1f} s wall, {run.cpu:6.1f} s CPU,"
                f" {run.parent_mb:5.0f} MB parent, {run.worker_mb:5.0f} MB worker",
                flush=True,
            )
    one = min((run for run in runs if run.workers == 1), key=lambda run: run.wall)
    many = min((run for run in runs if run.workers != 1), key=lambda run: run.wall)
    cpu_one, cpu_many = (
        min(run.cpu for run in runs if (run.workers == 1) == alone) for alone in (True, False)
    )
    print(
        f"  {one.wall / many.wall:.2f} times as fast with {many.workers} workers (wall, best of each)"
    )
    print(
        f"  {cpu_one / cpu_many:.2f} CPU of one over CPU of {many.workers} (1: cutting costs nothing)"
    )
    path_one, path_many = (
        min(run.path for run in runs if (run.workers == 1) == alone) for alone in (True, False)
    )
    print(f"  {path_one / path_many:.2f} times as fast by CPU on the longest path (free cores)")
    slopes = ", ".join(f"{name} {cpu / gigabytes:.0f}" for name, cpu in one.stages.items() if name)
    print(f"  CPU seconds per GB of XML: {slopes}; all {cpu_one / gigabytes:.0f}")
    rows = ", ".join(f"{n / gigabytes / 1e6:.2f} M {kind}" for kind, n in sorted(one.rows.items()))
    print(f"  rows per GB: {rows}; work folder {one.work_bytes / gigabytes / 1e6:.0f} MB per GB")
    print(f"  {one.surfaces:,} surfaces, {one.pairs:,} pairs")


def main() -> None:
    """Read the arguments; write scratch dumps and time builds of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("dump", type=Path)
    parser.add_argument("--extra", type=Path, action="append", default=[])
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 20])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="512MB", help="DuckDB's limit")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run = run_here(arguments.dump, arguments.extra, arguments.one, arguments.memory)
        print(json.dumps(asdict(run)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for copies in arguments.copies:
            dump = Path(folder, "enwiki-pages-articles-multistream.xml.bz2")
            compare(dump, write_copies(arguments.dump, dump, copies), arguments)


if __name__ == "__main__":
    main()
