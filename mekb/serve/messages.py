"""The shapes of questions and answers over HTTP; the OpenAPI document is made of them.

Questions refuse what they do not know, and numbers written as texts. Offsets are code points of the named field
of the named item, or of the text that was sent.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(min_length=1, max_length=500)]
"""A QID, a title, a name, an item's id."""
EntityId = Annotated[
    int, Field(ge=1, le=2**32 - 1, description="The number in Q42; above 2e9 our own.")
]
MAX_HISTORY = 10_000
MAX_INTERESTS = 1_000
MAX_TEXT = 20_000
MAX_K = 1_000


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class GivenInterest(_Question):
    """An interest by its entity or by a name of it, with the weight it shall have."""

    entity_id: EntityId | None = None
    name: Name | None = None
    weight: float | None = Field(default=None, gt=0, le=1e6, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.entity_id is None) == (self.name is None):
            raise ValueError("give an entity_id or a name")
        return self


class Who(_Question):
    """Whom it is about: a history, interests, or a text; or weighted interests over a history or a text.

    Weighted interests are taken as the whole profile, made to sum to 1: so a profile that was shown can be sent
    back with interests removed, added or weighed anew. What it is laid over says what was seen, and is the
    evidence.
    """

    history: Annotated[list[Name], Field(max_length=MAX_HISTORY)] | None = Field(
        default=None, description='Items, each as "ITEM" or "DOMAIN:ITEM".'
    )
    interests: Annotated[list[GivenInterest | Name], Field(max_length=MAX_INTERESTS)] | None = (
        Field(default=None, description="All with a weight, or none: then they count alike.")
    )
    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)] | None = Field(
        default=None, description="Words of their own; what they mention counts."
    )


class ProfileQuestion(Who):
    """What are the interests of such a person?"""

    max_evidence: int = Field(default=20, ge=0, le=1_000, description="Places told an interest.")


class RecommendQuestion(Who):
    """What should such a person be recommended?"""

    k: int = Field(default=10, ge=1, le=MAX_K)
    explain: bool = True
    blocked: list[Name] = Field(default=[], max_length=MAX_HISTORY)
    categories: list[Name] = Field(
        default=[], max_length=100, description="Only items of these categories or brands."
    )
    seen: bool = Field(
        default=False,
        description="Whether items of the history or among the interests may come again.",
    )


class ExplainQuestion(Who):
    """Why does an item score for such a person as it does?"""

    item: Name = Field(description="The id of an item of the target domain.")


class LinkQuestion(_Question):
    """Which entities does a text mention?"""

    text: Annotated[str, StringConstraints(max_length=MAX_TEXT)]


class Evidence(_Answer):
    """One place an interest comes from."""

    item: str | None = Field(description="Its id; null for the person's own words.")
    domain: str | None
    item_title: str | None
    field: str = Field(
        description='"title", "text", "brand" or "categories" of an item; "written" in the text that was sent;'
        ' "interest" for one that was named.'
    )
    start: int
    stop: int
    surface: str
    prior: float = Field(description="P(entity | surface); 1 for what an item itself names.")


class Interest(_Answer):
    """One entity of a profile."""

    entity_id: int
    qid: str | None
    title: str
    kind: str
    weight: float = Field(description="The weights of a profile sum to 1.")
    rank: int
    evidence: list[Evidence]
    n_evidence: int


class Profile(_Answer):
    """The interests of a person, by falling weight."""

    bundle: str = Field(description="The digest of the bundle that answered.")
    interests: list[Interest]
    text: str = Field(description="What the encoder reads.")
    notes: list[str]


class Reason(_Answer):
    """What one interest gives to an item."""

    entity_id: int
    title: str
    contribution: float = Field(
        description="How much higher the item scores, against the mean item, than without the interest."
    )
    evidence: list[Evidence]
    n_evidence: int


class Recommendation(_Answer):
    """One recommended item."""

    rank: int
    item: str
    title: str
    score: float
    reasons: list[Reason]


class Recommendations(_Answer):
    """What is recommended to a person."""

    bundle: str
    target: str
    recommendations: list[Recommendation]
    fallback: str | None = Field(description='"popularity" where no interest was known.')
    notes: list[str]


class Explanation(_Answer):
    """Why one item scores as it does."""

    bundle: str
    item: str
    title: str
    score: float
    rank: int = Field(description="Among all items of the target domain.")
    n_items: int
    seen: bool
    reasons: list[Reason] = Field(
        description="Every interest tried, by the size of what it gives or takes."
    )
    fallback: str | None
    notes: list[str]


class Mention(_Answer):
    """One linked span of a text."""

    start: int
    stop: int
    surface: str
    entity_id: int
    qid: str | None
    title: str
    prior: float
    in_items: bool = Field(description="Whether an item holds it, so that it can be an interest.")


class Links(_Answer):
    """What a text mentions."""

    bundle: str
    mentions: list[Mention]


class Entity(_Answer):
    """An entity that items hold."""

    entity_id: int
    qid: str | None
    title: str
    kind: str
    n_users: int = Field(description="Users of the training rows who have it.")


class Entities(_Answer):
    """Entities found by their title."""

    bundle: str
    entities: list[Entity]
    more: bool = Field(description="Whether there are more than were asked for.")


class Item(_Answer):
    """An item of the bundle, which a history may name as "DOMAIN:ITEM"."""

    item: str = Field(description="Its id.")
    domain: str
    title: str
    n_users: int = Field(description="Users of the training rows who liked it.")


class Items(_Answer):
    """Items found by their title."""

    bundle: str
    items: list[Item]
    more: bool = Field(description="Whether there are more than were asked for.")


class Neighbour(_Answer):
    """An entity one relation away."""

    entity_id: int
    qid: str | None
    title: str
    predicate: str
    is_object: bool = Field(
        description="The statement is (neighbour, predicate, entity) and not the reverse."
    )
    in_items: bool


class Neighbours(_Answer):
    """What is related to an entity."""

    bundle: str
    entity_id: int
    title: str
    neighbours: list[Neighbour]
    more: bool


class BundleFacts(_Answer):
    """What is served."""

    bundle: str
    target: str
    sources: list[str]
    n_items: dict[str, int]
    n_entities: int
    n_users: int
    index: str
    written_at: str | None
    has_relations: bool


class State(_Answer):
    """Whether the server is there."""

    status: str


class Problem(_Answer):
    """What went wrong, in one line (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
