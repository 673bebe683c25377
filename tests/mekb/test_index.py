"""Indexes of a bundle: exact by default, approximate ones with the recall they truly have."""

import hashlib
import json

import faiss
import numpy as np
import pytest

from mekb import api
from mekb.bundle import Bundle
from mekb.config import BundleConfig, load_settings
from mekb.errors import BundleError, ConfigError
from mekb.fingerprint import file_fingerprint
from mekb.index import build_index


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(0).standard_normal((500, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def queries():
    return np.random.default_rng(1).standard_normal((40, 16)).astype(np.float32)


def best_ten(vectors, queries):
    return np.argsort(-(queries @ vectors.T), axis=1)[:, :10]


def test_the_exact_index_is_the_matrix_product(vectors, queries):
    index, facts = build_index(vectors, BundleConfig(), queries[:0])
    assert facts == {"kind": "exact"}
    assert index.search(queries, 10)[1].tolist() == best_ten(vectors, queries).tolist()


@pytest.mark.parametrize(
    ("kind", "search"), [("IVF16,Flat", "nprobe=2"), ("IVF16,Flat", "nprobe=16"), ("HNSW8", "")]
)
def test_recall_is_the_share_of_the_exact_ten_best(vectors, queries, kind, search):
    config = BundleConfig(index=kind, search=search, approximate_from=100)
    index, facts = build_index(vectors, config, queries)
    found = index.search(queries, 10)[1]
    hits = [len(set(a) & set(b)) for a, b in zip(best_ten(vectors, queries), found, strict=True)]
    assert facts["recall@10"] == pytest.approx(sum(hits) / 400)
    assert (facts["kind"], facts["search"], facts["n_queries"]) == (kind, search, 40)
    assert (facts["recall@10"] == 1.0) == (search == "nprobe=16")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"index": "IVF16,Flat"}, r"500 items are searched exactly .* are for 100,000 and more"),
        ({"index": "Octree", "approximate_from": 1}, "faiss knows no such index"),
        ({"index": "HNSW8", "search": "nprobes=3", "approximate_from": 1}, "no parameter of HNSW8"),
    ],
)
def test_what_cannot_be_made_is_said_in_a_line(vectors, queries, config, message):
    with pytest.raises(ConfigError, match=message) as caught:
        build_index(vectors, BundleConfig(**config), queries)
    assert "\n" not in str(caught.value)


def test_a_bundle_keeps_its_approximate_index_and_says_its_recall(own_project):
    settings = load_settings(
        assignments=[
            "bundle.index=IVF4,Flat",
            "bundle.search=nprobe=4",
            "bundle.approximate_from=1",
        ]
    )
    exact = api.open_bundle(own_project.bundle)
    folder = own_project.folder / "approximate"
    api.make_bundle(own_project.store, own_project.model, folder, settings=settings)
    bundle = api.open_bundle(folder)
    assert bundle.index_facts["kind"] == "IVF4,Flat"
    assert bundle.index_facts["recall@10"] == 1.0
    assert faiss.downcast_index(bundle.index).nprobe == 4
    asked = api.recommend(bundle, interests=["Jazz"], explain=False)
    expected = api.recommend(exact, interests=["Jazz"], explain=False)
    assert [one.item for one in asked.recommendations] == [
        one.item for one in expected.recommendations
    ]


def resign(folder):
    """Make the manifest agree with the files again, as a forger would."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"] = {name: file_fingerprint(folder / name) for name in manifest["files"]}
    content = {key: value for key, value in manifest.items() if key != "digest"}
    text = json.dumps(content, sort_keys=True)
    manifest["digest"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (
            lambda n, d: filled(faiss.IndexFlatIP(d), n - 1),
            r"index\.faiss holds \d+ items, items\.parquet",
        ),
        (
            lambda n, d: filled(faiss.IndexFlatIP(d + 1), n),
            r"index\.faiss holds vectors of \d+ numbers",
        ),
        (
            lambda n, d: filled(faiss.IndexFlatL2(d), n),
            r"index\.faiss does not search by inner product",
        ),
    ],
)
def test_a_foreign_index_is_refused_by_name_though_its_hash_is_right(own_project, forge, message):
    bundle = api.open_bundle(own_project.bundle)
    index = forge(bundle.index.ntotal, bundle.index.d)
    faiss.write_index(index, str(own_project.bundle / "index.faiss"))
    resign(own_project.bundle)
    with pytest.raises(BundleError, match=message):
        Bundle(own_project.bundle)


def test_a_model_of_other_items_is_refused(own_project):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = own_project.bundle / "items.parquet"
    items = pq.read_table(path)
    moved = pa.array(items["item_id"].to_numpy() + 1, pa.uint32())
    pq.write_table(
        items.set_column(items.schema.get_field_index("item_id"), "item_id", moved), path
    )
    resign(own_project.bundle)
    with pytest.raises(BundleError, match=r"model/ was trained on other items than items\.parquet"):
        Bundle(own_project.bundle)


def filled(index, n_items):
    index.add(np.zeros((n_items, index.d), dtype=np.float32))
    return index


def test_a_manifest_that_lacks_something_says_what(own_project):
    path = own_project.bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["index"]
    path.write_text(json.dumps(manifest))
    resign(own_project.bundle)
    with pytest.raises(BundleError, match=r"manifest\.json lacks, or has too much: index;"):
        Bundle(own_project.bundle)
