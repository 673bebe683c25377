"""P(e|m) as formula and invariants: computed before cuts, indifferent to order, found again by `reweigh`."""

import json
from collections import defaultdict
from fractions import Fraction

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alias_tables.config import AliasConfig, ChannelNumbers
from alias_tables.errors import TableError
from alias_tables.finished import FINISHED_ALIASES_SQL
from alias_tables.priors import rank_pairs
from alias_tables.reweigh import reweigh
from alias_tables.schema import ALIASES, CHANNELS, ENTITIES

Counts = dict[tuple[str, int], tuple[int, ...]]

SURFACES = ("a", "b", "7", "!?")
counts_strategy = st.dictionaries(
    st.tuples(st.sampled_from(SURFACES), st.integers(1, 5)),
    st.tuples(*[st.integers(0, 9)] * len(CHANNELS)).filter(any),
    max_size=12,
)
channel_numbers = st.builds(
    ChannelNumbers, **{channel: st.sampled_from([0.0, 0.25, 0.5, 1.0]) for channel in CHANNELS}
)
configs = st.builds(
    AliasConfig,
    weights=channel_numbers,
    pseudo_counts=channel_numbers,
    smooth=st.booleans(),
    max_candidates=st.integers(1, 6),
    min_count=st.integers(1, 3),
    drop_digits=st.booleans(),
    exclude_flags=st.sampled_from([(), ("date",)]),
)
FLAGS = {1: ["date"], 2: [], 3: ["date", "list"], 4: [], 5: []}


def entities() -> pa.Table:
    rows = [
        {
            "entity_id": number,
            "title": f"E{number}",
            "label": f"E{number}",
            "kind": "wikidata",
            "flags": flags,
            "types": [],
            "n_inlinks": 0,
        }
        for number, flags in FLAGS.items()
    ]
    return pa.Table.from_pylist(rows, ENTITIES)


def table_of(connection, counts: Counts, config: AliasConfig) -> pa.Table:
    """Finish the tables of some counts as a build does."""
    rows = [
        {"surface": surface, "entity_id": number}
        | {f"n_{channel}": n for channel, n in zip(CHANNELS, numbers, strict=True)}
        for (surface, number), numbers in counts.items()
    ]
    schema = pa.schema(
        [
            ("surface", pa.string()),
            ("entity_id", pa.uint32()),
            *((f"n_{channel}", pa.uint64()) for channel in CHANNELS),
        ]
    )
    for name, table in (
        ("counts", pa.Table.from_pylist(rows, schema)),
        ("known_entities", entities().select(["entity_id", "flags"])),
        (
            "link_probs",
            pa.schema([("surface", pa.string()), ("link_prob", pa.float32())]).empty_table(),
        ),
    ):
        connection.register("given", table)
        connection.execute(f"create or replace temp table {name} as from given")
        connection.unregister("given")
    rank_pairs(connection, config)
    return connection.sql(FINISHED_ALIASES_SQL).to_arrow_table().select(ALIASES.names).cast(ALIASES)


def shares_of(counts: Counts, config: AliasConfig) -> dict[tuple[str, int], Fraction]:
    """Write the formula again in exact fractions: P(e|m) of every pair that has mass."""

    def weigh(numbers: ChannelNumbers, n: tuple[int, ...]) -> Fraction:
        return sum(
            (Fraction(getattr(numbers, c)) * k for c, k in zip(CHANNELS, n, strict=True)),
            Fraction(0),
        )

    masses: dict[tuple[str, int], Fraction] = {}
    for surface in {surface for surface, _ in counts}:
        pairs = {key: n for key, n in counts.items() if key[0] == surface}
        seen = any(weigh(config.weights, n) > 0 for n in pairs.values())
        for key, n in pairs.items():
            real = weigh(config.weights, n)
            stand_in = weigh(config.pseudo_counts, n) if config.smooth or not seen else Fraction(0)
            masses[key] = real or stand_in
    totals: dict[str, Fraction] = defaultdict(Fraction)
    for (surface, _), mass in masses.items():
        totals[surface] += mass
    return {key: mass / totals[key[0]] for key, mass in masses.items() if mass}


def rows_by_key(table: pa.Table) -> dict[tuple[str, int], dict]:
    return {(row["surface"], row["entity_id"]): row for row in table.to_pylist()}


@given(counts_strategy, configs)
@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_priors_are_the_formula_before_any_cut(connection, counts, config):
    shares = shares_of(counts, config)
    table = table_of(connection, counts, config)
    rows = rows_by_key(table)
    assert set(rows) <= set(shares)
    sums: dict[str, float] = defaultdict(float)
    for key, row in rows.items():
        assert row["prior"] == pytest.approx(float(shares[key]), rel=1e-6)
        sums[key[0]] += float(shares[key])
    for (surface, _), row in rows.items():
        assert 0 < sums[surface] <= 1 + 1e-9
        assert row["kept_mass"] == pytest.approx(sums[surface], rel=1e-6)
        lost = [n for key, n in counts.items() if key[0] == surface and key not in rows]
        assert row["cut"] == ([sum(column) for column in zip(*lost, strict=True)] if lost else None)
    by_surface: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for key, row in rows.items():
        by_surface[key[0]].append((-row["prior"], key[1]))
    assert all(len(kept) <= config.max_candidates for kept in by_surface.values())
    connection.register("entities", entities())
    connection.register("aliases", table)
    for query in json.loads(ALIASES.metadata[b"checks"]).values():
        assert connection.execute(query).fetchall() == []


@given(counts_strategy, configs, st.randoms(use_true_random=False))
@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_the_order_of_rows_changes_nothing(connection, counts, config, rng):
    shuffled = list(counts.items())
    rng.shuffle(shuffled)
    first = table_of(connection, counts, config)
    assert table_of(connection, dict(shuffled), config).equals(first)


@given(counts_strategy, configs)
@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_reweighing_as_built_gives_what_was_built(connection, counts, config):
    built = table_of(connection, counts, config)
    again = reweigh(connection, entities(), built, config)
    if not config.smooth:
        assert again.equals(built)
    assert set(rows_by_key(again)) <= set(rows_by_key(built))


@given(counts_strategy, configs, configs)
@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_other_weights_give_the_priors_of_a_build_with_them(connection, counts, config, other):
    other = other.model_copy(update={"smooth": False})
    built = table_of(connection, counts, config)
    again = rows_by_key(reweigh(connection, entities(), built, other))
    shares = shares_of(counts, other)
    for key, row in again.items():
        assert row["prior"] == pytest.approx(float(shares[key]), rel=1e-6)
    connection.register("entities", entities())


@given(counts_strategy, configs)
@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_a_smooth_build_that_cuts_nothing_serves_every_weight(connection, counts, other):
    everything = AliasConfig(
        smooth=True,
        pseudo_counts=ChannelNumbers(**dict.fromkeys(CHANNELS, 1.0)),
        max_candidates=9,
        drop_punctuation=False,
        exclude_flags=(),
    )
    built = table_of(connection, counts, everything)
    again = reweigh(connection, entities(), built, other)
    assert again.equals(table_of(connection, counts, other))


def test_kept_mass_of_case_53(connection):
    counts = {("a", 2): (60, *[0] * 5), ("a", 4): (30, *[0] * 5), ("a", 5): (10, *[0] * 5)}
    table = table_of(connection, counts, AliasConfig(max_candidates=2))
    rows = rows_by_key(table)
    assert [rows["a", number]["prior"] for number in (2, 4)] == pytest.approx([0.6, 0.3])
    assert {round(row["kept_mass"], 6) for row in rows.values()} == {0.9}
    assert rows["a", 2]["cut"] == [10, 0, 0, 0, 0, 0]
    wider = reweigh(connection, entities(), table, AliasConfig(max_candidates=3))
    assert wider.equals(table)  # the third candidate is gone, its mass is not


def test_weights_of_other_channels_without_a_second_reading(connection):
    counts = {
        ("a", 2): (6, 0, 0, 0, 0, 0),
        ("a", 4): (0, 1, 0, 0, 0, 2),
        ("b", 5): (0, 1, 0, 0, 0, 0),
    }
    built = table_of(connection, counts, AliasConfig(smooth=True))
    config = AliasConfig(weights=ChannelNumbers(anchor=1.0, wikidata_alias=3.0))
    rows = rows_by_key(reweigh(connection, entities(), built, config))
    assert {key: row["prior"] for key, row in rows.items()} == {
        ("a", 2): 0.5,
        ("a", 4): 0.5,
        ("b", 5): 1.0,
    }


def test_tables_that_cannot_be_reweighed_are_refused(connection):
    built = table_of(connection, {("a", 2): (1, *[0] * 5)}, AliasConfig())
    with pytest.raises(TableError, match="lack cut"):
        reweigh(connection, entities(), built.drop_columns(["cut"]), AliasConfig())
    reweigh(connection, entities(), built, AliasConfig())
    assert {
        row[0] for row in connection.execute("select table_name from duckdb_tables()").fetchall()
    } == set()


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as database:
        database.execute("set threads = 2")
        yield database
