"""A MeKB as files: every format reads back, nothing is replaced unasked, nothing is left half-written."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from rdflib import Dataset, Graph, URIRef
from rdflib.compare import isomorphic

from mekb.errors import OutputError
from mekb.export import CSV_COLUMNS, FORMATS, RDF_FORMATS, write_user_graph, write_user_graphs
from mekb.graph import Evidence, Interest, UserGraph
from mekb.output import written_whole
from mekb.rdf.read import read_user_graph
from mekb.rdf.terms import profile_iri
from mekb.rdf.write import user_graph_rdf

# rdflib 7.6 parses JSON-LD and N-Quads through classes it calls deprecated itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Dataset.default_context is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Dataset.identifier is deprecated:DeprecationWarning"),
]


def make_graph(user="u1", label='=1+1 "quoted", é\n', idf=1.5):
    at = Evidence("B,1", "books", "@title", "title", 0, 6, "@title", 0.5)
    other = Evidence("B2", "films", "", "brand", 0, 4, "Acme", 1.0)
    return UserGraph(
        user,
        (
            Interest(42, "Answer", label, "wikidata", 2, 3, 1.0, idf, 0.75, 1, (at, other)),
            Interest(3_000_000_001, "Acme", "Acme", "brand", 1, 1, 0.5, 1.0, 0.25, 2, (other,)),
        ),
        "run-1",
    )


def fill_the_disk(path):
    with written_whole(path, force=True) as aside:
        aside.write_text("half")
        raise OSError(28, "No space left on device")


def read_csv(path, encoding="utf-8"):
    with path.open(newline="", encoding=encoding) as file:
        return list(csv.DictReader(file))


def test_json_holds_everything(tmp_path):
    path = tmp_path / "u.json"
    graph = make_graph(idf=0.1 + 0.2)
    write_user_graph(graph, path)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert [interest.pop("qid") for interest in content["interests"]] == ["Q42", None]
    assert TypeAdapter(UserGraph).validate_python(content) == graph


@pytest.mark.parametrize("ending", RDF_FORMATS)
def test_rdf_reads_back(tmp_path, ending):
    path = tmp_path / f"u.{ending}"
    write_user_graph(make_graph(), path)
    back = Graph().parse(path, format=RDF_FORMATS[ending])
    assert isomorphic(back, user_graph_rdf(make_graph()))
    assert read_user_graph(back) == make_graph()


def test_csv_raw_keeps_every_value(tmp_path):
    path = tmp_path / "u.csv"
    write_user_graph(make_graph(idf=0.1 + 0.2), path)
    first, second = read_csv(path)
    assert tuple(first) == CSV_COLUMNS
    assert first["label"] == '=1+1 "quoted", é\n'
    assert float(first["idf"]) == 0.1 + 0.2
    assert (first["qid"], second["qid"], first["n_evidence"], first["items"]) == (
        "Q42",
        "",
        "2",
        "@title | B2",
    )


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_for_spreadsheets_starts_no_formula(tmp_path, start):
    path = tmp_path / "u.csv"
    write_user_graph(
        make_graph(f"{start}user", f"{start}cmd|' /C calc'!A0"), path, spreadsheet_safe=True
    )
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    rows = read_csv(path, "utf-8-sig")
    assert rows[0]["user"] == f"'{start}user"
    assert rows[0]["items"] == "'@title | B2"
    for cell in rows[0].values():
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("ending", FORMATS)
def test_nothing_is_replaced_unasked(tmp_path, ending):
    path = tmp_path / f"u.{ending}"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"exists; add --force"):
        write_user_graph(make_graph(), path)
    assert path.read_text() == "mine"
    write_user_graph(make_graph(), path, force=True)
    assert path.read_bytes() != b"mine"
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_format_goes_before_the_ending(tmp_path):
    path = tmp_path / "u.txt"
    write_user_graph(make_graph(), path, format="json")
    assert json.loads(path.read_text())["user"] == "u1"
    with pytest.raises(OutputError, match=r"ending '.txt' is not one of json, csv"):
        write_user_graph(make_graph(), path)
    with pytest.raises(OutputError, match="format 'xml'"):
        write_user_graph(make_graph(), path, format="xml")


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(OutputError, match="is a folder"):
        write_user_graph(make_graph(), tmp_path, format="json", force=True)
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        write_user_graph(make_graph(), tmp_path / "no" / "u.json")


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "u.json"
    path.write_text("old")
    bad = UserGraph("u", (Interest(1, "t", "t", "wikidata", 1, 1, 1.0, float("nan"), 1.0, 1),))
    with pytest.raises(ValueError, match="JSON"):
        write_user_graph(bad, path, force=True)
    with pytest.raises(OutputError, match="No space left"):
        fill_the_disk(path)
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["u.json"]


def test_many_users_as_named_graphs(tmp_path):
    graphs = [make_graph(user) for user in ("a", "b c", "é")] + [UserGraph("none", ())]
    path = tmp_path / "all.nq"
    seen = []
    assert write_user_graphs(iter(graphs), path, on_user=seen.append) == 4
    assert seen == [1, 2, 3, 4]
    parsed = Dataset()
    parsed.parse(data=path.read_text(encoding="utf-8"), format="nquads")
    for graph in graphs:
        part = Graph()
        for triple in parsed.graph(URIRef(profile_iri(graph.user))):
            part.add(triple)
        assert read_user_graph(part) == graph


def test_the_same_bytes_under_any_hash_seed(tmp_path):
    """Set order must not reach a file."""
    code = (
        "import importlib.util, pathlib, sys\n"
        "spec = importlib.util.spec_from_file_location('twin', sys.argv[1])\n"
        "twin = importlib.util.module_from_spec(spec); spec.loader.exec_module(twin)\n"
        "for ending in ('json', 'csv', 'ttl', 'jsonld', 'nt'):\n"
        "    twin.write_user_graph(twin.make_graph(), pathlib.Path(sys.argv[2]) / f'u.{ending}')\n"
    )
    folders = [tmp_path / seed for seed in ("1", "2")]
    for folder in folders:
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-c", code, __file__, str(folder)],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": folder.name},
            cwd=Path(__file__).parents[2],
        )
    for file in folders[0].iterdir():
        assert file.read_bytes() == (folders[1] / file.name).read_bytes(), file.name
