"""New priors from the counts of finished tables, without a second reading of the dump.

In: `entities` and `aliases` as a build made them, and an `AliasConfig` with other weights, pseudo-counts or
cuts. Out: `aliases` again. What the finished table has lost stays lost as a candidate, but not as mass:

    freq(m) = sum over the rows of m of freq(m, e)  +  freq of the counts in `cut`

so P(e|m) of every pair that is still there is what a build with these weights would have given, with one
exception: where `smooth` mixes weights and pseudo-counts, `cut` is a sum and no longer tells which of its pairs
had weight, so all of it takes the weights if any of it has some.

A build leaves out pairs without weight (a title nobody links by) as `zero_mass`. For weights to come, build
with `smooth=True`: then only `max_candidates` and what the options exclude are lost. Options that say which
names are counted at all (`section_redirects`, `links_in_templates`, ...) need a build.
"""

import duckdb
import pyarrow as pa

from alias_tables.config import AliasConfig
from alias_tables.errors import TableError
from alias_tables.finished import FINISHED_ALIASES_SQL
from alias_tables.priors import CUT_ID, rank_pairs
from alias_tables.schema import ALIASES

COUNTS_SQL = """
create or replace temp table counts as
select surface, entity_id, n_anchor::ubigint as n_anchor, n_title::ubigint as n_title,
    n_title_stripped::ubigint as n_title_stripped, n_redirect::ubigint as n_redirect,
    n_disambig::ubigint as n_disambig, n_wikidata_alias::ubigint as n_wikidata_alias
from alias_tables_given_aliases
union all
select surface, $cut_id, cut[1], cut[2], cut[3], cut[4], cut[5], cut[6]
from (select surface, any_value(cut) as cut from alias_tables_given_aliases group by surface)
where cut is not null
"""
KNOWN_ENTITIES_SQL = """
create or replace temp table known_entities as
select entity_id, flags from alias_tables_given_entities union all select $cut_id, []
"""
LINK_PROBS_SQL = """
create or replace temp table link_probs as
select surface, any_value(link_prob) as link_prob from alias_tables_given_aliases group by surface
"""
_WORKING_TABLES = ("counts", "known_entities", "link_probs", "masses", "ranked")


def reweigh(
    connection: duckdb.DuckDBPyConnection,
    entities: pa.Table,
    aliases: pa.Table,
    config: AliasConfig,
) -> pa.Table:
    """Return `aliases` with the priors, cuts and kept mass of another configuration.

    Args:
        connection: where temporary tables are made and dropped again.
        entities: rows of `schema.ENTITIES`; their flags decide `exclude_flags`.
        aliases: rows of `schema.ALIASES`.
        config: weights, pseudo-counts and cuts.

    Raises:
        TableError: the tables lack columns of their schemas.
    """
    missing = sorted({*ALIASES.names} - {*aliases.column_names})
    if missing or not {"entity_id", "flags"} <= {*entities.column_names}:
        raise TableError(
            f"the tables to reweigh lack {', '.join(missing) or 'entity_id or flags'}; give both tables"
            " of one build"
        )
    connection.register("alias_tables_given_aliases", aliases)
    connection.register("alias_tables_given_entities", entities)
    try:
        for statement in (COUNTS_SQL, KNOWN_ENTITIES_SQL):
            connection.execute(statement, {"cut_id": CUT_ID})
        connection.execute(LINK_PROBS_SQL)
        rank_pairs(connection, config)
        rows: pa.Table = connection.sql(FINISHED_ALIASES_SQL).to_arrow_table()
    finally:
        for table in _WORKING_TABLES:
            connection.execute(f"drop table if exists temp.main.{table}")
        connection.unregister("alias_tables_given_aliases")
        connection.unregister("alias_tables_given_entities")
    return rows.select(ALIASES.names).cast(ALIASES)
