"""Texts as the pretrained language model reads them, before anything is fine-tuned.

In: texts. Out: the mean of each one's last hidden states. Profiles are read so by the warm start, items by
the item side (`training.embedme.item_text`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32

from training.contract import FitContext, Progress
from training.embedme.batch import PackedRows, ProfileTokenizer, pack
from training.embedme.config import EmbedMeConfig
from training.embedme.dual_encoder import DualEncoder
from training.embedme.encoder import mean_by_sequence

Pooled = Float32[np.ndarray, "texts hidden"]


@dataclass(frozen=True)
class FrozenPooler:
    """Mean-pooled states of the language model as it is."""

    module: DualEncoder
    tokenizer: ProfileTokenizer
    config: EmbedMeConfig
    context: FitContext

    def pool(self, texts: Sequence[str], note: str) -> Pooled:
        """Return one row a text, shape (texts, hidden); none may be empty."""
        bert = self.module.encoder.bert
        bert.eval()
        device = self.module.items.device
        use_bf16 = self.context.precision.startswith("bf16")
        parts = []
        size = self.config.encode_batch_size
        for start in range(0, len(texts), size):
            part = texts[start : start + size]
            rows = PackedRows(
                *(one.to(device) for one in pack(self.tokenizer.ids(part), self.config.max_tokens))
            )
            own = rows.sequences[:, None, :, None] == rows.sequences[:, None, None, :]
            with (
                torch.inference_mode(),
                torch.autocast(device.type, torch.bfloat16, enabled=use_bf16),
            ):
                hidden = bert(
                    input_ids=rows.tokens, attention_mask=own, position_ids=rows.positions
                ).last_hidden_state
            parts.append(mean_by_sequence(hidden.float(), rows.sequences, len(part)).cpu().numpy())
            self.context.on_progress(
                Progress("encode", min(start + size, len(texts)), len(texts), note)
            )
        return np.concatenate(parts)
