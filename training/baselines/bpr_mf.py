"""BPR-MF: matrix factorisation that ranks each positive above sampled negatives.

    score(u, i) = p_u . q_i,    loss = -log sigma(score(u, i) - score(u, j)) + l2/2 (|p_u|^2 + |q_i|^2 + |q_j|^2)

for a positive i and a random j that u did not like (Rendle et al., UAI 2009: BPR-Opt on matrix factorisation). With
`domains` "all" the items of all domains share one table of users, so a newcomer to the target has the vector
that their source rows made; "target" is the paper's setting. A user is a row of the table: one who was not in
training, or had no positive in the domains, cannot be judged (NaN). Adam instead of the paper's plain SGD.
"""

from typing import ClassVar

from typing_extensions import override

from training.bricks.histories import Domains
from training.bricks.matrix_factorisation import FactorConfig, SharedFactors
from training.config import ModelConfig


class BprMfConfig(FactorConfig):
    """Settings of BPR-MF."""

    domains: Domains = Domains.ALL


class BprMf(SharedFactors):
    """One table of users, one of the items of all chosen domains."""

    name: ClassVar[str] = "bpr_mf"
    paper: ClassVar[str] = (
        "Rendle et al.: BPR: Bayesian Personalized Ranking from Implicit Feedback, UAI 2009"
    )
    config_type: ClassVar[type[ModelConfig]] = BprMfConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, BprMfConfig)
        self.settings = config

    @override
    def domains(self) -> Domains:
        """Return the configured ones."""
        return self.settings.domains
