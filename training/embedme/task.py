"""EmbedMe as the one loop sees it: examples drawn anew in each epoch, packed batches, validation.

In: a model's parts and the training rows. Out: `EmbedMeTask`, which `training.loop` trains.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from training.contract import Recommender
from training.dataset import Dataset, rows_of
from training.embedme.batch import ProfileTokenizer, pack
from training.embedme.bert import LanguageModel
from training.embedme.config import EmbedMeConfig
from training.embedme.dual_encoder import DualEncoder
from training.embedme.examples import (
    Drawing,
    Examples,
    draw_examples,
    example_users,
    weights_of,
    with_profile,
)
from training.embedme.reading import reading_of
from training.embedme.selection import deciding_metrics
from training.embedme.taste import LearnedTaste, training_tastes
from training.evaluate import Evaluation, evaluate
from training.loop import Batch
from training.speed import softmax_flops

PRETRAINED = "encoder.bert."
"""Before the names of the language model's parameters."""


@dataclass(frozen=True)
class Parts:
    """What a model is made of while it learns."""

    settings: EmbedMeConfig
    language_model: LanguageModel
    tokenizer: ProfileTokenizer
    module: DualEncoder
    taste: LearnedTaste | None


class EpochBatches:
    """The batches of one epoch, each made when its turn comes."""

    def __init__(self, parts: Parts, data: Dataset, examples: Examples) -> None:
        self._data, self._examples, self._taste = data, examples, parts.taste
        self._tokenizer, self._config = parts.tokenizer, parts.settings
        self._language_model = parts.language_model
        self._rank, self._n_ranks = 0, 1
        self.n_skipped = 0
        """Examples of this rank without profile text among the batches made so far."""

    def share(self, rank: int, n_ranks: int) -> "EpochBatches":
        """Keep to every n-th example of each batch, beginning with number `rank`."""
        self._rank, self._n_ranks = rank, n_ranks
        return self

    def __len__(self) -> int:
        return math.ceil(len(self._examples) / self._config.batch_size)

    def __iter__(self) -> Iterator[Batch | None]:
        self.n_skipped = 0
        size = self._config.batch_size
        for start in range(0, len(self._examples), size):
            stop = min(start + size, len(self._examples))
            yield self._batch(slice(start + self._rank, stop, self._n_ranks))

    def _batch(self, part: slice) -> Batch | None:
        users = example_users(self._data, self._examples, part)
        texts = users.profiles or []
        kept = with_profile(texts)
        self.n_skipped += len(texts) - len(kept)
        if not len(kept):
            return None
        texts = [texts[i] for i in kept]
        ids = self._tokenizer.ids(texts)
        rows = pack(ids, self._config.max_tokens)
        reading = reading_of(self._tokenizer, rows, texts, weights_of(users, kept), self._config)
        lengths = [len(one) for one in ids]
        labels = self._examples.labels[part][kept]
        items = torch.from_numpy(labels.indices.astype(np.int64))
        user_rows = self._examples.user_rows[part][kept]
        tastes = training_tastes(self._taste, user_rows, users, kept)
        return Batch(
            (*rows, torch.from_numpy(tastes), torch.from_numpy(rows_of(labels)), items)
            + (reading or ()),
            users.ids[kept],
            n_tokens=sum(lengths),
            flops=self._language_model.training_flops(lengths)
            + softmax_flops(len(kept), labels.shape[1], self._config.embedding_size),
        )


class EmbedMeTask:
    """EmbedMe as the loop sees it."""

    def __init__(self, model: Recommender, parts: Parts, data: Dataset, seed: int) -> None:
        self._model, self._parts, self._data, self._seed = model, parts, data, seed
        self._epoch: EpochBatches | None = None

    @property
    def module(self) -> nn.Module:
        """Both towers."""
        return self._parts.module

    @property
    def pretrained(self) -> str:
        """The language model; its head, the items and the prior's scale are new."""
        return PRETRAINED

    @property
    def identity(self) -> str:
        """A digest of settings, items and training rows."""
        digest = hashlib.sha256(self._parts.settings.model_dump_json().encode())
        digest.update(self._data.target_items.item_ids.tobytes() + self._data.user_ids.tobytes())
        for domain, matrix in sorted(self._data.interactions.items()):
            digest.update(domain.encode())
            digest.update(
                matrix.indptr.tobytes() + matrix.indices.tobytes() + matrix.data.tobytes()
            )
        return digest.hexdigest()

    @property
    def n_skipped(self) -> int:
        """Examples of the last epoch without profile text."""
        return 0 if self._epoch is None else self._epoch.n_skipped

    def batches(self, epoch: int) -> EpochBatches:
        """Return the batches of an epoch; labels are drawn anew in each."""
        drawing = Drawing.of(self._parts.settings)
        examples = draw_examples(self._data, drawing, np.random.default_rng([self._seed, epoch]))
        self._epoch = EpochBatches(self._parts, self._data, examples)
        return self._epoch

    def validate(self) -> Mapping[str, float]:
        """Return NDCG@10 and HR@10 on the validation users."""
        found = self.evaluation()
        return {} if found is None else deciding_metrics(found)

    def evaluation(self) -> Evaluation | None:
        """Return how the validation users are ranked now; None where there are none."""
        if self._data.valid is None or not len(self._data.valid.user_rows):
            return None
        protocol = self._parts.settings.validation_protocol
        return evaluate(self._model, self._data, self._data.valid, [protocol])
