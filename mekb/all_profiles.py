"""Every user's MeKB, one after the other, in the memory of a few hundred.

Users are read in ranges of their ids that hold about as many interactions each, so that neither many users
nor busy ones make a range large. A test holds each graph to that of `mekb.interests.read_user_graph`.
"""

import itertools
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import pyarrow as pa

from mekb.graph import Evidence, Interest, UserGraph
from mekb.interests import EVIDENCE_SQL, newest_run
from mekb.store import Store

INTERACTIONS_A_RANGE = 20_000
"""Their evidence, some ten times as many rows of text, is what one range holds in memory."""

RANGES_SQL = """
with busy as (
    select user_id, 1 + count(item_id) as n_rows from users left join interactions using (user_id)
    group by user_id
),
placed as (
    select user_id, cast(sum(n_rows) over (order by user_id) as bigint) // $rows as place from busy
)
select min(user_id) as first_user, max(user_id) as last_user from placed group by place order by place
"""

SHOWN_ENTITIES_SQL = """
create or replace temp table shown_entities as
with spread as (
    select entity_id, count(*) as n_users from user_entity group by entity_id
),
named as (
    select entity_id, title, label, kind from entities
    union all
    select entity_id, title, label, kind from custom_entities
)
select spread.entity_id, title, label, kind, n_users from spread join named using (entity_id)
"""
"""What is said of an entity wherever it is an interest: worked out once, not once a range."""

USERS_SQL = """
select user_id, external_id from users
where user_id between $first_user and $last_user order by user_id
"""

INTERESTS_SQL = """
select user_id, entity_id, title, label, kind, n_items, shown_entities.n_users, tf, idf, weight, rank
from user_entity join shown_entities using (entity_id)
where user_id between $first_user and $last_user order by user_id, rank
"""


def read_all_graphs(
    store: Store, *, interactions_a_range: int = INTERACTIONS_A_RANGE
) -> Iterator[UserGraph]:
    """Yield the MeKB of every user of a store, with its evidence, by stored id; one reading at a time.

    Args:
        store: a store with profiles; its connection may be used between two users.
        interactions_a_range: how much is in memory at once.

    Raises:
        UnknownError: no profiles yet.
    """
    store.require(
        "users", "user_entity", hint=f"build the profiles with 'mekb profiles build {store.path}'"
    )
    run_id = newest_run(store)
    store.connection.execute(SHOWN_ENTITIES_SQL)
    try:
        for ends in store.query(RANGES_SQL, {"rows": interactions_a_range}).to_pylist():
            yield from _read_range(store, ends, run_id)
    finally:
        store.connection.execute("drop table if exists shown_entities")


def _read_range(store: Store, ends: dict[str, int], run_id: str | None) -> Iterator[UserGraph]:
    """Yield the MeKBs of the users between two ids."""
    users = _rows(store.query(USERS_SQL, ends))
    interests = _by_user(store.query(INTERESTS_SQL, ends))
    evidence = _by_user(store.query(EVIDENCE_SQL, ends))
    for user_id, name in users:
        found = {
            entity_id: tuple(Evidence(*row[1:]) for row in rows)
            for entity_id, rows in itertools.groupby(evidence.get(user_id, ()), itemgetter(0))
        }
        yield UserGraph(
            user=name,
            interests=tuple(
                Interest(*row, evidence=found.get(row[0], ())) for row in interests.get(user_id, ())
            ),
            run_id=run_id,
        )


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Return rows as tuples: several times quicker than as dicts."""
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _by_user(table: pa.Table) -> dict[int, list[tuple[Any, ...]]]:
    """Return the rows of each user, the user's id left out; `table` is sorted by user."""
    return {
        user_id: [row[1:] for row in rows]
        for user_id, rows in itertools.groupby(_rows(table), itemgetter(0))
    }
