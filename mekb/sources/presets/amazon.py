"""Amazon's reviews and metadata, as published in 2014, 2018 and 2023.

| | 2014 | 2018 | 2023 |
|---|---|---|---|
| reviews | `reviews_Books_5.json.gz` | `Books_5.json.gz` | `Books.jsonl.gz` |
| ratings only, CSV | `ratings_Books.csv`: **user, item**, rating, time | `Books.csv`: **item, user**, rating, time | `Books.csv`, `Books.train.csv`, ...: with header |
| metadata | `meta_Books.json.gz`, Python literals | `meta_Books.json.gz` | `meta_Books.jsonl.gz` |
| item id | asin | asin | parent_asin (variants have asins of their own) |
| times | seconds | seconds | milliseconds |

Sources: He and McAuley (WWW 2016); Ni, Li and McAuley (EMNLP 2019); Hou et al., "Bridging Language and Items for
Retrieval and Recommendation" (2024). A user's repeated review of an item counts once, the earliest, as in the
benchmark of 2023. HTML is taken out of titles, texts and categories; a title that is a script of the page (2018) is
emptied.
"""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa

from entity_linking.text import clean_text
from mekb.errors import SourceError
from mekb.sources.formats import Kind, detect
from mekb.sources.presets.preset import Found, Preset, head_rows
from mekb.sources.source_files import SourceFile

ENDING = re.compile(r"\.(jsonl|json|csv)(\.gz)?")
PART = re.compile(r"^(meta_|reviews_|ratings_)|(_5|\.(train|valid|test))$")
"""What stands around the name of a category."""

REVIEWS = {"user": "reviewerID", "item": "asin", "rating": "overall", "at": "unixReviewTime"}
RATINGS = {"rating": "column3", "at": "column4"}
REVIEWS_2023 = {"user": "user_id", "item": "parent_asin", "rating": "rating", "at": "timestamp"}

ITEMS_2014 = {
    "item": "asin",
    "title": "title",
    "description": "description",
    "brand": "brand",
    "categories": "categories",
}
ITEMS_2018 = {**ITEMS_2014, "features": "feature", "categories": "category"}
ITEMS_2023 = {
    **ITEMS_2014,
    "item": "parent_asin",
    "features": "features",
    "brand": "store",
}

ASIN_CHARS = 10
PAGE_SCRIPT = re.compile(r"getTime|var aPageStart|<script", re.IGNORECASE)
"""In some titles of 2018 stands the code of the page they were taken from."""
ROLE = re.compile(
    r"\s*(\((Author|Editor|Artist|Actor|Director|Illustrator|Format)[^)]*\)|Format:.*$)"
)
"""What 2023's `store` adds to a name: "Jane Doe (Author)", "Format: DVD"."""
MAX_TITLE = 2_000
"""Characters of a title; what is longer is no title."""


def _wanted(name: str) -> bool:
    return bool(re.search(ENDING.pattern + "$", name))


def _category(path: Path) -> str:
    """Return the name of the category in a file's name: "Books" in "meta_Books.json.gz"."""
    return PART.sub("", PART.sub("", ENDING.split(path.name)[0]))


def _plain(text: str) -> str:
    return " ".join(clean_text(text).text.split())


def title_of(text: str) -> str:
    """Return a title as people read it.

    >>> title_of("Tom &amp; <b>Jerry</b>"), title_of("var aPageStart = (new Date()).getTime();")
    ('Tom & Jerry', '')
    """
    return "" if PAGE_SCRIPT.search(text) else _plain(text)[:MAX_TITLE]


def _shaped(table: pa.Table) -> pa.Table:
    """Return metadata as the columns of an items file: features before the description."""
    columns = {name: table[name].to_pylist() for name in table.column_names}
    n_rows = table.num_rows
    features, descriptions = (
        columns.get(name, [""] * n_rows) for name in ("features", "description")
    )
    shaped: dict[str, list[object]] = {
        "title": [title_of(title) for title in columns.get("title", [""] * n_rows)],
        "text": [
            _plain(f"{one} {other}") for one, other in zip(features, descriptions, strict=True)
        ],
    }
    if "brand" in columns:
        shaped["brand"] = [_plain(ROLE.sub("", brand)) for brand in columns["brand"]]
    if "categories" in columns:
        named = [[_plain(name) for name in names] for names in columns["categories"]]
        shaped["categories"] = [[name for name in names if name] for names in named]
    kinds = {"categories": pa.list_(pa.string())}
    arrays = {
        role: pa.array(values, kinds.get(role, pa.string())) for role, values in shaped.items()
    }
    return pa.table({"row": table["row"], "item": table["item"], **arrays})


def _find(year: int, paths: Sequence[Path]) -> Found:
    """Tell metadata, reviews and ratings apart."""
    categories = sorted({_category(path) for path in paths})
    if len(categories) > 1:
        example = f"books={paths[0].parent / categories[0]}..."
        raise SourceError(
            f"{paths[0].parent}: files of several categories ({', '.join(categories)}); name the files of"
            f" each domain: --data {example}"
        )
    reviews, items = [], []
    for path in paths:
        if path.name.startswith("meta_"):
            columns = {2014: ITEMS_2014, 2018: ITEMS_2018, 2023: ITEMS_2023}[year]
            items.append(SourceFile(path, columns, required=("item",), shape=_shaped))
        else:
            reviews.append(_events(year, path))
    kinds = {file.separator for file in reviews}
    if len(kinds) > 1:
        raise SourceError(
            f"{paths[0].parent}: reviews and ratings of one category, which are the same rows; name those you want"
        )
    return Found(items, reviews)


def _events(year: int, path: Path) -> SourceFile:
    """Return a file of reviews or ratings."""
    if detect(path).kind is Kind.JSON_LINES:
        return SourceFile(path, REVIEWS_2023 if year == 2023 else REVIEWS)  # noqa: PLR2004  a year
    if year == 2023:  # noqa: PLR2004
        return SourceFile(path, REVIEWS_2023, separator=",")
    places = {"item": 0, "user": 1} if year == 2018 else {"user": 0, "item": 1}  # noqa: PLR2004
    rows = [row for row in head_rows(path, ",") if len(row) > 1]
    as_items, as_users = (
        sum(len(row[places[role]]) == ASIN_CHARS for row in rows) for role in ("item", "user")
    )
    if as_users > as_items:
        other = 2014 if year == 2018 else 2018  # noqa: PLR2004
        raise SourceError(
            f"{path}: the column of users holds what look like items ({rows[0][places['user']]!r}); ratings of"
            f" {other} have the columns in that order: --preset amazon{other}"
        )
    columns = {role: f"column{place + 1}" for role, place in places.items()}
    return SourceFile(path, {**columns, **RATINGS}, separator=",")


def _preset(year: int, summary: str) -> Preset:
    return Preset(
        name=f"amazon{year}",
        summary=summary,
        wanted=_wanted,
        find=partial(_find, year),
        policies={"duplicates": "first", "rating_scale": (1.0, 5.0)},
    )


AMAZON_2023 = _preset(
    2023, "reviews Books.jsonl(.gz), meta_Books.jsonl(.gz), benchmark CSV such as Books.train.csv"
)
AMAZON_2018 = _preset(
    2018,
    "reviews Books_5.json(.gz), meta_Books.json(.gz), ratings Books.csv without header: item, user",
)
AMAZON_2014 = _preset(
    2014,
    "reviews_Books_5.json(.gz), meta_Books.json(.gz) of Python literals, ratings_Books.csv: user, item",
)
