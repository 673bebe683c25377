"""Where the nodes of a user's picture stand: user in the middle, interests beside them, items outside.

Each side is two columns of equal rows, bowed outwards half way down, so that level labels cannot overlap.
Interests with items in common stand side by side: they are chained greedily, each after the one it is most
like (Jaccard index of items), and the chain is cut near its middle where neighbours are least alike; the
first part goes down the left, the rest down the right. An item stands at the height of its interests.
Positions are in inches from the middle; nothing is random.
"""

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

from mekb.graph import Interest, UserGraph

ItemKey = tuple[str, str]
"""(domain, external id)."""

ITEMS_A_SIDE = 18
"""More rows than this would need smaller letters."""
INTEREST_ROW = 0.52
ITEM_ROWS = (0.34, 0.56)
"""Least and most height of an item's row; between them, items fill the height of the interests."""
INTEREST_COLUMN = (1.0, 0.9)
"""Distance of the interests from the middle: at the top and bottom row, and how much more half way."""
ITEM_COLUMN = (4.75, 0.45)
CUT_SLACK = 8
"""The chain of interests may be cut an eighth of its length away from its middle."""


@dataclass(frozen=True)
class Spot:
    """Where a node stands: inches from the middle, and on which side (1 right, -1 left)."""

    x: float
    y: float
    side: int


def network(graph: UserGraph, top: int) -> nx.Graph:
    """Return the part of a MeKB that is drawn, as a graph of entity ids and (domain, item) pairs.

    The `top` heaviest interests are kept, then items until both sides are full: in turn the strongest item
    of each interest, so that every interest keeps its best evidence, then those named by most weight.
    Item nodes have a `title`.
    """
    shown = sorted(graph.interests, key=lambda interest: interest.rank)[:top]
    weights: defaultdict[ItemKey, float] = defaultdict(float)
    titles: dict[ItemKey, str] = {}
    holders: dict[ItemKey, list[int]] = {}
    for interest in shown:
        for key, title in items_of(interest).items():
            weights[key] += interest.weight
            titles[key] = title
            holders.setdefault(key, []).append(interest.entity_id)
    first = [
        max(keys, key=lambda key: (weights[key], key)) for keys in map(items_of, shown) if keys
    ]
    rest = sorted(weights, key=lambda key: (-weights[key], key))
    net = nx.Graph()
    net.add_nodes_from(interest.entity_id for interest in shown)
    for key in itertools.islice(dict.fromkeys([*first, *rest]), 2 * ITEMS_A_SIDE):
        net.add_node(key, title=titles[key] or key[1])
        net.add_edges_from((entity_id, key) for entity_id in holders[key])
    return net


def items_of(interest: Interest) -> dict[ItemKey, str]:
    """Return the items of an interest's evidence with their titles."""
    return {(evidence.domain, evidence.item): evidence.title for evidence in interest.evidence}


def _chain(interests: Sequence[Interest], net: nx.Graph) -> list[Interest]:
    """Return the interests so that neighbours have items in common, starting from the heaviest."""
    rest = list(interests)
    ordered = rest[:1]
    del rest[:1]
    while rest:
        likeness = [_likeness(net, ordered[-1], interest) for interest in rest]
        ordered.append(rest.pop(likeness.index(max(likeness))))
    return ordered


def _cut(chain: Sequence[Interest], net: nx.Graph) -> int:
    """Return how many interests of a chain go left: about half, parting those that are least alike."""
    middle = math.ceil(len(chain) / 2)
    slack = len(chain) // CUT_SLACK
    places = range(max(1, middle - slack), min(len(chain), middle + slack + 1))
    return min(
        places,
        key=lambda place: (_likeness(net, chain[place - 1], chain[place]), abs(place - middle)),
        default=middle,
    )


def _likeness(net: nx.Graph, one: Interest, other: Interest) -> float:
    """Return the Jaccard index |both| / |either| of two interests' items."""
    items, others = set(net[one.entity_id]), set(net[other.entity_id])
    return len(items & others) / len(items | others) if items | others else 0.0


def _column(n_rows: int, row: float, side: int, bow: tuple[float, float]) -> list[Spot]:
    """Return the spots of one column from top to bottom, bowed outwards half way down."""
    near, depth = bow
    half = max(n_rows, 2) * row / 2
    heights = [(n_rows - 1) / 2 * row - place * row for place in range(n_rows)]
    return [
        Spot(x=side * (near + depth * math.sqrt(1 - (y / half) ** 2)), y=y, side=side)
        for y in heights
    ]


def interest_spots(interests: Sequence[Interest], net: nx.Graph) -> dict[int, Spot]:
    """Place interests, given by falling weight, in two columns; entity id -> spot."""
    chain = _chain(interests, net)
    n_left = _cut(chain, net)
    spots = [
        *_column(n_left, INTEREST_ROW, -1, INTEREST_COLUMN),
        *_column(len(chain) - n_left, INTEREST_ROW, 1, INTEREST_COLUMN),
    ]
    return {interest.entity_id: spot for interest, spot in zip(chain, spots, strict=True)}


def item_spots(interests: Mapping[int, Spot], net: nx.Graph) -> dict[ItemKey, Spot]:
    """Place items on the side and at the height of most of their interests, in rows of their own."""
    sides: dict[int, list[tuple[float, ItemKey]]] = {1: [], -1: []}
    keys = [key for key in net if isinstance(key, tuple)]
    lean = {key: sum(interests[entity].side for entity in net[key]) for key in keys}
    # The most one-sided choose first; a full side sends the others across.
    for key in sorted(keys, key=lambda key: (-abs(lean[key]), key)):
        wished = 1 if lean[key] > 0 else -1
        side = wished if len(sides[wished]) < ITEMS_A_SIDE else -wished
        near = [interests[entity].y for entity in net[key] if interests[entity].side == side]
        heights = near or [interests[entity].y for entity in net[key]]
        sides[side].append((math.fsum(heights) / len(heights), key))
    rows = Counter(spot.side for spot in interests.values())
    height = INTEREST_ROW * max(rows.values(), default=0)
    spots: dict[ItemKey, Spot] = {}
    for side, column in sides.items():
        ordered = [key for _, key in sorted(column, key=lambda entry: (-entry[0], entry[1]))]
        row = min(max(ITEM_ROWS[0], height / max(1, len(ordered))), ITEM_ROWS[1])
        places = _column(len(ordered), row, side, ITEM_COLUMN)
        spots |= dict(zip(ordered, places, strict=True))
    return spots
