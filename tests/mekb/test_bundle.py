"""A bundle answers as the model it was made of, without the store, and holds no more than training rows."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from mekb import api
from mekb.config import SplitConfig
from mekb.dataset import load_world, split_world
from mekb.errors import BundleError, OutputError, UnknownError
from mekb.linking import alias_index
from mekb.scoring import ScoringConfig
from mekb.store import Store
from training import checkpoint
from training.baselines.source_knn import SourceKNN, SourceKNNConfig
from training.evaluate import user_batch

DOMAINS = ("books", "music", "films")


@pytest.fixture(scope="module")
def bundle(project):
    return api.open_bundle(project.bundle)


@pytest.fixture(scope="module")
def split(project):
    with Store.open(project.store) as store:
        world = load_world(store, DOMAINS)
    return split_world(world, "films", SplitConfig(), ScoringConfig())


def test_a_bundle_scores_as_the_model_in_memory_does(project, bundle, split):
    model, _ = checkpoint.load(project.model)
    rows = split.test.user_rows[:20]
    scores = model.score(user_batch(split.data, rows))
    for row, own in zip(rows.tolist(), scores, strict=True):
        lines = [
            f"{domain}:{bundle.items[domain].names[item]}"
            for domain in DOMAINS
            for item in split.data.interactions[domain][[row]].indices.tolist()
        ]
        found = api.recommend(bundle, history=lines, k=len(own), explain=False)
        served = {one.item: one.score for one in found.recommendations}
        names = bundle.items["films"].names
        assert [served[name] for name in names] == pytest.approx(own.tolist(), abs=1e-4)


def test_what_a_bundle_knows_of_profiles_is_what_training_knew(bundle, split):
    ours, theirs = split.profiles.entities, bundle.profiles.entities
    assert theirs.n_all == ours.n_all
    for name in ("entity_ids", "multipliers", "n_users"):
        assert np.array_equal(getattr(theirs, name), getattr(ours, name)), name
    assert list(theirs.titles) == list(ours.titles)
    for domain in DOMAINS:
        found = bundle.profiles.item_entities[domain]
        assert (found != split.profiles.item_entities[domain]).nnz == 0
    histories = {domain: matrix[:30] for domain, matrix in split.data.interactions.items()}
    assert bundle.profiles.texts(histories) == split.profiles.texts(histories)


def test_items_are_counted_on_training_rows(bundle, split):
    for domain in DOMAINS:
        counted = (split.data.interactions[domain].toarray() > 0).sum(axis=0)
        assert bundle.items[domain].n_users.tolist() == counted.tolist()
        assert list(bundle.items[domain].titles) == list(split.data.catalogues[domain].titles)


def test_the_index_is_exact(bundle):
    vectors = bundle.model.item_vectors()
    rng = np.random.default_rng(0)
    asked = rng.standard_normal((5, vectors.shape[1])).astype(np.float32)
    scores, rows = bundle.index.search(asked, len(vectors))
    expected = asked @ vectors.T
    assert np.allclose(np.take_along_axis(expected, rows, axis=1), scores, atol=1e-4)
    assert (np.sort(rows, axis=1) == np.arange(len(vectors))).all()


def test_names_mean_in_a_bundle_what_they_mean_in_the_store(project, bundle):
    with Store.open(project.store) as store:
        index = alias_index(store)
    for surface in ("Dune", "dune", "The Shining", "jazz", "no such name"):
        assert bundle.aliases.candidates(surface) == index.candidates(surface)


def test_a_bundle_needs_neither_the_store_nor_the_model_nor_its_old_place(project, tmp_path):
    """Another process, another folder, nothing beside it, and no DuckDB opened."""
    moved = tmp_path / "elsewhere" / "b"
    shutil.copytree(project.bundle, moved)
    code = (
        "import sys, mekb\n"
        "answer = mekb.recommend(sys.argv[1], interests=['Jazz', 'Hayao Miyazaki'])\n"
        "print([(one.item, round(one.score, 3)) for one in answer.recommendations])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(moved)],
        capture_output=True, text=True, check=True, cwd=tmp_path,
    )  # fmt: skip
    found = api.recommend(project.bundle, interests=["Jazz", "Hayao Miyazaki"])
    expected = [(one.item, round(one.score, 3)) for one in found.recommendations]
    assert done.stdout.strip() == str(expected)


def test_asking_writes_nothing(own_project):
    files = {path: path.stat().st_mtime_ns for path in own_project.bundle.rglob("*")}
    api.recommend(own_project.bundle, interests=["Jazz"])
    assert {path: path.stat().st_mtime_ns for path in own_project.bundle.rglob("*")} == files


def test_the_manifest_remembers_where_a_bundle_came_from(project, bundle):
    manifest = json.loads((project.bundle / "manifest.json").read_text(encoding="utf-8"))
    with Store.open(project.store) as store:
        assert bundle.origin["trained"]["inputs"]["items"] == store.fingerprint("items")
    assert (bundle.target, bundle.sources) == ("films", ("books", "music"))
    assert manifest["origin"]["trained"]["split"] == SplitConfig().model_dump(mode="json")
    assert manifest["origin"]["written_at"].endswith("Z")


def test_no_user_is_in_a_bundle(project):
    """Neither ids nor histories: only counts leave the store."""
    with Store.open(project.store) as store:
        users = store.read("users")["external_id"].to_pylist()
    tables = sorted(project.bundle.glob("*.parquet"))
    assert [path.name for path in tables] == [
        "entities.parquet",
        "item_entities.parquet",
        "items.parquet",
    ]
    for path in tables:
        assert not {name for name in pq.read_schema(path).names if name.startswith("user")}
    for path in project.bundle.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(user.encode() in content for user in users[:50]), path


def test_two_bundles_of_one_model_differ_in_their_date_alone(project, tmp_path):
    api.make_bundle(project.store, project.model, tmp_path / "again")
    for path in project.bundle.rglob("*"):
        if path.is_file() and path.name != "manifest.json":
            other = tmp_path / "again" / path.relative_to(project.bundle)
            assert other.read_bytes() == path.read_bytes(), path
    manifests = [
        json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for folder in (project.bundle, tmp_path / "again")
    ]
    for manifest in manifests:
        del manifest["digest"], manifest["origin"]["written_at"]
    assert manifests[0] == manifests[1]


def test_a_bundle_of_another_format_says_so(own_project):
    path = own_project.bundle / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**manifest, "format_version": 7}), encoding="utf-8")
    with pytest.raises(BundleError, match=r"format 7, this mekb reads 4; make the bundle again"):
        api.open_bundle(own_project.bundle)


def test_a_model_without_vectors_cannot_be_served(project, split, tmp_path):
    _, metadata = checkpoint.load(project.model)
    model = SourceKNN(SourceKNNConfig())
    from training.contract import FitContext

    model.fit(split.data, FitContext())
    checkpoint.save(model, tmp_path / "knn", metadata)
    with pytest.raises(UnknownError, match="'source_knn' has no vectors to serve"):
        api.make_bundle(project.store, tmp_path / "knn", tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["knn"]


def test_a_model_that_no_train_wrote_is_refused(project, tmp_path):
    model, _ = checkpoint.load(project.model)
    checkpoint.save(model, tmp_path / "bare")
    with pytest.raises(UnknownError, match=r"not written by 'mekb train' \(no 'inputs'"):
        api.make_bundle(project.store, tmp_path / "bare", tmp_path / "bundle")


def test_a_failure_half_way_leaves_the_old_bundle(own_project, monkeypatch):
    from alias_tables.lookup import AliasIndex

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AliasIndex, "save", full_disk)
    before = sorted(own_project.folder.rglob("*"))
    with pytest.raises(OutputError, match="No space left"):
        api.make_bundle(own_project.store, own_project.model, own_project.bundle, force=True)
    assert sorted(own_project.folder.rglob("*")) == before
    api.open_bundle(own_project.bundle)
