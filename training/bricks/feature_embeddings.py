"""Embeddings of users and items from their features, by autoencoders of each domain alone (DDTCDR, section 3.1).

In: what users liked and did not, or their MeKBs, titles of items and who liked them or did not. Out: one short vector a user and domain, and one
an item. A domain's autoencoder of users learns from the users with a history there, and embeds whoever has features.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_array
from torch import Tensor, nn

from training.bricks.autoencoder import Autoencoder, AutoencoderKind
from training.bricks.features import FeatureEpoch, frequent_columns, item_features, unit_rows
from training.bricks.feedback import Feedback, met
from training.bricks.histories import side_by_side
from training.contract import UserBatch
from training.dataset import Dataset, counts
from training.errors import CannotJudgeError, DatasetError
from training.events import Events
from training.gradient_model import GradientConfig, Phase, Shape
from training.loop import Epoch

ROWS_AT_ONCE = 4096
USERS = "features.users"
"""Among a shape's extra sizes: how wide a user's features are."""
ITEMS = "features.items."
"""The same of items, before the domain's name."""


class UserFeatures(StrEnum):
    """What describes a user."""

    HISTORY = "history"
    """The items met in all domains, side by side: 1 where they were liked, else -1."""
    INTERESTS = "interests"
    """The MeKB: weighted entities, made of the history of all domains."""


class EmbeddingConfig(GradientConfig):
    """Settings of the embeddings; where no section is named the paper leaves it open."""

    embedding_size: PositiveInt = 8
    """Section 4.3."""
    autoencoder: AutoencoderKind = AutoencoderKind.AE
    """The kinds of table 7."""
    prior_weight: NonNegativeFloat = 0.1
    """Of what ties embeddings to their prior, in all kinds but "ae"."""
    autoencoder_epochs: PositiveInt = 30
    autoencoder_learning_rate: PositiveFloat = 0.01
    autoencoder_batch_size: PositiveInt = 64
    """Rows a step: small, since a domain may have a few hundred users."""
    user_features: UserFeatures = UserFeatures.HISTORY
    max_features: PositiveInt = 4096
    """Columns kept of each block of features, the most frequent."""
    feedback: Feedback = Feedback.CLICKS


class People(NamedTuple):
    """Users as their features see them."""

    features: csr_array
    known: Bool[np.ndarray, "users domains"]
    """Where each has a history."""


class FeatureEmbeddings(nn.Module):
    """Two autoencoders a domain, in the data's order."""

    columns: Tensor
    """Which columns of the users' features are kept."""

    def __init__(self, shape: Shape, config: EmbeddingConfig) -> None:
        super().__init__()

        def autoencoders(widths: list[int]) -> nn.ModuleList:
            kind, dim = config.autoencoder, config.embedding_size
            return nn.ModuleList(
                Autoencoder(width, dim, kind, config.prior_weight) for width in widths
            )

        self._config, self._domains = config, tuple(shape.n_items)
        self.users = autoencoders([shape.extra[USERS]] * len(shape.n_items))
        self.items = autoencoders([shape.extra[ITEMS + domain] for domain in shape.n_items])
        columns = torch.zeros(shape.extra[USERS], dtype=torch.int64)
        self.register_buffer("columns", columns)

    @staticmethod
    def sizes(data: Dataset, config: EmbeddingConfig) -> dict[str, int]:
        """Return how wide the features of a data set are."""
        users = described(as_users(data), tuple(data.catalogues), config)
        return {
            USERS: min(config.max_features, users.shape[1]),
            **{ITEMS + one: items_of(data, one, config).shape[1] for one in data.catalogues},
        }

    def people(self, users: UserBatch) -> People:
        """Return users by their features, and where each has a history."""
        features = described(users, self._domains, self._config)
        known = [
            counts(met(users.history, users.events, [domain], self._config.feedback)) > 0
            for domain in self._domains
        ]
        kept = features[:, self.columns.cpu().numpy()]
        return People(unit_rows(csr_array(kept)), np.stack(known, axis=1))

    def phases(self, data: Dataset) -> Iterator[Phase]:
        """Yield the training of every autoencoder: users and items of each domain, apart from all others."""
        config = self._config
        users = described(as_users(data), self._domains, config)
        columns = frequent_columns(users, len(self.columns))
        self.columns.copy_(torch.from_numpy(columns))
        people = self.people(as_users(data))
        for number, domain in enumerate(self._domains):
            of_users = people.features[np.flatnonzero(people.known[:, number])]
            if not of_users.shape[0]:
                raise DatasetError(f"nobody has a history in {domain!r}")
            yield self._phase(f"users_{number}", self.users[number], of_users)
            self._settle(self.users[number], of_users)
            of_items = items_of(data, domain, config)
            yield self._phase(f"items_{number}", self.items[number], of_items)
            self._settle(self.items[number], of_items)

    def _phase(self, name: str, module: nn.Module, features: csr_array) -> Phase:
        config = self._config.model_copy(
            update={
                "epochs": self._config.autoencoder_epochs,
                "learning_rate": self._config.autoencoder_learning_rate,
                "batch_size": self._config.autoencoder_batch_size,
            }
        )

        def batches(rng: np.random.Generator) -> Epoch:
            order = rng.permutation(features.shape[0])
            return FeatureEpoch(features, order, order.astype(np.uint32), config.batch_size)

        return Phase(name, module, batches, config)

    def of_users(self, number: int, features: csr_array) -> Float[Tensor, "users dim"]:
        """Return W_u of users in a domain."""
        return self._embedded(self.users[number], features)

    def of_items(self, number: int, data: Dataset) -> Float[Tensor, "items dim"]:
        """Return W_i of a domain's items."""
        features = items_of(data, self._domains[number], self._config)
        return self._embedded(self.items[number], features)

    def _settle(self, module: nn.Module, features: csr_array) -> None:
        assert isinstance(module, Autoencoder)
        module.settle(_in_parts(module.encode, features, module.centre))

    def _embedded(self, module: nn.Module, features: csr_array) -> Float[Tensor, "rows dim"]:
        assert isinstance(module, Autoencoder)
        return _in_parts(module.embed, features, module.centre).cpu()


@torch.no_grad()
def _in_parts(
    encode: Callable[[Tensor], Tensor], features: csr_array, like: Tensor
) -> Float[Tensor, "rows dim"]:
    """Return the codes of sparse rows, made dense some at a time, on the device of `like`."""
    parts = [like.new_empty((0, len(like)))]
    for start in range(0, features.shape[0], ROWS_AT_ONCE):
        rows = features[start : start + ROWS_AT_ONCE].toarray().astype(np.float32)
        parts.append(encode(torch.from_numpy(rows).to(like.device)))
    return torch.cat(parts)


def as_users(data: Dataset) -> UserBatch:
    """Return all users of a data set with their training rows."""
    interests = None if data.profiles is None else data.profiles.interests(data.interactions)
    return UserBatch(data.user_ids, data.interactions, interests=interests, events=data.events)


def described(users: UserBatch, domains: tuple[str, ...], config: EmbeddingConfig) -> csr_array:
    """Return the features of users, all columns.

    Raises:
        CannotJudgeError: interests are asked for, and the users come without.
    """
    if config.user_features is UserFeatures.HISTORY:
        return tastes(users.history, users.events, domains, config.feedback)
    if users.interests is None:
        raise CannotJudgeError("user_features is 'interests', and the users come without")
    return csr_array(users.interests)


def items_of(data: Dataset, domain: str, config: EmbeddingConfig) -> csr_array:
    """Return the features of a domain's items."""
    users = tastes(data.interactions, data.events, [domain], config.feedback)
    return item_features(data.catalogues[domain].titles, users, config.max_features)


def tastes(
    history: Mapping[str, csr_array],
    events: Mapping[str, Events] | None,
    domains: Sequence[str],
    feedback: Feedback,
) -> csr_array:
    """Return 1 for what was liked and -1 for what was met and not liked, the domains side by side.

    Whether a user met an item says little of a rating; which way it went does.
    """
    return csr_array(2 * side_by_side(history, domains) - met(history, events, domains, feedback))
