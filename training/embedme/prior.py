"""How likely a newcomer is to like each item where there is no taste map: popularity, among those a newcomer resembles.

A zero-shot user resembles the users with source rows more than the target's regulars do, but there are few of
them: their counts are smoothed by those of all, which stand for `strength` of them.
"""

import numpy as np
from jaxtyping import Float64

from training.dataset import Dataset, binary
from training.embedme.examples import n_source_positives


def log_prior(data: Dataset, strength: float | None) -> Float64[np.ndarray, " items"]:
    """Return log P(item) of a target interaction.

    With c_all the training counts of all users and c those of users with source rows,

        P_all(i) = (c_all(i) + 1) / sum_j (c_all(j) + 1)
        P(i)     = (c(i) + m P_all(i)) / (sum_j c(j) + m)       m = `strength` interactions; P_all for None
    """
    target = binary(data.interactions[data.target])
    overall = target.sum(axis=0, dtype=np.float64) + 1.0
    overall = overall / overall.sum()
    if strength is None:
        return np.asarray(np.log(overall))
    liked = target[n_source_positives(data) > 0].sum(axis=0, dtype=np.float64)
    return np.asarray(np.log((liked + strength * overall) / (liked.sum() + strength)))
