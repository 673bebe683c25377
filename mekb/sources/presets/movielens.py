"""MovieLens, from 100K to 32M, in the three layouts GroupLens has published.

| release | ratings | films | written in |
|---|---|---|---|
| 100K | `u.data`: tabs, no header | `u.item`: bars, no header, a flag a genre | latin-1 |
| 1M, 10M | `ratings.dat`: "::" | `movies.dat`: "::", genres with bars | latin-1, UTF-8 |
| 20M, 25M, 32M, latest | `ratings.csv` | `movies.csv` | UTF-8 |

Titles are put in the order people say them: "Matrix, The (1999)" is "The Matrix (1999)". Source: Harper and
Konstan, "The MovieLens Datasets" (ACM TiiS 2015), and the README of each release.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from mekb.errors import SourceError
from mekb.sources.presets.preset import Found, Preset, encoding_of
from mekb.sources.source_files import SourceFile

GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
"""The flags of `u.item`, from its sixth column on (`u.genre`)."""
NO_GENRE = frozenset({"unknown", "(no genres listed)"})

BY_PLACE = {"user": "column1", "item": "column2", "rating": "column3", "at": "column4"}
BY_NAME = {"user": "userId", "item": "movieId", "rating": "rating", "at": "timestamp"}

ARTICLES = "The|An?|Les?|La|Une?|L'|El|L[oa]s|Il|Gli|Lo|I|Der|Die|Das|Ein|Eine|De[nt]?|Het|Een|Ett?|En|Os?|As?"
"""Behind the comma of a title: English, French, Spanish, Italian, German, Dutch, Scandinavian, Portuguese."""
_YEAR = r"(?=\s*(?:\(|$))"
INVERTED = re.compile(rf"^(?P<name>[^()]+), (?P<article>{ARTICLES}){_YEAR}")
INVERTED_ALIAS = re.compile(rf"\((?P<name>[^()]+), (?P<article>{ARTICLES})\)")


def film_title(title: str) -> str:
    """Return a title with its articles in front, that of the original in brackets too.

    >>> film_title("Matrix, The (1999)"), film_title("Misérables, Les (1995)")
    ('The Matrix (1999)', 'Les Misérables (1995)')
    >>> film_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
    'The City of Lost Children (La Cité des enfants perdus) (1995)'
    >>> film_title("Avventura, L' (1960)"), film_title("I, Robot (2004)"), film_title("Me, Myself & I")
    ("L'Avventura (1960)", 'I, Robot (2004)', 'Me, Myself & I')
    """
    turned = INVERTED.sub(lambda match: _in_front(match["article"], match["name"]), title)
    return INVERTED_ALIAS.sub(
        lambda match: f"({_in_front(match['article'], match['name'])})", turned
    )


def _in_front(article: str, name: str) -> str:
    return article + name if article.endswith("'") else f"{article} {name}"


def _shaped(table: pa.Table) -> pa.Table:
    """Return films with titles as said and genres as categories."""
    columns = {name: table[name].to_pylist() for name in table.column_names}
    if "categories" in columns:
        genres = columns["categories"]
    else:
        flags = [columns[genre] for genre in GENRES]
        genres = [
            [genre for genre, flag in zip(GENRES, row, strict=True) if flag == "1"]
            for row in zip(*flags, strict=True)
        ]
    known = [[genre for genre in row if genre not in NO_GENRE] for row in genres]
    return pa.table(
        {
            "row": table["row"],
            "item": table["item"],
            "title": pa.array([film_title(title) for title in columns["title"]], pa.string()),
            "categories": pa.array(known, pa.list_(pa.string())),
        }
    )


def _films(path: Path) -> SourceFile:
    encoding = encoding_of(path)
    match path.name:
        case "u.item":
            flags = {genre: f"column{place}" for place, genre in enumerate(GENRES, start=6)}
            columns = {"item": "column1", "title": "column2", **flags}
            return SourceFile(path, columns, encoding=encoding, separator="|", shape=_shaped)
        case "movies.dat":
            columns = {"item": "column1", "title": "column2", "categories": "column3"}
            return SourceFile(path, columns, encoding=encoding, separator="::", shape=_shaped)
        case _:
            columns = {"item": "movieId", "title": "title", "categories": "genres"}
            return SourceFile(path, columns, encoding=encoding, separator=",", shape=_shaped)


RATINGS = {
    "u.data": (BY_PLACE, "\t"),
    "ratings.dat": (BY_PLACE, "::"),
    "ratings.csv": (BY_NAME, ","),
}
"""File -> its columns and separator."""
FILMS = frozenset({"u.item", "movies.dat", "movies.csv"})


def _find(paths: Sequence[Path]) -> Found:
    ratings = [path for path in paths if path.name in RATINGS]
    films = [path for path in paths if path.name in FILMS]
    others = sorted({path.name for path in paths} - set(RATINGS) - FILMS)
    if others:
        raise SourceError(f"{paths[0].parent}: {', '.join(others)} is no file of MovieLens")
    if len(ratings) > 1 or len(films) > 1:
        raise SourceError(
            f"{paths[0].parent}: several releases of MovieLens; name one, since their ids may differ"
        )
    events = [
        SourceFile(path, RATINGS[path.name][0], separator=RATINGS[path.name][1]) for path in ratings
    ]
    return Found([_films(path) for path in films], events)


MOVIELENS = Preset(
    name="movielens",
    summary="100K (u.data, u.item), 1M and 10M (ratings.dat, movies.dat), 20M to 32M and latest"
    " (ratings.csv, movies.csv)",
    wanted=lambda name: name in RATINGS or name in FILMS,
    find=_find,
    policies={"rating_scale": (0.5, 5.0)},
)
