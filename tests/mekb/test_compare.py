"""`mekb compare` on a random store: every number again from the files, runs taken up, and names that are refused."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from mekb import api
from mekb.comparison_plan import CONTROLS, Plan, entries_of
from mekb.comparison_tables import as_csv, as_latex, as_markdown, flat, segment_rows
from mekb.config import Settings
from mekb.errors import UnknownError
from training.baselines.popularity import Popularity
from training.config import ModelConfig
from training.controls import ShuffledItems
from training.dataset import Dataset
from training.embedme.ablations import ABLATIONS
from training.embedme.config import EmbedMeConfig
from training.errors import DatasetError, DivergedError
from training.registry import MODELS
from training.split_config import SplitConfig
from training.tuning import SPACES, Choice, settings_to_try

SETTINGS = Settings(split=SplitConfig(n_folds=3, valid_share=0.3, seed=2, drop_twins=False))
PLAN = Plan(models=("popularity", "source_knn", "ease"), n_seeds=2, n_folds=2, n_trials=3)


@pytest.fixture
def plan(tmp_path) -> Plan:
    return replace(PLAN, work=tmp_path / "work")


def run(store, plan: Plan, **changes):
    return api.compare(store, target="films", plan=replace(plan, **changes), settings=SETTINGS)


def test_every_number_of_the_table_again_from_the_files(store, plan):
    found = run(store, plan)
    assert [row["model"] for row in found.rows] == list(plan.models)
    for row in found.rows:
        folders = [run["folder"] for run in found.runs if run["model"] == row["model"]]
        assert len(set(folders)) == 4
        values = [
            one
            for folder in folders
            for one in pq.read_table(f"{folder}/values.parquet").to_pylist()
        ]
        for heading in ("NDCG@10 full", "HR@10 sampled-999", "RECALL@20 full"):
            name, protocol = heading.split(" ")
            metric, k = name.lower().split("@")
            own: dict[int, list[float]] = {}
            for one in values:
                if (one["protocol"], one["metric"], one["k"]) == (protocol, metric, int(k)):
                    own.setdefault(one["user_id"], []).append(one["value"])
            mean = np.mean([np.mean(user) for user in own.values()])
            assert row[heading]["mean"] == pytest.approx(mean)
            assert row["users"] == len(own)
            assert row[heading]["low"] <= mean <= row[heading]["high"]
    order = sorted(found.rows, key=lambda row: -row["NDCG@10 full"]["mean"])
    assert found.verdict.startswith(f"{order[0]['model']} won in NDCG@10 (full)")


def test_runs_are_taken_up_and_run_again_when_something_changes(store, plan):
    first = run(store, plan)
    times = {file: file.stat().st_mtime_ns for file in plan.work.rglob("*") if file.is_file()}
    again = run(store, plan)
    assert times == {
        file: file.stat().st_mtime_ns for file in plan.work.rglob("*") if file.is_file()
    }
    assert again.rows == first.rows
    assert "12 runs were there already and were taken up" in again.notes
    more = run(store, plan, n_seeds=3)
    assert "12 runs were there already and were taken up" in more.notes
    other = api.compare(
        store,
        target="films",
        plan=plan,
        settings=SETTINGS.model_copy(update={"split": SplitConfig(n_folds=3, seed=3)}),
    )
    assert not any("taken up" in note for note in other.notes)
    fixed = run(store, plan, model_settings={"ease": {"ridge": 3.0}})
    assert {run["settings"]["ridge"] for run in fixed.runs if run["model"] == "ease"} == {3.0}


def test_a_broken_run_is_run_again(store, plan):
    first = run(store, plan, n_folds=1)
    (plan.work / "runs").joinpath(
        first.runs[0]["folder"].rsplit("/", 1)[1], "result.json"
    ).write_text("{")
    again = run(store, plan, n_folds=1)
    assert again.rows[0]["NDCG@10 full"] == first.rows[0]["NDCG@10 full"]
    assert "5 runs were there already and were taken up" in again.notes


def test_the_same_budget_for_each_and_the_best_on_validation_is_taken(store, plan):
    found = run(store, plan)
    for one in found.runs:
        trials = one["trials"]
        assert len(trials) == (3 if one["model"] in SPACES else 0)
        if trials:
            best = max(trials, key=lambda trial: trial["value"])
            assert one["settings"] == best["settings"]
            assert trials[0]["settings"] == {}, "the defaults are tried first"
    knn = [one["settings"] for one in found.runs if one["model"] == "source_knn"]
    assert knn[0] == knn[1]
    assert knn[2] == knn[3]


def test_a_constant_scorer_gets_k_of_the_catalogue(store, plan):
    """EASE without any source row and target row of the user cannot judge anybody: all items tie."""
    found = run(store, plan, models=("source_knn",), controls=("no-source",), n_folds=1)
    refused = found.rows[1]
    assert refused["judged"].startswith("0 of ")
    assert any("source_knn [no-source] counts as chance" in note for note in found.notes)
    folder = next(one["folder"] for one in found.runs if "no-source" in one["model"])
    ranks = pq.read_table(f"{folder}/ranks.parquet").to_pylist()
    assert all(one["n_greater"] == 0 for one in ranks)
    assert all(one["n_tied"] == 8 for one in ranks if one["protocol"] == "full")
    users = {one["user_id"] for one in ranks}
    values = pq.read_table(f"{folder}/values.parquet").to_pylist()
    recall = [one["value"] for one in values if (one["metric"], one["k"]) == ("recall", 10)]
    assert recall == pytest.approx([1.0] * len(users))  # all 8 items are among the first 10
    assert "ran alone" in found.verdict, "a control does not compete"


def test_a_split_folder_gives_the_same_numbers(store, plan, tmp_path):
    made = run(store, plan, n_folds=1, models=("popularity", "ease"))
    api.write_split(store, tmp_path / "split", target="films", settings=SETTINGS)
    read = run(
        store, plan, n_folds=1, models=("popularity", "ease"), split_folder=tmp_path / "split"
    )
    for ours, theirs in zip(made.rows, read.rows, strict=True):
        assert ours["NDCG@10 full"] == theirs["NDCG@10 full"]
    (folder,) = (plan.work / "splits").iterdir()
    digests = [
        json.loads((one / "manifest.json").read_text())["files"]
        for one in (folder, tmp_path / "split")
    ]
    assert digests[0] == digests[1]
    with pytest.raises(UnknownError, match="--folds has no meaning"):
        run(store, plan, split_folder=tmp_path / "split")


def test_formats_hold_the_same_numbers(store, plan):
    found = run(store, plan, n_folds=1)
    markdown, latex, csv = as_markdown(found), as_latex(found), as_csv(found)
    for row in found.rows:
        value = f"{row['NDCG@10 full']['mean']:.4f}"
        assert value in markdown
        assert value in latex
        assert str(row["NDCG@10 full"]["mean"]) in csv
    assert r"source\_knn" in latex
    assert latex.count(r"\\") == 1 + len(found.rows)
    best = max(row["NDCG@10 full"]["mean"] for row in found.rows)
    assert f"**{best:.4f}" in markdown
    assert found.verdict in markdown
    assert len(csv.splitlines()) == 1 + len(found.rows)
    assert all("NDCG@10 full" in row and "settings" not in row for row in flat(found.rows))
    assert any("biased" in line for line in found.protocol)


def test_bins_are_of_training_rows(store, plan):
    warm = SETTINGS.model_copy(
        update={"split": SplitConfig(kind="warm", test_share=0.3, drop_twins=False)}
    )
    found = api.compare(store, target="films", plan=replace(plan, n_folds=1), settings=warm)
    (split,) = (plan.work / "splits").iterdir()
    trained, tested = (
        pq.read_table(split / f"{name}.parquet").to_pylist() for name in ("train", "test")
    )
    trained = [row for row in trained if row["domain"] == "films"]
    for by, key in (("target rows in training", "user"), ("users of the item in training", "item")):
        n_of = {row[key]: sum(one[key] == row[key] for one in trained) for row in tested}
        expected = {"1-9" if 1 <= n <= 9 else ("zero" if n == 0 else "10") for n in n_of.values()}
        assert {row["bin"] for row in found.segments if row["by"] == by} == expected == {"1-9"}
    assert segment_rows(found) == {}, "one bin tells nothing apart"
    assert segment_rows(replace(found, segments=[*found.segments, other_bin(found)]))


def other_bin(found) -> dict:
    """Return a bin beside the only one."""
    return {**found.segments[0], "bin": "zero"}


def test_unknown_names_are_refused(store, plan):
    for changes, said in (
        ({"models": ("magic",)}, "no model 'magic'"),
        ({"models": ()}, "no model to compare"),
        ({"controls": ("magic",)}, "no control 'magic'"),
        ({"ablations": ("magic",)}, "no ablation 'magic'"),
        ({"protocol": "magic"}, "no protocol 'magic'"),
    ):
        with pytest.raises(UnknownError, match=said):
            run(store, plan, **changes)


def test_controls_and_ablations_become_rows():
    plan = Plan(models=("popularity",), ablations=("all",), controls=("all",)).checked()
    names = [entry.name for entry in entries_of(plan)]
    assert names[:2] == ["embedme", "popularity"]
    assert {f"embedme [{name}]" for name in (*ABLATIONS, *CONTROLS)} <= set(names)
    assert [name for name in names if name.startswith("popularity [")] == ["popularity [no-source]"]
    for ablation in ABLATIONS.values():
        EmbedMeConfig.preset("default", **ablation.model)
        assert ablation.model or ablation.scoring or ablation.profiles


def test_a_control_reaches_the_model(store, plan, monkeypatch):
    from training.baselines.popularity import Popularity
    from training.contract import Need

    seen: list[Dataset] = []
    true = Popularity.fit

    def fit(self, data, context):
        seen.append(data)
        return true(self, data, context)

    monkeypatch.setattr(Popularity, "fit", fit)
    monkeypatch.setattr(Popularity, "needs", frozenset({Need.PROFILE}))
    run(store, plan, models=("popularity",), controls=("all",), n_folds=1, n_seeds=1)
    plain, shuffled, titles, entities, names, random = seen  # without sources nobody has a profile
    assert isinstance(shuffled.profiles, ShuffledItems)
    history = {domain: rows[:5] for domain, rows in plain.interactions.items()}
    texts = [
        one.profiles.texts(history) for one in (plain, shuffled, titles, entities, names, random)
    ]
    assert len({tuple(text) for text in texts}) == 6
    assert any("Brand" in text for text in texts[0])
    assert not any("Brand" in text for text in texts[3])
    assert all("Title" in text for text in texts[2] if text)


def test_settings_to_try_are_allowed_ones():
    from training.registry import model_class, names

    for name in set(SPACES) & set(names()):
        for settings in settings_to_try(name, 5):
            model_class(name).config_type.model_validate(settings)
    assert settings_to_try("ease", 4, seed=1) != settings_to_try("ease", 4, seed=2)
    assert settings_to_try("ease", 4, fixed={"ridge": 2.0}) == [{"ridge": 2.0}]


class MoodyConfig(ModelConfig):
    """How a fit ends."""

    mood: str = "calm"


class Moody(Popularity):
    """Diverges in trials and fits of one setting, and refuses the data in those of another."""

    config_type = MoodyConfig

    def fit(self, data, context):
        """Learn, or not."""
        if self.config.mood == "diverges":
            raise DivergedError("loss is nan in epoch 1")
        if self.config.mood == "refuses":
            raise DatasetError("moody needs other data")
        return super().fit(data, context)


@pytest.fixture
def moody(monkeypatch):
    monkeypatch.setitem(MODELS, "moody", (__name__, "Moody"))
    monkeypatch.setitem(SPACES, "moody", {"mood": Choice(("diverges", "refuses", "calm"))})


@pytest.mark.usefixtures("moody")
def test_a_trial_that_diverges_or_refuses_is_none_and_the_others_go_on(store, plan):
    found = run(store, plan, models=("moody", "ease"), n_folds=1, n_seeds=1)
    values = {row["model"]: row["NDCG@10 full"]["mean"] for row in found.rows}
    assert found.rows[0]["settings"] == [{"mood": "calm"}]
    assert values["moody"] > 0
    assert "moody: 2 of 3 trials failed, such as: loss is nan in epoch 1" in found.notes


@pytest.mark.usefixtures("moody")
@pytest.mark.parametrize(
    ("mood", "reason"), [("diverges", "loss is nan"), ("refuses", "other data")]
)
def test_a_model_that_diverges_or_refuses_counts_as_chance(store, plan, mood, reason):
    settings = {"moody": {"mood": mood}}
    found = run(
        store, plan, models=("ease", "moody"), model_settings=settings, n_folds=1, n_seeds=1
    )
    assert [row["model"] for row in found.rows] == ["ease", "moody"]
    assert found.rows[1]["judged"].startswith("0 of ")
    assert [one for one in found.notes if "moody counts as chance" in one and reason in one]


def test_a_model_that_can_judge_nobody_is_said_to_be_chance(store, plan):
    found = run(store, plan, models=("ease_target", "ease"), n_folds=1, n_seeds=1, n_trials=1)
    assert found.rows[0]["judged"].startswith("0 of ")
    assert [one for one in found.notes if "could judge none" in one] == [
        "ease_target could judge none of the test users: its row is chance"
    ]
