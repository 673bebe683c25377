"""One file's rows judged: typed values of the good ones, and a reason for each of the others.

Every judgement is one CASE in SQL, so that its order is in one place: the first reason that holds is the
one reported.
"""

import math
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from mekb.errors import SourceError
from mekb.sources.config import INTERACTION_COLUMNS, ITEM_COLUMNS, ImportConfig
from mekb.sources.formats import RawTable
from mekb.sources.report import N_EXAMPLES, FileReport, Rejected, shorten
from mekb.sources.times import TimeUnit, time_unit

JUDGED_ITEMS_SQL = """
select
    row,
    item,
    coalesce(nullif(trim(domain), ''), $file_domain) as domain,
    title,
    text,
    nullif(trim(brand), '') as brand,
    categories,
    case
        when item = '' then 'no item id'
        when coalesce(nullif(trim(domain), ''), $file_domain) is null then 'no domain'
    end as reason,
    item as shown
from source_rows
order by row
"""

JUDGED_INTERACTIONS_SQL = """
with typed as (
    select
        row,
        "user",
        source_rows.item,
        coalesce(
            nullif(trim(source_rows.domain), ''), $file_domain, source_homes.domain, $only_domain
        ) as domain,
        coalesce(is_shared, false)
            and trim(source_rows.domain) = '' and $file_domain is null as is_ambiguous,
        trim(rating) as rating_written,
        try_cast(trim(rating) as float) as rating,
        trim("at") as at_written,
        try_cast(trim("at") as double) as number
    from source_rows
    left join source_homes
        on source_homes.item = source_rows.item
),
timed as (
    select
        *,
        case
            when at_written = '' then null
            when $unit = 'ISO 8601' and regexp_matches(at_written, ':.*(Z|z|[+-][0-9:]+)$')
                then epoch_us(try_cast(at_written as timestamptz))
            when $unit = 'ISO 8601' then epoch_us(try_cast(at_written as timestamp))
            when $unit = 'YYYYMMDD' then epoch_us(try_strptime(at_written, '%Y%m%d'))
            when isfinite(number) and abs(number * $micros) < 2.5e17
                then cast(round(number * $micros) as bigint)
        end as micros
    from typed
)
select
    row,
    "user",
    item,
    domain,
    case when $has_ratings then rating end as rating,
    make_timestamp(micros) as "at",
    case
        when "user" = '' then 'no user id'
        when item = '' then 'no item id'
        when domain is null then 'no domain, and the item is not in the items files'
        when is_ambiguous then 'no domain, and the item id is in several'
        when $has_ratings and rating_written = '' then 'no rating'
        when $has_ratings and rating is null then 'rating is not a number'
        when $has_ratings and not isfinite(rating) then 'rating is not finite'
        when $has_ratings and (rating < $lowest or rating > $highest) then 'rating is outside the scale'
        when at_written <> '' and number < 0 then 'time is negative'
        when at_written <> '' and micros is null then 'time cannot be read'
    end as reason,
    case
        when "user" = '' or item = '' or domain is null or is_ambiguous then "user" || ' ' || item
        when $has_ratings and not coalesce(rating between $lowest and $highest and isfinite(rating), false)
            then rating_written
        else at_written
    end as shown
from timed
order by row
"""


AMBIGUOUS = "no domain, and the item id is in several"
"""The reason of a row whose item cannot be told; such a row fails the import."""


@dataclass(frozen=True)
class Rows:
    """The good rows of one file, in order, and the account of all."""

    table: pa.Table
    report: FileReport


def judge_items(cursor: duckdb.DuckDBPyConnection, raw: RawTable, config: ImportConfig) -> Rows:
    """Return the rows of an items file that name an item and a domain.

    Raises:
        SourceError: if nothing names a domain, or no row is good, or one is not and `strict` is set.
    """
    file_domain = raw.domain or config.domain_of(raw.path.name)
    if file_domain is None and "domain" not in raw.table.column_names:
        raise SourceError(
            f"{raw.path}: no column {config.domain!r} names the domain of an item; set `domain` to"
            " a column, `default_domain`, or `file_domains`"
        )
    cursor.register("source_rows", _all_columns(raw.table, ITEM_COLUMNS))
    judged = cursor.sql(JUDGED_ITEMS_SQL, params={"file_domain": file_domain}).to_arrow_table()
    cursor.unregister("source_rows")
    return _kept(raw, judged, None, strict=config.strict)


def judge_interactions(
    cursor: duckdb.DuckDBPyConnection,
    raw: RawTable,
    homes: pa.Table,
    config: ImportConfig,
) -> Rows:
    """Return the rows of an interactions file with known ids, a finite rating and a readable time.

    Args:
        cursor: where the judging runs.
        raw: the file as read.
        homes: the columns item, domain and is_shared (the id is in several domains), for rows that
            name no domain.
        config: the settings.

    Raises:
        SourceError: if times mix units, an item cannot be told, or no row is good, or one is not and `strict` is set.
    """
    cursor.register("source_rows", _all_columns(raw.table, INTERACTION_COLUMNS))
    cursor.register("source_homes", homes)
    domains = pc.unique(homes["domain"]).to_pylist()
    unit = time_unit(cursor, raw.path)
    params = {
        "file_domain": raw.domain or config.domain_of(raw.path.name),
        "only_domain": domains[0] if len(domains) == 1 else None,
        "unit": unit.value if unit else "",
        "micros": unit.micros if unit else 0.0,
        "has_ratings": has_values(raw, "rating"),
        "lowest": config.rating_scale[0] if config.rating_scale else -math.inf,
        "highest": config.rating_scale[1] if config.rating_scale else math.inf,
    }
    judged = cursor.sql(JUDGED_INTERACTIONS_SQL, params=params).to_arrow_table()
    for name in ("source_rows", "source_homes"):
        cursor.unregister(name)
    return _kept(raw, judged, unit, strict=config.strict)


def has_values(raw: RawTable, role: str) -> bool:
    """Return whether a column is there and not empty in every row."""
    if role not in raw.table.column_names:
        return False
    return bool(pc.any(pc.not_equal(raw.table[role], "")).as_py())


def _all_columns(table: pa.Table, roles: tuple[str, ...]) -> pa.Table:
    """Return the table with an empty column for each role it lacks."""
    for role in roles:
        if role not in table.column_names:
            empty = (
                pa.array([[]] * table.num_rows, pa.list_(pa.string()))
                if role == "categories"
                else pa.repeat(pa.scalar("", pa.string()), table.num_rows)
            )
            table = table.append_column(role, empty)
    return table


def _kept(raw: RawTable, judged: pa.Table, unit: TimeUnit | None, *, strict: bool) -> Rows:
    """Split judged rows into the good ones and the account of the others."""
    bad = judged.filter(pc.is_valid(judged["reason"]))
    good = judged.filter(pc.is_null(judged["reason"])).drop_columns(["reason", "shown"])
    rejected = [*raw.rejected]
    for reason in sorted(pc.unique(bad["reason"]).to_pylist()):
        rows = bad.filter(pc.equal(bad["reason"], reason))
        examples = rows.slice(0, N_EXAMPLES).select(["row", "shown"]).to_pylist()
        shown = tuple(f"row {entry['row']}: {shorten(entry['shown'])}" for entry in examples)
        rejected.append(Rejected(reason=reason, n_rows=rows.num_rows, examples=shown))
        if reason == AMBIGUOUS:
            raise SourceError(
                f"{raw.path}: {rows.num_rows:,} rows name no domain, and their item ids are in several"
                f" ({'; '.join(shown)}); add a domain column, or set `file_domains`"
            )
    first = rejected[0] if rejected else None
    if first and (strict or not good.num_rows):
        why = "strict import" if strict else "no row can be kept"
        total = sum(entry.n_rows for entry in rejected)
        raise SourceError(
            f"{raw.path}: {why}: {total:,} of {raw.n_read:,} rows rejected;"
            f" {first.reason}: {'; '.join(first.examples)}"
        )
    report = FileReport(
        file=str(raw.path),
        format=raw.format,
        n_read=raw.n_read,
        n_kept=good.num_rows,
        rejected=tuple(rejected),
        time_unit=unit.value if unit else None,
    )
    return Rows(good, report)
