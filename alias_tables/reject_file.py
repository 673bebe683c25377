"""The reject file: everything a build left out, with its reason; complete, sorted, in flat memory.

One row a thing left out: its kind (page, link, row, pair), the reason, the page (0: none), a title, a
detail, and how many of it there are. A link that leads nowhere is named once for each target, with its number; the
page it stands on is known only for links whose own text is at fault.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from alias_tables.errors import AliasTableError
from alias_tables.report import RejectLog

SUFFIXES = (".tsv", ".tsv.gz", ".parquet")

LOST_SQL = """
create or replace temp view lost as
select 'link' as kind, reason, 0::bigint as page_id, target as title, '' as detail, sum(n)::ubigint as n
from raw_names join outcomes on raw_names.target = outcomes.title
where reason is not null
group by reason, target
union all
select 'row', reason, page_id, title, 'redirect', 1
from outcomes join (select distinct page_id, title from raw_pages where redirect is not null) using (title)
where reason is not null
union all
select 'row', reason, 0, raw_extra.title, surface, 1 from raw_extra join outcomes using (title)
where reason is not null
"""
"""What came to nothing once titles were resolved."""

LOST_PAIRS_SQL = """
select 'pair' as kind, reason, 0::bigint as page_id, title, surface as detail, 1::ubigint as n
from ranked join known_entities using (entity_id)
where reason is not null
"""
_COUNTS_SQL = "select kind, reason, sum(n)::ubigint from lost group by kind, reason order by all"
_EXAMPLES_SQL = """
select kind, reason, page_id, title, detail from lost
qualify row_number() over (partition by kind, reason order by n desc, title, page_id, detail) <= $listed
order by kind, reason, n desc, title, page_id, detail
"""
_ALL_SQL = f"""
with found as (
    select kind, reason, page_id, title, detail, n from read_parquet($files)
    union all from lost union all {LOST_PAIRS_SQL}
)
select kind, reason, page_id, regexp_replace(title, '\\s+', ' ', 'g') as title,
    regexp_replace(detail, '\\s+', ' ', 'g') as detail, n
from found
order by all
"""  # noqa: S608 (a constant of ours)


def check_suffix(path: Path) -> None:
    """Refuse a path whose suffix says nothing of its form, or whose folder is missing.

    Raises:
        AliasTableError: so it is.
    """
    if not path.name.endswith(SUFFIXES):
        raise AliasTableError(f"{path}: a reject file ends in {', '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise AliasTableError(f"{path}: its folder does not exist; make it first")


def count_lost(connection: duckdb.DuckDBPyConnection, logs: Mapping[str, RejectLog]) -> None:
    """Count what was lost when titles were resolved, in the log of its kind, with examples."""
    connection.execute(LOST_SQL)
    listed = max(log.listed for log in logs.values())
    examples = connection.execute(_EXAMPLES_SQL, {"listed": listed}).fetchall()
    counts = connection.execute(_COUNTS_SQL).fetchall()
    for kind, log in logs.items():
        log.merge(
            {reason: n for counted, reason, n in counts if counted == kind},
            [row[1:] for row in examples if row[0] == kind],
        )


def write_rejects(connection: duckdb.DuckDBPyConnection, path: Path, files: Sequence[Path]) -> None:
    """Write the reject file, aside and then renamed.

    Args:
        connection: that of the build, after pairs were ranked.
        path: .tsv, .tsv.gz or .parquet.
        files: what the readings left out.
    """
    rows = connection.sql(_ALL_SQL, params={"files": [str(file) for file in files]})
    aside = path.with_name(f".{path.name}.part")
    if path.suffix == ".parquet":
        rows.write_parquet(str(aside), compression="zstd")
    else:
        rows.write_csv(
            str(aside),
            sep="\t",
            quotechar="",
            escapechar="",
            compression="gzip" if path.suffix == ".gz" else "none",
        )
    aside.replace(path)
