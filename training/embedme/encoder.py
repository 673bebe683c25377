"""The user side of EmbedMe: packed token rows to user vectors (paper section 3.2.2).

    hidden = BERT(tokens)                          (rows, tokens, hidden)
    pooled = mean of hidden over a text's tokens   (texts, hidden), [CLS] and [SEP] included
    vector = W2 gelu(W1 pooled + b1) + b2          (texts, embedding_size)

The paper names a "multi-layer perceptron" and no sizes; one hidden layer as wide as the BERT is ours.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from typing_extensions import override

from training.embedme.batch import PackedRows


class ProfileEncoder(nn.Module):
    """BERT, mean pooling, multi-layer perceptron."""

    def __init__(
        self, bert: nn.Module, hidden_size: int, embedding_size: int, dropout: float
    ) -> None:
        super().__init__()
        self.bert = bert
        self.mlp = nn.Sequential(
            nn.Linear(hidden_size, hidden_size),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_size, embedding_size),
        )

    @override
    def forward(self, rows: PackedRows, n_texts: int) -> Float[Tensor, "texts dim"]:
        """Return one vector a text."""
        own = rows.sequences[:, None, :, None] == rows.sequences[:, None, None, :]
        hidden = self.bert(
            input_ids=rows.tokens, attention_mask=own, position_ids=rows.positions
        ).last_hidden_state
        vectors: Tensor = self.mlp(mean_by_sequence(hidden.float(), rows.sequences, n_texts))
        return vectors.float()


def mean_by_sequence(
    hidden: Float[Tensor, "rows tokens hidden"],
    sequences: Int64[Tensor, "rows tokens"],
    n_texts: int,
) -> Float[Tensor, "texts hidden"]:
    """Return the mean of the hidden states of each sequence; a sequence without tokens is zero."""
    owner = (sequences + 1).flatten()  # row 0 takes the fill of row ends
    total = hidden.new_zeros((n_texts + 1, hidden.shape[-1])).index_add(
        0, owner, hidden.flatten(0, 1)
    )
    n_tokens = torch.bincount(owner, minlength=n_texts + 1).clamp(min=1)
    return (total / n_tokens[:, None])[1:]
