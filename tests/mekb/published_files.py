"""Published data sets in tiny files of their true shape, with invented content."""

import gzip
import json
import zipfile
from pathlib import Path

from mekb.sources.presets.movielens import GENRES


def write(path: Path, text: str, encoding="utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode(encoding)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def lines(*rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def packed(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder.parent))
    return path


REVIEW_2023 = {
    "rating": 5.0, "title": "Good", "text": "A fine read.", "images": [], "asin": "B00VARIANT",
    "parent_asin": "B000PARENT", "user_id": "AEUSER1", "timestamp": 1588687728923, "helpful_vote": 0,
    "verified_purchase": True,
}  # fmt: skip


META_2023 = {
    "main_category": "Books", "title": "The Lamp &amp; <i>the Moth</i>", "average_rating": 4.5, "rating_number": 7,
    "features": ["A moth circles a lamp."], "description": [], "price": None, "images": [], "videos": [],
    "store": "Ann Author (Author)", "categories": ["Books", "Fables"], "details": {"Pages": "77"},
    "parent_asin": "B000PARENT", "bought_together": None,
}  # fmt: skip


def amazon_2023(folder: Path) -> Path:
    reviews = [
        REVIEW_2023 | {"timestamp": 1588687799000, "rating": 1.0},
        REVIEW_2023,
        REVIEW_2023 | {"user_id": "AEUSER2", "rating": 0.0},
        REVIEW_2023 | {"user_id": "AEUSER3", "timestamp": -5},
        REVIEW_2023 | {"user_id": "AEUSER4", "asin": "B00OTHER00", "rating": 3.0},
    ]
    write(folder / "Books.jsonl.gz", lines(*reviews))
    write(folder / "meta_Books.jsonl.gz", lines(META_2023))
    return folder


REVIEW_2018 = {
    "overall": 4.0, "vote": "2", "verified": True, "reviewTime": "10 20, 2014", "reviewerID": "A2SUAM1J3GNN3B",
    "asin": "0001713353", "style": {"Format:": " Hardcover"}, "reviewText": "Fine.", "summary": "ok",
    "unixReviewTime": 1413763200,
}  # fmt: skip


META_2018 = {
    "category": ["Books", "Children's Books", "</span></span></span>"], "tech1": "", "description": ["A fox &amp; a hen."],
    "fit": "", "title": "Fox &amp; Hen", "also_buy": [], "brand": "Fox House", "feature": ["Red cover"], "rank": [],
    "main_cat": "Books", "asin": "0001713353",
}  # fmt: skip


META_2014 = (
    "{'asin': '0000031852', 'related': {'also_bought': ['B00JHONN1S']}, 'title': \"Girls' Ballet \\xe9\","
    " 'price': 3.17, 'salesRank': {'Toys': 211836}, 'imUrl': 'http://x/y.jpg', 'brand': 'Coxlures',"
    " 'categories': [['Sports', 'Dance'], ['Sports', 'Girls']], 'description': 'A tutu.'}\n"
)


def flags(*genres) -> str:
    return "|".join(str(int(genre in genres)) for genre in GENRES)


def movielens_100k(folder: Path) -> Path:
    write(folder / "u.data", "196\t242\t3\t881250949\n007\t1\t5\t891717742\n007\t3\t4\t891717700\n")
    films = (
        f"1|Toy Tale (1995)|01-Jan-1995||http://x|{flags('Animation', 'Comedy')}\n"
        f'242|Matrix, The (1999)|||"q"|{flags("Sci-Fi")}\n'
        f"3|Misérables, Les (1995)|01-Jan-1995||http://y|{flags('unknown')}\n"
    )
    write(folder / "u.item", films, "latin-1")
    write(folder / "u.user", "1|24|M|technician|85711\n")
    write(folder / "u.genre", "unknown|0\n")
    write(folder / "u1.base", "1\t1\t5\t874965758\n")
    return folder


def movielens_1m(folder: Path, encoding="latin-1") -> Path:
    write(folder / "ratings.dat", "1::1193::5::978300760\n1::661::3::978302109\n2::50::4::978298413\n")  # fmt: skip
    films = (
        "1193::One Flew Over the Nest (1975)::Drama\n"
        "661::Géant, Le (1996)::Animation|Children's|Musical\n"
        "50::Usual: a, b & c, The (1995)::Crime|Thriller\n"
    )
    write(folder / "movies.dat", films, encoding)
    write(folder / "users.dat", "1::F::1::10::48067\n")
    return folder


def movielens_20m(folder: Path) -> Path:
    write(folder / "ratings.csv", "userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n1,29,0.5,1112484676\n")  # fmt: skip
    films = (
        "movieId,title,genres\n"
        '2,"City of Lost Children, The (Cité des enfants perdus, La) (1995)",Adventure|Fantasy\n'
        "29,Plain (1995),(no genres listed)\n"
    )
    write(folder / "movies.csv", films)
    write(folder / "tags.csv", "userId,movieId,tag,timestamp\n18,2,noir,1240597180\n")
    write(folder / "links.csv", "movieId,imdbId,tmdbId\n2,0114709,862\n")
    return folder


ATOMIC = {
    "inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu1\t007\t5\t978300760\nu 2\t1e5\t2\t978300761\n",
    "item": 'item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n007\tA "Quoted" Title\t1995\tDrama War\n',
    "kg": "head_id:token\trelation_id:token\ttail_id:token\nm.0\tfilm.genre\tm.1\n",
}


def recbole(folder: Path) -> Path:
    for ending, text in ATOMIC.items():
        write(folder / f"toy.{ending}", text)
    return folder
