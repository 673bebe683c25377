"""Profiles made otherwise than usual, for ablations and controls; the model is told nothing.

In: a world, a split, what shall differ. Out: the data set with another `training.dataset.ProfileSource`.
"""

from dataclasses import replace
from enum import StrEnum
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.sparse import csr_array

from mekb.dataset import SplitWorld, World, dataset_of
from mekb.profile import ProfileScorer
from mekb.scoring import ScoringConfig
from training.controls import (
    ConstantText,
    RandomNames,
    RandomProfiles,
    ShuffledItems,
    SourceOnly,
    TitlesOnly,
)
from training.dataset import History, ProfileSource, TitleWeights
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
    text: bool = True
    """Whether the text says anything; else it is the same for all."""
    control: Control = Control.NONE


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
