"""Findings about a split's test rows: what the profile of their user says of them before any model does.

In: the split's test rows as `audit_test` (user_id, item_id), the source rows of the test users as
`audit_profile`, and `audit_twins`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from mekb.audit.report import N_EXAMPLES, Finding, Verdict
from mekb.dataset import times_of
from mekb.sources.query import query_rows
from mekb.store import Store
from mekb.worlds import world_of
from training.dataset import rows_of
from training.split_config import SplitConfig
from training.splits import make_split

VISIBLE_SQL = """
with held as (
    select distinct audit_profile.user_id, source, kind, group_id
    from audit_profile join audit_twins using (item_id)
),
visible as (
    select distinct audit_test.user_id, audit_test.item_id
    from audit_test
    join audit_twins using (item_id)
    join held on held.user_id = audit_test.user_id and held.source = audit_twins.source
        and held.kind = audit_twins.kind and held.group_id = audit_twins.group_id
),
examples as (
    select 'user ' || users.external_id || ': ' || items.external_id || ' "' || left(items.title, 60) || '"' as example
    from visible join users using (user_id) join items using (item_id)
    order by items.item_id, users.user_id
    limit $limit
)
select (select count(*) from visible) as n_rows, (select count(*) from audit_test) as of,
       (select list(example) from examples) as examples
"""

ENTITIES_SQL = """
with named as (
    select entity_id, kind from entities union all select entity_id, kind from custom_entities
),
interests as (
    select distinct user_id, entity_id from audit_profile join item_entities using (item_id)
),
numbered as (
    select user_id, item_id, row_number() over (order by user_id, item_id) as place,
           row_number() over (order by hash(user_id, item_id, 1), user_id, item_id) as other_place
    from audit_test
),
dealt as (
    select one.user_id, one.item_id, one.place, other.item_id as other_item
    from numbered as one join numbered as other on other.other_place = one.place
),
own as (
    select distinct place, kind
    from dealt join item_entities using (item_id) join interests using (user_id, entity_id) join named using (entity_id)
),
others as (
    select distinct place, kind
    from dealt join item_entities on item_entities.item_id = dealt.other_item
    join interests using (user_id, entity_id) join named using (entity_id)
),
held as (
    select kind, count(distinct audit_test.item_id) as n_items
    from audit_test join item_entities using (item_id) join named using (entity_id)
    group by kind
)
select held.kind,
       (select count(*) from own where own.kind = held.kind) as n_rows,
       (select count(*) from others where others.kind = held.kind) as n_others,
       (select count(*) from audit_test) as of
from held
order by held.kind
"""


@dataclass(frozen=True)
class HeldOutRows:
    """The test rows of a split, and what is known of their users; tables with columns user_id and item_id."""

    test: pa.Table
    profile: pa.Table


def held_out_rows(
    store: Store, sources: Sequence[str], target: str, split: SplitConfig
) -> HeldOutRows:
    """Return the test rows and the source training rows of their users, twins still in them.

    Raises:
        ConfigError: a setting of the split is out of range.
        DatasetError: there is nobody to hold out, or times are needed and missing.
    """
    kept = split.model_copy(update={"drop_twins": False})
    world = world_of(store, sources, target, kept, linked=store.has("item_entities"))
    times = times_of(world) if kept.needs_times else None
    parts = make_split(world.interactions, target, kept, times)
    users = parts.test.user_rows
    names = world.user_ids[users]

    def rows(matrix: csr_array, domain: str) -> pa.Table:
        item_ids = world.catalogues[domain].item_ids
        return pa.table(
            {
                "user_id": pa.array(names[rows_of(matrix)], pa.uint32()),
                "item_id": pa.array(item_ids[np.asarray(matrix.indices)], pa.uint32()),
            }
        )

    known = [rows(parts.train[source][users], source) for source in sources]
    return HeldOutRows(rows(parts.test.positives, target), pa.concat_tables(known))


def visible_finding(cursor: duckdb.DuckDBPyConnection, split: SplitConfig) -> Finding:
    """Return how many test rows stand in their user's source rows under another id."""
    row = query_rows(cursor, VISIBLE_SQL, {"limit": N_EXAMPLES})[0]
    count = row["n_rows"]
    return Finding(
        name="test rows in the source",
        what=f"test rows whose product is in the same user's source rows ({_named(split)})",
        count=count,
        of=row["of"],
        verdict=Verdict.LEAK if count else Verdict.OK,
        advice="split.drop_twins = true (the default) leaves those source items out; report both numbers"
        if count
        else "",
        examples=tuple(row["examples"] or ()),
    )


def entity_findings(cursor: duckdb.DuckDBPyConnection, split: SplitConfig) -> list[Finding]:
    """Return, by kind of entity, how many test items have one that is in their user's profile already.

    This is what profiles are for, as long as it says more of the user's own items than of others': beside it stands
    the share with the same test items dealt to other test users. A product's own name is another matter.
    """
    found = []
    for row in query_rows(cursor, ENTITIES_SQL):
        kind, count, of = row["kind"], row["n_rows"], row["of"]
        own_name = kind == "product" and count
        found.append(
            Finding(
                name=f"{kind} in the profile",
                what=f"test rows with an entity of kind {kind} that the user's source rows name too; by chance:"
                f" the same test items dealt to other test users ({_named(split)})",
                count=count,
                of=of,
                chance=row["n_others"] / of if of else None,
                verdict=Verdict.LOOK if own_name else Verdict.OK,
                advice="products named alike in both domains: see 'same title only', and weights.product"
                if own_name
                else "",
            )
        )
    return found


def _named(split: SplitConfig) -> str:
    return f"{split.kind} split, fold {split.fold}, seed {split.seed}"
