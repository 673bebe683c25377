"""sentence-transformers reads a model folder as it stands, and gives the same text vectors."""

import json

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from training.checkpoint import load, save
from training.contract import UserBatch
from training.embedme.bert import load_language_model
from training.embedme.config import EmbedMeConfig
from training.embedme.model import EmbedMe
from training.embedme.sentence_transformer import folded
from training.registry import create

N_ITEMS = 7
TITLES = [f"Title number {n} of many" for n in range(200)]
TEXTS = {
    "titles": "Heat (1995 film) [SEP] Al Pacino [SEP] Michael Mann",
    "one letter": "a",
    "a space": " ",
    "a separator": " [SEP] ",
    "a separator at the end": "a [SEP]",
    "a separator at the start": "[SEP] a",
    "an empty title": "a [SEP]  [SEP] b",
    "separators without spaces": "x [SEP]y[SEP] z [sep]",
    "other special tokens": "[CLS] a [MASK] b [PAD] c [UNK]",
    "spaces around": "  a book [SEP] b  ",
    "scripts": "Amélie [SEP] 千と千尋の神隠し [SEP] Война и мир [SEP] İstanbul [SEP] 😀",
    "a combining mark first": "\u0301x [SEP] e\u0301",
    "invisible characters": "\u200b \u00a0 [SEP] nul\x00byte [SEP] tab\tnew\nline",
    "too long": " [SEP] ".join(TITLES),
    "one word too long": "supercalifragilistic" * 300,
}


def model_of(encoder: str, max_tokens: int) -> EmbedMe:
    """Return a model with random head and scale, whose BERT is the pretrained one."""
    model = EmbedMe(EmbedMeConfig(encoder=encoder, max_tokens=max_tokens, embedding_size=24))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model._build(load_language_model(encoder, 0.0), N_ITEMS)
        size = len(model.module.encoder.centre)
        model.module.encoder.set_input_scale(0.3 * torch.randn(size), 0.05 + torch.rand(size))
    model.item_ids = np.arange(N_ITEMS, dtype=np.uint32)
    return model


def text_vectors(model: EmbedMe) -> np.ndarray:
    users = UserBatch(np.arange(len(TEXTS), dtype=np.uint32), {}, list(TEXTS.values()))
    return model.user_vectors(users)[:, :24]


@pytest.fixture(scope="module")
def minilm_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("minilm") / "model"
    save(model_of("minilm", 256), folder)
    return folder


def test_vectors_are_equal_on_a_real_encoder(minilm_folder):
    model, _ = load(minilm_folder)
    ours = text_vectors(model)
    theirs = SentenceTransformer(str(minilm_folder), device="cpu", local_files_only=True).encode(
        list(TEXTS.values()), batch_size=4, show_progress_bar=False
    )
    np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)
    assert np.abs(ours[0] - ours[1]).max() > 0.1  # the check above would be empty of equal vectors


def test_tokens_are_equal_text_by_text(minilm_folder):
    model, _ = load(minilm_folder)
    reader = SentenceTransformer(str(minilm_folder), device="cpu", local_files_only=True)
    assert reader.max_seq_length == 256
    for name, text in TEXTS.items():
        theirs = reader.tokenizer(text, truncation=True, max_length=256)["input_ids"]
        assert theirs == model.tokenizer.ids([text])[0], name
    lengths = [len(ids) for ids in model.tokenizer.ids(list(TEXTS.values()))]
    assert max(lengths) == 256


def test_transformers_reads_the_encoder_alone(minilm_folder):
    from transformers import AutoModel, AutoTokenizer

    folder = minilm_folder / "encoder"
    bert = AutoModel.from_pretrained(folder, add_pooling_layer=False, local_files_only=True)
    ours = load(minilm_folder)[0].module.encoder.bert.state_dict()
    theirs = bert.state_dict()
    assert set(theirs) == set(ours)
    assert all(torch.equal(theirs[name], ours[name]) for name in ours)
    assert AutoTokenizer.from_pretrained(folder, local_files_only=True).model_max_length == 256


def test_a_trained_model_with_a_taste_map_gives_the_text_part(world, settings, tmp_path):
    from training.contract import FitContext
    from training.evaluate import user_batch

    config = {**settings("embedme"), "epochs": 1, "n_target_tastes": 4, "head_epochs": 2}
    model = create("embedme", config)
    model.fit(world.data, FitContext())
    save(model, tmp_path / "model")
    users = user_batch(world.data, world.test.user_rows)
    assert users.profiles is not None
    whole = model.user_vectors(users)
    reader = SentenceTransformer(str(tmp_path / "model"), device="cpu", local_files_only=True)
    theirs = reader.encode(users.profiles, show_progress_bar=False)
    assert theirs.shape[1] < whole.shape[1] - 1
    np.testing.assert_allclose(theirs, whole[:, : theirs.shape[1]], rtol=1e-5, atol=1e-5)


def test_no_weight_is_stored_twice_and_no_path_is_written(minilm_folder):
    sizes = {
        path.relative_to(minilm_folder).as_posix(): path.stat().st_size
        for path in minilm_folder.rglob("*.safetensors")
    }
    assert sizes["encoder/model.safetensors"] > 90_000_000
    assert sum(sizes.values()) < 1.02 * sizes["encoder/model.safetensors"]
    for path in minilm_folder.rglob("*.json"):
        assert path.name == "tokenizer.json" or '": "/' not in path.read_text(), path


def test_an_encoder_from_a_folder_is_called_by_its_last_part(tiny_bert, tmp_path):
    save(model_of(str(tiny_bert), 32), tmp_path / "model")
    settings = json.loads((tmp_path / "model" / "config.json").read_text())
    assert settings["config"]["encoder"] == tiny_bert.name
    assert str(tiny_bert) not in (tmp_path / "model" / "encoder" / "config.json").read_text()
    model, _ = load(tmp_path / "model")
    assert np.isfinite(text_vectors(model)).all()


def test_the_scale_folds_into_the_first_layer():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layer, x = nn.Linear(6, 4), torch.randn(9, 6)
        centre, scale = torch.randn(6), torch.rand(6) + 0.01
    weight, bias = folded(layer, centre, scale)
    expected = layer((x - centre) / scale).detach().double()
    assert torch.allclose(x.double() @ weight.T + bias, expected, atol=1e-4)
