"""Published data sets, in tiny files of the true shape with invented content: read right, traps and all."""

import sys
import zipfile
from pathlib import Path

import pytest

from mekb import api
from mekb.config import load_settings
from mekb.errors import SourceError, UnknownError
from mekb.sources.presets import PRESETS, with_policies
from mekb.store import Store

sys.path.insert(0, str(Path(__file__).parent))  # files that two files of tests share
from published_files import (
    META_2014,
    META_2018,
    META_2023,
    REVIEW_2018,
    REVIEW_2023,
    amazon_2023,
    lines,
    movielens_1m,
    movielens_20m,
    movielens_100k,
    packed,
    recbole,
    write,
)


@pytest.fixture
def read(tmp_path):
    """Return a function that imports a data set and gives its items, its events and the report."""

    def run(preset, data, *assignments):
        path = tmp_path / "store.duckdb"
        done = api.import_dataset(path, preset, data, settings=load_settings(None, assignments))
        with Store.open(path) as store:
            items = {
                (row["domain"], row["external_id"]): row for row in store.read("items").to_pylist()
            }
            events = store.query(
                "select users.external_id as person, items.external_id as item, domain,"
                ' epoch(interactions."at") as seconds, rating, positive'
                " from interactions join users using (user_id) join items using (item_id)"
                " order by person, domain, item"
            ).to_pylist()
        return items, events, done.report

    return run


def rejected(report) -> dict[str, int]:
    return {each.reason: each.n_rows for file in report.files for each in file.rejected}


def test_amazon_2023_is_read_by_parent_and_the_earliest_review_counts(read, tmp_path):
    items, events, report = read("amazon2023", {"books": amazon_2023(tmp_path / "Books")})
    assert list(items) == [("books", "B000PARENT")]
    item = items["books", "B000PARENT"]
    assert item["title"] == "The Lamp & the Moth"
    assert item["text"] == "A moth circles a lamp."
    assert item["brand"] == "Ann Author"
    assert item["categories"] == ["Books", "Fables"]
    assert [(row["person"], row["rating"], row["positive"]) for row in events] == [
        ("AEUSER1", 5.0, True),
        ("AEUSER4", 3.0, False),
    ]
    assert events[0]["seconds"] == 1588687728.923
    assert rejected(report) == {"rating is outside the scale": 1, "time is negative": 1}
    assert report.n_duplicate_interactions == 1


def test_amazon_2023_metadata_with_gaps_is_kept(read, tmp_path):
    folder = amazon_2023(tmp_path / "Books")
    bare = {"parent_asin": "B000BARE00", "title": None, "features": None, "description": [None, ""], "categories": []}  # fmt: skip
    write(folder / "meta_Books.jsonl.gz", lines(META_2023, bare, {"parent_asin": "B0NOTHING0"}))
    items, _, report = read("amazon2023", {"books": folder})
    assert items["books", "B000BARE00"]["title"] == ""
    assert items["books", "B000BARE00"]["text"] == ""
    assert items["books", "B0NOTHING0"]["categories"] == []
    assert report.n_items_without_metadata == 0


def test_the_benchmark_of_2023_is_read_from_its_parts(read, tmp_path):
    head = "user_id,parent_asin,rating,timestamp,history\n"
    write(tmp_path / "b" / "Books.train.csv", head + "U1,0000000007,5.0,1588687728923,\n")
    write(tmp_path / "b" / "Books.valid.csv", head + "U1,0000000008,4.0,1588687728999,0000000007\n")
    write(tmp_path / "b" / "Books.test.csv", head + "U1,B000000009,1.0,1588687729111,a b\n")
    items, events, _ = read("amazon2023", {"books": tmp_path / "b"})
    assert [row["item"] for row in events] == ["0000000007", "0000000008", "B000000009"]
    assert all(item["title"] == "" for item in items.values())


def test_two_domains_are_one_command_and_share_their_users(read, tmp_path):
    books = amazon_2023(tmp_path / "Books")
    film = write(tmp_path / "films" / "Movies_and_TV.jsonl", lines(REVIEW_2023))
    items, events, _ = read("amazon2023", {"books": books, "films": film})
    assert set(items) == {("books", "B000PARENT"), ("films", "B000PARENT")}
    assert [(row["person"], row["domain"]) for row in events] == [
        ("AEUSER1", "books"),
        ("AEUSER1", "films"),
        ("AEUSER4", "books"),
    ]


def test_a_domain_of_another_format_is_added_by_a_second_command(read, tmp_path):
    read("amazon2023", {"books": amazon_2023(tmp_path / "Books")})
    films = movielens_1m(tmp_path / "ml-1m")
    added = api.add_dataset(tmp_path / "store.duckdb", "movielens", {"films": films})
    assert added.report.n_new_items == 3
    with Store.open(tmp_path / "store.duckdb") as store:
        found = store.query("select domain, count(*) as n from items group by all order by domain")
        assert found.to_pylist() == [{"domain": "books", "n": 1}, {"domain": "films", "n": 3}]


def test_amazon_2018_is_read_without_its_html(read, tmp_path):
    write(tmp_path / "x" / "Books_5.json.gz", lines(REVIEW_2018))
    scripted = META_2018 | {"asin": "B000SCRIPT", "title": "var aPageStart = (new Date()).getTime();"}  # fmt: skip
    write(tmp_path / "x" / "meta_Books.json.gz", lines(META_2018, scripted))
    items, events, _ = read("amazon2018", {"books": tmp_path / "x"})
    item = items["books", "0001713353"]
    assert (item["title"], item["text"], item["brand"]) == (
        "Fox & Hen",
        "Red cover A fox & a hen.",
        "Fox House",
    )
    assert item["categories"] == ["Books", "Children's Books"]
    assert items["books", "B000SCRIPT"]["title"] == ""
    assert (events[0]["person"], events[0]["seconds"]) == ("A2SUAM1J3GNN3B", 1413763200)


@pytest.mark.parametrize(
    ("preset", "name", "row"),
    [
        ("amazon2018", "Books.csv", "0001713353,A2SUAM1J3GNN3B,4.0,1413763200\n"),
        ("amazon2014", "ratings_Books.csv", "A2SUAM1J3GNN3B,0001713353,4.0,1413763200\n"),
    ],
)
def test_ratings_without_a_header_have_their_own_order_each_year(read, tmp_path, preset, name, row):
    path = write(tmp_path / name, row)
    _, events, _ = read(preset, {"books": path})
    assert [(row["person"], row["item"], row["rating"]) for row in events] == [
        ("A2SUAM1J3GNN3B", "0001713353", 4.0)
    ]
    other = {"amazon2018": "amazon2014", "amazon2014": "amazon2018"}[preset]
    with pytest.raises(SourceError, match=f"--preset {preset}"):
        read(other, {"books": path}, "source.strict=true")


def test_python_literals_of_2014_are_read_and_never_run(read, tmp_path):
    review = {
        "reviewerID": "A1",
        "asin": "0000031852",
        "overall": 5.0,
        "unixReviewTime": 1390003200,
    }
    trap = tmp_path / "ran"
    evil = f"{{'asin': 'B000000000', 'title': open({str(trap)!r}, 'w').write('x')}}\n"
    write(tmp_path / "t" / "reviews_Toys_5.json.gz", lines(review))
    write(tmp_path / "t" / "meta_Toys.json.gz", META_2014 + evil)
    items, _, report = read("amazon2014", {"toys": tmp_path / "t"})
    item = items["toys", "0000031852"]
    assert (item["title"], item["brand"], item["text"]) == (
        "Girls' Ballet é",
        "Coxlures",
        "A tutu.",
    )
    assert item["categories"] == ["Sports", "Dance", "Girls"]
    assert rejected(report) == {"not JSON": 1}
    assert not trap.exists()


def test_a_folder_of_several_categories_is_refused_with_what_to_write(read, tmp_path):
    amazon_2023(tmp_path / "all")
    write(tmp_path / "all" / "Movies_and_TV.jsonl.gz", lines(REVIEW_2023))
    with pytest.raises(SourceError, match=r"several categories \(Books, Movies_and_TV\).*--data"):
        read("amazon2023", {"books": tmp_path / "all"})


def test_reviews_and_ratings_of_one_category_are_not_read_twice(read, tmp_path):
    amazon_2023(tmp_path / "b")
    write(tmp_path / "b" / "Books.csv", "user_id,parent_asin,rating,timestamp\nU,B000000001,5,1588687728923\n")  # fmt: skip
    with pytest.raises(SourceError, match="the same rows"):
        read("amazon2023", {"books": tmp_path / "b"})


@pytest.mark.parametrize("is_packed", [False, True])
def test_movielens_100k(read, tmp_path, is_packed):
    folder = movielens_100k(tmp_path / "ml-100k")
    given = packed(tmp_path / "ml-100k.zip", folder) if is_packed else folder
    items, events, _ = read("movielens", {"films": given})
    assert {name: row["title"] for (_, name), row in items.items()} == {
        "1": "Toy Tale (1995)",
        "242": "The Matrix (1999)",
        "3": "Les Misérables (1995)",
    }
    assert items["films", "1"]["categories"] == ["Animation", "Comedy"]
    assert items["films", "3"]["categories"] == []
    assert [(row["person"], row["item"], row["rating"]) for row in events] == [
        ("007", "1", 5.0),
        ("007", "3", 4.0),
        ("196", "242", 3.0),
    ]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_movielens_1m_and_10m(read, tmp_path, encoding):
    items, events, _ = read("movielens", {"films": movielens_1m(tmp_path / "ml", encoding)})
    assert items["films", "661"]["title"] == "Le Géant (1996)"
    assert items["films", "661"]["categories"] == ["Animation", "Children's", "Musical"]
    assert items["films", "50"]["title"] == "The Usual: a, b & c (1995)"
    assert len(events) == 3


def test_movielens_20m_and_later(read, tmp_path):
    items, events, _ = read("movielens", {"films": movielens_20m(tmp_path / "ml-20m")})
    assert (
        items["films", "2"]["title"]
        == "The City of Lost Children (La Cité des enfants perdus) (1995)"
    )
    assert items["films", "2"]["categories"] == ["Adventure", "Fantasy"]
    assert items["films", "29"]["categories"] == []
    assert [row["rating"] for row in events] == [3.5, 0.5]


def test_two_releases_at_once_are_refused(read, tmp_path):
    movielens_1m(tmp_path / "all" / "ml-1m")
    movielens_20m(tmp_path / "all" / "ml-20m")
    with pytest.raises(SourceError, match="several releases"):
        read("movielens", {"films": tmp_path / "all"})


def test_recbole_atomic_files(read, tmp_path):
    items, events, _ = read("recbole", {"films": recbole(tmp_path / "toy")})
    assert items["films", "007"]["title"] == 'A "Quoted" Title'
    assert items["films", "007"]["categories"] == ["Drama", "War"]
    assert items["films", "1e5"]["title"] == ""
    assert [(row["person"], row["item"], row["positive"]) for row in events] == [
        ("u 2", "1e5", False),
        ("u1", "007", True),
    ]


def test_a_field_of_recbole_without_a_type_is_named(read, tmp_path):
    recbole(tmp_path / "toy")
    write(tmp_path / "toy" / "toy.inter", "user_id\titem_id:token\nu1\ti1\n")
    with pytest.raises(SourceError, match=r"'user_id' has no type.*'user_id:token'"):
        read("recbole", {"films": tmp_path / "toy"})


def test_a_title_under_another_name_is_set_by_hand(read, tmp_path):
    folder = recbole(tmp_path / "toy")
    write(folder / "toy.item", "item_id:token\theading:token_seq\n007\tDune\n")
    assert read("recbole", {"films": folder})[0]["films", "007"]["title"] == ""
    assert read("recbole", {"films": folder}, 'source.title="heading"')[0]["films", "007"]["title"] == "Dune"  # fmt: skip


def test_douban_ratings_of_three_domains_share_their_users(read, tmp_path):
    for domain in ("book", "movie", "music"):
        write(tmp_path / f"douban_{domain}" / "ratings.dat", f"0\t{ord(domain[1])}\t5\n1\t3\t2\n")
    data = {domain: tmp_path / f"douban_{domain}" for domain in ("book", "movie", "music")}
    items, events, _ = read("douban", data)
    assert len(items) == 6
    assert [(row["person"], row["domain"], row["positive"]) for row in events][:3] == [
        ("0", "book", True),
        ("0", "movie", True),
        ("0", "music", True),
    ]
    with pytest.raises(SourceError, match="several of Douban's domains"):
        read("douban", {"all": tmp_path})


def test_douban_with_texts(read, tmp_path):
    reviews = (
        '"user_id"\t"movie_id"\t"rating"\t"labels"\t"comment"\t"time"\n'
        '"1386"\t"2086"\t5\t"drama|war"\t"so ""good"",\n and long"\t"2012-03-04"\n'
    )
    write(tmp_path / "d" / "moviereviews_cleaned.txt", reviews)
    films = '"UID"\t"movie_id"\t"name"\t"director"\t"summary"\n"1"\t"2086"\t"红猪"\t"宫崎骏"\t"A pig who flies."\n'
    write(tmp_path / "d" / "movies_cleaned.txt", films)
    write(tmp_path / "d" / "users_cleaned.txt", '"UID"\t"living_place"\n"1386"\t"x"\n')
    items, events, _ = read("douban", {"films": tmp_path / "d"})
    assert items["films", "2086"]["title"] == "红猪"
    assert items["films", "2086"]["text"] == "A pig who flies."
    assert events == [
        {"person": "1386", "item": "2086", "domain": "films", "seconds": 1330819200.0, "rating": 5.0, "positive": True}
    ]  # fmt: skip


def test_settings_by_hand_go_before_those_of_the_preset():
    config = load_settings(None, ['source.duplicates="last"']).source
    merged = with_policies(config, PRESETS["amazon2023"])
    assert (merged.duplicates, merged.rating_scale, merged.preset) == (
        "last",
        (1.0, 5.0),
        "amazon2023",
    )


def test_an_import_is_skipped_until_its_files_or_its_preset_change(tmp_path):
    folder = recbole(tmp_path / "toy")
    store = tmp_path / "s.duckdb"
    first, second = (api.import_dataset(store, "recbole", {"films": folder}) for _ in range(2))
    assert (first.stage.skipped, second.stage.skipped) == (False, True)
    assert not api.import_dataset(store, "recbole", {"movies": folder}).stage.skipped


def test_what_is_not_there_is_said(read, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no file of movielens"):
        read("movielens", {"films": tmp_path / "empty"})
    with pytest.raises(SourceError, match="no such file or folder"):
        read("movielens", {"films": tmp_path / "nothing"})
    with pytest.raises(UnknownError, match="no preset 'netflix'; there are amazon2023"):
        read("netflix", {"films": tmp_path})
    write(tmp_path / "half" / "movies.csv", "movieId,title,genres\n1,A,B\n")
    with pytest.raises(SourceError, match="items, and no file of interactions"):
        read("movielens", {"films": tmp_path / "half"})


def test_members_of_an_archive_cannot_leave_it(read, tmp_path):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "../../ratings.csv", "userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n"
        )
        archive.writestr("ml/../../../x/movies.csv", "movieId,title,genres\n2,A (1995),Drama\n")
    before = set(tmp_path.parent.rglob("*.csv"))
    items, _, _ = read("movielens", {"films": path})
    assert items["films", "2"]["title"] == "A (1995)"
    assert set(tmp_path.parent.rglob("*.csv")) == before


def test_links_and_bombs_in_an_archive_are_refused(read, tmp_path):
    link = zipfile.ZipInfo("ratings.csv")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(SourceError, match="is a link"):
        read("movielens", {"films": tmp_path / "link.zip"})
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ratings.csv", bytes(80 << 20))
    with pytest.raises(SourceError, match="would grow from"):
        read("movielens", {"films": tmp_path / "bomb.zip"})


def test_a_damaged_archive_is_said_to_be_one(read, tmp_path):
    whole = packed(tmp_path / "ml.zip", movielens_20m(tmp_path / "ml"))
    data = bytearray(whole.read_bytes())
    data[60:90] = bytes(30)
    whole.write_bytes(bytes(data))
    with pytest.raises(SourceError, match=r"ml\.zip: the archive cannot be unpacked"):
        read("movielens", {"films": whole})


def test_a_dry_run_shows_the_mapping_and_the_first_rows(tmp_path):
    films, ratings = api.preview_data(
        preset="movielens", data={"films": movielens_100k(tmp_path / "ml")}
    )
    assert (films.kind, films.domain, films.mapping["title"]) == ("items", "films", "column2")
    assert films.rows[1]["title"] == "The Matrix (1999)"
    assert ratings.mapping == {"user": "column1", "item": "column2", "rating": "column3", "at": "column4"}  # fmt: skip
    assert ratings.rows[0] == {"user": "196", "item": "242", "rating": "3", "at": "881250949"}


def test_a_dry_run_reads_the_head_of_any_file_by_the_same_rules(tmp_path):
    rows = "".join(f"u{n};i{n};{n % 5 + 1}\n" for n in range(5000))
    path = write(tmp_path / "r.csv.gz", "person;thing;stars\n" + rows)
    settings = load_settings(None, ['source.user="person"', 'source.item="thing"'])
    (shown,) = api.preview_data(interactions=[path], settings=settings)
    assert shown.mapping == {"user": "person", "item": "thing"}
    assert shown.missing == ("domain", "rating", "at")
    assert shown.rows[4] == {"user": "u4", "item": "i4"}
    with pytest.raises(SourceError, match=r"r\.csv\.gz: no column 'user_id'"):
        api.preview_data(interactions=[path])


def test_a_dry_run_takes_tables_in_memory_and_parquet(tmp_path):
    import pandas as pd

    frame = pd.DataFrame({"item_id": ["a"], "title": ["A"], "domain": ["x"]})
    frame.to_parquet(tmp_path / "i.parquet")
    for given in (frame, tmp_path / "i.parquet"):
        (shown,) = api.preview_data(items=[given])
        assert shown.rows == ({"item": "a", "domain": "x", "title": "A"},)
