"""Tables as Parquet on storage that Spark's workers reach: read as views, written whole.

    FOLDER/interactions.parquet    a file, or a folder of parts as Spark writes them
    FOLDER/manifest.json           what they were made from (`mekb.exchange`)

A folder is a path that all workers see alike, or a URI that Spark knows (s3a://, hdfs://, abfss://). Spark has
no unsigned numbers: what is written holds 64-bit ids, and the declared types come back on the way into a store.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mekb.contracts import Contract
from mekb.exchange import MANIFEST, Manifest
from mekb.output import folder_written_whole
from mekb.schema import CATALOGUE
from mekb.scoring import for_spark

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class SparkTables:
    """The tables of a folder as views of a Spark session, asked with the SQL texts of this package."""

    def __init__(self, session: "SparkSession", folder: str) -> None:
        self.session = session
        self.path = absolute(folder)

    def read(self, *tables: str) -> None:
        """Make the views of some tables, with the columns their schemas declare.

        Raises:
            ClusterError: a table or a column is not there.
        """
        for table in tables:
            rows = self.session.read.parquet(f"{self.path}/{table}.parquet")
            rows.select(*CATALOGUE[table].names).createOrReplaceTempView(table)

    def query(self, text: str, parameters: Mapping[str, object] | None = None) -> "DataFrame":
        """Return the rows of one of this package's texts; they are worked out when they are used."""
        return self.session.sql(for_spark(text), args=dict(parameters or {}))

    def first_row(
        self, query: str, parameters: Mapping[str, object] | None = None
    ) -> tuple[Any, ...] | None:
        """Return the first row of a query, or None."""
        rows = self.query(query, parameters).take(1)
        return tuple(rows[0]) if rows else None

    def keep(self, name: str, rows: "DataFrame") -> None:
        """Work rows out now and keep them on the workers, in memory and then on their disks, as a view.

        A local checkpoint and not a cache: a cached plan that holds a `with` is not found again inside another
        `with`, and its rows would be worked out once more. The rows are let go when nothing refers to them; a
        worker that is lost takes its rows along, and the build fails.
        """
        rows.localCheckpoint().createOrReplaceTempView(name)

    def send(self, name: str, rows: "DataFrame") -> None:
        """Make rows a view that goes whole to each worker wherever it is joined."""
        rows.hint("broadcast").createOrReplaceTempView(name)

    def drop(self, *names: str) -> None:
        """Drop views, and with them rows that were kept."""
        for name in names:
            self.session.catalog.dropTempView(name)

    def manifest(self) -> Manifest:
        """Return what the folder says of itself; an empty manifest where it is not from a store."""
        if is_path(self.path) and not (Path(self.path) / MANIFEST).exists():
            return Manifest(stage="export")
        rows = self.session.read.text(f"{self.path}/{MANIFEST}", wholetext=True).take(1)
        return Manifest.parse(rows[0][0], self.path)


def is_path(folder: str) -> bool:
    """Tell a path from a URI of a file system that only Spark knows.

    >>> is_path("/data/out"), is_path("s3a://bucket/out")
    (True, False)
    """
    return "://" not in folder


def absolute(folder: str) -> str:
    """Return a path from the root, and a URI as it is.

    Spark's process stays in the folder in which the first session was started, whatever ours does later.

    >>> absolute("/data/out"), absolute("s3a://bucket/out")
    ('/data/out', 's3a://bucket/out')
    """
    return str(Path(folder).absolute()) if is_path(folder) else folder


class Written:
    """A folder that Spark writes tables to."""

    def __init__(self, session: "SparkSession", folder: str) -> None:
        self._session = session
        self._folder = absolute(folder)

    def add(self, table: str, rows: "DataFrame", *, append: bool = False) -> None:
        """Write a table: each part in the order of its schema, `_SUCCESS` beside the parts when all stand."""
        contract = Contract.of(table)
        ordered = rows.select(*contract.columns).sortWithinPartitions(*contract.sort)
        mode = "append" if append else "error"
        ordered.write.parquet(f"{self._folder}/{table}.parquet", mode, compression="zstd")

    def end(self, manifest: Manifest) -> None:
        """Write the manifest, last of all."""
        text = manifest.model_dump_json()
        if is_path(self._folder):
            (Path(self._folder) / MANIFEST).write_text(text, encoding="utf-8")
        else:
            rows = self._session.createDataFrame([(text,)], "value string")
            rows.coalesce(1).write.text(f"{self._folder}/{MANIFEST}")


@contextlib.contextmanager
def written_folder(
    session: "SparkSession", folder: str, *, force: bool = False
) -> Iterator[Written]:
    """Give a folder to write tables to; nothing half-written ever stands under its name.

    A path is written aside and renamed. A URI is written where it is, for object stores cannot rename: it is
    whole when its manifest stands, and Spark refuses to write where something stands already.

    Args:
        session: Whose workers write.
        folder: Where to.
        force: Replace a folder at a path that was written so before.

    Raises:
        OutputError: the folder exists, or cannot be written.
    """
    if not is_path(folder):
        yield Written(session, folder.rstrip("/"))
        return
    with folder_written_whole(Path(folder), marks=(MANIFEST,), force=force) as aside:
        yield Written(session, str(aside))


def signed(kind: pa.DataType) -> pa.DataType:
    """Return an Arrow type with 64-bit signed numbers in place of unsigned ones, which Spark lacks.

    >>> signed(pa.list_(pa.struct([("entity_id", pa.uint32())]))).value_type.field("entity_id").type
    DataType(int64)
    """
    if pa.types.is_unsigned_integer(kind):
        return pa.int64()
    if pa.types.is_list(kind):
        return pa.list_(signed(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, signed(field.type)) for field in kind])
    return kind
