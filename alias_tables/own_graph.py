"""A knowledge graph of one's own, beside Wikidata or in its place: entities with names, from tables or RDF.

In: TSV, CSV (.gz too) or Parquet with the columns `id`, `title` and optionally `aliases` and `type` (several
separated by "|"), `description`, `weight` and `count`; or Turtle, N-Triples and JSON-LD (.gz too), read by rdflib.
Out: the temporary table `raw_graph`, and from it rows of `known_entities` and `raw_extra`; and `GRAPH_ENTITIES`.

An entity that is one of Wikidata's (its id is "Q42" or its IRI) keeps that id and gains names. Any other has an id in
a range of its own, made from its id in the file (a hash, taken slots give way to the next), so that it stays over
rebuilds. Its names count as names that somebody listed (`pseudo_counts`), or with a `count` as so many links.

RDF: the title is the first of skos:prefLabel, rdfs:label and schema:name, in the wiki's language if there is one;
all others, and skos:altLabel and schema:alternateName, are aliases. Nothing is fetched, whatever a file says.
"""

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from alias_tables.errors import DumpError
from alias_tables.raw_tables import create_like, insert
from alias_tables.reasons import Reason
from alias_tables.report import RejectLog
from alias_tables.schema import ENTITY_TYPES
from alias_tables.surface import exact_key
from alias_tables.table_files import TableKind, read_qid, table_rows

GRAPH_ID_BASE = 2_200_000_000
"""First id of entities of one's own graph; above every page id, below `resolve.TITLE_ID_BASE`."""
GRAPH_ID_SLOTS = 299_000_000

RAW_GRAPH = pa.schema(
    [
        ("source", pa.string()),
        ("qid", pa.uint32()),
        ("iri", pa.string()),
        ("title", pa.string()),
        ("names", pa.list_(pa.string())),
        ("description", pa.string()),
        ("types", pa.list_(pa.string())),
        ("weight", pa.float64()),
        ("n", pa.uint64()),
    ]
)
RDF_SUFFIXES: Mapping[str, str] = {".ttl": "turtle", ".nt": "nt", ".jsonld": "json-ld"}
"""Ending of a file -> rdflib's name of its format."""

_COLUMNS = (*("id", "title", "aliases", "description", "type", "weight", "count"),)
_TABLE = TableKind(_COLUMNS, ("id", "title"), ("title", "id"))
_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|^`\\]+")
_SCHEMA = ("https://schema.org/", "http://schema.org/")
_SKOS = "http://www.w3.org/2004/02/skos/core#"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_TITLES = (f"{_SKOS}prefLabel", f"{_RDFS}label", *(f"{base}name" for base in _SCHEMA))
_ALIASES = (f"{_SKOS}altLabel", *(f"{base}alternateName" for base in _SCHEMA))
_DESCRIPTIONS = (
    *(f"{base}description" for base in _SCHEMA),
    *(f"{_SKOS}definition", f"{_RDFS}comment", "http://purl.org/dc/terms/description"),
)
_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"

OWN_GRAPH_SQL = """
create or replace temp table own_graph as
with merged as (
    select source, min(qid) as qid, min(iri) as iri, min(title) as title,
        list_sort(list_distinct(flatten(list(names)))) as names, min(description) as description,
        list_sort(list_distinct(flatten(list(types)))) as types, max(weight) as weight,
        sum(n) as n
    from raw_graph group by source
),
placed as (
    select *, md5_number(source) % $slots as slot,
        row_number() over (partition by qid is null order by md5_number(source) % $slots, source) as place
    from merged
)
select * exclude (slot, place), coalesce(
    qid::ubigint,
    $base + place + max(slot::bigint - place) over (
        partition by qid is null order by slot, source
    )
)::uinteger as entity_id
from placed
"""
"""One row an entity; ids probe linearly, as those of bare titles do in `resolve`."""

KNOWN_SQL = """
insert into known_entities (entity_id, title, label, flags, description, types, year)
select entity_id, title, title, [], description, types, null from own_graph
where entity_id not in (select entity_id from known_entities)
"""
NAMES_SQL = """
insert into raw_extra (surface, title, label, qid, channel, n, description, types, year)
select unnest(list_distinct(list_prepend(title, names))), null, null, entity_id,
    case when n > 0 then 'anchor' else 'wikidata_alias' end, greatest(coalesce(n, 0), 1), null, [], null
from own_graph
"""
GRAPH_SQL = "select entity_id, iri, weight from own_graph order by entity_id"


def load_graph(
    connection: duckdb.DuckDBPyConnection, path: Path, language: str, rejects: RejectLog
) -> None:
    """Append the entities of a file to `raw_graph`.

    Raises:
        DumpError: the file cannot be read as what it claims to be.
    """
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    rows = []
    for row in (
        _from_rdf(path, RDF_SUFFIXES[suffix], language)
        if suffix in RDF_SUFFIXES
        else _from_table(path, rejects)
    ):
        row["title"] = exact_key(row["title"])
        row["names"] = sorted({exact_key(name) for name in row["names"]} - {"", row["title"]})
        if row["title"] and row["source"]:
            rows.append(row)
        else:
            rejects.add(
                Reason.INVALID_TITLE, detail=f"{path.name}: {row['source'] or row['title']}"
            )
    insert(connection, "raw_graph", pa.Table.from_pylist(rows, RAW_GRAPH))


def create_raw_graph(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `raw_graph`, empty."""
    create_like(connection, "raw_graph", RAW_GRAPH)


def add_graph(connection: duckdb.DuckDBPyConnection) -> None:
    """Put the graph's entities beside the resolved ones, and their names beside the listed ones."""
    connection.execute(OWN_GRAPH_SQL, {"base": GRAPH_ID_BASE, "slots": GRAPH_ID_SLOTS})
    connection.execute(KNOWN_SQL)
    connection.execute(NAMES_SQL)


def graph_entities(connection: duckdb.DuckDBPyConnection) -> pa.Table:
    """Return what is known of the graph's entities beyond names: rows of `schema.GRAPH_ENTITIES`."""
    rows: pa.Table = connection.sql(GRAPH_SQL).to_arrow_table()
    return rows


def _identity(source: str) -> dict[str, Any]:
    """Return what an id says: the source itself, a QID if it is one, an IRI if it is one."""
    qid = read_qid(source)
    is_iri = qid is None and _IRI.fullmatch(source)
    return {
        "source": source if qid is None else f"Q{qid}",
        "qid": qid,
        "iri": source if is_iri else None,
    }


def _from_table(path: Path, rejects: RejectLog) -> Iterator[dict[str, Any]]:
    for row in table_rows(path, _TABLE):
        types = {name.strip().lower() for name in row.get("type", "").split("|")} - {""}
        if types - set(ENTITY_TYPES):
            rejects.add(Reason.UNKNOWN_TYPE, detail=f"{path.name}: {row}")
        yield {
            **_identity(row.get("id", "").strip()),
            "title": row.get("title", ""),
            "names": row.get("aliases", "").split("|"),
            "description": exact_key(row.get("description", "")) or None,
            "types": sorted(types & set(ENTITY_TYPES)),
            "weight": _number(path, row, "weight"),
            "n": int(_number(path, row, "count") or 0),
        }


def _number(path: Path, row: Mapping[str, str], column: str) -> float | None:
    """Return a cell as a number of at least 0, None where it is empty."""
    written = row.get(column, "").strip()
    try:
        number = float(written) if written else None
    except ValueError:
        number = -1.0
    if number is not None and not 0 <= number < 2**32:
        raise DumpError(
            f"{path}: {column} '{written}' of '{row.get('id', '')}' is no number of at least 0"
        )
    return number


def _from_rdf(path: Path, format_name: str, language: str) -> Iterator[dict[str, Any]]:
    """Yield the nodes of an RDF file that have an IRI and a label, by IRI."""
    said: defaultdict[str, defaultdict[str, list[tuple[int, str]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for subject, predicate, value, tag in _statements(path, format_name):
        place = 0 if tag == language else 1 if tag is None else 2
        said[subject][predicate].append((place, value))
    for subject, about in sorted(said.items()):
        titles = [text for name in _TITLES for _, text in sorted(about.get(name, ()))]
        best = min(
            (
                (place, rank, text)
                for rank, name in enumerate(_TITLES)
                for place, text in about.get(name, ())
            ),
            default=None,
        )
        if best is None:
            continue
        aliases = [text for name in _ALIASES for _, text in about.get(name, ())]
        described = [min(about[name]) for name in _DESCRIPTIONS if name in about]
        kinds = {re.split(r"[/#:]", kind)[-1].lower() for _, kind in about.get(_TYPE, ())}
        yield {
            **_identity(subject),
            "title": best[2],
            "names": [*titles, *aliases],
            "description": exact_key(described[0][1]) if described else None,
            "types": sorted(kinds & set(ENTITY_TYPES)),
            "weight": None,
            "n": 0,
        }


def _statements(path: Path, format_name: str) -> Iterator[tuple[str, str, str, str | None]]:
    """Yield (subject, predicate, object, language) of the statements about nodes with an IRI."""
    from rdflib import Graph, Literal, URIRef  # noqa: PLC0415  (slow to load, and only for RDF)

    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            text = file.read().decode("utf-8-sig")
        if format_name == "json-ld":
            _refuse_contexts(path, json.loads(text))
        rdf = Graph(bind_namespaces="none").parse(data=text, format=format_name)
    except DumpError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise DumpError(f"{path}: cannot be read as {format_name} ({reason})") from error
    for subject, predicate, value in rdf:
        if isinstance(subject, URIRef):
            tag = value.language if isinstance(value, Literal) else None
            yield str(subject), str(predicate), str(value), tag


def _refuse_contexts(path: Path, content: object) -> None:
    """Refuse JSON-LD that would make its reader fetch something."""
    waiting = [content]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            contexts = found.get("@context", [])
            for one in [
                *(contexts if isinstance(contexts, list) else [contexts]),
                found.get("@import"),
            ]:
                if isinstance(one, str):
                    raise DumpError(
                        f"{path}: its @context is at {one}; nothing is fetched, write it into the file"
                    )
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)
