"""Frozen text: a sentence encoder that was never fine-tuned compares profile and item title.

    score(u, i) = cos(E(profile of u), E(title of i))

The control for EmbedMe: how far do words alone go, without learning from any interaction. E is a
sentence encoder of the sentence-transformers library (Reimers and Gurevych, EMNLP 2019), by default the
packaged MiniLM. A user without profile text cannot be judged: NaN.
"""

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float32
from pydantic import PositiveInt
from sentence_transformers import SentenceTransformer
from typing_extensions import override

from training.config import ModelConfig
from training.contract import FitContext, FitReport, Need, UserBatch, VectorRecommender, not_fitted
from training.dataset import Dataset
from training.encoder_files import MINILM, find_encoder
from training.errors import DatasetError


class FrozenTextConfig(ModelConfig):
    """Which encoder, and how many texts at once."""

    encoder: str = MINILM
    """"minilm", a folder, or a model in the Hugging Face cache."""
    encode_batch_size: PositiveInt = 64


class FrozenText(VectorRecommender):
    """Cosine of frozen sentence vectors."""

    name: ClassVar[str] = "frozen_text"
    paper: ClassVar[str] = (
        "Reimers, Gurevych: Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks, EMNLP 2019"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.PROFILE, Need.ITEM_TEXT})
    config_type: ClassVar[type[ModelConfig]] = FrozenTextConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert isinstance(config, FrozenTextConfig)
        self.settings = config
        self._encoder: SentenceTransformer | None = None
        self._items: Float32[np.ndarray, "items dim"] | None = None
        self._device = "cpu"

    @override
    def fit(self, data: Dataset, context: FitContext) -> FitReport:
        """Encode the titles of the target items; nothing is learned."""
        started = time.monotonic()
        if not any(data.target_items.titles):
            raise DatasetError(f"{self.name} needs titles, and no item of {data.target!r} has one")
        self._device = context.device
        self._encoder = None
        self._items = self._encode(data.target_items.titles)
        self.item_ids = data.target_items.item_ids
        return FitReport(seconds=time.monotonic() - started)

    @override
    def item_vectors(self) -> Float32[np.ndarray, "items dim"]:
        """Return unit vectors of the titles; an item without a title scores 0 with everyone."""
        if self._items is None:
            raise not_fitted(self)
        return self._items

    @override
    def user_vectors(self, users: UserBatch) -> Float32[np.ndarray, "users dim"]:
        """Return unit vectors of the profiles; NaN where the profile is empty."""
        vectors = self._encode(
            users.profiles or [""] * len(users), size=self.item_vectors().shape[1]
        )
        vectors[~vectors.any(axis=1)] = np.nan
        return vectors

    def _encode(self, texts: Sequence[str], size: int = 0) -> Float32[np.ndarray, "texts dim"]:
        """Return unit vectors, zeros for empty texts."""
        if self._encoder is None:
            folder = str(find_encoder(self.settings.encoder))
            self._encoder = SentenceTransformer(folder, device=self._device, local_files_only=True)
        kept = [row for row, text in enumerate(texts) if text]
        if not kept:
            return np.zeros((len(texts), size), dtype=np.float32)
        found = self._encoder.encode(
            [texts[row] for row in kept],
            batch_size=self.settings.encode_batch_size,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        vectors = np.zeros((len(texts), found.shape[1]), dtype=np.float32)
        vectors[kept] = found
        return vectors

    @override
    def state(self) -> Mapping[str, np.ndarray]:
        """Return `item_vectors` and `item_ids`; the encoder is known by its name."""
        if self._items is None or self.item_ids is None:
            raise not_fitted(self)
        return {"item_vectors": self._items, "item_ids": self.item_ids}

    @override
    def restore(self, state: Mapping[str, np.ndarray], assets: Mapping[str, bytes]) -> None:
        """Take back what `state` gave."""
        self._items, self.item_ids = state["item_vectors"], state["item_ids"]
