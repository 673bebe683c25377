"""Faults 72 to 80: what is written for others to read, and a command line in any surroundings."""

import csv
import gc
import io
import json
import os
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path
from xml.parsers import expat

import pytest
from rdflib import Dataset, Graph, Literal, URIRef
from rdflib.namespace import DCTERMS, XSD

from mekb import api
from mekb.export import write_user_graph, write_user_graphs
from mekb.graph import Evidence, Interest, UserGraph
from mekb.rdf.files import read_profile
from mekb.store import Store

pytestmark = [
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Dataset.default_context is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Dataset.identifier is deprecated:DeprecationWarning"),
]
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]
ODD_USERS = ["u 17", "<b>", 'say "hi"', "Jos\u00e9/\u5343", "a\\b", "100%"]
WEIGHTS = [1e-7, 1 / 3, 1e-300, 0.1 + 0.2, 1.0]


def graph_of(user="u1", title="Title", weight=1.0, n_evidence=1):
    evidence = Evidence("b1", "books", title, "title", 0, 1, "T", 0.5)
    numbers = {"n_items": 1, "n_users": 2, "tf": 1.0, "idf": 1.0, "weight": weight, "rank": 1}
    return UserGraph(
        user,
        (Interest(42, title, title, "wikidata", **numbers, evidence=(evidence,) * n_evidence),),
    )


@pytest.mark.parametrize("start", FORMULAS)
def test_fault_72_no_cell_is_a_formula_where_spreadsheets_read_it(tmp_path, start):
    """Raw CSV, the default, keeps every value; that a mark does not survive a re-save is in the docstring."""
    for safe in (True, False):
        path = tmp_path / f"{safe}.csv"
        write_user_graph(graph_of(start, start), path, spreadsheet_safe=safe)
        encoding = "utf-8-sig" if safe else "utf-8"
        (row,) = csv.DictReader(io.StringIO(path.read_bytes().decode(encoding), newline=""))
        shown = f"'{start}" if safe else start
        assert {row["user"], row["title"], row["items"]} == {shown}
    assert "does not survive" in " ".join((write_user_graph.__doc__ or "").split())


@pytest.mark.parametrize("user", ODD_USERS)
@pytest.mark.parametrize(
    ("ending", "form"), [("ttl", "turtle"), ("nt", "nt"), ("jsonld", "json-ld")]
)
def test_fault_73_odd_ids_are_encoded_iris_with_the_id_beside(tmp_path, user, ending, form):
    path = tmp_path / f"u.{ending}"
    write_user_graph(graph_of(user), path)
    graph = Graph().parse(path, format=form)
    assert Literal(user) in set(graph.objects(None, DCTERMS.identifier))
    for each in {*graph.subjects(), *graph.objects()}:
        if isinstance(each, URIRef):
            assert re.fullmatch(r"[!-~]+", each), each
            assert not set('<>"\\{}|^` ') & set(each)
    assert read_profile(path).user == user


def test_fault_73_many_users_are_told_apart_in_quads(tmp_path):
    path = tmp_path / "all.nq"
    assert write_user_graphs(map(graph_of, ODD_USERS), path) == len(ODD_USERS)
    quads = Dataset()
    quads.parse(path, format="nquads")
    assert len({str(context) for *_, context in quads.quads()} - {"None"}) == len(ODD_USERS)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_fault_74_weights_are_decimals_without_exponents(tmp_path, weight):
    path = tmp_path / "u.nt"
    write_user_graph(graph_of(weight=weight), path)
    numbers = re.findall(rf'"([^"]*)"\^\^<{XSD.decimal}>', path.read_text())
    assert numbers
    assert all(re.fullmatch(r"-?\d+\.\d+", number) for number in numbers)
    assert weight in {float(number) for number in numbers}
    assert not re.search(r"NaN|INF|\de[-+]?\d", path.read_text().replace("mekb", ""))


def test_fault_75_memory_is_flat_in_the_number_of_users(tmp_path):
    """100,000 users are 2.5 GB of N-Quads, benchmarks/rdf_export.py; here ten times the users, and no more memory."""

    def peak(n_users: int) -> int:
        gc.collect()
        tracemalloc.start()
        graphs = (graph_of(f"u{n}", n_evidence=20) for n in range(n_users))
        assert write_user_graphs(graphs, tmp_path / f"{n_users}.nq") == n_users
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(50)  # what is imported and remembered once
    assert peak(1_000) < peak(100) + (1 << 18)


CONTROL = "a\x00b\x01\x0b\x1f\x7f\ufffe\"'<&>\\\n\r\t]]>\u2028"


@pytest.mark.parametrize("ending", ["json", "ttl", "nt", "jsonld"])
def test_fault_76_quotes_and_control_characters_come_back(tmp_path, ending):
    """There is no export to Cypher or GraphML: graph databases read RDF. XML is written in pictures alone."""
    graph = graph_of(title=CONTROL)
    write_user_graph(graph, tmp_path / f"u.{ending}")
    assert read_profile(tmp_path / f"u.{ending}") == graph


@pytest.mark.slow
def test_fault_76_a_picture_is_well_formed_whatever_a_title_holds(tmp_path):
    write_user_graph(graph_of(user=CONTROL, title=CONTROL), tmp_path / "u.svg")
    assert expat.ParserCreate().Parse((tmp_path / "u.svg").read_bytes(), True) == 1  # noqa: FBT003


def test_fault_77_an_export_holds_one_person_and_the_forgotten_are_nowhere(mekb, own_project):
    """Prose, tables, the file's bytes and exports are searched in tests/mekb/test_forget.py."""
    with Store.open(own_project.store) as store:
        users = store.read("users")
        names = users["external_id"].to_pylist()
        names[0], names[1] = "Zaphod-Quintessence-4711", "Trillian-Astra-1147"
        store.replace({"users": users.set_column(1, "external_id", [names])})
    folder = own_project.folder
    assert mekb("profiles", "export", own_project.store, names[0], folder / "one.json").code == 0
    text = (folder / "one.json").read_text()
    liked = {(each["domain"], each["item"]) for one in json.loads(text)["interests"] for each in one["evidence"]}  # fmt: skip
    with Store.open(own_project.store) as store:
        own = store.query(
            "select domain, items.external_id as item from interactions join items using (item_id)"
            " where user_id = 0 and positive"
        ).to_pylist()
    assert liked <= {(row["domain"], row["item"]) for row in own}
    assert not [name for name in names[1:] if name in text]
    assert mekb("profiles", "forget", own_project.store, names[0], "--yes").code == 0
    assert not (folder / "one.json").exists()
    for path in folder.rglob("*.duckdb*"):
        assert not path.is_file() or names[0].encode() not in path.read_bytes()
    assert mekb("profiles", "show", own_project.store, names[0]).code == 1
    assert mekb("profiles", "show", own_project.store, names[1]).code == 0


def shell(line: str, project, **env: str) -> subprocess.CompletedProcess:
    """Run a line of the shell in the project, `mekb` in it being this one."""
    own = {"OMP_NUM_THREADS": "1", "MEKB": f"{sys.executable} -m mekb", **env}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],  # noqa: S607  (whichever bash there is)
        capture_output=True,
        cwd=project.folder,
        env={**os.environ, **own},
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("line", ["--format json | head -n 1", "| true"])
def test_fault_78_a_reader_that_is_gone_ends_it_quietly(project, line):
    """The exit code is 1 as for any output that was not written; in a pipe, that of the reader counts."""
    assert shell(f"$MEKB profiles show my.duckdb u00001 {line}", project).stderr == b""


def test_fault_78_a_full_disk_below_the_output_is_one_line(project):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = shell("$MEKB profiles show my.duckdb u00001 --format json > /dev/full", project)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"No space left on device" in done.stderr


SURROUNDINGS = {
    "no colour, narrow": {"NO_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "12"},
    "dumb, ascii": {"TERM": "dumb", "PYTHONIOENCODING": "ascii"},
    "windows": {"PYTHONIOENCODING": "cp1252"},
}


@pytest.mark.slow
@pytest.mark.parametrize("env", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_fault_79_any_surroundings_get_plain_text(own_project, env):
    with Store.open(own_project.store) as store:
        users = store.read("users")
        names = users["external_id"].to_pylist()
        names[0] = "\u5343\u3068 Am\u00e9lie \U0001f3ac"
        store.replace({"users": users.set_column(1, "external_id", [names])})
    told = f"$MEKB profiles show my.duckdb '{names[0]}' --top 3"
    done = shell(f"{told} && {told} --format json > out.json", own_project, **env)
    assert done.returncode == 0, done.stderr
    assert b"\x1b[" not in done.stdout + done.stderr
    assert b"Traceback" not in done.stderr
    content = (own_project.folder / "out.json").read_bytes()
    assert json.loads(content.decode(env.get("PYTHONIOENCODING", "utf-8")))["user"] == names[0]


def test_fault_79_an_argument_that_is_no_text_is_wrong_usage(mekb, project):
    ran = mekb("profiles", "show", project.store, "u\udcff1")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "'u\\udcff1' is no text in utf-8" in ran.err


def test_fault_80_what_stands_there_is_kept_unless_force_and_ours(mekb, own_project, listing):
    folder, store = own_project.folder, own_project.store
    (folder / "theirs").mkdir()
    (folder / "theirs" / "diary.txt").write_text("mine")
    (folder / "u.json").write_text("mine")
    before = listing(folder)
    for words in (
        ("bundle", store, own_project.model, own_project.bundle),
        ("bundle", store, own_project.model, folder / "theirs", "--force"),
        ("train", store, own_project.model, "--target", "films"),
        ("train", store, folder / "theirs", "--target", "films", "--force"),
        ("profiles", "export", store, "u00001", folder / "u.json"),
        ("data", "export", store, folder / "theirs", "--force"),
    ):
        ran = mekb(*words)
        assert ran.code == 1, words
        assert re.fullmatch(r"mekb: [^\n]*exists[^\n]*\n", ran.err), ran.err
    assert listing(folder) == before
    assert api.runs(store)
    forced = ("profiles", "export", store, "u00001", folder / "u.json", "--force")
    assert mekb(*forced).code == 0
