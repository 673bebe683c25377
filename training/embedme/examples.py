"""What EmbedMe learns from: in each epoch, which target positives are labels and which make the profile.

In: training interactions, a seed. Out: `Examples`, and for a slice of them the histories profiles are built
from together with the labels. A label never stands in the history of its own example: the entities it would
lend to the profile leave with it, since `ProfileSource.texts` sees nothing but that history. (Else the
model would learn to read off a profile the very item it is asked for, which no new user has.)

Two kinds of example:
    source-only   history = source rows; labels = all target positives: what a zero-shot user looks like
    mixed         a random part of the target positives are labels, the rest and the source rows are history
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64
from scipy.sparse import csr_array

from training.contract import UserBatch
from training.dataset import (
    Dataset,
    History,
    TitleWeights,
    binary,
    counts,
    keep_entries,
    rows_of,
)
from training.embedme.config import EmbedMeConfig, ExampleMode
from training.evaluate import with_profiles


@dataclass(frozen=True)
class Examples:
    """One row an example, over the positives of the target domain."""

    user_rows: Int64[np.ndarray, " examples"]
    is_source_only: Bool[np.ndarray, " examples"]
    labels: csr_array
    """(examples, target items); stored entries are labels."""
    labels_stay: bool = False
    """Whether labels stand in the histories of their own examples (`EmbedMeConfig.labels_in_profile`)."""

    def __len__(self) -> int:
        return len(self.user_rows)


@dataclass(frozen=True)
class Drawing:
    """How labels are drawn; see `EmbedMeConfig`."""

    mode: ExampleMode
    source_only_share: float
    label_share: float
    mixed: bool = True
    labels_stay: bool = False

    @classmethod
    def of(cls, config: EmbedMeConfig) -> "Drawing":
        """Return how the settings want them drawn."""
        return cls(
            config.examples,
            config.source_only_share,
            config.label_share,
            config.mixed_profiles,
            config.labels_in_profile,
        )


def draw_examples(data: Dataset, drawing: Drawing, rng: np.random.Generator) -> Examples:
    """Return the examples of an epoch, in random order.

    Each training user with target positives gives one example, or one for each positive
    (`ExampleMode.POSITIVE`). Users without source rows are never source-only, and of two or more positives
    they keep one in the history. Unless `drawing.mixed`, users without source rows give no example and all
    examples are source-only; where nobody has rows of both sides there is nothing but mixed ones.
    """
    target = binary(data.interactions[data.target])
    n_source = n_source_positives(data)
    mixed = drawing.mixed or not np.any((n_source > 0) & (counts(target) > 0))
    n_positives = np.where((n_source > 0) | mixed, counts(target), 0)
    users = np.flatnonzero(n_positives).astype(np.int64)
    target = keep_entries(target, n_positives[rows_of(target)] > 0)
    source_only_share = drawing.source_only_share if mixed else 1.0
    has_source = n_source[users] > 0
    if drawing.mode is ExampleMode.POSITIVE:
        user_rows, columns = rows_of(target), target.indices
        has_source = np.repeat(has_source, n_positives[users])
        shape = (len(user_rows), target.shape[1])
        labels = csr_array((target.data, columns, np.arange(len(user_rows) + 1)), shape=shape)
        is_source_only = has_source & (rng.random(len(user_rows)) < source_only_share)
    else:
        user_rows = users
        is_source_only = has_source & (rng.random(len(users)) < source_only_share)
        positives = target[users]
        is_label = _draw_labels(positives, has_source, drawing.label_share, rng)
        labels = keep_entries(positives, is_label | is_source_only[rows_of(positives)])
    order = rng.permutation(len(user_rows))
    return Examples(user_rows[order], is_source_only[order], labels[order], drawing.labels_stay)


def n_source_positives(data: Dataset) -> Int64[np.ndarray, " users"]:
    """Return the number of positives of each user over all source domains."""
    total = np.zeros(len(data.user_ids), dtype=np.int64)
    for domain in data.sources:
        total += counts(binary(data.interactions[domain]))
    return total


def histories(data: Dataset, examples: Examples, part: slice) -> History:
    """Return what the profiles of `examples[part]` may be built from: none of their labels, unless these stay."""
    users = examples.user_rows[part]
    kept: dict[str, csr_array] = {
        domain: data.interactions[domain][users] for domain in data.sources
    }
    target = data.interactions[data.target][users]
    labels = examples.labels[part]
    n_items = target.shape[1]
    of_label = rows_of(labels) * n_items + labels.indices
    entry = rows_of(target) * n_items + target.indices
    stays = ~np.isin(entry, of_label) & ~examples.is_source_only[part][rows_of(target)]
    if examples.labels_stay:
        stays |= np.isin(entry, of_label)
    kept[data.target] = keep_entries(target, stays)
    return kept


def example_users(data: Dataset, examples: Examples, part: slice) -> UserBatch:
    """Return the users of `examples[part]` as the model sees them while learning."""
    assert data.profiles is not None, "fit() refuses data without profiles"
    history = histories(data, examples, part)
    return with_profiles(data, data.user_ids[examples.user_rows[part]], history)


def with_profile(profiles: Sequence[str]) -> Int64[np.ndarray, " kept"]:
    """Return the positions of profiles that are not empty."""
    return np.flatnonzero([bool(text) for text in profiles]).astype(np.int64)


def weights_of(users: UserBatch, kept: Int64[np.ndarray, " kept"]) -> TitleWeights | None:
    """Return the weights of the titles of some users' profiles; None where nobody knows them."""
    known = users.title_weights
    return None if known is None else [known[row] for row in kept]


def _draw_labels(
    positives: csr_array,
    has_source: Bool[np.ndarray, " users"],
    label_share: float,
    rng: np.random.Generator,
) -> Bool[np.ndarray, " entries"]:
    """Mark each positive with chance `label_share`: at least one a user, and one left if it is all there is."""
    owner, n_positives = rows_of(positives), counts(positives)
    draw = rng.random(len(owner))
    place = np.empty(len(owner), dtype=np.int64)  # of each entry among its user's, by falling luck
    order = np.lexsort((draw, owner))
    place[order] = np.arange(len(owner)) - positives.indptr[owner[order]]
    n_labels = np.maximum(rng.binomial(n_positives, label_share), 1)
    most = np.where(has_source, n_positives, np.maximum(n_positives - 1, 1))
    marked: np.ndarray = place < np.minimum(n_labels, most)[owner]
    return marked
