"""Profiles: histories of items turned into weighted entities, and those into the text a model reads.

A profile is a pure function of the history it is given and of what was learned from training rows (the
idf). The text is the entities' unambiguous titles by falling weight, joined by " [SEP] " (paper 002,
section 3.2.2); the encoder cuts it at its own number of tokens. Where a table of entities holds what each one is,
the text says so in brackets: "Heat (1995 film) (American crime film)".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_array

from alias_tables.schema import CUSTOM_ID_BASE, PAGE_ID_BASE
from mekb.errors import ConfigError
from mekb.one_hop import OneHop
from mekb.scoring import ScoringConfig, interest_weights, inverse_user_frequency
from training.dataset import TitleWeights

SEPARATOR = " [SEP] "
"""BERT's separator between entities (paper 002, section 3.2.2)."""
TASTE_WEIGHTS = {"wikidata": 0.3, "brand": 0.3, "category": 0.0, "product": 1.0, "keyword": 0.3}
"""Weight of each kind in the numbers a taste map reads, in place of the paper's (1, 0.5, 0.3, 0.1): a model of
what goes together gains most from the products themselves, a reader of titles from names. Ours, from fold 0 of
Amazon-KG in both directions: NDCG@10 .1176 and .0949 with these, .1122 and .0902 with the paper's."""
MAX_ENTITIES = 128
"""Entities kept in a text: 256 tokens hold at most 127 titles of one token and its separator."""

DESCRIPTION_WORDS = 12
"""Words of a description that stand in a text: Wikidata's are as short, of a first sentence it is what says most."""

PROFILE_TEXT_SQL = """
with entries as (
    select scored_interests.user_id, scored_interests.rank, titles.title
    from scored_interests join titles on scored_interests.entity_id = titles.entity_id
)
select user_id,
       string_agg(title, $separator order by rank) filter (where rank <= $max_entities) as text,
       count(*) as n_entities,
       count(*) filter (where rank > $max_entities) as n_cut
from entries group by user_id
"""
"""Rows of `profiles` from `scored_interests` (rows of `user_entity`) and `titles` (entity_id, title); parameters
$separator and $max_entities."""


@dataclass(frozen=True)
class EntityTable:
    """The entities a profile may hold, in row order."""

    entity_ids: npt.NDArray[np.uint32]
    titles: Sequence[str]
    kinds: Sequence[str]
    """One of `alias_tables.schema.KINDS` each."""
    multipliers: npt.NDArray[np.float64]
    n_users: npt.NDArray[np.int64]
    """Users of the training rows who have the entity (n_e)."""
    n_all: int
    """Users of the training rows (N)."""
    descriptions: Sequence[str | None] | None = None
    """What each entity is, where texts are to say so."""

    @cached_property
    def names(self) -> Sequence[str]:
        """What a text calls each entity: its title, with what it is behind it where that is known and wanted."""
        if self.descriptions is None:
            return self.titles
        return [
            f"{title} ({short})" if (short := shortened(description)) else title
            for title, description in zip(self.titles, self.descriptions, strict=True)
        ]

    def idf(self, config: ScoringConfig) -> npt.NDArray[np.float64]:
        """Return idf of each entity, or ones where it is switched off."""
        if not config.use_idf:
            return np.ones(len(self.titles))
        return inverse_user_frequency(self.n_all, self.n_users)

    @cached_property
    def row_of(self) -> dict[int, int]:
        """Entity id -> row."""
        return {entity_id: row for row, entity_id in enumerate(self.entity_ids.tolist())}

    @cached_property
    def rows_by_name(self) -> dict[str | tuple[str, str], int]:
        """QID -> row, and (sort, title) -> row, the first of a title; sorts are "own", "page" and "numbered page"."""
        row_of: dict[str | tuple[str, str], int] = {}
        pairs = zip(self.entity_ids.tolist(), self.titles, strict=True)
        for row, (entity_id, title) in enumerate(pairs):
            if entity_id >= CUSTOM_ID_BASE:
                row_of.setdefault(("own", title), row)
            elif entity_id >= PAGE_ID_BASE:
                row_of.setdefault(("page", title), row)
            else:
                row_of[f"Q{entity_id}"] = row
                row_of.setdefault(("numbered page", title), row)
        return row_of

    @cached_property
    def taste_factors(self) -> npt.NDArray[np.float64]:
        """What puts `TASTE_WEIGHTS` in place of each entity's own multiplier."""
        kinds = np.array([TASTE_WEIGHTS[kind] for kind in self.kinds])
        return np.asarray(kinds / np.where(self.multipliers > 0, self.multipliers, 1))

    def to_arrow(self) -> pa.Table:
        """Return the table as stored in a bundle."""
        columns = {
            "entity_id": pa.array(self.entity_ids, pa.uint32()),
            "title": pa.array(self.titles, pa.string()),
            "kind": pa.array(self.kinds, pa.string()),
            "multiplier": pa.array(self.multipliers, pa.float64()),
            "n_users": pa.array(self.n_users, pa.int64()),
        }
        if self.descriptions is not None:
            columns["description"] = pa.array(self.descriptions, pa.string())
        return pa.table(columns)

    @classmethod
    def from_arrow(cls, table: pa.Table, n_all: int) -> "EntityTable":
        """Read back what `to_arrow` gave."""
        return cls(
            entity_ids=table["entity_id"].to_numpy(),
            titles=table["title"].to_pylist(),
            kinds=table["kind"].to_pylist(),
            multipliers=table["multiplier"].to_numpy(),
            n_users=table["n_users"].to_numpy(),
            n_all=n_all,
            descriptions=table["description"].to_pylist()
            if "description" in table.column_names
            else None,
        )


class ProfileScorer:
    """Scores histories; it is a `training.dataset.WeightedProfileSource`.

    Args:
        entities: The entities, with what was counted on training rows.
        item_entities: Domain -> matrix of shape (items of the domain, entities), 1 where the item holds it.
        config: k* and whether idf counts.
        one_hop: Where interest spreads to, for texts and numbers that hold what is inferred too
            (`neighbours.in_profiles`); None for the user's own interests alone, as the paper has it.

    Raises:
        ConfigError: the configuration asks for decay, which needs times and histories have none.
    """

    def __init__(
        self,
        entities: EntityTable,
        item_entities: Mapping[str, csr_array],
        config: ScoringConfig,
        one_hop: OneHop | None = None,
    ) -> None:
        if config.half_life_days is not None:
            raise ConfigError(
                "scoring.half_life_days: training, bundles and recommendations count every interaction alike;"
                " leave it unset (only 'mekb profiles' knows decay)"
            )
        self.entities = entities
        self.item_entities = item_entities
        self.config = config
        self.one_hop = one_hop
        self.idf = entities.idf(config)

    @classmethod
    def learn(
        cls,
        entities: EntityTable,
        item_entities: Mapping[str, csr_array],
        training: Mapping[str, csr_array],
        config: ScoringConfig,
        one_hop: OneHop | None = None,
    ) -> "ProfileScorer":
        """Count N and n_e on training rows (domain -> (users, items)) and return the scorer."""
        counts = _entity_counts(training, item_entities)
        active = sum((np.diff(matrix.indptr) for matrix in training.values()), start=np.zeros(1))
        counted = replace(
            entities,
            n_users=np.bincount(counts.indices, minlength=len(entities.titles)).astype(np.int64),
            n_all=int(np.count_nonzero(active)),
        )
        return cls(counted, item_entities, config, one_hop)

    def weights(self, histories: Mapping[str, csr_array]) -> csr_array:
        """Return the MeKB of each history: shape (users, entities), rows summing to 1 or empty.

        These are the user's own interests; `texts_of` and `interests_of` add what is inferred, if anything is.
        """
        return self.weights_of_counts(_entity_counts(histories, self.item_entities))

    def weights_of_counts(self, counts: csr_array) -> csr_array:
        """Return the MeKB of counts k, shape (users, entities); interests named directly count 1."""
        return interest_weights(counts, self.entities.multipliers, self.idf, self.config.k_star)

    def interests(self, histories: Mapping[str, csr_array]) -> csr_array:
        """Return the MeKBs of histories with the kinds weighed for the taste map: see `interests_of`."""
        return self.interests_of(self.weights(histories))

    def interests_of(self, weights: csr_array) -> csr_array:
        """Return rows of weights with `TASTE_WEIGHTS` in place of the kinds' multipliers; not normalised."""
        interests = self._read(
            weights
        ).copy()  # else taking zeros out would move the indices of both
        interests.data = interests.data * self.entities.taste_factors[interests.indices]
        interests.eliminate_zeros()
        return interests

    def texts(self, histories: Mapping[str, csr_array]) -> list[str]:
        """Return the profile text of each history; "" where nothing is known."""
        return self.texts_of(self.weights(histories))

    def weighted_texts(self, histories: Mapping[str, csr_array]) -> tuple[list[str], TitleWeights]:
        """Return the profile texts with what each of their titles weighs."""
        return self.weighted_texts_of(self.weights(histories))

    def texts_of(self, weights: csr_array) -> list[str]:
        """Return titles by falling weight, ties by entity row, for each row of weights."""
        return self.weighted_texts_of(weights)[0]

    def weighted_texts_of(self, weights: csr_array) -> tuple[list[str], TitleWeights]:
        """Return the texts of rows of weights, and the weights of their titles."""
        weights = self._read(weights)
        rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
        order = np.lexsort((weights.indices, -weights.data, rows))
        entities, heavy = weights.indices[order], weights.data[order].astype(np.float32)
        names = self.entities.names
        parts = [
            slice(start, min(stop, start + MAX_ENTITIES))
            for start, stop in zip(weights.indptr[:-1], weights.indptr[1:], strict=True)
        ]
        texts = [SEPARATOR.join(names[row] for row in entities[part]) for part in parts]
        return texts, [heavy[part] for part in parts]

    def _read(self, weights: csr_array) -> csr_array:
        """Return what a model reads of MeKBs: with what is inferred beside it, where that is switched on."""
        return weights if self.one_hop is None else self.one_hop.beside(weights)


def shortened(description: str | None) -> str:
    """Return what of a description stands in a text: its first words, without what separates titles there.

    >>> shortened("1995 film by Michael Mann."), shortened(None)
    ('1995 film by Michael Mann', '')
    """
    words = (description or "").replace(SEPARATOR.strip(), " ").split()
    return " ".join(words[:DESCRIPTION_WORDS]).rstrip(".,;:")


def _entity_counts(
    histories: Mapping[str, csr_array], item_entities: Mapping[str, csr_array]
) -> csr_array:
    """Return k: for each history and entity, the number of items that hold it."""
    products = [
        (histories[domain] > 0).astype(np.float64) @ item_entities[domain]
        for domain in histories
        if domain in item_entities
    ]
    total = products[0]
    for product in products[1:]:
        total = total + product
    counts = csr_array(total)
    counts.eliminate_zeros()
    return counts
