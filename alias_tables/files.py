"""Reads the files beside the dump into raw tables, each by the reader of its kind.

In: the paths of `BuildInputs` other than dumps. Out: the raw tables of `tabular`, `page_tables`,
`wikidata_items` and `merged_qids`, always all of them (empty where no file was given), and the stamp of each
file.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb

from alias_tables.errors import DumpError
from alias_tables.inputs import BuildInputs
from alias_tables.merged_qids import follow_merged, page_dump_beside, read_merged
from alias_tables.own_graph import create_raw_graph, load_graph
from alias_tables.page_tables import PageTableReader
from alias_tables.reasons import Reason
from alias_tables.report import RejectLog
from alias_tables.site import Site
from alias_tables.sources import FileStamp, Source
from alias_tables.tabular import FileReader
from alias_tables.wikidata_items import ItemLoader


def read_files(
    connection: duckdb.DuckDBPyConnection,
    inputs: BuildInputs,
    site: Site,
    rejects: RejectLog,
    on_progress: Callable[[str, int, int], None],
    *,
    skip_damaged: bool = False,
) -> list[FileStamp]:
    """Read the files beside the dump; return their stamps.

    Damaged lines of Wikidata's dump are passed over and counted if `skip_damaged`.

    Raises:
        DumpError: a file is missing, or cannot be read as what it is given as.
    """
    files = list(inputs.beside_the_dump())
    for _, path in files:
        if not path.is_file():
            raise DumpError(f"{path}: no such file; check the path")
    reader = FileReader(connection, site, rejects)
    tables = PageTableReader(connection, site, rejects)
    items = ItemLoader(connection, site, rejects)
    create_raw_graph(connection)
    more_pages: Path | None = None
    stamps: list[FileStamp] = []
    readers: dict[str, Callable[[Path], object]] = {
        "qids": reader.read_qids,
        "extra": reader.read_extra,
        "page_props": tables.read_page_props,
        "redirects": tables.read_redirects,
        "pages": tables.read_pages,
        "graph": lambda path: load_graph(connection, path, site.language, rejects),
        "wikidata": partial(items.read, skip_damaged_lines=skip_damaged),
    }
    files.sort(key=lambda file: file[0] == "wikidata")  # last: it asks which QIDs the others name
    for done, (kind, path) in enumerate(files):
        on_progress("files", done, len(files))
        with Source(path) as source:
            stamps.append(source.stamp())
        if kind == "merged":
            more_pages = page_dump_beside(path)
        else:
            readers[kind](path)
    if more_pages is not None:
        with Source(more_pages) as source:
            stamps.append(source.stamp())
    read_merged(connection, inputs.merged, rejects, more_pages)
    renamed = follow_merged(connection)
    if renamed:
        rejects.add(Reason.QID_MERGED, detail="rows that name the QID it became", n=renamed)
    tables.finish(articles_too=not inputs.dumps)
    return stamps
