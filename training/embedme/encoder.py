"""The user side of EmbedMe: packed token rows to user vectors (paper section 3.2.2).

    hidden = BERT(tokens)                          (rows, tokens, hidden)
    pooled = mean of hidden over a text's tokens   (texts, hidden), [CLS] and [SEP] included
    z      = (pooled - centre) / scale             constants; 0 and 1 unless a warm start measured them
    vector = W2 gelu(W1 z + b1) + b2               (texts, embedding_size)

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
        self.centre: Tensor
        self.scale: Tensor
        self.register_buffer("centre", torch.zeros(hidden_size))
        self.register_buffer("scale", torch.ones(hidden_size))
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
        return self.head(mean_by_sequence(hidden.float(), rows.sequences, n_texts))

    def head(self, pooled: Float[Tensor, "texts hidden"]) -> Float[Tensor, "texts dim"]:
        """Return the vectors of pooled states."""
        vectors: Tensor = self.mlp((pooled - self.centre) / self.scale)
        return vectors.float()

    def set_input_scale(
        self, mean: Float[Tensor, " hidden"], std: Float[Tensor, " hidden"]
    ) -> None:
        """Fix mean and standard deviation by which pooled states enter the head."""
        self.centre.copy_(mean)
        self.scale.copy_(std.clamp(min=1e-6))


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
