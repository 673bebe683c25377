"""Examples of click prediction: what a user did before a click, the item clicked, and items never liked.

In: sequences of the source and the target domain. Out: the batches of an epoch, each a click a row with

    source window, target window, items (rows, 1 + negatives): the clicked one first

An example shows what is strictly older than its click. A click of unknown time (no times in the data) shows the whole
source sequence, and the target's without the click itself. Negatives are uniform over the items the user has not
liked in training. Some examples show an empty target sequence: the user as a newcomer.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt32
from scipy.sparse import csr_array

from training.bricks.bpr import Negatives
from training.bricks.sequences import TwoDomains
from training.loop import Batch


@dataclass(frozen=True)
class ExampleSettings:
    """How examples are made."""

    batch_size: int
    """Clicks a batch."""
    max_length: int
    n_negatives: int
    empty_target_share: float
    """Share of examples that show no target sequence."""


class ClickExamples:
    """The examples of a training set; `epoch` deals them anew."""

    def __init__(
        self,
        domains: TwoDomains,
        n_items: int,
        user_ids: UInt32[np.ndarray, " users"],
        settings: ExampleSettings,
    ) -> None:
        source, target = self.source, self.target = domains
        self.settings = settings
        self.user_ids = user_ids
        self.user_rows = target.user_rows
        self._source_stop = source.stops_before(self.user_rows, target.at)
        self._target_stop = target.stops_before(self.user_rows, target.at)
        ones = np.ones(len(target.items), dtype=np.float32)
        shape = (len(target), n_items)
        self._negatives = Negatives(csr_array((ones, target.items, target.starts), shape=shape))

    def __len__(self) -> int:
        return len(self.user_rows)

    def epoch(self, rng: np.random.Generator) -> "ClickEpoch":
        """Return the batches of one epoch: every click once, in random order."""
        return ClickEpoch(self, rng)

    def batch(self, clicks: Int64[np.ndarray, " rows"], rng: np.random.Generator) -> Batch:
        """Return some clicks as a batch."""
        users, settings = self.user_rows[clicks], self.settings
        source = self.source.windows(
            self.source.starts[users], self._source_stop[clicks], settings.max_length
        )
        target = self.target.windows(
            self.target.starts[users], self._target_stop[clicks], settings.max_length, clicks
        )
        empty = torch.from_numpy(rng.random(len(clicks)) < settings.empty_target_share)
        clicked = self.target.items[clicks][:, None]
        items = np.concatenate(
            [clicked, self._negatives.draw(users, settings.n_negatives, rng)], axis=1
        )
        return Batch(
            (*source, target.items, target.mask & ~empty[:, None], torch.from_numpy(items)),
            self.user_ids[users],
        )


class ClickEpoch:
    """The batches of one epoch, each made when its turn comes."""

    def __init__(self, examples: ClickExamples, rng: np.random.Generator) -> None:
        self._examples, self._rng = examples, rng
        self._order = rng.permutation(len(examples))

    def __len__(self) -> int:
        return math.ceil(len(self._order) / self._examples.settings.batch_size)

    def __iter__(self) -> Iterator[Batch | None]:
        size = self._examples.settings.batch_size
        for start in range(0, len(self._order), size):
            yield self._examples.batch(self._order[start : start + size], self._rng)
