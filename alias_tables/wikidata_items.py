"""Wikidata's entities into raw tables: what they are called, of which type and year, and where their page is.

In: parts of Wikidata's JSON dump. Out: the temporary table `raw_items` (a row an entity that matters) and rows
of `raw_extra`, one a name, in the channel `wikidata_alias`. An item whose page only lists other pages
(disambiguation) gives its flag but no name: nothing means it.
"""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from alias_tables.entity_types import WORK_TYPES, Guess, from_description
from alias_tables.page_kinds import DISAMBIGUATION
from alias_tables.raw_tables import create_like, insert
from alias_tables.reasons import Reason
from alias_tables.report import RejectLog
from alias_tables.schema import PAGE_ID_BASE
from alias_tables.site import Site
from alias_tables.surface import exact_key
from alias_tables.tabular import RAW_EXTRA
from alias_tables.titles import LinkTargets, Target, normal_form
from alias_tables.wikidata import Item, ItemChoice, WikidataDump
from alias_tables.wikidata_classes import INTERNAL_CLASSES, flags_of, types_of

ITEMS_A_BATCH = 20_000
LAST_YEAR = 2200
"""As `schema.ENTITIES` allows."""

RAW_ITEMS = pa.schema(
    [
        ("qid", pa.uint32()),
        ("title", pa.string()),
        ("label", pa.string()),
        ("description", pa.string()),
        ("types", pa.list_(pa.string())),
        ("flags", pa.list_(pa.string())),
        ("year", pa.uint16()),
    ]
)
_KNOWN_QIDS_SQL = """
select qid from raw_qids union select qid from raw_extra where qid is not null
union select qid from raw_page_qids
"""


def year_of(item: Item, types: list[str]) -> int | None:
    """Return the year of a work: of its publication, else of its start; none for what is no work.

    An item of no known type that was published counts as a work.
    """
    if types and WORK_TYPES.isdisjoint(types):
        return None
    begun = item.begun if types else None
    year = item.published if item.published is not None else begun
    return year if year is not None and year <= LAST_YEAR else None


class ItemLoader:
    """Reads parts of the JSON dump into `raw_items` and `raw_extra`."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, site: Site, rejects: RejectLog
    ) -> None:
        self._connection = connection
        self._site = site
        self._rejects = rejects
        self._targets = LinkTargets(site)
        create_like(connection, "raw_items", RAW_ITEMS)

    def read(self, path: Path, *, skip_damaged_lines: bool = False) -> int:
        """Read one part, after all other files beside the dump; return how many lines were damaged.

        Raises:
            DumpError: the file is no such dump, or damaged.
        """
        choice = ItemChoice(self._site.dbname, self._site.language, self._wanted())
        with WikidataDump(path, choice, skip_damaged_lines=skip_damaged_lines) as dump:
            items: list[dict[str, object]] = []
            names: list[dict[str, object]] = []
            for item in dump.items():
                items.extend(self._item_rows(item, names))
                if len(items) >= ITEMS_A_BATCH:
                    self._write(items, names)
                    items, names = [], []
            self._write(items, names)
            if dump.damaged:
                self._rejects.add(Reason.ITEM_DAMAGED, detail=path.name, n=dump.damaged)
            return dump.damaged

    def _wanted(self) -> frozenset[int]:
        """Return the entities other files name: they matter without a page, too."""
        if not self._site.dbname:
            return frozenset()
        rows = self._connection.execute(_KNOWN_QIDS_SQL).fetchall()
        return frozenset(row[0] for row in rows)

    def _write(self, items: list[dict[str, object]], names: list[dict[str, object]]) -> None:
        insert(self._connection, "raw_items", pa.Table.from_pylist(items, RAW_ITEMS))
        insert(self._connection, "raw_extra", pa.Table.from_pylist(names, RAW_EXTRA))

    def _item_rows(self, item: Item, names: list[dict[str, object]]) -> Iterator[dict[str, object]]:
        """Yield the row of an item, and add those of its names; nothing for a page that is no article."""
        if item.qid >= PAGE_ID_BASE or not INTERNAL_CLASSES.isdisjoint(item.classes):
            return
        title = None
        if item.title is not None:
            if not isinstance(self._targets.read(item.title), Target):
                return  # a category, a template, a help page
            title = normal_form(item.title, self._site)
        flags, types = flags_of(item.classes), types_of(item.classes)
        yield {
            "qid": item.qid,
            "title": title,
            "label": exact_key(item.label) or None if item.label else None,
            "description": exact_key(item.description) or None if item.description else None,
            "types": types,
            "flags": flags,
            "year": year_of(item, types),
        }
        if DISAMBIGUATION not in flags:
            guess = Guess()
            if not types and item.description:  # trusted less than a class, as a title's bracket is
                guess = from_description(item.description, self._site.language)
            names.extend(_name_rows(item, guess))


def _name_rows(item: Item, guess: Guess) -> Iterator[dict[str, object]]:
    """Yield a row of `RAW_EXTRA` for each name of an item."""
    for surface in dict.fromkeys(exact_key(name) for name in item.names):
        if surface:
            yield {
                "surface": surface,
                "qid": item.qid,
                "channel": "wikidata_alias",
                "n": 1,
                "types": list(guess.types),
                "year": guess.year,
            }
