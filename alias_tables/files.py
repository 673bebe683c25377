"""Reads the files beside the dump into raw tables, each by the reader of its kind.

In: the paths of `BuildInputs` other than dumps. Out: the raw tables of `tabular`, always all of them (empty
where no file was given), and the stamp of each file.
"""

from collections.abc import Callable

import duckdb

from alias_tables.errors import DumpError
from alias_tables.inputs import BuildInputs
from alias_tables.report import RejectLog
from alias_tables.site import Site
from alias_tables.sources import FileStamp, Source
from alias_tables.tabular import FileReader


def read_files(
    connection: duckdb.DuckDBPyConnection,
    inputs: BuildInputs,
    site: Site,
    rejects: RejectLog,
    on_progress: Callable[[str, int, int], None],
) -> list[FileStamp]:
    """Read the files beside the dump; return their stamps.

    Raises:
        DumpError: a file is missing, or cannot be read as what it is given as.
    """
    reader = FileReader(connection, site, rejects)
    files = list(inputs.beside_the_dump())
    for _, path in files:
        if not path.is_file():
            raise DumpError(f"{path}: no such file; check the path")
    stamps: list[FileStamp] = []
    for done, (kind, path) in enumerate(files):
        on_progress("files", done, len(files))
        with Source(path) as source:
            stamps.append(source.stamp())
        match kind:
            case "qids":
                reader.read_qids(path)
            case "extra":
                reader.read_extra(path)
            case _:
                raise DumpError(f"{path}: files of the kind {kind} cannot be read yet")
    return stamps
