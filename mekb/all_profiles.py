"""Every user's MeKB, one after the other, in the memory of a few hundred.

Users are read in ranges of their ids that hold about as many interactions each, so that neither many users
nor busy ones make a range large. A test holds each graph to that of `mekb.interests.read_user_graph`.
"""

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mekb.effective import own_interests
from mekb.graph import Evidence, Interest, UserGraph, inferred_behind
from mekb.interests import evidence_sql, newest_run, own_iris
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
shown as (
    select distinct entity_id from own_interests
),
named as (
    select entity_id, title, label, kind from entities
    union all
    select entity_id, title, label, kind from custom_entities
)
select shown.entity_id, title, label, kind, coalesce(n_users, 0) as n_users
from shown join named using (entity_id) left join spread using (entity_id)
"""
"""What is said of an entity wherever it is an interest: worked out once, not once a range."""

_SHOWN = "select distinct entity_id from own_interests"
_SHOWN_OR_INFERRED = f"{_SHOWN} union select entity_id from inferred_interests"  # noqa: S608  a constant of ours

INFERRED_SQL = """
select user_id, entity_id, title, label, kind, n_users, weight, sources
from inferred_interests join shown_entities using (entity_id)
where user_id between $first_user and $last_user order by user_id, rank
"""

USERS_SQL = """
select user_id, external_id from users
where user_id between $first_user and $last_user order by user_id
"""

INTERESTS_SQL = """
select user_id, entity_id, title, label, kind, n_items, n_users, tf, idf, weight, rank, origin
from own_interests join shown_entities using (entity_id)
where user_id between $first_user and $last_user order by user_id, rank
"""
"""The columns after the user stand as in `Interest`, those of `evidence_sql` after the entity as in `Evidence`."""


def read_all_graphs(
    store: Store, *, inferred: bool = False, interactions_a_range: int = INTERACTIONS_A_RANGE
) -> Generator[UserGraph, None, None]:
    """Yield the MeKB of every user of a store, with its evidence, by stored id; one reading at a time.

    Args:
        store: a store with profiles; between two users, no other profile may be read from it. Who does not
            read to the end closes the generator before the store.
        inferred: put what was inferred from their interests behind them.
        interactions_a_range: how much is in memory at once.

    Raises:
        UnknownError: no profiles yet, or nothing inferred yet.
    """
    store.require(
        "users", "user_entity", hint=f"build the profiles with 'mekb profiles build {store.path}'"
    )
    if inferred:
        store.require(
            "inferred_interests", hint=f"infer them with 'mekb profiles infer {store.path}'"
        )
    run_id, iris = newest_run(store), own_iris(store)
    with own_interests(store):
        try:
            shown = SHOWN_ENTITIES_SQL
            if inferred:
                shown = shown.replace(_SHOWN, _SHOWN_OR_INFERRED)
            store.connection.execute(shown)
            for ends in store.query(RANGES_SQL, {"rows": interactions_a_range}).to_pylist():
                graphs = _read_range(store, ends, run_id, iris)
                yield from _with_inferred(store, ends, graphs) if inferred else graphs
        finally:
            store.connection.execute("drop table if exists shown_entities")


def _read_range(
    store: Store, ends: dict[str, int], run_id: str | None, iris: Mapping[int, str]
) -> Iterator[UserGraph]:
    """Yield the MeKBs of the users between two ids.

    A user's objects are made when their turn comes: thousands alive at once would keep the garbage collector busy.
    """
    users = store.query(USERS_SQL, ends)
    interests = _Columns(store.query(INTERESTS_SQL, ends), users["user_id"].to_numpy())
    evidence = _Columns(store.query(evidence_sql(store), ends), users["user_id"].to_numpy())
    for row, name in enumerate(users["external_id"].to_pylist()):
        found: dict[int, list[Evidence]] = defaultdict(list)
        entities, *fields = evidence.of(row)
        for entity_id, at in zip(entities, map(Evidence, *fields), strict=True):
            found[entity_id].append(at)
        entities, *fields, origins = interests.of(row)
        because = [tuple(found.get(entity_id, ())) for entity_id in entities]
        called = map(iris.get, entities)
        own = map(Interest, entities, *fields, because, origins, repeat(()), called)
        yield UserGraph(user=name, interests=tuple(own), run_id=run_id)


def _with_inferred(
    store: Store, ends: dict[str, int], graphs: Iterator[UserGraph]
) -> Iterator[UserGraph]:
    """Yield the MeKBs of the users between two ids with what was inferred behind what is their own."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    names = dict(store.connection.execute(USERS_SQL, ends).fetchall())
    for row in store.query(INFERRED_SQL, ends).to_pylist():
        rows[names[row["user_id"]]].append(row)
    for graph in graphs:
        yield replace(graph, interests=inferred_behind(graph.interests, rows[graph.user]))


class _Columns:
    """Rows of many users as Python columns, the user left out: several times quicker than as rows.

    Args:
        table: rows sorted by `user_id`, which stands first.
        users: the ids of the users asked for, in order.
    """

    def __init__(self, table: pa.Table, users: npt.NDArray[np.uint32]) -> None:
        user_ids = table["user_id"].to_numpy()
        self._starts = np.searchsorted(user_ids, users, side="left").tolist()
        self._stops = np.searchsorted(user_ids, users, side="right").tolist()
        self._columns: list[list[Any]] = [column.to_pylist() for column in table.columns[1:]]

    def of(self, row: int) -> list[list[Any]]:
        """Return the columns of one user."""
        start, stop = self._starts[row], self._stops[row]
        return [column[start:stop] for column in self._columns]
