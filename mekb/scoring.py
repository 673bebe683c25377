"""The interest score of the MeKB (paper 002, section 3.1.3, equations 4-7), in SQL and in NumPy.

    s(k)        = k                        for k < k*          (eq. 4: log smoothing of high counts)
                = k* (1 + log(k / k*))     for k >= k*         (continuous: both sides give k* at k*)
    idf(e)      = log(N / n_e)                                 (eq. 5: N users, n_e of them have e)
    tf(u, e)    = m_e s(k_ue)                                  (eq. 6; m_e: the kind's multiplier, appendix A)
    weight(u,e) = tf(u, e) idf(e) / sum over e' of tf(u, e') idf(e')                              (eq. 7)

k counts the user's positive interactions whose item holds the entity, however often it is mentioned there.
N is the number of users with a positive interaction. The logarithm is natural. An entity that every user
has gets idf 0 and leaves the graph; a user left with nothing has an empty MeKB, which is no error.

`USER_ENTITY_SQL` scores a whole store; the functions below score any histories with a given idf, such as
users of a bundle or the split histories of a training example. A test holds them to each other.
"""

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat
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


USER_ENTITY_SQL = """
with liked as (
    select user_id, item_id, interactions.at as liked_at from interactions where positive
),
population as (
    select cast(count(distinct user_id) as double) as n_all from liked
),
held as (
    select liked.user_id, item_entities.entity_id,
           count(*) as n_items,
           max(cast(item_entities.weight as double)) as multiplier,
           min(liked.liked_at) as first_at,
           max(liked.liked_at) as last_at
    from liked join item_entities on liked.item_id = item_entities.item_id
    group by liked.user_id, item_entities.entity_id
),
spread as (
    select entity_id, cast(count(*) as double) as n_users from held group by entity_id
),
factors as (
    select held.user_id, held.entity_id, held.n_items, held.first_at, held.last_at,
           held.multiplier * case
               when held.n_items < $k_star then cast(held.n_items as double)
               else $k_star * (1 + ln(cast(held.n_items as double) / $k_star))
           end as tf,
           case when $use_idf then ln(population.n_all / spread.n_users) else 1.0 end as idf
    from held
    join spread on held.entity_id = spread.entity_id
    cross join population
),
kept as (
    select *, tf * idf as raw from factors where tf * idf > 0
),
totals as (
    select user_id, sum(raw order by entity_id) as total from kept group by user_id
),
weighted as (
    select kept.*, kept.raw / totals.total as weight
    from kept join totals on kept.user_id = totals.user_id
)
select user_id, entity_id, n_items, tf, idf, weight,
       row_number() over (partition by user_id order by weight desc, entity_id) as rank,
       first_at, last_at
from weighted
"""
"""Rows of `user_entity` from `interactions` and `item_entities`; parameters $k_star and $use_idf.

The sum over a user is taken in the order of entity ids, so that the same rows give the same bits on any
number of threads; ties in weight are ranked by entity id.
"""


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
