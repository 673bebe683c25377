"""Profiles made otherwise than usual, for ablations and controls; the model is told nothing.

In: a world, a split, what shall differ. Out: the data set with another `training.dataset.ProfileSource`. What differs in
the world itself (whose links count, what is inferred, what entities are) is read from the store by `world_for`;
`check_variant` says in one line what the store lacks for it.
"""

from dataclasses import replace
from enum import StrEnum
from typing import Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict
from scipy.sparse import csr_array

from mekb.dataset import SplitWorld, World, dataset_of
from mekb.descriptions import check_descriptions, with_descriptions
from mekb.errors import UnknownError
from mekb.neighbours import with_neighbours
from mekb.profile import ProfileScorer
from mekb.relations import HINT
from mekb.scoring import NeighbourConfig, ScoringConfig
from mekb.store import Store
from training.controls import (
    ConstantText,
    RandomNames,
    RandomProfiles,
    ShuffledItems,
    SourceOnly,
    TitlesOnly,
)
from training.dataset import History, ProfileSource, TitleWeights, keep_entries
from training.splits import Split

WIKIDATA = "wikidata"


class Control(StrEnum):
    """What is put in the place of the knowledge graph."""

    NONE = "none"
    SHUFFLED = "shuffled"
    TITLES = "titles"
    RANDOM_NAMES = "random-names"
    RANDOM = "random"


class ProfileVariant(BaseModel):
    """How profiles differ from the usual ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    custom_entities: bool = True
    """Whether brands, categories, products and keywords count, beside Wikidata's entities."""
    order: Literal["weight", "frequency"] = "weight"
    """What the text is sorted by: the weight, or the number of items that hold the entity."""
    source_only: bool = False
    """Whether profiles leave out what was done in the target domain."""
    links: Literal["title", "ner", "dictionary"] | None = None
    """Whose links count, of those in the store; None all of them."""
    one_hop: bool = False
    """Whether profiles hold interests inferred one hop further; where `neighbours.in_profiles` is on already, whether
    they do not."""
    descriptions: bool = False
    """Whether texts say what each entity is, behind its title; where `train.descriptions` is on already, whether they
    do not."""
    text: bool = True
    """Whether the text says anything; else it is the same for all."""
    control: Control = Control.NONE

    @property
    def tables(self) -> tuple[str, ...]:
        """What is read of a store beside what every model is made from."""
        wanted = {"mentions": self.links is not None, "relations": self.one_hop}
        return tuple(table for table, is_read in wanted.items() if is_read)


DETECTORS_SQL = "select distinct detector from mentions order by detector"
LOST_SQL = """
select item_id, entity_id from mentions
group by item_id, entity_id having not bool_or(detector = $detector)
"""
"""Entities of items that a detector has not found there, but another has."""


def check_variant(store: Store, variant: ProfileVariant) -> None:
    """Refuse a variant that asks for what a store does not hold.

    Raises:
        UnknownError: it has no link of the detector, no relations, or no descriptions.
    """
    if variant.links is not None:
        store.require("mentions", hint=f"link the items with 'mekb link {store.path}'")
        there = store.query(DETECTORS_SQL)["detector"].to_pylist()
        if variant.links not in there:
            raise UnknownError(
                f"{store.path}: no mention was found by '{variant.links}'"
                f" (there: {', '.join(there) or 'none'}); link the items with that detector"
            )
    if variant.one_hop:
        store.require("relations", hint=HINT.format(store=store.path))
    if variant.descriptions:
        check_descriptions(store)


def world_for(
    world: World, store: Store, variant: ProfileVariant, neighbours: NeighbourConfig
) -> World:
    """Return the world with what a variant wants of the store.

    Args:
        world: As read, with neighbours and descriptions in it where they are switched on.
        store: It was read from.
        variant: How profiles shall differ.
        neighbours: Settings of what is inferred.

    Raises:
        UnknownError: the store does not hold it.
    """
    check_variant(store, variant)
    is_described = (world.entities.descriptions is not None) != variant.descriptions
    if variant.links is not None:
        world = _linked_by(world, store, variant.links)
    if variant.one_hop and neighbours.in_profiles:
        world = replace(world, factors=None)
    elif variant.one_hop:
        world = with_neighbours(world, store, neighbours.model_copy(update={"in_profiles": True}))
    if is_described:
        return with_descriptions(world, store)
    return replace(world, entities=replace(world.entities, descriptions=None))


def _linked_by(world: World, store: Store, detector: str) -> World:
    """Return the world with the links of one detector, and with what items name themselves."""
    lost = store.query(LOST_SQL, {"detector": detector})
    return replace(
        world,
        item_entities={
            domain: _without_pairs(
                matrix, world.catalogues[domain].item_ids, world.entities.entity_ids, lost
            )
            for domain, matrix in world.item_entities.items()
        },
    )


def _without_pairs(
    held: csr_array, item_ids: np.ndarray, entity_ids: np.ndarray, lost: pa.Table
) -> csr_array:
    """Return a matrix of items and entities without the pairs of a table of their ids."""
    rows = np.repeat(np.arange(held.shape[0]), np.diff(held.indptr))
    own = item_ids[rows].astype(np.uint64) << 32 | entity_ids[held.indices]
    gone = lost["item_id"].to_numpy().astype(np.uint64) << 32 | lost["entity_id"].to_numpy()
    return keep_entries(held, ~np.isin(own, gone))


class FrequencyOrder:
    """Profiles whose texts are sorted by how many of the user's items hold an entity."""

    def __init__(self, scorer: ProfileScorer) -> None:
        self._scorer = scorer

    def texts(self, histories: History) -> list[str]:
        """Return the titles by falling count."""
        return self.weighted_texts(histories)[0]

    def weighted_texts(self, histories: History) -> tuple[list[str], TitleWeights]:
        """Return the titles by falling count, and the counts as their weights."""
        counts = sum(
            (histories[domain] > 0).astype(np.float64) @ self._scorer.item_entities[domain]
            for domain in histories
        )
        return self._scorer.weighted_texts_of(csr_array(counts))

    def interests(self, histories: History) -> csr_array:
        """Return the numbers as they are."""
        return self._scorer.interests(histories)


def varied(
    world: World,
    target: str,
    split: Split,
    scoring: ScoringConfig,
    variant: ProfileVariant,
    *,
    seed: int = 0,
) -> SplitWorld:
    """Return what a split's training rows make, with profiles of `variant`.

    Args:
        world: What the split was made of.
        target: The target domain.
        split: The training rows and the held-out users.
        scoring: Settings of the interest score.
        variant: How profiles differ.
        seed: Of the controls' luck.
    """
    if not variant.custom_entities:
        kept = np.array([kind == WIKIDATA for kind in world.entities.kinds], dtype=bool)
        entities = {name: _only_columns(one, kept) for name, one in world.item_entities.items()}
        world = replace(world, item_entities=entities)
    made = dataset_of(world, target, split, scoring)
    source = _controlled(made, variant, seed)
    if variant.source_only:
        source = SourceOnly(source, target)
    if not variant.text:
        source = ConstantText(source)
    return replace(made, data=replace(made.data, profiles=source))


def _controlled(made: SplitWorld, variant: ProfileVariant, seed: int) -> ProfileSource:
    """Return the profiles in the order asked for, or what a control puts in their place."""
    scorer, catalogues = made.profiles, made.data.catalogues
    source: ProfileSource = FrequencyOrder(scorer) if variant.order == "frequency" else scorer
    match variant.control:
        case Control.NONE:
            return source
        case Control.SHUFFLED:
            n_items = {domain: len(one) for domain, one in catalogues.items()}
            return ShuffledItems.of(source, n_items, seed)
        case Control.TITLES:
            return TitlesOnly({name: one.titles for name, one in catalogues.items()})
        case Control.RANDOM_NAMES:
            return RandomNames(source, seed)
        case Control.RANDOM:
            return RandomProfiles.of(source, made.data.interactions, seed)


def _only_columns(matrix: csr_array, kept: np.ndarray) -> csr_array:
    """Return `matrix` with nothing stored in the other columns."""
    only = matrix.copy()
    only.data = only.data * kept[only.indices]
    only.eliminate_zeros()
    return csr_array(only)
