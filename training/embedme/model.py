"""EmbedMe on the recommenders' contract (paper section 3.2).

    score(u, i) = phi(u) . psi(i) + b tau(u) . V_i / (p_i + e)^0.7 + s log P(i)

The first term is eq. 8: phi is the profile encoder, psi a table of item vectors. The others go beyond the paper
and may be switched off: tau is the user's taste as the MeKB's numbers tell it (`training.embedme.taste`), P the
smoothed share of training positives. All of it is one inner product, (phi, tau, 1) . (psi, b V .., s log P), so an
index needs nothing else. Learned by the full softmax over all items (eq. 9).
"""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import nn
from typing_extensions import override

from training.config import ModelConfig
from training.contract import FitContext, FitReport, Need, UserBatch, VectorRecommender, not_fitted
from training.dataset import Dataset, binary, rows_of
from training.embedme.batch import PackedRows, ProfileTokenizer, pack
from training.embedme.bert import (
    WEIGHTS_FILE,
    LanguageModel,
    load_language_model,
    rebuild_language_model,
)
from training.embedme.config import EmbedMeConfig
from training.embedme.dual_encoder import DualEncoder
from training.embedme.examples import (
    Drawing,
    Examples,
    draw_examples,
    example_users,
    n_source_positives,
    with_profile,
)
from training.embedme.sentence_transformer import sentence_transformer_files
from training.embedme.taste import (
    LearnedTaste,
    TasteMap,
    TasteSettings,
    learn_taste,
    training_tastes,
    user_tastes,
)
from training.embedme.warm_start import warm_start
from training.encoder_files import portable_name
from training.errors import CheckpointError, ConfigError, DatasetError
from training.evaluate import evaluate
from training.loop import Batch, fit_epochs, make_fabric

BERT_PREFIX = "encoder.bert."
"""Before the names of the language model's arrays."""
TASTE_PREFIX = "taste_map."
"""Before the names of the taste map's arrays among the model's."""


class EpochBatches:
    """The batches of one epoch, each made when its turn comes."""

    def __init__(self, model: "EmbedMe", data: Dataset, examples: Examples) -> None:
        self._data, self._examples, self._taste = data, examples, model.learned_taste
        self._tokenizer, self._config = model.tokenizer, model.settings
        self.n_skipped = 0
        """Examples without profile text among the batches made so far."""

    def __len__(self) -> int:
        return math.ceil(len(self._examples) / self._config.batch_size)

    def __iter__(self) -> Iterator[Batch | None]:
        self.n_skipped = 0
        size = self._config.batch_size
        for start in range(0, len(self._examples), size):
            yield self._batch(slice(start, min(start + size, len(self._examples))))

    def _batch(self, part: slice) -> Batch | None:
        users = example_users(self._data, self._examples, part)
        texts = users.profiles or []
        kept = with_profile(texts)
        self.n_skipped += len(texts) - len(kept)
        if not len(kept):
            return None
        rows = pack(self._tokenizer.ids([texts[i] for i in kept]), self._config.max_tokens)
        labels = self._examples.labels[part][kept]
        items = torch.from_numpy(labels.indices.astype(np.int64))
        user_rows = self._examples.user_rows[part][kept]
        tastes = training_tastes(self._taste, user_rows, users, kept)
        return Batch(
            (*rows, torch.from_numpy(tastes), torch.from_numpy(rows_of(labels)), items),
            users.ids[kept],
        )


class EmbedMeTask:
    """EmbedMe as the loop sees it."""

    def __init__(self, model: "EmbedMe", data: Dataset, seed: int) -> None:
        self._model, self._data, self._seed = model, data, seed
        self._epoch: EpochBatches | None = None

    @property
    def module(self) -> nn.Module:
        """Both towers."""
        return self._model.module

    @property
    def pretrained(self) -> str:
        """The language model; its head, the items and the prior's scale are new."""
        return BERT_PREFIX

    @property
    def identity(self) -> str:
        """A digest of settings, items and training rows."""
        digest = hashlib.sha256(self._model.settings.model_dump_json().encode())
        digest.update(self._data.target_items.item_ids.tobytes() + self._data.user_ids.tobytes())
        for domain, matrix in sorted(self._data.interactions.items()):
            digest.update(domain.encode())
            digest.update(
                matrix.indptr.tobytes() + matrix.indices.tobytes() + matrix.data.tobytes()
            )
        return digest.hexdigest()

    @property
    def n_skipped(self) -> int:
        """Examples of the last epoch without profile text."""
        return 0 if self._epoch is None else self._epoch.n_skipped

    def batches(self, epoch: int) -> EpochBatches:
        """Return the batches of an epoch; labels are drawn anew in each."""
        config = self._model.settings
        drawing = Drawing(config.examples, config.source_only_share, config.label_share)
        examples = draw_examples(self._data, drawing, np.random.default_rng([self._seed, epoch]))
        self._epoch = EpochBatches(self._model, self._data, examples)
        return self._epoch

    def validate(self) -> Mapping[str, float]:
        """Return NDCG@10 and HR@10 on the validation users."""
        if self._data.valid is None or not len(self._data.valid.user_rows):
            return {}
        protocol = self._model.settings.validation_protocol
        found = evaluate(self._model, self._data, self._data.valid, [protocol]).summary()
        return {f"{metric}@10": found[f"{protocol.name}/{metric}@10"] for metric in ("ndcg", "hr")}


class EmbedMe(VectorRecommender):
    """A language model reads the profile, a table holds the items, a dot product joins them."""

    name: ClassVar[str] = "embedme"
    paper: ClassVar[str] = (
        "Yuan et al., MeKB-Rec: Personal Knowledge Graph Learning for Cross-Domain Recommendation,"
        " KaRS at RecSys 2023"
    )
    needs: ClassVar[frozenset[Need]] = frozenset({Need.PROFILE})
    config_type: ClassVar[type[ModelConfig]] = EmbedMeConfig
    array_files: ClassVar[Mapping[str, str]] = {BERT_PREFIX: WEIGHTS_FILE}

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        if not isinstance(config, EmbedMeConfig):
            raise ConfigError(f"embedme takes an EmbedMeConfig, not {type(config).__name__}")
        self.settings = config
        self._language_model: LanguageModel | None = None
        self._module: DualEncoder | None = None
        self._tokenizer: ProfileTokenizer | None = None
        self._taste: TasteMap | None = None
        self.learned_taste: LearnedTaste | None = None
        """Of the last fit; None without a taste map, and after `restore`."""

    @property
    def module(self) -> DualEncoder:
        """Both towers, once fitted or restored."""
        if self._module is None:
            raise not_fitted(self)
        return self._module

    @property
    def tokenizer(self) -> ProfileTokenizer:
        """The tokenizer of profiles, once fitted or restored."""
        if self._tokenizer is None:
            raise not_fitted(self)
        return self._tokenizer

    @override
    def fit(self, data: Dataset, context: FitContext) -> FitReport:
        """Fine-tune the encoder and learn the item vectors, from the pretrained weights anew."""
        _check(data)
        device = make_fabric(context).device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            language_model = load_language_model(
                self.settings.encoder, self.settings.hidden_dropout
            )
            self._learn_taste(data, context)
            self._build(language_model, len(data.target_items))
        self.item_ids = data.target_items.item_ids
        n_liked = binary(data.interactions[data.target]).sum(axis=0)
        prior = log_prior(data, self.settings.prior_strength)
        self.module.log_prior.copy_(torch.from_numpy(prior))
        if self.learned_taste is not None:
            learned = self.learned_taste
            self.module.set_item_tastes(
                torch.from_numpy(learned.map.item_tastes), torch.from_numpy(learned.shares)
            )
        self.module.to(device)
        warm = self._warm_start(data, context)
        task = EmbedMeTask(self, data, context.seed)
        report = self._fine_tune(task, warm, context)
        self.module.eval()
        n_cold = int(np.count_nonzero(n_liked == 0))
        notes = [
            *report.notes,
            f"{task.n_skipped} examples of the last epoch had no profile text and were skipped",
            f"{n_cold} of {len(n_liked)} items have no training row: their vectors are not learned",
        ]
        return FitReport(
            report.seconds, report.losses, report.validation, report.chosen_epoch, tuple(notes)
        )

    def _learn_taste(self, data: Dataset, context: FitContext) -> None:
        settings = self.settings
        self.learned_taste = None
        if settings.n_target_tastes:
            sizes = TasteSettings(
                settings.n_interest_tastes, settings.n_target_tastes, settings.taste_ridge
            )
            self.learned_taste = learn_taste(data, sizes, context.seed)
        self._taste = None if self.learned_taste is None else self.learned_taste.map

    def _warm_start(self, data: Dataset, context: FitContext) -> FitReport | None:
        if not self.settings.head_epochs:
            return None
        return warm_start(self.module, self.tokenizer, data, self.learned_taste, context)

    def _fine_tune(
        self, task: EmbedMeTask, warm: FitReport | None, context: FitContext
    ) -> FitReport:
        """Train both towers; when no epoch is better on validation than the warm start, that is kept."""
        if warm is None:
            return fit_epochs(task, self.settings, context)
        best = _best_value(warm)
        note = f"warm start: {len(warm.losses)} epochs, best validation {best:.4f}"
        if not self.settings.fine_tune:
            return replace(warm, notes=(*warm.notes, note))
        start = {name: one.detach().clone() for name, one in self.module.state_dict().items()}
        report = fit_epochs(task, self.settings, context)
        chosen = report.chosen_epoch
        if best >= _best_value(report):
            self.module.load_state_dict(start)
            chosen = 0
        return replace(
            report,
            seconds=warm.seconds + report.seconds,
            chosen_epoch=chosen,
            notes=(*report.notes, note),
        )

    @override
    def item_vectors(self) -> Float32[np.ndarray, "items dim"]:
        """Return (psi, b V / (p + e)^0.7, s log P) of each item."""
        with torch.no_grad():
            vectors = torch.cat(
                [self.module.items_with_tastes(), self.module.bias()[:, None]], dim=1
            )
        return vectors.float().cpu().numpy()

    @override
    def user_vectors(self, users: UserBatch) -> Float32[np.ndarray, "users dim"]:
        """Return (phi, tau, 1) of each user; NaN where the profile is empty."""
        texts = users.profiles or [""] * len(users)
        size = self.settings.embedding_size
        tastes = user_tastes(self._taste, users)
        width = size + tastes.shape[1] + 1
        vectors = np.full((len(users), width), np.nan, dtype=np.float32)
        kept = with_profile(texts)
        vectors[kept, size:-1], vectors[kept, -1] = tastes[kept], 1.0
        for start in range(0, len(kept), self.settings.encode_batch_size):
            part = kept[start : start + self.settings.encode_batch_size]
            vectors[part, :size] = self._encode([texts[i] for i in part])
        return vectors

    def _encode(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts dim"]:
        device = self.module.items.device
        rows = pack(self.tokenizer.ids(texts), self.settings.max_tokens)
        self.module.eval()
        with torch.inference_mode():
            packed = PackedRows(*(tensor.to(device) for tensor in rows))
            encoded: np.ndarray = self.module.encoder(packed, len(texts)).float().cpu().numpy()
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
        """Return what makes the model's folder one of sentence-transformers: phi, without tau."""
        if self._language_model is None:
            raise not_fitted(self)
        tokens = self.settings.max_tokens
        return sentence_transformer_files(self._language_model, self.module.encoder, tokens)

    @override
    def saved_config(self) -> dict[str, Any]:
        """Return the configuration; an encoder that was loaded from a folder is called by the folder's name."""
        return {**super().saved_config(), "encoder": portable_name(self.settings.encoder)}

    @override
    def restore(self, state: Mapping[str, np.ndarray], assets: Mapping[str, bytes]) -> None:
        """Take back what `state` and `assets` gave.

        Raises:
            CheckpointError: an array is missing, unknown or of another shape.
        """
        weights = dict(state)
        try:
            item_ids = weights.pop("item_ids")
            self._taste = TasteMap.from_arrays(
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
        self._language_model = language_model
        self._tokenizer = ProfileTokenizer(language_model.tokenizer, self.settings.max_tokens)
        n_tastes = 0 if self._taste is None else self._taste.item_tastes.shape[1]
        self._module = DualEncoder(language_model, self.settings, n_items, n_tastes)


def _best_value(report: FitReport) -> float:
    """Return the best deciding metric of a fit; minus infinity without validation."""
    return max(
        (next(iter(found.values())) for found in report.validation if found), default=-math.inf
    )


def log_prior(data: Dataset, strength: float | None) -> Float64[np.ndarray, " items"]:
    """Return log P(item) of a target interaction.

    With c_all the training counts of all users and c those of users with source rows, whom a zero-shot user
    resembles more than the target's regulars do,

        P_all(i) = (c_all(i) + 1) / sum_j (c_all(j) + 1)
        P(i)     = (c(i) + m P_all(i)) / (sum_j c(j) + m)       m = `strength`; P_all for None
    """
    target = binary(data.interactions[data.target])
    overall = target.sum(axis=0, dtype=np.float64) + 1.0
    overall = overall / overall.sum()
    if strength is None:
        return np.asarray(np.log(overall))
    counts = target[n_source_positives(data) > 0].sum(axis=0, dtype=np.float64)
    return np.asarray(np.log((counts + strength * overall) / (counts.sum() + strength)))


def _check(data: Dataset) -> None:
    if data.profiles is None:
        raise DatasetError(
            "embedme learns from profiles, and the data set has no source of profiles"
        )
    if binary(data.interactions[data.target]).nnz == 0:
        raise DatasetError(f"no positive interaction in target {data.target!r} to learn from")
