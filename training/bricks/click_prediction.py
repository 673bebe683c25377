"""The chance that a user clicks an item, from two encoded sequences: target attention and an MLP (SITN, stage 2).

    u^s = Attention(query = v; keys, values = Z^s)      and u^t likewise over Z^t
    y   = sigmoid(MLP(concat(u^s, u^t, v)))                                             (8)
    loss(y, label) = -(label log y + (1 - label) log(1 - y))                             (9)

Z are the places of a sequence as its encoder leaves them, v is the item (Sun et al., AAAI 2023, eqs. 8-9; target
attention after DIN, Zhou et al., KDD 2018). The MLP has one hidden layer with ReLU: open in the paper.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from training.bricks.domain_contrast import SequencePair
from training.bricks.sequence_attention import EncodedPlaces, MultiHeadAttention
from training.bricks.sequences import Windows


class ClickPredictor(nn.Module):
    """Target attention in both domains, and the MLP on what it finds."""

    def __init__(self, dim: int, n_heads: int, hidden_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.source_attention = MultiHeadAttention(dim, n_heads, dropout)
        self.target_attention = MultiHeadAttention(dim, n_heads, dropout)
        self.mlp = nn.Sequential(
            nn.Linear(3 * dim, hidden_size),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_size, 1),
        )

    @override
    def forward(
        self, items: Float[Tensor, "users items dim"], source: EncodedPlaces, target: EncodedPlaces
    ) -> Float[Tensor, "users items"]:
        """Return the log-odds of a click of each user on each of the user's items."""
        found = [
            self.source_attention(items, *source),
            self.target_attention(items, *target),
            items,
        ]
        log_odds: Tensor = self.mlp(torch.cat(found, dim=2))[:, :, 0]
        return log_odds


def click_loss(log_odds: Float[Tensor, "users items"]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy where the first item of each row was clicked and no other (eq. 9)."""
    labels = torch.zeros_like(log_odds)
    labels[:, 0] = 1.0
    return functional.binary_cross_entropy_with_logits(log_odds, labels)


class ClickStage(nn.Module):
    """A pair of encoders under a predictor, as the training loop calls it."""

    def __init__(self, pair: SequencePair, predictor: ClickPredictor) -> None:
        super().__init__()
        self.pair, self.predictor = pair, predictor

    @override
    def forward(self, *inputs: Tensor) -> Float[Tensor, ""]:
        """Return the mean loss of source windows, target windows and items, the clicked ones first."""
        sides = self.pair(Windows(*inputs[:2]), Windows(*inputs[2:4]))
        return click_loss(self.predictor(self.pair.target_items(inputs[4]), *sides))
