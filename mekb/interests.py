"""The profile stage: score every user's interests into `user_entity`, flatten them into `profiles`, read one.

All positive interactions of the store count here: this is the graph people look at, edit and export. What is
trained and evaluated is scored anew from training rows only (`mekb.dataset`), and knows no edits: an edit is no
observation.
"""

from collections import defaultdict
from collections.abc import Sequence

import pyarrow as pa

from mekb.aggregation import (
    OnPart,
    Side,
    choose_all,
    clear,
    count_entities,
    count_spread,
    formula_fingerprint,
    scored_at_once,
    sides,
    unheard,
    user_parts,
)
from mekb.effective import own_interests, write_edited_texts
from mekb.errors import UnknownError
from mekb.graph import Evidence, Interest, UserGraph
from mekb.runs import Stage, StageResult, run_stage, settings_of, table_inputs
from mekb.schema import CATALOGUE
from mekb.scoring import ScoringConfig
from mekb.store import Store

ONE_USERS_INTERESTS_SQL = """
with own as (
    select * from own_interests where user_id = $user_id
),
named as (
    select entity_id, title, label, kind from entities semi join own using (entity_id)
    union all
    select entity_id, title, label, kind from custom_entities semi join own using (entity_id)
),
spread as (
    select entity_id, count(*) as n_users from user_entity semi join own using (entity_id) group by entity_id
)
select entity_id, title, label, kind, n_items, coalesce(n_users, 0) as n_users, tf, idf, weight, rank, origin
from own join named using (entity_id) left join spread using (entity_id)
order by rank
"""

EVIDENCE_SQL = """
with liked as (
    select interactions.user_id, items.* from interactions join items using (item_id)
    where interactions.user_id between $first_user and $last_user and interactions.positive
),
mentioned as (
    select liked.user_id, mentions.entity_id, liked.external_id, liked.domain, liked.title,
           mentions.field, mentions.start, mentions.stop, mentions.surface, mentions.prior as score
    from liked join mentions using (item_id)
),
attributes as (
    select user_id, external_id, domain, title, 'brand' as kind, 'brand' as field, trim(brand) as name
    from liked
    union all
    select user_id, external_id, domain, title, 'category', 'categories', trim(category)
    from (select *, unnest(categories) as category from liked)
    union all
    select user_id, external_id, domain, title, 'product', 'title', trim(title) from liked
),
named as (
    select distinct attributes.user_id, custom_entities.entity_id, attributes.external_id,
           attributes.domain, attributes.title, attributes.field, 0 as start,
           length(attributes.name) as stop, attributes.name as surface, 1.0 as score
    from attributes
    join custom_entities on attributes.kind = custom_entities.kind and attributes.name = custom_entities.title
)
select user_id, entity_id, external_id as item, domain, title, field, start, stop, surface, score
from (select * from mentioned union all select * from named)
order by user_id, entity_id, domain, item, field, start, stop
"""
"""Where the entities of users came from: mentions, and the items' own attributes, in the order of `mekb.rdf`."""

_ALL_MENTIONS = """(
        select item_id, entity_id, field, start, stop, surface, prior from mentions
        union all
        select item_id, entity_id, field, start, stop, surface, 1 from keyword_mentions
    ) as mentions"""


def evidence_sql(store: Store) -> str:
    """Return `EVIDENCE_SQL`, with the keywords found in items where the store has a dictionary of them."""
    if not store.has("keyword_mentions"):
        return EVIDENCE_SQL
    return EVIDENCE_SQL.replace("liked join mentions", f"liked join {_ALL_MENTIONS}")


OWN_IRIS_SQL = """
select entity_id, iri from graph_entities
where iri is not null and ($ids is null or list_contains($ids, entity_id))
"""

NEWEST_RUN_SQL = (
    "select run_id from runs where stage in ('profiles', 'update') order by started_at desc limit 1"
)

SCORED_TABLES = ("interactions", "item_entities", "entities", "custom_entities")
"""What profiles are made from."""

BASIS_SQL = "select $negative as negative, entity_id, n_users, $n_all as n_all from spread"
NOBODY_SQL = "select user_id from interactions where false"

LIKED_ITEMS_SQL = """
select items.domain, items.external_id from interactions join items using (item_id)
where interactions.user_id = $user_id and interactions.positive order by items.item_id
"""


def build_profiles(
    store: Store,
    config: ScoringConfig,
    *,
    force: bool = False,
    rows_per_part: int | None = None,
    on_part: OnPart = unheard,
) -> StageResult:
    """Score all users of a store; writes `user_entity`, `profiles` and what an update needs together.

    Args:
        store: With items imported and linked.
        config: Settings of the score.
        force: Score even when nothing changed.
        rows_per_part: Interactions scored at a time; None goes by the memory limit. It changes no result.
        on_part: Told of parts of users.

    Raises:
        UnknownError: the items are not imported or not linked yet.
        ConfigError: decay is asked for, and interactions have no time.
    """
    store.require("interactions", hint=f"import your data with 'mekb data import {store.path} ...'")
    store.require(
        "item_entities", "custom_entities", hint=f"link the items with 'mekb link {store.path}'"
    )
    wanted = sides(store, config)
    stage = profiles_stage(store, wanted, config)

    def write() -> None:
        store.drop("negative_interests")
        choose_all(store)
        parts = user_parts(store, rows_per_part)
        bases = []
        for side in wanted:
            n_all = count_entities(store, side, parts)
            count_spread(store)
            bases.append(store.query(BASIS_SQL, {"negative": side.negative, "n_all": n_all}))
            store.replace_in_slices(
                side.tables,
                scored_at_once(store, side, parts, n_all, on_part),
            )
        store.replace(
            {
                "idf_basis": pa.concat_tables(bases),
                "idf_moves": CATALOGUE["idf_moves"].empty_table(),
                "touched_users": store.query(NOBODY_SQL),
            }
        )
        write_edited_texts(store)

    try:
        return run_stage(store, stage, lambda: write, force=force)
    finally:
        clear(store)


def profiles_stage(store: Store, wanted: Sequence[Side], config: ScoringConfig) -> Stage:
    """Return what profiles are made from, and what they are written to."""
    outputs = [name for side in wanted for name in side.tables]
    return Stage(
        name="profiles",
        config=settings_of(config),
        inputs=table_inputs(store, *SCORED_TABLES) | {"formula": formula_fingerprint()},
        outputs=(*outputs, "idf_basis", "touched_users"),
    )


def user_id_of(store: Store, user: str) -> int:
    """Return the stored id of a user.

    Raises:
        UnknownError: no such user.
    """
    store.require("users", hint=f"import your data with 'mekb data import {store.path} ...'")
    found = store.first_row("select user_id from users where external_id = $user", {"user": user})
    if found is None:
        example = store.first_row("select external_id from users order by user_id limit 1")
        hint = f"; ids look like '{example[0]}'" if example else ""
        raise UnknownError(f"no user '{user}' in {store.path}{hint}")
    return int(found[0])


def read_user_graph(store: Store, user: str) -> UserGraph:
    """Return one user's MeKB with its evidence and edits; empty when nothing of theirs could be linked.

    Raises:
        UnknownError: no such user, or no profiles yet.
    """
    store.require("user_entity", hint=f"build the profiles with 'mekb profiles build {store.path}'")
    user_id = user_id_of(store, user)
    evidence: dict[int, list[Evidence]] = defaultdict(list)
    only = {"first_user": user_id, "last_user": user_id}
    for row in store.query(evidence_sql(store), only).drop_columns("user_id").to_pylist():
        evidence[row.pop("entity_id")].append(Evidence(**row))
    with own_interests(store, (user_id, user_id)):
        rows = store.query(ONE_USERS_INTERESTS_SQL, {"user_id": user_id}).to_pylist()
    iris = own_iris(store, [row["entity_id"] for row in rows])
    return UserGraph(
        user=user,
        interests=tuple(
            Interest(
                **row,
                evidence=tuple(evidence[row["entity_id"]]),
                iri=iris.get(row["entity_id"]),
            )
            for row in rows
        ),
        run_id=newest_run(store),
    )


def own_iris(store: Store, ids: Sequence[int] | None = None) -> dict[int, str]:
    """Return what one's own knowledge graph calls some entities, or all of its own."""
    if not store.has("graph_entities"):
        return {}
    return dict(store.connection.execute(OWN_IRIS_SQL, {"ids": ids}).fetchall())


def newest_run(store: Store) -> str | None:
    """Return the id of the run that made the profiles, or None where none is on record."""
    found = store.first_row(NEWEST_RUN_SQL) if store.has("runs") else None
    return str(found[0]) if found else None


def liked_items(store: Store, user: str) -> list[tuple[str, str]]:
    """Return (domain, external id) of every item a user liked.

    Raises:
        UnknownError: no such user.
    """
    user_id = user_id_of(store, user)
    return [
        (str(domain), str(name))
        for domain, name in store.connection.execute(
            LIKED_ITEMS_SQL, {"user_id": user_id}
        ).fetchall()
    ]
