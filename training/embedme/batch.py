"""Profile texts as packed token rows.

In: texts, entity titles joined by " [SEP] ". Out: `PackedRows`, several texts a row, each attending only to
itself and counting its own positions; the encoder gives for each what it would give alone, and no time goes
into padding.

A text is the sequence [CLS] t1 [SEP] t2 [SEP] ... tn [SEP] (of a RoBERTa <s> t1 </s> t2 </s> ... tn </s>), cut
to `max_tokens` with the last token kept [SEP]: what the tokenizer makes of the whole text. Titles come by falling
weight, so the lightest are cut.
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
NO_TITLE = -1


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
    """Turns profile texts into token ids, each title once.

    Args:
        tokenizer: It neither cuts nor pads.
        max_tokens: Tokens of a text.
        prefix: What an encoder wants before each text, such as E5's "query: ".

    Raises:
        EncoderError: the tokenizer has no first token or no separator.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int, prefix: str = "") -> None:
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._prefix = prefix
        self._first, self._separator = frame_of(tokenizer)
        self._titles: dict[str, list[int]] = {}

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, at most `max_tokens`, with [CLS] and [SEP]."""
        return [self._assemble(each) for each in self._learned(texts)]

    def titles(self, texts: Sequence[str]) -> list[Int64[np.ndarray, " _"]]:
        """Return, for each token of `ids(texts)`, the number of the title it or its separator belongs to.

        [CLS] belongs to none, `NO_TITLE`; what stands before a text belongs to its first title.
        """
        return [self._owners(each) for each in self._learned(texts)]

    def _learned(self, texts: Sequence[str]) -> list[list[str]]:
        titles = [(self._prefix + text).split(SEPARATOR) for text in texts]
        self._learn({title for each in titles for title in each})
        return titles

    def _owners(self, titles: Sequence[str]) -> Int64[np.ndarray, " tokens"]:
        lengths = np.array([len(self._titles[title]) + 1 for title in titles])
        owners = np.repeat(np.arange(len(titles), dtype=np.int64), lengths)
        return np.concatenate([[NO_TITLE], owners])[: self._max_tokens]

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


def frame_of(tokenizer: Tokenizer) -> tuple[int, int]:
    """Return the ids of the first token and the separator: what the tokenizer puts around a text.

    Raises:
        EncoderError: it puts something else there.
    """
    nothing = tokenizer.encode("")
    around = [
        one for one, is_text in zip(nothing.ids, nothing.attention_mask, strict=True) if is_text
    ]
    if len(around) != 2:  # noqa: PLR2004  (one before, one after)
        raise EncoderError(
            "the tokenizer has no [CLS] or [SEP]: it is neither a BERT's nor a RoBERTa's"
        )
    return around[0], around[1]


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
