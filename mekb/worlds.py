"""The world a split is made in: a store's domains without what the split's settings leave out.

In: a store, a route, the settings of a split. Out: a `World` whose positives are those the settings mean, without
the source items that are target items under another id, and without users and items that have too few
positives (paper 002, appendix A: 5 and 50). Items that are left out leave their catalogue too: they are no
candidates.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from mekb.dataset import World, load_world, without_twins
from mekb.store import Store
from training.dataset import Events, keep_entries
from training.parts import core
from training.split_config import SplitConfig


def world_of(
    store: Store, sources: Sequence[str], target: str, split: SplitConfig, *, linked: bool = True
) -> World:
    """Read the domains of a route as the split's settings want them, entities only where `linked`.

    Raises:
        UnknownError: a table or a domain is not there.
    """
    world = without_twins(
        load_world(store, (*sources, target), linked=linked), store, target, split
    )
    return frequent(with_positives(world, split.positive_from), *split.least)


def with_positives(world: World, positive_from: float | None) -> World:
    """Return the world with the ratings from `positive_from` on as positives; as imported where it is None."""
    if positive_from is None or world.events is None:
        return world
    return replace(
        world,
        interactions={
            domain: _rated(events, positive_from, world.interactions[domain].shape)
            for domain, events in world.events.items()
        },
    )


def _rated(events: Events, positive_from: float, shape: tuple[int, int]) -> csr_array:
    liked = events.where(events.ratings >= positive_from)
    ones = np.ones(len(liked), dtype=np.float32)
    matrix = csr_array((ones, (liked.user_rows, liked.item_rows)), shape=shape)
    matrix.sort_indices()
    return matrix


def frequent(world: World, least_of_user: int, least_of_item: int) -> World:
    """Return the world of users and items with so many positives in a domain, counted until none is dropped."""
    if least_of_user <= 1 and least_of_item <= 0:
        return world
    kept = {
        domain: keep_entries(matrix, core(matrix, least_of_user, least_of_item))
        for domain, matrix in world.interactions.items()
    }
    items = {
        domain: np.flatnonzero(
            np.bincount(matrix.indices, minlength=matrix.shape[1]) >= least_of_item
        )
        for domain, matrix in kept.items()
    }
    return only_items(replace(world, interactions=kept), items)


def only_items(world: World, items: dict[str, npt.NDArray[np.int64]]) -> World:
    """Return the world with only the given item rows of each domain, in that order."""
    return replace(
        world,
        catalogues={domain: world.catalogues[domain].only(rows) for domain, rows in items.items()},
        item_names={
            domain: [world.item_names[domain][row] for row in rows]
            for domain, rows in items.items()
        },
        interactions={
            domain: _columns(world.interactions[domain], rows) for domain, rows in items.items()
        },
        item_entities={domain: world.item_entities[domain][rows] for domain, rows in items.items()},
        events=None
        if world.events is None
        else {domain: _events_of(world.events[domain], rows) for domain, rows in items.items()},
    )


def _columns(matrix: csr_array, columns: npt.NDArray[np.int64]) -> csr_array:
    taken: csr_array = csr_array(matrix[:, columns])
    taken.sort_indices()
    return taken


def _events_of(events: Events, item_rows: npt.NDArray[np.int64]) -> Events:
    n_rows = 1 + max(events.item_rows.max(initial=-1), item_rows.max(initial=-1))
    place = np.full(n_rows, -1, dtype=np.int64)
    place[item_rows] = np.arange(len(item_rows))
    own = events.where(place[events.item_rows] >= 0)
    return Events.ordered(own.user_rows, place[own.item_rows], own.ratings, own.at)
