"""Builds an alias table: dumps and further files in, the tables `entities` and `aliases` out.

The steps are those of the modules below: `harvest` reads the parts into raw tables, `tabular` adds further
files, `resolve` gives every title its entity, `priors` turns counts into P(e|m), `occurrences` reads the
dump again for the link probability. The result does not depend on the order of files or rows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from alias_tables.config import AliasConfig
from alias_tables.errors import AliasTableError, DumpError
from alias_tables.files import read_files
from alias_tables.finished import finish_tables
from alias_tables.harvest import (
    Harvest,
    Harvester,
    ordered_parts,
)
from alias_tables.inputs import BuildInputs
from alias_tables.occurrences import LINK_PROBS, OccurrenceCounter
from alias_tables.priors import count_names, rank_pairs
from alias_tables.raw_tables import create_like, insert
from alias_tables.reasons import Reason
from alias_tables.report import PARSER_VERSION, BuildReport, Reject, RejectLog, Stamp
from alias_tables.resolve import resolve_titles
from alias_tables.sources import FileStamp

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total); a total of 0 is unknown. The unit of reading is the byte."""

STAGES = ("read", "files", "resolve", "count", "link_probability", "finish")

_SURFACES_SQL = "select distinct surface from ranked where reason is null"
_LOST_LINKS_SQL = """
select reason, target, sum(n)::ubigint from raw_names join outcomes on raw_names.target = outcomes.title
where reason is not null
group by reason, target
order by reason, sum(n) desc, target
"""
_LOST_ROWS_SQL = """
select reason, page_id, title from outcomes
join (select distinct page_id, title from raw_pages where redirect is not null) using (title)
where reason is not null
union all
select reason, 0, raw_extra.title || ' (' || surface || ')' from raw_extra join outcomes using (title)
where reason is not null
order by all
"""
_TOTALS_SQL = """
select
    (select count(*) from pages where redirect is null),
    (select count(*) from pages where redirect is not null),
    (select count(*) from alias_tables_entities),
    (select count(*) from alias_tables_aliases),
    (select count(distinct surface) from alias_tables_aliases)
"""
_WORKING_TABLES = (
    "articles",
    "counts",
    "extra",
    "hops",
    "known_entities",
    "link_probs",
    "masses",
    "names",
    "outcomes",
    "pages",
    "ranked",
    "raw_extra",
    "raw_names",
    "raw_pages",
    "raw_qids",
    "title_entity",
    "title_qids",
    "titles",
)


@dataclass(frozen=True, slots=True)
class AliasTables:
    """The finished tables, as relations over temporary tables of the caller's connection.

    They keep `schema.ENTITIES` and `schema.ALIASES`; the next build on the connection replaces them.
    """

    entities: duckdb.DuckDBPyRelation
    aliases: duckdb.DuckDBPyRelation
    report: BuildReport


def _no_progress(stage: str, done: int, total: int) -> None:
    """Say nothing."""


def build(
    connection: duckdb.DuckDBPyConnection,
    inputs: BuildInputs,
    *,
    config: AliasConfig | None = None,
    on_progress: Progress = _no_progress,
) -> AliasTables:
    """Build `entities` and `aliases` from the parts of one dump and from further files.

    Args:
        connection: where temporary tables are made; nothing of the caller's is touched.
        inputs: the files to read.
        config: weights, limits and options.
        on_progress: called with (stage, done, total).

    Returns:
        The two tables and the report of what was read and left out.

    Raises:
        DumpError: a file is damaged, of the wrong kind or implausible; no table is left.
        AliasTableError: `inputs` hold nothing to build from.
    """
    if not inputs:
        raise AliasTableError("nothing to build from; give a dump, or a file of aliases or titles")
    settings = config or AliasConfig()
    try:
        return _build(connection, inputs, settings, on_progress)
    finally:
        for table in _WORKING_TABLES:
            connection.execute(f"drop table if exists temp.main.{table}")


def _build(
    connection: duckdb.DuckDBPyConnection,
    inputs: BuildInputs,
    config: AliasConfig,
    on_progress: Progress,
) -> AliasTables:
    parts = ordered_parts(inputs.dumps)
    harvest = _read_dumps(connection, parts, config, on_progress)
    rows = RejectLog(config.max_rejects_listed)
    stamps = read_files(connection, inputs, harvest.site, rows, on_progress)
    on_progress("resolve", 0, 0)
    for title, qid in resolve_titles(connection):
        rows.add(Reason.QID_CONFLICT, detail=f"{title}: Q{qid}")
    for reason, page_id, title in connection.execute(_LOST_ROWS_SQL).fetchall():
        rows.add(Reason(reason), page_id, title)
    for reason, target, n in connection.execute(_LOST_LINKS_SQL).fetchall():
        harvest.links.add(Reason(reason), detail=target, n=n)
    on_progress("count", 0, 0)
    count_names(connection, config)
    dropped = rank_pairs(connection, config)
    create_like(connection, "link_probs", LINK_PROBS)
    if parts and config.link_probability:
        _count_occurrences(connection, parts, harvest, config, on_progress)
    on_progress("finish", 0, 0)
    entities, aliases = finish_tables(connection)
    report = _report(connection, harvest, rows, dropped, _stamp(harvest, stamps, config))
    return AliasTables(entities, aliases, report)


def _track(
    readings: Iterable[tuple[Path, Iterator[int]]], stage: str, total: int, on_progress: Progress
) -> None:
    """Run the readings one after the other and report the bytes done, a hundred times in all or so."""
    base, told = 0, 0
    on_progress(stage, 0, total)
    for path, positions in readings:
        for position in positions:
            if base + position - told > total // 100:
                told = base + position
                on_progress(stage, told, total)
        base += path.stat().st_size
    on_progress(stage, total, total)


def _read_dumps(
    connection: duckdb.DuckDBPyConnection,
    parts: Sequence[Path],
    config: AliasConfig,
    on_progress: Progress,
) -> Harvest:
    harvester = Harvester(connection, config)
    if not parts:
        return harvester.result
    total = _size(parts)
    _track(((part, harvester.read(part)) for part in parts), "read", total, on_progress)
    return harvester.finish()


def _size(paths: Sequence[Path]) -> int:
    """Return the bytes of all files; a missing one is refused before anything is read."""
    total = 0
    for path in paths:
        if not path.is_file():
            raise DumpError(f"{path}: no such file; check the path")
        total += path.stat().st_size
    return total


def _count_occurrences(
    connection: duckdb.DuckDBPyConnection,
    parts: Sequence[Path],
    harvest: Harvest,
    config: AliasConfig,
    on_progress: Progress,
) -> None:
    """Fill `link_probs` from a second reading."""
    surfaces = (str(row[0]) for row in connection.execute(_SURFACES_SQL).fetchall())
    counter = OccurrenceCounter(surfaces, harvest.site, config)
    readings = ((part, counter.read(part)) for part in parts)
    _track(readings, "link_probability", _size(parts), on_progress)
    for table in counter.link_probs():
        insert(connection, "link_probs", table)


def _stamp(harvest: Harvest, files: Sequence[FileStamp], config: AliasConfig) -> Stamp:
    stamps = sorted([*harvest.stamps, *files], key=lambda stamp: (stamp.name, stamp.sha256))
    site = harvest.site
    return Stamp(
        tuple(stamps),
        site.dbname,
        site.language,
        site.first_letter,
        PARSER_VERSION,
        config.model_dump_json(),
    )


def _report(
    connection: duckdb.DuckDBPyConnection,
    harvest: Harvest,
    rows: RejectLog,
    dropped: dict[Reason, int],
    stamp: Stamp,
) -> BuildReport:
    totals = connection.execute(_TOTALS_SQL).fetchall()[0]
    articles, redirects, entities, pairs, surfaces = totals
    examples: list[Reject] = [
        *harvest.pages.examples,
        *harvest.links.examples,
        *rows.examples,
    ]
    return BuildReport(
        stamp=stamp,
        pages_read=harvest.n_pages,
        articles=articles,
        redirects=redirects,
        skipped_pages=dict(harvest.pages.counts),
        links=harvest.n_links,
        links_in_templates=harvest.n_links_in_templates,
        rejected_links=dict(harvest.links.counts),
        rejected_rows=dict(rows.counts),
        dropped_pairs=dropped,
        invalid_utf8=harvest.invalid_utf8,
        damaged_places=harvest.damaged,
        surfaces=surfaces,
        entities=entities,
        pairs=pairs,
        rejects=tuple(examples),
    )
