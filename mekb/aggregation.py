"""The texts of `mekb.scoring` run on a store, in parts of users: user-item interaction aggregation (paper 002, 3.1.3).

    histories (a view) ──held, part by part──> held ──spread──> scored part by part ──> slices of the tables

A part is a range of user ids, so that memory holds one part at a time, however many users there are; parts
that fit the processor's caches are also quicker than one pass. idf is a property of all users: it is counted
between the two passes, or taken from the last scoring of everybody (`idf_basis`). Sums are exact, so that no
number of parts changes a bit.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any, Protocol, TypeAlias

from mekb.errors import ConfigError
from mekb.profile import MAX_ENTITIES, PROFILE_TEXT_SQL, SEPARATOR
from mekb.scoring import (
    ALL_USERS,
    HELD_SQL,
    POPULATION_SQL,
    SPREAD_SQL,
    USER_ENTITY_SQL,
    ScoringConfig,
)
from mekb.store import Rows, Store

MIN_PART_ROWS = 1 << 19
"""Interactions of a part that is worth a pass of its own (half a million: the quickest of 0.06 to 4 million)."""
EDGE_BYTES = 200
"""What scoring takes for each (interaction, entity) of a part, at most (measured)."""
MEMORY_SHARE = 0.25
"""Of the memory limit, for the part that is being scored; the rest caches tables and sorts what is written."""
N_BUCKETS = 4_096
"""Ranges of user ids whose rows are counted to cut parts of even size."""

HISTORIES_OF_ALL_SQL = "create or replace temp view histories as select * from main.interactions"
HISTORIES_OF_CHOSEN_SQL = """
create or replace temp table histories as
select interactions.* from main.interactions semi join temp.chosen_users using (user_id)
"""
"""The interactions of the users in the temporary table `chosen_users`: few, and read more than once."""

SIZES_SQL = """
select (select count(*) from item_entities) as n_held,
       (select count(*) from item_entities) / greatest((select approx_count_distinct(item_id) from item_entities), 1)
           as n_an_item,
       parse_formatted_bytes(current_setting('memory_limit')) as memory
"""

USER_BUCKETS_SQL = """
with bounds as (
    select min(user_id) as first_user,
           (max(user_id) - min(user_id)) // $n_buckets + 1 as width
    from histories
)
select cast(first_user + (user_id - first_user) // width * width as bigint) as first_id,
       cast(first_user + (user_id - first_user) // width * width + width - 1 as bigint) as last_id,
       count(*) as n_rows
from histories cross join bounds
group by all order by first_id
"""

NEWEST_SQL = "select epoch_us(max(interactions.at)) from interactions"
UNDATED_SQL = """
select count(*) from interactions
where interactions.at is null and (positive or rating <= $negative_up_to)
"""
KNOWN_SPREAD_SQL = """
with basis as (
    select entity_id, n_users from idf_basis where negative = $negative
)
select entity_id, n_users from basis
union all
select distinct entity_id, 1 as n_users from held anti join basis using (entity_id)
"""
"""n_e of the last scoring of everybody; an entity it does not know has that of one user, and so the largest
idf, as in `mekb.scoring.inverse_user_frequency`."""

KNOWN_POPULATION_SQL = "select max(n_all) from idf_basis where negative = $negative"
TITLES_SQL = """
with named as (
    select entity_id, title from entities
    union all
    select entity_id, title from custom_entities
)
select * from named semi join held using (entity_id)
"""


OnPart: TypeAlias = Callable[[int, int], None]
"""Told how many parts are done, and of how many."""


def unheard(done: int, total: int) -> None:
    """Tell nobody."""


def formula_fingerprint() -> str:
    """Return what changes when the texts that make the rows do: rows of two formulas are not mixed."""
    texts = (POPULATION_SQL, HELD_SQL, SPREAD_SQL, USER_ENTITY_SQL, PROFILE_TEXT_SQL)
    return hashlib.sha256("\0".join((*texts, SEPARATOR, str(MAX_ENTITIES))).encode()).hexdigest()[
        :16
    ]


@dataclass(frozen=True)
class Side:
    """Which interactions are scored, and into which tables."""

    config: ScoringConfig
    negative: bool = False
    now_us: float | None = None
    """What ages are measured to, in microseconds since 1970; None without decay."""

    @property
    def table(self) -> str:
        """The table of the MeKB, or of what low ratings say."""
        return "negative_interests" if self.negative else "user_entity"

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables scored, with what is made from them."""
        return (self.table,) if self.negative else (self.table, "profiles")

    def choice(self, users: tuple[int, int]) -> dict[str, object]:
        """Return the parameters of POPULATION_SQL."""
        return {
            "first_user": users[0],
            "last_user": users[1],
            "negative_up_to": self.config.negative_up_to if self.negative else None,
        }

    def counting(self, users: tuple[int, int]) -> dict[str, object]:
        """Return the parameters of HELD_SQL."""
        return self.choice(users) | {
            "half_life_days": self.config.half_life_days,
            "now_us": self.now_us,
        }

    def weighing(self, users: tuple[int, int], n_all: int) -> dict[str, object]:
        """Return the parameters of USER_ENTITY_SQL."""
        return {
            "first_user": users[0],
            "last_user": users[1],
            "k_star": self.config.k_star,
            "use_idf": self.config.use_idf,
            "n_all": n_all,
            "negative": self.negative,
        }


class Answering(Protocol):
    """Tables that answer the texts above: a store, or the same tables on Spark (`mekb.cluster`)."""

    @property
    def path(self) -> object:
        """Where they are, for messages."""

    def first_row(
        self, query: str, parameters: Mapping[str, object] | None = None
    ) -> tuple[Any, ...] | None:
        """Return the first row of a query that gives few, or None."""


def sides(tables: Answering, config: ScoringConfig) -> list[Side]:
    """Return what a configuration asks to score: what people like and, if asked for, what they avoid.

    Raises:
        ConfigError: decay is asked for, and interactions that count have no time.
    """
    side = Side(config, now_us=_now_us(tables, config))
    return [side] if config.negative_up_to is None else [side, replace(side, negative=True)]


def _now_us(tables: Answering, config: ScoringConfig) -> float | None:
    if config.half_life_days is None:
        return None
    undated = tables.first_row(UNDATED_SQL, {"negative_up_to": config.negative_up_to})
    if undated and undated[0]:
        raise ConfigError(
            f"scoring.half_life_days: {undated[0]:,} interactions of {tables.path} have no time to decay by;"
            " import times, or leave it unset"
        )
    if config.as_of is not None:
        as_of = config.as_of if config.as_of.tzinfo else config.as_of.replace(tzinfo=UTC)
        return as_of.timestamp() * 1e6
    newest = tables.first_row(NEWEST_SQL)
    return float(newest[0]) if newest and newest[0] is not None else 0.0


def choose_all(store: Store) -> None:
    """Let `histories` be the interactions of everybody."""
    store.forget("histories")
    store.connection.execute(HISTORIES_OF_ALL_SQL)


def choose_some(store: Store) -> None:
    """Let `histories` be the interactions of the users in the temporary table `chosen_users`."""
    store.forget("histories")
    store.connection.execute(HISTORIES_OF_CHOSEN_SQL)


def user_parts(store: Store, rows_per_part: int | None = None) -> list[tuple[int, int]]:
    """Return ranges of user ids, first and last, that hold every user of `histories` once.

    Args:
        store: With `histories` and `item_entities`.
        rows_per_part: Interactions of a part, more or less; None goes by the memory limit.
    """
    wanted = rows_per_part or _rows_per_part(store)
    parts: list[tuple[int, int]] = []
    first, n_rows = ALL_USERS[0], 0
    for _, last_id, bucket_rows in store.connection.execute(
        USER_BUCKETS_SQL, {"n_buckets": N_BUCKETS}
    ).fetchall():
        n_rows += bucket_rows
        if n_rows >= wanted:
            parts.append((first, last_id))
            first, n_rows = last_id + 1, 0
    if n_rows or not parts:
        return [*parts, (first, ALL_USERS[1])]
    return [*parts[:-1], (parts[-1][0], ALL_USERS[1])]


def _rows_per_part(store: Store) -> int:
    n_held, n_an_item, memory = store.first_row(SIZES_SQL) or (0, 0, 0)
    fitting = memory * MEMORY_SHARE / EDGE_BYTES / max(n_an_item, 1)
    # Every part reads all of `item_entities`, so that parts much smaller than it cost more than they save.
    return max(1, int(min(fitting, max(MIN_PART_ROWS, n_held / 2))))


def count_entities(store: Store, side: Side, parts: Sequence[tuple[int, int]]) -> int:
    """Count k of every user and entity of `histories` into the temporary table `held`; return N."""
    hold_entities(store, side, parts)
    return sum(count_users(store, side, users) for users in parts)


def hold_entities(store: Store, side: Side, parts: Sequence[tuple[int, int]]) -> None:
    """Count k of every user and entity of `histories` into the temporary table `held`.

    The last part comes first: scoring begins with the part that came last, which is still in memory where not
    all of them fit.
    """
    for number, users in enumerate(reversed(parts)):
        store.gather("held", HELD_SQL, side.counting(users), first=number == 0)


def count_users(store: Store, side: Side, users: tuple[int, int]) -> int:
    """Count the users of `histories`, from a first to a last id, who have an interaction that counts: N."""
    found = store.first_row(POPULATION_SQL, side.choice(users))
    return int(found[0]) if found else 0


def count_spread(store: Store) -> None:
    """Count n_e of the entities in `held` into the temporary table `spread`."""
    store.keep("spread", SPREAD_SQL)


def known_spread(store: Store, side: Side) -> int:
    """Take n_e of the last scoring of everybody for the entities in `held`, as `spread`; return its N."""
    store.keep("spread", KNOWN_SPREAD_SQL, {"negative": side.negative})
    return known_population(store, side)


def known_population(store: Store, side: Side) -> int:
    """Return N of the last scoring of everybody, at least 1: where nobody had an interest, every idf is 0."""
    found = store.first_row(KNOWN_POPULATION_SQL, {"negative": side.negative})
    return int(found[0] or 1) if found else 1


def scored_slices(
    store: Store,
    side: Side,
    parts: Sequence[tuple[int, int]],
    n_all: int,
    on_part: OnPart = unheard,
) -> Iterator[Mapping[str, Rows]]:
    """Score the users of `held` by `spread`, a part at a time, and flatten them into texts.

    Yields:
        The part's rows for one of `side.tables`; they are gone when the next are asked for.
    """
    if not side.negative:
        store.keep("titles", TITLES_SQL)
    for number, users in enumerate(parts):
        on_part(number, len(parts))
        store.keep("scored_interests", USER_ENTITY_SQL, side.weighing(users, n_all))
        yield {side.table: store.connection.table("temp.scored_interests")}
        if not side.negative:
            yield {"profiles": _texts(store)}
    on_part(len(parts), len(parts))


def scored_at_once(
    store: Store,
    side: Side,
    parts: Sequence[tuple[int, int]],
    n_all: int,
    on_part: OnPart = unheard,
) -> Iterator[Mapping[str, Rows]]:
    """Do as `scored_slices` where the tables hold nobody else: a part is written as it is scored.

    That spares a copy of it; the texts are then made from what was written.
    """
    if not side.negative:
        store.keep("titles", TITLES_SQL)
    for number, users in enumerate(parts):
        on_part(number, len(parts))
        weighing = side.weighing(users, n_all)
        yield {side.table: store.connection.sql(USER_ENTITY_SQL, params=weighing)}
        if not side.negative:
            store.show_users("scored_interests", side.table, users)
            yield {"profiles": _texts(store)}
    on_part(len(parts), len(parts))


def _texts(store: Store) -> Rows:
    params = {"separator": SEPARATOR, "max_entities": MAX_ENTITIES}
    return store.connection.sql(PROFILE_TEXT_SQL, params=params)


def clear(store: Store) -> None:
    """Drop the temporary tables and views of a scoring."""
    store.forget("histories", "held", "spread", "titles", "scored_interests", "chosen_users")
    store.forget("rows_before", "rows_after")
