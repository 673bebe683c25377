"""Simulated users whose tastes are known: what they like is drawn over entities, from a seed.

In: items with their true entities. Out: users with true interests w_u (a distribution over 2 to 4
entities) and the interactions that follow from them. A user takes, in each domain they are active in, the
n items of highest utility

    U(u, i) = TASTE * sum_{e in E(i)} w_u(e) + POPULARITY * z(i) + Gumbel noise,

where E(i) are the entities of item i and z(i) is a standard normal popularity. With Gumbel noise the top n
are a draw without replacement from softmax(utility without noise) (Kool et al. 2019, "Stochastic Beams and
Where to Find Them"), so a user's choices are noisy but their taste is in them. The interests
are the same in all domains: what a reader's books say about them holds for films they have never rated.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from mekb.errors import SourceError
from mekb.sample.items import SampleItem

TASTE = 10.0
"""How strongly interests rule: an item about all of them is e^10 times likelier than one about none."""
POPULARITY = 0.6
"""Standard deviation of the popularity term."""
INTEREST_SKEW = 0.5
"""Interests are drawn with probability proportional to (items about the entity)^INTEREST_SKEW."""
MIN_INTERESTS, MAX_INTERESTS = 2, 4
MIN_LIKED, MAX_LIKED = 5, 12
"""Items taken in a domain."""
MAX_DISLIKED = 3
"""Random other items of a domain that are rated 1 to 3."""
MIN_ITEMS, MIN_DOMAINS = 4, 2
"""An interest is an entity that at least so many items, of at least so many domains, are about."""

COHORTS: Sequence[tuple[float, tuple[str, ...]]] = (
    (0.35, ("books", "films")),
    (0.15, ("books", "films", "music")),
    (0.25, ("books",)),
    (0.10, ("films", "music")),
    (0.10, ("films",)),
    (0.05, ("music",)),
)
"""Shares of users by the domains they are active in: half read and watch, a quarter only reads."""
ZERO_SHOT_TARGET = "films"
"""A user active elsewhere but not here is a zero-shot user."""

FIRST_SECOND, LAST_JOIN_SECOND, END_SECOND = 1_514_764_800, 1_672_531_200, 1_704_067_200
"""2018-01-01, 2023-01-01 and 2024-01-01 in seconds since 1970: users join in the first five years."""


@dataclass(frozen=True)
class Interaction:
    """One rating."""

    item_id: str
    domain: str
    rating: int
    timestamp: int
    """Seconds since 1970."""


@dataclass(frozen=True)
class SimulatedUser:
    """A user, their true interests and what they did, in the order of time."""

    user_id: str
    interests: tuple[tuple[str, float], ...]
    """(Wikidata id, weight) by falling weight; the weights sum to 1."""
    domains: tuple[str, ...]
    interactions: tuple[Interaction, ...]

    @property
    def zero_shot(self) -> bool:
        """Whether the user has done nothing in the target domain."""
        return ZERO_SHOT_TARGET not in self.domains


@dataclass(frozen=True)
class _World:
    """The items of each domain and the entities that can be interests, as arrays."""

    items: dict[str, list[SampleItem]]
    about: dict[str, Bool[np.ndarray, "entities items"]]
    popularity: dict[str, Float64[np.ndarray, " items"]]
    vocabulary: list[str]
    chances: Float64[np.ndarray, " entities"]


def interest_vocabulary(items: Sequence[SampleItem]) -> dict[str, int]:
    """Return the entities that can be interests with the number of items about each, in order of id.

    Raises:
        SourceError: There are fewer than MAX_INTERESTS, so that no user could be drawn.
    """
    counts = Counter(entity for item in items for entity in item.entities)
    pairs = {(entity, item.domain) for item in items for entity in item.entities}
    spread = Counter(entity for entity, _ in pairs)
    chosen = [e for e, n in counts.items() if n >= MIN_ITEMS and spread[e] >= MIN_DOMAINS]
    if len(chosen) < MAX_INTERESTS:
        raise SourceError(
            f"only {len(chosen)} entities are shared by {MIN_ITEMS} items of {MIN_DOMAINS} domains;"
            " add items about common themes"
        )
    return {entity: counts[entity] for entity in sorted(chosen, key=lambda e: int(e[1:]))}


def _world(items: Sequence[SampleItem], rng: np.random.Generator) -> _World:
    """Arrange the items by domain and draw their popularity."""
    vocabulary = interest_vocabulary(items)
    by_domain: dict[str, list[SampleItem]] = {}
    for item in items:
        by_domain.setdefault(item.domain, []).append(item)
    weights = np.array(list(vocabulary.values()), dtype=np.float64) ** INTEREST_SKEW
    return _World(
        items=by_domain,
        about={
            domain: np.array([[e in item.entities for item in group] for e in vocabulary])
            for domain, group in by_domain.items()
        },
        popularity={domain: rng.standard_normal(len(g)) for domain, g in by_domain.items()},
        vocabulary=list(vocabulary),
        chances=weights / weights.sum(),
    )


def _interests(world: _World, rng: np.random.Generator) -> Float64[np.ndarray, " entities"]:
    """Draw one user's interests: 2 to 4 entities, with weights that sum to 1."""
    n = int(rng.integers(MIN_INTERESTS, MAX_INTERESTS + 1))
    chosen = rng.choice(len(world.vocabulary), size=n, replace=False, p=world.chances)
    weights = np.zeros(len(world.vocabulary))
    weights[chosen] = rng.dirichlet(np.full(n, 5.0))
    return weights


def _choices(
    world: _World,
    domain: str,
    weights: Float64[np.ndarray, " entities"],
    rng: np.random.Generator,
) -> list[tuple[SampleItem, int]]:
    """Return the items a user takes in one domain, each with a rating: first liked, then disliked."""
    items = world.items[domain]
    appeal = weights @ world.about[domain]
    noise = rng.gumbel(size=len(items))
    order = np.argsort(-(TASTE * appeal + POPULARITY * world.popularity[domain] + noise))
    n_liked, n_disliked = rng.integers(MIN_LIKED, MAX_LIKED + 1), rng.integers(0, MAX_DISLIKED + 1)
    liked = [
        (items[row], int(rng.random() < (0.7 if appeal[row] > 0 else 0.3)) + 4)
        for row in order[:n_liked]
    ]
    others = rng.permutation(order[n_liked:])[:n_disliked]
    return liked + [(items[row], int(rng.integers(1, 4))) for row in others]


def _times(n: int, rng: np.random.Generator) -> Int64[np.ndarray, " n"]:
    """Draw n times in order, evenly between the day a user joined and the last day."""
    joined = int(rng.integers(FIRST_SECOND, LAST_JOIN_SECOND))
    return np.sort(rng.integers(joined, END_SECOND, size=n))


def _user(
    number: int, domains: tuple[str, ...], world: _World, rng: np.random.Generator
) -> SimulatedUser:
    """Draw one user."""
    weights = _interests(world, rng)
    taken = [choice for domain in domains for choice in _choices(world, domain, weights, rng)]
    order = rng.permutation(len(taken))
    interactions = tuple(
        Interaction(taken[row][0].item_id, taken[row][0].domain, taken[row][1], int(at))
        for row, at in zip(order, _times(len(taken), rng), strict=True)
    )
    held = [(world.vocabulary[row], float(weights[row])) for row in np.flatnonzero(weights)]
    return SimulatedUser(
        user_id=f"u{number:05d}",
        interests=tuple(sorted(held, key=lambda pair: -pair[1])),
        domains=domains,
        interactions=interactions,
    )


def simulate_users(items: Sequence[SampleItem], *, n_users: int, seed: int) -> list[SimulatedUser]:
    """Draw users; the shares of `COHORTS` are kept up to rounding, in a random order.

    Args:
        items: What there is to choose from.
        n_users: How many users.
        seed: Same seed, same users.

    Raises:
        SourceError: The items share too few entities, or a domain of `COHORTS` has no items.
    """
    rng = np.random.default_rng(seed)
    world = _world(items, rng)
    for domain in sorted({domain for _, domains in COHORTS for domain in domains}):
        if domain not in world.items:
            raise SourceError(f"no items of domain {domain!r}; there are {', '.join(world.items)}")
    bounds = np.cumsum([share for share, _ in COHORTS])
    positions = (rng.permutation(n_users) + 0.5) / max(n_users, 1)
    cohorts = np.minimum(np.searchsorted(bounds, positions), len(COHORTS) - 1)
    return [
        _user(number, COHORTS[cohort][1], world, rng)
        for number, cohort in enumerate(cohorts, start=1)
    ]
