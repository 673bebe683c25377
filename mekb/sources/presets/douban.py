"""Douban's books, films and music, as published with GA-DTCDR, whose users are the same in all three.

Two forms: `douban_book/ratings.dat` and its like (tabs, no header: user, item, rating), and the files with text,
`bookreviews_cleaned.txt` (user_id, book_id, rating, labels, comment, time; quoted, times as dates) with
`movies_cleaned.txt` for the titles of films. Books and music come without titles there. Source: Zhu et al., "A Graphical
and Attentional Framework for Dual-Target Cross-Domain Recommendation" (IJCAI 2020).
"""

import re
from collections.abc import Sequence
from pathlib import Path

from mekb.errors import SourceError
from mekb.sources.presets.preset import Found, Preset, head_rows
from mekb.sources.source_files import SourceFile

REVIEWS = re.compile(r"(book|movie|music)reviews_cleaned\.(txt|tsv|csv)(\.gz)?$")
ITEMS = re.compile(r"(book|movie|music)s?_cleaned\.(txt|tsv|csv)(\.gz)?$")
RATINGS = re.compile(r"ratings\.(dat|txt|tsv|csv)(\.gz)?$")

BY_PLACE = {"user": "column1", "item": "column2", "rating": "column3"}


def _separator(path: Path) -> str:
    """Return what parts the fields of the first row: the copies about differ in that."""
    first = "\t".join(head_rows(path, "\t", limit=1)[0])
    return "\t" if "\t" in first else ","


def _columns(path: Path, separator: str) -> set[str]:
    return {name.strip().strip('"') for name in head_rows(path, separator, limit=1)[0]}


def _ratings(path: Path) -> SourceFile:
    """Return ratings without header, or with the names of their columns."""
    separator = _separator(path)
    columns = _columns(path, separator)
    if not columns & {"user_id", "user", "UserID"}:
        return SourceFile(path, BY_PLACE, separator=separator)
    user = next(name for name in ("user_id", "user", "UserID") if name in columns)
    item = next((name for name in ("item_id", "item", "ItemID") if name in columns), "item_id")
    return SourceFile(path, {"user": user, "item": item, "rating": "rating"}, separator=separator)


def _reviews(path: Path, kind: str) -> SourceFile:
    columns = {"user": "user_id", "item": f"{kind}_id", "rating": "rating", "at": "time"}
    return SourceFile(path, columns, separator=_separator(path))


def _items(path: Path, kind: str) -> SourceFile | None:
    """Return the items, or None where the file has neither names nor texts."""
    separator = _separator(path)
    names = _columns(path, separator)
    wanted = {"item": f"{kind}_id", "title": "name", "text": "summary", "brand": "director"}
    columns = {role: name for role, name in wanted.items() if name in names}
    if "item" not in columns or "title" not in columns:
        return None
    return SourceFile(path, columns, separator=separator)


def _find(paths: Sequence[Path]) -> Found:
    items, events = [], []
    kinds = set()
    for path in paths:
        reviews, described = REVIEWS.match(path.name), ITEMS.match(path.name)
        if reviews:
            kinds.add(reviews[1])
            events.append(_reviews(path, reviews[1]))
        elif described:
            kinds.add(described[1])
            items.append(_items(path, described[1]))
        else:
            kinds.add(path.parent.name)
            events.append(_ratings(path))
    if len(kinds) > 1:
        raise SourceError(
            f"{paths[0].parent}: several of Douban's domains ({', '.join(sorted(kinds))}); name the files of each:"
            f" --data {min(kinds)}={paths[0]}"
        )
    return Found([file for file in items if file], events)


DOUBAN = Preset(
    name="douban",
    summary="douban_book/ratings.dat, or bookreviews_cleaned.txt and movies_cleaned.txt",
    wanted=lambda name: any(form.match(name) for form in (REVIEWS, ITEMS, RATINGS)),
    find=_find,
    policies={"rating_scale": (1.0, 5.0)},
)
