"""Builds an alias table: dumps and further files in, the tables `entities` and `aliases` out.

The steps are those of the modules below: `slices` plans the reading, `readings` runs `harvest` over the
slices into raw tables, `files` adds further files, `resolve` gives every title its entity, `priors` turns
counts into P(e|m), `readings` reads the dump again for the link probability (`occurrences`). The result
does not depend on the order of files or rows, on the number of workers, or on interruptions.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from alias_tables.config import AliasConfig
from alias_tables.errors import AliasTableError, WorkerError
from alias_tables.files import read_files
from alias_tables.finished import finish_tables
from alias_tables.inputs import BuildInputs
from alias_tables.occurrences import LINK_PROBS
from alias_tables.options import BuildOptions
from alias_tables.own_graph import add_graph, graph_entities
from alias_tables.priors import count_names, rank_pairs
from alias_tables.raw_tables import create_like, load_raw_tables
from alias_tables.readings import Harvest, Progress, Readings
from alias_tables.reasons import Reason
from alias_tables.reject_file import check_suffix, count_lost, write_rejects
from alias_tables.report import PARSER_VERSION, BuildReport, RejectLog, Stamp
from alias_tables.resolve import resolve_titles
from alias_tables.row_files import REJECTS, RowFile, reject_sink
from alias_tables.slices import Plan, plan_reading
from alias_tables.sources import FileStamp
from alias_tables.work_folder import WorkFolder, opened_work_folder
from alias_tables.workers import Crew

STAGES = (
    "check",  # hashes, on resuming
    "read",
    "read_again",  # slices that hold pages of an earlier one
    "files",
    "resolve",
    "count",
    "link_probability",
    "finish",
)
"""The unit of reading is the byte of the packed file; a total of 0 is unknown."""

AFTER_THE_READING = frozenset(
    {
        *("weights", "pseudo_counts", "smooth", "max_candidates", "min_count", "min_alias_chars"),
        *("max_alias_chars", "drop_digits", "drop_punctuation", "exclude_flags"),
        *("section_redirects", "link_probability"),
    }
)
"""Options that what is read of a dump does not depend on: they may change between build and resumption."""

_TOTALS_SQL = """
select
    (select count(*) from pages where redirect is null),
    (select count(*) from pages where redirect is not null),
    (select count(*) from alias_tables_entities),
    (select count(*) from alias_tables_aliases),
    (select count(distinct surface) from alias_tables_aliases)
"""
_TEMPORARY_TABLES_SQL = "select table_name from duckdb_tables() where temporary"


@dataclass(frozen=True, slots=True)
class AliasTables:
    """The finished tables, as relations over temporary tables of the caller's connection.

    They keep `schema.ENTITIES` and `schema.ALIASES`; the next build on the connection replaces them.
    """

    entities: duckdb.DuckDBPyRelation
    aliases: duckdb.DuckDBPyRelation
    report: BuildReport
    graph: pa.Table
    """Rows of `schema.GRAPH_ENTITIES`: what is known of the entities of one's own graph beyond names."""


def _no_progress(stage: str, done: int, total: int) -> None:
    """Say nothing."""


def build(
    connection: duckdb.DuckDBPyConnection,
    inputs: BuildInputs,
    *,
    config: AliasConfig | None = None,
    options: BuildOptions | None = None,
    on_progress: Progress = _no_progress,
) -> AliasTables:
    """Build `entities` and `aliases` from the parts of one dump and from further files.

    Args:
        connection: where temporary tables are made; nothing of the caller's is touched.
        inputs: the files to read.
        config: weights, limits and whatever else decides the result.
        options: workers, work folder, reject file: what does not.
        on_progress: called with (stage, done, total).

    Returns:
        The two tables and the report of what was read and left out.

    Raises:
        DumpError: a file is damaged, of the wrong kind or implausible; no table is left.
        WorkFolderError: the work folder holds something else.
        WorkerError: a worker was ended by the system; what is finished can be resumed from.
        AliasTableError: `inputs` hold nothing to build from, or an option is impossible.
    """
    if not inputs:
        raise AliasTableError("nothing to build from; give a dump, or a file of aliases or titles")
    run = options or BuildOptions()
    if run.workers < 1:
        raise AliasTableError(f"{run.workers} workers; one at least is needed")
    if run.rejects is not None:
        check_suffix(run.rejects)
    settings = config or AliasConfig()
    with _working_tables(connection) as kept:
        try:
            tables = _build(connection, inputs, settings, run, on_progress)
        except WorkerError as error:
            hint = f", and resume from {run.work}" if run.work else ""
            raise WorkerError(f"{error}{hint}") from error
        kept.update({"alias_tables_entities", "alias_tables_aliases"})
    return tables


@contextlib.contextmanager
def _working_tables(connection: duckdb.DuckDBPyConnection) -> Iterator[set[str]]:
    """Drop at the end the temporary tables made meanwhile, but for those whose names were added."""

    def present() -> set[str]:
        return {str(name) for (name,) in connection.execute(_TEMPORARY_TABLES_SQL).fetchall()}

    kept = present()
    try:
        yield kept
    finally:
        connection.execute("drop view if exists temp.main.lost")
        for table in present() - kept:
            connection.execute(f'drop table temp.main."{table}"')


@dataclass(frozen=True, slots=True)
class _Rows:
    """What became of rows beside the dump's pages."""

    log: RejectLog
    stamps: list[FileStamp]
    dropped: dict[Reason, int]


def _build(
    connection: duckdb.DuckDBPyConnection,
    inputs: BuildInputs,
    config: AliasConfig,
    options: BuildOptions,
    on_progress: Progress,
) -> AliasTables:
    plan = plan_reading(inputs.dumps, config.language, options.slice_bytes)
    identity = _identity(plan, config)
    with (
        opened_work_folder(options.work, identity, resume=options.resume) as folder,
        Crew(options.workers) as crew,
    ):
        readings = Readings(plan, config, folder, crew, on_progress)
        listed = config.max_rejects_listed
        harvest = Harvest(RejectLog(listed), RejectLog(listed), plan.site)
        if plan.parts:
            wanted = options.rejects is not None
            harvest = readings.first(connection, options.sha256, rejects=wanted)
        else:
            load_raw_tables(connection, [], [])
        rows = _resolve(connection, inputs, config, harvest, folder, on_progress)
        if plan.parts and config.link_probability:
            readings.second(connection)
        else:
            create_like(connection, "link_probs", LINK_PROBS)
        on_progress("finish", 0, 0)
        entities, aliases = finish_tables(connection)
        if options.rejects is not None:
            write_rejects(connection, options.rejects, [*harvest.rejects, _row_rejects(folder)])
        graph = graph_entities(connection)
    return AliasTables(entities, aliases, _report(connection, harvest, rows, config), graph)


def _identity(plan: Plan, config: AliasConfig) -> dict[str, object]:
    """Return what the work on a dump is of: two builds of one identity read the same."""
    return {
        "parser_version": PARSER_VERSION,
        "files": [[part.name, part.stat().st_size] for part in plan.parts],
        "options": config.model_dump(mode="json", exclude=set(AFTER_THE_READING)),
    }


def _row_rejects(folder: WorkFolder) -> Path:
    return folder.path / "rows.parquet"


def _resolve(
    connection: duckdb.DuckDBPyConnection,
    inputs: BuildInputs,
    config: AliasConfig,
    harvest: Harvest,
    folder: WorkFolder,
    on_progress: Progress,
) -> _Rows:
    """Read the files beside the dump, and turn raw tables into ranked pairs."""
    with RowFile(_row_rejects(folder), REJECTS) as file:
        log = RejectLog(config.max_rejects_listed, sink=reject_sink(file, "row"))
        stamps = read_files(
            *(connection, inputs, harvest.site, log, on_progress),
            skip_damaged=config.skip_damaged_pages,
        )
        on_progress("resolve", 0, 0)
        for title, qid in resolve_titles(connection):
            log.add(Reason.QID_CONFLICT, title=title, detail=f"Q{qid}")
    count_lost(connection, {"row": log, "link": harvest.links})
    add_graph(connection)
    on_progress("count", 0, 0)
    count_names(connection, config)
    return _Rows(log, stamps, rank_pairs(connection, config))


def _report(
    connection: duckdb.DuckDBPyConnection, harvest: Harvest, rows: _Rows, config: AliasConfig
) -> BuildReport:
    site = harvest.site
    files = sorted([*harvest.stamps, *rows.stamps], key=lambda stamp: (stamp.name, stamp.sha256))
    articles, redirects, entities, pairs, surfaces = connection.execute(_TOTALS_SQL).fetchall()[0]
    return BuildReport(
        stamp=Stamp(
            tuple(files),
            site.dbname,
            site.language,
            site.first_letter,
            PARSER_VERSION,
            config.model_dump_json(),
        ),
        pages_read=harvest.n_pages,
        articles=articles,
        redirects=redirects,
        skipped_pages=dict(harvest.pages.counts),
        links=harvest.n_links,
        links_in_templates=harvest.n_links_in_templates,
        rejected_links=dict(harvest.links.counts),
        rejected_rows=dict(rows.log.counts),
        dropped_pairs=rows.dropped,
        invalid_utf8=harvest.invalid_utf8,
        damaged_places=harvest.damaged,
        surfaces=surfaces,
        entities=entities,
        pairs=pairs,
        rejects=(*harvest.pages.examples, *harvest.links.examples, *rows.log.examples),
    )
