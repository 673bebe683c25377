"""Controls: the same model on profiles that were spoilt on purpose, to see what its gain rests on.

In: a source of profiles, or a data set. Out: another one, which a model takes for the real thing:

    ShuffledItems    each item lends the entities of another item: the graph is there, but wrong
    TitlesOnly       the titles of the items instead of entities
    RandomNames      each entity keeps its weight and is named by random letters: nothing to understand
    RandomProfiles   each profile is of random entities, as many and as heavy: nothing to know
    ConstantText     one text for all; the numbers of the profile stay
    SourceOnly       what the user did in the target domain is left out of the profile
    without_sources  no source row at all, in training or profile

A model whose numbers stay as they were has no use for what a control takes away
(Zhang et al., KG4RecEval, ACM TOIS 2025, on knowledge graphs in recommenders).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from jaxtyping import Int64
from scipy.sparse import csr_array, hstack

from training.dataset import (
    Dataset,
    History,
    ProfileSource,
    TitleWeights,
    WeightedProfileSource,
    binary,
    keep_entries,
)

SEPARATOR = " [SEP] "
"""Between the titles of a profile text (`ProfileSource.texts`)."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class ShuffledItems:
    """Profiles in which every item stands for another item of its domain."""

    inner: ProfileSource
    stands_for: Mapping[str, Int64[np.ndarray, " items"]]
    """Domain -> for each item the one whose entities it lends: a permutation."""

    @classmethod
    def of(cls, inner: ProfileSource, n_items: Mapping[str, int], seed: int) -> "ShuffledItems":
        """Permute the items of each domain by luck."""
        rng = np.random.default_rng(seed)
        return cls(inner, {domain: rng.permutation(n) for domain, n in n_items.items()})

    def _shuffled(self, histories: History) -> History:
        return {
            domain: _with_columns(matrix, self.stands_for[domain][matrix.indices])
            for domain, matrix in histories.items()
        }

    def texts(self, histories: History) -> list[str]:
        """Return the texts of the shuffled histories."""
        return self.inner.texts(self._shuffled(histories))

    def weighted_texts(self, histories: History) -> tuple[list[str], TitleWeights]:
        """Return the texts of the shuffled histories, and their weights."""
        return weighted(self.inner, self._shuffled(histories))

    def interests(self, histories: History) -> csr_array:
        """Return the numbers of the shuffled histories."""
        return self.inner.interests(self._shuffled(histories))


@dataclass(frozen=True)
class TitlesOnly:
    """Profiles that are the titles of the items, in order of domain and item; one interest an item."""

    titles: Mapping[str, Sequence[str]]

    def texts(self, histories: History) -> list[str]:
        """Return the titles of each history."""
        rows: list[list[str]] = [[] for _ in range(_n_rows(histories))]
        for domain, matrix in sorted(histories.items()):
            liked = binary(matrix)
            for row, own in enumerate(rows):
                items = liked.indices[liked.indptr[row] : liked.indptr[row + 1]]
                own += [self.titles[domain][item] for item in items]
        return [SEPARATOR.join(title for title in own if title) for own in rows]

    def weighted_texts(self, histories: History) -> tuple[list[str], TitleWeights]:
        """Return the titles of each history; all weigh alike."""
        texts = self.texts(histories)
        return texts, alike(texts)

    def interests(self, histories: History) -> csr_array:
        """Return the items themselves, of all domains side by side."""
        return csr_array(
            hstack([binary(histories[one]) for one in sorted(histories)], format="csr")
        )


@dataclass(frozen=True)
class RandomNames:
    """Profiles whose entities are named by random letters, each always by the same ones."""

    inner: ProfileSource
    seed: int = 0

    def texts(self, histories: History) -> list[str]:
        """Return texts of as many words, as long, that mean nothing."""
        return self.weighted_texts(histories)[0]

    def weighted_texts(self, histories: History) -> tuple[list[str], TitleWeights]:
        """Return the texts, and the weights of what they rename."""
        texts, weights = weighted(self.inner, histories)
        profiles = [text.split(SEPARATOR) for text in texts]
        names = {title: self._name(title) for title in set(chain.from_iterable(profiles))}
        return [SEPARATOR.join(names[title] for title in titles) for titles in profiles], weights

    def interests(self, histories: History) -> csr_array:
        """Return the numbers as they are: they name nothing."""
        return self.inner.interests(histories)

    def _name(self, title: str) -> str:
        rng = np.random.default_rng([self.seed, *hashlib.sha256(title.encode()).digest()])
        return " ".join(
            "".join(LETTERS[letter] for letter in rng.integers(len(LETTERS), size=len(word)))
            for word in title.split()
        )


@dataclass(frozen=True)
class RandomProfiles:
    """Profiles of random entities, as many and with the same weights; equal histories get equal ones."""

    inner: ProfileSource
    vocabulary: Sequence[str]
    seed: int = 0

    @classmethod
    def of(cls, inner: ProfileSource, histories: History, seed: int) -> "RandomProfiles":
        """Take the titles that stand in the profiles of some histories for the vocabulary."""
        found = {title for text in inner.texts(histories) for title in text.split(SEPARATOR)}
        return cls(inner, sorted(found - {""}), seed)

    def texts(self, histories: History) -> list[str]:
        """Return as many random titles as each profile has."""
        return self.weighted_texts(histories)[0]

    def weighted_texts(self, histories: History) -> tuple[list[str], TitleWeights]:
        """Return the random titles, as heavy as those they stand for."""
        texts, weights = weighted(self.inner, histories)
        return [
            SEPARATOR.join(
                self.vocabulary[place]
                for place in rng.integers(len(self.vocabulary), size=text.count(SEPARATOR) + 1)
            )
            if text
            else ""
            for text, rng in zip(texts, self._generators(histories), strict=True)
        ], weights

    def interests(self, histories: History) -> csr_array:
        """Return the weights of each profile on random entities."""
        true = csr_array(self.inner.interests(histories))
        columns = [
            rng.choice(true.shape[1], stop - start, replace=False)
            for start, stop, rng in zip(
                true.indptr[:-1], true.indptr[1:], self._generators(histories), strict=True
            )
        ]
        return _with_columns(true, np.concatenate([*columns, np.empty(0, dtype=np.int64)]))

    def _generators(self, histories: History) -> list[np.random.Generator]:
        digests = [hashlib.sha256() for _ in range(_n_rows(histories))]
        for domain, matrix in sorted(histories.items()):
            liked = binary(matrix)
            for row, digest in enumerate(digests):
                items = liked.indices[liked.indptr[row] : liked.indptr[row + 1]]
                digest.update(domain.encode() + items.astype(np.int64).tobytes())
        return [np.random.default_rng([self.seed, *digest.digest()]) for digest in digests]


@dataclass(frozen=True)
class ConstantText:
    """Profiles with one text for all users who have any; the numbers stay."""

    inner: ProfileSource
    text: str = "interests"

    def texts(self, histories: History) -> list[str]:
        """Return the one text, or nothing where there is nothing."""
        return [self.text if text else "" for text in self.inner.texts(histories)]

    def weighted_texts(self, histories: History) -> tuple[list[str], TitleWeights]:
        """Return the one text as one title."""
        texts = self.texts(histories)
        return texts, alike(texts)

    def interests(self, histories: History) -> csr_array:
        """Return the numbers as they are."""
        return self.inner.interests(histories)


@dataclass(frozen=True)
class SourceOnly:
    """Profiles that leave out what the user did in the target domain."""

    inner: ProfileSource
    target: str

    def texts(self, histories: History) -> list[str]:
        """Return the texts of the source rows."""
        return self.inner.texts(self._sources(histories))

    def weighted_texts(self, histories: History) -> tuple[list[str], TitleWeights]:
        """Return the texts of the source rows, and their weights."""
        return weighted(self.inner, self._sources(histories))

    def interests(self, histories: History) -> csr_array:
        """Return the numbers of the source rows."""
        return self.inner.interests(self._sources(histories))

    def _sources(self, histories: History) -> History:
        return {
            domain: _emptied(matrix) if domain == self.target else matrix
            for domain, matrix in histories.items()
        }


def weighted(source: ProfileSource, histories: History) -> tuple[list[str], TitleWeights]:
    """Return texts and the weights of their titles; all alike where the source does not tell them."""
    if isinstance(source, WeightedProfileSource):
        return source.weighted_texts(histories)
    texts = source.texts(histories)
    return texts, alike(texts)


def alike(texts: Sequence[str]) -> TitleWeights:
    """Return a weight of 1 for each title of each text."""
    return [np.ones(text.count(SEPARATOR) + 1 if text else 0, dtype=np.float32) for text in texts]


def without_sources(data: Dataset) -> Dataset:
    """Return the data set with its source domains as they would be if nobody had done anything there."""
    return replace(
        data,
        interactions={
            domain: matrix if domain == data.target else _emptied(matrix)
            for domain, matrix in data.interactions.items()
        },
        events=None
        if data.events is None
        else {
            domain: events if domain == data.target else events.where(events.user_rows < 0)
            for domain, events in data.events.items()
        },
    )


def _emptied(matrix: csr_array) -> csr_array:
    return keep_entries(matrix, np.zeros(matrix.nnz, dtype=bool))


def _n_rows(histories: History) -> int:
    return int(next(iter(histories.values())).shape[0])


def _with_columns(matrix: csr_array, columns: Int64[np.ndarray, " entries"]) -> csr_array:
    """Return `matrix` with each stored entry moved to another column."""
    moved = csr_array((matrix.data, columns, matrix.indptr), shape=matrix.shape)
    moved.sort_indices()
    return moved
