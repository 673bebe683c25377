"""Readers of users' data: every format gives the same tables, and nothing is lost without being counted."""

import csv
import gzip
import json
import shutil
from collections import defaultdict
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mekb.errors import SourceError
from mekb.schema import INTERACTIONS, ITEMS, USERS
from mekb.sources import ImportConfig, describe, read_tables
from mekb.sources.times import TimeUnit

NASTY_IDS = [
    "007",
    "1e5",
    "NaN",
    "NA",
    "null",
    "None",
    "a b",
    "it's",
    "x/../y",
    "é\u0301",
    "🎬",
    "-1",
    "=1+1",
]
SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "amazon_kg_5core"


@pytest.fixture
def connection():
    with duckdb.connect() as connection:
        yield connection


def write_csv(path, rows, delimiter=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def pack(path):
    packed = path.with_name(path.name + ".gz")
    with path.open("rb") as source, gzip.open(packed, "wb") as target:
        shutil.copyfileobj(source, target)
    return packed


def items_file(folder, ids, domain="books"):
    rows = [{"item_id": item, "domain": domain, "title": f"Title of {item}"} for item in ids]
    return write_jsonl(folder / f"{domain}_items.jsonl", rows)


def events_file(folder, text, name="events.csv", encoding="utf-8"):
    path = folder / name
    path.write_text(text, encoding=encoding)
    return path


def read_events(connection, folder, text, ids=("i1", "i2"), **settings):
    """Import one CSV text of interactions with a books catalogue of `ids`."""
    return read_tables(
        connection, [items_file(folder, ids)], [events_file(folder, text)], ImportConfig(**settings)
    )


def named_events(tables):
    """Return {(user, domain, item): (rating, positive, at)} with external ids."""
    users = tables.users["external_id"].to_pylist()
    items = tables.items.to_pylist()
    return {
        (
            users[row["user_id"]],
            items[row["item_id"]]["domain"],
            items[row["item_id"]]["external_id"],
        ): (
            row["rating"],
            row["positive"],
            row["at"],
        )
        for row in tables.interactions.to_pylist()
    }


def rejected(report):
    return {entry.reason: entry.n_rows for file in report.files for entry in file.rejected}


ITEM_ROWS = [
    {"item_id": item, "domain": domain, "title": f'"{item}" & <b>', "text": "one\ntwo, three", "brand": "Acme",
     "categories": "Films|Sci &amp; Fi"}
    for domain in ("movies", "books")
    for item in NASTY_IDS
]  # fmt: skip
EVENT_ROWS = [
    {"user_id": user, "item_id": item, "domain": domain, "rating": str(1 + (n + m) % 5), "timestamp": str(1_600_000_000 + n)}
    for n, user in enumerate(NASTY_IDS)
    for m, (item, domain) in enumerate(zip(NASTY_IDS, ["books", "movies"] * 7, strict=False))
]  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["csv", "tsv", "semicolon", "jsonl", "parquet"])
def test_every_format_gives_the_same_tables(connection, tmp_path, kind, packed):
    def write(name, rows):
        path = tmp_path / name
        match kind:
            case "csv":
                path = write_csv(path, rows)
            case "tsv":
                path = write_csv(path, rows, "\t")
            case "semicolon":
                path = write_csv(path, rows, ";")
            case "jsonl":
                path = write_jsonl(path, rows)
            case _:
                path = write_parquet(path, rows)
        return pack(path) if packed else path

    tables = read_tables(
        connection, [write("items", ITEM_ROWS)], [write("events", EVENT_ROWS)], ImportConfig()
    )
    assert tables.items.schema.equals(ITEMS, check_metadata=True)
    assert tables.users.schema.equals(USERS, check_metadata=True)
    assert tables.interactions.schema.equals(INTERACTIONS, check_metadata=True)
    assert tables.users["external_id"].to_pylist() == sorted(NASTY_IDS)
    keys = [(row["domain"], row["external_id"]) for row in tables.items.to_pylist()]
    assert keys == sorted((row["domain"], row["item_id"]) for row in ITEM_ROWS)
    assert tables.items["item_id"].to_pylist() == list(range(len(ITEM_ROWS)))
    for row in tables.items.to_pylist():
        assert row["title"] == f'"{row["external_id"]}" & <b>'
        assert row["text"] == "one\ntwo, three"
        assert row["categories"] == ["Films", "Sci & Fi"]
    expected = {
        (row["user_id"], row["domain"], row["item_id"]): float(row["rating"]) for row in EVENT_ROWS
    }
    got = named_events(tables)
    assert {key: rating for key, (rating, _, _) in got.items()} == expected
    assert all(positive == (rating >= 4) for rating, positive, _ in got.values())
    assert tables.report.n_rejected == 0
    assert {file.time_unit for file in tables.report.files} == {None, "s"}


@pytest.mark.parametrize(
    "name", ["it's.csv", "a[1]*?.csv", '"x".csv', "domain=music.csv", "$p.csv"]
)
def test_file_names_are_no_patterns(connection, tmp_path, name):
    (tmp_path / "a1xy.csv").write_text("user_id,item_id\nwrong,wrong\n")
    path = events_file(tmp_path, "user_id,item_id\nu,i1\n", name)
    tables = read_tables(connection, [items_file(tmp_path, ["i1"])], [path], ImportConfig())
    assert list(named_events(tables)) == [("u", "books", "i1")]


def test_movielens_double_colon_latin_1_without_header(connection, tmp_path):
    items = events_file(
        tmp_path,
        "1::Amélie: le film (2001)::Comedy|Romance\n2::Heat::Crime\n" * 1,
        "movies.dat",
        "latin-1",
    )
    events = events_file(tmp_path, "7::1::5::978300760\n7::2::3::978300761\n", "ratings.dat")
    config = ImportConfig(
        user="column1", item="column2", rating="column3", at="column4", encoding="latin-1", default_domain="movies"
    )  # fmt: skip
    tables = read_tables(connection, [], [events], config)
    assert named_events(tables).keys() == {("7", "movies", "1"), ("7", "movies", "2")}
    config = ImportConfig(
        item="column1", title="column2", categories="column3", encoding="latin-1", default_domain="movies"
    )  # fmt: skip
    events = write_csv(tmp_path / "e.csv", [{"user_id": "u", "column1": "1"}])
    tables = read_tables(connection, [items], [events], config)
    assert tables.items["title"].to_pylist() == ["Amélie: le film (2001)", "Heat"]
    assert tables.items["categories"].to_pylist() == [["Comedy", "Romance"], ["Crime"]]


def test_recbole_header(connection, tmp_path):
    items = events_file(
        tmp_path,
        'item_id:token\ttitle:token_seq\tclass:token_seq\n1\tHeat "95\tCrime Drama\n',
        "ml.item",
    )
    events = events_file(
        tmp_path, "user_id:token\titem_id:token\trating:float\n007\t1\t4.5\n", "ml.inter"
    )
    config = ImportConfig(categories="class", default_domain="movies")
    tables = read_tables(connection, [items], [events], config)
    assert tables.items.to_pylist()[0]["categories"] == ["Crime", "Drama"]
    assert tables.items.to_pylist()[0]["title"] == 'Heat "95'
    assert named_events(tables) == {("007", "movies", "1"): (4.5, True, None)}


def test_recbole_header_without_type_names_the_field(connection, tmp_path):
    events = events_file(tmp_path, "user_id:token\titem_id\n1\t2\n", "ml.inter")
    with pytest.raises(SourceError, match=r"'item_id' has no type.*'item_id:token'"):
        read_tables(connection, [], [events], ImportConfig(default_domain="x"))


def test_a_lone_quote_in_tsv_is_a_letter(connection, tmp_path):
    items = events_file(tmp_path, 'item_id\tdomain\ttitle\n1\tm\t"Heat\n2\tm\t7" single\n', "i.tsv")
    events = events_file(tmp_path, "user_id\titem_id\nu\t1\nu\t2\n", "e.tsv")
    tables = read_tables(connection, [items], [events], ImportConfig())
    assert tables.items["title"].to_pylist() == ['"Heat', '7" single']


def test_json_values(connection, tmp_path):
    items = tmp_path / "meta.jsonl"
    items.write_text(
        '{"parent_asin": 1e5, "title": null, "text": ["one", "two"], "categories": [["A", "B"], ["A"]],'
        ' "bought_together": null}\n'
        '{"parent_asin": 123456789012345678901234567890, "title": "a\\ud800b", "text": [], "brand": ""}\n'
    )
    events = tmp_path / "reviews.jsonl"
    events.write_text(
        '{"user_id": "u", "parent_asin": 1e5, "rating": 5.0, "timestamp": 1588687728923}\n'
    )
    config = ImportConfig(
        item="parent_asin", file_domains={"meta.jsonl": "books", "reviews.jsonl": "books"}
    )
    tables = read_tables(connection, [items], [events], config)
    first, second = tables.items.to_pylist()
    assert (first["external_id"], first["title"], first["text"]) == (
        "123456789012345678901234567890",
        "a\ufffdb",
        "",
    )
    assert (first["brand"], first["categories"]) == (None, [])
    assert (second["external_id"], second["text"], second["categories"]) == (
        "1e5",
        "one two",
        ["A", "B"],
    )
    assert tables.interactions["at"].to_pylist()[0].isoformat() == "2020-05-05T14:08:48.923000"


def test_typed_parquet(connection, tmp_path):
    path = tmp_path / "events.parquet"
    table = pa.table(
        {
            "user_id": pa.array(["b", "a", "b"]).dictionary_encode(),
            "item_id": pa.array([3.0, 1.0, float("nan")]),  # how pandas writes ids with a gap
            "rating": pa.array([4.5, 1.0, 2.0], pa.float32()),
            "timestamp": pa.array(
                [1_600_000_000_000, None, 0], pa.timestamp("ms", "Europe/Berlin")
            ),
        }
    )
    pq.write_table(table, path)
    tables = read_tables(connection, [], [path], ImportConfig(default_domain="d"))
    got = named_events(tables)
    assert {key: value[0] for key, value in got.items()} == {
        ("b", "d", "3"): 4.5,
        ("a", "d", "1"): 1.0,
    }
    assert got["b", "d", "3"][2].isoformat() == "2020-09-13T12:26:40"
    assert rejected(tables.report) == {"no item id": 1}


def test_bad_ratings_are_counted_and_the_first_five_listed(connection, tmp_path):
    bad = ["nan", "inf", "-inf", "", "five", "1e99", "NaN", "nan", "nan", "nan"]
    text = "user_id,item_id,rating\n" + "".join(f"u{n},i1,{value}\n" for n, value in enumerate(bad))
    tables = read_events(connection, tmp_path, text + "v,i1,0.0\n")
    assert rejected(tables.report) == {
        "rating is not finite": 8,
        "no rating": 1,
        "rating is not a number": 1,
    }
    listed = next(e for e in tables.report.files[1].rejected if e.reason == "rating is not finite")
    assert listed.examples == tuple(
        f"row {row}: {value!r}"
        for row, value in [(1, "nan"), (2, "inf"), (3, "-inf"), (6, "1e99"), (7, "NaN")]
    )
    assert list(named_events(tables)) == [("v", "books", "i1")]
    for file in tables.report.files:
        assert file.n_read == file.n_kept + sum(entry.n_rows for entry in file.rejected)


def test_strict_fails_on_the_same_rows(connection, tmp_path):
    with pytest.raises(SourceError, match=r"strict.*1 of 2 rows.*row 2: 'nan'"):
        read_events(connection, tmp_path, "user_id,item_id,rating\nu,i1,4\nu,i2,nan\n", strict=True)


def test_broken_json_lines_are_named_by_number(connection, tmp_path):
    path = tmp_path / "e.jsonl"
    path.write_bytes(
        b'{"user_id": "u", "item_id": "i1"}\n\n{broken\n[1]\n{"user_id": "\xff", "item_id": "i1"}\n{"user_id": "v", "item'
    )
    tables = read_tables(connection, [items_file(tmp_path, ["i1"])], [path], ImportConfig())
    report = {entry.reason: entry.examples for entry in tables.report.files[1].rejected}
    assert report["not JSON"][0].startswith("row 3: ")
    assert report["not JSON"][1].startswith("row 6: ")
    assert report["not a JSON object"] == ("row 4: '[1]'",)
    assert len(report["not utf-8"]) == 1
    assert tables.report.files[1].n_read == 5


def test_ragged_rows_are_named_by_number(connection, tmp_path):
    tables = read_events(
        connection,
        tmp_path,
        'user_id,item_id\nu,i1\nonly\nv,"i\n1"\n1,2,3\n,i1\nw,i2\n',
        ids=["i1", "i2", "i\n1"],
    )
    report = {entry.reason: entry.examples for entry in tables.report.files[1].rejected}
    assert report == {
        "wrong number of fields": ("row 2: 'only'", "row 4: '1,2,3'"),
        "no user id": ("row 5: ' i1'",),
    }


def test_items_without_metadata_are_kept_without_a_title(connection, tmp_path):
    tables = read_events(connection, tmp_path, "user_id,item_id\nu,i1\nu,007\n", ids=["i1"])
    assert {row["external_id"]: row["title"] for row in tables.items.to_pylist()} == {
        "007": "",
        "i1": "Title of i1",
    }
    assert tables.report.n_items_without_metadata == 1
    assert any("50% of the items have metadata" in note for note in tables.report.notes)


def test_no_ratings_means_positive(connection, tmp_path):
    tables = read_events(connection, tmp_path, "user_id,item_id,rating\nu,i1,\nu,i2,\n")
    assert named_events(tables).keys() == {("u", "books", "i1"), ("u", "books", "i2")}
    assert tables.report.n_positive == 2
    assert any("every row counts as positive" in note for note in tables.report.notes)


def test_no_positive_rating_is_said(connection, tmp_path):
    tables = read_events(connection, tmp_path, "user_id,item_id,rating\nu,i1,1\n")
    assert tables.report.n_positive == 0
    assert any("positive_from" in note for note in tables.report.notes)


def test_same_id_in_two_domains_is_two_items_and_one_user(connection, tmp_path):
    items = [items_file(tmp_path, ["7"], "books"), items_file(tmp_path, ["7"], "movies")]
    events = events_file(tmp_path, "user_id,item_id,domain\nu,7,books\nu,7,movies\n")
    tables = read_tables(connection, items, [events], ImportConfig())
    assert named_events(tables).keys() == {("u", "books", "7"), ("u", "movies", "7")}
    assert tables.report.n_users == 1
    assert tables.report.domains["books"].n_users == tables.report.domains["movies"].n_users == 1


def test_interactions_without_domain_go_to_the_item(connection, tmp_path):
    items = [items_file(tmp_path, ["b1"], "books"), items_file(tmp_path, ["m1"], "movies")]
    events = events_file(tmp_path, "user_id,item_id\nu,b1\nu,m1\nu,x\n")
    tables = read_tables(connection, items, [events], ImportConfig())
    assert named_events(tables).keys() == {("u", "books", "b1"), ("u", "movies", "m1")}
    assert rejected(tables.report) == {"no domain, and the item is not in the items files": 1}


def test_an_id_of_two_domains_needs_one(connection, tmp_path):
    items = [items_file(tmp_path, ["7"], "books"), items_file(tmp_path, ["7"], "movies")]
    events = events_file(tmp_path, "user_id,item_id\nu,7\n")
    with pytest.raises(SourceError, match=r"item ids are in several.*'u 7'"):
        read_tables(connection, items, [events], ImportConfig())
    config = ImportConfig(file_domains={"events.csv": "movies"})
    assert named_events(read_tables(connection, items, [events], config)).keys() == {
        ("u", "movies", "7")
    }


def test_items_without_any_domain(connection, tmp_path):
    items = write_csv(tmp_path / "i.csv", [{"item_id": "1", "title": "t"}])
    events = events_file(tmp_path, "user_id,item_id\nu,1\n")
    with pytest.raises(SourceError, match="default_domain"):
        read_tables(connection, [items], [events], ImportConfig())
    tables = read_tables(connection, [items], [events], ImportConfig(default_domain="books"))
    assert named_events(tables).keys() == {("u", "books", "1")}


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        (["1600000000", "1600000001.5", "86400"], "s"),
        (["1600000000000", "86400000"], "ms"),
        (["1600000000000000"], "us"),
        (["1600000000000000000"], "ns"),
        (["20200913", "19991231"], "YYYYMMDD"),
        (["2020-09-13", "2020-09-13T12:26:40Z", "2020-09-13 12:26:40"], "ISO 8601"),
        (["5", "6"], "s"),
    ],
)
def test_time_units(connection, tmp_path, written, unit):
    text = "user_id,item_id,timestamp\n" + "".join(
        f"u{n},i1,{at}\n" for n, at in enumerate(written)
    )
    tables = read_events(connection, tmp_path, text)
    assert tables.report.files[1].time_unit == unit
    assert TimeUnit(unit).value == unit
    assert tables.report.n_interactions == len(written)


def test_time_values(connection, tmp_path):
    rows = {
        "2020-09-13T14:26:40+02:00": "2020-09-13T12:26:40",
        "2020-09-13T12:26:40Z": "2020-09-13T12:26:40",
        "2020-09-13 12:26:40.25": "2020-09-13T12:26:40.250000",
        "2020-09-13": "2020-09-13T00:00:00",
    }
    text = "user_id,item_id,timestamp\n" + "".join(f"{want},i1,{at}\n" for at, want in rows.items())
    # The second writing of the same moment is a duplicate of the same user.
    tables = read_events(connection, tmp_path, text)
    for (user, _, _), (_, _, at) in named_events(tables).items():
        assert at.isoformat() == user


def test_negative_and_unreadable_are_rejected(connection, tmp_path):
    text = "user_id,item_id,timestamp\na,i1,1600000000\nb,i1,-5\nc,i1,soon\nd,i1,\ne,i1,inf\n"
    tables = read_events(connection, tmp_path, text)
    assert rejected(tables.report) == {"time is negative": 1, "time cannot be read": 2}
    assert {key[0]: value[2] is None for key, value in named_events(tables).items()} == {
        "a": False,
        "d": True,
    }


@pytest.mark.parametrize("other", ["1600000000000", "2020-09-13", "1600000000000000"])
def test_mixed_units_are_an_error(connection, tmp_path, other):
    text = f"user_id,item_id,timestamp\na,i1,1600000000\nb,i1,{other}\n"
    with pytest.raises(SourceError, match="several units"):
        read_events(connection, tmp_path, text)


REPEATED = "user_id,item_id,rating,timestamp\nu,i1,3,200\nu,i1,5,100\nu,i1,4,300\nu,i2,1,5\n"


@pytest.mark.parametrize(("policy", "rating"), [("last", 4.0), ("first", 5.0), ("max", 5.0)])
def test_duplicate_policies(connection, tmp_path, policy, rating):
    tables = read_events(connection, tmp_path, REPEATED, duplicates=policy)
    assert named_events(tables)["u", "books", "i1"][0] == rating
    assert tables.report.n_duplicate_interactions == 2


def test_duplicates_as_an_error(connection, tmp_path):
    with pytest.raises(SourceError, match=r"2 rows repeat a \(user, item\)"):
        read_events(connection, tmp_path, REPEATED, duplicates="error")


@pytest.mark.parametrize(("policy", "title"), [("last", "new"), ("first", "old"), ("max", "new")])
def test_repeated_items(connection, tmp_path, policy, title):
    items = events_file(tmp_path, "item_id,domain,title\n1,b,old\n1,b,new\n", "items.csv")
    events = events_file(tmp_path, "user_id,item_id\nu,1\n")
    tables = read_tables(connection, [items], [events], ImportConfig(duplicates=policy))
    assert tables.items["title"].to_pylist() == [title]
    assert tables.report.n_duplicate_items == 1


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(1, 5), st.one_of(st.none(), st.integers(0, 3))),
        min_size=1,
        max_size=12,
    ),
    policy=st.sampled_from(["last", "first", "max"]),
)  # fmt: skip
def test_duplicates_against_brute_force(tmp_path_factory, rows, policy):
    folder = tmp_path_factory.mktemp("events")
    text = "user_id,item_id,rating,timestamp\n" + "".join(
        f"{user},{item},{rating},{'' if at is None else at}\n" for user, item, rating, at in rows
    )
    with duckdb.connect() as connection:
        tables = read_events(connection, folder, text, duplicates=policy)
    groups = defaultdict(list)
    for place, (user, item, rating, at) in enumerate(rows):
        groups[user, "books", item].append((place, rating, at))

    def goodness(row):
        place, rating, at = row
        sign = -1 if policy == "first" else 1
        moment = (at is not None, sign * (at or 0), sign * place)
        return (rating, *moment) if policy == "max" else moment

    expected = {key: max(group, key=goodness)[1] for key, group in groups.items()}
    assert {key: value[0] for key, value in named_events(tables).items()} == expected


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.text(min_size=1, max_size=4), st.text(min_size=1, max_size=4)),
        min_size=1, max_size=8, unique=True,
    ),
    data=st.data(),
)  # fmt: skip
def test_any_text_is_an_id_and_row_order_does_not_matter(tmp_path_factory, rows, data):
    folder = tmp_path_factory.mktemp("ids")
    shuffled = data.draw(st.permutations(rows))
    with duckdb.connect() as connection:
        results = [
            read_tables(
                connection,
                [],
                [write_jsonl(folder / "e.jsonl", [{"user_id": u, "item_id": i} for u, i in order])],
                ImportConfig(default_domain="d"),
            )
            for order in (rows, shuffled)
        ]
    assert {(u, i) for u, _, i in named_events(results[0])} == set(rows)
    assert results[0].users["external_id"].to_pylist() == sorted({user for user, _ in rows})
    for name in ("items", "users", "interactions"):
        assert getattr(results[0], name).equals(getattr(results[1], name))


def test_missing_column_names_the_nearest(connection, tmp_path):
    with pytest.raises(
        SourceError,
        match=r"no column 'user_id' for `user`; did you mean 'userId'.*'userId', 'item_id'",
    ):
        read_events(connection, tmp_path, "userId,item_id\n1,2\n")


def test_a_renamed_column_must_exist(connection, tmp_path):
    with pytest.raises(SourceError, match="no column 'stars' for `rating`"):
        read_events(connection, tmp_path, "user_id,item_id,star\n1,i1,3\n", rating="stars")


def test_a_near_miss_of_an_optional_column_is_noted(connection, tmp_path):
    tables = read_events(connection, tmp_path, "user_id,item_id,ratings\n1,i1,3\n")
    assert any("is 'ratings' meant" in note for note in tables.report.notes)


def test_headless_file_shows_numbered_columns(connection, tmp_path):
    with pytest.raises(SourceError, match="'column1', 'column2', 'column3'"):
        read_events(connection, tmp_path, "A1,0001,5.0\nA2,0002,4.0\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"user_id,item_id\n", "a header and no rows"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"PK\x03\x04rest", "zip archive"),
        (b'[{"user_id": 1}]', "one JSON array"),
        (b"{broken\n", "no row can be read.*row 1"),
        (b"PAR1garbage", "cannot be read as Parquet"),
        (b"user_id,item_id\n\xe9,1\n", "not utf-8 at byte 16.*latin-1"),
        (gzip.compress(b"user_id,item_id\n" + b"u,i\n" * 50_000)[:-9], "damaged or cut short"),
        (b"user_id,user_id,item_id\n1,2,3\n", "there twice"),
        (b"user_id,item_id\n,\n", "no row can be kept"),
    ],
)
def test_files_that_are_not_what_they_claim(connection, tmp_path, content, message):
    path = tmp_path / "events.csv"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read_tables(connection, [], [path], ImportConfig(default_domain="d"))


def test_late_bytes_of_another_encoding(connection, tmp_path):
    path = tmp_path / "events.csv"
    path.write_bytes(b"user_id,item_id\n" + b"u,i\n" * 50_000 + b"\xe9,1\n")
    with pytest.raises(SourceError, match="UTF8"):
        read_tables(connection, [], [path], ImportConfig(default_domain="d"))


def test_paths_that_are_no_files(connection, tmp_path):
    with pytest.raises(SourceError, match="a folder"):
        read_tables(connection, [], [tmp_path], ImportConfig())
    with pytest.raises(SourceError, match="no such file"):
        read_tables(connection, [], [tmp_path / "x.csv"], ImportConfig())
    with pytest.raises(SourceError, match="no file of interactions"):
        read_tables(connection, [], [], ImportConfig())


@pytest.mark.parametrize("settings", [{"usr": "x"}, {"encoding": "utf-9"}, {"duplicates": "any"}])
def test_settings_are_checked(settings):
    with pytest.raises(ValidationError):
        ImportConfig(**settings)


def test_the_users_database_is_left_alone(connection, tmp_path):
    connection.execute("create table source_rows as select 42 as answer")
    read_events(connection, tmp_path, "user_id,item_id\nu,i1\n")
    assert connection.execute("show tables").fetchall() == [("source_rows",)]
    assert connection.execute("select * from source_rows").fetchall() == [(42,)]


def store(connection, tables):
    for name in ("items", "users", "interactions"):
        connection.register("arrow_table", getattr(tables, name))
        connection.execute(f"create table {name} as select * from arrow_table")
        connection.unregister("arrow_table")


@pytest.fixture
def world(connection, tmp_path):
    """Two users share books and movies, one has books only, music is apart."""
    items = events_file(
        tmp_path,
        "item_id,domain,title,text\nb1,books,B1,about\nb2,books,B2,\nm1,movies,M1,about\ns1,music,,\n",
        "items.csv",
    )
    events = events_file(
        tmp_path,
        "user_id,item_id,rating\nu1,b1,5\nu1,b2,1\nu1,m1,5\nu2,b1,4\nu2,m1,4\nu3,b2,5\nu4,s1,2\n",
    )
    store(connection, read_tables(connection, [items], [events], ImportConfig()))
    return connection


def test_describe_counts(world):
    books, movies, music = describe(world).domains
    assert (books.n_users, books.n_items, books.n_interactions, books.n_positive) == (
        3,
        2,
        4,
        3,
    )
    assert (books.mean_per_user, books.median_per_user) == (pytest.approx(4 / 3), 1.0)
    assert (books.text_share, movies.text_share, music.titled_share) == (0.5, 1.0, 0.0)
    assert books.linked_share is None


def test_describe_overlaps(world):
    pairs = {(pair.domain, pair.other): pair for pair in describe(world).overlaps}
    assert pairs.keys() == {("books", "movies"), ("books", "music"), ("movies", "music")}
    both = pairs["books", "movies"]
    assert (both.n_shared, both.share, both.share_of_other) == (2, pytest.approx(2 / 3), 1.0)
    assert pairs["books", "music"].n_shared == 0


def test_describe_verdicts(world):
    warnings = "\n".join(describe(world).warnings)
    assert (
        "no overlapping users between books and music: EmbedMe can train on the target alone"
        in warnings
    )
    assert "only 2 users in both books and movies" in warnings
    assert "music: no positive interaction" in warnings
    assert "music: 100% of the items have no title" in warnings


def test_describe_entities(world):
    ids = dict(world.execute("select external_id, item_id from items").fetchall())
    world.execute("create table item_entities (item_id uinteger, entity_id uinteger)")
    world.executemany(
        "insert into item_entities values (?, ?)",
        [(ids["b1"], 42), (ids["b1"], 43), (ids["m1"], 42), (ids["m1"], 3_000_000_001)],
    )
    world.execute("create table entities as select 42 as entity_id, 'Answer' as label")
    world.execute("create table custom_entities as select 3000000001 as entity_id, 'Acme' as label")
    found = describe(world)
    books, movies, music = found.domains
    assert (books.linked_share, books.entities_per_item) == (0.5, 1.0)
    assert (movies.linked_share, movies.entities_per_item) == (1.0, 2.0)
    assert music.linked_share == 0.0
    top = [(entry.entity_id, entry.label, entry.n_items) for entry in found.top_entities]
    assert top == [(42, "Answer", 2), (43, "entity 43", 1), (3_000_000_001, "Acme", 1)]
    assert any(
        warning.startswith("music: only 0% of the items have an entity")
        for warning in found.warnings
    )


def test_an_empty_store_says_what_to_do(connection):
    with pytest.raises(SourceError, match="no table items, users, interactions"):
        describe(connection)


@pytest.mark.real
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/amazon_kg_5core")
def test_amazon_kg_counts(connection):
    config = ImportConfig(brand="creator", positive_from=1)
    tables = read_tables(
        connection, [SHARED / "items.parquet"], [SHARED / "interactions.parquet"], config
    )
    counts = tables.report.domains
    assert (counts["books"].n_users, counts["books"].n_items, counts["books"].n_interactions) == (
        10_485,
        8_318,
        115_572,
    )
    assert (
        counts["movies"].n_users,
        counts["movies"].n_items,
        counts["movies"].n_interactions,
    ) == (5_648, 4_779, 67_066)
    store(connection, tables)
    (overlap,) = describe(connection).overlaps
    assert overlap.n_shared == 1_062
