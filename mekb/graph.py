"""One user's MeKB as an object: interests with their weights, each with the evidence it came from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from alias_tables.schema import PAGE_ID_BASE

Origin: TypeAlias = Literal["derived", "inferred", "added", "pinned"]
"""Where an interest is from: the items a person liked, other interests of theirs (`mekb.neighbours`), or their
own hand (`mekb.effective`)."""


@dataclass(frozen=True)
class Evidence:
    """One mention (or one named attribute) of one item the user liked."""

    item: str
    """The item's external id."""
    domain: str
    title: str
    """The item's title."""
    field: str
    """ "title" or "text" for a mention; "brand", "categories" or "product" for a custom entity."""
    start: int
    stop: int
    surface: str
    score: float
    """P(e|m) of the link; 1.0 for a custom entity."""


@dataclass(frozen=True)
class Interest:
    """One entity of a user's MeKB (paper 002, eqs. 4-7)."""

    entity_id: int
    title: str
    label: str
    kind: str
    n_items: int
    """k: interactions with an item that holds the entity."""
    n_users: int
    """n_e: users who have the entity."""
    tf: float
    """s(k) times the kind's multiplier."""
    idf: float
    weight: float
    """tf * idf over the user's sum; a user's weights sum to 1."""
    rank: int
    evidence: tuple[Evidence, ...] = ()
    origin: Origin = "derived"
    sources: tuple[int, ...] = ()
    """Entity ids of the interests an inferred one is from, by their rank."""
    iri: str | None = None
    """What the user's own knowledge graph calls the entity."""

    @property
    def edited(self) -> bool:
        """Whether its weight is what the person stated."""
        return self.origin in {"added", "pinned"}

    @property
    def qid(self) -> str | None:
        """The Wikidata id, or None for an entity that has none."""
        return (
            f"Q{self.entity_id}"
            if self.kind == "wikidata" and self.entity_id < PAGE_ID_BASE
            else None
        )


@dataclass(frozen=True)
class UserGraph:
    """A user and their interests by falling weight; empty when nothing could be linked."""

    user: str
    """The user's external id."""
    interests: tuple[Interest, ...]
    run_id: str | None = None
    """The run that scored it, for provenance."""


def inferred_behind(
    own: Sequence[Interest], rows: Iterable[Mapping[str, Any]]
) -> tuple[Interest, ...]:
    """Return interests with what was inferred from them behind them: marked, and ranked on.

    Profiles may have been updated since: what has become the user's own is not inferred any more, nor is what
    was inferred from interests that are gone.

    Args:
        own: The user's own interests.
        rows: Inferred ones by rank: entity_id, title, label, kind, n_users, weight, and in `sources` the entities
            they were inferred from.
    """
    ranks = {one.entity_id: one.rank for one in own}
    standing = (
        row for row in rows if row["entity_id"] not in ranks and ranks.keys() & row["sources"]
    )
    inferred = (
        Interest(
            **{name: row[name] for name in ("entity_id", "title", "label", "kind", "n_users")},
            n_items=0,
            tf=0.0,
            idf=0.0,
            weight=row["weight"],
            rank=rank,
            origin="inferred",
            sources=tuple(sorted(ranks.keys() & row["sources"], key=ranks.__getitem__)),
        )
        for rank, row in enumerate(standing, start=len(own) + 1)
    )
    return (*own, *inferred)
