"""Tables out of a store as Parquet, and what was made from them elsewhere back in.

    store ──export_tables──> FOLDER/interactions.parquet, ..., manifest.json ──mekb.cluster──> FOLDER ──import──> store

Files are sorted and carry their schemas with key, sort order and checks (`alias_tables.schema`). The manifest
holds the fingerprints of the tables, and results carry it along: rows that were made from other tables than
those the store holds, or by another formula, are refused. What comes in is proved as if it was made here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from entity_linking.config import LinkConfig
from mekb.aggregation import sides
from mekb.contracts import Contract, listed
from mekb.effective import write_edited_texts
from mekb.errors import SourceError, StoreError
from mekb.interests import NOBODY_SQL, SCORED_TABLES, profiles_stage
from mekb.linking import link_stage, with_custom_entities
from mekb.output import folder_written_whole
from mekb.runs import StageResult, run_stage, table_inputs
from mekb.schema import CATALOGUE
from mekb.scoring import EntityWeights, ScoringConfig
from mekb.store import Rows, Store

MANIFEST = "manifest.json"
_GROUP_ROWS = 1 << 19
"""Rows of a row group, the least that a worker of a cluster reads."""


class Manifest(BaseModel):
    """What the tables of a folder were made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["mekb.exchange"] = "mekb.exchange"
    version: Literal[1] = 1
    stage: Literal["export", "profiles", "link"]
    config: dict[str, Any] = {}
    """Class name -> settings, as in a row of `runs`."""
    inputs: dict[str, str] = {}
    """Table -> fingerprint: of the tables exported, or of those a result was made from."""

    @classmethod
    def parse(cls, text: str, where: object) -> "Manifest":
        """Return the manifest of a text.

        Raises:
            SourceError: it is none, or of another version.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise SourceError(
                f"{where}: its {MANIFEST} is none of this version of mekb; make the folder again"
            ) from error

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Return the manifest of a folder, whether one file or written by Spark.

        Raises:
            SourceError: there is none, or it is of another version.
        """
        path = folder / MANIFEST
        parts = sorted(path.glob("part-*")) if path.is_dir() else [path]
        if not parts or not parts[0].is_file():
            raise SourceError(
                f"{folder}: no {MANIFEST} there; 'mekb data export' and 'mekb profiles build --engine spark'"
                " write one when all else stands"
            )
        return cls.parse(parts[0].read_text(encoding="utf-8"), folder)


def export_tables(
    store: Store, folder: Path, tables: Sequence[str] = SCORED_TABLES, *, force: bool = False
) -> dict[str, int]:
    """Write tables as Parquet files, the folder whole or not at all; return the rows of each.

    Args:
        store: With the tables.
        folder: Where to.
        tables: Names in the catalogue; by default what profiles are made from.
        force: Replace a folder that was exported before.

    Raises:
        UnknownError: the store has no such table.
        OutputError: the folder exists, or cannot be written.
    """
    store.require(*tables, hint="run the stage that makes it")
    with folder_written_whole(folder, marks=(MANIFEST,), force=force) as aside:
        rows = {table: _write(store, table, aside / f"{table}.parquet") for table in tables}
        manifest = Manifest(stage="export", inputs=table_inputs(store, *tables))
        (aside / MANIFEST).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    return rows


def _write(store: Store, table: str, path: Path) -> int:
    contract, schema = Contract.of(table), CATALOGUE[table]
    rows = store.connection.table(table).project(listed(contract.columns))
    n_rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in rows.order(listed(contract.sort)).to_arrow_reader(_GROUP_ROWS):
            writer.write_batch(batch.cast(schema))
            n_rows += batch.num_rows
    return n_rows


def import_profiles(store: Store, folder: Path, *, force: bool = False) -> StageResult:
    """Take profiles that were scored elsewhere into the store they were exported from.

    Args:
        store: It holds the very tables they were made from.
        folder: What `mekb profiles build --engine spark` wrote.
        force: Take them though nothing changed.

    Raises:
        SourceError: the folder holds no profiles, or not all.
        StoreError: they were made from other tables or by another formula, or a table breaks its contract.
    """
    manifest = Manifest.read(folder)
    if manifest.stage != "profiles":
        raise SourceError(f"{folder}: holds no profiles but what '{manifest.stage}' wrote")
    config = ScoringConfig.model_validate(manifest.config["ScoringConfig"])
    stage = profiles_stage(store, sides(store, config), config)
    _check_inputs(store, folder, stage.inputs, manifest.inputs)
    made = [table for table in stage.outputs if table != "touched_users"]
    for table in made:
        if not list(folder.glob(f"{table}.parquet")):
            raise SourceError(f"{folder}: holds no {table}.parquet; build the profiles again")

    def write() -> None:
        tables = {
            table: store.connection.read_parquet(str(_files(folder, table))) for table in made
        }
        store.drop("negative_interests")
        store.replace_in_slices(made, [tables])
        unmoved = CATALOGUE["idf_moves"].empty_table()
        store.replace({"idf_moves": unmoved, "touched_users": store.query(NOBODY_SQL)})
        write_edited_texts(store)

    return run_stage(store, stage, lambda: write, force=force)


MENTIONS_OF = ("items", "entities", "aliases")
"""What mentions are found in and by; the other tables of the stage make entities of brands and keywords, here."""


def import_mentions(
    store: Store, folder: Path, weights: EntityWeights, *, force: bool = False
) -> StageResult:
    """Take mentions that were linked elsewhere into the store whose items they are of, and do the rest of the stage.

    Args:
        store: It holds the very items and alias table they were made from.
        folder: What `mekb.cluster.linking.link_items` wrote.
        weights: Multipliers of the kinds of entity.
        force: Take them though nothing changed.

    Raises:
        SourceError: the folder holds no mentions.
        StoreError: they were made from other tables, or a table breaks its contract.
    """
    manifest = Manifest.read(folder)
    if manifest.stage != "link":
        raise SourceError(f"{folder}: holds no mentions but what '{manifest.stage}' wrote")
    stage = link_stage(store, LinkConfig.model_validate(manifest.config["LinkConfig"]), weights)
    mentioned = {name: stage.inputs[name] for name in MENTIONS_OF if name in stage.inputs}
    _check_inputs(store, folder, mentioned, manifest.inputs)

    def work() -> Mapping[str, Rows]:
        found = store.connection.read_parquet(str(_files(folder, "mentions")))
        ordered = found.order(listed(Contract.of("mentions").sort)).to_arrow_table()
        return with_custom_entities(store, ordered.cast(CATALOGUE["mentions"]), weights)

    return run_stage(store, stage, work, force=force)


def _files(folder: Path, table: str) -> Path:
    path = folder / f"{table}.parquet"
    return path / "*.parquet" if path.is_dir() else path


def _check_inputs(
    store: Store, folder: Path, here: Mapping[str, str], there: Mapping[str, str]
) -> None:
    others = sorted(name for name in here if here[name] != there.get(name))
    if others:
        raise StoreError(
            f"{store.path}: {folder} was made from other tables than it holds now ({', '.join(others)});"
            " export them and build the profiles again"
        )
