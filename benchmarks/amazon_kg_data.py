"""Amazon-KG, 5-core: the data set's files in, the files a user would import out.

In: the folder `amazon_kg_5core` and its neighbours `linking/`, `wikidata/` and `wikipedia/`. Out, in the
work folder: items with a list of categories, and title lists with the columns `title`, `qid` and
`description` that `mekb aliases build --extra` reads. Everything later is done by `mekb.api`.
"""

import csv
import gzip
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from alias_tables.config import AliasConfig
from alias_tables.dumps import DumpReader
from alias_tables.wikitext import LinkReader

RESOURCE = "http://dbpedia.org/resource/"
CATEGORY_SEPARATORS = {"books": "; ", "movies": ", "}
"""Book categories are those of Wikipedia and may hold commas; those of films are joined by commas."""

SUBJECT_PROPERTIES = (
    "genre",
    "cast member",
    "director",
    "screenwriter",
    "author",
    "narrative location",
    "main subject",
    "influenced by",
    "production company",
    "original broadcaster",
)
"""Facts of Wikidata whose objects texts about books and films name; not those of music alone."""
NO_LABEL = "no_label"

TOPIC_ALIASES = {
    "Horror": "Horror fiction",
    "Memoir": "Memoir",
    "Show business": "Show business",
    "Suspense": "Suspense",
    "True crime": "True crime",
    "Witchcraft": "Witchcraft",
    "Young adult": "Young adult fiction",
    "Zombie": "Zombie",
}
"""Words that the texts write often, and that without these rows only a film or book bears in the table."""

ITEM_COLUMNS = ("item_id", "domain", "title", "text", "creator")


@dataclass(frozen=True)
class Prepared:
    """Files that are ready to import."""

    items: Path
    interactions: Path
    dump: Path
    qids: Path
    title_lists: tuple[Path, ...]
    own_titles: pa.Table
    """Columns `domain`, `item`, `title`: the page each item is linked to by the data set."""


def prepare(data: Path, work: Path) -> Prepared:
    """Write what has to be reshaped into `work` and name the rest where it lies.

    Args:
        data: The folder `amazon_kg_5core`.
        work: Where prepared files go; made if absent.
    """
    work.mkdir(parents=True, exist_ok=True)
    shared = data.parent
    items = pq.read_table(data / "items.parquet")
    qids = shared / "wikidata" / "title_qid.tsv"
    dump = shared / "wikipedia" / "enwiki-fragments-pages-articles.xml.bz2"
    return Prepared(
        items=_write_items(items, work / "items.parquet"),
        interactions=data / "interactions.parquet",
        dump=dump,
        qids=qids,
        title_lists=(
            _write_titles(work / "titles_dbpedia.tsv", _dbpedia_titles(items)),
            _write_titles(
                work / "titles_us_films.tsv", _film_titles(shared / "linking" / "us_films.tsv.gz")
            ),
            _write_titles(work / "titles_wikidata.tsv", _subject_titles(shared / "wikidata")),
            _write_aliases(work / "aliases_topics.tsv", TOPIC_ALIASES),
            _write_titles(work / "titles_linked.tsv", _linked_titles(dump)),
            qids,
        ),
        own_titles=pa.table(
            {
                "domain": items["domain"],
                "item": items["item_id"],
                "title": [wikipedia_title(name) for name in items["dbpedia"].to_pylist()],
            }
        ),
    )


def wikipedia_title(resource: str) -> str:
    """Return the Wikipedia title that a DBpedia resource is named after.

    >>> wikipedia_title("http://dbpedia.org/resource/Dude,_Where's_the_Party%3F")
    "Dude, Where's the Party?"
    """
    return unquote(resource.removeprefix(RESOURCE)).replace("_", " ")


def categories_of(domain: str, joined: str | None) -> list[str]:
    """Return the categories of an item, as joined in its domain.

    >>> categories_of("books", "Novels set in Paris, Texas; Novellas"), categories_of("movies", None)
    (['Novels set in Paris, Texas', 'Novellas'], [])
    """
    names = (joined or "").split(CATEGORY_SEPARATORS[domain])
    return [name.strip() for name in names if name.strip()]


def _write_items(items: pa.Table, path: Path) -> Path:
    """Write the items with their categories as lists."""
    categories = [
        categories_of(domain, joined)
        for domain, joined in zip(
            items["domain"].to_pylist(), items["categories"].to_pylist(), strict=True
        )
    ]
    table = items.select(list(ITEM_COLUMNS)).append_column(
        "categories", pa.array(categories, pa.list_(pa.string()))
    )
    pq.write_table(table, path)
    return path


def _dbpedia_titles(items: pa.Table) -> Iterator[Mapping[str, str]]:
    """Yield the Wikipedia title of each item, with its QID where one is given to this item alone."""
    rows = items.select(["dbpedia", "wikidata"]).to_pylist()
    n_items = Counter(row["wikidata"] for row in rows)
    for row in rows:
        qid = row["wikidata"] if n_items[row["wikidata"]] == 1 else None
        yield {"title": wikipedia_title(row["dbpedia"]), "qid": qid or ""}


def _subject_titles(folder: Path) -> Iterator[Mapping[str, str]]:
    """Yield what works are said to be about, of or by; of several with one name, what most facts name."""
    nodes = pq.read_table(folder / "kg_nodes.parquet")
    facts = pq.read_table(folder / "kg_triples.parquet", columns=["prop_label", "tail"]).to_pylist()
    n_facts = Counter(fact["tail"] for fact in facts if fact["prop_label"] in SUBJECT_PROPERTIES)
    labels = dict(zip(nodes["qid"].to_pylist(), nodes["label"].to_pylist(), strict=True))
    named: set[str] = set()
    for qid, _ in sorted(n_facts.items(), key=lambda fact: (-fact[1], fact[0])):
        label = labels.get(qid, NO_LABEL)
        if label != NO_LABEL and label.casefold() not in named:
            named.add(label.casefold())
            yield {"title": label[0].upper() + label[1:], "qid": qid}


def _linked_titles(dump: Path) -> Iterator[Mapping[str, str]]:
    """Yield the titles that the articles of a dump link to: in a whole dump they are articles."""
    config = AliasConfig()
    with DumpReader(dump, max_page_chars=config.max_page_chars) as reader:
        links: LinkReader | None = None
        for page in reader.pages():
            links = links or LinkReader(reader.site, config)
            if page.namespace == 0 and page.redirect is None:
                for link in links.scan(page.text).links:
                    yield {"title": link.target, "qid": ""}


def _film_titles(path: Path) -> Iterator[Mapping[str, str]]:
    """Yield the Wikipedia titles of films, with the beginning of their summaries."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield {"title": row["wikipedia_title"], "qid": ""}


def _write_titles(path: Path, rows: Iterable[Mapping[str, str]]) -> Path:
    """Write a title list, each title once."""
    seen: set[str] = set()
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("title\tqid\n")
        for row in rows:
            if row["title"] not in seen:
                seen.add(row["title"])
                file.write(f"{row['title']}\t{row['qid']}\n")
    return path


def _write_aliases(path: Path, titles: Mapping[str, str]) -> Path:
    """Write aliases: surface and title."""
    rows = "".join(f"{surface}\t{title}\n" for surface, title in titles.items())
    path.write_text(f"surface\ttitle\n{rows}", encoding="utf-8")
    return path
