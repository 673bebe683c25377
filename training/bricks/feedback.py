"""What a model of ratings learns from: pairs of a user and an item with a label between 0 and 1.

In: a data set. Out: the pairs of each epoch, and the graph of who met what. Two kinds of feedback:

    clicks     each positive has label 1; `n_negatives` items a positive, never liked, are drawn anew each epoch: 0
    ratings    each training event with a rating r has label (r - low) / (high - low), low ratings too

low and high are the least and the greatest training rating of all domains.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64
from scipy.sparse import csr_array, hstack

from training.bricks.bpr import Negatives
from training.bricks.histories import side_by_side
from training.contract import RatingRecommender, UserBatch
from training.dataset import Dataset, Events, binary, rows_of
from training.errors import DatasetError
from training.rating_evaluation import clicked_pairs, evaluate_ratings, rated_pairs


class Feedback(StrEnum):
    """What a label is."""

    CLICKS = "clicks"
    RATINGS = "ratings"


class RatingScale(NamedTuple):
    """The range of the data's ratings; clicks are their own scale."""

    low: float = 0.0
    high: float = 1.0

    def to_unit(self, ratings: Float32[np.ndarray, " pairs"]) -> Float32[np.ndarray, " pairs"]:
        """Return ratings as labels between 0 and 1.

        >>> RatingScale(1, 5).to_unit(np.array([1, 3, 5], dtype=np.float32))
        array([0. , 0.5, 1. ], dtype=float32)
        """
        return ((ratings - self.low) / (self.high - self.low)).astype(np.float32)

    def from_unit(self, labels: Float32[np.ndarray, " pairs"]) -> Float32[np.ndarray, " pairs"]:
        """Take back what `to_unit` gave."""
        return (self.low + labels * (self.high - self.low)).astype(np.float32)


class Labelled(NamedTuple):
    """Pairs with labels."""

    user_rows: Int64[np.ndarray, " pairs"]
    item_rows: Int64[np.ndarray, " pairs"]
    """Counted through the domains, side by side."""
    labels: Float32[np.ndarray, " pairs"]

    def at(self, order: Int64[np.ndarray, " some"]) -> "Labelled":
        """Return the pairs at some places."""
        return Labelled(*(column[order] for column in self))


def rating_scale(data: Dataset, feedback: Feedback) -> RatingScale:
    """Return the range of all training ratings.

    Raises:
        DatasetError: ratings are asked for, and there are none or all are the same.
    """
    if feedback is Feedback.CLICKS:
        return RatingScale()
    ratings = [events.ratings for events in (data.events or {}).values()]
    known = np.concatenate([np.empty(0, np.float32), *ratings])
    known = known[~np.isnan(known)]
    if not len(known) or known.min() == known.max():
        raise DatasetError("no graded ratings to learn from: set feedback to 'clicks'")
    return RatingScale(float(known.min()), float(known.max()))


class LabelledDomain:
    """The labelled pairs of one side: a domain, or several side by side."""

    def __init__(
        self, data: Dataset, domains: Sequence[str], feedback: Feedback, n_negatives: int
    ) -> None:
        self._n_negatives = n_negatives
        self.graph = met(data.interactions, data.events, domains, feedback)
        """Shape (users, items of all domains): 1 where a user met an item."""
        if feedback is Feedback.CLICKS:
            ones = np.ones(self.graph.nnz, dtype=np.float32)
            items = self.graph.indices.astype(np.int64)
            self._known = Labelled(rows_of(self.graph), items, ones)
            self._blocks = [Negatives(binary(data.interactions[one])) for one in domains]
        else:
            self._known = _rated(data, domains, rating_scale(data, feedback))
            self._blocks = []
        if not len(self._known.labels):
            raise DatasetError(f"no {feedback.value} in {', '.join(domains)} to learn from")

    def epoch(self, rng: np.random.Generator) -> Labelled:
        """Return the pairs of one epoch in random order; negatives come from the positive's own domain."""
        parts, start = [self._known], 0
        for block in self._blocks:
            inside = (self._known.item_rows >= start) & (
                self._known.item_rows < start + block.n_items
            )
            users = self._known.user_rows[inside]
            drawn = block.draw(users, self._n_negatives, rng).ravel() + start
            users = np.repeat(users, self._n_negatives)
            parts.append(Labelled(users, drawn, np.zeros(len(users), dtype=np.float32)))
            start += block.n_items
        every = Labelled(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        return every.at(rng.permutation(len(every.labels)))


def met(
    history: Mapping[str, csr_array],
    events: Mapping[str, Events] | None,
    domains: Sequence[str],
    feedback: Feedback,
) -> csr_array:
    """Return who met what, the domains side by side: positives; with ratings every event, where they are known."""
    if feedback is Feedback.CLICKS or events is None:
        return side_by_side(history, domains)
    matrices = []
    for domain in domains:
        pairs = (events[domain].user_rows, events[domain].item_rows)
        ones = np.ones(len(events[domain]), dtype=np.float32)
        matrices.append(csr_array((ones, pairs), shape=history[domain].shape))
    return binary(csr_array(hstack(matrices, format="csr")))


def met_by(users: UserBatch, domains: Sequence[str], feedback: Feedback) -> csr_array:
    """Return what users to be judged met (`met`)."""
    return met(users.history, users.events, domains, feedback)


def _rated(data: Dataset, domains: Sequence[str], scale: RatingScale) -> Labelled:
    assert data.events is not None
    parts, start = [], 0
    for domain in domains:
        events = data.events[domain]
        events = events.where(~np.isnan(events.ratings))
        parts.append(
            Labelled(events.user_rows, events.item_rows + start, scale.to_unit(events.ratings))
        )
        start += len(data.catalogues[domain])
    return Labelled(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def rating_validation(model: RatingRecommender, data: Dataset) -> Mapping[str, float]:
    """Return minus RMSE and minus MAE on the validation users' ratings; nothing where there are none."""
    if data.valid is None or data.valid.events is None or not len(data.valid.events):
        return {}
    pairs = rated_pairs(data, data.valid, threshold=0.0)
    found = evaluate_ratings(model, data, data.valid, pairs).summary()
    return {"minus_rmse": -found["rmse"], "minus_mae": -found["mae"]}


def held_out_loss(
    model: RatingRecommender, data: Dataset, feedback: Feedback, n_negatives: int
) -> Mapping[str, float]:
    """Return the mean squared error of labels over the validation users' pairs, by the target's name.

    The same loss as in training: of clicks, each positive stands beside `n_negatives` items never liked. Nothing where
    there are no validation users, or ratings are asked for and they have none.
    """
    valid = data.valid
    if valid is None or not valid.positives.nnz:
        return {}
    if feedback is Feedback.CLICKS:
        pairs = clicked_pairs(data, valid, n_negatives=n_negatives)
    elif valid.events is not None and len(valid.events):
        pairs = rated_pairs(data, valid, threshold=0.0)
    else:
        return {}
    scale = rating_scale(data, feedback)
    predicted = evaluate_ratings(model, data, valid, pairs).predicted.astype(np.float32)
    gaps = scale.to_unit(predicted) - scale.to_unit(pairs.actual)
    return {f"held_out_loss/{data.target}": float(np.square(gaps).mean())}
