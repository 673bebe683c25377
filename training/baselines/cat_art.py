"""CAT-ART: each domain's user vectors make one unbiased whole, which with them helps every domain (n >= 3 of them).

    stage 1   BPR matrix factorisation of every domain, each for itself                     `bricks.user_vectors`
    stage 2   CAT: a contrastive autoencoder of the users' vectors, one domain hidden       `bricks.masked_autoencoder`
    stage 3   ART: u = u_target + attention over the sources' vectors + linear map of the whole, by BPR in the
              target; all else stays as it is                                        `bricks.representation_transfer`

Only `UserVectors` leave a domain: stages 2 and 3 are given nothing else but the target's own rows. A fit is for one
target; `for_target` takes stages 1 and 2 along to another, `training.every_domain` judges all of them.
Li et al., One for All, All for One: Learning and Transferring User Embeddings for Cross-Domain Recommendation, WSDM 2023.

From the slides: stages, losses, what is fixed. From the public code, where they are silent: dimension 64, l2 1e-4 in
stage 1 and none in stage 3, batch sizes, sizes and pad of the autoencoder, its weights and temperature, one head with
dropout 0.1, one uniform negative. The code also goes on training the target's item vectors in stage 3 (`tune_items`),
and copies of the sources' user vectors, which Algorithm 1 fixes (not offered).
Decided here: stages 1 and 2 run all their epochs (the code stops them on rows of its own split), so that they do not
depend on the target; a domain in which a user did nothing is padded and takes no attention. Of a newcomer to the target
the autoencoder's rebuilt vector stands in for the missing one, and `newcomer_share` of stage 3's examples are shown so,
whatever the user did (0 is the paper's). "- Attention" is one linear map of all sources, the code's simplest transfer.
Two domains work too, hiding one leaves one. A user not in training, or without any row, is NaN.
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float32
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import nn
from typing_extensions import override

from training.bricks.bpr import Triplets
from training.bricks.masked_autoencoder import LossWeights, MaskedAutoencoder
from training.bricks.matrix_factorisation import FactorConfig
from training.bricks.representation_transfer import (
    RepresentationTransfer,
    Transfer,
    TransferStage,
    represent,
    with_newcomers,
)
from training.bricks.user_vectors import DomainFactors, UserVectors, masked_epoch
from training.config import ModelConfig
from training.contract import FitContext, Need, UserBatch, VectorRecommender
from training.dataset import Dataset
from training.errors import DatasetError
from training.gradient_model import GradientModel, Phase, Shape
from training.loop import Epoch, LoopConfig


class Variant(StrEnum):
    """The five steps of the paper's ablation."""

    SMF = "smf"
    """Stage 1 in the target alone."""
    AUTOENCODER = "autoencoder"
    """The whole of a plain autoencoder is added."""
    CONTRASTIVE = "contrastive"
    """The whole of CAT is added."""
    FULL = "full"
    """"+ ART"."""
    NO_ATTENTION = "no_attention"


class CatArtConfig(FactorConfig):
    """Settings; those of `FactorConfig` are of stage 1, one factorisation a domain."""

    l2: NonNegativeFloat = 1e-4  # the public code's
    variant: Variant = Variant.FULL
    temperature: PositiveFloat = 0.1
    weights: LossWeights = LossWeights()
    """Of contrast, reconstruction, and reconstruction from the masked vectors."""
    autoencoder_epochs: PositiveInt = 50
    autoencoder_batch_size: PositiveInt = 512
    autoencoder_learning_rate: PositiveFloat = 1e-3
    transfer_epochs: PositiveInt = 50
    transfer_batch_size: PositiveInt = 2048
    transfer_learning_rate: PositiveFloat = 1e-3
    attention_dropout: float = Field(default=0.1, ge=0, lt=1)
    newcomer_share: float = Field(default=0.5, ge=0, le=1)
    tune_items: bool = False

    def of_stage(self, name: Literal["autoencoder", "transfer"]) -> LoopConfig:
        """Return the settings of a later stage's loop."""
        own = ("epochs", "batch_size", "learning_rate")
        return self.model_copy(update={one: getattr(self, f"{name}_{one}") for one in own})


TRANSFERS = {Variant.FULL: Transfer.ATTENTION, Variant.NO_ATTENTION: Transfer.CONCATENATION}
"""The others add the whole alone."""


class CatArtModule(nn.Module):
    """A factorisation a domain, the autoencoder, the transfer to the target and its item vectors."""

    def __init__(self, shape: Shape, settings: CatArtConfig) -> None:
        super().__init__()
        dim, n_domains = settings.embedding_size, len(shape.n_items)
        kind = TRANSFERS.get(settings.variant, Transfer.GLOBAL)
        self.target = list(shape.n_items).index(shape.target)
        self.domains = DomainFactors(shape, settings)
        plain = settings.variant is Variant.AUTOENCODER
        weights = LossWeights(0.0, 1.0, 0.0) if plain else settings.weights
        self.autoencoder = MaskedAutoencoder(n_domains, dim, weights, settings.temperature)
        self.transfer = RepresentationTransfer(n_domains - 1, dim, kind, settings.attention_dropout)
        self.items = nn.Embedding(shape.n_target_items, dim)


class CatArt(GradientModel[CatArtModule], VectorRecommender):
    """Multi-target transfer of user vectors."""

    name: ClassVar[str] = "cat_art"
    paper: ClassVar[str] = (
        "Li et al.: One for All, All for One: Learning and Transferring User Embeddings for Cross-Domain"
        " Recommendation (CAT-ART), WSDM 2023"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.KNOWN_USER})
    config_type: ClassVar[type[ModelConfig]] = CatArtConfig
    _stages_of: "CatArt | None" = None

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, CatArtConfig)
        self.settings = config

    def for_target(self, data: Dataset, context: FitContext) -> "CatArt":
        """Return a model for the target of `data`, which differ in nothing else: stages 1 and 2 are taken over."""
        other = CatArt(self.settings)
        other._stages_of = self
        other.fit(data, context)
        other._stages_of = None  # a later fit of it starts anew
        return other

    @override
    def build(self, shape: Shape) -> CatArtModule:
        """Return a module for the users and all domains."""
        if not shape.sources:
            raise DatasetError(f"{self.name} needs a source domain beside target {shape.target!r}")
        return CatArtModule(shape, self.settings)

    @override
    def phases(self, data: Dataset, context: FitContext) -> Iterator[Phase]:
        """Factorise each domain, learn the whole, transfer to the target."""
        settings, module, given = self.settings, self.module, self._stages_of
        if given is not None:
            module.domains.load_state_dict(given.module.domains.state_dict())
            module.autoencoder.load_state_dict(given.module.autoencoder.state_dict())
        else:
            yield from module.domains.phases(data, settings)
        users = module.domains.user_vectors()
        module.items.weight.data.copy_(module.domains.of(module.target).items.detach())
        if settings.variant is Variant.SMF:
            return
        if given is None:
            if not (users.known.sum(dim=1) > 1).any():
                raise DatasetError(f"{self.name} needs users who are in more than one domain")
            size = settings.autoencoder_batch_size
            masked = partial(masked_epoch, users, data.user_ids, size)
            yield Phase("cat", module.autoencoder, masked, settings.of_stage("autoencoder"))
        yield self._transfer_phase(users, data)

    def _transfer_phase(self, users: UserVectors, data: Dataset) -> Phase:
        settings, module, target = self.settings, self.module, self.module.target
        size, share = settings.transfer_batch_size, settings.newcomer_share
        stage = TransferStage(
            module.transfer,
            module.items,
            represent(module.autoencoder, users, target),
            represent(module.autoencoder, users.without(target), target),
        )
        triplets = Triplets(data.user_ids, data.interactions, [data.target])

        def examples(rng: np.random.Generator) -> Epoch:
            return with_newcomers(triplets.epoch(rng, size, settings.n_negatives), share, rng)

        loop = settings.of_stage("transfer")
        fixed = [] if settings.tune_items else [module.items]
        return Phase("art", stage, examples, loop, lambda: self.ranking(data), fixed)

    @override
    def item_vectors(self) -> Float32[np.ndarray, "items dim"]:
        """Return the target's item vectors."""
        vectors: np.ndarray = self.module.items.weight.detach().cpu().numpy()
        return vectors

    @override
    def user_vectors(self, users: UserBatch) -> Float32[np.ndarray, "users dim"]:
        """Return the enriched vectors of training users; NaN for others."""
        rows, module, target = self.known_rows(users), self.module, self.module.target
        if self.settings.variant is Variant.SMF:
            return module.domains.of(target).user_vectors(rows)
        found = module.domains.user_vectors(np.maximum(rows, 0))
        with torch.no_grad():
            shown = represent(module.autoencoder, found, target)
            vectors: np.ndarray = module.transfer(shown).cpu().numpy()
        vectors[(rows < 0) | ~found.known.any(dim=1).cpu().numpy()] = np.nan
        return vectors
