"""Texts as the pretrained language model reads them, before anything is fine-tuned.

In: texts. Out: the pooled last hidden states of each. Profiles are read so by the warm start, items by the item side
(`training.embedme.item_text`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32

from training.contract import FitContext, Progress
from training.dataset import TitleWeights
from training.embedme.batch import PackedRows, ProfileTokenizer, pack
from training.embedme.config import EmbedMeConfig
from training.embedme.dual_encoder import DualEncoder
from training.embedme.reading import Reading, reading_of

Pooled = Float32[np.ndarray, "texts *vectors hidden"]


@dataclass(frozen=True)
class FrozenPooler:
    """Pooled states of the language model as it is."""

    module: DualEncoder
    tokenizer: ProfileTokenizer
    config: EmbedMeConfig
    context: FitContext

    def pool(self, texts: Sequence[str], note: str, weights: TitleWeights | None = None) -> Pooled:
        """Return one row a text, shape (texts, hidden), or (texts, vectors, hidden) of profiles of several vectors.

        Args:
            texts: None may be empty.
            note: What they are, for whoever shows progress.
            weights: Of the titles of profiles, where known.
        """
        return self._pool(texts, note, weights, is_profile=True)

    def pool_items(self, texts: Sequence[str], note: str) -> Pooled:
        """Return one row a text of an item, shape (items, hidden); none may be empty."""
        return self._pool(texts, note, None, is_profile=False)

    def _pool(
        self, texts: Sequence[str], note: str, weights: TitleWeights | None, *, is_profile: bool
    ) -> Pooled:
        encoder = self.module.encoder
        encoder.bert.eval()
        device = self.module.items.device
        use_bf16 = self.context.precision.startswith("bf16")
        parts = []
        size = self.config.encode_batch_size
        for start in range(0, len(texts), size):
            part = texts[start : start + size]
            own = None if weights is None else weights[start : start + size]
            rows = pack(self.tokenizer.ids(part), self.config.max_tokens)
            reading = (
                reading_of(self.tokenizer, rows, part, own, self.config) if is_profile else None
            )
            with (
                torch.inference_mode(),
                torch.autocast(device.type, torch.bfloat16, enabled=use_bf16),
            ):
                pooled = encoder.pooled(
                    PackedRows(*(one.to(device) for one in rows)),
                    len(part),
                    reading and Reading(*(one.to(device) for one in reading)),
                )
            parts.append(pooled.cpu().numpy())
            self.context.on_progress(
                Progress("encode", min(start + size, len(texts)), len(texts), note)
            )
        return np.concatenate(parts)
