"""One hop further: interest spread along relations of the knowledge graph, kept apart and marked as inferred.

    s'(u, o) = sum over e, r with (e, r, o) of  s(u, e) * w_r * gamma / deg_r(o)

s(u, e) is a weight of the user's profile as they see it (`mekb.effective`), w_r the weight of a relation, gamma the
damping, deg_r(o) how many subjects have o by r (`mekb.relations`). What the user has or removed themselves is left
out. The `top` of each user are kept in `inferred_interests`, never in `user_entity`: they change no score, no text
and no idf, and are shown only when asked for. Beyond paper 002, and off until an ablation says otherwise; what a model
reads of them is a setting of its own (`neighbours.in_profiles`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array

from alias_tables.table_files import TableKind, read_qid, table_rows
from mekb.dataset import World
from mekb.effective import has_edits, own_interests
from mekb.errors import SourceError
from mekb.graph import UserGraph, inferred_behind
from mekb.profile import EntityTable
from mekb.relations import HINT, LINKS, read_factors, relation_weights
from mekb.runs import Stage, StageResult, run_stage, settings_of, table_inputs
from mekb.schema import RELATIONS
from mekb.scoring import EntityWeights, NeighbourConfig
from mekb.store import Rows, Store

COLUMNS = (("subject", "head"), ("predicate", "prop"), ("object", "tail"))
"""What a file calls the three parts of a relation."""
_NAMES = tuple(name for pair in COLUMNS for name in pair)
_FILE = TableKind(_NAMES, ("subject", "head"), ("subject", "predicate", "object"), all_needed=False)

INFERRED_SQL = f"""
with {LINKS},
parts as (
    select user_id, object as entity_id, subject as source, weight * factor as part
    from own_interests join links on own_interests.entity_id = links.subject
),
by_source as (
    select user_id, entity_id, source, sum(cast(part as decimal(38, 26))) as part
    from parts group by user_id, entity_id, source
),
summed as (
    select user_id, entity_id, cast(sum(part) as double) as weight,
           list(source order by part desc, source) as sources
    from by_source group by user_id, entity_id
),
fresh as (
    select summed.* from summed anti join own_interests using (user_id, entity_id)
    anti join (select user_id, entity_id from temp.live_edits where action = 'remove') using (user_id, entity_id)
    semi join (
        select entity_id from entities union all select entity_id from custom_entities
    ) using (entity_id)
),
ranked as (
    select *, row_number() over (partition by user_id order by weight desc, entity_id) as rank
    from fresh where weight > 0
)
select user_id, entity_id, weight, rank, sources from ranked where rank <= $top
"""  # noqa: S608  a constant of ours
"""Rows of `inferred_interests` from the view `own_interests`, `relations` and `weights`; sums are exact."""

_NOT_REMOVED = """
    anti join (select user_id, entity_id from temp.live_edits where action = 'remove') using (user_id, entity_id)"""

INFERRED_OF_SQL = """
with own as (
    select * from inferred_interests join users using (user_id) where external_id = $user
),
named as (
    select entity_id, title, label, kind from entities
    union all
    select entity_id, title, label, kind from custom_entities
),
spread as (
    select entity_id, count(*) as n_users from user_entity semi join own using (entity_id) group by entity_id
)
select own.entity_id, title, label, kind, coalesce(n_users, 0) as n_users, weight, sources
from own join named using (entity_id) left join spread using (entity_id) order by rank
"""


NAMED_SQL = """
with named as (
    select entity_id, title, kind from entities
    union all
    select entity_id, title, kind from custom_entities
)
select * from named semi join asked_entities using (entity_id) order by entity_id
"""


def import_relations(
    store: Store, file: Path, inputs: Mapping[str, str], *, force: bool = False
) -> StageResult:
    """Read relations between Wikidata's entities into the table `relations`, replacing what it held.

    Args:
        store: The store.
        file: TSV, CSV (both .gz too) or Parquet with the columns subject, predicate and object (or head,
            prop and tail): QIDs and property ids, or their IRIs. Rows with anything else are left out.
        inputs: The file's fingerprint, by name.
        force: Read it though nothing changed.

    Raises:
        SourceError: the file holds no relation between two QIDs.
        AliasTableError: it cannot be read, or lacks the columns.
    """
    stage = Stage(name="relations", config={}, inputs=inputs, outputs=("relations",))

    def work() -> Mapping[str, Rows]:
        found = set(_relations(file))
        if not found:
            raise SourceError(f"{file}: no row relates two QIDs such as Q42 and Q5")
        subjects, predicates, objects = zip(*sorted(found), strict=True)
        columns = {"subject": subjects, "predicate": predicates, "object": objects}
        return {"relations": pa.table(columns, RELATIONS)}

    return run_stage(store, stage, work, force=force)


def _relations(file: Path) -> Iterator[tuple[int, str, int]]:
    """Yield the rows of a file that relate two QIDs."""
    for row in table_rows(file, _FILE):
        subject, predicate, object_ = (
            row.get(name) or row.get(other, "") for name, other in COLUMNS
        )
        ends = read_qid(subject.strip(" <>")), read_qid(object_.strip(" <>"))
        relation = predicate.strip(" <>").rpartition("/")[2]
        if ends[0] is not None and ends[1] is not None and relation:
            yield ends[0], relation, ends[1]


def infer_interests(store: Store, config: NeighbourConfig, *, force: bool = False) -> StageResult:
    """Spread every user's interests one hop further into `inferred_interests`.

    Args:
        store: With profiles and relations.
        config: Damping, relations and caps.
        force: Infer though nothing changed.

    Raises:
        UnknownError: the store has no profiles, or no relations.
    """
    store.require("user_entity", hint=f"build the profiles with 'mekb profiles build {store.path}'")
    store.require("relations", hint=HINT.format(store=store.path))
    made_from = ("user_entity", "profile_edits", "relations", "entities", "custom_entities")
    stage = Stage(
        name="infer",
        config=settings_of(config),
        inputs=table_inputs(store, *made_from),
        outputs=("inferred_interests",),
    )

    def work() -> Mapping[str, Rows]:
        query = INFERRED_SQL if has_edits(store) else INFERRED_SQL.replace(_NOT_REMOVED, "")
        with own_interests(store), relation_weights(store, config) as parameters:
            return {"inferred_interests": store.query(query, parameters | {"top": config.top})}

    return run_stage(store, stage, work, force=force)


def with_inferred(store: Store, graph: UserGraph) -> UserGraph:
    """Return a user's MeKB with what was inferred behind what is their own: marked, and ranked on.

    The weights of the own interests sum to 1; those of the inferred ones come on top and are smaller.

    Raises:
        UnknownError: nothing was inferred yet.
    """
    store.require("inferred_interests", hint=f"infer them with 'mekb profiles infer {store.path}'")
    found = store.query(INFERRED_OF_SQL, {"user": graph.user}).to_pylist()
    return replace(graph, interests=inferred_behind(graph.interests, found))


def with_neighbours(world: World, store: Store, config: NeighbourConfig) -> World:
    """Return the world with what its profiles need to hold inferred interests too, where `in_profiles` says so.

    Entities that no item holds but one's neighbour does are put among its entities, with the multiplier of
    Wikidata's: they can be inferred, and be named by a person. What a model learns from is changed by nothing else.

    Args:
        world: What `mekb.dataset.load_world` read from the store.
        store: With relations.
        config: Damping, relations and caps.

    Raises:
        UnknownError: the store has no relations.
    """
    if not config.in_profiles:
        return world
    factors = read_factors(store, config)
    known = world.entities
    factors = factors.filter(pc.is_in(factors["subject"], pa.array(known.entity_ids)))
    ids = np.union1d(known.entity_ids, factors["object"].to_numpy())
    place = np.searchsorted(ids, known.entity_ids)
    named = _named(store, ids)
    multipliers = np.full(len(ids), EntityWeights().wikidata)
    multipliers[place] = known.multipliers
    entities = EntityTable(
        entity_ids=ids,
        titles=named["title"].to_pylist(),
        kinds=named["kind"].to_pylist(),
        multipliers=multipliers,
        n_users=np.zeros(len(ids), dtype=np.int64),
        n_all=0,
    )
    held = {
        domain: csr_array(
            (matrix.data, place[matrix.indices], matrix.indptr),
            shape=(matrix.shape[0], len(ids)),
        )
        for domain, matrix in world.item_entities.items()
    }
    return replace(world, entities=entities, item_entities=held, neighbours=config, factors=factors)


def _named(store: Store, entity_ids: npt.NDArray[np.uint32]) -> pa.Table:
    """Return the titles and kinds of entities, by id."""
    store.connection.register("asked_entities", pa.table({"entity_id": entity_ids}))
    try:
        return store.query(NAMED_SQL)
    finally:
        store.connection.unregister("asked_entities")
