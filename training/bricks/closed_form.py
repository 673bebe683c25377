"""The base of recommenders that learn without gradients: all they learned is some arrays.

A subclass's `fit` sets `self.learned`, with the target's `item_ids` among the arrays, and its `score` reads it:

    class Ease(ClosedForm):
        def fit(self, data, context): self.learned = {"item_ids": data.target_items.item_ids, "weights": ...}
        def score(self, users): return own @ self.learned["weights"]
"""

from collections.abc import Mapping

import numpy as np
from typing_extensions import override

from training.contract import Recommender, not_fitted


class ClosedForm(Recommender):
    """A recommender whose state is what `fit` put together."""

    _learned: Mapping[str, np.ndarray] | None = None

    @property
    def learned(self) -> Mapping[str, np.ndarray]:
        """What was learned, by name.

        Raises:
            TrainingError: the model was neither fitted nor restored.
        """
        if self._learned is None:
            raise not_fitted(self)
        return self._learned

    @learned.setter
    def learned(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._learned, self.item_ids = arrays, arrays["item_ids"]

    @override
    def state(self) -> Mapping[str, np.ndarray]:
        """Return `learned`."""
        return self.learned

    @override
    def restore(self, state: Mapping[str, np.ndarray], assets: Mapping[str, bytes]) -> None:
        """Take back what `state` gave."""
        self.learned = dict(state)
