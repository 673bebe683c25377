"""A small random world in a store, written without any of the earlier stages."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from alias_tables.schema import CHANNELS, CUSTOM_ID_BASE
from mekb.schema import CATALOGUE
from mekb.store import Store

N_ENTITIES = 12
DOMAINS = ("books", "films")
ITEMS_PER_DOMAIN = 8


def rows(table: str, **columns: list) -> pa.Table:
    schema = CATALOGUE[table]
    return pa.table(
        {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}
    )


def entity_rows() -> pa.Table:
    ids = list(range(1, N_ENTITIES + 1))
    return rows(
        "entities",
        entity_id=ids,
        title=[f"Entity {i}" for i in ids],
        label=[f"entity {i}" for i in ids],
        description=[None] * N_ENTITIES,
        kind=["wikidata"] * N_ENTITIES,
        flags=[[] for _ in ids],
        types=[[]] * N_ENTITIES,
        year=[None] * N_ENTITIES,
        n_inlinks=[0] * N_ENTITIES,
    )


def alias_rows() -> pa.Table:
    ids = list(range(1, N_ENTITIES + 1))
    return rows(
        "aliases",
        surface=[f"Entity {i}" for i in ids],
        entity_id=ids,
        **{f"n_{channel}": [1] * N_ENTITIES for channel in CHANNELS},
        prior=[1.0] * N_ENTITIES,
        link_prob=[None] * N_ENTITIES,
        kept_mass=[None] * N_ENTITIES,
        cut=[None] * N_ENTITIES,
    )


def random_world(store: Store, *, n_users: int = 30, seed: int = 0) -> None:
    """Fill a store with users, items, interactions and item entities drawn from a seed."""
    rng = np.random.default_rng(seed)
    n_items = len(DOMAINS) * ITEMS_PER_DOMAIN
    item_ids = np.arange(1, n_items + 1)
    names = [f"{DOMAINS[(i - 1) // ITEMS_PER_DOMAIN]}-{i}" for i in item_ids]
    pairs = [
        (user, int(item))
        for user in range(1, n_users + 1)
        for item in rng.choice(item_ids, size=rng.integers(1, 8), replace=False)
    ]
    held = [
        (int(item), int(entity))
        for item in item_ids
        for entity in rng.choice(
            np.arange(1, N_ENTITIES + 1), size=rng.integers(1, 4), replace=False
        )
    ]
    custom = [(int(item), CUSTOM_ID_BASE + (int(item) % 2)) for item in item_ids]
    everything = sorted(set(held) | set(custom))
    store.replace(
        {
            "items": rows(
                "items",
                item_id=item_ids.tolist(),
                external_id=names,
                domain=[DOMAINS[(i - 1) // ITEMS_PER_DOMAIN] for i in item_ids],
                title=[f"Title {i}" for i in item_ids],
                text=[""] * n_items,
                brand=[f"Brand {i % 2}" for i in item_ids],
                categories=[[] for _ in item_ids],
            ),
            "users": rows(
                "users",
                user_id=list(range(1, n_users + 1)),
                external_id=[f"u{user:03d}" for user in range(1, n_users + 1)],
            ),
            "interactions": rows(
                "interactions",
                user_id=[user for user, _ in pairs],
                item_id=[item for _, item in pairs],
                at=[None] * len(pairs),
                rating=[5.0] * len(pairs),
                positive=(rng.random(len(pairs)) < 0.8).tolist(),
            ),
            "entities": entity_rows(),
            "aliases": alias_rows(),
            "custom_entities": rows(
                "custom_entities",
                entity_id=[CUSTOM_ID_BASE, CUSTOM_ID_BASE + 1],
                title=["Brand 0", "Brand 1"],
                label=["Brand 0", "Brand 1"],
                description=[None, None],
                kind=["brand", "brand"],
                flags=[[], []],
                types=[[], []],
                year=[None, None],
                n_inlinks=[0, 0],
            ),
            "mentions": rows(
                "mentions",
                item_id=[],
                field=[],
                start=[],
                stop=[],
                surface=[],
                entity_id=[],
                prior=[],
                score=[],
                reason=[],
                n_candidates=[],
                candidates=[],
                detector=[],
            ),
            "item_entities": rows(
                "item_entities",
                item_id=[item for item, _ in everything],
                entity_id=[entity for _, entity in everything],
                n_mentions=[1] * len(everything),
                score=[1.0] * len(everything),
                weight=[0.5 if entity >= CUSTOM_ID_BASE else 1.0 for _, entity in everything],
            ),
        }
    )


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "world.duckdb", create=True) as opened:
        random_world(opened)
        yield opened


@pytest.fixture
def empty_store(tmp_path: Path):
    with Store.open(tmp_path / "empty.duckdb", create=True) as opened:
        yield opened
