"""Encoders by name and of every type that is read: packed rows give what transformers gives of each text alone."""

# ruff: noqa: D101, D102  (a test's name is its docstring)

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from training import encoder_files
from training.checkpoint import load, save
from training.contract import FitContext, UserBatch
from training.embedme.batch import ProfileTokenizer, pack
from training.embedme.bert import load_language_model, rebuild_language_model
from training.embedme.config import EmbedMeConfig
from training.embedme.encoder import Pooler, ProfileEncoder
from training.embedme.model import EmbedMe
from training.encoder_files import (
    HUB_NAMES,
    Pooling,
    Recipe,
    find_encoder,
    hub_name,
    recipe_of,
)
from training.errors import ConfigError, EncoderError
from training.evaluate import user_batch

FRAME = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""A RoBERTa's own tokens in the order of their ids: the padding token is number 1."""
TITLES = (
    "Heat (1995 film)",
    "Al Pacino",
    "red book1",
    "green film2",
    "blue",
    "Amélie",
    "query: passage: Michael Mann",
)
PROFILES = (
    " [SEP] ".join(TITLES),
    "red book1 [SEP] Amélie",
    "blue",
    " [SEP] ".join(reversed(TITLES)),
)
N_TOKENS = 40
N_ITEMS = 5


def byte_level() -> Tokenizer:
    """Return a tokenizer as RoBERTa's: bytes, a leading space part of a word."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        TITLES,
        trainers.BpeTrainer(
            vocab_size=330,
            special_tokens=list(FRAME),
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def sentence_pieces() -> Tokenizer:
    """Return a tokenizer as XLM-RoBERTa's: pieces of words that begin with a mark."""
    letters = sorted({letter for title in TITLES for letter in title} | {"▁"})
    pieces = [
        *((token, 0.0) for token in FRAME),
        *((letter, -5.0) for letter in letters),
        ("▁red", -2.0),
        ("▁book", -2.0),
        ("▁query", -2.0),
    ]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 66,
    "initializer_range": 0.4,
}
"""Weights so large that a wrong position shows."""
FRAMED = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}


def write_encoder(folder: Path, kind: str) -> Path:
    """Write a tiny random encoder as it would lie in the cache."""
    tokenizer = byte_level() if kind == "roberta" else sentence_pieces()
    keys = ("bos", "pad", "eos", "unk", "mask", "cls", "sep")
    names = dict(zip(keys, (*FRAME, "<s>", "</s>"), strict=True))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        **{f"{key}_token": token for key, token in names.items()},
    ).save_pretrained(folder)
    size = {**SIZES, "vocab_size": tokenizer.get_vocab_size()}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        match kind:
            case "roberta":
                model = RobertaModel(RobertaConfig(**size, **FRAMED))
            case "xlm-roberta":
                model = XLMRobertaModel(XLMRobertaConfig(**size, **FRAMED))
            case _:  # as multilingual-e5-small: a BERT that was given XLM-RoBERTa's tokenizer
                model = BertModel(BertConfig(**size))
        model.save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Encoder:
    """One that was written, and its way of joining titles."""

    kind: str
    folder: Path


@pytest.fixture(scope="module", params=["roberta", "xlm-roberta", "bert with <s>"])
def encoder(request, tmp_path_factory) -> Encoder:
    folder = tmp_path_factory.mktemp("encoder") / request.param.replace(" ", "_")
    return Encoder(request.param, write_encoder(folder, request.param))


def plain_states(encoder: Encoder, profile: str, prefix: str = "") -> torch.Tensor:
    """Return what transformers alone says of a text whose titles are joined by the encoder's own separator."""
    tokenizer = AutoTokenizer.from_pretrained(encoder.folder)
    model = AutoModel.from_pretrained(encoder.folder, add_pooling_layer=False).eval()
    text = prefix + profile.replace(" [SEP] ", "</s>")
    tokens = tokenizer(text, truncation=True, max_length=N_TOKENS, return_tensors="pt")
    with torch.no_grad():
        states: torch.Tensor = model(input_ids=tokens["input_ids"]).last_hidden_state[0]
    return states


@pytest.mark.parametrize("pooling", list(Pooling))
def test_packed_rows_give_what_transformers_gives_one_by_one(encoder, pooling):
    loaded = load_language_model(str(encoder.folder), 0.0)
    tokenizer = ProfileTokenizer(loaded.tokenizer, N_TOKENS)
    own = ProfileEncoder(
        loaded.bert, loaded.hidden_size, 4, 0.0, Pooler(loaded.first_position, pooling)
    ).eval()
    ids = tokenizer.ids(PROFILES)
    rows = pack(ids, N_TOKENS)
    assert len(rows.tokens) < len(PROFILES), "some texts share a row"
    with torch.no_grad():
        found = own.pooled(rows, len(PROFILES))
        own.pooler = Pooler(loaded.first_position + 1, pooling)
        shifted = own.pooled(rows, len(PROFILES))
    for number, profile in enumerate(PROFILES):
        states = plain_states(encoder, profile)
        assert len(states) == len(ids[number])
        expected = states[0] if pooling is Pooling.FIRST else states.mean(dim=0)
        torch.testing.assert_close(found[number], expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(shifted[number], expected, atol=0.05), "positions count"


def test_positions_begin_where_the_type_wants_them(encoder):
    loaded = load_language_model(str(encoder.folder), 0.0)
    expected = (0, 66) if encoder.kind.startswith("bert") else (2, 64)
    assert (loaded.first_position, loaded.max_positions) == expected
    again = rebuild_language_model(loaded.files)
    assert (again.first_position, again.max_positions) == expected
    assert again.files == loaded.files, "rebuilding changes nothing"
    short = EmbedMe(EmbedMeConfig(encoder=str(encoder.folder), max_tokens=expected[1] + 1))
    with pytest.raises(ConfigError, match=f"the encoder reads {expected[1]}"):
        short._build(loaded, N_ITEMS)


def test_a_prefix_stands_before_the_first_title(encoder):
    loaded = load_language_model(str(encoder.folder), 0.0)
    tokenizer = ProfileTokenizer(loaded.tokenizer, N_TOKENS, "query: ")
    for profile in PROFILES:
        (ids,) = tokenizer.ids([profile])
        assert len(ids) == len(plain_states(encoder, profile, "query: "))
        assert loaded.tokenizer.encode(f"query: {profile}").ids[: len(ids) - 1] == ids[:-1]


def model_of(encoder: Encoder, **settings: object) -> EmbedMe:
    """Return a model with a random head and scale over the encoder as it is."""
    config = EmbedMeConfig(
        encoder=str(encoder.folder), max_tokens=N_TOKENS, embedding_size=6, **settings
    )
    model = EmbedMe(config)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model._build(load_language_model(config.encoder, 0.0), N_ITEMS)
        size = len(model.module.encoder.centre)
        model.module.encoder.set_input_scale(0.3 * torch.randn(size), 0.5 + torch.rand(size))
    model.item_ids = np.arange(N_ITEMS, dtype=np.uint32)
    return model


@pytest.mark.parametrize("settings", [{}, {"pooling": "first", "profile_prefix": "query: "}])
def test_a_saved_model_reads_as_before_here_and_in_sentence_transformers(
    encoder, settings, tmp_path
):
    model = model_of(encoder, **settings)
    users = UserBatch(np.arange(len(PROFILES), dtype=np.uint32), {}, list(PROFILES))
    vectors = model.user_vectors(users)
    save(model, tmp_path / "model")
    again, _ = load(tmp_path / "model")
    np.testing.assert_array_equal(again.user_vectors(users), vectors)
    kept = json.loads((tmp_path / "model" / "config.json").read_text())["config"]
    wanted = {"pooling": "mean", "profile_prefix": "", "item_prefix": "", **settings}
    assert {key: kept[key] for key in wanted} == wanted
    reader = SentenceTransformer(str(tmp_path / "model"), device="cpu", local_files_only=True)
    theirs = reader.encode(list(PROFILES), show_progress_bar=False)
    np.testing.assert_allclose(theirs, vectors[:, :6], rtol=1e-4, atol=1e-5)
    assert np.abs(theirs[0] - theirs[2]).max() > 0.05


def test_it_learns_on_the_world(world, tmp_path):
    folder = write_encoder(tmp_path / "xlm", "xlm-roberta")
    settings = {"max_tokens": 32, "embedding_size": 8, "batch_size": 16, "learning_rate": 3e-3}
    config = EmbedMeConfig(encoder=str(folder), epochs=2, **settings)
    model = EmbedMe(config)
    report = model.fit(replace(world.data, valid=None), FitContext(seed=1))
    assert report.losses[-1] < report.losses[0]
    assert np.isfinite(model.score(user_batch(world.data, world.test.user_rows))).all()


class TestNames:
    def test_short_names_are_the_hubs(self):
        assert hub_name("bert-base-uncased") == "google-bert/bert-base-uncased"
        assert hub_name("BLaIR-RoBERTa-base") == "hyp1231/blair-roberta-base"
        assert hub_name("multilingual-e5-small") == "intfloat/multilingual-e5-small"
        assert hub_name("google-bert/bert-base-uncased") == "google-bert/bert-base-uncased"
        assert all(full.rpartition("/")[2].casefold() == short for short, full in HUB_NAMES.items())

    def test_the_recipe_follows_the_family(self, tmp_path):
        e5 = Recipe(Pooling.MEAN, "query: ", "passage: ")
        for name in ("e5-base-v2", "intfloat/e5-base-v2", "/models/multilingual-e5-small/"):
            assert recipe_of(name, tmp_path) == e5
        assert recipe_of("hyp1231/blair-roberta-base", tmp_path) == Recipe(Pooling.FIRST)
        for name in ("minilm", "bert-base-uncased", "someone/some-bert"):
            assert recipe_of(name, tmp_path) == Recipe(Pooling.MEAN)

    @pytest.mark.parametrize(
        ("stored", "pooling"),
        [
            ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, Pooling.FIRST),
            ({"pooling_mode_mean_tokens": True, "include_prompt": True}, Pooling.MEAN),
            ({"pooling_mode": "cls"}, Pooling.FIRST),
            ({"pooling_mode": "mean"}, Pooling.MEAN),
        ],
    )
    def test_an_unknown_one_pools_as_sentence_transformers_would(self, tmp_path, stored, pooling):
        (tmp_path / "1_Pooling").mkdir()
        (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(stored))
        assert recipe_of("someone/some-bert", tmp_path).pooling is pooling

    @pytest.mark.parametrize(
        "stored",
        ['{"pooling_mode_max_tokens": true}', '{"pooling_mode": "lasttoken"}', "{}", "{"],
    )
    def test_another_way_of_pooling_is_refused_in_one_line(self, tmp_path, stored):
        (tmp_path / "1_Pooling").mkdir()
        (tmp_path / "1_Pooling" / "config.json").write_text(stored)
        with pytest.raises(EncoderError, match="someone/some-bert") as caught:
            recipe_of("someone/some-bert", tmp_path)
        assert "\n" not in str(caught.value)

    def test_one_that_is_not_here_says_how_to_fetch_it(self):
        with pytest.raises(EncoderError, match=r"hf download intfloat/e5-base-v2$") as caught:
            find_encoder("e5-base-v2")
        assert "\n" not in str(caught.value)

    def test_the_cache_is_asked_by_the_full_name_then_by_the_short_one(self, monkeypatch, tmp_path):
        (tmp_path / "model.safetensors").write_bytes(b"")
        asked: list[str] = []

        def snapshot(name: str, *, local_files_only: bool) -> str:
            assert local_files_only
            asked.append(name)
            if "/" in name:
                raise OSError("not in the cache")
            return str(tmp_path)

        monkeypatch.setattr(encoder_files, "snapshot_download", snapshot)
        assert find_encoder("bert-base-uncased") == tmp_path
        assert asked == ["google-bert/bert-base-uncased", "bert-base-uncased"]


def test_a_tokenizer_without_a_frame_is_refused():
    tokenizer = Tokenizer(models.BPE())
    with pytest.raises(EncoderError, match=r"no \[CLS\] or \[SEP\]"):
        ProfileTokenizer(tokenizer, 8)
