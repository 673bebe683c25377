"""Model folders: the same scores after loading, and one line for everything that is wrong with them."""

import hashlib
import json
import struct

import numpy as np
import pytest

from training.checkpoint import load, save
from training.contract import FitContext
from training.errors import CheckpointError
from training.evaluate import user_batch
from training.registry import create, names


@pytest.fixture
def folder(world, tmp_path):
    model = create("popularity")
    model.fit(world.data, FitContext())
    save(model, tmp_path / "model", {"seed": 4})
    return tmp_path / "model"


def relist(folder):
    """Make the manifest agree with the files again, as a forger would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    signed = {key: value for key, value in manifest.items() if key != "digest"}
    text = json.dumps(signed, sort_keys=True, separators=(",", ":"))
    manifest["digest"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("name", names())
def test_saved_and_loaded_scores_are_equal(name, world, settings, tmp_path):
    model = create(name, {**settings(name), **({"epochs": 1} if name == "embedme" else {})})
    model.fit(world.data, FitContext())
    save(model, tmp_path / "deep" / "model", {"note": "é"})
    again, metadata = load(tmp_path / "deep" / "model")
    users = user_batch(world.data, world.test.user_rows)
    np.testing.assert_array_equal(again.score(users), model.score(users))
    assert again.saved_config() == model.saved_config()
    assert np.array_equal(again.item_ids, world.data.target_items.item_ids)
    assert metadata == {"note": "é"}
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["model"]


def test_an_existing_folder_is_left_alone(folder, world):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    model = create("popularity")
    model.fit(world.data, FitContext())
    with pytest.raises(CheckpointError, match="exists and is not empty"):
        save(model, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_nan_is_not_saved_and_nothing_is_left_behind(world, tmp_path):
    model = create("popularity")
    model.fit(world.data, FitContext())
    model.restore({**model.state(), "log_counts": np.full(18, np.nan, dtype=np.float32)}, {})
    with pytest.raises(CheckpointError, match="'log_counts' of popularity holds NaN"):
        save(model, tmp_path / "model")
    model.fit(world.data, FitContext())
    with pytest.raises(TypeError):
        save(model, tmp_path / "model", {"not JSON": object()})
    assert list(tmp_path.iterdir()) == []


def test_an_altered_byte_is_found(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="was altered"):
        load(folder)


def test_missing_and_foreign_files_are_named(folder):
    (folder / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"does not list: pytorch_model\.bin"):
        load(folder)
    (folder / "pytorch_model.bin").unlink()
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"incomplete: model\.safetensors"):
        load(folder)
    with pytest.raises(CheckpointError, match=r"manifest\.json is missing"):
        load(folder / "nowhere")


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("manifest.json", {"format": 99}, "format 99, this version reads 2"),
        ("manifest.json", {"extra": 1}, "exactly the keys"),
        ("manifest.json", {"files": {}}, "does not list"),
        ("config.json", {"module": "os.system"}, "exactly the keys"),
        ("config.json", {"model": "os"}, "no model 'os'"),
        ("config.json", {"config": {"deep": 3}}, "deep: Extra inputs are not permitted"),
    ],
)
def test_a_forged_folder_is_refused(folder, file, change, message):
    value = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**value, **change}))
    relist(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_what_no_program_reads_is_free_to_change(folder):
    """A card is edited, a hub and version control leave hidden files; a folder stays the model it was."""
    (folder / "README.md").write_text("# Mine")
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs")
    (folder / ".cache" / "huggingface").mkdir(parents=True)
    (folder / ".cache" / "huggingface" / "x.lock").touch()
    assert load(folder)[1] == {"seed": 4}


def test_files_laid_beside_a_model_are_held_to_their_hash(world, tmp_path):
    model = create("popularity")
    model.fit(world.data, FitContext())
    save(model, tmp_path / "model", beside={"metrics.jsonl": b"{}\n"})
    load(tmp_path / "model")
    (tmp_path / "model" / "metrics.jsonl").write_bytes(b"[]\n")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl was altered"):
        load(tmp_path / "model")


def test_every_file_of_a_model_may_be_read_by_others(folder):
    assert {path.stat().st_mode & 0o044 for path in folder.iterdir()} == {0o044}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04pickle",
        struct.pack("<Q", 2**62) + b"{}",
        struct.pack("<Q", 16) + b'{"a": [1, 2, 3]}',
    ],
)
def test_malicious_weights_are_a_typed_error(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    relist(folder)
    with pytest.raises(CheckpointError, match="no safetensors file"):
        load(folder)


def test_metadata_altered_by_hand_is_noticed(tmp_path, world):
    """The split's seed stands there: with another one, a model would be tested on its own training users."""
    folder = tmp_path / "model"
    model = create("popularity", {})
    model.fit(world.data, FitContext())
    save(model, folder, {"seed": 1})
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"seed": 1', '"seed": 2'))
    with pytest.raises(CheckpointError, match="altered"):
        load(folder)
