"""The taste of people who are no newcomers: what those interests say that are items of the target themselves.

A MeKB holds the items its user liked, each as an entity of its own. For a newcomer these are items of other domains, and
the taste map (`training.embedme.taste_map`) reads them; a person with a history in the target has items of the target among them, of
which more is known: who liked both. With T the binary target rows of training users, n_u and n_i how many likes a user and an item have,
h(u) the items of the target that a user's interests name, V and sigma the first m right singular vectors and values of

    S      = n_u^-b T n_i^-a                                            a = .35, b = .25
    D_j    = sigma_j^2 / (sigma_j^2 + ridge sigma_1^2)
    tau(u) = weight D V'(n_i^-a h(u))                                   beside the taste map's
    V_i    = n_i^a V_i

V D V' is the ridge regression of the rows of S on themselves: EASE (Steck, WWW 2019) without its diagonal of zeros, which concerns none
but items that are known and not recommended, and the posterior mean of probabilistic PCA (Tipping and Bishop, J. R. Stat. Soc. B
1999); the powers of n keep the active and the popular from filling the space (as in Shen et al., How Powerful is Graph
Convolution for Recommendation?, CIKM 2021, with 1/2). h is read from the interests and from nothing else, so that who takes
an interest out of their MeKB takes it out of here too, and who brings a MeKB from elsewhere needs no account:

    sign of item i   an entity that i holds and no other item of any domain
    w_e(u)           x_e(u) / r_e over its mean over the signs that u has;   r_e: what is usual of e (idf), so that w is 1
                     for who never weighed an interest otherwise
    h_i(u)           mean of w_e(u) over the signs e of i, 0 where u has it not

A newcomer has no sign of the target: tau is exactly 0, and nothing changes for them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64
from scipy.sparse import csr_array, diags_array, eye_array

from training.bricks.singular_space import singular_space
from training.dataset import Dataset, binary, counts, rows_of

N_SWEEPS = 20
"""Of the two-way means in `usual_weights`; weights that are products are found long before."""
POPULARITY_POWER, ACTIVITY_POWER = 0.35, 0.25
"""a and b. On validation rows of Amazon-KG, people with one to nine films, NDCG@10 among 999 negatives (books to movies / movies to books, 256
dimensions): .179 / .237; with 0 and 0 .160 / .203, .25 and .25 .171 / .226, .45 and .3 .170 / .241; EASE .165 / .224."""


@dataclass(frozen=True)
class OwnTasteSettings:
    """See `EmbedMeConfig` for where the numbers come from."""

    n_tastes: int
    """m."""
    ridge: float
    """As a share of sigma_1^2."""
    weight: float


@dataclass(frozen=True)
class OwnTastes:
    """What each sign adds to a taste; arrays only, so that it is stored like any weights."""

    signs: Int64[np.ndarray, " signs"]
    """Entity columns, rising."""
    usual: Float64[np.ndarray, " signs"]
    """r: what each weighs, beside the others, with users who have it."""
    directions: Float32[np.ndarray, "signs m"]
    """weight D V_i n_i^-a over the number of signs of i, for the item i that each one is a sign of."""
    item_tastes: Float64[np.ndarray, "items m"]
    """n_i^a V_i."""

    def user_tastes(self, interests: csr_array) -> Float64[np.ndarray, "users m"]:
        """Return tau of each row of interests; zeros for a row without signs."""
        named = csr_array(interests[:, self.signs] @ diags_array(1.0 / self.usual))
        means = named.sum(axis=1) / np.maximum(counts(named), 1)
        scale = diags_array(1.0 / np.where(means > 0, means, 1.0))
        tastes: np.ndarray = (scale @ named) @ self.directions.astype(np.float64)
        return tastes


def learn_own_tastes(data: Dataset, settings: OwnTasteSettings) -> OwnTastes:
    """Return what the signs of the target's items add.

    Args:
        data: Training rows; its profiles say what items hold.
        settings: Size, shrinkage and weight.
    """
    target = binary(data.interactions[data.target]).astype(np.float64)
    of_user = np.maximum(counts(target), 1.0) ** -ACTIVITY_POWER
    of_item = np.maximum(target.sum(axis=0), 1.0) ** POPULARITY_POWER
    scaled = diags_array(of_user) @ target @ diags_array(1.0 / of_item)
    space = singular_space(csr_array(scaled), settings.n_tastes)
    power = np.square(space.strengths)
    kept = power / (power + settings.ridge * power.max(initial=0.0))
    signs, items = item_signs(data)
    usual = usual_weights(csr_array(_interests_of_target(data)[:, signs]))
    n_signs = np.bincount(items, minlength=len(of_item))
    directions = settings.weight * kept * space.vectors[items]
    directions /= (of_item[items] * n_signs[items])[:, None]
    return OwnTastes(signs, usual, directions.astype(np.float32), space.vectors * of_item[:, None])


def item_signs(
    data: Dataset,
) -> tuple[Int64[np.ndarray, " signs"], Int64[np.ndarray, " signs"]]:
    """Return the entities that one item alone holds, of all domains, where it is the target's; and these items."""
    assert data.profiles is not None, "fit() refuses data without profiles"
    held = data.profiles.interests(_one_item_each(data)).tocoo()
    n_holders = np.bincount(held.col, minlength=held.shape[1])
    is_sign = (n_holders[held.col] == 1) & (held.row < len(data.target_items))
    entities, items = held.col[is_sign].astype(np.int64), held.row[is_sign].astype(np.int64)
    order = np.argsort(entities, kind="stable")
    return entities[order], items[order]


def usual_weights(named: csr_array) -> Float64[np.ndarray, " signs"]:
    """Return r: the factor of each column where entries are about (factor of the row) x (factor of the column).

    Args:
        named: Shape (users, signs): weights above 0.
    """
    rows, columns, logs = rows_of(named), named.indices, np.log(named.data)
    n_users, n_signs = named.shape
    per_user = np.maximum(np.bincount(rows, minlength=n_users), 1)
    per_sign = np.maximum(np.bincount(columns, minlength=n_signs), 1)
    of_sign = np.zeros(n_signs)
    for _ in range(N_SWEEPS):
        of_user = np.bincount(rows, logs - of_sign[columns], n_users) / per_user
        of_sign = np.bincount(columns, logs - of_user[rows], n_signs) / per_sign
    of_sign -= of_sign.mean() if n_signs else 0.0
    return np.asarray(np.exp(of_sign))


def _interests_of_target(data: Dataset) -> csr_array:
    """Return the interests of each user's target rows alone."""
    assert data.profiles is not None, "fit() refuses data without profiles"
    nothing = {domain: csr_array(data.interactions[domain].shape) for domain in data.sources}
    return data.profiles.interests({**data.interactions, **nothing})


def _one_item_each(data: Dataset) -> dict[str, csr_array]:
    """Return histories of one item each: first those of the target, then those of the sources."""
    sizes = {data.target: len(data.target_items)}
    sizes |= {domain: len(data.catalogues[domain]) for domain in data.sources}
    n_rows = sum(sizes.values())
    histories, start = {}, 0
    for domain, size in sizes.items():
        histories[domain] = csr_array(eye_array(n_rows, size, k=-start, format="csr"))
        start += size
    return {domain: histories[domain] for domain in data.catalogues}
