"""Made-up histories of any size: zipf items, zipf entities, 1-5 entities an item, 20 items a user, seeded.

Written user by user as Parquet, so that memory does not grow with the world, and into a store.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from mekb.schema import CATALOGUE
from mekb.store import Store

ITEMS_A_USER = 20
BLOCK_USERS = 250_000
FIRST_SECOND, SECONDS = 1_500_000_000, 100_000_000


def zipf(rng: np.random.Generator, size: int, n: int) -> npt.NDArray[np.uint32]:
    """Draw ranks below n with probability proportional to 1 / (rank + 1)."""
    cumulated = np.cumsum(1 / np.arange(1, n + 1))
    return np.searchsorted(cumulated, rng.random(size) * cumulated[-1]).astype(np.uint32)


def write_world(folder: Path, n_rows: int, seed: int = 0) -> None:
    """Write `interactions.parquet` and `item_entities.parquet`."""
    rng = np.random.default_rng(seed)
    n_users = n_rows // ITEMS_A_USER
    n_items, n_entities = max(n_rows // 100, 1_000), max(n_rows // 50, 2_000)
    writer = None
    for first in range(0, n_users, BLOCK_USERS):
        block = min(BLOCK_USERS, n_users - first)
        table = _histories(rng, first, block, n_items, block * ITEMS_A_USER)
        writer = writer or pq.ParquetWriter(folder / "interactions.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    item_ids = np.repeat(np.arange(n_items, dtype=np.uint64), rng.integers(1, 6, n_items))
    pairs = np.unique(item_ids << np.uint64(32) | (zipf(rng, len(item_ids), n_entities) + 1))
    pq.write_table(
        pa.table(
            {
                "item_id": (pairs >> np.uint64(32)).astype(np.uint32),
                "entity_id": pairs.astype(np.uint32),
                "n_mentions": np.ones(len(pairs), np.uint32),
                "score": np.ones(len(pairs), np.float32),
                "weight": np.ones(len(pairs), np.float32),
            }
        ),
        folder / "item_entities.parquet",
    )


def _histories(
    rng: np.random.Generator, first_user: int, n_users: int, n_items: int, n_rows: int
) -> pa.Table:
    """Draw that many rows of a block of users; the few drawn twice are dropped."""
    users = rng.integers(first_user, first_user + n_users, n_rows).astype(np.uint64)
    pairs = np.unique(users << np.uint64(32) | zipf(rng, n_rows, n_items))
    seconds = FIRST_SECOND + rng.integers(0, SECONDS, len(pairs))
    return pa.table(
        {
            "user_id": (pairs >> np.uint64(32)).astype(np.uint32),
            "item_id": pairs.astype(np.uint32),
            "at": pa.array(seconds * 1_000_000, pa.timestamp("us")),
            "rating": np.full(len(pairs), 5, np.float32),
            "positive": np.ones(len(pairs), bool),
        }
    )


def write_day(path: Path, n_rows: int, *, share: float, share_of_users: float, seed: int) -> None:
    """Write a day: that share of all rows, by that share of the users, as a file to import."""
    rng = np.random.default_rng(seed)
    n_users, n_items = n_rows // ITEMS_A_USER, max(n_rows // 100, 1_000)
    active = rng.choice(n_users, max(1, int(n_users * share_of_users)), replace=False)
    users = rng.choice(active, int(n_rows * share))
    items = zipf(rng, len(users), n_items)
    pq.write_table(
        pa.table(
            {
                "user_id": pa.array(users).cast(pa.string()),
                "item_id": pa.array(items).cast(pa.string()),
                "domain": np.repeat("d", len(users)),
                "timestamp": np.full(len(users), FIRST_SECOND + SECONDS + 86_400),
            }
        ),
        path,
    )


WORLD_SQL = {
    "items": """
        select cast(range as uinteger) as item_id, cast(range as varchar) as external_id, 'd' as domain,
               '' as title, '' as text, null as brand, cast([] as varchar[]) as categories
        from range((select max(item_id) + 1 from item_entities))
    """,
    "users": """
        select cast(range as uinteger) as user_id, cast(range as varchar) as external_id
        from range((select max(user_id) + 1 from interactions))
    """,
    "entities": """
        select distinct entity_id, 'Entity ' || entity_id as title, '' as label, null as description,
               'wikidata' as kind, cast([] as varchar[]) as flags, cast([] as varchar[]) as types,
               null as year, 0 as n_inlinks
        from item_entities
    """,
}


def write_store(path: Path, folder: Path) -> None:
    """Make a store of a world."""
    with Store.open(path, create=True) as store:
        for table in ("interactions", "item_entities"):
            rows = store.connection.read_parquet(str(folder / f"{table}.parquet"))
            rows.create_view(table)
        others = {table: store.query(query) for table, query in WORLD_SQL.items()}
        store.connection.execute("drop view interactions; drop view item_entities")
        store.replace(others)
        for table in ("interactions", "item_entities"):
            rows = store.connection.read_parquet(str(folder / f"{table}.parquet"))
            store.replace({table: rows})
        store.replace({"custom_entities": CATALOGUE["custom_entities"].empty_table()})
