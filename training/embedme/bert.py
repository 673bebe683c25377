"""The language model and its tokenizer; the only module that knows transformers.

In: the name of an encoder, or the files an encoder was saved as. Out: a BERT, RoBERTa or XLM-RoBERTa without
pooling head whose attention runs fused (SDPA, no dropout on attention weights, which would forbid the fused kernel),
and a tokenizer that neither cuts nor pads, to which " [SEP] " is a separator whatever its own is called.

A RoBERTa counts positions from the number of its padding token plus 1: `LanguageModel.first_position`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tokenizers import Tokenizer
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PretrainedConfig
from transformers.utils import logging as transformers_logging

from training.embedme.batch import SEPARATOR, frame_of
from training.encoder_files import Recipe, find_encoder, recipe_of
from training.errors import CheckpointError, EncoderError
from training.speed import transformer_flops

FOLDER = "encoder"
"""Of the language model inside a model folder; transformers reads it as it stands."""
CONFIG_FILE = f"{FOLDER}/config.json"
TOKENIZER_FILE = f"{FOLDER}/tokenizer.json"
WEIGHTS_FILE = f"{FOLDER}/model.safetensors"
MODEL_TYPES = ("bert", "roberta", "xlm-roberta")
"""Packed rows need learned position ids that are given, and profiles a first token and a separator."""


@dataclass(frozen=True)
class LanguageModel:
    """An encoder with its tokenizer, and the files that rebuild both without weights."""

    bert: nn.Module
    hidden_size: int
    max_positions: int
    """Tokens it can read at once."""
    tokenizer: Tokenizer
    n_layers: int
    files: Mapping[str, bytes]
    """`CONFIG_FILE` and `TOKENIZER_FILE`."""
    first_position: int = 0
    """Position id of a text's first token."""
    recipe: Recipe = Recipe()  # noqa: RUF009  (a tuple)
    """How it wants to be read; the mean of all tokens where it was rebuilt from files."""

    def training_flops(self, lengths: Sequence[int]) -> float:
        """Return the operations of forward and backward pass over texts of so many tokens."""
        n_weights = sum(
            one.numel()
            for name, one in self.bert.named_parameters()
            if one.dim() == 2 and not name.startswith("embeddings.")  # noqa: PLR2004  (a matrix)
        )
        return transformer_flops(n_weights, self.n_layers, self.hidden_size, lengths)


def load_language_model(
    name: str, hidden_dropout: float, *, pretrained: bool = True
) -> LanguageModel:
    """Return encoder `name` with its pretrained weights; nothing is downloaded.

    Args:
        name: "minilm", a folder, or a model in the Hugging Face cache.
        hidden_dropout: Dropout of the hidden states while training.
        pretrained: Its weights; without, its shape and tokenizer with random weights (torch's generator).

    Raises:
        EncoderError: it is not here, of no type that is read here, or its files do not fit together.
    """
    folder = find_encoder(name)
    recipe = recipe_of(name, folder)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        _check_type(config.model_type, name)
        config.attention_probs_dropout_prob = 0.0
        config.hidden_dropout_prob = hidden_dropout
        bert = (
            _load_weights(folder, config)
            if pretrained
            else AutoModel.from_config(config, attn_implementation="sdpa")
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True)
        text = tokenizer.backend_tokenizer.to_str()
    except (OSError, ValueError, KeyError, AttributeError) as error:
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EncoderError(f"encoder {name!r} cannot be loaded from {folder}: {line}") from error
    return replace(
        _language_model(bert, config.to_json_string(use_diff=False), text), recipe=recipe
    )


def rebuild_language_model(files: Mapping[str, bytes]) -> LanguageModel:
    """Return the encoder that `files` describe, with weights yet to be filled in.

    Raises:
        CheckpointError: a file is missing or is not what it should be.
    """
    missing = sorted({CONFIG_FILE, TOKENIZER_FILE} - set(files))
    if missing:
        raise CheckpointError(f"encoder files are missing: {', '.join(missing)}")
    try:
        text = files[CONFIG_FILE].decode("utf-8")
        settings = json.loads(text)
        _check_type(settings["model_type"], CONFIG_FILE)
        config = AutoConfig.for_model(**settings)
        bert = AutoModel.from_config(config, attn_implementation="sdpa")
        return _language_model(bert, text, files[TOKENIZER_FILE].decode("utf-8"))
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"encoder files cannot be read: {error}") from error


def _check_type(model_type: str, name: str) -> None:
    if model_type not in MODEL_TYPES:
        raise EncoderError(
            f"encoder {name!r} is of type {model_type!r}; EmbedMe reads {', '.join(MODEL_TYPES)}"
        )


def _load_weights(folder: Path, config: PretrainedConfig) -> nn.Module:
    """Load the weights without a progress bar, and refuse a model with parts missing."""
    had_bar = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        bert, report = AutoModel.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            attn_implementation="sdpa",
        )
    finally:
        if had_bar:
            transformers_logging.enable_progress_bar()
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise ValueError(f"{len(missing)} weights are missing, the first is {missing[0]}")
    module: nn.Module = bert
    return module


def _language_model(bert: nn.Module, config_text: str, tokenizer_text: str) -> LanguageModel:
    settings = json.loads(config_text)
    settings.pop("_name_or_path", None)  # a path of the machine it was loaded on
    bert.pooler = None  # type: ignore[assignment]  # the head of another task: not used, so not trained or saved
    tokenizer = with_separator(Tokenizer.from_str(tokenizer_text))
    tokenizer.no_truncation()  # the packaged file cuts at 128 tokens
    tokenizer.no_padding()
    files = {
        CONFIG_FILE: (json.dumps(settings, indent=2, sort_keys=True) + "\n").encode("utf-8"),
        TOKENIZER_FILE: tokenizer.to_str().encode("utf-8"),
    }
    is_bert = settings["model_type"] == "bert"
    first_position = 0 if is_bert else settings["pad_token_id"] + 1
    return LanguageModel(
        bert,
        settings["hidden_size"],
        settings["max_position_embeddings"] - first_position,
        tokenizer,
        settings["num_hidden_layers"],
        files,
        first_position,
    )


def with_separator(tokenizer: Tokenizer) -> Tokenizer:
    """Return the tokenizer with " [SEP] " read as its own separator, such as RoBERTa's </s>; a BERT's as it stands.

    The text is replaced before the separator is looked for, so what is saved reads profile texts everywhere.
    """
    _, separator = frame_of(tokenizer)
    name = tokenizer.id_to_token(separator)
    stored = json.loads(tokenizer.to_str())
    steps = [one for one in (stored["normalizer"],) if one is not None]
    replacing = {"type": "Replace", "pattern": {"String": SEPARATOR}, "content": name}
    if name == SEPARATOR.strip() or replacing in (steps and steps[0].get("normalizers", [])):
        return tokenizer
    for token in stored["added_tokens"]:
        if token["content"] == name:
            token["normalized"] = True  # looked for in the text as the normalizer leaves it
    stored["normalizer"] = {"type": "Sequence", "normalizers": [replacing, *steps]}
    return Tokenizer.from_str(json.dumps(stored))
