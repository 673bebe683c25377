"""`mekb aliases build`: how it is run changes no table, and what was left out is written."""

import pytest
from typer.testing import CliRunner

from mekb.cli.app import app
from mekb.store import Store

DUMP = """<mediawiki xml:lang="en"><siteinfo><dbname>enwiki</dbname></siteinfo>
<page><title>Dune</title><ns>0</ns><id>1</id><revision><id>1</id><text>[[Heat]] [[Gone]]</text></revision></page>
<page><title>Heat</title><ns>0</ns><id>2</id><revision><id>2</id><text>[[Dune]]</text></revision></page>
</mediawiki>
"""


@pytest.fixture
def dump(tmp_path):
    path = tmp_path / "enwiki-pages-articles.xml"
    path.write_text(DUMP)
    return path


def run(*words) -> str:
    done = CliRunner().invoke(app, [str(word) for word in ("aliases", "build", *words)])
    assert done.exit_code == 0, done.output
    return done.output


def fingerprint(path) -> str:
    with Store.open(path) as store:
        return store.fingerprint("aliases")


def test_workers_work_folder_and_rejects(dump, tmp_path):
    plain, kept = tmp_path / "plain.duckdb", tmp_path / "kept.duckdb"
    run(plain, "--dump", dump, "--workers", 1)
    rejects, work = tmp_path / "left_out.tsv", tmp_path / "work"
    run(kept, "--dump", dump, "--workers", 2, "--work", work, "--rejects", rejects)
    assert fingerprint(plain) == fingerprint(kept)
    assert "link\ttarget_missing\t0\tGone\t\t1" in rejects.read_text().splitlines()
    again = tmp_path / "again.duckdb"
    refused = CliRunner().invoke(
        app, ["aliases", "build", str(again), "--dump", str(dump), "--work", str(work)]
    )
    assert isinstance(refused.exception, Exception)
    run(again, "--dump", dump, "--work", work, "--resume")
    assert fingerprint(again) == fingerprint(plain)


def test_workers_do_not_matter_to_whether_anything_changed(dump, tmp_path):
    store, rejects = tmp_path / "s.duckdb", tmp_path / "r.parquet"
    run(store, "--dump", dump, "--workers", 1)
    assert "nothing changed" in run(store, "--dump", dump, "--workers", 2)
    assert "nothing changed" not in run(store, "--dump", dump, "--rejects", rejects)
    assert rejects.exists()
    assert "nothing changed" in run(store, "--dump", dump, "--rejects", rejects)
