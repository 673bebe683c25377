"""The verbs: what each makes, when it is skipped, and that a store by path or open is the same."""
# ruff: noqa: D102  (a test's name is its docstring)

import csv
import hashlib
import json
import os

import numpy as np
import pyarrow as pa
import pytest

from mekb import api
from mekb.config import Settings, load_settings
from mekb.errors import OutputError, SourceError, StoreError, UnknownError
from mekb.store import Store
from training import checkpoint

ITEMS = '{"item_id": "b1", "domain": "books", "title": "The Shining"}\n'
ROWS = "user_id,item_id,rating\nu1,b1,5\nu2,b1,4\n"


@pytest.fixture
def files(tmp_path):
    items, interactions = tmp_path / "items.jsonl", tmp_path / "interactions.csv"
    items.write_text(ITEMS)
    interactions.write_text(ROWS)
    return items, interactions


def imported(store, files, **more):
    return api.import_data(store, items=[files[0]], interactions=[files[1]], **more)


class TestImport:
    """`import_data`."""

    def test_an_import_is_skipped_until_a_file_or_a_setting_changes(self, tmp_path, files):
        store = tmp_path / "s.duckdb"
        assert not imported(store, files).stage.skipped
        again = imported(store, files)
        assert again.stage.skipped
        assert again.report is None
        files[1].write_text(ROWS + "u3,b1,5\n")
        changed = imported(store, files)
        assert changed.report is not None
        assert changed.report.n_users == 3
        strict = Settings.model_validate({"source": {"positive_from": 5}})
        assert not imported(store, files, settings=strict).stage.skipped
        assert api.read_table(store, "interactions")["positive"].to_pylist() == [True, False, True]
        assert imported(store, files, settings=strict).stage.skipped
        assert not imported(store, files, settings=strict, force=True).stage.skipped

    def test_a_file_touched_but_not_changed_is_not_read_again(self, tmp_path, files):
        store = tmp_path / "s.duckdb"
        imported(store, files)
        os.utime(files[1], (1, 1))
        assert imported(store, files).stage.skipped

    def test_two_files_of_one_name_are_told_apart(self, tmp_path, files):
        """A change in the first must be seen, though the second bears its name."""
        parts = [tmp_path / side / "part.csv" for side in ("a", "b")]
        for number, part in enumerate(parts):
            part.parent.mkdir()
            part.write_text(f"user_id,item_id,rating\nu{number},b1,5\n")
        store = tmp_path / "s.duckdb"
        api.import_data(store, items=[files[0]], interactions=parts)
        parts[0].write_text("user_id,item_id,rating\nu7,b1,5\n")
        assert not api.import_data(store, items=[files[0]], interactions=parts).stage.skipped
        assert api.read_table(store, "users")["external_id"].to_pylist() == ["u1", "u7"]

    def test_a_failed_first_import_leaves_no_store(self, tmp_path, files):
        files[1].write_text("user_id,item_id,rating\n")
        with pytest.raises(SourceError):
            imported(tmp_path / "s.duckdb", files)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "interactions.csv",
            "items.jsonl",
        ]

    def test_a_failed_later_import_leaves_the_store(self, tmp_path, files):
        store = tmp_path / "s.duckdb"
        imported(store, files)
        files[1].write_text("user_id,item_id,rating\n")
        with pytest.raises(SourceError):
            imported(store, files)
        assert api.read_table(store, "users").num_rows == 2

    def test_an_open_store_stays_open(self, tmp_path, files):
        with Store.open(tmp_path / "s.duckdb", create=True) as store:
            imported(store, files)
            assert store.count("users") == 2
            files[1].write_text("user_id,item_id,rating\n")
            with pytest.raises(SourceError):
                imported(store, files)
            assert store.count("users") == 2

    def test_a_store_by_path_is_closed_again(self, tmp_path, files):
        store = tmp_path / "s.duckdb"
        imported(store, files)
        with Store.open(store, settings=None) as first:
            assert first.count("users") == 2
        store.rename(tmp_path / "moved.duckdb")
        assert not (tmp_path / "s.duckdb.wal").exists()


class TestStages:
    """From import to profiles, each rerun only for what it depends on."""

    def test_everything_unchanged_is_skipped(self, own_project):
        store, folder = own_project.store, own_project.folder
        dump = folder / "enwiki-pages-articles.xml.bz2"
        before = api.runs(store)
        done = [
            imported(store, (folder / "items.jsonl", folder / "interactions.csv")).stage,
            api.build_aliases(store, dumps=[dump], qids=folder / "titles.tsv").stage,
            api.link(store).stage,
            api.build_profiles(store),
        ]
        assert [stage.skipped for stage in done] == [True] * 4
        assert all("skipped" in str(stage) for stage in done)
        assert api.runs(store) == before, "a stage that is skipped leaves no row"

    def test_new_interactions_need_new_profiles_but_no_linking(self, own_project):
        store, folder = own_project.store, own_project.folder
        rows = (folder / "interactions.csv").read_text().splitlines(keepends=True)
        (folder / "interactions.csv").write_text("".join(rows[:-1]))
        done = imported(store, (folder / "items.jsonl", folder / "interactions.csv"))
        assert not done.stage.skipped
        assert api.link(store).stage.skipped
        assert not api.build_profiles(store).skipped

    def test_other_items_need_linking_but_no_alias_table(self, own_project):
        store, folder = own_project.store, own_project.folder
        items = [json.loads(line) for line in (folder / "items.jsonl").read_text().splitlines()]
        items[0]["text"] = "A story about Stephen King and jazz."
        (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
        dump = folder / "enwiki-pages-articles.xml.bz2"
        assert not imported(
            store, (folder / "items.jsonl", folder / "interactions.csv")
        ).stage.skipped
        assert api.build_aliases(store, dumps=[dump], qids=folder / "titles.tsv").stage.skipped
        assert not api.link(store).stage.skipped
        assert not api.build_profiles(store).skipped

    def test_other_aliases_need_linking(self, own_project):
        store, folder = own_project.store, own_project.folder
        assert not api.build_aliases(store, extra=[folder / "aliases.tsv.gz"]).stage.skipped
        assert not api.link(store).stage.skipped

    def test_runs_tell_what_was_made_from_what_newest_first(self, project):
        found = api.runs(project.store)[-5:]  # other tests may have trained on this store since
        stages = ["train", "profiles", "link", "aliases", "import"]
        assert [run["stage"] for run in found] == stages
        training = json.loads(found[0]["config"])
        assert (training["target"], found[0]["seed"]) == ("films", 0)
        manifest = (project.model / "manifest.json").read_bytes()
        assert json.loads(found[0]["outputs"]) == {"model": hashlib.sha256(manifest).hexdigest()}
        assert [run["started_at"] for run in found] == sorted(
            (run["started_at"] for run in found), reverse=True
        )
        profiles, link = found[1:3]
        made, used = json.loads(link["outputs"]), json.loads(profiles["inputs"])
        assert {name: used[name] for name in made if name in used} == {
            name: made[name] for name in used if name in made
        }
        assert json.loads(profiles["config"])["ScoringConfig"].items() >= {
            ("k_star", 5.0),
            ("use_idf", True),
        }

    def test_a_store_without_runs_has_none(self, empty_store):
        assert api.runs(empty_store) == []


class TestLooking:
    """Verbs that write nothing."""

    def test_a_path_and_an_open_store_answer_alike(self, project):
        with Store.open(project.store) as store:
            assert api.lookup(store, "Dune") == api.lookup(str(project.store), "Dune")
            assert api.user_graph(store, "u00001") == api.user_graph(project.store, "u00001")
            assert api.describe(store) == api.describe(project.store)

    def test_looking_leaves_every_table_as_it_was(self, own_project):
        with Store.open(own_project.store) as store:
            before = {name: store.fingerprint(name) for name in ("mentions", "runs", "aliases")}
            api.link_text(store, "Kubrick's film of Stephen King's The Shining")
            api.lookup(store, "Dune")
            api.describe(store)
            api.user_graph(store, "u00001")
            assert {name: store.fingerprint(name) for name in before} == before

    def test_a_name_that_many_things_share_has_many_candidates_likeliest_first(self, project):
        found = api.lookup(project.store, "Dune")
        assert len({one.entity_id for one in found}) == len(found) > 1
        priors = [one.prior for one in found]
        assert priors == sorted(priors, reverse=True)
        assert api.lookup(project.store, "Dune", limit=1) == found[:1]
        assert api.lookup(project.store, "no such name") == []

    def test_a_text_is_linked_as_an_item_would_be(self, project):
        (shining,) = [
            mention
            for mention in api.link_text(project.store, "Notes on The Shining")
            if mention.surface == "The Shining"
        ]
        assert "Shining" in shining.title
        assert api.link_text(project.store, "") == []

    def test_tables_come_as_arrow_and_by_their_name_alone(self, project):
        table = api.read_table(project.store, "user_entity")
        with Store.open(project.store) as store:
            assert table.num_rows == store.count("user_entity")
        with pytest.raises(UnknownError, match="no table 'recommendations' yet"):
            api.read_table(project.store, "recommendations")

    def test_a_graph_is_exported_as_it_is(self, project, tmp_path):
        graph = api.export_profile(project.store, "u00001", tmp_path / "u.csv")
        with (tmp_path / "u.csv").open(newline="", encoding="utf-8") as file:
            found = [(row["title"], float(row["weight"])) for row in csv.DictReader(file)]
        assert found == [(one.title, one.weight) for one in graph.interests]
        with pytest.raises(OutputError, match="exists; add --force"):
            api.export_profile(project.store, "u00001", tmp_path / "u.csv")
        api.export_profile(project.store, "u00001", tmp_path / "u.csv", format="json", force=True)
        assert json.loads((tmp_path / "u.csv").read_text())["user"] == "u00001"


def settings_of(project, *more):
    return load_settings(assignments=[*project.quick[1::2], *more])


class TestTraining:
    """`train` and `evaluate`."""

    def test_a_model_remembers_what_it_was_made_of(self, project):
        _, metadata = checkpoint.load(project.model)
        with Store.open(project.store) as store:
            for table, fingerprint in metadata["inputs"].items():
                assert store.fingerprint(table) == fingerprint
        assert metadata["target"] == "films"
        assert metadata["sources"] == ["books", "music"]
        assert metadata["split"] == Settings().split.model_dump(mode="json")
        assert len(metadata["report"]["losses"]) == 1

    def test_all_other_domains_are_sources_when_none_is_named(self, project, tmp_path):
        trained = api.train(
            project.store, tmp_path / "m", target="music", settings=settings_of(project)
        )
        assert trained.sources == ("books", "films")
        assert trained.target == "music"
        assert "EmbedMe for music, 1 epochs" in trained.summary()

    def test_the_same_seed_gives_the_same_model(self, project, tmp_path):
        folders = [tmp_path / "a", tmp_path / "b", tmp_path / "other"]
        for folder, seed in zip(folders, (0, 0, 1), strict=True):
            api.train(
                project.store,
                folder,
                target="films",
                sources=["books", "music"],
                settings=settings_of(project, f"train.seed={seed}"),
            )
        first, second, other = (checkpoint.load(folder)[0].state() for folder in folders)
        assert all(np.array_equal(first[name], second[name]) for name in first)
        assert any(not np.array_equal(first[name], other[name]) for name in first)

    def test_a_comparison_is_of_the_same_users_and_its_rows_are_its_evaluations(self, project):
        found = api.evaluate(
            project.store, [project.model], baselines=["popularity", "source_knn", "popularity"]
        )
        assert [row["model"] for row in found.rows] == ["embedme", "popularity", "source_knn"]
        measure = next(
            one for one in found.evaluations["embedme"].measures if one.protocol == "full"
            and one.metric == "ndcg"
        )  # fmt: skip
        ids = [found.evaluations[name].user_ids(measure).tolist() for name in found.evaluations]
        assert ids[0] == ids[1] == ids[2]
        for row in found.rows:
            values = found.evaluations[row["model"]].values(measure)
            assert row["NDCG@20 full"] == pytest.approx(values.mean(), abs=1e-4)
            low, high = map(float, row["NDCG@20 full 95 %"].split("-"))
            assert low <= row["NDCG@20 full"] <= high
            assert row["users"] == len(values)
        assert found.rows[0]["p"] is None
        assert all(0 < row["p"] <= 1 for row in found.rows[1:])
        assert "books + music -> films" in found.protocol[0]
        assert "source_knn: 18 settings tried" in found.notes[0]

    def test_two_models_of_one_split_stand_side_by_side(self, project, tmp_path):
        """Both folders are called "model": they are told apart by their paths."""
        other = tmp_path / "model"
        api.train(
            project.store,
            other,
            target="films",
            sources=["books", "music"],
            settings=settings_of(project, "train.seed=5"),
        )
        found = api.evaluate(project.store, [project.model, other], baselines=[])
        assert [row["model"] for row in found.rows] == [
            f"embedme ({project.model})",
            f"embedme ({other})",
        ]

    @pytest.mark.parametrize("changed", ["split.seed=9", "split.fold=1", "scoring.k_star=2"])
    def test_models_of_other_splits_are_not_compared(self, project, tmp_path, changed):
        other = tmp_path / "other"
        api.train(
            project.store,
            other,
            target="films",
            sources=["books", "music"],
            settings=settings_of(project, changed),
        )
        with pytest.raises(UnknownError, match="were trained on different splits"):
            api.evaluate(project.store, [project.model, other], baselines=[])

    def test_nothing_to_evaluate_is_said(self, project):
        with pytest.raises(UnknownError, match="no model folder given"):
            api.evaluate(project.store, [])

    @pytest.mark.parametrize("table", ["items", "interactions", "item_entities", "entities"])
    def test_a_store_that_changed_is_refused_by_the_name_of_its_table(self, own_project, table):
        with Store.open(own_project.store) as store:
            kept = store.read(table)
            drop = {"items", "interactions"} & {table}
            if table == "items":
                store.replace(
                    {
                        "interactions": store.read("interactions").slice(0, 0),
                        "items": kept.slice(0, kept.num_rows - 1),
                    }
                )
                drop = {"items", "interactions"}
            else:
                store.replace({table: kept.slice(0, kept.num_rows - 1)})
        named = ", ".join(sorted(drop or {table}))
        with pytest.raises(StoreError, match=rf"\(changed: {named}\); train it again"):
            api.evaluate(own_project.store, [own_project.model], baselines=[])

    def test_progress_is_told(self, project, tmp_path):
        seen: list[tuple[str, int, int]] = []
        api.train(
            project.store,
            tmp_path / "m",
            target="films",
            settings=settings_of(project),
            on_progress=lambda *step: seen.append(step),
        )
        api.evaluate(
            project.store,
            [project.model],
            baselines=["popularity"],
            on_progress=lambda *step: seen.append(step),
        )
        assert seen[-1] == ("evaluate", 2, 2)
        stages = {stage.split()[0] for stage, _, _ in seen}
        assert len(stages) >= 2
        assert all(0 <= done <= total or total == 0 for _, done, total in seen)


def test_tables_in_memory_are_read_as_files_are(tmp_path):
    """Arrow, pandas and CSV of one content give one store."""
    items = pa.table(
        {"item_id": ["007", "b"], "domain": ["books", "films"], "title": ["Emma", "Heat"]}
    )
    likes = pa.table({"user_id": ["u", "u"], "item_id": ["007", "b"], "domain": ["books", "films"]})
    files = []
    for name, table in (("items", items), ("likes", likes)):
        files.append(tmp_path / f"{name}.csv")
        table.to_pandas().to_csv(files[-1], index=False)
    found = []
    for name, (one, other) in {
        "arrow": (items, likes),
        "pandas": (items.to_pandas(), likes.to_pandas()),
        "files": files,
    }.items():
        store = tmp_path / f"{name}.duckdb"
        api.import_data(store, items=[one], interactions=[other])
        assert api.import_data(store, items=[one], interactions=[other]).stage.skipped
        found.append([api.read_table(store, table) for table in ("items", "users", "interactions")])
    assert found[0] == found[1] == found[2]
    assert found[0][0]["external_id"].to_pylist() == ["007", "b"]
    with pytest.raises(SourceError, match="a table is int"):
        api.import_data(tmp_path / "no.duckdb", items=[3], interactions=[likes])
    assert not (tmp_path / "no.duckdb").exists()
