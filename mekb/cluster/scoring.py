"""The texts of `mekb.scoring` run on Spark: user-item interaction aggregation for users beyond one machine.

Interactions are dealt out by user, and `item_entities` and idf go to them: k is counted where they lie. What
moves after that is one row an interest, to its user's others (sum, rank), and one text a user and part.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mekb.aggregation import TITLES_SQL, Side, formula_fingerprint, sides
from mekb.cluster.tables import SparkTables, Written, written_folder
from mekb.exchange import Manifest
from mekb.interests import BASIS_SQL, SCORED_TABLES
from mekb.profile import MAX_ENTITIES, PROFILE_TEXT_SQL, SEPARATOR
from mekb.runs import settings_of
from mekb.scoring import (
    ALL_USERS,
    HELD_SQL,
    POPULATION_SQL,
    SPREAD_SQL,
    USER_ENTITY_SQL,
    ScoringConfig,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class ClusterScoring:
    """What was written."""

    folder: str
    tables: tuple[str, ...]
    n_users: int
    """Users with an interaction that counts (N)."""


def build_profiles(
    session: "SparkSession",
    input_folder: str,
    output_folder: str,
    config: ScoringConfig,
    *,
    force: bool = False,
) -> ClusterScoring:
    """Score all users of a folder of tables; writes what `mekb.interests.build_profiles` writes to a store.

    Args:
        session: An open session; `spark.sql.shuffle.partitions` is the number of parts users are dealt into.
        input_folder: `interactions`, `item_entities`, `entities` and `custom_entities` as Parquet, such as
            `mekb.exchange.export_tables` writes: a path or a URI.
        output_folder: `user_entity`, `profiles`, `idf_basis` and a manifest; `negative_interests` if asked for.
        config: Settings of the score.
        force: Replace what was written there before.

    Raises:
        ConfigError: decay is asked for, and interactions have no time.
        OutputError: the output exists, or cannot be written.
        ClusterError: a table is not there, or Spark fails.
    """
    tables = SparkTables(session, input_folder.rstrip("/"))
    tables.read(*SCORED_TABLES)
    inputs = tables.manifest().inputs | {"formula": formula_fingerprint()}
    wanted = sides(tables, config)
    try:
        with written_folder(session, output_folder, force=force) as written:
            _deal_out_by_user(tables)
            n_users = [_score(tables, side, written) for side in wanted]
            written.end(Manifest(stage="profiles", config=settings_of(config), inputs=inputs))
    finally:
        tables.drop("histories", "held", "spread", "scored_interests", "titles")
    names = (*(name for side in wanted for name in side.tables), "idf_basis")
    return ClusterScoring(output_folder, names, n_users[0])


def _deal_out_by_user(tables: SparkTables) -> None:
    """Make the view `histories`: the interactions of a user lie on one worker, where k is counted."""
    n_parts = int(str(tables.session.conf.get("spark.sql.shuffle.partitions")))
    dealt = tables.session.table("interactions").repartition(n_parts, "user_id")
    dealt.createOrReplaceTempView("histories")


def _score(tables: SparkTables, side: Side, written: Written) -> int:
    """Write the tables of one side and its rows of `idf_basis`; return N."""
    found = tables.first_row(POPULATION_SQL, side.choice(ALL_USERS))
    n_all = int(found[0]) if found else 0
    tables.keep("held", tables.query(HELD_SQL, side.counting(ALL_USERS)))
    tables.keep("spread", tables.query(SPREAD_SQL))
    tables.send("spread", tables.session.table("spread"))
    scored = tables.query(USER_ENTITY_SQL, side.weighing(ALL_USERS, n_all))
    tables.keep("scored_interests", scored)
    written.add(side.table, tables.session.table("scored_interests"))
    basis = tables.query(BASIS_SQL, {"negative": side.negative, "n_all": n_all})
    written.add("idf_basis", basis, append=side.negative)
    if not side.negative:
        tables.send("held", tables.session.table("spread"))  # the same entities, a row each
        tables.send("titles", tables.query(TITLES_SQL))
        texts = {"separator": SEPARATOR, "max_entities": MAX_ENTITIES}
        written.add("profiles", tables.query(PROFILE_TEXT_SQL, texts))
    return n_all
