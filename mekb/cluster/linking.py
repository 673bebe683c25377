"""The linker on Spark: `Linker.link_batches` over the texts of items, one generator a worker.

The dictionary is the folder beside a store (`mekb.saved_aliases`). Each worker process maps it into memory
once; processes of one machine share its pages. It is a path that all workers see, or it is shipped to them.
"""

import functools
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from alias_tables.lookup import AliasIndex
from entity_linking.config import LinkConfig
from entity_linking.linker import Linker
from entity_linking.schema import MENTIONS
from mekb.cluster.tables import SparkTables, signed, written_folder
from mekb.exchange import Manifest
from mekb.linking import TEXTS_SQL
from mekb.runs import settings_of
from mekb.saved_aliases import fingerprints_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MENTIONS_ON_SPARK = pa.schema([pa.field(field.name, signed(field.type)) for field in MENTIONS])


@dataclass(frozen=True)
class Dictionary:
    """The folder of a saved alias index."""

    folder: Path
    ship: bool = False
    """Copy it to the workers, where they do not see its path."""


def link_items(
    session: "SparkSession",
    input_folder: str,
    output_folder: str,
    dictionary: Dictionary,
    config: LinkConfig,
    *,
    force: bool = False,
) -> None:
    """Link all items of a folder of tables; writes the rows of `mentions` that one machine would.

    Args:
        session: An open session. Its workers have this package, and the spaCy pipeline if `config` names one.
        input_folder: `items` as Parquet (`mekb.exchange.export_tables`): a path or a URI.
        output_folder: `mentions` and a manifest.
        dictionary: What to look names up in.
        config: Settings of the linker.
        force: Replace what was written there before.

    Raises:
        TableError: the dictionary is not whole.
        OutputError: the output exists, or cannot be written.
        ClusterError: a table is not there, or Spark fails.
    """
    made_from = fingerprints_of(AliasIndex.open(dictionary.folder).stamp)
    tables = SparkTables(session, input_folder.rstrip("/"))
    tables.read("items")
    inputs = tables.manifest().inputs | made_from
    texts = tables.query(TEXTS_SQL, {"context": config.chooser == "context"})
    with written_folder(session, output_folder, force=force) as written:
        written.add("mentions", link_texts(texts, dictionary, config))
        written.end(Manifest(stage="link", config=settings_of(config), inputs=inputs))


def link_texts(texts: "DataFrame", dictionary: Dictionary, config: LinkConfig) -> "DataFrame":
    """Return the mentions of texts, linked when they are used.

    Args:
        texts: The columns of `entity_linking.schema.TEXTS`.
        dictionary: What to look names up in.
        config: Settings of the linker.

    Returns:
        The columns of `MENTIONS`, numbers signed.
    """
    folder = dictionary.folder.resolve()
    if dictionary.ship:
        texts.sparkSession.sparkContext.addFile(str(folder), recursive=True)
    place = folder.name if dictionary.ship else str(folder)
    work = functools.partial(_linked, place, dictionary.ship, config.model_dump_json())
    with warnings.catch_warnings():
        # Spark's Arrow interface lies in a package that checks the version of pandas; none is used here.
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas")
        from pyspark.sql.pandas.types import from_arrow_schema  # noqa: PLC0415  an optional extra

        return texts.mapInArrow(work, from_arrow_schema(MENTIONS_ON_SPARK))


def _linked(
    place: str, shipped: bool, config: str, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Link the batches of one part; runs in a worker."""
    from pyspark import SparkFiles  # noqa: PLC0415  an optional extra

    folder = SparkFiles.get(place) if shipped else place
    for mentions in _linker(folder, config).link_batches(batches):
        yield mentions.cast(MENTIONS_ON_SPARK)


@functools.cache
def _linker(folder: str, config: str) -> Linker:
    """Open the dictionary and make a linker, once a worker process."""
    return Linker(AliasIndex.open(Path(folder)), LinkConfig.model_validate_json(config))
