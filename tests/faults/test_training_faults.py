"""Faults 51 to 65: trainings cut off, files of models and bundles that are damaged or forged, impossible devices."""

import json
import math
import re
import struct
import time
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import load_file

from mekb import api
from mekb.config import load_settings
from mekb.fingerprint import file_fingerprint
from mekb.store import Store
from mekb.unfinished import unfinished_folder
from training import checkpoint
from training.errors import CheckpointError
from training.snapshot import FILE, FORMER


def weights_of(folder):
    found = {}
    for file in sorted(folder.rglob("*.safetensors")):
        found |= {
            f"{file.relative_to(folder)}/{name}": one for name, one in load_file(file).items()
        }
    return found


def same(one, other):
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name]) for name in one
    )


@pytest.fixture
def train(mekb, own_project):
    """Return a function that trains into a new folder of the project with a small model."""

    def run(*words, folder="again"):
        return mekb(
            *("train", own_project.store, own_project.folder / folder, "--target", "films"),
            *("--sources", "books,music", "--quiet", *own_project.quick, *words),
        )

    return run


@pytest.mark.slow
def test_fault_51_fault_52_cut_off_and_half_written_a_training_ends_at_the_same_weights(
    own_project, train
):
    """Killed in epoch 2, its newest snapshot then cut in half: the one before is taken up, and that is said.

    On a GPU the sums of a step come in another order; only the CPU is bit-equal, and only it is tested here.
    """
    more = ("train.model.epochs=2", "train.model.batch_size=32", "train.snapshot_seconds=1e-9")
    more = tuple(word for one in more for word in ("--set", one))
    assert train(*more, folder="whole").code == 0
    folder = own_project.folder / "again"
    assignments = [word for word in (*own_project.quick, *more) if word != "--set"]
    settings = load_settings(assignments=assignments)
    kept = unfinished_folder(folder)

    def kill(_stage, done, total):
        if done > total // 2 and (kept / FORMER).exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        api.train(
            *(own_project.store, folder),
            target="films",
            sources=["books", "music"],
            settings=settings,
            on_progress=kill,
        )
    assert not folder.exists()
    snapshot = kept / FILE
    snapshot.write_bytes(snapshot.read_bytes()[: snapshot.stat().st_size // 2])
    refused = train(*more)
    assert refused.code == 1
    assert "holds an interrupted training; add --resume to go on with it" in refused.err
    ran = train(*more, "--resume")
    assert ran.code == 0, ran.err
    said = " ".join(ran.err.split())
    assert "ignored a damaged snapshot" in said
    assert "went on after" in said
    assert same(weights_of(folder), weights_of(own_project.folder / "whole"))
    assert not kept.exists()


def test_fault_53_a_loss_that_is_no_number_stops_with_step_and_users(own_project, train):
    with Store.open(own_project.store) as store:
        before = store.count("runs")
    ran = train("--set", "train.model.learning_rate=1e30", "--set", "train.model.epochs=3")
    assert ran.code == 1
    assert re.fullmatch(
        r"mekb: loss is (nan|inf) in epoch \d+, step \d+ of \d+ \(users \d+[^\n]*lower learning_rate[^\n]*\n",
        ran.err,
    ), ran.err
    assert not (own_project.folder / "again").exists()
    with Store.open(own_project.store) as store:
        assert store.count("runs") == before


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_fault_53_a_model_with_such_weights_is_not_saved(project, tmp_path, monkeypatch, value):
    model, _ = checkpoint.load(project.model)
    state = model.state()
    name = next(iter(state))
    state[name] = np.full_like(state[name], value)
    monkeypatch.setattr(type(model), "state", lambda _: state)
    with pytest.raises(CheckpointError, match="NaN or infinity: not saved"):
        checkpoint.save(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_fault_54_pickled_weights_are_never_read(mekb, own_project, train):
    encoder = own_project.folder / "pickled"
    encoder.mkdir()
    for file in own_project.encoder.iterdir():
        if file.suffix != ".safetensors":
            (encoder / file.name).write_bytes(file.read_bytes())
    (encoder / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    ran = train("--set", f"train.model.encoder={encoder}")
    assert (ran.code, "no .safetensors weights; pickled ones are not read" in ran.err) == (1, True)
    (own_project.model / "pytorch_model.bin").write_bytes(b"\x80\x04N.")
    ran = mekb("bundle", own_project.store, own_project.model, own_project.folder / "new")
    assert (ran.code, "does not list: pytorch_model.bin" in ran.err) == (1, True)


def relisted(folder):
    """Make a manifest fit what was forged: whoever can write a file can write its hash."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest.pop("digest")
    manifest["files"] = {
        name: file_fingerprint(folder / name)
        for name in manifest["files"]
        if (folder / name).exists()
    }
    path.write_text(json.dumps({**manifest, "digest": checkpoint._digest(manifest)}))


HEADERS = {
    "huge header": struct.pack("<Q", 2**62) + b"{}",
    "long header": struct.pack("<Q", 100_000_001) + b"{}",
    "no header": b"",
    "pickle": b"\x80\x04N.",
    "overlap": json.dumps(
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        }
    ).encode(),
    "larger than it is": json.dumps(
        {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    ).encode(),
    "deep": b'{"a":' * 50_000,
}


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_fault_55_malicious_safetensors_are_a_typed_error_in_little_memory(own_project, content):
    if content.startswith(b"{"):
        content = struct.pack("<Q", len(content)) + content + bytes(12)
    (own_project.model / "model.safetensors").write_bytes(content)
    relisted(own_project.model)
    tracemalloc.start()
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(own_project.model)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert peak < 100 << 20


CONFIGS = {
    "unknown": (lambda config: {**config, "depth": 3}, "depth: Extra inputs are not permitted"),
    "wrong type": (
        lambda config: {**config, "epochs": "many"},
        "epochs: Input should be a valid integer",
    ),
    "out of range": (
        lambda config: {**config, "batch_size": -1},
        "batch_size: Input should be greater",
    ),
    "no mapping": (lambda _: [1], "config"),
}


@pytest.mark.parametrize(("change", "said"), CONFIGS.values(), ids=CONFIGS)
def test_fault_56_a_config_that_is_none_says_which_key(own_project, change, said):
    path = own_project.model / "config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "config": change(content["config"])}))
    relisted(own_project.model)
    with pytest.raises(CheckpointError, match=re.escape(said)) as caught:
        checkpoint.load(own_project.model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lacks", ["model", "config"])
def test_fault_56_a_config_without_its_keys_lists_them(own_project, lacks):
    path = own_project.model / "config.json"
    content = json.loads(path.read_text())
    del content[lacks]
    path.write_text(json.dumps(content))
    relisted(own_project.model)
    with pytest.raises(CheckpointError, match=r"must have exactly the keys \['config', 'model'\]"):
        checkpoint.load(own_project.model)


def test_fault_57_a_model_of_other_items_is_refused_by_the_table_that_differs(mekb, own_project):
    """The vocabulary is the table `items`: its fingerprint is in the model, with the number of rows in it."""
    with Store.open(own_project.store) as store:
        items = store.read("items")
        store.replace({"items": items.set_column(3, "title", [["T"] * items.num_rows])})
    for words in (("evaluate", own_project.store, own_project.model), ("bundle", own_project.store, own_project.model, own_project.folder / "new")):  # fmt: skip
        ran = mekb(*words)
        assert ran.code == 1
        assert "was trained on other data than" in ran.err
        assert "(changed: items)" in ran.err


def test_fault_58_a_device_that_is_not_there_is_named(train, own_project):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    ran = train("--set", "train.device=cuda")
    assert ran.code in {1, 2}
    assert ran.err.count("\n") == 1
    assert "cuda" in ran.err
    assert not (own_project.folder / "again").exists()


@pytest.mark.parametrize("place", ["step", "validation"])
def test_fault_58_memory_that_runs_out_proposes_a_batch_size(train, monkeypatch, place):
    import torch

    from training.embedme import dual_encoder, model

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    if place == "step":
        monkeypatch.setattr(dual_encoder.DualEncoder, "forward", full)
        said = r"GPU memory ran out in epoch 1, step 1 of \d+: set batch_size to 32"
    else:
        monkeypatch.setattr(model.EmbedMe, "_encode", full)
        said = r"memory ran out: set train\.model\.batch_size or store\.memory_limit lower"
    ran = train("--set", "train.model.batch_size=64")
    assert ran.code == 1
    assert re.fullmatch(rf"mekb: {said}\n", ran.err), ran.err


def test_fault_59_an_encoder_that_is_not_here_is_named_at_once(train):
    begun = time.monotonic()
    ran = train("--set", "train.model.encoder=google-bert/bert-base-uncased")
    seconds = time.monotonic() - begun
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "fetch it once with: hf download google-bert/bert-base-uncased" in ran.err
    assert seconds < 30


@pytest.mark.slow
def test_fault_60_one_seed_gives_one_model_and_the_stamp_says_what_it_is_of(own_project, train):
    """The state of the code is a hash of its sources, which holds where there is no git too."""
    assert train().code == 0
    assert same(weights_of(own_project.folder / "again"), weights_of(own_project.model))
    one, other = (
        json.loads((own_project.folder / name / "manifest.json").read_text())["metadata"]
        for name in ("model", "again")
    )
    for key in ("split", "scoring", "inputs", "target", "sources"):
        assert one[key] == other[key], key
    assert one["report"]["losses"] == other["report"]["losses"]
    with Store.open(own_project.store) as store:
        assert one["inputs"]["interactions"] == store.fingerprint("interactions")
        runs = [run for run in store.read("runs").to_pylist() if run["stage"] == "train"]
    assert {(run["seed"], len(run["code"])) for run in runs} == {(0, 16)}
    assert {"python", "torch", "transformers"} <= one["versions"].keys()


def test_fault_61_one_label_for_everybody_and_items_nobody_had(mekb, own_project):
    """Full softmax over all items: a batch of one class has a finite loss, and a cold item is ranked by its text."""
    import torch

    from training.losses import full_softmax

    torch.manual_seed(0)
    users, items = torch.randn(4, 8), torch.randn(6, 8)
    rows, same_item = torch.arange(4), torch.full((4,), 2)
    loss = full_softmax(
        *(users, items, torch.zeros(6)), positive_users=rows, positive_items=same_item
    )
    expected = torch.logsumexp(users @ items.T, 1) - users @ items[2]
    assert torch.allclose(loss, expected, atol=1e-5)
    bundle = api.open_bundle(own_project.bundle)
    items = bundle.items["films"]
    assert np.isfinite(bundle.item_vectors).all()
    with Store.open(own_project.store) as store:
        store.connection.execute(
            "delete from interactions where item_id = $item", {"item": int(items.item_ids[0])}
        )
    folder = own_project.folder / "cold"
    words = ("train", own_project.store, folder, "--target", "films", "--sources", "books,music")
    assert mekb(*words, "--quiet", *own_project.quick).code == 0
    assert mekb("bundle", own_project.store, folder, own_project.folder / "served").code == 0
    served = api.open_bundle(own_project.folder / "served")
    assert served.items["films"].n_users[0] == 0
    assert np.isfinite(served.item_vectors[0]).all()


@pytest.mark.parametrize("k", ["0", "-1"])
def test_fault_62_less_than_one_item_is_wrong_usage(mekb, project, k):
    ran = mekb("recommend", project.bundle, "--interests", "jazz", "-k", k)
    assert ran.code == 2
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("k", [1, 10**4, 10**9])
def test_fault_62_more_than_there_are_is_all_there_are(mekb, project, k):
    bundle = api.open_bundle(project.bundle)
    ran = mekb("recommend", project.bundle, "--interests", "jazz", "-k", str(k), "--format", "json", "--no-explain")  # fmt: skip
    assert ran.code == 0, ran.err
    found = [one["item"] for one in json.loads(ran.out)["recommendations"]]
    assert len(found) == len(set(found)) == min(k, len(bundle.items["films"].names))
    assert set(found) <= set(bundle.items["films"].names)


def test_fault_63_an_unknown_user_is_named_with_a_hint(mekb, project):
    ran = mekb("recommend", project.bundle, "--user", "nobody", "--store", project.store)
    assert ran.code == 1
    assert re.fullmatch(r"mekb: [^\n]*no user 'nobody'[^\n]*ids look like 'u[^\n]*\n", ran.err)


def test_fault_64_an_index_of_another_model_is_refused(mekb, own_project):
    import faiss

    place = own_project.bundle / "index.faiss"
    ours = faiss.read_index(str(place))
    other = faiss.IndexFlatIP(ours.d)
    other.add(np.random.default_rng(0).normal(size=(ours.ntotal, ours.d)).astype(np.float32))
    faiss.write_index(other, str(place))
    ran = mekb("recommend", own_project.bundle, "--interests", "jazz")
    assert ran.code == 1
    assert "index.faiss is not the file that was written (its hash differs)" in ran.err


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_fault_65_a_truncated_index_is_found_before_it_is_read(mekb, own_project, share):
    index = own_project.bundle / "index.faiss"
    index.write_bytes(index.read_bytes()[: int(share * index.stat().st_size)])
    ran = mekb("recommend", own_project.bundle, "--interests", "jazz")
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "index.faiss is not the file that was written" in ran.err
