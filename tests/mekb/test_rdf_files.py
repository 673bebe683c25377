"""Exported MeKBs read back: every format, many users at a time, and one line for whatever is wrong with a file."""

import gc
import gzip
import json
import socket
import tracemalloc
from pathlib import Path

import pytest

from mekb.errors import MekbError, SourceError, UnknownError
from mekb.export import write_user_graph, write_user_graphs
from mekb.graph import Evidence, Interest, UserGraph
from mekb.rdf.files import FORMATS, read_graphs, read_profile, read_profiles
from mekb.rdf.provenance import Provenance, provenance_of, source_of, wiki_of

# rdflib 7.6 parses JSON-LD through a class it calls deprecated itself.
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")

ABOUT = Provenance(store="demo", wiki="en", software="0.1.0")


def make_graph(user="u 1", n_interests=2):
    def because(number):
        title = f'A title "{number}"\nin two lines'
        return tuple(
            Evidence(f"B{number}/{i}", domain, title, "title", 0, 7, "A title", 0.1 + 0.2)
            for i, domain in enumerate(("books", "films"))
        )

    interests = tuple(
        Interest(
            100 + number, f"Entity {number}", f"entity {number}", "wikidata", 2, 3, 1 / 3, 2 / 7,
            1 / n_interests, number + 1, because(number),
        )
        for number in range(n_interests)
    )  # fmt: skip
    return UserGraph(user, interests, "run-1")


def exported(folder: Path, ending: str, graph=None) -> Path:
    """Write one user's MeKB, or a dump of it for N-Quads."""
    path = folder / f"u.{ending}"
    if ending == "nq":
        write_user_graphs([graph or make_graph()], path, provenance=ABOUT)
    else:
        write_user_graph(graph or make_graph(), path, provenance=ABOUT)
    return path


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_every_format_gives_the_same_mekb_back(tmp_path, ending, packed):
    path = exported(tmp_path, ending)
    if packed:
        path.with_name(f"u.{ending}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path = path.with_name(f"u.{ending}.gz")
    assert list(read_profiles(path)) == [make_graph()]
    assert read_profile(path) == read_profile(path, user="u 1") == make_graph()
    other = path.rename(tmp_path / "without.ending")
    if not packed:
        assert read_profile(other, format=ending) == make_graph()


@pytest.mark.parametrize("ending", ["nq", "nq.gz"])
def test_a_dump_of_many_is_read_user_by_user(tmp_path, ending):
    graphs = [make_graph(f"u{number}", number % 4) for number in range(1, 9)]
    path = tmp_path / f"all.{ending}"
    write_user_graphs(graphs, path, provenance=ABOUT)
    assert list(read_profiles(path)) == graphs
    assert read_profile(path, user="u3") == graphs[2]
    with pytest.raises(UnknownError, match=r"all\.nq.*no user 'nobody'"):
        read_profile(path, user="nobody")
    with pytest.raises(SourceError, match="holds several users, 'u1' first"):
        read_profile(path)


def test_a_packed_dump_has_the_same_bytes_each_time(tmp_path):
    paths = [tmp_path / "one.nq.gz", tmp_path / "two.nq.gz"]
    for path in paths:
        write_user_graphs([make_graph()], path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def peak_of_reading(path):
    """Return how many users were read, and the most memory held (rdflib's graphs are cycles: collected each)."""
    tracemalloc.start()
    try:
        n_users = sum(gc.collect() >= 0 for _ in read_profiles(path))
        return n_users, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_reading_ten_times_as_many_takes_no_more_memory(tmp_path):
    few, many = tmp_path / "few.nq", tmp_path / "many.nq"
    write_user_graphs((make_graph(f"u{number}") for number in range(3)), few)
    write_user_graphs((make_graph(f"u{number}") for number in range(30)), many)
    sum(1 for _ in read_profiles(few))  # what is loaded once
    (_, small), (n_users, large) = peak_of_reading(few), peak_of_reading(many)
    assert n_users == 30
    assert large < 1.5 * small


def test_several_profiles_in_one_turtle_file_are_read_each(tmp_path):
    paths = [exported(tmp_path, "ttl", make_graph(user)) for user in ("a",)]
    first = paths[0].read_text(encoding="utf-8")
    paths[0].unlink()
    second = exported(tmp_path, "ttl", make_graph("b")).read_text(encoding="utf-8")
    both = tmp_path / "both.ttl"
    both.write_text(first + second, encoding="utf-8")
    assert [graph.user for graph in read_profiles(both)] == ["a", "b"]
    assert read_profile(both, user="b") == make_graph("b")


LINE = '<urn:a> <urn:p> "x" .\n'
BAD = {
    "an ending of no format": ("u.xml", "<rdf/>", "ending '.xml' is not one of json"),
    "nothing": ("u.nq", "", "holds no statement"),
    "nothing in Turtle": ("u.ttl", "", "no profile here"),
    "only comments": ("u.nt", "# nothing\n\n", "holds no statement"),
    "no statement": (
        "u.nq",
        LINE + "this is not RDF\n",
        "line 2: no statement of N-Quads: this is",
    ),
    "a line cut short": ("u.nq", LINE + '<urn:a> <urn:p> "x', "line 2: no statement"),
    "a space in an IRI": ("u.nt", "<urn:a b> <urn:p> <urn:c> .", "line 1: no statement"),
    "two on a line": ("u.nt", LINE.strip() + LINE, "line 1: no statement"),
    "not UTF-8": ("u.nt", LINE.encode() + b'<urn:a> <urn:p> "\xff" .\n', "line 2: is not UTF-8"),
    "not UTF-8 in Turtle": ("u.ttl", b"@prefix a: <urn:a> .\n# \xff", "line 2: is not UTF-8"),
    "no profile": ("u.nq", LINE, "no profile here"),
    "broken Turtle": ("u.ttl", "@prefix a: <urn:a> .\n\na:b a:c ; .", "at line 3 of"),
    "broken JSON": ("u.jsonld", '{"a": 1,\n oh}', "line 2: Expecting property name"),
    "JSON of no JSON-LD": ("u.jsonld", '{"@context": 3}', "is not of the form of json-ld"),
    "JSON that nests too deep": ("u.json", "[" * 100_000, "is no JSON"),
    "a context elsewhere": (
        "u.jsonld",
        '{"@graph": [{"@context": ["http://127.0.0.1:9/c.jsonld"]}]}',
        "its @context is at http://127.0.0.1:9/c.jsonld; nothing is fetched",
    ),
    "a context that imports": (
        "u.jsonld",
        '{"@context": {"@version": 1.1, "@import": "file:///etc/hostname"}}',
        "its @context is at file:///etc/hostname",
    ),
    "JSON of something else": ("u.json", '{"user": "u"}', "interests: Field required"),
    "a list": ("u.json", "[1]", "Input should be"),
    "NaN": ("u.json", '{"user": "u", "interests": NaN}', "NaN is no number here"),
    "infinity": ("u.json", '{"user": "u", "interests": 1e999}', "1e999 is no number here"),
    "gzip cut short": ("u.nq.gz", gzip.compress(LINE.encode() * 99)[:-9], "damaged or cut short"),
    "no gzip": ("u.ttl.gz", "@prefix", "damaged or cut short"),
}


@pytest.mark.parametrize("about", BAD)
def test_what_is_wrong_with_a_file_is_one_line_with_the_place(tmp_path, monkeypatch, capfd, about):
    name, content, says = BAD[about]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def no_network(*_):
        pytest.fail("an import opened a connection")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setattr(socket.socket, "connect", no_network)
    with pytest.raises(MekbError) as caught:
        list(read_profiles(path))
    line = str(caught.value)
    assert line.startswith(str(path))
    assert says in line
    assert "\n" not in line
    assert len(line) < 400
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"0.5"^^', '"half"^^', "weight_value> is 'half', no number"),
        ('"0.5"^^', '"NaN"^^', "is 'NaN', no number"),
        ('"0.5"^^', '"1e999"^^', ", no number"),
        ('beginIndex> "0"', 'beginIndex> "-1"', "beginIndex> is '-1', no count"),
        ('rank> "1"', 'rank> "1.5"', "rank> is '1.5', no count"),
        ('inferred> "false"', 'inferred> "perhaps"', "inferred> is perhaps, no boolean"),
        ('entityId> "100"', 'entityId> "7"', "Q100> has the entity id 7 of another entity"),
        ("#idf>", "#idg>", "has 0 values of <urn:mekb:ns#idf>"),
    ],
)
@pytest.mark.parametrize("ending", ["nt", "nq"])
def test_what_is_wrong_with_a_mekb_is_named(tmp_path, capfd, ending, old, new, says):
    path = exported(tmp_path, ending)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        list(read_profiles(path))
    assert says in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert capfd.readouterr() == ("", "")  # rdflib would log a traceback


def test_a_graph_in_two_places_is_refused(tmp_path):
    path = exported(tmp_path, "nq")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines[:-1], LINE.replace(" .", " <urn:g> ."), lines[-1]]))
    with pytest.raises(SourceError, match=r"line \d+: no profile here"):
        list(read_profiles(path))


def test_json_is_no_rdf(tmp_path):
    with pytest.raises(SourceError, match="is JSON, no RDF"):
        list(read_graphs(exported(tmp_path, "json")))
    with pytest.raises(SourceError, match="no such file"):
        list(read_graphs(tmp_path / "absent.ttl"))
    with pytest.raises(SourceError, match="is a folder"):
        list(read_graphs(tmp_path, format="ttl"))


def test_the_qid_of_a_json_file_is_told_by_the_id(tmp_path):
    path = exported(tmp_path, "json")
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["interests"][0]["qid"] == "Q100"
    assert read_profile(path).interests[0].qid == "Q100"


def test_provenance_is_what_the_store_has_on_record(project):
    from mekb.store import Store

    with Store.open(project.store) as store:
        (run,) = [row for row in store.read("runs").to_pylist() if row["stage"] == "profiles"]
        found = provenance_of(store, run["run_id"], software="1.2.3")
        nothing = provenance_of(store, None)
    import hashlib

    assert found.config_hash == "sha256:" + hashlib.sha256(run["config"].encode()).hexdigest()
    assert found.ended_at is not None
    assert found.ended_at.timestamp() == pytest.approx(
        run["started_at"].replace(tzinfo=found.ended_at.tzinfo).timestamp() + run["seconds"], abs=1
    )
    assert (found.store, found.run_id, found.software) == ("my", run["run_id"], "1.2.3")
    assert found.wiki == "en"
    assert {source.name for source in found.sources} == {
        "enwiki-pages-articles.xml.bz2",
        "titles.tsv",
    }
    assert nothing == Provenance(store="my")


@pytest.mark.parametrize(
    ("file", "name", "issued"),
    [
        ("simplewiki-20261101-pages-articles.xml.bz2", "simplewiki-20261101", "2026-11-01"),
        ("enwiki-20269999-pages.xml", "enwiki-20269999-pages.xml", None),
        ("enwiki-latest-pages-articles.xml.bz2", "enwiki-latest-pages-articles.xml.bz2", None),
        ("mywikistuff.tsv", "mywikistuff.tsv", None),
    ],
)
def test_dumps_are_known_by_their_names(file, name, issued):
    found = source_of(file)
    assert found.name == name
    assert (found.issued and found.issued.isoformat()) == issued


def test_a_language_is_known_only_where_one_wikipedia_was_read():
    assert wiki_of(["dewiki-20261101-pages-articles.xml.bz2", "x.tsv"]) == "de"
    assert wiki_of(["dewiki-20261101-x.xml", "enwiki-20261101-x.xml"]) is None
    assert wiki_of(["wikidatawiki-20261101-x.sql.gz", "x.tsv"]) is None
    assert wiki_of([]) is None
