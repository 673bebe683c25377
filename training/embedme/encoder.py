"""The user side of EmbedMe: packed token rows to user vectors (paper section 3.2.2).

    hidden = BERT(tokens)                          (rows, tokens, hidden)
    pooled = mean of hidden over a text's tokens   (texts, hidden), [CLS] and [SEP] included
    z      = (pooled - centre) / scale             constants; 0 and 1 unless a warm start measured them
    vector = W2 gelu(W1 z + b1) + b2               (texts, embedding_size)

The paper names a "multi-layer perceptron" and no sizes; one hidden layer as wide as the BERT is ours. Other ways to
pool, and several vectors a text, are those of `training.embedme.reading`; each vector goes through the same head.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from typing_extensions import override

from training.embedme.batch import PackedRows
from training.embedme.reading import Reading
from training.encoder_files import Pooling


@dataclass(frozen=True)
class Pooler:
    """How a language model's states are pooled."""

    first_position: int = 0
    """Position id of a text's first token."""
    pooling: Pooling = Pooling.MEAN
    """Where no `Reading` says otherwise."""
    n_vectors: int = 1
    """Vectors a text."""


class ProfileEncoder(nn.Module):
    """BERT, pooling, multi-layer perceptron."""

    def __init__(
        self,
        bert: nn.Module,
        hidden_size: int,
        embedding_size: int,
        dropout: float,
        pooler: Pooler = Pooler(),
    ) -> None:
        super().__init__()
        self.bert = bert
        self.pooler = pooler
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
    def forward(
        self, rows: PackedRows, n_texts: int, reading: Reading | None = None
    ) -> Float[Tensor, "texts *vectors dim"]:
        """Return the vector of each text, or its several ones."""
        return self.head(self.pooled(rows, n_texts, reading))

    def pooled(
        self, rows: PackedRows, n_texts: int, reading: Reading | None = None
    ) -> Float[Tensor, "texts *vectors hidden"]:
        """Return the pooled states of each text, one row of them or `n_vectors` where a reading parts it."""
        own = rows.sequences[:, None, :, None] == rows.sequences[:, None, None, :]
        hidden = self.bert(
            input_ids=rows.tokens,
            attention_mask=own,
            position_ids=rows.positions + self.pooler.first_position,
        ).last_hidden_state.float()
        if reading is not None:
            return means_by_vector(
                hidden, rows.sequences, reading, (n_texts, self.pooler.n_vectors)
            )
        if self.pooler.pooling is Pooling.FIRST:
            is_first = (rows.positions == 0).to(hidden.dtype)
            first = Reading(torch.zeros_like(rows.positions), is_first)
            return means_by_vector(hidden, rows.sequences, first, (n_texts, 1))
        return mean_by_sequence(hidden, rows.sequences, n_texts)

    def head(
        self, pooled: Float[Tensor, "texts *vectors hidden"]
    ) -> Float[Tensor, "texts *vectors dim"]:
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


def means_by_vector(
    hidden: Float[Tensor, "rows tokens hidden"],
    sequences: Int64[Tensor, "rows tokens"],
    reading: Reading,
    n_of: tuple[int, int],
) -> Float[Tensor, "texts *vectors hidden"]:
    """Return the weighted means of hidden states that make the vectors of each text.

    Args:
        hidden: Last hidden states.
        sequences: The text of each token.
        reading: Its vector, and its share there.
        n_of: Texts, and vectors a text; of one vector the axis is left out. Vectors to which no token gives
            anything repeat the first one, so that they change no maximum.
    """
    n_texts, n_vectors = n_of
    owner = ((sequences + 1) * n_vectors + reading.vectors).flatten()
    shares = reading.shares.flatten().to(hidden.dtype)
    n_rows = (n_texts + 1) * n_vectors
    total = hidden.new_zeros((n_rows, hidden.shape[-1])).index_add(
        0, owner, hidden.flatten(0, 1) * shares[:, None]
    )
    mass = hidden.new_zeros(n_rows).index_add(0, owner, shares)
    means = total / mass.masked_fill(mass == 0, 1.0)[:, None]
    found = means.view(n_texts + 1, n_vectors, hidden.shape[-1])[1:]
    if n_vectors == 1:
        return found[:, 0]
    is_empty = mass.view(n_texts + 1, n_vectors, 1)[1:] == 0
    return torch.where(is_empty, found[:, :1], found)
