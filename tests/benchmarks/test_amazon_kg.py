"""The benchmark's own arithmetic and preparation, against the formula again and worlds that are known."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_array

from mekb.config import SplitConfig, load_settings
from mekb.store import Store
from training.contract import UserBatch
from training.errors import DatasetError
from training.evaluate import Evaluation, Measure
from training.schema import METRICS

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))  # they are scripts, no package

import amazon_kg
import amazon_kg_data
import cold_start
import coverage
import pooled

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "amazon_kg_5core"


def evaluation(model: str, values: dict[int, float]) -> Evaluation:
    """A model with these values on every measure that the benchmark shows."""
    rows = [
        {**measure._asdict(), "model": model, "user_id": user, "value": value}
        for measure in (*pooled.MEASURES.values(), Measure("full", "hr", 20))
        for user, value in values.items()
    ]
    table = pa.Table.from_pylist(rows, METRICS)
    order = [(name, "ascending") for name in METRICS.names if name != "value"]
    return Evaluation(model, table.sort_by(order), len(values), len(values))


def test_pooled_users_keep_their_values_in_order_of_their_ids():
    first, second = evaluation("m", {7: 0.7, 1: 0.1}), evaluation("m", {4: 0.4, 2: 0.2})
    both = pooled.pool([first, second])
    assert both.user_ids(pooled.DECIDING).tolist() == [1, 2, 4, 7]
    assert both.values(pooled.DECIDING).tolist() == [0.1, 0.2, 0.4, 0.7]
    assert (both.n_users, both.n_covered) == (4, 4)


def test_a_user_tested_twice_is_refused():
    with pytest.raises(DatasetError, match="share test users"):
        pooled.pool([evaluation("m", {1: 0.1}), evaluation("m", {1: 0.2})])


def test_only_the_judged_model_is_compared_and_only_if_it_is_there():
    good = {user: 0.5 + user / 100 for user in range(30)}
    models = {
        "embedme": evaluation("embedme", good),
        "weak": evaluation("weak", dict.fromkeys(good, 0.1)),
    }
    rows = pooled.rows_of_direction("a -> b", models, "embedme")
    gain = rows[1]["embedme / model, NDCG@10"]
    assert gain["ratio"] == pytest.approx(np.mean(list(good.values())) / 0.1)
    assert gain["difference"] == pytest.approx(np.mean(list(good.values())) - 0.1)
    assert gain["p_holm"] == gain["p"] < 0.01
    assert not any("/ model" in key for key in rows[0])
    alone = pooled.rows_of_direction("a -> b", {"weak": models["weak"]}, "embedme")
    assert not any("/ model" in key for key in alone[0])
    assert "0.6450" in pooled.as_text(rows).splitlines()[2]


class Fixed:
    """A model that always gives the same scores."""

    def __init__(self, scores) -> None:
        self.item_ids = np.arange(len(scores[0]), dtype=np.uint32)
        self.scores = np.array(scores, dtype=np.float32)

    def score(self, users):
        """Return them."""
        assert len(users) == len(self.scores)
        return self.scores


def test_a_blend_breaks_ties_by_popularity_and_falls_back_on_it():
    knn = Fixed([[0.5, 0.0, 0.0, 0.2], [np.nan] * 4])
    popularity = Fixed([[0.1, 0.3, 0.9, 0.0]] * 2)
    users = UserBatch(np.arange(2, dtype=np.uint32), {"a": csr_array((2, 4), dtype=np.float32)})
    scores = cold_start.Blend(knn, popularity, 1e-3).score(users)
    assert np.argsort(-scores, axis=1).tolist() == [[0, 3, 2, 1], [2, 1, 0, 3]]
    assert scores[1] == pytest.approx([1e-3 / 9, 1e-3 / 3, 1e-3, 0.0])


def test_a_fold_measures_all_models_and_trains_once(own_project, monkeypatch):
    monkeypatch.setattr(cold_start, "BASELINES", ("popularity", "source_knn"))  # the quick ones
    settings = load_settings(assignments=[text for text in own_project.quick if "=" in text])
    settings = settings.model_copy(update={"split": SplitConfig(n_folds=5)})
    direction = cold_start.Direction("books", "films")
    models = own_project.folder / "benchmark"
    steps: list[str] = []

    def run(fold: int) -> cold_start.FoldResult:
        with Store.open(own_project.store) as store:
            chosen = cold_start.fold_settings(settings, fold)
            return cold_start.run_fold(
                store, direction, chosen, models, lambda stage, _done, _total: steps.append(stage)
            )

    first, n_steps = run(0), len(steps)
    again = run(0)
    assert len(steps) == n_steps > 0, "an unchanged model was trained again"
    assert list(first.evaluations) == ["embedme", *cold_start.BASELINES, cold_start.BLEND]
    for name, evaluated in first.evaluations.items():
        assert evaluated.rows.equals(again.evaluations[name].rows)
    other = run(1)
    assert len(steps) > n_steps
    both = pooled.pool([first.evaluations["popularity"], other.evaluations["popularity"]])
    assert both.n_users == first.facts["test users"] + other.facts["test users"]


def test_coverage_counts_items_with_entities_and_own_pages(project):
    with Store.open(project.store) as store:
        items = store.query("select item_id, domain, external_id from items order by item_id")
        linked = store.query(
            "select distinct item_id, title from mentions join entities using (entity_id)"
            " where field = 'title'"
        )
        pages = dict(zip(linked["item_id"].to_pylist(), linked["title"].to_pylist(), strict=True))
        own = pa.table(
            {
                "domain": items["domain"],
                "item": items["external_id"],
                "title": [pages.get(item, "?") for item in items["item_id"].to_pylist()],
            }
        )
        facts = coverage.coverage(store, own)
        held = store.query(
            "select distinct item_id from item_entities join entities using (entity_id)"
        )
    for row in facts["domains"]:
        of_domain = [
            item
            for item, domain in zip(
                items["item_id"].to_pylist(), items["domain"].to_pylist(), strict=True
            )
            if domain == row["domain"]
        ]
        n_held = len(set(of_domain) & set(held["item_id"].to_pylist()))
        assert row["items"] == len(of_domain)
        assert row["with_entity"] == pytest.approx(n_held / len(of_domain))
        assert row["own_page"] == pytest.approx(row["title_linked"])
    counts = [row["items"] for row in facts["frequent entities"]]
    assert counts == sorted(counts, reverse=True)
    assert facts["profiles"]["tokens, mean"] > facts["profiles"]["entities, mean"]
    assert "most frequent entities" in coverage.as_text(facts)


@pytest.mark.parametrize(
    ("domain", "joined", "names"),
    [
        (
            "books",
            "Novels set in Paris, Texas; Novellas",
            ["Novels set in Paris, Texas", "Novellas"],
        ),
        ("movies", "Movies, Movies & TV", ["Movies", "Movies & TV"]),
        ("movies", None, []),
    ],
)
def test_categories_are_split_as_their_domain_joins_them(domain, joined, names):
    assert amazon_kg_data.categories_of(domain, joined) == names


def test_a_resource_names_a_page():
    resource = amazon_kg_data.RESOURCE + "Dude,_Where's_the_Party%3F"
    assert amazon_kg_data.wikipedia_title(resource) == "Dude, Where's the Party?"


def test_settings_of_a_run():
    parser = amazon_kg._parser()
    options = parser.parse_args(
        ["--data", ".", "--pipeline", "some", "--quick", "--set", "epochs=9", "scoring.k_star=2"]
    )
    settings = amazon_kg.settings_of(options)
    assert settings.train.model["epochs"] == 9, "what is set by hand goes before --quick"
    assert settings.train.model["max_tokens"] == 64
    assert (settings.scoring.k_star, settings.source.positive_from) == (2.0, 1.0)
    assert "NORP" not in settings.link.ner_labels
    assert settings.source.brand == "creator"


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="the data set is not beside this checkout")
def test_preparation_of_the_real_files(tmp_path):
    prepared = amazon_kg_data.prepare(DATA, tmp_path)
    items = pq.read_table(prepared.items)
    assert items.num_rows == 13_097
    assert pa.types.is_list(items["categories"].type)
    assert prepared.own_titles.num_rows == items.num_rows
    for path in prepared.title_lists[:3]:
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        assert {len(row) for row in rows} == {2}, path
        titles = [row[0] for row in rows]
        assert len(set(titles)) == len(titles)
        if rows[0][1] == "qid":
            qids = [row[1] for row in rows[1:] if row[1]]
            assert len(set(qids)) == len(qids), f"{path}: a QID stands for two pages"
    assert json.dumps(prepared.own_titles.slice(0, 1).to_pylist())
