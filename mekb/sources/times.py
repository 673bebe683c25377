"""In which unit a file writes its times, told by their size and never by a setting.

Times since 1970 are taken for seconds up to the year 5138, then for milliseconds, micro- and nanoseconds,
each a thousand times larger; a file must keep to one of them. Numbers below 100 million (March 1973 in
seconds, the second day of 1970 in milliseconds) say nothing and go with the others.
"""

from enum import StrEnum
from pathlib import Path

import duckdb

from mekb.errors import SourceError


class TimeUnit(StrEnum):
    """How a file's times are written."""

    SECONDS = "s"
    MILLISECONDS = "ms"
    MICROSECONDS = "us"
    NANOSECONDS = "ns"
    DAY = "YYYYMMDD"
    ISO = "ISO 8601"

    @property
    def micros(self) -> float:
        """Microseconds in one unit; 0 for those that are no count."""
        return {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}.get(self.value, 0.0)


TIME_UNITS_SQL = r"""
with times as (
    select trim("at") as written, try_cast(trim("at") as double) as number
    from source_rows
    where trim("at") <> ''
),
sized as (
    select
        written,
        number,
        case
            when number is null then null
            when not isfinite(number) then null
            when number >= 1e17 then 'ns'
            when number >= 1e14 then 'us'
            when number >= 1e11 then 'ms'
            when number >= 1e8 then 's'
        end as unit
    from times
)
select
    coalesce(
        unit,
        case
            when number is null and try_cast(written as timestamp) is not null then 'ISO 8601'
            when regexp_full_match(written, '(19|20)\d{6}') then 'YYYYMMDD'
            when number >= 0 and isfinite(number) then 'small'
        end
    ) as unit,
    count(*) as n_rows
from sized
group by all
having unit is not null
order by unit
"""
"""Of the table source_rows: how many times look like each unit; 'small' ones fit any count."""


def time_unit(cursor: duckdb.DuckDBPyConnection, path: Path) -> TimeUnit | None:
    """Return the unit of the column "at" of the table source_rows, None if no time can be read.

    Raises:
        SourceError: if the file mixes units.
    """
    counts = dict(cursor.sql(TIME_UNITS_SQL).fetchall())
    n_small = counts.pop("small", 0)
    if n_small or any(unit not in {TimeUnit.DAY, TimeUnit.ISO} for unit in counts):
        # 19980101 among counts of seconds is a second of 1970, not a day.
        n_small += counts.pop(TimeUnit.DAY.value, 0)
    if n_small and set(counts) <= {TimeUnit.ISO.value}:
        counts[TimeUnit.SECONDS.value] = n_small
    if len(counts) > 1:
        found = " and ".join(f"{unit} ({n_rows:,} rows)" for unit, n_rows in counts.items())
        raise SourceError(f"{path}: times are written in several units: {found}; use one")
    return TimeUnit(next(iter(counts))) if counts else None
