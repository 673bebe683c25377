"""Every command of docs/data.md runs, on tiny files under the names it uses."""

import csv
import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

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

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
BLOCKS = re.findall(r"^```console\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
COMMANDS = [
    shlex.split(line.removeprefix("$ "))
    for line in "".join(BLOCKS).replace("\\\n", " ").splitlines()
]


def place(folder: Path) -> None:
    """Write the files the page speaks of."""
    rows = [{"isbn": f"00{n}", "title": f"Title {n}", "domain": "books"} for n in range(3)]
    ratings = [{"reader": f"r{n}", "isbn": f"00{n}", "stars": n + 3} for n in range(3)]
    for name, table in (("items.csv", rows), ("ratings.csv", ratings)):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    amazon_2023(folder / "amazon")
    write(folder / "amazon" / "Movies_and_TV.jsonl.gz", lines(REVIEW_2023))
    write(folder / "amazon" / "meta_Movies_and_TV.jsonl.gz", lines(META_2023))
    head = "user_id,parent_asin,rating,timestamp\n"
    write(folder / "benchmark" / "Books.train.csv", head + "U1,B000PARENT,5.0,1588687728923\n")
    write(folder / "a2018" / "Books_5.json.gz", lines(REVIEW_2018))
    write(folder / "a2018" / "meta_Books.json.gz", lines(META_2018))
    write(folder / "ratings" / "Books.csv", "0001713353,A2SUAM1J3GNN3B,4.0,1413763200\n")
    old = {"reviewerID": "A1", "asin": "0000031852", "overall": 5.0, "unixReviewTime": 1390003200}
    write(folder / "a2014" / "reviews_Toys_5.json.gz", lines(old))
    write(folder / "a2014" / "meta_Toys.json.gz", META_2014)
    packed(folder / "ml-100k.zip", movielens_100k(folder / "ml-100k"))
    shutil.rmtree(folder / "ml-100k")
    movielens_1m(folder / "ml-1m")
    movielens_20m(folder / "ml-20m")
    recbole(folder / "toy")
    for domain in ("book", "movie", "music"):
        write(folder / f"douban_{domain}" / "ratings.dat", "0\t7\t5\n1\t3\t2\n")


@pytest.fixture
def mekb(monkeypatch, capsys):
    from mekb.cli.app import main

    monkeypatch.setenv("COLUMNS", "160")

    def run(*words):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["mekb", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, *capsys.readouterr()

    return run


def test_the_page_runs_from_top_to_bottom(mekb, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place(tmp_path)
    assert len(COMMANDS) > 12
    for program, *words in COMMANDS:
        assert program == "mekb"
        code, out, err = mekb(*words)
        assert code == 0, f"{' '.join(words)}: {err}"
        if "--dry-run" in words:
            assert "user = reader, item = isbn, rating = stars" in out
            assert not Path("my.duckdb").exists()
    assert (tmp_path / "dataset" / "recbole_cdr.yaml").is_file()


def test_strict_leaves_with_1_where_there_is_a_leak(mekb, tmp_path):
    amazon_2023(tmp_path / "Books")
    write(tmp_path / "Films" / "Movies.jsonl", lines(REVIEW_2023))
    write(tmp_path / "Films" / "meta_Movies.jsonl", lines(META_2023))
    store = tmp_path / "s.duckdb"
    data = ("--data", f"books={tmp_path / 'Books'}", "--data", f"films={tmp_path / 'Films'}")
    assert mekb("data", "import", store, "--preset", "amazon2023", *data)[0] == 0
    code, out, _ = mekb("data", "audit", store, "--target", "films")
    assert code == 0
    assert "! same id (leak)" in out
    assert 'books B000PARENT "The Lamp & the Moth" = films B000PARENT' in out
    assert mekb("data", "audit", store, "--target", "films", "--strict")[0] == 1
    code, out, _ = mekb("data", "audit", store, "--format", "json")
    assert [each["has_leak"] for each in json.loads(out)] == [True, True]
    movielens_1m(tmp_path / "ml")
    other = tmp_path / "clean.duckdb"
    mekb("data", "import", other, "--preset", "movielens", "--data", f"films={tmp_path / 'ml'}")
    assert mekb("data", "add", other, "--preset", "recbole", "--data", f"x={recbole(tmp_path / 't')}")[0] == 0  # fmt: skip
    assert mekb("data", "audit", other, "--strict")[0] == 0


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--preset", "movielens"], "--preset and --data go together"),
        (["--data", "films=ml-1m"], "--preset and --data go together"),
        (["--preset", "movielens", "--data", "ml-1m"], "write DOMAIN=PATH"),
        (["--preset", "movielens", "--data", "a=b", "--items", "x"], "leave out --items"),
        (["--preset", "netflix", "--data", "a=b"], "no preset 'netflix'"),
        (["--items", "x.csv"], "no file of interactions given"),
    ],
)
def test_what_does_not_go_together_is_said(mekb, tmp_path, words, problem):
    code, _, err = mekb("data", "import", tmp_path / "s.duckdb", *words)
    assert code in {1, 2}
    assert problem in err
    assert not (tmp_path / "s.duckdb").exists()


def test_a_dry_run_as_json(mekb, tmp_path):
    movielens_20m(tmp_path / "ml")
    words = ("--preset", "movielens", "--data", f"films={tmp_path / 'ml'}", "--dry-run")
    code, out, _ = mekb("data", "import", tmp_path / "s.duckdb", *words, "--format", "json")
    shown = json.loads(out)
    assert code == 0
    assert [each["kind"] for each in shown] == ["items", "interactions"]
    assert shown[1]["rows"][0] == {"user": "1", "item": "2", "rating": "3.5", "at": "1112486027"}
