"""Faults 36 to 43: texts, tables and users that linking and scoring must bear, and order that must not matter."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from scipy.sparse import csr_array

from mekb import api
from mekb.errors import StoreError
from mekb.profile import MAX_ENTITIES, EntityTable, ProfileScorer
from mekb.scoring import ScoringConfig, interest_weights, inverse_user_frequency
from mekb.store import Store


@pytest.fixture(scope="module")
def bundle(project):
    return api.open_bundle(project.bundle)


def test_fault_36_a_pipeline_that_is_not_installed_is_named_with_its_command(mekb, project):
    words = ("--set", "link.detector=ner", "--set", "link.pipeline=en_core_web_trf")
    ran = mekb("link", project.store, "--quiet", *words)
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert "python -m spacy download en_core_web_trf" in ran.err


COUNTS = ["NaN", "0", "-3", "0.5", "1e400", "x"]


def test_fault_37_counts_that_are_none_are_rejected_with_their_rows(mekb, tmp_path):
    """A user's table holds counts, from which P(e|m) follows; a row whose count is none is counted and listed."""
    rows = [f"name {n}\tDune\t{count}\n" for n, count in enumerate(COUNTS)]
    (tmp_path / "names.tsv").write_text("surface\ttitle\tcount\ngood\tDune\t3\n" + "".join(rows))
    rejects = tmp_path / "rejects.tsv"
    store = tmp_path / "new.duckdb"
    ran = mekb("aliases", "build", store, "--extra", tmp_path / "names.tsv", "--rejects", rejects)
    assert ran.code == 0, ran.err
    assert f"{len(COUNTS)} invalid_count" in ran.out
    assert all(f"'name {n}'" in rejects.read_text() for n in range(len(COUNTS)))
    with Store.open(store) as opened:
        assert opened.read("aliases")["surface"].to_pylist() == ["good"]


@pytest.mark.parametrize("prior", [math.nan, 0.0, 1.5, -0.1])
def test_fault_37_a_probability_that_is_none_never_enters_the_store(own_project, prior):
    with Store.open(own_project.store) as store:
        before = store.fingerprint("aliases")
        table = store.read("aliases")
        place = table.column_names.index("prior")
        priors = table["prior"].to_pylist()
        priors[7] = prior
        bad = table.set_column(place, table.schema.field(place), pa.array(priors, pa.float32()))
        with pytest.raises(StoreError, match="table 'aliases' fails its check") as caught:
            store.replace({"aliases": bad})
        assert table["surface"][7].as_py() in str(caught.value)
        assert store.fingerprint("aliases") == before


TEXTS = {
    "null byte": "The\x00 Shining\x00 by Stephen King\x00",
    "lone surrogate": "\ud800The Shining\udfff by Stephen King",
    "right to left": "\u202b\u05e9\u05dc\u05d5\u05dd The Shining \u0634\u0643\u0631\u0627 Stephen King\u202c",
    "megabyte": "Stephen King wrote The Shining. " * 32_000,
    "combining": "Stephen King " + "e\u0301" * 1_000 + " The Shining",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_fault_38_offsets_are_right_in_any_text(bundle, text):
    (mentions,) = bundle.linker.link_texts([text])
    assert {"Stephen King"} <= {mention.surface for mention in mentions}
    assert all(text[one.start : one.stop] == one.surface for one in mentions)
    assert len(text) < 1_000_000 or max(one.stop for one in mentions) <= 20_000


def test_fault_39_a_user_of_nothing_has_an_empty_profile_and_popular_items(mekb, own_project):
    with Store.open(own_project.store) as store:
        store.connection.execute("delete from interactions where user_id = 0")
    assert mekb("profiles", "build", own_project.store, "--quiet").code == 0
    shown = mekb("profiles", "show", own_project.store, "u00001")
    assert (shown.code, "recommendations fall back to popularity" in shown.out) == (0, True)
    words = ("recommend", own_project.bundle, "--user", "u00001", "--store", own_project.store)
    answer = json.loads(mekb(*words, "--format", "json").out)
    assert answer["fallback"] == "popularity"
    assert len(answer["recommendations"]) == 10


def test_fault_40_one_entity_a_million_times_is_finite_and_weighs_one_at_most():
    counts = csr_array(np.array([[1e6, 1.0], [1e6, 0.0]]))
    weights = interest_weights(counts, np.ones(2), np.array([2.0, 2.0]), 5.0).toarray()
    smoothed = 5.0 * (1 + math.log(1e6 / 5.0))
    assert weights[0] == pytest.approx([smoothed / (smoothed + 1), 1 / (smoothed + 1)])
    assert weights[1].tolist() == [1.0, 0.0]


def test_fault_41_idf_is_never_negative_or_infinite():
    for n_users in (0, 1, 2, 10**9):
        held_by = np.array([0, 1, n_users // 2, n_users])
        idf = inverse_user_frequency(n_users, held_by)
        assert np.isfinite(idf).all()
        assert (idf >= 0).all()
        assert idf[-1] == 0.0
        assert idf[1] == (math.log(n_users) if n_users else 0.0)


def test_fault_42_of_a_long_profile_the_heaviest_stay_and_the_rest_is_counted(mekb, tmp_path):
    n_entities = MAX_ENTITIES + 40
    names = [f"Entity{n:03d}" for n in range(n_entities)]
    table = EntityTable(
        entity_ids=np.arange(1, n_entities + 1, dtype=np.uint32),
        titles=names,
        kinds=["wikidata"] * n_entities,
        multipliers=np.ones(n_entities),
        n_users=np.ones(n_entities, dtype=np.int64),
        n_all=10,
    )
    scorer = ProfileScorer(table, {}, ScoringConfig())
    weights = scorer.weights_of_counts(csr_array(np.arange(1.0, n_entities + 1)[None]))
    (text,) = scorer.texts_of(weights)
    assert text.split(" [SEP] ") == names[::-1][:MAX_ENTITIES]
    items = [{"item_id": f"b{n}", "domain": "books", "title": name} for n, name in enumerate(names)]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    rows = [f"u1,b{n},5\n" for n in range(n_entities)]
    (tmp_path / "events.csv").write_text("user_id,item_id,rating\nu2,b0,5\n" + "".join(rows))
    (tmp_path / "names.tsv").write_text("surface\ttitle\n" + "".join(f"{n}\t{n}\n" for n in names))
    store = tmp_path / "new.duckdb"
    api.import_data(store, items=[tmp_path / "items.jsonl"], interactions=[tmp_path / "events.csv"])
    api.build_aliases(store, extra=[tmp_path / "names.tsv"])
    api.link(store)
    assert mekb("profiles", "build", store, "--quiet").code == 0
    kept = api.read_table(store, "profiles").to_pylist()[0]
    assert kept["text"].count(" [SEP] ") == MAX_ENTITIES - 1
    assert kept["n_entities"] - kept["n_cut"] == MAX_ENTITIES
    assert kept["n_cut"] >= 39


CHAIN = """
import random, sys
from pathlib import Path
from mekb import api
from mekb.config import load_settings
from mekb.store import Store

folder, store, threads, seed = *map(Path, sys.argv[1:3]), *map(int, sys.argv[3:])
settings = load_settings(assignments=[f"store.threads={threads}"])

def shuffled(path):
    head, *rows = path.read_text().splitlines()
    whole = [head, *rows] if path.suffix == ".jsonl" else rows
    random.Random(seed).shuffle(whole)
    made = store.with_name(f"{seed}-{path.name}")
    made.write_text("\\n".join(whole if path.suffix == ".jsonl" else [head, *whole]) + "\\n")
    return made

api.import_data(
    store,
    items=[shuffled(folder / "items.jsonl")],
    interactions=[shuffled(folder / "interactions.csv")],
    settings=settings,
)
api.build_aliases(store, extra=[folder / "aliases.tsv.gz"], settings=settings)
api.link(store, settings=settings)
api.build_profiles(store, settings=settings)
with Store.open(store) as opened:
    for name in ("item_entities", "mentions", "user_entity", "profiles"):
        sys.stdout.write(f"{name} {opened.fingerprint(name)}\\n")
"""


@pytest.mark.slow
def test_fault_43_order_threads_and_hash_seed_change_no_profile(project, tmp_path):
    """Rows of one user and item have times of their own, so that which is the last does not depend on the order."""
    told = set()
    for threads, seed in ((1, 1), (2, 2)):
        store = tmp_path / f"{seed}.duckdb"
        words = [str(project.folder), str(store), str(threads), str(seed)]
        done = subprocess.run(
            [sys.executable, "-c", CHAIN, *words],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told.add(done.stdout)
    assert len(told) == 1
    assert told.pop().count("\n") == 4
