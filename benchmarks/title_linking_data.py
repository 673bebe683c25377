"""The titles and tables of `title_linking.py`: real titles with the Wikipedia page each is about.

In: a folder with `linking/us_films.tsv.gz`, `linking/item_titles_dev.tsv.gz`, `wikidata/title_qid.tsv` and
`amazon_kg_5core/items.parquet`. Out: two alias tables made of page titles alone, and the cases.

The page titles of the two lists are of different years, and a page that was moved between them stands in both
under two names. So each list is linked with a table of pages of its own time:

- `items`: pages of the item titles, of the Amazon-KG items, and of `title_qid.tsv`;
- `films`: pages of the film list, of the Amazon-KG items (books as well as films), and of `title_qid.tsv`.

What is known of a page: its bracket; where it has none, that an Amazon-KG book or film is about it; and the
summary of the film list as its description, from which year and type are read. The year in a MovieLens title and
that in the film list come from others than the page's author.
"""

import csv
import gzip
import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import duckdb
import pyarrow as pa
from pyarrow import parquet

from alias_tables.build import build
from alias_tables.inputs import BuildInputs
from alias_tables.lookup import AliasIndex

TYPES_OF_DOMAINS = {"books": "book", "movies": "film"}
DOMAINS = {"book": "books", "movie": "movies"}


@dataclass(frozen=True)
class Case:
    """One title to link."""

    group: str
    """Under which it is reported."""
    table: str
    """The table it is linked with."""
    title: str
    domain: str
    context: str | None
    gold: str
    """The Wikipedia title of the page it is about."""

    @property
    def is_for_fitting(self) -> bool:
        """Whether it belongs to the half on which weights may be chosen: by the hash of its title."""
        return hashlib.sha256(self.title.encode()).digest()[0] % 2 == 0


def read_tsv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a compressed tab-separated file that quotes nothing."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def page(title: str) -> str:
    """Return a title without its section, as the table spells it."""
    return title.partition("#")[0].replace("_", " ").strip()


def cases(data: Path) -> list[Case]:
    """Return all titles."""
    items = read_tsv(data / "linking" / "item_titles_dev.tsv.gz")
    found = [
        Case(
            row["domain"],
            "items",
            row["title"],
            DOMAINS[row["domain"]],
            None,
            page(row["wikipedia_title"]),
        )
        for row in items
    ]
    films = read_tsv(data / "linking" / "us_films.tsv.gz")
    sharing: dict[str, set[str]] = defaultdict(set)
    for row in films:
        sharing[row["title"]].add(page(row["wikipedia_title"]))
    for row in films:
        group = "film, shared title" if len(sharing[row["title"]]) > 1 else "film, own title"
        gold, cast = page(row["wikipedia_title"]), row["cast"] or None
        dated = f"{row['title']} ({row['year']})"
        found.append(Case(group, "films", dated, "films", cast, gold))
        if group == "film, shared title":
            found.append(Case(f"{group}, no year", "films", row["title"], "films", cast, gold))
    return found


def tables(data: Path) -> dict[str, AliasIndex]:
    """Return the two alias tables."""
    films = read_tsv(data / "linking" / "us_films.tsv.gz")
    summaries = {page(row["wikipedia_title"]): row["summary"] for row in films}
    items = {
        page(row["wikipedia_title"])
        for row in read_tsv(data / "linking" / "item_titles_dev.tsv.gz")
    }
    types = _amazon_types(data / "amazon_kg_5core" / "items.parquet")
    with (data / "wikidata" / "title_qid.tsv").open(encoding="utf-8") as file:
        others = {line.split("\t")[0] for line in file}
    return {
        "items": _index(items | types.keys() | others, summaries, types),
        "films": _index(summaries.keys() | types.keys() | others, summaries, types),
    }


def _amazon_types(path: Path) -> dict[str, str]:
    """The pages that Amazon-KG items are about, with the type of the items where all agree."""
    domains: dict[str, set[str]] = defaultdict(set)
    for row in parquet.read_table(path, columns=["dbpedia", "domain"]).to_pylist():
        domains[page(unquote(row["dbpedia"].rpartition("/resource/")[2]))].add(row["domain"])
    return {
        title: TYPES_OF_DOMAINS[min(found)] if len(found) == 1 else ""
        for title, found in domains.items()
    }


def _index(
    titles: Iterable[str], descriptions: Mapping[str, str], types: Mapping[str, str]
) -> AliasIndex:
    """The alias table of a list of page titles, with what is known of the pages."""
    known = sorted(title for title in titles if title and "\t" not in title)
    with (
        tempfile.TemporaryDirectory() as folder,
        duckdb.connect() as connection,  # noqa: TID251  in memory, for one build
    ):
        listed = Path(folder) / "titles.tsv"
        listed.write_text("\n".join(["title", *known]) + "\n", encoding="utf-8")
        built = build(connection, BuildInputs(extra=(listed,)))
        entities, aliases = built.entities.to_arrow_table(), built.aliases.to_arrow_table()
    names = entities["title"].to_pylist()
    tags = [[types[name]] if types.get(name) and not name.endswith(")") else [] for name in names]
    for column, values in (
        ("types", tags),
        ("description", [descriptions.get(name) for name in names]),
    ):
        place = entities.schema.get_field_index(column)
        field = entities.schema.field(column)
        entities = entities.set_column(place, field, pa.array(values, field.type))
    return AliasIndex.from_tables(entities, aliases)
