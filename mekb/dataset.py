"""From the store's tables to what a recommender learns from: matrices, catalogues and profiles.

The split is made here, before anything is counted, so that the idf of the profiles knows training rows only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_array

from mekb.errors import UnknownError
from mekb.profile import EntityTable, ProfileScorer
from mekb.relations import one_hop
from mekb.scoring import NeighbourConfig, ScoringConfig
from mekb.store import Store
from mekb.twins import TwinConfig, source_twins
from training.dataset import Catalogue, Dataset, Events, HeldOut, keep_entries, with_events
from training.split_config import SplitConfig
from training.splits import Split, Times, make_split

ENTITY_ROWS_SQL = """
with named as (
    select entity_id, title, kind from entities
    union all
    select entity_id, title, kind from custom_entities
),
held as (
    select entity_id, max(weight) as multiplier from item_entities group by entity_id
)
select held.entity_id, named.title, named.kind, cast(held.multiplier as double) as multiplier
from held join named on held.entity_id = named.entity_id
order by held.entity_id
"""


NO_ENTITIES_SQL = """
select cast(0 as uinteger) as entity_id, '' as title, '' as kind, cast(1 as double) as multiplier where false
"""


@dataclass(frozen=True)
class World:
    """Everything a store knows about items and users, as matrices; no split yet."""

    user_ids: npt.NDArray[np.uint32]
    user_names: list[str]
    catalogues: Mapping[str, Catalogue]
    item_names: Mapping[str, list[str]]
    """Domain -> external ids, in row order."""
    interactions: Mapping[str, csr_array]
    """Domain -> (users, items): positive interactions."""
    entities: EntityTable
    """Titles and multipliers; nothing is counted yet."""
    item_entities: Mapping[str, csr_array]
    """Domain -> (items, entities)."""
    events: Mapping[str, Events] | None = None
    """Domain -> its interactions one by one, positive or not."""
    neighbours: NeighbourConfig = field(default_factory=NeighbourConfig)
    """Whether profiles hold what is inferred from interests (`mekb.neighbours.with_neighbours`)."""
    factors: pa.Table | None = None
    """How much of an interest passes to each neighbour (`mekb.relations`), where they do."""


@dataclass(frozen=True)
class SplitWorld:
    """A data set of training rows and its held-out test users."""

    data: Dataset
    test: HeldOut
    profiles: ProfileScorer


def load_world(store: Store, domains: tuple[str, ...], *, linked: bool = True) -> World:
    """Read the named domains of a store, in that order.

    Args:
        store: The store.
        domains: Names.
        linked: Whether entities are read; a split needs none.

    Raises:
        UnknownError: a table or a domain is not there.
    """
    store.require("items", "users", "interactions", hint="import your data with 'mekb data import'")
    if linked:
        store.require("item_entities", hint="link the items with 'mekb link'")
    found = [
        row[0] for row in store.connection.execute("select distinct domain from items").fetchall()
    ]
    for domain in domains:
        if domain not in found:
            raise UnknownError(
                f"no domain '{domain}' in {store.path}; it holds {', '.join(sorted(found))}"
            )
    users = store.read("users")
    entities = store.query(ENTITY_ROWS_SQL if linked else NO_ENTITIES_SQL)
    entity_ids = entities["entity_id"].to_numpy()
    items = {domain: _items_of(store, domain) for domain in domains}
    return World(
        user_ids=users["user_id"].to_numpy(),
        user_names=users["external_id"].to_pylist(),
        catalogues={
            domain: Catalogue(
                domain,
                table["item_id"].to_numpy(),
                table["title"].to_pylist(),
                table["written"].to_pylist(),
            )
            for domain, table in items.items()
        },
        item_names={domain: table["external_id"].to_pylist() for domain, table in items.items()},
        interactions={
            domain: _pairs(
                store, LIKED_SQL, domain, users["user_id"].to_numpy(), table["item_id"].to_numpy()
            )
            for domain, table in items.items()
        },
        entities=EntityTable(
            entity_ids=entity_ids,
            titles=entities["title"].to_pylist(),
            kinds=entities["kind"].to_pylist(),
            multipliers=entities["multiplier"].to_numpy(),
            n_users=np.zeros(len(entity_ids), dtype=np.int64),
            n_all=0,
        ),
        item_entities={
            domain: _pairs(store, HOLDS_SQL, domain, table["item_id"].to_numpy(), entity_ids)
            if linked
            else csr_array((table.num_rows, 0), dtype=np.float32)
            for domain, table in items.items()
        },
        events={
            domain: _events(store, domain, users["user_id"].to_numpy(), table["item_id"].to_numpy())
            for domain, table in items.items()
        },
    )


ITEMS_SQL = """
select
    item_id, external_id, title,
    concat_ws('. ', title, brand, nullif(text, ''), nullif(array_to_string(categories, ', '), '')) as written
from items
where domain = $domain
order by item_id
"""

LIKED_SQL = """
select interactions.user_id as row_id, interactions.item_id as column_id
from interactions join items using (item_id)
where interactions.positive and items.domain = $domain
"""

EVENTS_SQL = """
select
    interactions.user_id, interactions.item_id,
    coalesce(interactions.rating, 'nan'::float) as rating,
    coalesce(epoch_us(interactions.at), 0) as at_us
from interactions join items using (item_id)
where items.domain = $domain
"""

HOLDS_SQL = """
select item_entities.item_id as row_id, item_entities.entity_id as column_id
from item_entities join items using (item_id)
where items.domain = $domain
"""


def _items_of(store: Store, domain: str) -> pa.Table:
    return store.query(ITEMS_SQL, {"domain": domain})


def _pairs(
    store: Store,
    query: str,
    domain: str,
    row_ids: npt.NDArray[np.uint32],
    column_ids: npt.NDArray[np.uint32],
) -> csr_array:
    """Return a 0/1 matrix of the pairs a query gives; both id arrays are sorted."""
    pairs = store.query(query, {"domain": domain})
    rows = np.searchsorted(row_ids, pairs["row_id"].to_numpy())
    columns = np.searchsorted(column_ids, pairs["column_id"].to_numpy())
    ones = np.ones(pairs.num_rows, dtype=np.float32)
    matrix = csr_array((ones, (rows, columns)), shape=(len(row_ids), len(column_ids)))
    matrix.sort_indices()
    return matrix


def without_twins(world: World, store: Store, target: str, split: SplitConfig) -> World:
    """Return the world without the interactions with source items that are target items under another id.

    They stay in the catalogues, as items nobody touched, so that rows are the same with them and without.

    Args:
        world: What `load_world` read from the store.
        store: It holds who bought what, titles and texts.
        target: The target domain.
        split: `drop_twins` switches it, `min_twin_buyers` sets the evidence.
    """
    if not split.drop_twins:
        return world
    sources = [domain for domain in world.catalogues if domain != target]
    found = source_twins(
        store.connection, sources, target, TwinConfig(min_buyers=split.min_twin_buyers)
    )
    interactions, events = dict(world.interactions), dict(world.events or {})
    for domain, item_ids in found.items():
        is_twin = np.isin(world.catalogues[domain].item_ids, item_ids.to_numpy())
        matrix = interactions[domain]
        interactions[domain] = keep_entries(matrix, ~is_twin[matrix.indices])
        if domain in events:
            events[domain] = events[domain].where(~is_twin[events[domain].item_rows])
    return replace(world, interactions=interactions, events=events or None)


def _events(
    store: Store,
    domain: str,
    user_ids: npt.NDArray[np.uint32],
    item_ids: npt.NDArray[np.uint32],
) -> Events:
    """Return the interactions of a domain one by one; both id arrays are sorted."""
    found = store.query(EVENTS_SQL, {"domain": domain})
    return Events.ordered(
        np.searchsorted(user_ids, found["user_id"].to_numpy()).astype(np.int64),
        np.searchsorted(item_ids, found["item_id"].to_numpy()).astype(np.int64),
        found["rating"].to_numpy().astype(np.float32),
        found["at_us"].to_numpy().astype(np.int64),
    )


def split_world(
    world: World, target: str, split: SplitConfig, scoring: ScoringConfig
) -> SplitWorld:
    """Hold out cold-start users of the target domain; profiles count what is left.

    Args:
        world: All interactions.
        target: The target domain; the others are sources.
        split: Which fold of the overlapping users is the test, and how many validate.
        scoring: Settings of the interest score.
    """
    times = times_of(world) if split.needs_times else None
    return dataset_of(world, target, make_split(world.interactions, target, split, times), scoring)


def dataset_of(world: World, target: str, parts: Split, scoring: ScoringConfig) -> SplitWorld:
    """Return what a split's training rows make: the data set, its profiles, and the test users."""
    hop = None
    if world.factors is not None:
        hop = one_hop(world.factors, world.entities.entity_ids, world.neighbours)
    profiles = ProfileScorer.learn(world.entities, world.item_entities, parts.train, scoring, hop)
    data = Dataset(
        user_ids=world.user_ids,
        catalogues=world.catalogues,
        interactions=parts.train,
        target=target,
        profiles=profiles,
        valid=parts.valid,
    )
    if world.events is None:
        return SplitWorld(data, parts.test, profiles)
    events = _known_events(world, parts)
    whole = with_events(data, parts.test, events, world.interactions, parts.newcomers)
    return SplitWorld(*whole, profiles)


def _known_events(world: World, parts: Split) -> Mapping[str, Events]:
    """Return the events, less those a split by time may not know: low ratings given too late, or unknown when."""
    assert world.events is not None
    if not parts.before:
        return world.events
    return {
        domain: events.where(
            events.stored_in(world.interactions[domain])
            | ((events.at != 0) & (events.at < parts.before[domain][events.user_rows] * 1e6))
        )
        if domain in parts.before
        else events
        for domain, events in world.events.items()
    }


def times_of(world: World) -> Times | None:
    """Return the time of each stored interaction, in seconds since 1970; None where no times are loaded."""
    if world.events is None:
        return None
    found: dict[str, npt.NDArray[np.float64]] = {}
    for domain, events in world.events.items():
        matrix = world.interactions[domain]
        n_items = matrix.shape[1]
        own = events.user_rows * n_items + events.item_rows
        order = np.argsort(own)
        entry = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * n_items
        at = events.at[order[np.searchsorted(own[order], entry + matrix.indices)]]
        found[domain] = np.where(at == 0, np.nan, at / 1e6)
    return found
