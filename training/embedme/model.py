"""EmbedMe on the recommenders' contract (paper section 3.2).

    score(u, i) = phi(u) . psi(i) + s [ log(p_i + e) + tau(u) . V_i / (p_i + e) ]

The first term is eq. 8: phi is the profile encoder, psi a table of item vectors. The bracket goes beyond the paper
and may be switched off: p is how likely a newcomer is to like the item (`training.embedme.taste_map`), tau the user's
taste as the MeKB's numbers tell it (`training.embedme.taste`). All of it is one inner product,
(phi, tau, 1) . (psi, s V / (p + e), s log(p + e)), so an index needs nothing else (of several phi a user the nearest to
an item counts: `training.embedme.late_interaction`). Learned by the full softmax over
all items (eq. 9), in steps from what is known in closed form to what the text adds: a step is kept where it is
clearly better on validation users (`training.embedme.selection`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float32
from typing_extensions import override

from training.config import ModelConfig
from training.contract import FitContext, FitReport, Need, UserBatch, VectorRecommender, not_fitted
from training.dataset import Dataset, TitleWeights, WeightedProfileSource, binary
from training.embedme.batch import PackedRows, ProfileTokenizer, pack
from training.embedme.bert import (
    WEIGHTS_FILE,
    LanguageModel,
    load_language_model,
    rebuild_language_model,
)
from training.embedme.config import FIRST_HAS_NO_SHARES, EmbedMeConfig, WeightUse
from training.embedme.dual_encoder import DualEncoder
from training.embedme.examples import weights_of, with_profile
from training.embedme.known import learn_known_taste, place_items
from training.embedme.late_interaction import best_scores
from training.embedme.reading import Reading, reading_of
from training.embedme.sentence_transformer import sentence_transformer_files
from training.embedme.steps import learn_in_steps
from training.embedme.task import PRETRAINED, EmbedMeTask, Parts
from training.embedme.taste import (
    LearnedTaste,
    Taste,
    user_tastes,
)
from training.encoder_files import Pooling, Recipe, portable_name
from training.errors import CheckpointError, ConfigError, DatasetError, TrainingError
from training.loop import make_fabric

TASTE_PREFIX = "taste_map."
"""Before the names of the taste map's arrays among the model's."""


class EmbedMe(VectorRecommender):
    """A language model reads the profile, a table holds the items, a dot product joins them."""

    name: ClassVar[str] = "embedme"
    paper: ClassVar[str] = (
        "Yuan et al., MeKB-Rec: Personal Knowledge Graph Learning for Cross-Domain Recommendation,"
        " KaRS at RecSys 2023"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.PROFILE})
    config_type: ClassVar[type[ModelConfig]] = EmbedMeConfig
    array_files: ClassVar[Mapping[str, str]] = {PRETRAINED: WEIGHTS_FILE}

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        if not isinstance(config, EmbedMeConfig):
            raise ConfigError(f"embedme takes an EmbedMeConfig, not {type(config).__name__}")
        self.settings = config
        self._language_model: LanguageModel | None = None
        self._module: DualEncoder | None = None
        self._tokenizer: ProfileTokenizer | None = None
        self._taste: Taste | None = None
        self.learned_taste: LearnedTaste | None = None
        """Of the last fit; None without a taste map, and after `restore`."""

    @property
    def module(self) -> DualEncoder:
        """Both towers, once fitted or restored."""
        if self._module is None:
            raise not_fitted(self)
        return self._module

    @property
    def language_model(self) -> LanguageModel:
        """The language model with its files, once fitted or restored."""
        if self._language_model is None:
            raise not_fitted(self)
        return self._language_model

    @property
    def tokenizer(self) -> ProfileTokenizer:
        """The tokenizer of profiles, once fitted or restored."""
        if self._tokenizer is None:
            raise not_fitted(self)
        return self._tokenizer

    @override
    def fit(self, data: Dataset, context: FitContext) -> FitReport:
        """Fine-tune the encoder and learn the item vectors, from the pretrained weights anew."""
        _check(data, self.settings)
        device = make_fabric(context).device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            language_model = load_language_model(
                self.settings.encoder,
                self.settings.hidden_dropout,
                pretrained=self.settings.pretrained,
            )
            self.learned_taste = learn_known_taste(data, self.settings, context.seed)
            self._taste = None if self.learned_taste is None else self.learned_taste.taste
            self._build(language_model, len(data.target_items))
        self.item_ids = data.target_items.item_ids
        n_liked = binary(data.interactions[data.target]).sum(axis=0)
        self.module.to(device)
        parts = self._parts()
        place_items(parts, data, context)
        task = EmbedMeTask(self, parts, data, context.seed)
        report = learn_in_steps(task, parts, data, context)
        self.module.eval()
        n_cold = int(np.count_nonzero(n_liked == 0))
        places_new = self._taste is not None and self.settings.item_text_likes > 0
        notes = [
            *report.notes,
            f"{task.n_skipped} examples of the last epoch had no profile text and were skipped",
            f"{n_cold} of {len(n_liked)} items have no training row: "
            + ("their texts place them" if places_new else "their vectors are not learned"),
        ]
        return replace(report, notes=tuple(notes))

    def _parts(self) -> Parts:
        return Parts(
            self.settings, self.language_model, self.tokenizer, self.module, self.learned_taste
        )

    @override
    def item_vectors(self) -> Float32[np.ndarray, "items dim"]:
        """Return (psi, s V / (p + e), s log(p + e)) of each item."""
        with torch.no_grad():
            vectors = torch.cat(
                [self.module.items_with_tastes(), self.module.bias()[:, None]], dim=1
            )
        return vectors.float().cpu().numpy()

    @property
    @override
    def vectors_per_user(self) -> int:
        """How many vectors a user has."""
        return self.settings.interest_vectors

    @override
    def user_vectors(self, users: UserBatch) -> Float32[np.ndarray, "users dim"]:
        """Return (phi, tau, 1) of each user; NaN where the profile is empty.

        Raises:
            TrainingError: users have several vectors; `interest_vectors` gives these.
        """
        if self.vectors_per_user > 1:
            raise TrainingError(
                f"{self.name} has {self.vectors_per_user} vectors a user (interest_vectors), not one:"
                " ask score(), or interest_vectors() and take the best of one search each"
            )
        return self.interest_vectors(users)[:, 0]

    def interest_vectors(self, users: UserBatch) -> Float32[np.ndarray, "users vectors dim"]:
        """Return (phi, tau, 1) for each phi of each user; NaN where the profile is empty.

        The score of an item is the largest of its products with them.
        """
        texts = users.profiles or [""] * len(users)
        size = self.settings.embedding_size
        tastes = user_tastes(self._taste, users)
        shape = (len(users), self.vectors_per_user, size + tastes.shape[1] + 1)
        vectors = np.full(shape, np.nan, dtype=np.float32)
        kept = with_profile(texts)
        vectors[kept, :, size:-1], vectors[kept, :, -1] = tastes[kept][:, None], 1.0
        for start in range(0, len(kept), self.settings.encode_batch_size):
            part = kept[start : start + self.settings.encode_batch_size]
            encoded = self._encode([texts[i] for i in part], weights_of(users, part))
            vectors[part, :, :size] = encoded.reshape(len(part), -1, size)
        return vectors

    @override
    def score(self, users: UserBatch) -> Float32[np.ndarray, "users items"]:
        """Return the product of each user's vector with each item's, the largest of several."""
        return best_scores(self.interest_vectors(users), self.item_vectors())

    def _encode(
        self, texts: Sequence[str], weights: TitleWeights | None = None
    ) -> Float32[np.ndarray, "texts *vectors dim"]:
        device = self.module.items.device
        rows = pack(self.tokenizer.ids(texts), self.settings.max_tokens)
        reading = reading_of(self.tokenizer, rows, texts, weights, self.settings)
        self.module.eval()
        with torch.inference_mode():
            packed = PackedRows(*(tensor.to(device) for tensor in rows))
            read = reading and Reading(*(tensor.to(device) for tensor in reading))
            encoded: np.ndarray = (
                self.module.encoder(packed, len(texts), read).float().cpu().numpy()
            )
        return encoded

    @override
    def state(self) -> Mapping[str, np.ndarray]:
        """Return all weights and `item_ids`."""
        module, item_ids = self.module, self.item_ids
        if item_ids is None:
            raise not_fitted(self)
        arrays = {name: value.detach().cpu().numpy() for name, value in module.state_dict().items()}
        taste = {} if self._taste is None else self._taste.arrays()
        return {
            **arrays,
            **{TASTE_PREFIX + name: value for name, value in taste.items()},
            "item_ids": item_ids,
        }

    @override
    def assets(self) -> Mapping[str, bytes]:
        """Return the language model's configuration and tokenizer."""
        if self._language_model is None:
            raise not_fitted(self)
        return self._language_model.files

    @override
    def views(self) -> Mapping[str, bytes]:
        """Return what makes the model's folder one of sentence-transformers: phi, without tau and weights.

        Of a user of several vectors they can give none, so there is nothing.
        """
        if self.vectors_per_user > 1:
            return {}
        return sentence_transformer_files(
            self.language_model, self.module.encoder, self.settings.max_tokens
        )

    @override
    def saved_config(self) -> dict[str, Any]:
        """Return the configuration; an encoder that was loaded from a folder is called by the folder's name.

        How the encoder is read is written out: its name need not tell it elsewhere.
        """
        found = {**super().saved_config(), "encoder": portable_name(self.settings.encoder)}
        if self._language_model is not None:
            found |= {
                key: str(value) for key, value in self._language_model.recipe._asdict().items()
            }
        return found

    @override
    def restore(self, state: Mapping[str, np.ndarray], assets: Mapping[str, bytes]) -> None:
        """Take back what `state` and `assets` gave.

        Raises:
            CheckpointError: an array is missing, unknown or of another shape.
        """
        weights = dict(state)
        try:
            item_ids = weights.pop("item_ids")
            self._taste = Taste.from_arrays(
                {
                    name.removeprefix(TASTE_PREFIX): np.array(weights.pop(name))
                    for name in list(weights)
                    if name.startswith(TASTE_PREFIX)
                }
            )
            with torch.random.fork_rng(devices=[]):
                self._build(rebuild_language_model(assets), len(item_ids))
            tensors = {name: torch.from_numpy(np.array(value)) for name, value in weights.items()}
            self.module.load_state_dict(tensors)
        except (KeyError, RuntimeError, TypeError) as error:
            line = " ".join(str(error).split())
            raise CheckpointError(f"the arrays are not those of this embedme: {line}") from error
        self.item_ids = np.array(item_ids, dtype=np.uint32)
        self.module.eval()

    def _build(self, language_model: LanguageModel, n_items: int) -> None:
        if self.settings.max_tokens > language_model.max_positions:
            raise ConfigError(
                f"max_tokens is {self.settings.max_tokens}, the encoder reads {language_model.max_positions}"
            )
        recipe = _recipe(self.settings, language_model.recipe)
        language_model = replace(language_model, recipe=recipe)
        self._language_model = language_model
        self._tokenizer = ProfileTokenizer(
            language_model.tokenizer, self.settings.max_tokens, recipe.profile_prefix
        )
        n_tastes = 0 if self._taste is None else self._taste.n_dimensions
        self._module = DualEncoder(language_model, self.settings, n_items, n_tastes)


def _recipe(settings: EmbedMeConfig, own: Recipe) -> Recipe:
    """Return how the encoder is read: as the settings say, where they say nothing as it was trained."""
    prefixes = (settings.profile_prefix, settings.item_prefix)
    recipe = Recipe(
        settings.pooling or own.pooling,
        own.profile_prefix if prefixes[0] is None else prefixes[0],
        own.item_prefix if prefixes[1] is None else prefixes[1],
    )
    if recipe.pooling is Pooling.FIRST and settings.takes_shares:
        raise ConfigError(FIRST_HAS_NO_SHARES)
    return recipe


def _check(data: Dataset, settings: EmbedMeConfig) -> None:
    if data.profiles is None:
        raise DatasetError(
            "embedme learns from profiles, and the data set has no source of profiles"
        )
    if settings.weights is not WeightUse.ORDER and not isinstance(
        data.profiles, WeightedProfileSource
    ):
        raise DatasetError(
            f"weights={settings.weights} needs to know what each title of a profile weighs, and"
            f" {type(data.profiles).__name__} does not tell"
        )
    if binary(data.interactions[data.target]).nnz == 0:
        raise DatasetError(f"no positive interaction in target {data.target!r} to learn from")
