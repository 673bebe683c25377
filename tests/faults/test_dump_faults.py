"""Faults 1 to 15: dumps that are damaged, forged or of another kind, and builds that are cut off."""

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import duckdb
import pytest

from alias_tables.errors import TableError, WorkerError
from alias_tables.lookup import AliasIndex
from alias_tables.workers import Board, Crew
from mekb.store import Store


@pytest.fixture
def build(mekb, tmp_path):
    """Return a function that builds an alias table from a dump, in a folder where nothing else is."""

    def run(dump: Path, *words: str | Path, store: str = "new.duckdb"):
        return mekb(
            *("aliases", "build", tmp_path / store, "--dump", dump, "--quiet", "--workers", "1"),
            *words,
        )

    return run


def refused(ran, tmp_path, *said):
    """Assert exit 1, one line with these words, and no store."""
    assert ran.code == 1, ran.err
    assert ran.err.count("\n") == 1, ran.err
    for part in said:
        assert part in ran.err
    assert not list(tmp_path.glob("new.duckdb*"))


def table(store: Path) -> dict[tuple[str, str], float]:
    with Store.open(store) as opened:
        rows = opened.query(
            "select surface, title, prior from aliases join entities using (entity_id)"
        )
    return {(row["surface"], row["title"]): row["prior"] for row in rows.to_pylist()}


def test_fault_1_a_truncated_dump_names_file_and_bytes(build, make_dump, small_wiki, tmp_path):
    dump = make_dump(tmp_path / "wiki.xml.bz2", small_wiki)
    dump.write_bytes(dump.read_bytes()[:-60])
    size = dump.stat().st_size
    refused(build(dump), tmp_path, "wiki.xml.bz2", f"{size} bytes", "the download is incomplete")


def test_fault_2_all_streams_of_a_multistream_dump_are_read(build, make_dump, small_wiki, tmp_path):
    dump = make_dump(tmp_path / "wiki.xml.bz2", small_wiki)
    assert dump.read_bytes().count(b"BZh9") == len(small_wiki) + 2
    assert build(dump).code == 0
    assert ("Frank Herbert", "Frank Herbert") in table(tmp_path / "new.duckdb")
    assert ("Dune", "Dune (film)") in table(tmp_path / "new.duckdb")


BROKEN = (
    b"<page><title>Lost</tit\n<page><title>Found</title><ns>0</ns><id>900</id><revision><id>9</id>"
    b"<text>of [[Frank Herbert|Found]]</text></revision></page>\n"
)


def test_fault_3_malformed_xml_names_the_line_and_is_skipped_on_request(
    build, make_dump, small_wiki, tmp_path
):
    dump = make_dump(tmp_path / "wiki.xml", small_wiki, raw=BROKEN)
    line = dump.read_bytes()[: dump.read_bytes().index(b"<page><title>Found")].count(b"\n") + 1
    refused(
        build(dump), tmp_path, "wiki.xml", f"malformed XML in line {line}", "skip damaged pages"
    )
    ran = build(dump, "--set", "aliases.skip_damaged_pages=true")
    assert ran.code == 0
    assert [row.split()[-2] for row in ran.out.splitlines() if "damaged places" in row] == ["1"]
    assert ("Found", "Frank Herbert") in table(tmp_path / "new.duckdb")


@pytest.mark.parametrize("name", ["wiki.xml", "wiki.xml.bz2"])
def test_fault_4_an_error_page_is_called_html(build, tmp_path, name):
    (tmp_path / name).write_text("<!DOCTYPE html>\n<html><body>404 Not Found</body></html>")
    refused(build(tmp_path / name), tmp_path, name, "this is HTML, not a dump")


BOMB = "<!DOCTYPE m [" + '<!ENTITY a0 "' + "x" * 100 + '">' + "".join(
    f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12)
) + "]>\n"  # fmt: skip
EXTERNAL = '<!DOCTYPE m [<!ENTITY a11 SYSTEM "file:///etc/passwd">]>\n'


@pytest.mark.parametrize("head", [BOMB, EXTERNAL], ids=["bomb", "external"])
def test_fault_5_entities_are_refused_in_little_time_and_memory(build, make_dump, tmp_path, head):
    dump = make_dump(tmp_path / "wiki.xml", {"A": "x"})
    dump.write_text(head + dump.read_text().replace("<text>x", "<text>&a11;"))
    tracemalloc.start()
    begun = time.process_time()
    ran = build(dump)
    seconds, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    refused(ran, tmp_path, "declares a document type or entities", "refused")
    assert seconds < 5  # of a build that refuses; the parser itself needs no time at all
    assert peak < 100 << 20


def test_fault_6_invalid_utf8_is_counted_in_texts_and_rejected_in_titles(
    build, make_dump, small_wiki, tmp_path
):
    dump = make_dump(
        tmp_path / "wiki.xml", {**small_wiki, "Caf~": "x", "Rest": "[[Dune (film)|b~d]]"}
    )
    dump.write_bytes(dump.read_bytes().replace(b"Caf~", b"Caf\xe9").replace(b"b~d", b"b\xffd"))
    ran = build(dump, "--rejects", tmp_path / "rejects.tsv")
    assert ran.code == 0
    assert [row.split()[-2] for row in ran.out.splitlines() if "invalid utf8" in row] == ["2"]
    made = table(tmp_path / "new.duckdb")
    assert ("b\ufffdd", "Dune (film)") in made
    assert not [title for _, title in made if "Caf" in title]
    assert "invalid_title" in (tmp_path / "rejects.tsv").read_text()


def test_fault_7_pages_over_the_limits_are_listed_with_the_reason(
    build, make_dump, small_wiki, tmp_path
):
    deep = "[[" * 3_000 + "Dune (film)" + "]]" * 3_000
    pages = {**small_wiki, "Long": "x" * 5_000, "Deep": deep[:4_900]}
    dump = make_dump(tmp_path / "wiki.xml", pages)
    ran = build(
        *(dump, "--set", "aliases.max_page_chars=4950", "--rejects", tmp_path / "rejects.tsv"),
        *("--set", "aliases.max_link_depth=5"),
    )
    assert ran.code == 0, ran.err
    rows = [row.split("\t") for row in (tmp_path / "rejects.tsv").read_text().splitlines()]
    assert ["page", "page_too_long", "5", "Long"] in [row[:4] for row in rows]
    assert "too_deep" in {row[1] for row in rows}


def test_fault_8_redirects_to_nowhere_are_counted_and_the_run_ends(
    build, make_dump, small_wiki, tmp_path
):
    lost = {
        "Round": "#REDIRECT [[About]]",
        "About": "#REDIRECT [[Round]]",
        "Self": "#REDIRECT [[Self]]",
        "Gone": "#REDIRECT [[Nowhere at all]]",
    }
    ran = build(make_dump(tmp_path / "wiki.xml", small_wiki | lost))
    assert ran.code == 0
    assert "3 redirect_loop" in ran.out
    assert "1 redirect_target_missing" in ran.out


def test_fault_9_no_links_at_all_is_a_wrong_dump(build, make_dump, tmp_path):
    pages = {f"Page {n}": "A text without any link." for n in range(1200)}
    dump = make_dump(tmp_path / "wiki.xml", pages)
    refused(build(dump), tmp_path, "0 links in 1200 articles", "schema")


NARROW = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from mekb.cli.app import main
sys.argv[1:] = sys.argv[2:]
main()
"""
"""No file may grow past a size: what a full disk is to whoever writes, without filling one."""


def narrow(n_bytes: int, *words: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", NARROW, str(n_bytes), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_fault_10_a_full_disk_leaves_the_earlier_table(own_project, make_dump, tmp_path):
    store = own_project.store
    with Store.open(store) as opened:
        before = {name: opened.fingerprint(name) for name in ("entities", "aliases", "runs")}
    pages = {f"Page {n}": f"See [[Page {n + 1}|{'word' * 9} {n}]]." for n in range(3000)}
    dump = make_dump(tmp_path / "wiki.xml", pages)
    ran = narrow(100_000, "aliases", "build", store, "--dump", dump, "--quiet", "--workers", "1")
    assert ran.returncode == 1, ran.stderr
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert "nothing was changed: " in ran.stderr
    assert "is the disk full?" in ran.stderr
    with Store.open(store) as opened:
        assert {name: opened.fingerprint(name) for name in before} == before
    assert not list(own_project.folder.glob(".*"))


def test_fault_11_what_is_kept_of_a_killed_build_is_gone_on_with(
    build, make_dump, small_wiki, tmp_path
):
    """Kills at random moments are in test_kills.py; here is what --resume says of work that is not its own."""
    dump = make_dump(tmp_path / "wiki.xml", small_wiki)
    whole = build(dump, "--work", tmp_path / "work", store="whole.duckdb")
    assert whole.code == 0
    other = make_dump(tmp_path / "other.xml", {**small_wiki, "More": "[[Dune (film)]]"})
    refused(build(other, "--work", tmp_path / "work", "--resume"), tmp_path, "work")
    assert build(dump, "--work", tmp_path / "work", "--resume", store="again.duckdb").code == 0
    assert table(tmp_path / "again.duckdb") == table(tmp_path / "whole.duckdb")


def children_of(process: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"\nPPid:\t{process}\n" in (entry / "status").read_text():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "ended by SIGTERM")]
)
def test_fault_12_asked_to_end_workers_and_temporary_files_go(
    start, make_dump, tmp_path, number, said
):
    text = "Of [[Page 1|words]] and more. " * 1000
    dump = make_dump(tmp_path / "wiki.xml.bz2", {f"Page {n}": text for n in range(1500)})
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = start(
        *("aliases", "build", tmp_path / "new.duckdb", "--dump", dump, "--workers", "2", "--quiet"),
        env={"TMPDIR": str(temporary)},
    )
    deadline = time.monotonic() + 60
    while not list(temporary.glob("alias_tables-*/read")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    workers = children_of(process.pid)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + number, b"")
    assert err.decode() == f"mekb: {said}\n"
    assert workers
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not list(temporary.iterdir())
    assert not list(tmp_path.glob("new.duckdb*"))


def test_fault_12_an_interrupt_within_a_query_is_one_line_too(mekb, project, monkeypatch):
    from mekb import api

    def slow(_):
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with duckdb.connect() as connection:
            connection.execute("select count(*) from range(3000000000) where hash(range) % 7 = 3")

    monkeypatch.setattr(api, "runs", slow)
    former = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        ran = mekb("runs", project.store)
    finally:
        signal.signal(signal.SIGALRM, former)
    assert (ran.code, ran.err) == (130, "mekb: interrupted\n")


@pytest.mark.slow
def test_fault_13_a_worker_that_dies_is_told_of_and_nobody_waits(tmp_path):
    with Crew(2) as crew, pytest.raises(WorkerError, match="worker process") as caught:
        crew.run(os._exit, [9, 9], Board(tmp_path / "board", 2), lambda _: None)
    assert "\n" not in str(caught.value)


def test_fault_14_a_second_build_of_one_store_fails_at_once(build, make_dump, small_wiki, tmp_path):
    dump = make_dump(tmp_path / "wiki.xml", small_wiki)
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "new.duckdb"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        holder.stdout.readline()
        begun = time.monotonic()
        ran = build(dump)
        seconds = time.monotonic() - begun
        holder.communicate(b"\n")
    assert ran.code == 1
    assert f"new.duckdb: in use by process {holder.pid}; wait for it to end" in ran.err
    assert seconds < 10


def test_fault_15_a_dictionary_of_another_table_is_refused_with_both_stamps(
    build, make_dump, small_wiki, tmp_path
):
    assert build(make_dump(tmp_path / "wiki.xml", small_wiki)).code == 0
    folder = tmp_path / "new.duckdb.aliases"
    stamp = json.loads((folder / "manifest.json").read_text())["stamp"]
    with pytest.raises(TableError) as caught:
        AliasIndex.open(folder, expect_stamp="entities=1-0-0")
    assert repr(stamp) in str(caught.value)
    assert "'entities=1-0-0'" in str(caught.value)
    assert "\n" not in str(caught.value)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "version": 1}))
    with pytest.raises(TableError, match="index version 1, this code reads"):
        AliasIndex.open(folder)
