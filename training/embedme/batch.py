"""Profile texts as packed token rows.

In: texts, entity titles joined by " [SEP] ". Out: `PackedRows`, several texts a row, each attending only to
itself and counting its own positions; the encoder gives for each what it would give alone, and no time goes
into padding.

A text is the sequence [CLS] t1 [SEP] t2 [SEP] ... tn [SEP], cut to `max_tokens` with the last token kept
[SEP]: what the tokenizer makes of the whole text. Titles come by falling weight, so the lightest are cut.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from tokenizers import Tokenizer
from torch import Tensor

from training.errors import EncoderError

SEPARATOR = " [SEP] "
NO_SEQUENCE = -1


class PackedRows(NamedTuple):
    """Token rows; shape (rows, tokens) each."""

    tokens: Int64[Tensor, "rows tokens"]
    positions: Int64[Tensor, "rows tokens"]
    """From 0 in each sequence."""
    sequences: Int64[Tensor, "rows tokens"]
    """Which text a token belongs to; `NO_SEQUENCE` at the end of a row."""


TITLES_KEPT = 200_000
"""Titles whose token ids are remembered, some 50 MB: a service that runs for months meets no end of titles."""


class ProfileTokenizer:
    """Turns profile texts into token ids, each title once."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        first, separator = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
        if first is None or separator is None:
            raise EncoderError("the tokenizer has no [CLS] or [SEP]: it is not a BERT's")
        self._first, self._separator = first, separator
        self._titles: dict[str, list[int]] = {}

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, at most `max_tokens`, with [CLS] and [SEP]."""
        titles = [text.split(SEPARATOR) for text in texts]
        self._learn({title for each in titles for title in each})
        return [self._assemble(each) for each in titles]

    def _learn(self, titles: set[str]) -> None:
        if len(self._titles) > TITLES_KEPT:
            self._titles = {}
        unknown = sorted(titles - self._titles.keys())
        encodings = self._tokenizer.encode_batch(unknown, add_special_tokens=False)
        self._titles.update(
            (title, encoding.ids[: self._max_tokens])
            for title, encoding in zip(unknown, encodings, strict=True)
        )

    def _assemble(self, titles: Sequence[str]) -> list[int]:
        ids = [self._first]
        for title in titles:
            ids += self._titles[title]
            ids.append(self._separator)
            if len(ids) >= self._max_tokens:
                return [*ids[: self._max_tokens - 1], self._separator]
        return ids


def pack(sequences: Sequence[Sequence[int]], row_tokens: int) -> PackedRows:
    """Put sequences into as few rows of `row_tokens` as first-fit by falling length finds.

    Args:
        sequences: Token ids of each text, none empty; a longer one than `row_tokens` makes rows longer.
        row_tokens: Tokens a row.
    """
    lengths = np.array([len(ids) for ids in sequences], dtype=np.int64)
    row_tokens = max(row_tokens, int(lengths.max(initial=1)))
    rows = _first_fit(lengths, row_tokens)
    width = max((int(lengths[row].sum()) for row in rows), default=1)
    tokens = np.zeros((len(rows), width), dtype=np.int64)
    positions = np.zeros_like(tokens)
    owners = np.full_like(tokens, NO_SEQUENCE)
    for number, row in enumerate(rows):
        start = 0
        for sequence in row:
            part = slice(start, start + int(lengths[sequence]))
            tokens[number, part] = sequences[sequence]
            positions[number, part] = np.arange(lengths[sequence])
            owners[number, part] = sequence
            start = part.stop
    return PackedRows(
        torch.from_numpy(tokens), torch.from_numpy(positions), torch.from_numpy(owners)
    )


def _first_fit(lengths: Int64[np.ndarray, " sequences"], row_tokens: int) -> list[list[int]]:
    rows: list[list[int]] = []
    free = np.empty(len(lengths), dtype=np.int64)
    for sequence in np.argsort(-lengths, kind="stable"):
        fits = free[: len(rows)] >= lengths[sequence]
        row = int(fits.argmax()) if fits.any() else len(rows)
        if row == len(rows):
            rows.append([])
            free[row] = row_tokens
        rows[row].append(int(sequence))
        free[row] -= lengths[sequence]
    return rows
