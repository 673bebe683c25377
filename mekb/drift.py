"""What it costs not to score everybody again: how far idf has moved since it was counted, and what that does.

Users scored since the last scoring of everybody were weighed with its N and n_e. Here both are counted as
they are now. A seeded sample of users is scored anew with them; the error of a user is the total-variation
distance between the weights they have and the weights they would have,

    TV(w, w') = 1/2 sum over e of |w(e) - w'(e)|.

No user can be further off than a bound that needs no sample: reweighing by factors r(e) = idf'(e) / idf(e)
between r_min and r_max moves a distribution by (sqrt(q) - 1) / (sqrt(q) + 1) = tanh(log(q) / 4) at most, where
q = r_max / r_min (the extreme puts all weight on the two ends, so that the mean of r is their geometric mean).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log, tanh

import numpy as np
from typing_extensions import override

from mekb.aggregation import (
    Side,
    choose_all,
    choose_some,
    count_users,
    hold_entities,
    known_population,
)
from mekb.scoring import (
    ALL_USERS,
    USER_ENTITY_SQL,
    UpdateConfig,
    inverse_user_frequency,
)
from mekb.store import Rows, Store

NOW_SPREAD_SQL = "select entity_id, count(*) as n_users from user_entity group by entity_id"
"""n_e as it is now, of the entities that have rows."""

EVERYWHERE_SQL = """
select entity_id from idf_basis where not negative and n_users = n_all
"""
"""Entities whose idf was 0, which have no rows in `user_entity`."""

MOVED_SPREAD_SQL = f"""
with everywhere as ({EVERYWHERE_SQL}),
basis as (
    select entity_id, n_users from idf_basis anti join everywhere using (entity_id) where not negative
),
moves as (
    select entity_id, change from idf_moves anti join everywhere using (entity_id)
)
select entity_id, coalesce(n_users, 0) + coalesce(change, 0) as n_users
from basis full join moves using (entity_id)
where coalesce(n_users, 0) + coalesce(change, 0) > 0
"""  # noqa: S608  constants of ours
"""The same, without reading anybody's interests: n_e of the basis, and how it has changed since."""

RECOUNTED_SQL = """
with everywhere as (
    select entity_id from basis_now where not negative and n_users = n_all
),
basis as (
    select entity_id, n_users from basis_now anti join everywhere using (entity_id) where not negative
),
counted as (
    select entity_id, count(*) as n_users from user_entity anti join everywhere using (entity_id)
    where user_id is distinct from $user_id group by entity_id
)
select entity_id, coalesce(counted.n_users, 0) - coalesce(basis.n_users, 0) as change
from basis full join counted using (entity_id)
where coalesce(counted.n_users, 0) <> coalesce(basis.n_users, 0)
"""
"""Rows of `idf_moves` from everybody's interests but one user's, and a basis that may be another: `basis_now`."""

MOVES_SQL = """
select entity_id, sum(change) as change
from (
    select entity_id, change from idf_moves
    union all
    select entity_id, -n_rows from rows_before
    union all
    select entity_id, n_rows from rows_after
)
group by entity_id having sum(change) <> 0
"""
"""Rows of `idf_moves` after some users' rows of `user_entity` were replaced."""

ROWS_OF_CHOSEN_SQL = """
select entity_id, count(*) as n_rows from user_entity semi join chosen_users using (user_id) group by entity_id
"""
SCORED_ROWS_SQL = "select entity_id, count(*) as n_rows from scored_interests group by entity_id"

_OF_EVERYWHERE = f"""
union all
select item_entities.entity_id, count(distinct interactions.user_id) as n_users
from ({EVERYWHERE_SQL}) as everywhere
join item_entities using (entity_id) join interactions using (item_id)
where interactions.positive group by item_entities.entity_id
"""  # noqa: S608  constants of ours
"""n_e as it is now, of entities that have no rows."""

SPREADS_SQL = """
select coalesce(basis.n_users, 1) as n_before, spread.n_users as n_now
from spread left join (select * from idf_basis where not negative) as basis using (entity_id)
where spread.n_users > 0
"""

SAMPLE_SQL = """
select user_id from users order by hash(user_id, $seed), user_id limit $n_sampled
"""

DISTANCES_SQL = """
with stored as (
    select user_id, entity_id, weight from user_entity semi join chosen_users using (user_id)
),
paired as (
    select user_id, coalesce(fresh.weight, 0) - coalesce(stored.weight, 0) as gain
    from scored_interests as fresh full join stored using (user_id, entity_id)
),
apart as (
    select user_id, greatest(sum(greatest(gain, 0)), sum(greatest(-gain, 0))) as distance
    from paired group by user_id
)
select count(*), coalesce(avg(distance), 0), coalesce(max(distance), 0) from apart
"""


@dataclass(frozen=True)
class Drift:
    """How far the profiles of a store are from those of a scoring of everybody."""

    n_users_before: int
    """N of the last scoring of everybody."""
    n_users: int
    """N now."""
    n_sampled: int
    """Users of the sample who have an interest."""
    mean: float
    """Of the sample's total-variation distances."""
    largest: float
    bound: float
    """Total-variation distance that idf can have moved any user by; 1 where an idf of 0 came or went."""
    allowed: float
    """`update.max_drift`."""

    @property
    def is_exceeded(self) -> bool:
        """Whether everybody should be scored again, by the setting."""
        return self.mean > self.allowed

    @override
    def __str__(self) -> str:
        lines = (
            f"idf is that of {self.n_users_before:,} users, now there are {self.n_users:,}: weights of"
            f" {self.n_sampled:,} sampled users are off by {self.mean:.2%} on average and {self.largest:.2%} at"
            f" most (total variation); idf can have moved nobody by more than {self.bound:.2%}"
        )
        if self.is_exceeded:
            lines += f"\nthat is more than update.max_drift = {self.allowed:.2%}: score everybody with --refresh"
        return lines


def measure_drift(store: Store, side: Side, config: UpdateConfig) -> Drift:
    """Measure how far a store's profiles are from those of a scoring of everybody; nothing is written.

    Args:
        store: With profiles and `idf_basis`.
        side: How its profiles are scored.
        config: The sample, and what is allowed.
    """
    choose_all(store)
    n_users, n_before = count_users(store, side, ALL_USERS), known_population(store, side)
    store.keep("chosen_users", SAMPLE_SQL, {"seed": config.seed, "n_sampled": config.n_sampled})
    choose_some(store)
    hold_entities(store, side, [ALL_USERS])
    _count_spread(store, side)
    store.keep("scored_interests", USER_ENTITY_SQL, side.weighing(ALL_USERS, n_users))
    n_sampled, mean, largest = store.first_row(DISTANCES_SQL) or (0, 0.0, 0.0)
    return Drift(
        n_users_before=n_before,
        n_users=n_users,
        n_sampled=n_sampled,
        mean=mean,
        largest=largest,
        bound=_bound(store, n_before, n_users) if side.config.use_idf else 0.0,
        allowed=config.max_drift,
    )


def _count_spread(store: Store, side: Side) -> None:
    """Count n_e as it is now into the temporary table `spread`."""
    if not side.config.use_idf:
        store.keep("spread", NOW_SPREAD_SQL)
        return
    everywhere = store.first_row(f"{EVERYWHERE_SQL} limit 1")
    counted = MOVED_SPREAD_SQL if store.has("idf_moves") else NOW_SPREAD_SQL
    store.keep("spread", counted + _OF_EVERYWHERE if everywhere else counted)


def noting_moves(
    store: Store, slices: Iterator[Mapping[str, Rows]]
) -> Iterator[Mapping[str, Rows]]:
    """Pass on the rows of users that are scored anew, and write down in `idf_moves` how n_e changes with them.

    To be read to its end in the transaction that replaces the rows of the users in `chosen_users`, before any
    is deleted.

    Args:
        store: With `idf_moves`; without, nothing is noted.
        slices: As `mekb.aggregation.scored_slices` gives them.
    """
    if not store.has("idf_moves"):
        yield from slices
        return
    store.keep("rows_before", ROWS_OF_CHOSEN_SQL)
    first = True
    for piece in slices:
        if "user_entity" in piece:
            store.gather("rows_after", SCORED_ROWS_SQL, first=first)
            first = False
        yield piece
    store.replace({"idf_moves": store.query(MOVES_SQL)})
    store.forget("rows_before", "rows_after")


def _bound(store: Store, n_before: int, n_now: int) -> float:
    spreads = store.query(SPREADS_SQL)
    before = inverse_user_frequency(n_before, spreads["n_before"].to_numpy())
    now = inverse_user_frequency(n_now, spreads["n_now"].to_numpy())
    if np.any((before > 0) != (now > 0)):
        return 1.0
    ratios = now[now > 0] / before[now > 0]
    return tanh(log(ratios.max() / ratios.min()) / 4) if ratios.size else 0.0
