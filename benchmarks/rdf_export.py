"""What it costs to write every user's MeKB as N-Quads, beside rdflib's own N-Triples serialiser.

A store of made-up users (five liked items each, two entities an item) is exported whole: read from DuckDB,
written to a file, in memory where the machine has such a folder, as no disk is to be timed. rdflib then serialises the same statements of the first 1,000 users, which it holds as
ready-made graphs, so its reading and building are not counted (nor, of ours, the SHA-256 of the file that
`mekb profiles dump` keeps, for the day a person asks to be forgotten). CPU seconds, best of seven; the peak memory
is that of a process that does nothing but the export, with as many users and with ten times as many.

    python benchmarks/rdf_export.py
    python benchmarks/rdf_export.py --users 1000 100000
"""

import argparse
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from mekb import api
from mekb.all_profiles import read_all_graphs
from mekb.export import write_user_graphs
from mekb.interests import build_profiles, newest_run
from mekb.rdf.files import read_graphs
from mekb.rdf.provenance import provenance_of
from mekb.schema import CATALOGUE
from mekb.scoring import ScoringConfig
from mekb.store import Store

N_ITEMS, N_ENTITIES, LIKED = 5_000, 3_000, 5
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  (a folder of its own is made in it)
LINE = "{:<52} {:>10}"
MIB = 1024


def rows(table: str, **columns: object) -> pa.Table:
    """Return rows of a table of the catalogue; a single value stands for all rows."""
    schema = CATALOGUE[table]
    n_rows = max(len(column) for column in columns.values() if isinstance(column, list))
    return pa.table(
        {
            name: pa.array(
                values if isinstance(values, list) else [values] * n_rows, schema.field(name).type
            )
            for name, values in columns.items()
        },
        schema=schema,
    )


def write_store(path: Path, n_users: int) -> None:
    """Write a store whose items each name two entities in their title, and score its users."""
    rng = np.random.default_rng(n_users)
    users = list(range(1, n_users + 1))
    liked = [
        (user, item + 1)
        for user in users
        for item in rng.choice(N_ITEMS, LIKED, replace=False).tolist()
    ]
    named = [sorted(rng.choice(N_ENTITIES, 2, replace=False) + 1) for _ in range(N_ITEMS)]
    items, entities = list(range(1, N_ITEMS + 1)), list(range(1, N_ENTITIES + 1))
    titles = [f"Entity {first} and Entity {second}" for first, second in named]
    held = [(item, int(entity)) for item, pair in zip(items, named, strict=True) for entity in pair]
    spans = [(titles[item - 1].index(f"Entity {entity}"), entity) for item, entity in held]
    with Store.open(path, create=True) as store:
        store.replace({
            "items": rows(
                "items", item_id=items, external_id=[f"B{item:09d}" for item in items], domain="books",
                title=titles, text="", brand=None, categories=[[] for _ in items],
            ),
            "users": rows("users", user_id=users, external_id=[f"A{user:012d}" for user in users]),
            "interactions": rows(
                "interactions", user_id=[user for user, _ in liked], item_id=[item for _, item in liked],
                at=None, rating=5.0, positive=True,
            ),
            "entities": rows(
                "entities", entity_id=entities, title=[f"Entity {one}" for one in entities],
                label=[f"Entity {one}" for one in entities], description=None, kind="wikidata",
                flags=[[] for _ in entities], types=[[] for _ in entities], year=None, n_inlinks=0,
            ),
            "custom_entities": CATALOGUE["custom_entities"].empty_table(),
            "mentions": rows(
                "mentions", item_id=[item for item, _ in held], field="title",
                start=[start for start, _ in spans],
                stop=[start + len(f"Entity {entity}") for start, entity in spans],
                surface=[f"Entity {entity}" for _, entity in held], entity_id=[one for _, one in held],
                prior=0.9131, score=0.9131, reason="only_candidate", n_candidates=1,
                candidates=[[{"entity_id": one, "prior": 0.9131, "score": 0.9131}] for _, one in held],
                detector="dictionary",
            ),
            "item_entities": rows(
                "item_entities", item_id=[item for item, _ in held], entity_id=[one for _, one in held],
                n_mentions=1, score=0.9131, weight=1.0,
            ),
        })  # fmt: skip
        build_profiles(store, ScoringConfig())


def cpu_seconds(works: Sequence[Callable[[Path], object]], file: Path) -> list[float]:
    """Return the CPU time each takes to write a file, all threads together: in turn, the best of seven."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(7):
        for work, seconds in zip(works, taken, strict=True):
            started = time.process_time()
            work(file)
            seconds.append(time.process_time() - started)
            file.unlink()
    return [min(seconds) for seconds in taken]


def peak_mib(store: Path, file: Path) -> float:
    """Return the peak memory of a process that exports a store, in MiB."""
    words = [sys.executable, __file__, "--export", str(store), str(file)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)  # noqa: S603  (this file itself)
    return float(done.stdout)


def export(store: Path, file: Path) -> None:
    """Export a store and print this process's peak memory (Linux: getrusage would count its parent's)."""
    api.export_profiles(store, file, force=True)
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    print(int(status.split("VmHWM:")[1].split()[0]) / MIB)


def compare(folder: Path, n_users: int) -> None:
    """Print what 1,000 users cost us and rdflib, and the ratio."""
    store, file = folder / f"{n_users}.duckdb", folder / "all.nq"
    api.export_profiles(store, file)
    graphs = [rdf for _, rdf in read_graphs(file)]
    n_statements = sum(map(len, graphs))

    def with_rdflib(file: Path) -> None:
        with file.open("wb") as out:
            for rdf in graphs:
                rdf.serialize(out, format="nt", encoding="utf-8")

    gc.collect()
    gc.freeze()  # rdflib's graphs are millions of objects that no export of ours should have to look through

    def with_mekb(file: Path) -> None:
        about = provenance_of(opened, newest_run(opened))
        write_user_graphs(read_all_graphs(opened), file, provenance=about)

    with Store.open(store) as opened, tempfile.TemporaryDirectory(dir=IN_MEMORY) as quick:
        ours, theirs = cpu_seconds([with_mekb, with_rdflib], Path(quick) / "timed.nq")
    gc.unfreeze()
    print(LINE.format(f"statements of {n_users:,} users", f"{n_statements:,}"))
    print(LINE.format("store to N-Quads file, CPU-s", f"{ours:.3f}"))
    print(LINE.format("rdflib, graphs in memory to N-Triples file, CPU-s", f"{theirs:.3f}"))
    print(LINE.format("ratio", f"{theirs / ours:.1f}"))


def main() -> None:
    """Make the stores, export them, compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--users", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--export", type=Path, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.export:
        export(*given.export)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n_users in given.users:
            write_store(folder / f"{n_users}.duckdb", n_users)
        compare(folder, given.users[0])
        for n_users in given.users:
            peak = peak_mib(folder / f"{n_users}.duckdb", folder / "out.nq")
            size = (folder / "out.nq").stat().st_size / MIB**2
            print(LINE.format(f"peak memory at {n_users:,} users, MiB", f"{peak:.0f}"))
            print(LINE.format("  size of the file, MiB", f"{size:.0f}"))


if __name__ == "__main__":
    main()
