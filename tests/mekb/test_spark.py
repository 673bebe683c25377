"""Scoring and linking on Spark against one machine, and the formula again in NumPy.

What may differ and why: sums are exact decimals on both engines, but they turn a double into a decimal in
different ways (in the last of its digits), and Java's `ln` and `power` may be a unit in the last place from the
C library's. So numbers agree to 1e-14 relative; ids, counts, times and texts exactly; ranks as far as weights
differ by more than that.
"""
# ruff: noqa: D102  (a test's name is its docstring)

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from alias_tables.schema import CHANNELS
from entity_linking.config import LinkConfig
from mekb import api
from mekb.cluster.linking import Dictionary, link_items
from mekb.cluster.scoring import build_profiles as build_on_spark
from mekb.cluster.session import spark_session
from mekb.errors import (
    ClusterError,
    ConfigError,
    MissingError,
    OutputError,
    SourceError,
    StoreError,
)
from mekb.exchange import MANIFEST, export_tables, import_mentions, import_profiles
from mekb.increments import update_profiles
from mekb.interests import build_profiles
from mekb.linking import alias_index
from mekb.linking import link_items as link_here
from mekb.saved_aliases import aliases_folder
from mekb.schema import CATALOGUE
from mekb.scoring import EntityWeights, ScoringConfig, UpdateConfig
from mekb.store import Store

sys.path.insert(0, str(Path(__file__).parent))  # worlds that several files of tests share
from random_interests import add, random_tables, rows, weights_in_numpy

SAME = 1e-14
EXACT = ("user_id", "entity_id", "n_items", "first_at", "last_at")
SCORED = ("user_entity", "negative_interests", "profiles", "idf_basis")
SMALL_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
QUICK = {
    # A few hundred rows: time goes into starting and compiling, not into work.
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.extraJavaOptions": SMALL_JAVA,
    "spark.executor.extraJavaOptions": SMALL_JAVA,
    "spark.driver.memory": "1g",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
}
PLAIN = ScoringConfig(k_star=2)
EVERYTHING = ScoringConfig(k_star=2, half_life_days=50, negative_up_to=2)

there = {"PySpark": find_spec("pyspark"), "Java": os.environ.get("JAVA_HOME") or which("java")}
missing = " and ".join(name for name, found in there.items() if not found)
spark = pytest.mark.skipif(bool(missing), reason=f"{missing} not installed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def session():
    """One session for all tests: starting one takes longer than any of them."""
    with spark_session("local[2]", QUICK) as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("spark")


@pytest.fixture(scope="module")
def world(folder):
    """A store scored with all settings, and the folder of tables it exports."""
    with Store.open(folder / "world.duckdb", create=True) as store:
        store.replace(random_tables(5))
        build_profiles(store, EVERYTHING)
        export_tables(store, folder / "tables")
        yield store, folder / "tables"


@pytest.fixture(scope="module")
def scored(session, world, folder):
    """The folder that Spark made of it."""
    build_on_spark(session, str(world[1]), str(folder / "scored"), EVERYTHING)
    return folder / "scored"


def read(folder, table):
    """Return a table that Spark wrote, in the declared types and order."""
    schema = CATALOGUE[table]
    stored = pa.schema([pa.field(field.name, field.type) for field in schema])
    found = pq.read_table(folder / f"{table}.parquet").select(schema.names).cast(stored)
    return found.sort_by([(key, "ascending") for key in json.loads(schema.metadata[b"sort"])])


def assert_same_interests(found, expected):
    assert found.num_rows == expected.num_rows > 0
    for name in EXACT:
        assert found[name].to_pylist() == expected[name].to_pylist()
    for name in ("tf", "idf", "weight"):
        np.testing.assert_allclose(found[name].to_numpy(), expected[name].to_numpy(), rtol=SAME)
    # By rank, the other engine's weights never rise by more than the tolerance; and ranks are 1, 2, 3, ...
    users, ranks = found["user_id"].to_numpy(), found["rank"].to_numpy()
    weights = expected["weight"].to_numpy()
    for user in np.unique(users):
        own = np.flatnonzero(users == user)
        order = own[np.argsort(ranks[own])]
        assert ranks[order].tolist() == list(range(1, len(own) + 1))
        by_rank = abs(weights[order])
        assert np.all(by_rank[1:] <= by_rank[:-1] * (1 + SAME))


def assert_same_texts(found, expected, ranks, expected_ranks):
    """Hold texts to each other where ranks are the same: those of all users but few, if of any."""
    other = {
        user
        for user, rank, expected_rank in zip(
            ranks["user_id"].to_pylist(),
            ranks["rank"].to_pylist(),
            expected_ranks["rank"].to_pylist(),
            strict=True,
        )
        if rank != expected_rank
    }
    assert len(other) <= 2
    assert found["user_id"].to_pylist() == expected["user_id"].to_pylist()
    for one, two in zip(found.to_pylist(), expected.to_pylist(), strict=True):
        assert one == two or one["user_id"] in other


@spark
class TestScoring:
    """Rows are those of the store, and of the formula."""

    @given(seed=st.integers(0, 2**16))
    @settings(max_examples=2, deadline=None, phases=[Phase.generate])  # shrinking takes minutes
    def test_spark_equals_duckdb_equals_numpy(self, session, folder, seed):
        tables = random_tables(seed)
        here = folder / f"random-{seed}"
        with Store.open(folder / f"random-{seed}.duckdb", create=True) as store:
            store.replace(tables)
            build_profiles(store, PLAIN)
            export_tables(store, here, force=True)
            expected, texts = store.read("user_entity"), store.read("profiles")
        out = folder / f"random-{seed}-out"
        build_on_spark(session, str(here), str(out), PLAIN, force=True)
        found = read(out, "user_entity")
        assert_same_interests(found, expected)
        assert_same_texts(read(out, "profiles"), texts, found, expected)
        in_numpy = weights_in_numpy(tables, k_star=2)
        users, entities = found["user_id"].to_numpy(), found["entity_id"].to_numpy()
        np.testing.assert_allclose(
            found["weight"].to_numpy(), in_numpy[users, entities - 1], rtol=1e-12
        )
        assert found.num_rows == np.count_nonzero(in_numpy)

    def test_decay_avoidance_texts_and_the_basis_of_updates_are_those_of_the_store(
        self, world, scored
    ):
        store, _ = world
        for table in ("user_entity", "negative_interests"):
            assert_same_interests(read(scored, table), store.read(table))
        assert read(scored, "profiles").to_pylist() == store.read("profiles").to_pylist()
        assert read(scored, "idf_basis").to_pylist() == store.read("idf_basis").to_pylist()

    def test_no_order_of_rows_and_no_number_of_parts_changes_a_bit(
        self, session, world, scored, folder
    ):
        shuffled = folder / "shuffled"
        rng = np.random.default_rng(1)
        for table in ("interactions", "item_entities", "entities", "custom_entities"):
            whole = pq.read_table(world[1] / f"{table}.parquet")
            (shuffled / f"{table}.parquet").mkdir(parents=True)
            parts = np.array_split(rng.permutation(whole.num_rows), 3)
            for number, part in enumerate(parts):
                path = shuffled / f"{table}.parquet" / f"{number}.parquet"
                pq.write_table(whole.take(pa.array(part)), path)
        session.conf.set("spark.sql.shuffle.partitions", "3")
        try:
            build_on_spark(session, str(shuffled), str(folder / "mixed"), EVERYTHING)
        finally:
            session.conf.set("spark.sql.shuffle.partitions", "2")
        for table in SCORED:
            assert read(folder / "mixed", table).equals(read(scored, table))

    def test_each_part_is_sorted_and_a_user_lies_in_one(self, scored):
        parts = [pq.read_table(path) for path in (scored / "user_entity.parquet").glob("*.parquet")]
        assert len(parts) == 2
        for part in parts:
            keys = list(
                zip(part["user_id"].to_pylist(), part["entity_id"].to_pylist(), strict=True)
            )
            assert keys == sorted(keys)
        first, second = (set(part["user_id"].to_pylist()) for part in parts)
        assert first
        assert second
        assert not first & second


@spark
class TestBackIntoTheStore:
    """Store, Spark, store."""

    def test_profiles_come_back_as_if_made_here_and_can_be_updated(self, world, scored, tmp_path):
        store, _ = world
        expected = {table: store.read(table) for table in SCORED}
        with Store.open(tmp_path / "other.duckdb", create=True) as other:
            other.replace(random_tables(5))
            done = import_profiles(other, scored)
            assert not done.skipped
            assert import_profiles(other, scored).skipped
            assert build_profiles(other, EVERYTHING).skipped
            assert_same_interests(other.read("user_entity"), expected["user_entity"])
            assert other.read("user_entity").schema == expected["user_entity"].schema
            assert other.read("profiles").equals(expected["profiles"])
            add(other, ["u001,i3,5", "new,i4,5"], tmp_path)
            updated = update_profiles(other, EVERYTHING, UpdateConfig())
            assert updated.n_users == 2

    def test_profiles_of_other_tables_are_refused(self, world, scored, tmp_path):
        with Store.open(tmp_path / "other.duckdb", create=True) as other:
            other.replace(random_tables(6))
            with pytest.raises(StoreError, match=r"other tables than it holds now .*interactions"):
                import_profiles(other, scored)
            assert not other.has("user_entity")
        with pytest.raises(SourceError, match="holds no profiles"):
            import_profiles(world[0], world[1])
        with pytest.raises(SourceError, match=r"no manifest\.json"):
            import_profiles(world[0], tmp_path)


@spark
class TestErrors:
    """One line each, and nothing half-written."""

    def test_a_table_that_is_not_there_leaves_nothing_behind(self, session, world, tmp_path):
        tables = tmp_path / "tables"
        export_tables(world[0], tables, ("interactions", "item_entities", "entities"))
        with pytest.raises(ClusterError, match=r"PATH_NOT_FOUND.*custom_entities"), spark_session():
            build_on_spark(session, str(tables), str(tmp_path / "out"), PLAIN)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["tables"]

    def test_a_build_that_fails_on_its_way_leaves_what_stood_there(
        self, session, world, scored, tmp_path
    ):
        tables, out = tmp_path / "tables", tmp_path / "out"
        export_tables(world[0], tables)
        out.mkdir()
        (out / MANIFEST).write_text("of a former build")
        held = pq.read_table(tables / "item_entities.parquet")
        huge = pa.array([1e30] * held.num_rows, pa.float32())  # more than a decimal holds
        place = held.schema.get_field_index("weight")
        pq.write_table(held.set_column(place, "weight", huge), tables / "item_entities.parquet")
        with pytest.raises(ClusterError, match="NUMERIC_VALUE_OUT_OF_RANGE"), spark_session():
            build_on_spark(session, str(tables), str(out), PLAIN, force=True)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "tables"]
        assert [path.name for path in out.iterdir()] == [MANIFEST]
        with pytest.raises(OutputError, match="exists"):
            build_on_spark(session, str(world[1]), str(scored), EVERYTHING)

    def test_decay_needs_times(self, session, tmp_path):
        tables = random_tables(2)
        undated = tables["interactions"].set_column(
            2, "at", pa.nulls(tables["interactions"].num_rows, pa.timestamp("us"))
        )
        with Store.open(tmp_path / "undated.duckdb", create=True) as store:
            store.replace(tables | {"interactions": undated})
            export_tables(store, tmp_path / "tables")
        with pytest.raises(ConfigError, match="no time to decay by"):
            build_on_spark(session, str(tmp_path / "tables"), str(tmp_path / "out"), EVERYTHING)


class TestWithoutSpark:
    """What those see who do not have it."""

    def test_a_missing_library_is_one_line(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyspark", None)
        with pytest.raises(MissingError, match=r"pip install 'mekb\[spark\]'"), spark_session():
            pass

    @pytest.mark.skipif(not there["PySpark"], reason="PySpark not installed")
    def test_a_missing_java_is_one_line(self, monkeypatch, tmp_path):
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
        with pytest.raises(MissingError, match="Java 17"), spark_session():
            pass

    def test_nothing_of_spark_is_loaded_before_it_is_asked_for(self):
        code = "import sys, mekb.api, mekb.cluster.linking, mekb.cluster.scoring"
        code += "; sys.exit('pyspark' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


TITLES = {1: "Dune", 2: "Stephen King", 3: "The Shining", 4: "Horror fiction"}


@pytest.fixture
def shop(tmp_path):
    """Forty items and a dictionary of four names."""
    with Store.open(tmp_path / "shop.duckdb", create=True) as store:
        titles = [TITLES[1 + i % 4] if i % 3 else f"Volume {i}" for i in range(40)]
        texts = ["" if i % 5 == 0 else f"{TITLES[1 + i % 3]}: by Stephen King." for i in range(40)]
        store.replace(
            {
                "items": rows(
                    "items",
                    item_id=range(40),
                    external_id=[f"i{i}" for i in range(40)],
                    domain=["books"] * 40,
                    title=titles,
                    text=texts,
                    brand=["Acme"] * 40,
                    categories=[["Novels"]] * 40,
                ),
                "entities": rows(
                    "entities",
                    entity_id=list(TITLES),
                    title=list(TITLES.values()),
                    label=list(TITLES.values()),
                    description=[None] * 4,
                    kind=["wikidata"] * 4,
                    flags=[[]] * 4,
                    types=[[]] * 4,
                    year=[None] * 4,
                    n_inlinks=[0] * 4,
                ),
                "aliases": rows(
                    "aliases",
                    surface=list(TITLES.values()),
                    entity_id=list(TITLES),
                    **{f"n_{channel}": [1] * 4 for channel in CHANNELS},
                    prior=[1.0] * 4,
                    link_prob=[0.9] * 4,
                    kept_mass=[None] * 4,
                    cut=[None] * 4,
                ),
            }
        )
        yield store


@spark
@pytest.mark.parametrize("ship", [False, True], ids=["by path", "shipped"])
def test_mentions_are_those_of_one_machine_and_go_back_into_the_store(
    session, shop, tmp_path, ship
):
    link_here(shop, LinkConfig(), EntityWeights(), on_progress=api.no_progress)
    expected = {name: shop.read(name) for name in ("mentions", "custom_entities", "item_entities")}
    assert expected["mentions"].num_rows > 40
    alias_index(shop)
    export_tables(shop, tmp_path / "tables", ("items",))
    dictionary = Dictionary(aliases_folder(shop.path), ship)
    out = tmp_path / "linked"
    link_items(session, str(tmp_path / "tables"), str(out), dictionary, LinkConfig())
    assert read(out, "mentions").to_pylist() == expected["mentions"].to_pylist()
    assert not import_mentions(shop, out, EntityWeights(), force=True).skipped
    for name, table in expected.items():
        assert shop.read(name).equals(table)
    assert link_here(shop, LinkConfig(), EntityWeights(), on_progress=api.no_progress).stage.skipped


@spark
def test_the_command_says_what_it_wrote_and_nothing_of_spark(world, scored, tmp_path):
    """Two workers that are processes of their own; their results come back over the network of this machine."""
    out = tmp_path / "out"
    words = ["profiles", "build", "--engine", "spark", "--master", "local-cluster[2,1,1024]"]
    words += ["--input", str(world[1]), "--output", str(out)]
    words += [word for name, value in QUICK.items() for word in ("--conf", f"{name}={value}")]
    for setting in ("k_star=2", "half_life_days=50"):
        words += ["--set", f"scoring.{setting}"]
    done = subprocess.run(
        [sys.executable, "-m", "mekb", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines()[0].startswith(f"{out}: user_entity, profiles")
    assert len(done.stderr.splitlines()) == 2
    for table in ("user_entity", "profiles"):
        assert read(out, table).equals(read(scored, table))


@spark
def test_the_linker_has_a_command_and_its_mentions_one_to_come_home_by(shop, tmp_path):
    link_here(shop, LinkConfig(), EntityWeights(), on_progress=api.no_progress)
    expected = {name: shop.read(name) for name in ("mentions", "custom_entities", "item_entities")}
    export_tables(shop, tmp_path / "tables", ("items",))
    dictionary, out = aliases_folder(shop.path), tmp_path / "linked"
    shop.close()

    def mekb(*words):
        command = [sys.executable, "-m", "mekb", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    where = ("--input", tmp_path / "tables", "--output", out)
    words = ("link", "--engine", "spark", "--master", "local[2]", *where)
    short = mekb(*words)
    assert short.returncode == 2
    assert "--dictionary" in short.stderr
    both = mekb("link", shop.path, *where)
    assert both.returncode == 2
    assert "are of --engine spark" in " ".join(both.stderr.split())
    conf = [word for name, value in QUICK.items() for word in ("--conf", f"{name}={value}")]
    done = mekb(*words, "--dictionary", dictionary, "--ship", *conf)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith(f"{out}: mentions")
    assert len(done.stderr.splitlines()) == 1
    assert read(out, "mentions").to_pylist() == expected["mentions"].to_pylist()
    home = mekb("link", "import", shop.path, out, "--force")
    assert home.returncode == 0, home.stderr
    with Store.open(shop.path) as again:
        for name, table in expected.items():
            assert again.read(name).equals(table)
