"""Opening Spark: what it needs to be there, what is set for us, and its errors as one line."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mekb.errors import ClusterError, MissingError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DEFAULT_MASTER = "local[*]"

_DEFAULTS = {
    "spark.app.name": "mekb",
    "spark.sql.session.timeZone": "UTC",  # times of a store are in UTC and without a zone
    "spark.sql.autoBroadcastJoinThreshold": "128MB",  # `item_entities` goes to the users, not they to it
    "spark.sql.execution.arrow.maxRecordsPerBatch": "2000",  # texts that the linker reads together
    "spark.ui.showConsoleProgress": "false",
}
_LOCAL_DEFAULTS = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
"""On one machine nothing is open to the network."""
_LAST_LINES = 3


@contextlib.contextmanager
def spark_session(
    master: str = DEFAULT_MASTER, conf: Mapping[str, str] | None = None
) -> Iterator["SparkSession"]:
    """Give a Spark session, ended with the block; one that is active already is used and left as it is.

    What Spark writes to stderr goes to a file that is deleted at the end, and is named in an error.

    Args:
        master: Such as "local[2]", "spark://host:7077" or "yarn".
        conf: Settings of Spark, laid over ours.

    Raises:
        MissingError: PySpark or Java is not there.
        ClusterError: Spark cannot be started, or what runs on it fails.
    """
    _check_installed()
    from pyspark.sql import SparkSession  # noqa: PLC0415  an optional extra

    active = SparkSession.getActiveSession()
    if active is not None:
        with _errors_told("this process's own session"):
            yield active
        return
    log = Path(tempfile.mkstemp(prefix="mekb-spark-", suffix=".log")[1])
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    local = _LOCAL_DEFAULTS if master.startswith("local") else {}
    with _errors_told(master, log):
        builder = SparkSession.builder.master(master)
        for name, value in ({**_DEFAULTS, **local} | dict(conf or {})).items():
            builder = builder.config(name, value)
        with _stderr_to(log):
            session = builder.getOrCreate()
        try:
            yield session
        finally:
            session.stop()
    log.unlink(missing_ok=True)


def _check_installed() -> None:
    try:
        import pyspark  # noqa: F401, PLC0415  an optional extra
    except ModuleNotFoundError as error:
        raise MissingError("Spark needs PySpark: pip install 'mekb[spark]'") from error
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if java is None:
        where = f"JAVA_HOME={home}" if home else "PATH"
        raise MissingError(
            f"Spark needs Java 17 or later, and {where} holds none; install a JDK or set JAVA_HOME"
        )


@contextlib.contextmanager
def _stderr_to(file: Path) -> Iterator[None]:
    """Let what is started in a block write its stderr to a file; ours is back after it."""
    sys.stderr.flush()
    ours = os.dup(2)
    target = os.open(file, os.O_WRONLY | os.O_APPEND)
    os.dup2(target, 2)
    try:
        yield
    finally:
        os.dup2(ours, 2)
        os.close(ours)
        os.close(target)


@contextlib.contextmanager
def _errors_told(where: str, log: Path | None = None) -> Iterator[None]:
    """Turn what Spark raises in a block into a ClusterError of one line."""
    from py4j.protocol import Py4JError  # noqa: PLC0415  comes with PySpark
    from pyspark.errors import PySparkException  # noqa: PLC0415  an optional extra

    try:
        yield
    except (PySparkException, Py4JError) as error:
        more = f" (all of it: {log})" if log else ""
        raise ClusterError(f"Spark on {where}: {_told(error)}{more}") from error


def _told(error: Exception) -> str:
    """Return the first lines of an error of Python, or of the Java one it carries."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("Caused by:")]
    return " ".join((causes or lines)[:_LAST_LINES])
