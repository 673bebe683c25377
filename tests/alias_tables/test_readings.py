"""Reading in slices by several workers: the same bytes, whatever the cut, the order or the interruption."""

import bz2
import gzip
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from alias_tables import slices
from alias_tables.build import build
from alias_tables.config import AliasConfig, ChannelNumbers
from alias_tables.errors import AliasTableError, DumpError, WorkerError, WorkFolderError
from alias_tables.inputs import BuildInputs
from alias_tables.options import BuildOptions
from alias_tables.reasons import Reason
from alias_tables.report import FileStamp, Stamp

N_PAGES = 160
WORDS = [
    *("the", "a", "film", "of", "it", "and", "born", "in", "New York", "Heat", "Matrix"),
    "river",
    "Dune",
    "band",
]


@pytest.fixture(scope="module")
def pages(wiki_page):
    """A wiki of some hundred pages, with links, templates, redirects, red links and damage to titles."""
    random = Random(7)  # noqa: S311 (a fixed wiki)
    titles = [f"Thing {i} (film)" if i % 3 else f"Thing {i}" for i in range(N_PAGES)]

    def text(i):
        words = [random.choice(WORDS) for _ in range(60)]
        for _ in range(12):
            target = random.choice([*titles, "Red link", "File:X.png", "talk:y", "bad{{x}}"])
            words.insert(random.randrange(60), f"[[{target}|{random.choice(WORDS)} {i % 9}]]")
        return " ".join(words) + ("{{disambig}}" if i % 40 == 0 else "")

    made = [wiki_page(i + 1, title, text(i)) for i, title in enumerate(titles)]
    made += [wiki_page(1000 + i, f"Name {i}", redirect=titles[i]) for i in range(0, N_PAGES, 7)]
    made += [wiki_page(2000, "bad<title>", "x"), wiki_page(2001, "Talk:Z", "y", namespace=1)]
    random.shuffle(made)
    return made


def write_multistream(path: Path, content: bytes, n_streams: int) -> Path:
    cuts = [len(content) * i // n_streams for i in range(n_streams + 1)]
    path.write_bytes(b"".join(bz2.compress(content[a:b]) for a, b in pairwise(cuts)))
    return path


@pytest.fixture(scope="module")
def dump(pages, make_xml, tmp_path_factory):
    path = tmp_path_factory.mktemp("wiki") / "enwiki-pages-articles-multistream.xml.bz2"
    return write_multistream(path, make_xml(pages), 16)


SLICE = 1200


def exported(dumps, *, folder, options=None, config=None) -> tuple[bytes, bytes, object]:
    """Return the two tables as Parquet files' bytes, and the report."""
    with duckdb.connect() as connection:
        tables = build(connection, BuildInputs(dumps=tuple(dumps)), options=options, config=config)
        files = []
        for name in ("entities", "aliases"):
            path = folder / f"{name}.parquet"
            getattr(tables, name).write_parquet(str(path))
            files.append(path.read_bytes())
        return files[0], files[1], tables.report


@pytest.fixture(scope="module")
def whole(dump, tmp_path_factory):
    """The tables as one slice and one worker make them."""
    folder = tmp_path_factory.mktemp("whole")
    return exported([dump], folder=folder, options=BuildOptions(slice_bytes=1 << 30))


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_case_68_any_number_of_workers_gives_the_same_bytes(dump, whole, tmp_path, workers):
    assert len(slices.cut_part(dump, 0, SLICE)) > 8
    options = BuildOptions(workers=workers, slice_bytes=SLICE)
    assert exported([dump], folder=tmp_path, options=options) == whole


def test_case_65_any_form_order_and_cut_gives_the_same_bytes(pages, make_xml, whole, tmp_path):
    thirds = [make_xml(pages[i::3]) for i in range(3)]
    parts = [
        write_multistream(tmp_path / "d1.xml.bz2", thirds[0], 5),
        tmp_path / "d2.xml.gz",
        tmp_path / "d3.xml",
    ]
    parts[1].write_bytes(gzip.compress(thirds[1]))
    parts[2].write_bytes(thirds[2])
    for order, slice_bytes in ((parts, 700), (parts[::-1], 5000)):
        made = exported(order, folder=tmp_path, options=BuildOptions(slice_bytes=slice_bytes))
        assert made[:2] == whole[:2]
        assert replace(made[2], stamp=whole[2].stamp, rejects=()) == replace(whole[2], rejects=())
        assert {(item.reason, item.page_id, item.detail) for item in made[2].rejects} == {
            (item.reason, item.page_id, item.detail) for item in whole[2].rejects
        }


def test_pages_of_two_slices_count_where_they_stand_first(pages, make_xml, tmp_path):
    again = [
        replace(page, revision_id=90_000 + page.page_id, text=page.text + " [[Thing 1|new]]")
        for page in pages[:40]
    ]
    content = make_xml([*pages, *again, *pages[:20]])
    path = write_multistream(tmp_path / "d.xml.bz2", content, 40)
    alone = exported([path], folder=tmp_path, options=BuildOptions(slice_bytes=1 << 30))
    for slice_bytes in (900, 4000):
        cut = exported([path], folder=tmp_path, options=BuildOptions(slice_bytes=slice_bytes))
        assert cut == alone
    assert alone[2].skipped_pages[Reason.DUPLICATE_PAGE] > 50


def test_a_plan_with_false_boundaries_reads_parts_whole(dump, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(slices, "_stream_cuts", lambda *_: iter([1000, 2000]))
    assert exported([dump], folder=tmp_path, options=BuildOptions(slice_bytes=SLICE)) == whole


def run_script(dump, work, store, guard="if __name__ == '__main__':") -> subprocess.Popen:
    """Start a build in a process of its own, in a process group of its own."""
    script = (
        "import signal, sys, duckdb\n"
        "from pathlib import Path\n"
        "from alias_tables.build import build\n"
        "from alias_tables.inputs import BuildInputs\n"
        "from alias_tables.options import BuildOptions\n"
        f"{guard}\n"
        # Whoever runs the tests in the background may have Ctrl-C ignored, and children inherit that.
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "    dump, work, store = map(Path, sys.argv[1:4])\n"
        f"    options = BuildOptions(workers=2, work=work, slice_bytes={SLICE})\n"
        "    build(duckdb.connect(str(store)), BuildInputs(dumps=(dump,)), options=options)\n"
    )
    path = work.parent / "build_it.py"
    path.write_text(script)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(path), str(dump), str(work), str(store)],
        env=environment,
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )


def processes_of(group: int) -> list[int]:
    """Return the processes of a process group that are not defunct."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def wait_until(condition, seconds=300.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it takes too long"
        time.sleep(0.005)


def finished(work: Path, stage: str) -> int:
    return len(list(work.glob(f"{stage}*/*.json")))


@pytest.fixture(scope="module")
def slow_dump(pages, make_xml, tmp_path_factory):
    """A dump whose slices take long enough to be interrupted."""
    padding = " ".join(["lorem ipsum dolor"] * 700)
    padded = [replace(page, text=f"{page.text} {padding} {page.page_id}") for page in pages]
    path = tmp_path_factory.mktemp("slow") / "enwiki-pages-articles.xml.bz2"
    return write_multistream(path, make_xml(padded), 24)


@pytest.fixture(scope="module")
def slow_whole(slow_dump, tmp_path_factory):
    return exported([slow_dump], folder=tmp_path_factory.mktemp("slow_whole"))


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize(("stage", "after"), [("read", 0), ("read", 5), ("found", 3)])
def test_case_67_killed_and_resumed_is_the_same_as_uninterrupted(
    slow_dump, slow_whole, tmp_path, stage, after
):
    work = tmp_path / "work"
    process = run_script(slow_dump, work, tmp_path / "s.duckdb")
    try:
        wait_until(lambda: (work / "manifest.json").exists() and finished(work, stage) >= after)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_until(lambda: not processes_of(process.pid))  # no orphan is left
    finally:
        process.stderr.close()
    done = {path: path.stat().st_mtime_ns for path in work.glob("*/*.json")}
    assert len(done) >= after
    options = BuildOptions(work=work, resume=True, slice_bytes=SLICE)
    assert exported([slow_dump], folder=tmp_path, options=options) == slow_whole
    if after:
        assert done.items() <= {p: p.stat().st_mtime_ns for p in work.glob("*/*.json")}.items()
    assert not list(work.rglob("*.part"))


@needs_proc
@pytest.mark.slow
def test_ctrl_c_ends_all_workers_without_a_word_from_them(slow_dump, tmp_path):
    work = tmp_path / "work"
    process = run_script(slow_dump, work, tmp_path / "s.duckdb")
    wait_until(lambda: finished(work, "read") >= 2)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0
    assert said.count("Traceback") == said.count("KeyboardInterrupt") == 1
    wait_until(lambda: not processes_of(process.pid))


@needs_proc
@pytest.mark.slow
def test_a_worker_killed_by_the_system_is_named_and_the_work_is_kept(
    slow_dump, slow_whole, tmp_path
):
    work = tmp_path / "work"
    process = run_script(slow_dump, work, tmp_path / "s.duckdb")
    wait_until(lambda: finished(work, "read") >= 2)
    workers = [
        pid
        for pid in processes_of(process.pid)
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(workers[0], signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    last = said.strip().splitlines()[-1]
    assert f"{WorkerError.__name__}: a worker process was ended by the system" in last
    assert f"fewer workers, and resume from {work}" in last
    wait_until(lambda: not processes_of(process.pid))
    options = BuildOptions(work=work, resume=True, slice_bytes=SLICE)
    assert exported([slow_dump], folder=tmp_path, options=options) == slow_whole


@pytest.mark.parametrize("workers", [1, 2])
def test_case_66_a_damaged_slice_ends_the_build_in_one_line(dump, tmp_path, workers):
    path = tmp_path / "damaged.xml.bz2"
    data = bytearray(dump.read_bytes())
    middle = slices.cut_part(dump, 0, SLICE)[5].start
    data[middle + 40 : middle + 60] = bytes(20)
    path.write_bytes(data)
    work = tmp_path / "work"
    options = BuildOptions(workers=workers, work=work, slice_bytes=SLICE)
    with duckdb.connect() as connection:
        with pytest.raises(DumpError, match=r"damaged\.xml\.bz2: damaged near byte \d+") as caught:
            build(connection, BuildInputs(dumps=(path,)), options=options)
        assert connection.execute("select table_name from duckdb_tables()").fetchall() == []
    assert "\n" not in str(caught.value)
    near = int(str(caught.value).split("byte ")[1].split()[0])
    assert middle < near <= path.stat().st_size


def test_a_stream_without_its_head_is_refused(dump, tmp_path):
    path = tmp_path / "headless.xml.bz2"
    data = bytearray(dump.read_bytes())
    inside = data.index(b"BZh91AY&SY", slices.cut_part(dump, 0, 3 * SLICE)[1].start + 1)
    data[inside : inside + 3] = b"xyz"
    path.write_bytes(data)
    for slice_bytes in (3 * SLICE, 1 << 30):
        with pytest.raises(DumpError, match=r"headless\.xml\.bz2: (damaged near|the XML ends too)"):
            exported([path], folder=tmp_path, options=BuildOptions(slice_bytes=slice_bytes))


@pytest.mark.slow
def test_a_script_without_its_guard_is_told_so(dump, tmp_path):
    process = run_script(dump, tmp_path / "work", tmp_path / "s.duckdb", guard="if True:")
    _, said = process.communicate(timeout=120)
    assert "no worker process could begin; a script" in said.strip().splitlines()[-1]


def test_malformed_xml_is_refused_the_same_by_all(pages, make_xml, wiki_page, tmp_path):
    lost = wiki_page(5000, "Lost", raw="<page><title>B</tit")
    content = make_xml([*pages[:100], lost, *pages[100:]])
    path = write_multistream(tmp_path / "bad.xml.bz2", content, 20)
    for slice_bytes in (SLICE, 1 << 30):
        options = BuildOptions(slice_bytes=slice_bytes)
        with pytest.raises(DumpError, match=r"bad\.xml\.bz2: malformed XML"):
            exported([path], folder=tmp_path, options=options)
    config = AliasConfig(skip_damaged_pages=True)
    made = [
        exported([path], folder=tmp_path, options=BuildOptions(slice_bytes=size), config=config)
        for size in (SLICE, 1 << 30)
    ]
    assert made[0] == made[1]
    assert made[0][2].damaged_places == 1


def test_finished_work_is_not_read_again_and_priors_may_change(dump, whole, tmp_path):
    work = tmp_path / "work"
    options = BuildOptions(work=work, slice_bytes=SLICE)
    assert exported([dump], folder=tmp_path, options=options) == whole
    before = {path: path.stat().st_mtime_ns for path in work.glob("*/*.json")}
    again = replace(options, resume=True)
    assert exported([dump], folder=tmp_path, options=again) == whole
    config = AliasConfig(weights=ChannelNumbers(anchor=1, title=3), max_candidates=1)
    changed = exported([dump], folder=tmp_path, options=again, config=config)
    assert changed == exported([dump], folder=tmp_path, config=config)
    after = {path: path.stat().st_mtime_ns for path in work.glob("read/*.json")}
    assert after.items() <= before.items()


def test_foreign_work_folders_are_refused(dump, pages, make_xml, tmp_path):
    work = tmp_path / "work"
    options = BuildOptions(work=work, slice_bytes=SLICE)
    exported([dump], folder=tmp_path, options=options)

    def refused(message, path=dump, config=None, **changes):
        made = replace(options, **changes)
        with pytest.raises(WorkFolderError, match=message) as caught:
            exported([path], folder=tmp_path, options=made, config=config)
        assert "\n" not in str(caught.value)

    refused("holds the work of this build; resume it")
    refused("options differ", resume=True, config=AliasConfig(describe=False))
    other = write_multistream(tmp_path / "other.xml.bz2", make_xml(pages), 3)
    refused("files differ", other, resume=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("Dear")
    refused("not empty, and no work folder", work=tmp_path / "mine", resume=True)
    refused("name the work folder", work=None, resume=True)
    (tmp_path / "file").write_text("x")
    refused("no folder to work in", work=tmp_path / "file")
    altered = tmp_path / "altered"
    altered.mkdir()
    copy = altered / dump.name
    data = bytearray(dump.read_bytes())
    data[-1] ^= 1  # the same name and size
    copy.write_bytes(data)
    for _ in range(2):
        refused("changed since", copy, resume=True)
    exported([dump], folder=tmp_path, options=replace(options, resume=True))


def test_parts_given_twice_are_resumed_like_others(dump, tmp_path):
    options = BuildOptions(work=tmp_path / "work", slice_bytes=SLICE)
    made = exported([dump, dump], folder=tmp_path, options=options)
    before = {path: path.stat().st_mtime_ns for path in options.work.glob("*/*.json")}
    assert exported([dump, dump], folder=tmp_path, options=replace(options, resume=True)) == made
    assert before == {path: path.stat().st_mtime_ns for path in options.work.glob("*/*.json")}


def test_torn_results_are_read_again(dump, whole, tmp_path):
    work = tmp_path / "work"
    options = BuildOptions(work=work, slice_bytes=SLICE)
    exported([dump], folder=tmp_path, options=options)
    torn = sorted(work.glob("read/*.names.parquet"))[2]
    torn.write_bytes(torn.read_bytes()[:-9])
    sorted(work.glob("read/*.json"))[4].write_text("{")
    again = replace(options, resume=True)
    assert exported([dump], folder=tmp_path, options=again) == whole


def reject_rows(path: Path) -> list[tuple[object, ...]]:
    if path.suffix == ".parquet":
        return [tuple(row.values()) for row in parquet.read_table(path).to_pylist()]
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    head, *lines = data.decode().splitlines()
    assert head.split("\t") == ["kind", "reason", "page_id", "title", "detail", "n"]
    cells = [line.split("\t") for line in lines]
    return [
        (kind, why, int(page), title, detail, int(n)) for kind, why, page, title, detail, n in cells
    ]


def test_the_reject_file_is_complete_and_sorted(dump, whole, tmp_path):
    contents = []
    for name, workers in (("r.tsv", 1), ("r.tsv.gz", 2), ("r.parquet", 1)):
        path = tmp_path / name
        options = BuildOptions(workers=workers, slice_bytes=SLICE, rejects=path)
        config = AliasConfig(max_rejects_listed=2)
        report = exported([dump], folder=tmp_path, options=options, config=config)[2]
        rows = reject_rows(path)
        assert rows == sorted(rows)
        counts: dict[str, dict[str, int]] = {"page": {}, "link": {}, "row": {}, "pair": {}}
        for kind, reason, _, _, _, n in rows:
            counts[kind][reason] = counts[kind].get(reason, 0) + n
        assert counts["page"] == report.skipped_pages
        assert counts["link"] == report.rejected_links
        assert counts["row"] == report.rejected_rows
        assert counts["pair"] == report.dropped_pairs
        assert ("page", "invalid_title", 2000, "bad<title>", "", 1) in rows
        contents.append(rows)
        assert len(report.rejects) <= 2 * len(Reason) * 3
    assert contents[0] == contents[1] == contents[2]
    assert replace(report, rejects=(), stamp=None) == replace(whole[2], rejects=(), stamp=None)


@pytest.mark.parametrize("name", ["r.txt", "none/r.tsv"])
def test_reject_files_of_no_form_are_refused_before_reading(dump, tmp_path, name):
    with pytest.raises(AliasTableError, match=r"ends in \.tsv|does not exist"):
        exported([dump], folder=tmp_path, options=BuildOptions(rejects=tmp_path / name))


def test_rejects_may_be_asked_for_later(dump, tmp_path):
    work = tmp_path / "work"
    options = BuildOptions(work=work, slice_bytes=SLICE)
    exported([dump], folder=tmp_path, options=options)
    again = replace(options, resume=True, rejects=tmp_path / "r.tsv")
    report = exported([dump], folder=tmp_path, options=again)[2]
    assert {row[0] for row in reject_rows(tmp_path / "r.tsv")} >= {"page", "link"}
    assert report.skipped_pages


def test_no_workers_are_refused(dump, tmp_path):
    with pytest.raises(AliasTableError, match="0 workers"):
        exported([dump], folder=tmp_path, options=BuildOptions(workers=0))


def test_progress_counts_the_bytes_of_all_slices(dump):
    calls = []
    with duckdb.connect() as connection:
        build(
            connection,
            BuildInputs(dumps=(dump,)),
            options=BuildOptions(workers=2, slice_bytes=SLICE),
            on_progress=lambda *call: calls.append(call),
        )
    for stage in ("read", "link_probability"):
        done = [call[1] for call in calls if call[0] == stage]
        assert done == sorted(done)
        assert (done[0], done[-1]) == (0, dump.stat().st_size)


def test_a_stamp_has_a_fingerprint_of_all_it_holds():
    files = (FileStamp("d.xml", 9, "ab"),)
    stamp = Stamp(files, "enwiki", "en", first_letter=True, parser_version="1", options="{}")
    others = [
        replace(stamp, files=(FileStamp("d.xml", 9, "ac"),)),
        replace(stamp, dbname="dewiki"),
        replace(stamp, language="de"),
        replace(stamp, first_letter=False),
        replace(stamp, parser_version="2"),
        replace(stamp, options='{"smooth": true}'),
    ]
    assert stamp.fingerprint() == replace(stamp).fingerprint()
    assert len({stamp.fingerprint(), *(other.fingerprint() for other in others)}) == 7


def test_known_hashes_are_taken_over(dump, tmp_path):
    options = BuildOptions(sha256={dump: "0" * 64})
    report = exported([dump], folder=tmp_path, options=options)[2]
    assert [file.sha256 for file in report.stamp.files] == ["0" * 64]


def test_work_files_are_plain_parquet(dump, tmp_path):
    work = tmp_path / "work"
    exported([dump], folder=tmp_path, options=BuildOptions(work=work, slice_bytes=SLICE))
    tables = [parquet.read_table(path) for path in sorted(work.glob("read/*.pages.parquet"))]
    assert pa.concat_tables(tables).num_rows > N_PAGES
