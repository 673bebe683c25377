"""Scoring and linking on Spark: tables out of a store as Parquet, and what was made of them back in."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mekb.api.stores import StoreLike, opened
from mekb.config import Settings
from mekb.runs import StageResult

if TYPE_CHECKING:
    from mekb.cluster.scoring import ClusterScoring


def export_tables(
    store: StoreLike, folder: str | Path, *, tables: Sequence[str] = (), force: bool = False
) -> dict[str, int]:
    """Write tables of a store as Parquet files with a manifest; return the rows of each.

    Args:
        store: The store.
        folder: Where to; it is written whole or not at all.
        tables: Names of tables; those that profiles are made from where none is given.
        force: Replace a folder that was exported before.

    Raises:
        UnknownError: the store has no such table.
        OutputError: the folder exists, or cannot be written.
    """
    from mekb.exchange import export_tables as export
    from mekb.interests import SCORED_TABLES

    with opened(store) as source:
        return export(source, Path(folder), tuple(tables) or SCORED_TABLES, force=force)


def build_profiles_on_spark(
    input: str | Path,
    output: str | Path,
    *,
    master: str = "local[*]",
    conf: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    force: bool = False,
) -> "ClusterScoring":
    """Score the interests of every user of exported tables on Spark, by the same SQL; needs `mekb[spark]`.

    Args:
        input: What `export_tables` wrote: a path that all workers see, or a URI that Spark knows.
        output: Where to write `user_entity`, `profiles` and what else a store needs, as Parquet.
        master: Such as "local[2]", "spark://host:7077" or "yarn".
        conf: Settings of Spark.
        settings: `settings.scoring`.
        force: Replace what was written there before.

    Raises:
        MissingError: PySpark or Java is not there.
        ClusterError: a table is not there, or Spark fails.
        ConfigError: decay is asked for, and interactions have no time.
        OutputError: the output exists, or cannot be written.
    """
    from mekb.cluster.scoring import build_profiles as build
    from mekb.cluster.session import spark_session

    scoring = (settings or Settings()).scoring
    with spark_session(master, conf) as session:
        return build(session, str(input), str(output), scoring, force=force)


def link_on_spark(
    input: str | Path,
    output: str | Path,
    dictionary: str | Path,
    *,
    ship: bool = False,
    master: str = "local[*]",
    conf: Mapping[str, str] | None = None,
    settings: Settings | None = None,
    force: bool = False,
) -> None:
    """Link exported items on Spark with the same linker; writes `mentions` as Parquet; needs `mekb[spark]`.

    Args:
        input: What `export_tables` wrote with `tables=["items"]`: a path that all workers see, or a URI.
        output: Where to write.
        dictionary: The folder `STORE.aliases` beside a store, which all workers see.
        ship: Copy that folder to the workers instead.
        master: Such as "local[2]", "spark://host:7077" or "yarn".
        conf: Settings of Spark.
        settings: `settings.link`.
        force: Replace what was written there before.

    Raises:
        MissingError: PySpark or Java is not there.
        ClusterError: a table is not there, or Spark fails.
        OutputError: the output exists, or cannot be written.
    """
    from mekb.cluster.linking import Dictionary, link_items
    from mekb.cluster.session import spark_session

    config = (settings or Settings()).link
    found = Dictionary(Path(dictionary), ship)
    with spark_session(master, conf) as session:
        link_items(session, str(input), str(output), found, config, force=force)


def import_profiles(store: StoreLike, folder: str | Path, *, force: bool = False) -> StageResult:
    """Take profiles that `build_profiles_on_spark` wrote into the store whose tables they were made from.

    Raises:
        SourceError: the folder holds no profiles, or not all.
        StoreError: they were made from other tables or by another formula, or a table breaks its contract.
    """
    from mekb.exchange import import_profiles as take

    with opened(store) as target:
        return take(target, Path(folder), force=force)


def import_mentions(
    store: StoreLike,
    folder: str | Path,
    *,
    settings: Settings | None = None,
    force: bool = False,
) -> StageResult:
    """Take mentions that `link_on_spark` wrote into the store whose items they are of; writes what `link` does.

    Raises:
        SourceError: the folder holds no mentions.
        StoreError: they were made from other items or another alias table, or a table breaks its contract.
    """
    from mekb.exchange import import_mentions as take

    with opened(store) as target:
        return take(target, Path(folder), (settings or Settings()).weights, force=force)
