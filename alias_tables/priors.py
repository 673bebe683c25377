"""From counts to P(e|m): surfaces and entities counted per channel, priors, cuts.

    P(e | m) = freq(m, e) / freq(m)        (paper 002, eq. 3)
    freq(m, e) = sum over channels of weight * n(m, e, channel),  freq(m) = sum over e of freq(m, e)

Only link texts have weight by default. A surface without any weighted count takes the pseudo-counts of
`AliasConfig` in place of the weights. Priors are computed before pairs are dropped, so the priors of a
surface sum to the mass that was kept. Sums are of integers, so that no order of rows changes a bit.
"""

import duckdb

from alias_tables.config import AliasConfig
from alias_tables.reasons import Reason
from alias_tables.schema import CHANNELS

CUT_ID = 0
"""Stands for all pairs of a surface that a finished table has left out: they have mass, but are no candidate."""

NAMES_SQL = """
create or replace temp table names as
select surface, entity_id, channel, n from raw_names join outcomes on raw_names.target = outcomes.title
where entity_id is not null
union all
select versions.title, entity_id, 'title', 1
from (select distinct page_id, title from raw_pages where redirect is null) as versions
join pages using (page_id) join outcomes on pages.title = outcomes.title
where entity_id is not null
union all
select versions.label, entity_id, 'title_stripped', 1
from (select distinct page_id, label from raw_pages where redirect is null) as versions
join pages using (page_id) join outcomes on pages.title = outcomes.title
where entity_id is not null and versions.label is not null
union all
select versions.title, entity_id, 'redirect', 1
from (
    select distinct page_id, title from raw_pages
    where redirect is not null and ($section_redirects or coalesce(section, '') = '')
) as versions
join outcomes using (title)
where entity_id is not null
union all
select surface, coalesce(outcomes.entity_id, case when raw_extra.title is null then qid end), channel, n
from raw_extra left join outcomes using (title)
where outcomes.entity_id is not null or raw_extra.title is null
"""

COUNTS_SQL = """
create or replace temp table counts as
select surface, entity_id,
    coalesce(sum(n) filter (channel = 'anchor'), 0)::ubigint as n_anchor,
    coalesce(sum(n) filter (channel = 'title'), 0)::ubigint as n_title,
    coalesce(sum(n) filter (channel = 'title_stripped'), 0)::ubigint as n_title_stripped,
    coalesce(sum(n) filter (channel = 'redirect'), 0)::ubigint as n_redirect,
    coalesce(sum(n) filter (channel = 'disambig'), 0)::ubigint as n_disambig,
    coalesce(sum(n) filter (channel = 'wikidata_alias'), 0)::ubigint as n_wikidata_alias
from names
where surface <> ''
group by surface, entity_id
"""

MASSES_SQL = """
create or replace temp table masses as
with weighted as (
    select *,
        $w_anchor * n_anchor + $w_title * n_title + $w_title_stripped * n_title_stripped
            + $w_redirect * n_redirect + $w_disambig * n_disambig
            + $w_wikidata_alias * n_wikidata_alias as weight,
        $p_anchor * n_anchor + $p_title * n_title + $p_title_stripped * n_title_stripped
            + $p_redirect * n_redirect + $p_disambig * n_disambig
            + $p_wikidata_alias * n_wikidata_alias as pseudo
    from counts
),
judged as (
    select *, weight > 0 as real, bool_or(weight > 0) over (partition by surface) as seen from weighted
),
totals as (
    select surface, real, seen, sum(n_anchor) as anchor, sum(n_title) as title,
        sum(n_title_stripped) as title_stripped, sum(n_redirect) as redirect,
        sum(n_disambig) as disambig, sum(n_wikidata_alias) as wikidata_alias
    from judged group by surface, real, seen
),
freqs as (
    select surface, sum(freq order by real) as freq from (
        select surface, real, case
            when real then $w_anchor * anchor + $w_title * title + $w_title_stripped * title_stripped
                + $w_redirect * redirect + $w_disambig * disambig + $w_wikidata_alias * wikidata_alias
            when $smooth or not seen then $p_anchor * anchor + $p_title * title
                + $p_title_stripped * title_stripped + $p_redirect * redirect
                + $p_disambig * disambig + $p_wikidata_alias * wikidata_alias
            else 0
        end as freq
        from totals
    ) group by surface
)
select judged.* exclude (weight, pseudo, real, seen),
    case when real then weight when $smooth or not seen then pseudo else 0 end as mass, freq
from judged join freqs using (surface)
"""

RANKED_SQL = """
create or replace temp table ranked as
with judged as (
    select masses.*, mass / nullif(freq, 0) as prior, case
        when entity_id = $cut_id then $beyond_max_candidates
        when mass <= 0 then $zero_mass
        when length(surface) not between $min_alias_chars and $max_alias_chars
            or ($drop_digits and regexp_full_match(surface, '[\\p{N}\\s]+'))
            or ($drop_punctuation and not regexp_matches(surface, '[\\p{L}\\p{N}\\p{S}]'))
            then $excluded_alias
        when list_has_any(flags, $exclude_flags::varchar[]) then $excluded_flag
        when n_anchor < $min_count and n_anchor > 0 and n_title + n_title_stripped + n_redirect
            + n_disambig + n_wikidata_alias = 0 then $below_min_count
    end as reason
    from masses join known_entities using (entity_id)
),
placed as (
    select *, row_number() over (
        partition by surface, reason is null order by prior desc, entity_id
    ) as place
    from judged
)
select * exclude (reason, place), case
    when reason is null and place > $max_candidates then $beyond_max_candidates else reason
end as reason
from placed
"""
"""Every pair with its prior and, if it is left out, the first reason that holds."""

_DROPPED_SQL = (
    "select reason, count(*) from ranked where reason is not null group by reason order by all"
)


def count_names(connection: duckdb.DuckDBPyConnection, config: AliasConfig) -> None:
    """Make `counts`: one row a (surface, entity) with its count in each channel."""
    connection.execute(NAMES_SQL, {"section_redirects": config.section_redirects})
    connection.execute(COUNTS_SQL)


def rank_pairs(connection: duckdb.DuckDBPyConnection, config: AliasConfig) -> dict[Reason, int]:
    """Make `ranked`: every pair with its prior; return how many are left out, by reason."""
    numbers: dict[str, object] = {"smooth": config.smooth}
    for channel in CHANNELS:
        numbers[f"w_{channel}"] = getattr(config.weights, channel)
        numbers[f"p_{channel}"] = getattr(config.pseudo_counts, channel)
    connection.execute(MASSES_SQL, numbers)
    reasons = (
        Reason.BELOW_MIN_COUNT,
        Reason.BEYOND_MAX_CANDIDATES,
        Reason.EXCLUDED_ALIAS,
        Reason.EXCLUDED_FLAG,
        Reason.ZERO_MASS,
    )
    options: dict[str, object] = {str(reason): str(reason) for reason in reasons}
    options |= config.model_dump(
        include={
            "drop_digits",
            "drop_punctuation",
            "max_alias_chars",
            "max_candidates",
            "min_alias_chars",
            "min_count",
        }
    )
    options["cut_id"] = CUT_ID
    options["exclude_flags"] = sorted(config.exclude_flags)
    connection.execute(RANKED_SQL, options)
    return {Reason(reason): n for reason, n in connection.execute(_DROPPED_SQL).fetchall()}
