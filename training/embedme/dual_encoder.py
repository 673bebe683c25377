"""Both towers of EmbedMe and their loss (paper section 3.2.3).

logit(u, i) = phi(u) . psi(i) + s log P(i)      s = 0 for the paper's eq. 8
loss(u)     = full softmax over all items, eq. 9 over the user's positives (`training.losses`)
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from typing_extensions import override

from training.embedme.batch import PackedRows
from training.embedme.bert import LanguageModel
from training.embedme.config import EmbedMeConfig, PopularityBias
from training.embedme.encoder import ProfileEncoder
from training.losses import full_softmax

ITEM_STD = 0.05
"""Of the first item vectors: with K = 256 and user vectors near unit length, logits start within +-0.2."""


class DualEncoder(nn.Module):
    """Both towers; its forward is the loss, so that precision and devices are the loop's affair."""

    def __init__(self, language_model: LanguageModel, config: EmbedMeConfig, n_items: int) -> None:
        super().__init__()
        self.config = config
        self.encoder = ProfileEncoder(
            language_model.bert,
            language_model.hidden_size,
            config.embedding_size,
            config.mlp_dropout,
        )
        self.items = nn.Parameter(torch.randn(n_items, config.embedding_size) * ITEM_STD)
        is_learned = config.popularity is PopularityBias.LEARNED
        scale = torch.tensor(0.0 if config.popularity is PopularityBias.NONE else 1.0)
        self.prior_scale = nn.Parameter(scale, requires_grad=is_learned)
        self.log_prior: Tensor
        self.register_buffer("log_prior", torch.zeros(n_items))

    def bias(self) -> Float[Tensor, " items"]:
        """Return what is added to each item's logit."""
        return self.prior_scale * self.log_prior

    @override
    def forward(
        self,
        tokens: Int64[Tensor, "rows tokens"],
        positions: Int64[Tensor, "rows tokens"],
        sequences: Int64[Tensor, "rows tokens"],
        label_users: Int64[Tensor, " labels"],
        label_items: Int64[Tensor, " labels"],
    ) -> Float[Tensor, ""]:
        """Return the mean loss of the users packed into the rows."""
        n_users = int(label_users.max()) + 1
        users = self.encoder(PackedRows(tokens, positions, sequences), n_users)
        return self.loss(users, label_users, label_items)

    def loss(
        self,
        users: Float[Tensor, "users dim"],
        label_users: Int64[Tensor, " labels"],
        label_items: Int64[Tensor, " labels"],
    ) -> Float[Tensor, ""]:
        """Return the mean loss of user vectors."""
        with torch.autocast(device_type=users.device.type, enabled=False):
            losses = full_softmax(
                users,
                self.items,
                self.bias(),
                positive_users=label_users,
                positive_items=label_items,
                reduction=self.config.reduction,
            )
        return losses.mean()
