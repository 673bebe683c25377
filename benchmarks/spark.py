"""Score the same random interactions on DuckDB and on Spark, in one run: CPU, wall, peak memory, rows.

    python benchmarks/spark.py [--interactions 1000000] [--master local[2]] [--parts 8]

Users and items are drawn by Zipf's law, items hold 1-5 entities. CPU seconds of Spark are those of its Java
process and what that started; its wall time leaves out the start of the session, which is shown apart.
Both engines write all that a build writes. Ratios are Spark's over DuckDB's.
"""

import argparse
import resource
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from mekb.cluster.scoring import build_profiles as build_on_spark
from mekb.cluster.session import spark_session
from mekb.exchange import export_tables
from mekb.interests import build_profiles
from mekb.schema import CATALOGUE
from mekb.scoring import ScoringConfig
from mekb.store import Store, StoreSettings

TICK = 0.2


@dataclass(frozen=True)
class Measured:
    """What one engine took."""

    cpu_s: float
    wall_s: float
    peak_mib: float
    disk_mib: float


def table(name: str, **columns: object) -> pa.Table:
    """Return rows of a table of the catalogue; columns not given are null or empty."""
    schema = CATALOGUE[name]
    n_rows = len(next(iter(columns.values())))  # type: ignore[arg-type]  every column is sized
    arrays = []
    for field in schema:
        if field.name in columns:
            arrays.append(pa.array(columns[field.name], field.type))
        elif field.nullable:
            arrays.append(pa.nulls(n_rows, field.type))
        else:
            empty = [] if pa.types.is_list(field.type) else pa.scalar("").as_py()
            filler = 0 if pa.types.is_integer(field.type) else empty
            arrays.append(pa.array([filler] * n_rows, field.type))
    return pa.table(arrays, schema=schema)


def fill(store: Store, n_interactions: int, seed: int = 0) -> None:
    """Put a random world into a store: 20 interactions a user on average, an item for every 200."""
    rng = np.random.default_rng(seed)
    n_users, n_items = n_interactions // 20, max(n_interactions // 200, 1000)
    n_entities = n_items
    user = rng.integers(0, n_users, n_interactions, dtype=np.int64)
    item = np.minimum(rng.zipf(1.3, n_interactions) - 1, n_items - 1)
    uniform = rng.integers(0, n_items, n_interactions)
    item = np.where(rng.random(n_interactions) < 0.5, item, uniform)
    pairs = np.unique(user * n_items + item)
    n_held = rng.integers(1, 6, n_items)
    holder = np.repeat(np.arange(n_items), n_held)
    entity = 1 + np.minimum(rng.zipf(1.5, len(holder)) - 1, n_entities - 1)
    entity = np.where(
        rng.random(len(holder)) < 0.4, entity, rng.integers(1, n_entities + 1, len(holder))
    )
    held = np.unique(holder * (n_entities + 1) + entity)
    names = [f"Entity number {i}" for i in range(1, n_entities + 1)]
    ids, ones = np.arange(1, n_entities + 1), np.ones(len(held))
    item_names = [f"i{i}" for i in range(n_items)]
    store.replace(
        {
            "items": table("items", item_id=np.arange(n_items), external_id=item_names, domain=["x"] * n_items),
            "users": table("users", user_id=np.arange(n_users), external_id=[f"u{i}" for i in range(n_users)]),
            "interactions": table(
                "interactions",
                user_id=pairs // n_items,
                item_id=pairs % n_items,
                positive=np.ones(len(pairs), bool),
            ),
            "entities": table("entities", entity_id=ids, title=names, label=names, kind=["wikidata"] * n_entities),
            "custom_entities": CATALOGUE["custom_entities"].empty_table(),
            "item_entities": table(
                "item_entities",
                item_id=held // (n_entities + 1),
                entity_id=held % (n_entities + 1),
                n_mentions=np.ones(len(held), np.int64),
                score=ones,
                weight=ones,
            ),
        }
    )  # fmt: skip


class Watch:
    """Follows CPU time, memory and disk of this process and of those below it (Linux)."""

    def __init__(self, *, children: bool, folders: tuple[Path, ...]) -> None:
        self._children = children
        self._folders = folders
        self._done = threading.Event()
        self.peak_mib = self.disk_mib = 0.0

    def __enter__(self) -> "Watch":  # noqa: PYI034  as in mekb.store
        self._clock, self._cpu = time.perf_counter(), self._cpu_now()
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        wall, cpu = time.perf_counter() - self._clock, self._cpu_now() - self._cpu
        self.measured = Measured(cpu, wall, self.peak_mib, self.disk_mib)

    def _follow(self) -> None:
        while not self._done.wait(TICK):
            self.peak_mib = max(self.peak_mib, sum(map(_resident_mib, self._processes())))
            sizes = (_size(path) for folder in self._folders for path in folder.rglob("*"))
            self.disk_mib = max(self.disk_mib, sum(sizes) / 2**20)

    def _processes(self) -> list[int]:
        return _below(_own_pid()) if self._children else [_own_pid()]

    def _cpu_now(self) -> float:
        if self._children:
            return sum(map(_cpu_seconds, self._processes()))
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime


def _own_pid() -> int:
    return int(Path("/proc/self").readlink().name)


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_seconds(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / 100 if fields else 0.0


def _resident_mib(pid: int) -> float:
    fields = _stat(pid)
    return int(fields[21]) * resource.getpagesize() / 2**20 if fields else 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def _below(root: int) -> list[int]:
    """Return the processes that a process started, and theirs."""
    parents = {int(path.name): _stat(int(path.name)) for path in Path("/proc").glob("[0-9]*")}
    found, frontier = [], {root}
    while frontier:
        frontier = {pid for pid, fields in parents.items() if fields and int(fields[1]) in frontier}
        found += sorted(frontier)
    return found


def show(engine: str, took: Measured) -> None:
    """Print one row."""
    print(
        f"{engine:<10}{took.cpu_s:>10.1f}{took.wall_s:>10.1f}{took.peak_mib:>12,.0f}{took.disk_mib:>12,.0f}"
    )


def main() -> None:
    """Run both engines on one world."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--interactions", type=int, default=1_000_000)
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--parts", type=int, default=8)
    parser.add_argument("--driver-memory", default="3g")
    parser.add_argument(
        "--folder", type=Path, help="Where to work; a temporary folder if not given."
    )
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mekb-spark-", dir=given.folder))
    try:
        compare(given, folder)
    finally:
        shutil.rmtree(folder)


def compare(given: argparse.Namespace, folder: Path) -> None:
    """Fill, score by DuckDB, export, score by Spark, and print both."""
    config = ScoringConfig()
    with Store.open(folder / "w.duckdb", create=True, settings=StoreSettings(threads=2, memory_limit="4GB")) as store:  # fmt: skip
        fill(store, given.interactions)
        with Watch(children=False, folders=(folder,)) as duck:
            build_profiles(store, config)
        counts = {
            name: store.count(name) for name in ("interactions", "item_entities", "user_entity")
        }
        clock = time.perf_counter()
        export_tables(store, folder / "tables")
        export_s = time.perf_counter() - clock
    print(", ".join(f"{name} {count:,}" for name, count in counts.items()))
    print(
        f"export {export_s:.1f} s, {sum(map(_size, (folder / 'tables').glob('*'))) / 2**20:,.0f} MiB"
    )
    scratch = folder / "scratch"
    scratch.mkdir()
    conf = {
        "spark.sql.shuffle.partitions": str(given.parts),
        "spark.driver.memory": given.driver_memory,
        "spark.local.dir": str(scratch),
    }
    clock = time.perf_counter()
    with spark_session(given.master, conf) as session:
        print(
            f"session opened in {time.perf_counter() - clock:.1f} s, {given.parts} parts, {given.master}"
        )
        with Watch(children=True, folders=(scratch,)) as spark:
            build_on_spark(session, str(folder / "tables"), str(folder / "scored"), config)
    print(f"written {sum(map(_size, (folder / 'scored').rglob('*'))) / 2**20:,.0f} MiB")
    print(f"{'engine':<10}{'CPU s':>10}{'wall s':>10}{'memory MiB':>12}{'disk MiB':>12}")
    show("duckdb", duck.measured)
    show("spark", spark.measured)
    ratio = spark.measured.cpu_s / duck.measured.cpu_s
    print(f"CPU: Spark over DuckDB {ratio:.1f}", file=sys.stdout)


if __name__ == "__main__":
    main()
