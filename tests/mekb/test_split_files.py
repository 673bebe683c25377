"""Splits on disk: read back they are the same, foreign programs can read them, and altered ones are refused."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mekb import api
from mekb.comparison_plan import Plan
from mekb.config import Settings
from mekb.dataset import World, dataset_of, load_world
from mekb.errors import OutputError, StoreError, UnknownError
from mekb.fingerprint import file_fingerprint
from mekb.scoring import ScoringConfig
from mekb.split_files import SplitParts, read_split, write_split
from mekb.worlds import world_of
from training.baselines.popularity import Popularity, PopularityConfig
from training.contract import FitContext
from training.evaluate import Measure, evaluate
from training.protocols import Sampled
from training.split_config import SplitConfig
from training.splits import make_split

WARM = SplitConfig(kind="warm", test_share=0.3, valid_share=0.2, seed=4)


@pytest.fixture
def world(store) -> World:
    return load_world(store, ("books", "films"))


@pytest.fixture
def parts(world) -> SplitParts:
    split = make_split(world.interactions, "films", WARM)
    return SplitParts(world, split, "films", WARM, Sampled(n_negatives=3, seed=9))


@pytest.fixture
def folder(tmp_path, parts):
    write_split(tmp_path / "split", parts)
    return tmp_path / "split"


def same(one, other) -> bool:
    return (one != other).nnz == 0


def test_read_back_it_is_the_same_split(folder, parts, world):
    found = read_split(folder, world)
    assert found.target == "films"
    assert found.config == WARM
    assert found.split.facts == parts.split.facts
    for domain in ("books", "films"):
        assert same(found.split.train[domain], parts.split.train[domain])
    for ours, theirs in (
        (found.split.valid, parts.split.valid),
        (found.split.test, parts.split.test),
    ):
        assert np.array_equal(ours.user_rows, theirs.user_rows)
        assert same(ours.positives, theirs.positives)
    assert same(found.split.test.excluded, parts.split.test.excluded)


def test_the_listed_negatives_give_the_very_numbers_of_the_drawn_ones(folder, parts, world):
    found = read_split(folder, world)
    made = dataset_of(world, "films", parts.split, ScoringConfig())
    model = Popularity(PopularityConfig())
    model.fit(made.data, FitContext())
    drawn = evaluate(model, made.data, made.test, [parts.protocol])
    listed = evaluate(model, made.data, found.split.test, [found.negatives])
    assert drawn.rows.equals(listed.rows)
    assert drawn.ranks.equals(listed.ranks)
    assert 0 < drawn.values(Measure("sampled-3", "hr", 10)).mean() <= 1


def test_the_files_say_it_in_external_ids(folder, parts, world):
    test = pq.read_table(folder / "test.parquet").to_pylist()
    train = {
        (row["user"], row["item"])
        for row in pq.read_table(folder / "train.parquet").to_pylist()
        if row["domain"] == "films"
    }
    apart = {
        (row["user"], row["item"])
        for row in pq.read_table(folder / "apart.parquet").to_pylist()
        if row["part"] == "test"
    }
    dense = world.interactions["films"].toarray()
    liked = {
        (world.user_names[user], world.item_names["films"][item])
        for user, item in np.argwhere(dense)
    }
    tested = {(row["user"], row["item"]) for row in test}
    assert not tested & train
    assert not tested & apart
    assert tested | train | apart == liked
    for row in test:
        assert len(row["negatives"]) == 3 == len(set(row["negatives"]))
        assert not {(row["user"], item) for item in row["negatives"]} & liked
    assert sum(
        len(parts.split.test.positives[[i]].indices) for i in range(len(parts.split.test.user_rows))
    ) == len(test)


def test_rows_in_another_order_are_the_same_split(folder, world):
    before = read_split(folder, world)
    for name in ("test", "train", "valid"):
        table = pq.read_table(folder / f"{name}.parquet")
        order = np.random.default_rng(0).permutation(table.num_rows)
        pq.write_table(table.take(pa.array(order)), folder / f"{name}.parquet")
    sign(folder)
    after = read_split(folder, world)
    assert same(before.split.test.positives, after.split.test.positives)
    assert np.array_equal(
        np.sort(before.negatives.negatives, axis=1), np.sort(after.negatives.negatives, axis=1)
    )


def sign(folder) -> None:
    """Write the manifest anew, as a foreign program would."""
    import hashlib

    files = {
        path.name: file_fingerprint(path)
        for path in sorted(folder.iterdir())
        if path.name != "manifest.json"
    }
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    manifest = {"format": 1, "files": files, "digest": digest}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_an_altered_file_is_refused(folder, world):
    table = pq.read_table(folder / "test.parquet")
    pq.write_table(table.slice(1), folder / "test.parquet")
    with pytest.raises(StoreError, match=r"test\.parquet: is missing or was altered"):
        read_split(folder, world)


def test_unknown_names_are_counted(folder, world):
    table = pq.read_table(folder / "valid.parquet").to_pandas()
    table.loc[0, "user"] = "nobody"
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), folder / "valid.parquet")
    sign(folder)
    with pytest.raises(UnknownError, match=r"no 'nobody' among its users \(1 unknown\)"):
        read_split(folder, world)


def test_what_is_no_split_and_what_stands_in_the_way(tmp_path, folder, parts, world):
    with pytest.raises(UnknownError, match="is no split"):
        read_split(tmp_path, world)
    with pytest.raises(OutputError, match="exists"):
        write_split(folder, parts)
    assert write_split(folder, parts, force=True) == read_split(folder, world).digest


def test_a_narrow_world_keeps_its_catalogue_on_disk(tmp_path, store, world):
    n_likes = np.bincount(world.events["films"].item_rows, minlength=8)
    least = int(n_likes.min()) + 1  # every rating of this store is 5: with positive_from all count
    config = SplitConfig(min_item_positives=least, n_folds=2, positive_from=5.0)
    narrow = world_of(store, ["books"], "films", config)
    assert narrow.item_names["films"] == [
        name for name, n in zip(world.item_names["films"], n_likes, strict=True) if n >= least
    ]
    assert 0 < len(narrow.item_names["films"]) < 8
    rows = narrow.interactions["films"]
    assert (rows.sum(axis=0) >= least).all()
    split = make_split(narrow.interactions, "films", config)
    write_split(tmp_path / "narrow", SplitParts(narrow, split, "films", config))
    found = read_split(tmp_path / "narrow", world)
    assert found.negatives is None
    assert found.world.item_names["films"] == narrow.item_names["films"]
    assert same(found.split.test.positives, split.test.positives)
    assert [
        found.world.item_names["films"][row] for row in found.world.events["films"].item_rows
    ] == [narrow.item_names["films"][row] for row in narrow.events["films"].item_rows]


def test_a_program_of_twenty_lines_gets_our_figures_from_the_files(store, tmp_path, monkeypatch):
    """The one in docs/comparing.md, on popularity, also where the catalogue is smaller than the negatives asked for."""
    page = (Path(__file__).parents[2] / "docs" / "comparing.md").read_text(encoding="utf-8")
    (program,) = [
        one for one in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "negatives" in one
    ]
    monkeypatch.chdir(tmp_path)
    split = SplitConfig(n_folds=3, valid_share=0.3, seed=2, drop_twins=False)
    api.write_split(store, "split", target="films", settings=Settings(split=split))
    names: dict[str, Any] = {}
    exec(compile(program, "comparing.md", "exec"), names)  # noqa: S102  our own page
    plan = Plan(
        ("popularity",), "paper", n_trials=1, split_folder=Path("split"), work=tmp_path / "work"
    )
    (row,) = api.compare(store, target="films", plan=plan).rows
    for metric, value in names["result"].items():
        (ours,) = [row[name]["mean"] for name in row if name.startswith(f"{metric} sampled-")]
        assert value == pytest.approx(ours)
    assert 0 < names["result"]["HR@10"] <= 1
