"""The interest score of the MeKB (paper 002, section 3.1.3, equations 4-7), in SQL and in NumPy.

    s(k)        = k                        for k < k*          (eq. 4: log smoothing of high counts)
                = k* (1 + log(k / k*))     for k >= k*         (continuous: both sides give k* at k*)
    idf(e)      = log(N / n_e)                                 (eq. 5: N users, n_e of them have e)
    tf(u, e)    = m_e s(k_ue)                                  (eq. 6; m_e: the kind's multiplier, appendix A)
    weight(u,e) = tf(u, e) idf(e) / sum over e' of tf(u, e') idf(e')                              (eq. 7)

k counts the user's positive interactions whose item holds the entity, however often it is mentioned there.
N is the number of users with a positive interaction. The logarithm is natural. An entity that every user
has gets idf 0 and leaves the graph; a user left with nothing has an empty MeKB, which is no error.

Two things beyond the paper, off by default. With `half_life_days` an interaction counts 2^(-age / half life)
instead of 1, so that k is a sum of such shares; s(k) is defined for every real k > 0, and below k* it is k
itself. With `negative_up_to` low ratings are scored by the same formula among themselves (N and n_e count
users with low ratings) into a table apart, with weights below 0 that sum to -1: what a person avoids never
changes what they like.

Three SQL texts are the formula for whole stores, on DuckDB and on Spark alike (`for_spark`):

    histories, item_entities ──HELD_SQL──> held ──SPREAD_SQL──> spread
                                             └──────USER_ENTITY_SQL (held, spread)──────> user_entity

The functions below score any histories with a given idf, such as users of a bundle or the split histories
of a training example. A test holds them to each other.
"""

import re
from datetime import datetime

import numpy as np
import numpy.typing as npt
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from scipy.sparse import csr_array


class EntityWeights(BaseModel):
    """Multiplier of each kind of entity (paper 002, appendix A); 0 leaves the kind out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wikidata: float = Field(default=1.0, ge=0)
    brand: float = Field(default=0.5, ge=0)
    category: float = Field(default=0.3, ge=0)
    product: float = Field(default=0.1, ge=0)
    keyword: float = Field(default=0.5, ge=0)
    """Not in the paper's list; a dictionary of the domain's own words is given the weight of a brand."""


class ScoringConfig(BaseModel):
    """Settings of the interest score."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k_star: PositiveFloat = 5.0
    """k*, where log smoothing sets in. The paper names no value; ours leaves the usual 1-4 items linear."""
    use_idf: bool = True
    """False sets every idf to 1 (an ablation)."""
    half_life_days: PositiveFloat | None = None
    """An interaction this old counts half of a new one; None counts all alike, as the paper does."""
    as_of: datetime | None = None
    """What ages are measured to; None takes the newest interaction. What is newer has age 0."""
    negative_up_to: float | None = Field(default=None, allow_inf_nan=False)
    """A rating of at most this, where it is not positive, is a negative interest; None keeps none."""


class NeighbourConfig(BaseModel):
    """How interest spreads one hop along relations (`mekb.neighbours`); nothing spreads unless it is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gamma: float = Field(default=0.4, gt=0, le=1)
    """Damping; 0.3-0.5 is usual."""
    relations: dict[str, NonNegativeFloat] = {
        "P31": 1.0,  # instance of
        "P136": 1.0,  # genre
        "P50": 1.0,  # author
        "P57": 1.0,  # director
        "P161": 1.0,  # cast member
        "P175": 1.0,  # performer
        "P106": 1.0,  # occupation
        "P179": 1.0,  # part of the series
        "P144": 1.0,  # based on
        "P674": 1.0,  # characters
        "P495": 1.0,  # country of origin
        "P921": 1.0,  # main subject
    }
    """w_r by property; one that is not named has none. These have a meaning across domains."""
    max_degree: PositiveInt = 10_000
    """What more subjects have by one relation is left out."""
    top: PositiveInt = 20
    """Inferred interests a user."""
    in_profiles: bool = False
    """Whether models read inferred interests too, in profile texts and vectors: in training, evaluation and
    bundles alike. Off, as the paper has none; the switch of the ablation."""


class UpdateConfig(BaseModel):
    """When scoring only the users touched is no longer good enough (`mekb.drift`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_drift: float = Field(default=0.01, ge=0, le=1)
    """Mean total-variation distance, on the sample, from which `mekb profiles update` advises a refresh."""
    n_sampled: PositiveInt = 1_000
    seed: NonNegativeInt = 0


_CHOSEN = """
    select user_id, item_id, histories.at as chosen_at from histories
    where user_id between $first_user and $last_user
      and case when cast($negative_up_to as double) is null then positive
               else not positive and rating <= $negative_up_to end
"""
"""The interactions that count; the first and last user id bound a part of the users."""

POPULATION_SQL = f"select count(distinct user_id) as n_all from ({_CHOSEN}) as chosen"  # noqa: S608  a constant of ours
"""One row: N (eq. 5). Parts of users add up."""

HELD_SQL = f"""
with chosen as ({_CHOSEN})
select chosen.user_id, item_entities.entity_id,
       cast(count(*) as integer) as n_items,
       case when cast($half_life_days as double) is not null
            then cast(sum(cast(power(2, -least(
                greatest(cast($now_us as double) - epoch_us(chosen.chosen_at), 0) / 86400000000 / $half_life_days,
                30
            )) as decimal(38, 26))) as double)
       end as decayed,
       max(item_entities.weight) as multiplier,
       min(chosen.chosen_at) as first_at,
       max(chosen.chosen_at) as last_at
from chosen join item_entities on chosen.item_id = item_entities.item_id
group by chosen.user_id, item_entities.entity_id
"""  # noqa: S608  a constant of ours
"""One row a (user, entity), from `histories` (rows of `interactions`) and `item_entities`: k of equation 4 is
`decayed`, or `n_items` where that is null.

Decay stops at 30 half-lives (1e-9), so that a user of old interactions alone still has a MeKB.
"""

SPREAD_SQL = "select entity_id, count(*) as n_users from held group by entity_id"
"""One row an entity: n_e of equation 5."""

USER_ENTITY_SQL = """
with counted as (
    select *, coalesce(decayed, cast(n_items as double)) as k from held
    where user_id between $first_user and $last_user
),
factors as (
    select counted.user_id, counted.entity_id, counted.n_items, counted.first_at, counted.last_at,
           cast(counted.multiplier as double) * case
               when counted.k < $k_star then counted.k
               else $k_star * (1 + ln(counted.k / $k_star))
           end as tf,
           case when $use_idf
               then ln(cast($n_all as double) / cast(spread.n_users as double))
               else cast(1 as double)
           end as idf
    from counted join spread on counted.entity_id = spread.entity_id
),
kept as (
    select *, tf * idf as raw from factors where tf * idf > 0
),
totals as (
    select user_id, cast(sum(cast(raw as decimal(38, 26))) as double) as total
    from kept group by user_id
),
weighted as (
    select kept.*, kept.raw / totals.total as weight
    from kept join totals on kept.user_id = totals.user_id
)
select user_id, entity_id, n_items, tf, idf,
       case when $negative then -weight else weight end as weight,
       row_number() over (partition by user_id order by weight desc, entity_id) as rank,
       first_at, last_at
from weighted
"""
"""Rows of `user_entity` (or of `negative_interests`) from `held` and `spread`.

Sums are taken in decimals, which are exact: no order of rows, number of threads or parts, and no engine
changes a bit of them. Ties in weight are ranked by entity id. `spread` must know every entity of `held`.
"""

ALL_USERS = (0, 2**32 - 1)
"""The first and last user id of everybody: ids are unsigned and of 32 bits."""


def for_spark(text: str) -> str:
    """Return one of the texts above, or of `mekb.profile`, as Spark SQL: three spellings are others there.

    >>> for_spark("select epoch_us(x) < $now_us")
    'select unix_micros(x) < :now_us'
    >>> for_spark("string_agg(title, $separator order by rank)")
    'listagg(title, :separator) within group (order by rank)'
    """
    named = re.sub(r"\$(\w+)", r":\1", text).replace("epoch_us(", "unix_micros(")
    return re.sub(
        r"string_agg\(([^()]*) order by (\w+)\)", r"listagg(\1) within group (order by \2)", named
    )


def smoothed_frequency(counts: npt.NDArray[np.float64], k_star: float) -> npt.NDArray[np.float64]:
    """Return s(k) of equation 4, elementwise.

    >>> smoothed_frequency(np.array([1.0, 5.0, 5 * np.e]), k_star=5.0).round(6).tolist()
    [1.0, 5.0, 10.0]
    """
    smoothed = k_star * (1 + np.log(np.maximum(counts, k_star) / k_star))
    return np.where(counts < k_star, counts, smoothed)


def seam(k_star: float) -> tuple[float, float]:
    """Return s(k) just below k* and at k*: equal, where the two branches of equation 4 meet.

    >>> seam(5.0)
    (5.0, 5.0)
    """
    below, at = smoothed_frequency(np.array([np.nextafter(k_star, 0.0), k_star]), k_star)
    return round(float(below), 9), float(at)


def inverse_user_frequency(
    n_users: int, users_with_entity: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return idf of equation 5; an entity that no user has gets that of one user, the largest.

    >>> inverse_user_frequency(8, np.array([8, 2, 0])).round(3).tolist()
    [0.0, 1.386, 2.079]
    """
    if n_users == 0:
        return np.zeros(len(users_with_entity))
    return np.log(n_users / np.maximum(users_with_entity, 1))


def interest_weights(
    counts: csr_array,
    multipliers: npt.NDArray[np.float64],
    idf: npt.NDArray[np.float64],
    k_star: float,
) -> csr_array:
    """Return equation 7 for a matrix of counts, rows normalised to sum 1.

    Args:
        counts: Shape (users, entities): k, the number of items of the user that hold the entity.
        multipliers: Shape (entities,): m_e of the entity's kind.
        idf: Shape (entities,).
        k_star: k* of equation 4.

    Returns:
        Shape (users, entities); entities of weight 0 are not stored, an empty row stays empty.
    """
    counts = counts.copy()
    counts.sum_duplicates()
    raw = (
        smoothed_frequency(counts.data.astype(np.float64), k_star)
        * (multipliers * idf)[counts.indices]
    )
    weights = csr_array((raw, counts.indices, counts.indptr), shape=counts.shape)
    weights.eliminate_zeros()
    lengths = np.diff(weights.indptr)
    filled = np.flatnonzero(lengths)
    if filled.size:
        totals = np.add.reduceat(weights.data, weights.indptr[filled])
        weights.data /= np.repeat(totals, lengths[filled])
    return weights
