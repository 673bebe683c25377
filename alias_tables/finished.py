"""The finished tables: `schema.ENTITIES` and `schema.ALIASES` from what `resolve` and `priors` made."""

import duckdb

ENTITIES_SQL = """
create or replace temp table alias_tables_entities as
with linked as (
    select entity_id, sum(n_anchor) as n_inlinks from counts group by entity_id
),
named as (
    select entity_id, arg_max(surface, (n_anchor + n_wikidata_alias, -entity_id::bigint)) as surface
    from (from counts order by surface) group by entity_id
)
select entity_id, title,
    case when label is not null then label
        when title = 'Q' || entity_id then coalesce(named.surface, title)
        else title end as label,
    description, 'wikidata' as kind, flags, types, year::usmallint as year,
    least(coalesce(n_inlinks, 0), 4294967295)::uinteger as n_inlinks
from known_entities left join linked using (entity_id) left join named using (entity_id)
order by entity_id
"""

FINISHED_ALIASES_SQL = """
with kept as (
    select surface, sum(prior::float order by prior desc, entity_id)::float as kept_mass
    from ranked where reason is null group by surface
),
cuts as (
    select surface, [
        least(sum(n_anchor), 4294967295)::uinteger, least(sum(n_title), 4294967295)::uinteger,
        least(sum(n_title_stripped), 4294967295)::uinteger,
        least(sum(n_redirect), 4294967295)::uinteger, least(sum(n_disambig), 4294967295)::uinteger,
        least(sum(n_wikidata_alias), 4294967295)::uinteger
    ] as cut
    from ranked where reason is not null group by surface
)
select surface, entity_id,
    least(n_anchor, 4294967295)::uinteger as n_anchor,
    least(n_title, 4294967295)::uinteger as n_title,
    least(n_title_stripped, 4294967295)::uinteger as n_title_stripped,
    least(n_redirect, 4294967295)::uinteger as n_redirect,
    least(n_disambig, 4294967295)::uinteger as n_disambig,
    least(n_wikidata_alias, 4294967295)::uinteger as n_wikidata_alias,
    prior::float as prior,
    link_prob, kept_mass, cut
from ranked join kept using (surface) left join cuts using (surface)
    left join link_probs using (surface)
where reason is null
order by surface, entity_id
"""
"""The rows of `aliases` from `ranked` and `link_probs`."""
ALIASES_SQL = "create or replace temp table alias_tables_aliases as " + FINISHED_ALIASES_SQL


def finish_tables(
    connection: duckdb.DuckDBPyConnection,
) -> tuple[duckdb.DuckDBPyRelation, duckdb.DuckDBPyRelation]:
    """Make both tables; return them as relations, `entities` first."""
    connection.execute(ENTITIES_SQL)
    connection.execute(ALIASES_SQL)
    return (
        connection.table("temp.main.alias_tables_entities"),
        connection.table("temp.main.alias_tables_aliases"),
    )
