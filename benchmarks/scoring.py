"""Scoring everybody beside plain SQL, polars and scipy, and a day's update beside scoring everybody.

    python benchmarks/scoring.py                     # 1, 10 and 50 million interactions
    python benchmarks/scoring.py --rows 1000000      # one size
    python benchmarks/scoring.py --large             # and 200 million
    python benchmarks/scoring.py --alone             # mekb without the others

Each contender runs in a process of its own and makes the same rows (user, entity, count, tf, idf, weight,
rank, first and last time), sorted: DuckDB in a store, the others from Parquet to Parquet. CPU seconds are of
all its threads, after its imports, the least of `--repeat` runs; memory is the process's peak, of which some
200 MiB are the imports. "whole build" is what
`mekb profiles build` does beyond the scores: the texts, the proofs of both tables, fingerprints and the run.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import scoring_world
from scipy.sparse import csr_array

from mekb import aggregation, api
from mekb.increments import update_profiles
from mekb.interests import build_profiles
from mekb.scoring import (
    ALL_USERS,
    HELD_SQL,
    SPREAD_SQL,
    USER_ENTITY_SQL,
    ScoringConfig,
    UpdateConfig,
    interest_weights,
    inverse_user_frequency,
)
from mekb.store import Store, StoreSettings

SIZES = (1_000_000, 10_000_000, 50_000_000)
LARGE = 200_000_000
IN_MEMORY_ROWS = 10_000_000
"""Up to so many rows polars and scipy are let hold everything; above, polars streams and scipy is left out."""
DAYS = {"1 % of users": 0.01, "5 % of users": 0.05}
"""Who makes a day's interactions, which are 1 % of all."""

MIB = 1024.0
LINE = "{:<42} {:>8} {:>7} {:>8} {:>9} {:>13}"


@dataclass(frozen=True)
class Cost:
    """What one process took, after its imports."""

    cpu: float
    wall: float
    peak_mib: float
    said: str


def measured(*words: str) -> Cost:
    """Run one contender of this file in a process of its own."""
    process = subprocess.Popen(  # noqa: S603  our own Python, our own file
        [sys.executable, __file__, "--contender", *words],
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2"},
    )
    assert process.stdout is not None
    said = process.stdout.read().decode().strip()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{words}: failed")
    said, cpu, wall = said.rsplit(" ", 2)
    return Cost(float(cpu), float(wall), usage.ru_maxrss / MIB, said)


def best(repeat: int, *words: str) -> Cost:
    """Return the run that took the least CPU time."""
    return min((measured(*words) for _ in range(repeat)), key=lambda cost: cost.cpu)


def settings(limit: str) -> StoreSettings:
    """Return what the engine may use."""
    return StoreSettings(memory_limit=limit, threads=2)


def score_alone(store_path: str, limit: str) -> int:
    """Score into `user_entity` as a build does, proofs included, without texts, fingerprints and run."""
    with Store.open(store_path, settings=settings(limit)) as store:
        side = aggregation.sides(store, ScoringConfig())[0]
        with store.transaction():
            aggregation.choose_all(store)
            parts = aggregation.user_parts(store)
            n_all = aggregation.count_entities(store, side, parts)
            aggregation.count_spread(store)
            scored = (
                store.connection.sql(USER_ENTITY_SQL, params=side.weighing(users, n_all))
                for users in parts
            )
            store.replace_in_slices(("user_entity",), ({"user_entity": rows} for rows in scored))
        print(f"{len(parts)} parts")
        return store.count("user_entity")


def plain_sql(store_path: str, limit: str) -> int:
    """Run the same texts as one statement over everybody."""
    side = aggregation.Side(ScoringConfig())
    with Store.open(store_path, settings=settings(limit)) as store:
        n_all = store.count("users")
        parameters = side.counting(ALL_USERS) | side.weighing(ALL_USERS, n_all)
        before = f"with histories as (from interactions), held as ({HELD_SQL}), spread as ({SPREAD_SQL}),"
        statement = (
            USER_ENTITY_SQL.strip().replace("with ", before, 1) + " order by user_id, entity_id"
        )
        store.connection.execute(f"create or replace table plain as {statement}", parameters)
        found = store.first_row("select count(*) from plain")
        store.connection.execute("drop table plain")
        return int(found[0]) if found else 0


def whole_build(store_path: str, limit: str) -> int:
    """Do what `mekb profiles build` does."""
    with Store.open(store_path, settings=settings(limit)) as store:
        build_profiles(store, ScoringConfig(), force=True)
        return store.count("user_entity")


def add_day(store_path: str, limit: str, day: str) -> int:
    """Do what `mekb data add` does."""
    with Store.open(store_path, settings=settings(limit)) as store:
        return api.add_data(store, interactions=[day]).report.n_touched_users


def update_day(store_path: str, limit: str) -> int:
    """Do what `mekb profiles update` does."""
    with Store.open(store_path, settings=settings(limit)) as store:
        done = update_profiles(store, ScoringConfig(), UpdateConfig())
    print(done.drift)
    return done.n_users


def with_polars(folder: str, engine: str) -> int:
    """Score with polars, in memory or streaming."""
    interactions = pl.scan_parquet(f"{folder}/interactions.parquet").filter("positive")
    n_all = interactions.select(pl.col("user_id").n_unique()).collect().item()
    held = (
        interactions.join(pl.scan_parquet(f"{folder}/item_entities.parquet"), on="item_id")
        .group_by("user_id", "entity_id")
        .agg(
            n_items=pl.len(),
            multiplier=pl.col("weight").max().cast(pl.Float64),
            first_at=pl.col("at").min(),
            last_at=pl.col("at").max(),
        )
    )
    spread = held.group_by("entity_id").agg(n_users=pl.len())
    k = pl.col("n_items").cast(pl.Float64)
    scored = (
        held.join(spread, on="entity_id")
        .with_columns(
            tf=pl.col("multiplier") * pl.when(k < 5).then(k).otherwise(5 * (1 + (k / 5).log())),
            idf=(n_all / pl.col("n_users")).log(),
        )
        .with_columns(raw=pl.col("tf") * pl.col("idf"))
        .filter(pl.col("raw") > 0)
        .sort("user_id", "entity_id")
        .with_columns(weight=pl.col("raw") / pl.col("raw").sum().over("user_id"))
        .with_columns(rank=pl.col("weight").rank("ordinal", descending=True).over("user_id"))
        .select(
            "user_id", "entity_id", "n_items", "tf", "idf", "weight", "rank", "first_at", "last_at"
        )
    )
    made = Path(folder) / "polars.parquet"
    if engine == "streaming":
        scored.sink_parquet(made, engine="streaming")
    else:
        scored.collect().write_parquet(made)
    return int(pl.scan_parquet(made).select(pl.len()).collect().item())


def with_scipy(folder: str) -> int:
    """Score with scipy's sparse product and the NumPy functions of `mekb.scoring`; times are left out."""
    pairs = []
    for name, columns in (
        ("interactions", ("user_id", "item_id")),
        ("item_entities", ("item_id", "entity_id")),
    ):
        table = pq.read_table(f"{folder}/{name}.parquet", columns=list(columns))
        pairs.append([table[column].to_numpy().astype(np.int32) for column in columns])
    (users, items), (held_items, entities) = pairs
    n_items, n_entities = int(held_items.max()) + 1, int(entities.max()) + 1
    liked = csr_array((np.ones(len(users)), (users, items)), shape=(int(users.max()) + 1, n_items))
    held = csr_array((np.ones(len(entities)), (held_items, entities)), shape=(n_items, n_entities))
    counts = csr_array(liked @ held)
    counts.sort_indices()
    n_users = np.bincount(counts.indices, minlength=n_entities)
    idf = inverse_user_frequency(len(np.unique(users)), n_users)
    weights = interest_weights(counts, np.ones(n_entities), idf, 5.0)
    rows = np.repeat(np.arange(weights.shape[0], dtype=np.uint32), np.diff(weights.indptr))
    order = np.lexsort((weights.indices, -weights.data, rows))
    rank = np.empty(len(rows), np.uint32)
    rank[order] = np.arange(len(rows)) - weights.indptr[rows[order]] + 1
    columns = {"user_id": rows, "entity_id": weights.indices, "weight": weights.data, "rank": rank}
    pq.write_table(pa.table(columns), f"{folder}/scipy.parquet")
    return len(rows)


CONTENDERS = {
    "score": score_alone,
    "plain": plain_sql,
    "build": whole_build,
    "add": add_day,
    "update": update_day,
    "polars": with_polars,
    "scipy": with_scipy,
    "world": lambda folder, n: scoring_world.write_world(Path(folder), int(n)) or 0,
    "store": lambda path, folder: scoring_world.write_store(Path(path), Path(folder)) or 0,
}


def show(name: str, cost: Cost, unit: Cost) -> None:
    """Print one line of the table."""
    rows = cost.said.splitlines()[-1]
    ratio = f"{cost.cpu / unit.cpu:.3f}x"
    print(
        LINE.format(
            name,
            f"{cost.cpu:.2f}",
            ratio,
            f"{cost.wall:.1f}",
            f"{cost.peak_mib:,.0f}",
            f"{int(rows):,}",
        ),
        flush=True,
    )


def show_others(folder: Path, n_rows: int, limit: str, repeat: int, ours: Cost) -> None:
    """Measure whoever can hold so many rows."""
    show(
        "plain SQL, one statement", best(repeat, "plain", str(folder / "world.duckdb"), limit), ours
    )
    if n_rows <= IN_MEMORY_ROWS:
        show("polars, in memory", best(repeat, "polars", str(folder), "in-memory"), ours)
    if n_rows < LARGE:
        show("polars, streaming", best(repeat, "polars", str(folder), "streaming"), ours)
    if n_rows <= IN_MEMORY_ROWS:
        show("scipy, sparse product", best(repeat, "scipy", str(folder)), ours)


def compare(folder: Path, n_rows: int, limit: str, repeat: int, *, alone: bool) -> Cost:
    """Measure all contenders on one world; return what mekb's scoring cost."""
    store = str(folder / "world.duckdb")
    measured("world", str(folder), str(n_rows))
    measured("store", store, str(folder))
    ours = best(repeat, "score", store, limit)
    print(f"\n{n_rows:,} interactions, {ours.said.splitlines()[0]}, memory limit {limit}")
    print(LINE.format("", "CPU s", "ratio", "wall s", "peak MiB", "rows"))
    show("mekb, scores", ours, ours)
    if not alone:
        show_others(folder, n_rows, limit, repeat, ours)
    full = best(repeat, "build", store, limit)
    show("mekb, whole build", full, ours)
    for number, (name, share) in enumerate(DAYS.items()):
        day = folder / f"day-{number}.parquet"
        scoring_world.write_day(day, n_rows, share=0.01, share_of_users=share, seed=number)
        show(f"  1 % more by {name}: data add", measured("add", store, limit, str(day)), full)
        update = measured("update", store, limit)
        show("    profiles update, against whole build", update, full)
        print(f"    {update.said.splitlines()[0]}")
    return ours


def main() -> None:
    """Print the table of every size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--large", action="store_true", help="200 million too")
    parser.add_argument("--alone", action="store_true", help="mekb without the others")
    parser.add_argument("--memory-limit", default="4GB")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the worlds go, for a while"
    )
    parser.add_argument("--contender", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.contender:
        name, *words = asked.contender
        cpu, wall = time.process_time(), time.perf_counter()
        n_rows = CONTENDERS[name](*words)
        print(n_rows, time.process_time() - cpu, time.perf_counter() - wall)
        return
    costs = {}
    for n_rows in [*asked.rows, *([LARGE] if asked.large else [])]:
        folder = Path(tempfile.mkdtemp(prefix="scoring-", dir=asked.folder))
        try:
            costs[n_rows] = compare(
                folder, n_rows, asked.memory_limit, asked.repeat, alone=asked.alone
            )
        finally:
            shutil.rmtree(folder)
    smallest = min(costs)
    for n_rows, cost in costs.items():
        growth = cost.cpu / n_rows / (costs[smallest].cpu / smallest)
        print(f"{n_rows:,} interactions: {growth:.2f} times linear growth from {smallest:,}")


if __name__ == "__main__":
    main()
