"""Small random stores for the tests of scoring, days to add to them, and the score of a store in a few lines of NumPy."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from mekb.growth import add_rows
from mekb.schema import CATALOGUE
from mekb.sources import ImportConfig

FIRST_DAY = np.datetime64("2020-01-01T00:00:00", "us")


def rows(table, **columns):
    schema = CATALOGUE[table]
    return pa.table(
        {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}
    )


def entity_rows(table, ids, kind):
    return rows(
        table,
        entity_id=ids,
        title=[f"Title of {i}" for i in ids],
        label=[f"label {i}" for i in ids],
        description=[None] * len(ids),
        kind=[kind] * len(ids),
        flags=[[]] * len(ids),
        types=[[]] * len(ids),
        year=[None] * len(ids),
        n_inlinks=[0] * len(ids),
    )


def item_rows(ids):
    return rows(
        "items",
        item_id=ids,
        external_id=[f"i{i}" for i in ids],
        domain=["films"] * len(ids),
        title=[f"Film {i}" for i in ids],
        text=[""] * len(ids),
        brand=[None] * len(ids),
        categories=[[]] * len(ids),
    )


def random_tables(seed, n_users=25, n_items=20, n_entities=15):
    """Return every table that scoring reads, drawn from a seed: ratings 1-5, times, several kinds."""
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(rng.random((n_users, n_items)) < rng.uniform(0.02, 0.6, (n_users, 1)))
    held = np.argwhere(rng.random((n_items, n_entities)) < rng.uniform(0.05, 0.9, n_entities))
    rating = rng.integers(1, 6, len(pairs))
    multiplier = rng.choice([1.0, 0.5, 0.25], n_entities)
    entity_ids = (held[:, 1] + 1).tolist()
    return {
        "items": item_rows(list(range(n_items))),
        "users": rows(
            "users", user_id=range(n_users), external_id=[f"u{i:03d}" for i in range(n_users)]
        ),
        "interactions": rows(
            "interactions",
            user_id=pairs[:, 0],
            item_id=pairs[:, 1],
            at=FIRST_DAY + rng.integers(0, 400 * 86_400_000_000, len(pairs)),
            rating=rating,
            positive=rating >= 4,
        ),
        "entities": entity_rows("entities", list(range(1, n_entities + 1)), "wikidata"),
        "custom_entities": entity_rows("custom_entities", [], "brand"),
        "mentions": CATALOGUE["mentions"].empty_table(),
        "item_entities": rows(
            "item_entities",
            item_id=held[:, 0],
            entity_id=entity_ids,
            n_mentions=[1] * len(held),
            score=[1.0] * len(held),
            weight=multiplier[held[:, 1]],
        ),
    }


def weights_in_numpy(
    tables, k_star=5.0, half_life_days=None, *, wanted=lambda rating: rating >= 4, basis=None
):
    """Return equation 7 for all users, shape (users, entities); `basis` is (N, n_e of each entity) if not theirs."""
    events = {
        name: tables["interactions"][name].to_numpy()
        for name in ("user_id", "item_id", "rating", "at")
    }
    item, entity, weight = (
        tables["item_entities"][n].to_numpy() for n in ("item_id", "entity_id", "weight")
    )
    held = np.zeros((tables["items"].num_rows, tables["entities"].num_rows))
    held[item, entity - 1] = weight
    age = (events["at"].max() - events["at"]) / np.timedelta64(1, "us") / 86_400_000_000
    share = (
        np.ones(len(age))
        if half_life_days is None
        else 2.0 ** -np.minimum(age / half_life_days, 30)
    )
    counts = np.zeros((tables["users"].num_rows, tables["items"].num_rows))
    counts[events["user_id"], events["item_id"]] = share * wanted(events["rating"])
    k = counts @ (held > 0)
    s = np.where(k < k_star, k, k_star * (1 + np.log(np.maximum(k, k_star) / k_star)))
    n_all, n_users = (counts > 0).any(axis=1).sum(), (k > 0).sum(axis=0)
    n_all, n_users = basis or (n_all, n_users)
    raw = s * held.max(axis=0) * np.log(n_all / np.maximum(n_users, 1))
    return raw / np.where(raw.sum(axis=1) > 0, raw.sum(axis=1), 1)[:, None]


def weights_of(store, table="user_entity"):
    """Return a store's weights as the same matrix."""
    found = store.read(table)
    dense = np.zeros((store.count("users"), store.count("entities")))
    dense[found["user_id"].to_numpy(), found["entity_id"].to_numpy() - 1] = found[
        "weight"
    ].to_numpy()
    return dense


def add(store, lines, folder, name="day.csv", config=None, items=()):
    """Add rows "user,item,rating" of the domain films, at one time."""
    path = Path(folder) / name
    text = "".join(f"{line},films,2021-02-03T04:05:06\n" for line in lines)
    path.write_text("user_id,item_id,rating,domain,timestamp\n" + text)
    return add_rows(store, list(items), [path], config or ImportConfig(), {"day": name})
