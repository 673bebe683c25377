"""Both towers of EmbedMe and their loss (paper section 3.2.3).

logit(u, i) = phi(u) . psi(i) + s [ log(p_i + e) + tau(u) . V_i / (p_i + e) ]        s = 0 for the paper's eq. 8
loss(u)     = full softmax over all items, eq. 9 over the user's positives (`training.losses`)

p_i is how likely a newcomer is to like item i, before anything is known of them, and tau and V are the taste map's
(`training.embedme.taste`): tau . V_i is how much likelier than others this one is. The bracket is log(p_i + e +
tau . V_i) to the first order, which a dot product can say; e keeps the step of rare items small. Without a taste
map the bracket is log P(i). Of several vectors phi_k a user, the nearest counts (`training.embedme.late_interaction`).
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from typing_extensions import override

from training.embedme.batch import PackedRows
from training.embedme.bert import LanguageModel
from training.embedme.config import EmbedMeConfig, PopularityBias
from training.embedme.encoder import Pooler, ProfileEncoder
from training.embedme.late_interaction import best_logits, late_softmax
from training.embedme.reading import Reading
from training.losses import full_softmax
from training.sampled_softmax import draw_items, inclusion_chances, sampled_softmax

SHARE_FLOOR = 0.05
"""e. On fold 0 of Amazon-KG .03 and .1 rank alike (NDCG@10 among 999 negatives within .001); in the sample world .1 loses .005."""
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
            Pooler(
                language_model.first_position,
                language_model.recipe.pooling,
                config.interest_vectors,
            ),
        )
        items = torch.randn(n_items, config.embedding_size) * ITEM_STD
        # beside a taste map the text starts silent: random numbers would only blur what the map knows
        self.items = nn.Parameter(torch.zeros_like(items) if n_tastes else items)
        is_learned = config.popularity is PopularityBias.LEARNED or n_tastes > 0
        is_fixed = config.popularity is PopularityBias.FIXED
        self.known_scale = nn.Parameter(
            torch.tensor(1.0), requires_grad=is_learned and not is_fixed
        )
        """s: how much the interactions alone say, beside the text."""
        self.log_prior: Tensor
        self.register_buffer("log_prior", torch.zeros(n_items))
        self.item_tastes: Tensor
        self.register_buffer("item_tastes", torch.zeros(n_items, n_tastes))

    def set_item_tastes(
        self, tastes: Float[Tensor, "items tastes"], shares: Float[Tensor, " items"]
    ) -> None:
        """Set V, and the chance p of a newcomer to like each item, which then is the prior too."""
        self.item_tastes.copy_(tastes / (shares + SHARE_FLOOR)[:, None])
        self.log_prior.copy_(torch.log(shares + SHARE_FLOOR))

    def users_with_tastes(
        self, users: Float[Tensor, "users *vectors dim"], tastes: Float[Tensor, "users tastes"]
    ) -> Float[Tensor, "users *vectors all"]:
        """Return (phi, tau), tau beside each of several phi."""
        if users.dim() > tastes.dim():
            tastes = tastes[:, None].expand(-1, users.shape[1], -1)
        return torch.cat([users, tastes.to(users.dtype)], dim=-1)

    def items_with_tastes(self) -> Float[Tensor, "items all"]:
        """Return (psi, s V / (p + e))."""
        return torch.cat([self.items, self.known_scale * self.item_tastes], dim=1)

    def logits(
        self, users: Float[Tensor, "users *vectors dim"], tastes: Float[Tensor, "users tastes"]
    ) -> Float[Tensor, "users items"]:
        """Return the logits of all items."""
        vectors = self.users_with_tastes(users, tastes)
        if vectors.dim() > tastes.dim():
            return best_logits(vectors, self.items_with_tastes(), self.bias())
        return vectors @ self.items_with_tastes().T + self.bias()

    def bias(self) -> Float[Tensor, " items"]:
        """Return what is added to each item's logit: s times the prior, or nothing."""
        if self.config.popularity is PopularityBias.NONE:
            return torch.zeros_like(self.log_prior)
        return self.known_scale * self.log_prior

    @override
    def forward(
        self,
        tokens: Int64[Tensor, "rows tokens"],
        positions: Int64[Tensor, "rows tokens"],
        sequences: Int64[Tensor, "rows tokens"],
        tastes: Float[Tensor, "users tastes"],
        label_users: Int64[Tensor, " labels"],
        label_items: Int64[Tensor, " labels"],
        *reading: Tensor,
    ) -> Float[Tensor, ""]:
        """Return the mean loss of the users packed into the rows; what is left are the parts of a `Reading`."""
        rows = PackedRows(tokens, positions, sequences)
        users = self.encoder(rows, len(tastes), Reading(*reading) if reading else None)
        return self.loss(users, tastes, label_users, label_items)

    def loss(
        self,
        users: Float[Tensor, "users *vectors dim"],
        tastes: Float[Tensor, "users tastes"],
        label_users: Int64[Tensor, " labels"],
        label_items: Int64[Tensor, " labels"],
    ) -> Float[Tensor, ""]:
        """Return the mean loss of users, given what their texts and their taste say."""
        with torch.autocast(device_type=users.device.type, enabled=False):
            above = self.config.sampled_softmax_above
            vectors = (self.users_with_tastes(users, tastes), self.items_with_tastes(), self.bias())
            if users.dim() > tastes.dim():
                losses = late_softmax(
                    *vectors,
                    positive_users=label_users,
                    positive_items=label_items,
                    reduction=self.config.reduction,
                )
            elif above is not None and len(self.items) > above:
                chances = self.sampling_chances()
                losses = sampled_softmax(
                    *vectors,
                    positive_users=label_users,
                    positive_items=label_items,
                    drawn=draw_items(chances),
                    chances=chances,
                    reduction=self.config.reduction,
                )
            else:
                losses = full_softmax(
                    *vectors,
                    positive_users=label_users,
                    positive_items=label_items,
                    reduction=self.config.reduction,
                    products=self.config.softmax_products,
                )
        return losses.mean()

    def sampling_chances(self) -> Float[Tensor, " items"]:
        """Return the chance of each item to be in a step's sample."""
        popularity = self.log_prior.softmax(dim=0)
        proposal = (popularity + 1.0 / len(popularity)) / 2
        return inclusion_chances(proposal, self.config.n_sampled_items)
