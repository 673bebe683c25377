"""Whether one more step of learning was worth it, by the validation users.

Few users validate, and the best of many epochs is better than the start by luck alone. A step is therefore kept
where its mean gain over them is above `margin` standard errors: the one-standard-error rule (Breiman et al.,
Classification and Regression Trees, 1984, section 3.4.3), which prefers the simpler of what cannot be told apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from training.embedme.config import EmbedMeConfig
from training.evaluate import Evaluation, Measure


@dataclass(frozen=True)
class Gain:
    """The mean paired gain in NDCG@10 over validation users."""

    before: float
    after: float
    standard_error: float
    is_clear: bool

    @override
    def __str__(self) -> str:
        """Return it in words."""
        verdict = "kept" if self.is_clear else "not clearly better, left out"
        return (
            f"NDCG@10 {self.before:.4f} before, {self.after:.4f} after"
            f" (standard error of the gain {self.standard_error:.4f}): {verdict}"
        )


def clear_gain(before: Evaluation, after: Evaluation, config: EmbedMeConfig) -> Gain:
    """Return the gain of `after` over `before`, both over the same validation users."""
    first, second = (_values(one) for one in (before, after))
    gains = second - first
    n_users = len(gains)
    error = float(gains.std(ddof=1) / np.sqrt(n_users)) if n_users > 1 else 0.0
    is_clear = bool(gains.mean() > config.margin * error)
    return Gain(float(first.mean()), float(second.mean()), error, is_clear)


def deciding_metrics(found: Evaluation) -> Mapping[str, float]:
    """Return NDCG@10, which decides, and HR@10."""
    values = found.summary()
    name = found.measures[0].protocol
    return {f"{metric}@10": values[f"{name}/{metric}@10"] for metric in ("ndcg", "hr")}


def _values(found: Evaluation) -> np.ndarray:
    return found.values(Measure(found.measures[0].protocol, "ndcg", 10))
