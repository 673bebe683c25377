"""Faults 16 to 35: files of users' data that are not what they claim to be, doubtful rows, ids of every kind."""

import csv
import gzip
import json
import zipfile
from pathlib import Path

import pytest

from mekb.export import write_user_graph
from mekb.graph import Evidence, Interest, UserGraph
from mekb.rdf.files import read_profile
from mekb.store import Store

ITEMS = [{"item_id": f"b{n}", "domain": "books", "title": f"Title {n}"} for n in range(1, 4)]
NASTY = [
    *("007", "1e5", "NaN", "NA", "null", "None", "TRUE", "-1", "=1+1"),
    *("a b", 'say "it\'s"', "x/../y", "..", "<b>", "🎬", "é\u0301", "x" * 10_000),
]
"""Ids that look like numbers, nulls, paths or markup."""


@pytest.fixture
def import_(mekb, tmp_path):
    """Return a function that imports items and the text of an interactions file."""

    def run(events: str | bytes, *words: str, items=ITEMS, name: str = "events.csv"):
        text = "".join(json.dumps(item) + "\n" for item in items)
        (tmp_path / "items.jsonl").write_text(text, encoding="utf-8")
        (tmp_path / name).write_bytes(events if isinstance(events, bytes) else events.encode())
        return mekb(
            *("data", "import", tmp_path / "new.duckdb", "--items", tmp_path / "items.jsonl"),
            *("--interactions", tmp_path / name, *words),
        )

    return run


@pytest.fixture
def held(tmp_path):
    """Return a function: (user, item, rating) of every interaction in the store."""

    def read() -> set[tuple[str, str, float]]:
        with Store.open(tmp_path / "new.duckdb") as store:
            rows = store.query(
                'select users.external_id as "user", items.external_id as item, rating'
                " from interactions join users using (user_id) join items using (item_id)"
            )
        return {tuple(row.values()) for row in rows.to_pylist()}

    return read


def notes(ran) -> str:
    assert ran.code == 0, ran.err
    return ran.err


def refused(ran, tmp_path, *said):
    assert ran.code == 1, (ran.out, ran.err)
    assert ran.err.count("\n") == 1, ran.err
    for part in said:
        assert part in ran.err
    assert not (tmp_path / "new.duckdb").exists()


def test_fault_16_a_misspelt_column_is_listed_with_the_nearest(import_, tmp_path):
    said = ("no column 'user_id'", "did you mean 'userId'", "'userId', 'item_id', 'rating'")
    refused(import_("userId,item_id,rating\nu1,b1,5\n"), tmp_path, "events.csv", *said)


def test_fault_17_a_recbole_header_without_types_names_the_field(import_, tmp_path):
    text = "user_id:token\titem_id\trating:float\nu1\tb1\t5\n"
    refused(import_(text, name="x.inter"), tmp_path, "'item_id' has no type", "'item_id:token'")


@pytest.mark.parametrize("separator", ["::", "\t", ",", ";", "|"])
def test_fault_18_the_separator_is_found(import_, held, separator):
    rows = [("user_id", "item_id", "rating"), ("u1", "b1", "5"), ("u2", "b2", "1")]
    notes(import_("".join(separator.join(row) + "\n" for row in rows)))
    assert held() == {("u1", "b1", 5.0), ("u2", "b2", 1.0)}


def test_fault_18_one_huge_column_is_an_error(import_, tmp_path):
    refused(import_("user_id#item_id#rating\nu1#b1#5\n"), tmp_path, "no column 'user_id'")


DOUBTFUL = "user_id,item_id,rating\nu1,b1,5\nu1,b2,nan\nu2,b1,inf\nu3,b1,\nu4,b1,good\nu5,b1,-inf\nu6,b1,inf\n"


def test_fault_19_ratings_that_are_no_numbers_are_counted_and_named(import_, held):
    said = notes(import_(DOUBTFUL))
    assert "4 rows rejected: rating is not finite; row 2: 'nan'; row 3: 'inf'" in said
    assert "1 rows rejected: no rating; row 4" in said
    assert "1 rows rejected: rating is not a number; row 5: 'good'" in said
    assert held() == {("u1", "b1", 5.0)}


def test_fault_19_strict_fails(import_, tmp_path):
    refused(import_(DOUBTFUL, "--set", "source.strict=true"), tmp_path, "6 of 7 rows rejected")


def test_fault_20_ratings_outside_the_scale_go_where_a_scale_is_given(import_, held):
    text = "user_id,item_id,rating\nu1,b1,5\nu1,b2,0.0\n"
    notes(import_(text))
    assert held() == {("u1", "b1", 5.0), ("u1", "b2", 0.0)}
    said = notes(import_(text, "--set", "source.rating_scale=[1,5]"))
    assert "1 rows rejected: rating is outside the scale; row 2: '0.0'" in said
    assert held() == {("u1", "b1", 5.0)}


TIMES = {
    "s": ("1600000000", "1600000001"),
    "ms": ("1600000000000", "1600000001000"),
    "ISO 8601": ("2020-09-13T12:26:40Z", "2020-09-13T12:26:41Z"),
}


@pytest.mark.parametrize(("unit", "written"), TIMES.items(), ids=TIMES)
def test_fault_21_the_unit_of_times_is_found(import_, tmp_path, unit, written):
    first, second = written
    text = f"user_id,item_id,rating,timestamp\nu1,b1,5,{first}\nu1,b2,5,{second}\n"
    assert f"times read as {unit}" in notes(import_(text))
    with Store.open(tmp_path / "new.duckdb") as store:
        found = store.query("select epoch_us(interactions.at) as us from interactions order by us")
    assert found["us"].to_pylist() == [1_600_000_000_000_000, 1_600_000_001_000_000]


def test_fault_21_negative_times_are_rejected_and_mixed_ones_an_error(import_, tmp_path):
    head = "user_id,item_id,rating,timestamp\n"
    mixed = f"{head}u1,b1,5,1600000000\nu1,b2,5,1600000000000\n"
    refused(
        import_(mixed),
        tmp_path,
        "events.csv",
        "times are written in several units: ms (1 rows) and s (1 rows)",
    )
    negative = f"{head}u1,b1,5,1600000000\nu1,b2,5,-3600\n"
    assert "1 rows rejected: time is negative; row 2" in notes(import_(negative))


@pytest.mark.parametrize(
    ("policy", "kept"), [("first", 5.0), ("last", 1.0), ("max", 5.0), ("error", None)]
)
def test_fault_22_repeated_rows_follow_the_policy(import_, held, tmp_path, policy, kept):
    text = "user_id,item_id,rating,timestamp\nu1,b1,5,1600000000\nu1,b1,1,1600000001\n"
    ran = import_(text, "--set", f'source.duplicates="{policy}"')
    if kept is None:
        refused(ran, tmp_path, "1 rows repeat a (user, item)", "`duplicates`")
        return
    assert f"merged by duplicates = '{policy}'" in notes(ran)
    assert held() == {("u1", "b1", kept)}


def test_fault_23_an_item_without_metadata_is_kept_and_linking_passes_over_it(
    mekb, import_, tmp_path
):
    said = notes(import_("user_id,item_id,rating\nu1,b1,5\nu1,unheard,5\nu2,b2,5\n"))
    assert "1 of 4 items have no metadata" in said
    (tmp_path / "names.tsv").write_text("surface\ttitle\nTitle 1\tTitle 1\n")
    store = tmp_path / "new.duckdb"
    assert mekb("aliases", "import", store, tmp_path / "names.tsv").code == 0
    assert mekb("link", store, "--quiet").code == 0
    assert mekb("profiles", "build", store, "--quiet").code == 0


def test_fault_24_nothing_in_a_nested_field_is_empty(mekb, tmp_path):
    lines = [
        {"parent_asin": "A1", "title": "One", "description": [], "categories": [], "store": None},
        {"parent_asin": "A2", "title": "Two", "description": "", "categories": None},
        {
            "parent_asin": "A3",
            "title": "Three",
            "description": ["a", None],
            "bought_together": None,
        },
    ]
    (tmp_path / "meta_Books.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    events = [{"user_id": "u1", "parent_asin": one["parent_asin"], "rating": 5.0} for one in lines]
    (tmp_path / "Books.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    ran = mekb(
        *("data", "import", tmp_path / "new.duckdb", "--preset", "amazon2023"),
        *("--data", f"books={tmp_path / 'Books.jsonl'}"),
        *("--data", f"books={tmp_path / 'meta_Books.jsonl'}"),
    )
    assert ran.code == 0, ran.err
    with Store.open(tmp_path / "new.duckdb") as store:
        rows = store.query("select text, brand, categories from items order by item_id").to_pylist()
    assert [row["text"] for row in rows] == ["", "", "a"]
    assert {row["brand"] for row in rows} == {None}
    assert [row["categories"] for row in rows] == [[], [], []]


def test_fault_25_ids_of_two_kinds_are_seen_in_how_few_match(import_):
    events = "".join(f"u{n},parent{n},5\n" for n in range(20))
    said = notes(
        import_(
            f"user_id,item_id,rating\nu1,b1,5\n{events}", "--set", 'source.default_domain="books"'
        )
    )
    assert "of the items have metadata: are the ids of the same kind" in said
    assert "asin" in said


def test_fault_26_entities_of_html_are_decoded_and_a_huge_title_is_cut_with_a_count(
    mekb, import_, tmp_path
):
    """A title of 100 KB is stored whole, since nothing of the data is lost; the linker reads 20,000 letters of it."""
    huge = "Frank Herbert wrote " * 5_000
    items = [*ITEMS, {"item_id": "b9", "domain": "books", "title": huge, "categories": "A &amp; B"}]
    notes(import_("user_id,item_id,rating\nu1,b9,5\nu2,b1,5\n", items=items))
    store = tmp_path / "new.duckdb"
    with Store.open(store) as opened:
        rows = opened.query("select title, categories from items where external_id = 'b9'")
    assert rows.to_pylist() == [{"title": huge, "categories": ["A & B"]}]
    (tmp_path / "names.tsv").write_text("surface\ttitle\nFrank Herbert\tFrank Herbert\n")
    assert mekb("aliases", "import", store, tmp_path / "names.tsv").code == 0
    ran = mekb("link", store, "--quiet", "--format", "json")
    assert json.loads(ran.out)["report"]["n_cut"] == 1
    with Store.open(store) as opened:
        mentions = opened.query("select start, stop, surface from mentions").to_pylist()
    assert len(mentions) == 1_000
    assert all(huge[row["start"] : row["stop"]] == row["surface"] for row in mentions)


def test_fault_27_old_movielens_files_keep_their_letters(mekb, tmp_path):
    folder = tmp_path / "ml-1m"
    folder.mkdir()
    (folder / "movies.dat").write_bytes("1::Amélie (2001)::Comedy\n".encode("latin-1"))
    (folder / "ratings.dat").write_bytes(b"1::1::5::978300760\n")
    (folder / "users.dat").write_bytes(b"1::F::1::10::48067\n")
    ran = mekb(
        *("data", "import", tmp_path / "new.duckdb", "--preset", "movielens"),
        *("--data", f"films={folder}"),
    )
    assert ran.code == 0, ran.err
    with Store.open(tmp_path / "new.duckdb") as store:
        assert store.read("items")["title"].to_pylist() == ["Amélie (2001)"]


def test_fault_27_an_undeclared_encoding_is_an_error_and_never_wrong_letters(import_, tmp_path):
    text = "user_id,item_id,rating\nJosé,b1,5\n".encode("latin-1")
    refused(import_(text), tmp_path, "not utf-8 at byte", "latin-1")
    notes(import_(text, "--set", 'source.encoding="latin-1"'))


def event_file(kind: str, folder: Path) -> Path:
    """Write every nasty id as a user and as an item, in one of the formats."""
    rows = [{"user_id": each, "item_id": each, "rating": "5"} for each in NASTY]
    path = folder / f"events.{kind}"
    if kind == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_fault_28_ids_stay_strings_in_every_format(mekb, held, tmp_path, kind):
    items = [{"item_id": each, "domain": "books", "title": "T"} for each in NASTY]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    path = event_file(kind, tmp_path)
    ran = mekb(
        *("data", "import", tmp_path / "new.duckdb", "--items", tmp_path / "items.jsonl"),
        *("--interactions", path),
    )
    assert ran.code == 0, ran.err
    assert held() == {(each, each, 5.0) for each in NASTY}


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Dataset.default_context is deprecated:DeprecationWarning")
@pytest.mark.parametrize("ending", ["json", "ttl", "jsonld", "nt"])
def test_fault_29_ids_of_any_kind_come_back_and_are_never_a_path(tmp_path, ending):
    """Out and in again as user and as item; the file is where it was asked for, whatever the id says."""
    for number, name in enumerate(NASTY):
        evidence = Evidence(name, "books", "T", "title", 0, 1, "T", 0.5)
        numbers = {"n_items": 1, "n_users": 2, "tf": 1.0, "idf": 1.0, "weight": 1.0, "rank": 1}
        interest = Interest(42, "T", "T", "wikidata", **numbers, evidence=(evidence,))
        graph = UserGraph(name, (interest,), "run")
        write_user_graph(graph, tmp_path / f"{number}.{ending}")
        assert read_profile(tmp_path / f"{number}.{ending}") == graph
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{n}.{ending}" for n in range(len(NASTY))
    }


def test_fault_30_one_id_in_two_domains_is_two_items_and_one_user(mekb, tmp_path):
    rows = [{"item_id": "7", "domain": domain, "title": domain} for domain in ("books", "films")]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "events.csv").write_text(
        "user_id,item_id,domain,rating\n7,7,books,5\n7,7,films,4\n8,7,films,1\n"
    )
    words = ("--items", tmp_path / "items.jsonl", "--interactions", tmp_path / "events.csv")
    assert mekb("data", "import", tmp_path / "new.duckdb", *words).code == 0
    with Store.open(tmp_path / "new.duckdb") as store:
        assert store.count("items") == 2
        assert store.read("users")["external_id"].to_pylist() == ["7", "8"]
        assert store.count("interactions") == 3


def test_fault_31_domains_without_shared_users_are_warned_of_and_newcomers_served(
    mekb, own_project
):
    """The model needs no user of both sides: it learns within the target, where the split asks for no more."""
    with Store.open(own_project.store) as store:
        store.connection.execute(
            "delete from interactions where user_id in (select user_id from interactions join items"
            " using (item_id) where domain = 'films') and item_id in (select item_id from items"
            " where domain <> 'films')"
        )
    described = mekb("data", "describe", own_project.store)
    assert described.code == 0
    assert "no overlapping users between" in described.out
    folder = own_project.folder / "new"
    words = ("train", own_project.store, folder, "--target", "films", "--quiet", *own_project.quick)
    refused = mekb(*words)
    assert refused.code == 1
    assert refused.err.count("\n") == 1
    assert "0 users have positives both in 'films' and in a source domain" in refused.err
    assert mekb(*words, "--set", 'split.kind="warm"').code == 0
    assert mekb("bundle", own_project.store, folder, own_project.folder / "served").code == 0
    assert mekb("recommend", own_project.folder / "served", "--interests", "jazz").code == 0


NEXT_TO_NOTHING = {
    "empty": ("", 1, "the file is empty"),
    "header only": ("user_id,item_id,rating\n", 1, "a header and no rows"),
    "one row": ("user_id,item_id,rating\nu1,b1,5\n", 0, ""),
}


@pytest.mark.parametrize(("text", "code", "said"), NEXT_TO_NOTHING.values(), ids=NEXT_TO_NOTHING)
def test_fault_32_next_to_nothing_is_an_answer_or_a_clear_error(
    mekb, import_, tmp_path, text, code, said
):
    ran = import_(text)
    assert (ran.code, said in ran.err) == (code, True)
    if code:
        return
    store = tmp_path / "new.duckdb"
    (tmp_path / "names.tsv").write_text("surface\ttitle\nTitle 1\tTitle 1\n")
    for words in (
        ("aliases", "import", store, tmp_path / "names.tsv"),
        ("link", store, "--quiet"),
        ("profiles", "build", store, "--quiet"),
        ("data", "describe", store),
        ("profiles", "show", store, "u1"),
    ):
        assert mekb(*words).code == 0, words
    alone = mekb("train", store, tmp_path / "model", "--target", "books", "--quiet")
    assert alone.code == 1
    assert alone.err.count("\n") == 1
    assert not (tmp_path / "model").exists()


def test_fault_33_a_broken_line_is_named_by_its_number(import_, held):
    good = '{"user_id": "u1", "item_id": "b1", "rating": 5}\n'
    text = f'{good}{{"user_id": "u2", "item_id\n{good.replace("u1", "u3")}{{"user_id": "u4", "it'
    said = notes(import_(text, name="events.jsonl"))
    assert "2 rows rejected: " in said
    assert "row 2: " in said
    assert "row 4: " in said
    assert {user for user, *_ in held()} == {"u1", "u3"}


def test_fault_33_strict_fails_at_a_broken_line(import_, tmp_path):
    text = '{"user_id": "u1", "item_id": "b1", "rating": 5}\n{"user\n'
    ran = import_(text, "--set", "source.strict=true", name="events.jsonl")
    refused(ran, tmp_path, "events.jsonl", "row 2", "1 of 2 rows rejected")


def archive(path: Path, members: dict[str, bytes], *, link: bool = False) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o120777 if link else 0o100644) << 16
            packed.writestr(info, content)
    return path


@pytest.mark.parametrize("fault", ["outside", "bomb", "link"])
def test_fault_34_archives_are_held_to_their_folder_and_size(mekb, listing, tmp_path, fault):
    """A member of a name with "../" is read under its bare name, in a folder of its own: it cannot leave it."""
    ratings, movies = (
        b"userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n",
        b"movieId,title,genres\n2,A (1995),Drama\n",
    )
    members = {"../../ratings.csv": ratings, "../../../tmp/movies.csv": movies}
    if fault == "bomb":
        members["../../ratings.csv"] = bytes(80 << 20)
    elif fault == "link":
        members["../../ratings.csv"] = b"/etc/passwd"
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    path = archive(inner / "ml.zip", members, link=fault == "link")
    before = listing(tmp_path)
    words = (
        "data",
        "import",
        inner / "new.duckdb",
        "--preset",
        "movielens",
        "--data",
        f"films={path}",
    )
    ran = mekb(*words)
    if fault == "outside":
        assert ran.code == 0, ran.err
        assert not list(tmp_path.rglob("*.csv"))
        return
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert {"bomb": "would grow from", "link": "is a link"}[fault] in ran.err
    assert listing(tmp_path) == before


def test_fault_34_a_gzip_cut_short_is_named(import_, tmp_path):
    data = gzip.compress(b"user_id,item_id,rating\n" + b"u1,b1,5\n" * 2_000)
    refused(import_(data[:-20], name="events.csv.gz"), tmp_path, "damaged or cut short")


def test_fault_35_a_planted_test_user_changes_nothing_that_is_learned(own_project):
    """One more cold-start user with an entity nobody has: neither idf, vocabulary nor vectors may move.

    The split puts people on the test side by a hash of their id, so the planted one is an id that falls there.
    Worlds in which a leak would give a perfect score are in tests/mekb/test_leak.py.
    """
    import numpy as np

    from mekb.config import Settings
    from mekb.dataset import split_world
    from mekb.worlds import world_of

    settings = Settings()

    def learned():
        with Store.open(own_project.store) as store:
            world = world_of(store, ("books", "music"), "films", settings.split)
        split = split_world(world, "films", settings.split, settings.scoring)
        test = split.data.user_ids[split.test.user_rows]
        return split.profiles.entities.n_users, split.profiles.entities.n_all, set(test.tolist())

    counts, n_all, test = learned()
    with Store.open(own_project.store) as store:
        films = "(select item_id from items where domain = 'films')"
        user = min(test)
        more = store.query(
            f"select item_id from items where item_id in {films} order by item_id limit 25"
        )["item_id"].to_pylist()
        store.connection.executemany(
            "insert into interactions select $user, $item, null, 5.0, true where not exists"
            " (select 1 from interactions where user_id = $user and item_id = $item)",
            [{"user": user, "item": item} for item in more],
        )
    again, n_again, test_again = learned()
    assert user in test_again
    assert test_again == test
    assert n_again == n_all
    assert np.array_equal(again, counts)
