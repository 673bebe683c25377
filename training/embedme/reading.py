"""How the states of a text's tokens become its vectors: one mean, the first token, by weight, or several vectors.

    vector k of a text = sum over its tokens t of k of  share_t h_t  /  sum over them of share_t

    as it was trained   one vector, all shares 1 (the mean), or 1 for the first token and 0 for all others
    weights             share_t = w_i / n_i for the n_i tokens of interest i of weight w_i, its separator among them,
                        0 for [CLS]: the mean of the interests' own means, each counted by its weight
    several vectors     the titles that were read, in order of weight, in K runs of equal length, one vector a run;
                        of fewer titles than K each has its own, and the vectors left over repeat the first

Weights enter here and not before: the language model's frozen states, and so the warm start, know them at once, no
pretrained attention is shifted, the model that ONNX Runtime runs is the same, and texts packed into a row stay apart.
(A factor on the embeddings is taken out again by the layer norm that follows them.) Where nobody knows the weights of
a text, it has the plain mean, which is what sentence-transformers gives of the folder.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from training.dataset import TitleWeights
from training.embedme.batch import NO_SEQUENCE, NO_TITLE, PackedRows, ProfileTokenizer
from training.embedme.config import EmbedMeConfig, WeightUse


class Reading(NamedTuple):
    """What each token gives, and to which vector; shape (rows, tokens) each."""

    vectors: Int64[Tensor, "rows tokens"]
    """From 0 in each text."""
    shares: Float32[Tensor, "rows tokens"]
    """0 leaves a token out."""


def reading_of(
    tokenizer: ProfileTokenizer,
    rows: PackedRows,
    texts: Sequence[str],
    weights: TitleWeights | None,
    config: EmbedMeConfig,
) -> Reading | None:
    """Return how packed profiles are read, None where nothing but the encoder's own way is asked for.

    Args:
        tokenizer: What made the rows.
        rows: The texts, packed.
        texts: The profiles.
        weights: Of their titles, where known.
        config: Whether weights count, and how many vectors there are.
    """
    by_weight = config.weights is WeightUse.POOLING and weights is not None
    if config.interest_vectors == 1 and not by_weight:
        return None
    titles = tokenizer.titles(texts)
    shares = (
        [_shares(own, one) for own, one in zip(titles, weights, strict=True)]
        if by_weight and weights is not None
        else [np.ones(len(own), np.float32) for own in titles]
    )
    runs = [_runs(own, config.interest_vectors) for own in titles]
    return Reading(_laid(runs, rows), _laid(shares, rows))


def _shares(
    titles: Int64[np.ndarray, " tokens"], weights: Float32[np.ndarray, " titles"]
) -> Float32[np.ndarray, " tokens"]:
    """Return the share of each token; alike where the weights are not those of the titles."""
    n_titles = int(titles.max(initial=0)) + 1
    if len(weights) < n_titles or not weights[:n_titles].sum() > 0:
        return np.ones(len(titles), dtype=np.float32)
    n_tokens = np.bincount(titles[titles != NO_TITLE], minlength=n_titles)
    each = weights[:n_titles] / np.maximum(n_tokens, 1)
    shares: np.ndarray = np.where(titles == NO_TITLE, 0.0, each[titles]).astype(np.float32)
    return shares


def _runs(titles: Int64[np.ndarray, " tokens"], n_vectors: int) -> Int64[np.ndarray, " tokens"]:
    """Return the vector of each token; the first token goes with the first title."""
    n_titles = int(titles.max(initial=0)) + 1
    runs: np.ndarray = np.maximum(titles, 0) * min(n_vectors, n_titles) // n_titles
    return runs


def _laid(values: Sequence[np.ndarray], rows: PackedRows) -> Tensor:
    """Return values of tokens where the tokens stand; 0 at the ends of rows."""
    starts = torch.from_numpy(np.cumsum([0, *(len(one) for one in values[:-1])]))
    flat = torch.from_numpy(np.concatenate(values))
    found = flat[starts[rows.sequences.clamp(min=0)] + rows.positions]
    return found.masked_fill(rows.sequences == NO_SEQUENCE, 0)
