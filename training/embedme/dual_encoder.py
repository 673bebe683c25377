"""Both towers of EmbedMe and their loss (paper section 3.2.3).

logit(u, i) = phi(u) . psi(i) + b tau(u) . V_i / (p_i + e)^0.7 + s log P(i)      b = s = 0 for the paper's eq. 8
loss(u)     = full softmax over all items, eq. 9 over the user's positives (`training.losses`)

tau and V are the taste map's (`training.embedme.taste`): tau . V_i is how much likelier than others the user is
to like item i, p_i how likely others are. Were the exponent 1 and e = 0, the two last terms would be the first
terms of log(p_i + tau . V_i); rare items would be trusted too much.
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

TASTE_EXPONENT = 0.7
"""On fold 0 of Amazon-KG 0.5 and 0.7 rank as well as p_i + tau . V_i itself, 1 loses .006 to .010 in NDCG@10."""
TASTE_FLOOR = 1e-3
"""e; one like among a thousand users."""
ITEM_STD = 0.05
"""Of the first item vectors: with K = 256 and user vectors near unit length, logits start within +-0.2."""


class DualEncoder(nn.Module):
    """Both towers; its forward is the loss, so that precision and devices are the loop's affair."""

    def __init__(
        self, language_model: LanguageModel, config: EmbedMeConfig, n_items: int, n_tastes: int
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = ProfileEncoder(
            language_model.bert,
            language_model.hidden_size,
            config.embedding_size,
            config.mlp_dropout,
        )
        items = torch.randn(n_items, config.embedding_size) * ITEM_STD
        # beside a taste map the text starts silent: random numbers would only blur what the map knows
        self.items = nn.Parameter(torch.zeros_like(items) if n_tastes else items)
        is_learned = config.popularity is PopularityBias.LEARNED
        scale = torch.tensor(0.0 if config.popularity is PopularityBias.NONE else 1.0)
        self.prior_scale = nn.Parameter(scale, requires_grad=is_learned)
        self.log_prior: Tensor
        self.register_buffer("log_prior", torch.zeros(n_items))
        self.taste_scale = nn.Parameter(
            torch.tensor(config.taste_strength), requires_grad=config.n_target_tastes > 0
        )
        self.item_tastes: Tensor
        self.register_buffer("item_tastes", torch.zeros(n_items, n_tastes))

    def set_item_tastes(
        self, tastes: Float[Tensor, "items tastes"], shares: Float[Tensor, " items"]
    ) -> None:
        """Set V and the share p of users who like each item."""
        damped = tastes / (shares + TASTE_FLOOR)[:, None] ** TASTE_EXPONENT
        self.item_tastes.copy_(damped)

    def users_with_tastes(
        self, users: Float[Tensor, "users dim"], tastes: Float[Tensor, "users tastes"]
    ) -> Float[Tensor, "users all"]:
        """Return (phi, tau)."""
        return torch.cat([users, tastes.to(users.dtype)], dim=1)

    def items_with_tastes(self) -> Float[Tensor, "items all"]:
        """Return (psi, b V / (p + e)^0.7)."""
        return torch.cat([self.items, self.taste_scale * self.item_tastes], dim=1)

    def bias(self) -> Float[Tensor, " items"]:
        """Return what is added to each item's logit."""
        return self.prior_scale * self.log_prior

    @override
    def forward(
        self,
        tokens: Int64[Tensor, "rows tokens"],
        positions: Int64[Tensor, "rows tokens"],
        sequences: Int64[Tensor, "rows tokens"],
        tastes: Float[Tensor, "users tastes"],
        label_users: Int64[Tensor, " labels"],
        label_items: Int64[Tensor, " labels"],
    ) -> Float[Tensor, ""]:
        """Return the mean loss of the users packed into the rows."""
        users = self.encoder(PackedRows(tokens, positions, sequences), len(tastes))
        return self.loss(users, tastes, label_users, label_items)

    def loss(
        self,
        users: Float[Tensor, "users dim"],
        tastes: Float[Tensor, "users tastes"],
        label_users: Int64[Tensor, " labels"],
        label_items: Int64[Tensor, " labels"],
    ) -> Float[Tensor, ""]:
        """Return the mean loss of users, given what their texts and their taste say."""
        with torch.autocast(device_type=users.device.type, enabled=False):
            losses = full_softmax(
                self.users_with_tastes(users, tastes),
                self.items_with_tastes(),
                self.bias(),
                positive_users=label_users,
                positive_items=label_items,
                reduction=self.config.reduction,
            )
        return losses.mean()
